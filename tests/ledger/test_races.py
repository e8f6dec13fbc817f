"""Many callers at once: exactly the credit there is gets spent, whoever comes first."""

from __future__ import annotations

import asyncio
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import TYPE_CHECKING, TypeAlias

import pytest
from amounts import yen
from databases import on_every_database

from credit_wallet import CreditWallet
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import DatabaseLocked, InsufficientFunds, WalletError

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier as ProcessBarrier

pytestmark = on_every_database

CALLERS = 32
ROUNDS = 10
LIMIT_YEN = 20

Answer: TypeAlias = Outcome | str
Race: TypeAlias = Callable[[Callable[[int], Outcome]], list[Answer]]


@pytest.fixture(scope="module")
def race() -> Iterator[Race]:
    """Call something from ``CALLERS`` threads at the same moment; an outcome or a refusal's code from each."""
    with ThreadPoolExecutor(CALLERS) as threads:

        def run(act: Callable[[int], Outcome]) -> list[Answer]:
            start = Barrier(CALLERS)

            def call(caller: int) -> Answer:
                start.wait()
                return answer(lambda: act(caller))

            return list(threads.map(call, range(CALLERS)))

        yield run


def answer(act: Callable[[], Outcome]) -> Answer:
    try:
        return act()
    except WalletError as refusal:
        return refusal.code


def carried_out(answers: Sequence[Answer | WalletError]) -> list[Outcome]:
    return [each for each in answers if isinstance(each, Outcome)]


# Whoever is limited, by what: a wallet and a key to pay with, of which LIMIT_YEN can be spent


def last_yen_of_a_wallet(wallets: CreditWallet) -> tuple[int, int | None]:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, LIMIT_YEN, idempotency_key="start")
    return wallet_id, None


def last_yen_of_a_budget(wallets: CreditWallet) -> tuple[int, int | None]:
    wallet_id = wallets.create(monthly_budget_yen=LIMIT_YEN, budget_mode="cap").wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="start")
    return wallet_id, None


def last_yen_of_an_agent_key(wallets: CreditWallet) -> tuple[int, int | None]:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="start")
    return wallet_id, wallets.keys.create(wallet_id, monthly_cap_yen=LIMIT_YEN).key_id


LIMITS = [
    pytest.param(last_yen_of_a_wallet, "insufficient_funds", id="wallet"),
    pytest.param(last_yen_of_a_budget, "budget_exhausted", id="budget"),
    pytest.param(last_yen_of_an_agent_key, "key_cap_exhausted", id="agent-key"),
]
Limit: TypeAlias = Callable[[CreditWallet], tuple[int, int | None]]


def spent_yen(wallets: CreditWallet, wallet_id: int) -> int:
    return wallets.show(wallet_id).current_cycle_spent_yen


def play_rounds(wallets: CreditWallet, play: Callable[[], None]) -> None:
    for _ in range(ROUNDS):
        play()
    assert wallets.verify() == []


@pytest.mark.parametrize("amount_yen", [1, 3])
@pytest.mark.parametrize(("limit", "code"), LIMITS)
def test_threads_spend_exactly_what_there_is(
    wallets: CreditWallet, race: Race, limit: Limit, code: str, amount_yen: int
) -> None:
    affordable = LIMIT_YEN // amount_yen

    def play() -> None:
        wallet_id, key_id = limit(wallets)
        answers = race(
            lambda caller: wallets.charge(wallet_id, amount_yen, idempotency_key=f"caller-{caller}", key_id=key_id)
        )
        assert len(carried_out(answers)) == affordable
        assert answers.count(code) == CALLERS - affordable
        assert spent_yen(wallets, wallet_id) == affordable * amount_yen

    play_rounds(wallets, play)


@pytest.mark.parametrize(("limit", "code"), LIMITS)
def test_asyncio_callers_spend_exactly_what_there_is(wallets: CreditWallet, limit: Limit, code: str) -> None:
    async def charge_at_once(wallet_id: int, key_id: int | None) -> list[Outcome | BaseException]:
        charges = [wallets.acharge(wallet_id, 1, idempotency_key=f"task-{n}", key_id=key_id) for n in range(CALLERS)]
        return await asyncio.gather(*charges, return_exceptions=True)

    def play() -> None:
        wallet_id, key_id = limit(wallets)
        answers = asyncio.run(charge_at_once(wallet_id, key_id))
        assert [each.code for each in answers if isinstance(each, WalletError)] == [code] * (CALLERS - LIMIT_YEN)
        assert spent_yen(wallets, wallet_id) == LIMIT_YEN

    play_rounds(wallets, play)


@pytest.mark.parametrize(("limit", "code"), LIMITS)
def test_holds_reserve_exactly_what_there_is(wallets: CreditWallet, race: Race, limit: Limit, code: str) -> None:
    def play() -> None:
        wallet_id, key_id = limit(wallets)

        def hold_and_capture(caller: int) -> Outcome:
            held = wallets.hold(wallet_id, 1, idempotency_key=f"hold-{caller}", key_id=key_id)
            assert held.hold_id is not None
            return wallets.capture(held.hold_id, 1)

        answers = race(hold_and_capture)
        assert len(carried_out(answers)) == LIMIT_YEN
        assert answers.count(code) == CALLERS - LIMIT_YEN
        assert spent_yen(wallets, wallet_id) == LIMIT_YEN
        assert wallets.balance(wallet_id).held_yen == 0

    play_rounds(wallets, play)


@pytest.mark.parametrize(("limit", "code"), LIMITS)
def test_what_holds_give_back_can_be_spent_and_no_more(
    wallets: CreditWallet, race: Race, limit: Limit, code: str
) -> None:
    """Each holds 4 and uses 1 or nothing while others charge; afterwards the limit can be reached, not passed."""

    def play() -> None:
        wallet_id, key_id = limit(wallets)

        def spend(caller: int) -> Outcome:
            key = f"caller-{caller}"
            if caller % 2:
                return wallets.charge(wallet_id, 1, idempotency_key=key, key_id=key_id)
            held = wallets.hold(wallet_id, 4, idempotency_key=key, key_id=key_id)
            assert held.hold_id is not None
            return wallets.capture(held.hold_id, 1) if caller % 4 else wallets.release(held.hold_id)

        spent = sum(outcome.txn_id is not None for outcome in carried_out(race(spend)))
        assert spent_yen(wallets, wallet_id) == spent <= LIMIT_YEN
        if spent < LIMIT_YEN:
            wallets.charge(wallet_id, LIMIT_YEN - spent, idempotency_key="rest", key_id=key_id)
        assert answer(lambda: wallets.charge(wallet_id, 1, idempotency_key="more", key_id=key_id)) == code
        assert spent_yen(wallets, wallet_id) == LIMIT_YEN

    play_rounds(wallets, play)


def test_an_idempotency_key_sent_by_many_at_once_moves_once(wallets: CreditWallet, race: Race) -> None:
    def play() -> None:
        wallet_id, _ = last_yen_of_a_wallet(wallets)
        outcomes = carried_out(race(lambda _: wallets.charge(wallet_id, 1, idempotency_key="same")))
        assert len(outcomes) == CALLERS
        assert len({outcome.txn_id for outcome in outcomes}) == 1
        assert {outcome.balance_yen for outcome in outcomes} == {LIMIT_YEN - 1}
        assert [outcome.replayed for outcome in outcomes].count(False) == 1
        assert wallets.balance(wallet_id) == LIMIT_YEN - 1

    play_rounds(wallets, play)


def test_an_idempotency_key_sent_by_many_with_different_amounts_moves_once(wallets: CreditWallet, race: Race) -> None:
    def play() -> None:
        wallet_id, _ = last_yen_of_a_wallet(wallets)
        answers = race(lambda caller: wallets.charge(wallet_id, 1 + caller % 2, idempotency_key="same"))
        outcomes = carried_out(answers)
        assert len({(outcome.txn_id, outcome.amount_yen) for outcome in outcomes}) == 1
        assert len(outcomes) == answers.count("idempotency_conflict") == CALLERS // 2
        assert wallets.balance(wallet_id) == LIMIT_YEN - outcomes[0].amount_yen

    play_rounds(wallets, play)


def test_a_charge_is_refunded_once_however_many_ask(wallets: CreditWallet, race: Race) -> None:
    def play() -> None:
        wallet_id, _ = last_yen_of_a_wallet(wallets)
        txn_id = wallets.charge(wallet_id, LIMIT_YEN, idempotency_key="charge").txn_id
        assert txn_id is not None
        answers = race(lambda caller: wallets.refund(txn_id, LIMIT_YEN, idempotency_key=f"refund-{caller}"))
        assert len(carried_out(answers)) == 1
        assert answers.count("refund_exceeds_charge") == CALLERS - 1
        assert wallets.balance(wallet_id) == LIMIT_YEN

    play_rounds(wallets, play)


def test_a_hold_is_closed_once_by_a_capture_or_a_release(wallets: CreditWallet, race: Race) -> None:
    def play() -> None:
        wallet_id, _ = last_yen_of_a_wallet(wallets)
        hold_id = wallets.hold(wallet_id, 2, idempotency_key="hold").hold_id
        assert hold_id is not None

        def close(caller: int) -> Outcome:
            if caller % 2:
                return wallets.capture(hold_id, 1, idempotency_key=f"close-{caller}")
            return wallets.release(hold_id, idempotency_key=f"close-{caller}")

        answers = race(close)
        assert len(carried_out(answers)) == 1
        assert answers.count("hold_closed") == CALLERS - 1
        assert wallets.balance(wallet_id) == LIMIT_YEN - spent_yen(wallets, wallet_id)

    play_rounds(wallets, play)


def test_batches_and_single_charges_share_the_last_yen(wallets: CreditWallet, race: Race) -> None:
    def play() -> None:
        wallet_id, _ = last_yen_of_a_wallet(wallets)

        def spend(caller: int) -> Outcome:
            if caller % 4:
                return wallets.charge(wallet_id, 1, idempotency_key=f"single-{caller}")
            batch = wallets.charge_many([(wallet_id, 1, f"batch-{caller}-{n}") for n in range(5)])
            refusals = {each.code for each in batch if isinstance(each, WalletError)}
            assert refusals <= {"insufficient_funds"}
            return Outcome(wallet_id, yen(len(carried_out(batch))), 0)

        answers = race(spend)
        assert sum(outcome.amount_yen for outcome in carried_out(answers)) == LIMIT_YEN
        assert wallets.balance(wallet_id) == 0

    play_rounds(wallets, play)


# Several processes on one file

PROCESSES = 3


def charge_in_a_process(
    db_url: str,
    name: str,
    attempts: Sequence[tuple[int, int]],
    start: ProcessBarrier,
    answers: multiprocessing.Queue[int],
) -> None:
    """Open the ledger, wait for the others, and charge ``(wallet_id, amount_yen)`` each; put what was spent."""
    with CreditWallet.open(db_url) as wallets:
        start.wait()
        spent = 0
        for number, (wallet_id, amount_yen) in enumerate(attempts):
            spent += _charge_patiently(wallets, wallet_id, amount_yen, f"{name}-{number}")
    answers.put(spent)


def _charge_patiently(wallets: CreditWallet, wallet_id: int, amount_yen: int, key: str) -> int:
    """The yen charged, 0 when there is no credit; a database that is locked for too long is asked again."""
    while True:
        try:
            return wallets.charge(wallet_id, amount_yen, idempotency_key=key).amount_yen
        except DatabaseLocked:
            continue
        except InsufficientFunds:
            return 0


def charge_in_processes(db_url: str, names: Sequence[str], attempts: Sequence[tuple[int, int]]) -> list[int]:
    """What each of the processes ``names`` spent, all charging ``attempts`` at the same time."""
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(len(names))
    answers: multiprocessing.Queue[int] = context.Queue()
    processes = [
        context.Process(target=charge_in_a_process, args=(db_url, name, attempts, start, answers)) for name in names
    ]
    for process in processes:
        process.start()
    spent = [answers.get(timeout=60) for _ in processes]
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * len(names)
    return spent


def test_processes_spend_exactly_what_there_is(wallets: CreditWallet, db_url: str) -> None:
    attempts = []
    for amount_yen in (1, 1, 3):
        wallet_id, _ = last_yen_of_a_wallet(wallets)
        attempts += [(wallet_id, amount_yen)] * LIMIT_YEN
    spent = charge_in_processes(db_url, [f"process-{n}" for n in range(PROCESSES)], attempts)
    assert sum(spent) == LIMIT_YEN + LIMIT_YEN + LIMIT_YEN // 3 * 3
    assert [wallets.balance(wallet_id) for wallet_id in (1, 2, 3)] == [0, 0, LIMIT_YEN % 3]
    assert wallets.verify() == []


def test_charges_of_processes_add_up(wallets: CreditWallet, db_url: str) -> None:
    wallet_ids = []
    for _ in range(4):
        wallet_ids.append(wallets.create().wallet_id)
        wallets.topup(wallet_ids[-1], 100_000, idempotency_key="start")
    attempts = [(wallet_id, amount_yen) for amount_yen in range(1, 26) for wallet_id in wallet_ids]
    spent = charge_in_processes(db_url, [f"process-{n}" for n in range(PROCESSES)], attempts)
    each_yen = sum(amount_yen for _, amount_yen in attempts)
    assert spent == [each_yen] * PROCESSES
    for wallet_id in wallet_ids:
        assert wallets.balance(wallet_id) == 100_000 - PROCESSES * each_yen // len(wallet_ids)
        assert len(wallets.history(wallet_id, limit=1_000)) == 1 + PROCESSES * 25
    assert wallets.verify() == []


def test_an_idempotency_key_sent_by_processes_at_once_moves_once(wallets: CreditWallet, db_url: str) -> None:
    wallet_id, _ = last_yen_of_a_wallet(wallets)
    spent = charge_in_processes(db_url, ["same"] * PROCESSES, [(wallet_id, 1)] * LIMIT_YEN)
    assert spent == [LIMIT_YEN] * PROCESSES
    assert len(wallets.history(wallet_id, txn_type="charge")) == LIMIT_YEN
    assert wallets.balance(wallet_id) == 0
    assert wallets.verify() == []
