"""Corrections of a balance: what an operator may add or take, and what stands in the ledger and the log afterwards.

Who would get it wrong: a retry that corrects twice, a correction that overdraws unasked, one that counts as spending or
as credit that was issued, a top-up of a payment that is taken back by hand and clawed back as well.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from databases import on_both_databases

from credit_wallet import CreditWallet
from credit_wallet.domain.acts import Author
from credit_wallet.domain.corrections import CORRECTION_REASONS
from credit_wallet.domain.topups import PaymentFact
from credit_wallet.errors import (
    EntryNotFound,
    IdempotencyConflict,
    InsufficientFunds,
    InvalidRequest,
    RefundExceedsCharge,
    WalletError,
)
from credit_wallet.reports.statement import to_csv, to_text

pytestmark = on_both_databases

WHY: dict[str, Any] = {"reason": "mistyped_topup", "note": "¥110 instead of ¥100"}


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    """¥100 paid, and a gift of ¥10."""
    wallet_id = wallets.create(monthly_budget_yen=100, budget_mode="cap").wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="paid")
    wallets.topup(wallet_id, 10, idempotency_key="gift", promo=True)
    return wallet_id


def lots(wallets: CreditWallet, wallet_id: int) -> list[tuple[str, str]]:
    return [(lot.kind, str(lot.remaining)) for lot in wallets.lots.list(wallet_id)]


def test_it_says_why_and_is_no_spending(wallets: CreditWallet, wallet_id: int) -> None:
    taken = wallets.adjust(wallet_id, "-10.5", **WHY, idempotency_key="k")
    assert (taken.amount, taken.balance, taken.replayed) == (Decimal("-10.5"), Decimal("99.5"), False)
    given = wallets.adjust(wallet_id, 5, reason="goodwill", note="sorry", idempotency_key="k2")
    assert lots(wallets, wallet_id) == [("promo", "5"), ("paid", "99.5")]
    assert [
        (entry.txn_id, entry.txn_type, entry.cause, entry.reason, entry.note, entry.amount)
        for entry in wallets.history(wallet_id, limit=2)
    ] == [
        (given.txn_id, "topup", "adjustment", "goodwill", "sorry", 5),
        (taken.txn_id, "reversal", "adjustment", "mistyped_topup", "¥110 instead of ¥100", Decimal("-10.5")),
    ]
    assert wallets.show(wallet_id).current_cycle_spent_yen == 0
    statement = wallets.statement(wallet_id)
    assert (str(statement.adjusted), statement.adjusted_yen) == ("-5.5", -6)
    assert (statement.topups_yen, statement.reversed_yen) == (110, 0)
    assert "Adjusted" in to_text(statement)
    assert "adjustment,goodwill" in to_csv(statement)
    assert wallets.verify() == []


def test_a_retry_by_another_operator_corrects_nothing_twice(wallets: CreditWallet, wallet_id: int) -> None:
    first = wallets.adjust(wallet_id, -10, **WHY, idempotency_key="k")
    again = wallets.acting(Author("operator", "operator:3")).adjust(wallet_id, "-10", **WHY, idempotency_key="k")
    assert (again.txn_id, again.amount_yen, again.replayed) == (first.txn_id, -10, True)
    with pytest.raises(IdempotencyConflict):
        wallets.adjust(wallet_id, -10, reason="fraud", note=WHY["note"], idempotency_key="k")
    assert wallets.balance(wallet_id) == 100


def test_nothing_is_overdrawn_unasked(wallets: CreditWallet, wallet_id: int) -> None:
    with pytest.raises(InsufficientFunds) as refused:
        wallets.adjust(wallet_id, -11, **WHY, kind="promo", idempotency_key="of the gift")
    assert refused.value.details["max_amount"] == "10"
    with pytest.raises(InsufficientFunds) as refused:
        wallets.adjust(wallet_id, "-110.5", **WHY, idempotency_key="k")
    assert (refused.value.missing, refused.value.balance) == (Decimal("0.5"), Decimal(110))
    owed = wallets.adjust(wallet_id, "-110.5", **WHY, idempotency_key="k", allow_debt=True)
    assert (owed.amount, wallets.balance(wallet_id).debt) == (Decimal(-110), Decimal("0.5"))
    nothing_left = wallets.adjust(wallet_id, -1, **WHY, idempotency_key="k2", allow_debt=True)
    assert (nothing_left.txn_id, nothing_left.amount_yen, wallets.balance(wallet_id).debt) == (None, 0, Decimal("1.5"))
    wallets.adjust(wallet_id, 2, reason="goodwill", note="sorry", idempotency_key="k3")
    assert (wallets.balance(wallet_id).balance, wallets.balance(wallet_id).debt_yen) == (Decimal("0.5"), 0)
    assert wallets.verify() == []


def test_one_kind_alone_can_be_taken(wallets: CreditWallet, wallet_id: int) -> None:
    wallets.adjust(wallet_id, -30, **WHY, kind="paid", idempotency_key="k")
    assert lots(wallets, wallet_id) == [("promo", "10"), ("paid", "70")]
    wallets.adjust(wallet_id, -10, **WHY, kind="promo", idempotency_key="k2")
    assert lots(wallets, wallet_id) == [("paid", "70")]
    assert wallets.verify() == []


def test_a_mistyped_topup_is_taken_back_as_far_as_it_is_unused(wallets: CreditWallet, wallet_id: int) -> None:
    mistyped = wallets.topup(wallet_id, 1_000, idempotency_key="1000 instead of 100").txn_id
    wallets.configure(wallet_id, monthly_budget_yen=0)
    wallets.charge(wallet_id, 310, idempotency_key="spends the rest and 200 of it")
    take_back: dict[str, Any] = {"note": "¥1,000 instead of ¥100"}
    with pytest.raises(InsufficientFunds) as refused:
        wallets.take_back(mistyped, **take_back, idempotency_key="all")
    assert refused.value.details["max_amount"] == "800"
    part = wallets.take_back(mistyped, 700, **take_back, idempotency_key="part")
    assert (part.amount_yen, part.balance_yen) == (-700, 100)
    rest = wallets.take_back(mistyped, **take_back, idempotency_key="all", allow_debt=True)
    assert (rest.amount_yen, rest.balance_yen, wallets.balance(wallet_id).debt_yen) == (-100, 0, 200)
    with pytest.raises(RefundExceedsCharge):
        wallets.take_back(mistyped, **take_back, idempotency_key="again")
    assert wallets.transactions.show(mistyped).refunded_yen == 1_000
    assert wallets.verify() == []


def test_credit_of_a_payment_is_not_taken_back_by_hand(wallets: CreditWallet, wallet_id: int) -> None:
    asked = wallets.topups.request(wallet_id, 500, idempotency_key="pays")
    paid = wallets.topups.settle(
        wallet_id, asked.topup_id, PaymentFact(observed_at=1, status="succeeded", received_yen=500)
    )
    charge = wallets.charge(wallet_id, 1, idempotency_key="charge")
    assert paid.txn_id is not None
    for txn_id in (paid.txn_id, charge.txn_id, 10**9):
        with pytest.raises(EntryNotFound):
            wallets.take_back(txn_id, note="no", idempotency_key=f"{txn_id}")
    gift = wallets.adjust(wallet_id, 5, reason="goodwill", note="sorry", idempotency_key="gift of 5").txn_id
    assert gift is not None
    with pytest.raises(EntryNotFound):
        wallets.take_back(gift, note="of another wallet", idempotency_key="k", wallet_id=wallets.create().wallet_id)
    assert wallets.take_back(gift, note="it was not their fault", idempotency_key="k").amount == -5


def test_what_was_never_paid_is_not_issued(wallets: CreditWallet, wallet_id: int) -> None:
    def issued() -> int:
        return wallets._ledger.reader.issued_yen("2000-01-01T00:00:00.000Z", "2100-01-01T00:00:00.000Z")

    assert issued() == 100
    wallets.adjust(wallet_id, 50, **WHY, idempotency_key="gift of 50")
    mistyped = wallets.topup(wallet_id, 1_000, idempotency_key="mistyped").txn_id
    received = wallets.adjust(wallet_id, 7, **WHY, idempotency_key="received", kind="paid")
    assert issued() == 1_107
    wallets.take_back(mistyped, note="mistyped", idempotency_key="k")
    assert issued() == 107
    assert lots(wallets, wallet_id)[-1] == ("paid", str(received.amount))


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"amount_yen": 0}, "amount_yen"),
        ({"amount_yen": "--5"}, "amount_yen"),
        ({"amount_yen": "-0"}, "amount_yen"),
        ({"amount_yen": -(10**12) - 1}, "amount_yen"),
        ({"reason": "because"}, "reason"),
        ({"reason": None}, "reason"),
        ({"note": " \n"}, "note"),
        ({"note": None}, "note"),
        ({"note": "x" * 501}, "note"),
        ({"kind": "gift"}, "kind"),
        ({"kind": "paid", "allow_debt": True}, "kind"),
        ({"expires_at": "2027-01-01"}, "expires_at"),
        ({"amount_yen": 5, "allow_debt": True}, "allow_debt"),
        ({"allow_debt": 1}, "allow_debt"),
        ({"amount_yen": 5, "expires_at": "2001-01-01"}, "expires_at"),
    ],
)
def test_what_is_malformed_is_named(wallets: CreditWallet, wallet_id: int, asked: dict[str, Any], field: str) -> None:
    with pytest.raises(WalletError) as refused:
        wallets.adjust(wallet_id, **{"amount_yen": -5, **WHY, "idempotency_key": "k", **asked})
    assert refused.value.details["field"] == field


def test_the_log_has_who_and_why(wallets: CreditWallet, wallet_id: int) -> None:
    mine = wallets.acting(Author("operator", "operator:3", address="192.0.2.1", note="by phone"))
    taken = mine.adjust(wallet_id, -120, **WHY, idempotency_key="k", allow_debt=True)
    mine.adjust(wallet_id, -120, **WHY, idempotency_key="k", allow_debt=True)
    with pytest.raises(InvalidRequest):
        mine.adjust(wallet_id, -1, reason="other", note="", idempotency_key="k2")
    [(author, subject, reason, note, after)] = wallets._ledger.ask(
        "SELECT author, subject, reason, note, after FROM am_credit_act WHERE kind = 'wallet.adjusted'"
    )
    assert (author, subject, reason, note) == ("operator:3", f"wallet:{wallet_id}", "mistyped_topup", WHY["note"])
    assert str(taken.txn_id) in str(after)
    assert "-110" in str(after)
    assert "mistyped_topup" in CORRECTION_REASONS
