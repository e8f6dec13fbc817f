"""Credit that moves to another wallet stays what it was, and counts as neither spent nor issued.

The kind: what moved credit could become. Where it could:

- on its way: a gift that becomes paid, an expiry that becomes later, a lapse that is skipped;
- yen that are not free to move: held, owed, or needed above the threshold of automatic top-ups;
- what counts it as something else: budgets, alerts, statements, the law's figures, forecasts, refunds, clawbacks.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from clock import Clock
from databases import on_every_database
from moved import LATE, SOON, fill_up, interrupted, kinds, two_wallets

from credit_wallet import CreditWallet
from credit_wallet.domain.commands import EndTransfer, TransferIn
from credit_wallet.domain.money import MAX_BALANCE_YEN, MICROS
from credit_wallet.domain.outcomes import TransferEnded, TransferredIn
from credit_wallet.domain.transfers import MAX_PARTS, TransferPart
from credit_wallet.errors import (
    InsufficientFunds,
    InvalidRequest,
    TransferNotAllowed,
    TransferNotFound,
    TransferReturned,
    WalletError,
)
from credit_wallet.reports.statement import to_csv, to_text

pytestmark = on_every_database


@pytest.fixture
def pair(wallets: CreditWallet) -> tuple[int, int]:
    return two_wallets(wallets)


# What it may not become


def test_what_lapses_on_its_way_is_gone_when_it_arrives_and_pays_no_debt(
    wallets: CreditWallet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, other = wallets.create().wallet_id, wallets.create().wallet_id
    wallets.topup(source, 80, idempotency_key="gift", promo=True, expires_at=SOON)
    wallets.topup(source, 20, idempotency_key="paid")
    paid = wallets.topup(other, 70, idempotency_key="paid")
    wallets.charge(other, 70, idempotency_key="spends")
    wallets.reverse(paid.txn_id, 70, idempotency_key="clawed back")
    interrupted(wallets, (source, other), 90, monkeypatch)
    clock.set(datetime(2026, 5, 21, tzinfo=UTC))
    assert wallets.maintenance.finish_transfers() == 1
    assert [(each.txn_type, each.cause, each.amount_yen) for each in wallets.history(other, limit=4)][::-1] == [
        ("topup", "transfer_in", 80),
        ("topup", "transfer_in", 10),
        ("expire", None, -80),
        ("reversal", "debt_repayment", -10),
    ]
    assert wallets.balance(other).debt_yen == 60
    assert wallets.verify() == []


def test_what_lapses_on_its_way_and_returns_lapses_at_once(
    wallets: CreditWallet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, other = wallets.create().wallet_id, wallets.create().wallet_id
    wallets.topup(source, 80, idempotency_key="gift", promo=True, expires_at=SOON)
    interrupted(wallets, (source, other), 80, monkeypatch)
    fill_up(wallets, other, 0)
    clock.set(datetime(2026, 5, 21, tzinfo=UTC))
    assert wallets.maintenance.finish_transfers() == 1
    assert wallets.balance(source) == 0
    assert wallets.verify() == []


def test_there_and_back_again_is_what_it_was(wallets: CreditWallet, pair: tuple[int, int]) -> None:
    before = kinds(wallets, pair[0])
    for number in range(3):
        wallets.transfers.create(*pair, 1_100, idempotency_key=f"there {number}")
        wallets.transfers.create(*pair[::-1], 1_100, idempotency_key=f"back {number}")
    assert kinds(wallets, pair[0]) == before
    assert wallets.verify() == []


def test_lots_of_one_kind_and_expiry_come_in_as_one(wallets: CreditWallet, pair: tuple[int, int]) -> None:
    for number in range(MAX_PARTS + 5):
        wallets.topup(pair[0], 1, idempotency_key=f"{number}")
    moved = wallets.transfers.create(*pair, 1_100 + MAX_PARTS + 5, idempotency_key="move")
    assert moved.balance == 0
    assert len(wallets.lots.list(pair[1])) == 2
    assert wallets.verify() == []


def test_a_transfer_of_more_kinds_than_it_may_have_says_how_much_may_move(wallets: CreditWallet) -> None:
    source, other = wallets.create().wallet_id, wallets.create().wallet_id
    for number in range(MAX_PARTS + 2):
        end = format(datetime(2026, 6, 1, tzinfo=UTC) + timedelta(hours=number), "%Y-%m-%dT%H:00:00Z")
        wallets.topup(source, 2, idempotency_key=f"{number}", expires_at=end)
    with pytest.raises(TransferNotAllowed) as refused:
        wallets.transfers.create(source, other, 2 * MAX_PARTS + 1, idempotency_key="move")
    assert refused.value.details["max_amount_yen"] == 2 * MAX_PARTS
    moved = wallets.transfers.create(source, other, 2 * MAX_PARTS, idempotency_key="move")
    assert (moved.balance_yen, moved.to_balance_yen) == (4, 2 * MAX_PARTS)
    assert wallets.verify() == []


# Yen that are not free to move


def test_neither_what_is_held_nor_what_is_not_there_moves(wallets: CreditWallet, pair: tuple[int, int]) -> None:
    wallets.hold(pair[0], 600, idempotency_key="held")
    with pytest.raises(InsufficientFunds) as refused:
        wallets.transfers.create(*pair, "500.000001", idempotency_key="move")
    assert (refused.value.details["balance_yen"], refused.value.details["missing_yen"]) == (500, 1)
    assert wallets.transfers.create(*pair, 500, idempotency_key="move").balance == 0


def test_a_wallet_that_owes_gives_nothing(wallets: CreditWallet, pair: tuple[int, int]) -> None:
    wallets.charge(pair[0], 1_100, idempotency_key="spends")
    wallets.reverse(wallets.history(pair[0])[-1].txn_id, 10, idempotency_key="clawed back")
    with pytest.raises(InsufficientFunds):
        wallets.transfers.create(*pair, 1, idempotency_key="move")


def test_a_transfer_causes_no_automatic_top_up(wallets: CreditWallet, pair: tuple[int, int]) -> None:
    """Else two wallets that fill each other would charge the card again and again."""
    for wallet_id in pair:
        wallets.configure(wallet_id, auto_topup_threshold=400, auto_topup_amount=1_000)
    with pytest.raises(TransferNotAllowed) as refused:
        wallets.transfers.create(*pair, "700.000001", idempotency_key="move")
    assert refused.value.details["max_amount_yen"] == 700
    assert pair[0] not in wallets.topups.due()
    wallets.transfers.create(*pair, 700, idempotency_key="move")
    assert wallets.topups.due() == []
    with pytest.raises(TransferNotAllowed) as refused:
        wallets.transfers.create(*pair, 1, idempotency_key="more")
    assert refused.value.details["max_amount_yen"] == 0
    wallets.configure(pair[0], auto_topup_threshold=0, auto_topup_amount=0)
    wallets.transfers.create(*pair, 400, idempotency_key="more")


# What it does not count as


def test_it_is_no_spending(wallets: CreditWallet, pair: tuple[int, int]) -> None:
    for wallet_id in pair:
        wallets.configure(wallet_id, monthly_budget_yen=100, budget_mode="cap", low_balance_yen=500)
    wallets.transfers.create(*pair, 1_000, idempotency_key="move")
    assert wallets.show(pair[0]).current_cycle_spent_yen == 0
    assert wallets.alerts.run().alerts_fired == []
    assert wallets.usage(pair[0]).rows == []
    assert wallets.forecast(pair[0]).spent_yen == 0
    assert wallets.charge(pair[0], 100, idempotency_key="spends").alerts


def test_a_statement_has_lines_of_its_own_for_it(
    wallets: CreditWallet, pair: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    wallets.transfers.create(*pair, 400, idempotency_key="there")
    wallets.transfers.create(*pair[::-1], "50.5", idempotency_key="back")
    interrupted(wallets, pair, 300, monkeypatch)
    fill_up(wallets, pair[1], 0)
    with pytest.raises(TransferReturned):
        wallets.transfers.create(*pair, 300, idempotency_key="move")
    statement = wallets.statement(pair[0])
    assert (statement.transferred_in, statement.transferred_out) == (Decimal("50.5"), Decimal(-400))
    assert (statement.topups_yen, statement.reversed_yen, statement.charges_yen) == (1_100, 0, 0)
    assert statement.closing == Decimal("750.5")
    lines = [line.split() for line in to_text(statement).splitlines() if line.startswith("  Transferred")]
    assert lines == [["Transferred", "in", "¥50.5"], ["Transferred", "out", "-¥400"]]
    assert "transfer_out" in to_csv(statement)


def test_the_laws_figures_know_of_no_transfer(
    wallets: CreditWallet, pair: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is neither issued nor used: what is on its way is as unused as what has stayed."""
    reader = wallets._ledger.reader
    start, end = "2026-05-01", "2026-06-01"
    before = reader.issued_yen(start, end), reader.unused_yen(end)
    assert before == (1_000, 1_100)
    wallets.transfers.create(*pair, "400.5", idempotency_key="arrives")
    interrupted(wallets, pair, 300, monkeypatch)
    assert (reader.issued_yen(start, end), reader.unused_yen(end)) == before
    fill_up(wallets, pair[1], 0)
    filled = MAX_BALANCE_YEN - 401
    with pytest.raises(TransferReturned):
        wallets.transfers.create(*pair, 300, idempotency_key="move")
    issued_yen, unused_yen = reader.issued_yen(start, end), reader.unused_yen(end)
    assert (issued_yen - before[0], unused_yen - before[1]) == (filled, filled)


def test_what_is_clawed_back_after_it_moved_is_a_debt_of_the_wallet_that_it_was_paid_into(
    wallets: CreditWallet, pair: tuple[int, int]
) -> None:
    paid = wallets.history(pair[0])[-1].txn_id
    wallets.transfers.create(*pair, 1_100, idempotency_key="move")
    wallets.reverse(paid, 1_000, idempotency_key="clawed back")
    assert wallets.balance(pair[0]).debt_yen == 1_000
    assert wallets.balance(pair[1]) == 1_100
    back = wallets.transfers.create(*pair[::-1], 1_050, idempotency_key="back")
    assert (back.to_balance_yen, wallets.balance(pair[0]).debt_yen) == (50, 0)
    assert wallets.verify() == []


def test_a_charge_of_moved_credit_is_refunded_to_where_it_moved(wallets: CreditWallet, pair: tuple[int, int]) -> None:
    wallets.transfers.create(*pair, 500, idempotency_key="move")
    charge = wallets.charge(pair[1], 150, idempotency_key="spends")
    wallets.refund(charge.txn_id, idempotency_key="back")
    assert kinds(wallets, pair[1]) == [("promo", "100", LATE), ("paid", "400", None)]
    assert wallets.verify() == []


def test_credit_that_no_wallet_gave_up_is_found(wallets: CreditWallet, pair: tuple[int, int]) -> None:
    parts = (TransferPart(0, "paid", None, 5 * MICROS),)
    wallets._ledger.run(TransferredIn, TransferIn(pair[1], "tr_1_0123456789abcdef01234567", pair[0], parts))
    assert {violation.check for violation in wallets.verify()} == {"transfers", "transfer_lots"}


def test_ids_that_are_none_are_refused(wallets: CreditWallet, pair: tuple[int, int]) -> None:
    with pytest.raises(TransferNotFound):
        wallets.transfers.show("tr_x")
    with pytest.raises(InvalidRequest):
        wallets._ledger.run(TransferEnded, EndTransfer(pair[0], "tr_x"))
    with pytest.raises(TransferNotFound):
        wallets._ledger.run(TransferEnded, EndTransfer(pair[0], "tr_1_0123456789abcdef01234567"))
    wrong: list[tuple[str, dict[str, Any]]] = [
        ("amount_yen", {"amount_yen": 0}),
        ("to_wallet_id", {"to_wallet_id": 0}),
        ("note", {"note": "\0"}),
    ]
    for field, given in wrong:
        asked: dict[str, Any] = {"wallet_id": pair[0], "to_wallet_id": pair[1], "amount_yen": 1, "idempotency_key": "k"}
        with pytest.raises(WalletError) as refused:
            wallets.transfers.create(**{**asked, **given})
        assert refused.value.details["field"] == field
