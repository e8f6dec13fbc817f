"""Unused credit is paid back within what the law allows over all wallets, decided where it moves."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from functools import partial
from threading import Barrier, BrokenBarrierError, Thread

import pytest
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.commands import PayBack, PayBackLimit
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.topups import Clawback, PaymentFact
from credit_wallet.errors import IdempotencyConflict, PayBackNotAllowed
from credit_wallet.stores import Connection, topup_rows
from credit_wallet.stores.databases import database_at

pytestmark = on_every_database

LIMIT = PayBackLimit("2026-03-31", 1_000)
PERIOD = "2026-03-31"


@pytest.fixture
def paid(wallets: CreditWallet) -> tuple[int, str]:
    return paid_in(wallets)


def paid_in(wallets: CreditWallet, yen: int = 10_000) -> tuple[int, str]:
    """A new wallet and the top-up that it has paid for."""
    wallet_id = wallets.create().wallet_id
    topup_id = wallets.topups.request(wallet_id, yen, idempotency_key="pays").topup_id
    assert topup_id is not None
    wallets.topups.settle(wallet_id, topup_id, PaymentFact(observed_at=1, status="succeeded", received_yen=yen))
    return wallet_id, topup_id


def test_nodes_that_pay_back_at_once_stay_within_the_limit_and_use_it_up(
    wallets: CreditWallet, db_url: str, clock: Clock
) -> None:
    """Each reads what was paid back before the others have written: whoever decides alone would let all of them."""
    nodes = [CreditWallet.open(db_url, clock=clock) for _ in range(3)]
    paid = [paid_in(wallets) for _ in nodes for _ in range(4)]
    limits = [node.topups.pay_back_limit() for node in nodes]
    assert {limit.base_date for limit in limits} == {PERIOD}
    start = Barrier(len(paid))
    answers: list[object] = []

    def pay_back(number: int, wallet_id: int, topup_id: str) -> None:
        start.wait()
        node = nodes[number % len(nodes)]
        try:
            node.topups.pay_back(wallet_id, topup_id, 300, idempotency_key="back", limit=LIMIT)
        except PayBackNotAllowed as refusal:
            answers.append(refusal.details["left_yen"])

    at_once([partial(pay_back, number, *each) for number, each in enumerate(paid)])
    assert answers == [100] * (len(paid) - 3)
    assert wallets.topups.pay_back_room().paid_back_yen == 900
    assert wallets.verify() == []
    for node in nodes:
        node.close()


def test_two_nodes_that_have_both_read_the_sum_do_not_both_pay_back(
    wallets: CreditWallet, db_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first waits, with the sum that it has read, for the other to read it too: which must not come before it."""
    read, both = topup_rows._paid_back_yen, Barrier(2)

    def read_and_wait(connection: Connection, now: datetime) -> int:
        paid_back_yen = read(connection, now)
        with suppress(BrokenBarrierError):
            both.wait(0.5)
        return paid_back_yen

    monkeypatch.setattr(topup_rows, "_paid_back_yen", read_and_wait)
    answers: list[object] = []

    def pay_back(node: CreditWallet, wallet_id: int, topup_id: str) -> None:
        try:
            node.topups.pay_back(wallet_id, topup_id, 600, idempotency_key="back", limit=LIMIT)
        except PayBackNotAllowed as refusal:
            answers.append(refusal.details["left_yen"])

    with CreditWallet.open(db_url, clock=clock) as other:
        at_once([partial(pay_back, node, *paid_in(wallets)) for node in (wallets, other)])
    assert answers == [400]
    assert wallets.topups.pay_back_room().paid_back_yen == 600


def at_once(calls: list[Callable[[], None]]) -> None:
    threads = [Thread(target=call) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_of_a_batch_each_is_decided_by_what_those_before_it_paid_back(
    wallets: CreditWallet, paid: tuple[int, str]
) -> None:
    wallet_id, topup_id = paid
    commands = [PayBack(wallet_id, f"back {number}", topup_id, 600, LIMIT) for number in range(3)]
    first, *others = wallets._ledger.lanes.submit(commands)
    assert isinstance(first, Outcome)
    for refusal in others:
        assert isinstance(refusal, PayBackNotAllowed)
        assert refusal.details["left_yen"] == 400
    assert wallets.balance(wallet_id) == 9_400


def test_a_retry_is_the_same_request_whatever_the_limit_is_then(wallets: CreditWallet, paid: tuple[int, str]) -> None:
    wallets.topups.pay_back(*paid, 1_000, idempotency_key="back", limit=LIMIT)
    for limit in (LIMIT, PayBackLimit("2026-09-30", 0), None):
        assert wallets.topups.pay_back(*paid, 1_000, idempotency_key="back", limit=limit).replayed
    with pytest.raises(IdempotencyConflict):
        wallets.topups.pay_back(*paid, 999, idempotency_key="back", limit=LIMIT)


def test_one_whose_idempotency_key_was_forgotten_is_not_counted_twice(
    wallets: CreditWallet, clock: Clock, paid: tuple[int, str]
) -> None:
    wallets.topups.pay_back(*paid, 1_000, idempotency_key="back", limit=LIMIT)
    clock.advance(days=5)
    assert wallets.maintenance.prune_idempotency_keys() > 0
    wallets.topups.pay_back(*paid, 1_000, idempotency_key="back", limit=LIMIT)
    assert (wallets.balance(paid[0]), wallets.topups.pay_back_room().paid_back_yen) == (9_000, 1_000)


def test_what_the_provider_did_not_pay_back_leaves_its_room(wallets: CreditWallet, paid: tuple[int, str]) -> None:
    wallet_id, topup_id = paid
    wallets.topups.pay_back(*paid, 1_000, idempotency_key="back", limit=LIMIT)
    [clawback] = wallets.topups.show(topup_id).clawbacks
    failed = Clawback(clawback.id, "pay_back", 1_000, "reinstated")
    wallets.topups.settle(wallet_id, topup_id, PaymentFact(observed_at=2, clawbacks=(failed,)))
    wallets.topups.pay_back(*paid, 1_000, idempotency_key="another", limit=LIMIT)
    assert wallets.topups.pay_back_room().paid_back_yen == 1_000
    assert wallets.verify() == []


def test_a_limit_of_another_period_is_refused(wallets: CreditWallet, clock: Clock, paid: tuple[int, str]) -> None:
    clock.set(clock().replace(month=10))
    with pytest.raises(PayBackNotAllowed, match="a new period"):
        wallets.topups.pay_back(*paid, 1, idempotency_key="back", limit=LIMIT)
    assert wallets.balance(paid[0]) == 10_000


def test_what_was_paid_back_before_entries_named_their_cause_counts(
    wallets: CreditWallet, db_url: str, clock: Clock, paid: tuple[int, str]
) -> None:
    wallet_id, topup_id = paid
    wallets.topups.pay_back(wallet_id, topup_id, 300, idempotency_key="before", limit=LIMIT)
    wallets.close()
    assert database_at(db_url).rollback(294)[-1] == "294_credit_causes.sql"
    with CreditWallet.open(db_url, clock=clock) as later:
        assert later.topups.pay_back_room().paid_back_yen == 300
        assert later.topups.pay_back_limit().limit_yen == -300
        later.topups.pay_back(wallet_id, topup_id, 200, idempotency_key="after", limit=LIMIT)
        assert later.topups.pay_back_room().paid_back_yen == 500
        assert later.topups.pay_back_limit().limit_yen == -300
        assert later.verify() == []


def test_an_operators_words_pay_nothing_back(wallets: CreditWallet) -> None:
    """The note of a reversal is whatever its caller writes; what counts is the cause."""
    wallet_id = wallets.create().wallet_id
    txn_id = wallets.topup(wallet_id, 500, idempotency_key="by hand").txn_id
    assert txn_id is not None
    wallets.reverse(txn_id, 200, idempotency_key="reverse", note="paid back of top-up tu_1")
    assert wallets.topups.pay_back_room().paid_back_yen == 0
    assert wallets.verify() == []


def test_entries_name_their_cause(wallets: CreditWallet, db_url: str, paid: tuple[int, str]) -> None:
    wallet_id, topup_id = paid
    wallets.topups.pay_back(*paid, 100, idempotency_key="back", limit=LIMIT)
    [pay_back] = wallets.topups.show(topup_id).clawbacks
    for observed_at, clawback in enumerate(
        (
            Clawback(pay_back.id, "pay_back", 100, "reinstated"),
            Clawback("dp_1", "dispute", 9_950, "withdrawn"),
            Clawback("dp_1", "dispute", 9_950, "reinstated"),
            Clawback("dp_2", "dispute", 10_000, "withdrawn"),
        ),
        start=2,
    ):
        wallets.topups.settle(wallet_id, topup_id, PaymentFact(observed_at=observed_at, clawbacks=(clawback,)))
        if observed_at == 4:
            wallets.charge(wallet_id, 10, idempotency_key="spent")
    wallets.topup(wallet_id, 30, idempotency_key="by hand")
    with PlainSql(db_url) as host:
        causes = [cause for (cause,) in host.run("SELECT cause FROM am_credit_transaction_log ORDER BY txn_id")]
    assert causes == [
        "payment",
        "pay_back",
        "pay_back_failed",
        "clawback",
        "reinstatement",
        None,
        "clawback",
        "grant",
        "debt_repayment",
    ]
    assert wallets.verify() == []
