"""The owner's own limits on automatic top-ups, beside the operator's: the stricter counts, and the refusal names it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from clock import Clock
from databases import on_both_databases

from credit_wallet import CreditWallet
from credit_wallet.domain.commands import RequestAutoTopup
from credit_wallet.domain.topups import AutoToppedUp, PaymentFact
from credit_wallet.errors import TopupLimitReached
from credit_wallet.rules.state import WalletState
from credit_wallet.rules.topup_limits import room_of

BEFORE = AutoToppedUp(today_yen=100, month_yen=500, own_today_yen=200, own_month_yen=700)

ROOMS: list[tuple[str, dict[str, int], dict[str, int], tuple[int, str, str]]] = [
    ("nobody's, but for one payment", {}, {}, (10_000, "payment", "operator")),
    ("the operator's day", {"daily_yen": 300}, {"daily": 500}, (200, "day", "operator")),
    ("the owner's day, by the wallet's clocks", {"daily_yen": 400}, {"daily": 450}, (250, "day", "owner")),
    ("the operator's month", {"monthly_yen": 600}, {"monthly": 900, "daily": 9_000}, (100, "month", "operator")),
    ("the owner's month", {"monthly_yen": 900}, {"monthly": 750}, (50, "month", "owner")),
    ("the operator's of equal ones", {"daily_yen": 200}, {"daily": 300}, (100, "day", "operator")),
    ("one that was lowered below what it has brought", {}, {"daily": 150}, (0, "day", "owner")),
]


@pytest.mark.parametrize(("name", "operators", "owners", "room"), ROOMS, ids=[each[0] for each in ROOMS])
def test_the_strictest_limit_counts(
    name: str, operators: dict[str, Any], owners: dict[str, int], room: tuple[int, str, str]
) -> None:
    wallet = WalletState(
        1, 0, 0, 0, [], "", 0, 0, 0, None, False, True, None, 0, "alert", 1_000, 100, "UTC",
        auto_topup_daily_yen=owners.get("daily", 0), auto_topup_monthly_yen=owners.get("monthly", 0),
    )  # fmt: skip
    command = RequestAutoTopup(1, "key", 50, 10_000, **operators)
    assert room_of(wallet, command, BEFORE) == room, name


def request(wallets: CreditWallet, wallet_id: int, key: str, **limits: int) -> str:
    asked: dict[str, Any] = {"min_yen": 50, "max_yen": 100_000, **limits}
    outcome = wallets.topups.request_automatic(wallet_id, idempotency_key=key, **asked)
    paid = PaymentFact(observed_at=2, status="succeeded", received_yen=outcome.amount_yen)
    wallets.topups.settle(wallet_id, outcome.topup_id, paid)
    return outcome.topup_id


@pytest.fixture
def payer(wallets: CreditWallet) -> int:
    """A wallet in Tokyo with ¥0 and a saved card, which tops up to ¥1,000 in steps of ¥1,000."""
    wallet_id = wallets.create(time_zone="Asia/Tokyo", auto_topup_threshold=1_000, auto_topup_amount=1_000).wallet_id
    topup_id = str(wallets.topups.request(wallet_id, 1_000, idempotency_key="first").topup_id)
    card = PaymentFact(observed_at=1, status="succeeded", received_yen=1_000, customer="cus_1", payment_method="pm_1")
    wallets.topups.settle(wallet_id, topup_id, card)
    spend(wallets, wallet_id, "first")
    return wallet_id


def spend(wallets: CreditWallet, wallet_id: int, key: str) -> None:
    wallets.charge(wallet_id, int(wallets.balance(wallet_id)), idempotency_key=f"spend {key}")


@on_both_databases
def test_an_owners_daily_limit_stops_automatic_top_ups_until_the_wallets_day_ends(
    wallets: CreditWallet, payer: int, clock: Clock
) -> None:
    clock.set(datetime(2026, 5, 15, 14, tzinfo=UTC))  # 23:00 in Tokyo
    wallets.configure(payer, auto_topup_daily_yen=2_500)
    for key in ("one", "two"):
        request(wallets, payer, key)
        spend(wallets, payer, key)
    for _ in range(2):
        with pytest.raises(TopupLimitReached, match="that the owner has set") as refused:
            request(wallets, payer, "three", daily_yen=50_000)
    details = refused.value.details
    assert (details["left_yen"], details["limit_per"], details["set_by"]) == (500, "day", "owner")
    events = wallets._ledger.ask("SELECT payload FROM am_credit_outbox WHERE kind = 'auto_topup.limit_reached'")
    assert len(events) == 1
    assert '"limit_per":"day","set_by":"owner"' in events[0][0]
    clock.advance(minutes=60)  # midnight in Tokyo, the afternoon in UTC
    request(wallets, payer, "three", daily_yen=50_000)
    assert wallets.balance(payer) == 1_000


@on_both_databases
def test_an_owners_monthly_limit_is_of_the_wallets_month(wallets: CreditWallet, payer: int, clock: Clock) -> None:
    clock.set(datetime(2026, 5, 31, 14, tzinfo=UTC))
    wallets.configure(payer, auto_topup_monthly_yen=1_000)
    request(wallets, payer, "may")
    spend(wallets, payer, "may")
    with pytest.raises(TopupLimitReached) as refused:
        request(wallets, payer, "more", monthly_yen=1_500)
    assert (refused.value.details["limit_per"], refused.value.details["set_by"]) == ("month", "owner")
    clock.advance(hours=1)
    with pytest.raises(TopupLimitReached) as refused:
        request(wallets, payer, "june", monthly_yen=1_500)  # in UTC it is still May
    assert (refused.value.details["limit_per"], refused.value.details["set_by"]) == ("month", "operator")
    request(wallets, payer, "june")


def test_failed_payments_do_not_count_against_it(wallets: CreditWallet, payer: int, clock: Clock) -> None:
    wallets.configure(payer, auto_topup_daily_yen=1_000)
    asked = wallets.topups.request_automatic(payer, idempotency_key="one", min_yen=50, max_yen=10_000)
    wallets.topups.settle(payer, asked.topup_id, PaymentFact(observed_at=2, status="failed", decline="soon"))
    clock.advance(hours=2)
    request(wallets, payer, "again")
    assert wallets.balance(payer) == 1_000
