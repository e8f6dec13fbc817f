"""What is read is exact: whole yen and the micros beyond them become one amount again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal

import pytest
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.actors import PAYER
from credit_wallet.errors import DatabaseCorrupt
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.reads import Reader

pytestmark = on_every_database

PRICES = """
[[price]]
item = "search"
unit_price_yen = "3.30"
"""

LATER = "9999-12-31T00:00:00.000Z"
EVER = "0001-01-01T00:00:00.000Z"


@pytest.fixture
def reader(wallets: CreditWallet, db_url: str) -> Iterator[Reader]:
    """Apart from the rail, on a ledger that is there."""
    assert wallets.list() == []
    with closing(Reader(database_at(db_url).open_source())) as reader:
        yield reader


def test_a_wallet_shows_balance_holds_and_spending_to_the_micro(wallets: CreditWallet) -> None:
    """Whole yen are those of each figure, though the columns share what is beyond them."""
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 10, idempotency_key="topup")
    wallets.hold(wallet_id, "0.7", idempotency_key="hold")
    wallets.charge(wallet_id, "0.000001", idempotency_key="charge")
    wallet = wallets.show(wallet_id)
    assert (wallet.balance, wallet.balance_yen) == (Decimal("9.299999"), 9)
    assert (wallet.held, wallet.held_yen) == (Decimal("0.7"), 0)
    assert (wallet.current_cycle_spent, wallet.current_cycle_spent_yen) == (Decimal("0.000001"), 0)
    totals = wallets.maintenance.totals()
    assert (totals.balance, totals.held, totals.debt) == (Decimal("9.299999"), Decimal("0.7"), Decimal(0))


def test_a_debt_is_shown_rounded_up(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    paid = wallets.topup(wallet_id, 3, idempotency_key="topup").txn_id
    wallets.charge(wallet_id, "2.8", idempotency_key="charge")
    wallets.reverse(paid, "0.5", idempotency_key="reverse")
    wallet = wallets.show(wallet_id)
    assert (wallet.debt, wallet.debt_yen, wallet.balance) == (Decimal("0.3"), 1, Decimal(0))
    assert wallets.maintenance.totals().debt == Decimal("0.3")


def test_a_key_keeps_what_it_spent_below_the_yen_over_months(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create().wallet_id
    key_id = wallets.keys.create(wallet_id).key_id
    wallets.topup(wallet_id, 10, idempotency_key="topup")
    wallets.charge(wallet_id, "1.25", idempotency_key="charge", key_id=key_id)
    wallets.hold(wallet_id, "0.75", idempotency_key="hold", key_id=key_id)
    key = wallets.keys.show(key_id)
    assert (key.current_cycle_spent, key.held, key.held_yen) == (Decimal("1.25"), Decimal("0.75"), 0)
    clock.advance(days=31)
    assert wallets.keys.show(key_id).current_cycle_spent == 0
    wallets.charge(wallet_id, "0.1", idempotency_key="next month", key_id=key_id)
    assert [key.current_cycle_spent for key in wallets.keys.list(wallet_id)] == [Decimal("0.1")]
    clock.advance(days=-31)
    assert wallets.keys.show(key_id).current_cycle_spent == Decimal("1.25")
    assert wallets.show(wallet_id).current_cycle_spent == Decimal("1.25")


def test_a_hold_and_lots_are_shown_to_the_micro(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, "2.5", idempotency_key="topup")
    hold_id = wallets.hold(wallet_id, "1.75", idempotency_key="hold").hold_id
    wallets.capture(hold_id, "0.25", idempotency_key="capture", final=False)
    hold = wallets.holds.show(hold_id)
    assert (hold.amount, hold.amount_yen, hold.captured) == (Decimal("1.75"), 1, Decimal("0.25"))
    assert [lot.remaining for lot in wallets.lots.list(wallet_id)] == [Decimal("0.75")]


def test_an_entry_says_what_it_was_for_and_who_said_so(wallets: CreditWallet) -> None:
    wallets.prices.apply(PRICES)
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="topup")
    txn_id = wallets.charge(
        wallet_id,
        item="search",
        quantity="1.5",
        facts={"tool": "web", "model": "large"},
        agent_facts={"run": "1"},
        idempotency_key="search",
    ).txn_id
    wallets.refund(txn_id, "0.95", idempotency_key="refund")
    entry = wallets.transactions.show(txn_id)
    assert (entry.amount, entry.amount_yen, entry.ledger_balance) == (Decimal("-4.95"), -5, Decimal("95.05"))
    assert (entry.item, entry.quantity, entry.price_version) == ("search", Decimal("1.5"), 1)
    assert (entry.facts, entry.agent_facts) == ({"model": "large", "tool": "web"}, {"run": "1"})
    assert (entry.refunded, entry.refunded_yen) == (Decimal("0.95"), 0)
    wallets.charge(wallet_id, 1, facts={"run": "2"}, actor=PAYER, idempotency_key="whole")
    newest, refund, *_, topup = wallets.history(wallet_id)
    assert (newest.amount, newest.facts, newest.agent_facts, newest.item) == (Decimal(-1), {}, {"run": "2"}, None)
    assert (refund.amount, refund.ledger_balance) == (Decimal("0.95"), Decimal(96))
    assert (topup.amount, topup.facts, topup.quantity_micros) == (Decimal(100), {}, None)
    assert sum(entry.amount_yen for entry in wallets.history(wallet_id)) == wallets.balance(wallet_id)


def test_a_cycle_opens_with_what_the_ones_before_left_to_the_micro(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, "10.4", idempotency_key="topup")
    wallets.charge(wallet_id, "0.6", idempotency_key="May")
    clock.advance(days=31)
    paid = wallets.charge(wallet_id, "3.3", idempotency_key="June").txn_id
    clock.advance(days=31)
    wallets.refund(paid, "1.1", idempotency_key="July")
    walks = {month: wallets.cycles.walk(wallet_id, f"2026-0{month}") for month in (5, 6, 7, 8)}
    assert {month: walk.opening_micros for month, walk in walks.items()} == {
        5: 0,
        6: 9_800_000,
        7: 6_500_000,
        8: 7_600_000,
    }
    assert [entry.amount for entry in wallets.cycles.entries(wallet_id, "2026-06")] == [Decimal("-3.3")]


def test_a_refund_in_a_cycle_says_the_item_of_its_charge(wallets: CreditWallet, reader: Reader) -> None:
    wallets.prices.apply(PRICES)
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="topup")
    paid = wallets.charge(wallet_id, item="search", idempotency_key="charge", note="tea").txn_id
    refund = wallets.refund(paid, 1, idempotency_key="refund").txn_id
    [(*_, of_charge), (*_, of_refund)] = reader.stretch(wallet_id, refund, paid - 1, 10)[0]
    assert (of_charge, of_refund) == (None, "search")


def test_sums_over_the_ledger_are_exact_before_they_are_rounded_down(wallets: CreditWallet, reader: Reader) -> None:
    """Three times half a yen is one yen; what each adds to the whole yen of its balance would say another."""
    for number in range(3):
        wallet_id = wallets.create().wallet_id
        wallets.topup(wallet_id, "0.5", idempotency_key="topup")
        if number:
            wallets.charge(wallet_id, "0.1", idempotency_key="charge")
    assert reader.issued_yen(EVER, LATER) == 1
    assert reader.unused_yen(LATER) == 1
    assert reader.paid_back_yen(EVER) == 0


def test_a_detail_that_is_damaged_is_named(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = wallets.create().wallet_id
    txn_id = wallets.topup(wallet_id, "0.5", idempotency_key="topup").txn_id
    with PlainSql(db_url) as host:
        host.drop_trigger("am_credit_transaction_log_append_only_update")
        host.run("UPDATE am_credit_transaction_log SET detail = '[1]'")
    with pytest.raises(DatabaseCorrupt, match=f"detail of entry {txn_id} is damaged"):
        wallets.history(wallet_id)
    assert {violation.check for violation in wallets.verify()} >= {"details"}


@pytest.mark.parametrize(("spent", "is_due"), [("0.000001", True), (1, True), (None, False)])
def test_a_topup_is_due_a_micro_below_the_threshold(
    wallets: CreditWallet, db_url: str, spent: str | int | None, is_due: bool
) -> None:
    """The seed's view compares whole yen: those of a balance are below a threshold when the balance is."""
    wallet_id = wallets.create(auto_topup_threshold=10, auto_topup_amount=50).wallet_id
    wallets.topup(wallet_id, 10, idempotency_key="topup")
    if spent is not None:
        wallets.charge(wallet_id, spent, idempotency_key="charge")
    with PlainSql(db_url) as host:
        due = host.run("SELECT wallet_id, balance_yen FROM v_credit_wallet_topup_due")
    assert due == ([(wallet_id, 9)] if is_due else [])
