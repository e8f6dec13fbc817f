"""When a connection to PostgreSQL is cut: carried out once and answered as if nothing had been, or reported clearly."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from faulty_proxy import Moment
from msgspec import structs
from postgres_ledger import (
    PATIENCE_SECONDS,
    Account,
    Act,
    Answer,
    Ledger,
    anonymous,
    answer,
    charge,
    end_sessions,
    hold,
    on_one_lane,
    topup,
)

from credit_wallet.cli import app as cli
from credit_wallet.domain.outcomes import Charged, Outcome
from credit_wallet.domain.tokens import new_token, token_hash
from credit_wallet.errors import (
    DatabaseUnavailable,
    Unauthorized,
    WalletError,
)
from credit_wallet.stores.postgres import database

pytestmark = pytest.mark.slow


SURE = (Moment.BEFORE_BEGIN, Moment.AFTER_BEGIN, Moment.BEFORE_WRITES)
"""A connection that is cut then has not been sent COMMIT."""


# A connection is cut within a transaction


def charge_after_what_is_due(ledger: Ledger, account: Account) -> list[Answer]:
    """The hold has expired."""
    ledger.clock.advance(seconds=61)
    return answer(lambda: ledger.wallets.charge(account.wallet_id, 1, idempotency_key="new"))


def charge_many(ledger: Ledger, account: Account) -> list[Answer]:
    """New charges of two wallets, replays, a key twice, a conflict, and more than there is."""
    wallet_id, other_id, *_ = account
    outcomes = ledger.wallets.charge_many(
        [
            (other_id, 5, "many-1"),
            (wallet_id, 600, "many-2"),
            (wallet_id, 10_000, "many-3"),
            (wallet_id, 600, "many-2"),
            (wallet_id, 1, "charge"),
            (wallet_id, 7, "many-4"),
        ]
    )
    return [each.code if isinstance(each, WalletError) else each for each in outcomes]


def capture(ledger: Ledger, account: Account) -> list[Answer]:
    return answer(lambda: ledger.wallets.capture(account.hold_id, 30))


def release(ledger: Ledger, account: Account) -> list[Answer]:
    return answer(lambda: ledger.wallets.release(account.hold_id))


def refund(ledger: Ledger, account: Account) -> list[Answer]:
    return answer(lambda: ledger.wallets.refund(account.charge_id, 40, idempotency_key="new"))


def reverse(ledger: Ledger, account: Account) -> list[Answer]:
    """Leaves a debt."""
    return answer(lambda: ledger.wallets.reverse(account.topup_id, 990, idempotency_key="new"))


def configure(ledger: Ledger, account: Account) -> list[Answer]:
    return answer(lambda: ledger.wallets.configure(account.wallet_id, label="Büro 🫖"))


ACTS = (charge, charge_after_what_is_due, charge_many, hold, capture, release, refund, topup, reverse, configure)


def act_and_cut(ledger: Ledger, act: Act, moment: Moment, times: int) -> None:
    """What comes of ``act`` must be what comes of it undisturbed, and again when it is sent again."""
    expected, stories = ledger.undisturbed(act)
    account = ledger.account()
    ledger.proxy.arm(moment, times=times)
    answers = act(ledger, account)
    assert ledger.proxy.fired == times
    assert anonymous(answers) == expected
    assert ledger.stories(account) == stories
    replays = act(ledger, account)
    assert replays == [
        structs.replace(each, replayed=act is not configure) if isinstance(each, Outcome) else each for each in answers
    ]
    assert ledger.stories(account) == stories


@on_one_lane
@pytest.mark.parametrize("act", ACTS)
@pytest.mark.parametrize("moment", Moment)
def test_what_is_cut_is_carried_out_once_and_answered_as_if_nothing_had_been(
    ledger: Ledger, act: Act, moment: Moment
) -> None:
    act_and_cut(ledger, act, moment, times=1)


@pytest.mark.parametrize("moment", Moment)
def test_what_is_cut_again_and_again_is_carried_out_once(ledger: Ledger, moment: Moment) -> None:
    act_and_cut(ledger, charge_many, moment, times=3)


WALLETS = "SELECT count(*) FROM am_credit_wallet"

OWNED = "SELECT wallet_id FROM am_credit_wallet WHERE owner_token_hash = %s"

CREATED = "SELECT count(*) FROM am_credit_act WHERE kind = 'wallet.created'"


@on_one_lane
@pytest.mark.parametrize("moment", Moment)
@pytest.mark.parametrize("with_reference", [False, True])
def test_a_new_wallet_is_found_by_its_token_and_made_once(ledger: Ledger, moment: Moment, with_reference: bool) -> None:
    wallets, acts = ledger.count(WALLETS), ledger.count(CREATED)
    ledger.proxy.arm(moment)
    created = ledger.wallets.create(reference=f"cut {moment.name}") if with_reference else ledger.wallets.create()
    assert ledger.proxy.fired == 1
    assert created.owner_token is not None, "the wallet is new, and who made it has its token"
    assert ledger.rows(OWNED, token_hash(created.owner_token)) == [(created.wallet_id,)]
    assert (ledger.count(WALLETS), ledger.count(CREATED)) == (wallets + 1, acts + 1)
    assert ledger.wallets.create().wallet_id > created.wallet_id
    assert (ledger.count(WALLETS), ledger.count(CREATED)) == (wallets + 2, acts + 2)


SELLERS = "SELECT count(*) FROM am_credit_seller"

SECRETS = "SELECT count(*) FROM am_credit_secret"


@on_one_lane
@pytest.mark.parametrize("moment", Moment)
def test_what_makes_a_token_or_registers_one_is_done_once_and_found_out(ledger: Ledger, moment: Moment) -> None:
    account = ledger.account()
    seller, own = ledger.wallets.sellers.create(), token_hash(new_token())
    sellers = ledger.count(SELLERS)
    asked: list[tuple[Callable[[], object], int]] = [
        (lambda: ledger.wallets.keys.rotate(account.key_id).token, 1),
        (lambda: ledger.wallets.rotate_owner_token(account.wallet_id).owner_token, 1),
        (lambda: ledger.wallets.sellers.rotate(seller.seller_id).token, 1),
        (lambda: ledger.wallets.sellers.create().token, 1),
        (lambda: ledger.wallets.keys.create(account.wallet_id).token, 0),
        (lambda: ledger.wallets.secrets.register(account.wallet_id, own), 1),
    ]
    for ask, secrets in asked:
        before = ledger.count(SECRETS)
        ledger.proxy.arm(moment)
        answer = ask()
        assert ledger.proxy.fired == 1
        assert ledger.count(SECRETS) == before + secrets
        assert not isinstance(answer, str) or ledger.wallets.tokens.identify(answer)
    assert ledger.count(SELLERS) == sellers + 1


@on_one_lane
@pytest.mark.parametrize("moment", Moment)
def test_alerts_fire_once_however_the_job_ends(ledger: Ledger, moment: Moment) -> None:
    account = ledger.account()
    ledger.wallets.charge(account.wallet_id, 320, idempotency_key="320")
    ledger.wallets.configure(account.wallet_id, monthly_budget_yen=500)
    ledger.proxy.arm(moment)
    if moment in SURE:
        ledger.wallets.alerts.run()
    else:
        with pytest.raises(DatabaseUnavailable):
            ledger.wallets.alerts.run()
        ledger.wallets.alerts.run()
    assert ledger.proxy.fired == 1
    assert [alert.threshold_pct for alert in ledger.wallets.alerts.list(account.wallet_id)] == [80, 50]
    told = "SELECT count(*) FROM am_credit_outbox WHERE wallet_id = %s AND kind = 'budget.threshold_reached'"
    assert ledger.count(told, account.wallet_id) == 2


@on_one_lane
@pytest.mark.parametrize("moment", Moment)
def test_a_key_that_is_revoked_while_the_connection_is_cut_is_revoked(ledger: Ledger, moment: Moment) -> None:
    account = ledger.account()
    ledger.proxy.arm(moment)
    revoked_at = ledger.wallets.keys.revoke(account.key_id)
    assert ledger.proxy.fired == 1
    assert ledger.rows("SELECT revoked_at FROM am_credit_key WHERE key_id = %s", account.key_id) == [(revoked_at,)]
    with pytest.raises(Unauthorized):
        ledger.wallets.charge(account.wallet_id, 1, idempotency_key="late", key_id=account.key_id)


@on_one_lane
@pytest.mark.parametrize("moment", Moment)
def test_a_check_that_is_cut_is_made_again(ledger: Ledger, moment: Moment) -> None:
    ledger.proxy.arm(moment)
    ledger.wallets.maintenance.check_ready()
    assert ledger.proxy.fired == 1


@on_one_lane
def test_a_command_answers_in_json_alone_when_its_connection_is_cut(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wallet_id = ledger.funded()
    words = ["--json", "--db", ledger.proxy.url(ledger.url), "charge", f"{wallet_id}", "3", "--key", "cut"]
    monkeypatch.setattr(sys, "argv", ["credit-wallet", *words])
    ledger.proxy.arm(Moment.AFTER_COMMIT)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    answer, log = capsys.readouterr()
    assert ended.value.code == 0
    assert json.loads(answer)["balance_yen"] == 997
    assert "database_connection_lost" in log


# Connections end between batches, or all at once


def cut_all(ledger: Ledger) -> None:
    ledger.proxy.cut_all()


@pytest.mark.parametrize("end", [cut_all, end_sessions])
def test_connections_that_end_between_batches_are_made_anew(ledger: Ledger, end: Callable[[Ledger], None]) -> None:
    wallets, wallet_ids = ledger.wallets, ledger.on_every_lane()
    with ThreadPoolExecutor(database.READERS) as threads:
        for number in range(3):
            assert set(threads.map(wallets.balance, wallet_ids * 40)) == {1_000 - number}
            end(ledger)
            assert set(threads.map(wallets.balance, wallet_ids * 40)) == {1_000 - number}
            for wallet_id in wallet_ids:
                assert not wallets.charge(wallet_id, 1, idempotency_key=f"charge-{number}").replayed
            end(ledger)
            wallets.maintenance.check_ready()
    assert wallets.verify() == []


def test_nothing_is_lost_or_done_twice_while_all_connections_are_cut_again_and_again(ledger: Ledger) -> None:
    wallet_ids = ledger.on_every_lane()
    charged = threading.Semaphore(0)
    threads, charges, cuts = 8, 30, 7

    def charge_and_read(thread: int) -> list[Charged]:
        outcomes = []
        for number in range(charges):
            wallet_id = wallet_ids[number % len(wallet_ids)]
            outcomes.append(ledger.wallets.charge(wallet_id, 1, idempotency_key=f"{thread}-{number}"))
            assert ledger.wallets.balance(wallet_id) <= outcomes[-1].balance_yen
            charged.release()
        return outcomes

    with ThreadPoolExecutor(threads) as pool:
        charging = [pool.submit(charge_and_read, thread) for thread in range(threads)]
        for _ in range(cuts):
            for _ in range(threads * charges // (cuts + 1)):
                assert charged.acquire(timeout=PATIENCE_SECONDS)
            ledger.proxy.cut_all()
        outcomes = [outcome for each in charging for outcome in each.result()]
    assert not any(outcome.replayed for outcome in outcomes)
    assert len({outcome.txn_id for outcome in outcomes}) == threads * charges
    assert sum(map(ledger.wallets.balance, wallet_ids)) == 1_000 * len(wallet_ids) - threads * charges
    assert ledger.wallets.verify() == []
