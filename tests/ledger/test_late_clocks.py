"""At the end of a window one node's clock is late: what it holds has to fit in the window that has begun."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from clock import Clock
from databases import on_every_database

from credit_wallet import CreditWallet
from credit_wallet.errors import BudgetExhausted, CallLimitReached, KeyCapExhausted, RailBusy, WalletError

pytestmark = on_every_database

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
LATE = timedelta(seconds=10)


class Nodes(NamedTuple):
    """Two nodes with a wallet of ¥1,000 and its agent key."""

    on_time: CreditWallet
    late: CreditWallet
    late_clock: Clock
    wallet_id: int
    key_id: int


@pytest.fixture
def clock() -> Clock:
    return Clock(JUNE)


@pytest.fixture
def nodes(wallets: CreditWallet, db_url: str) -> Iterator[Nodes]:
    late_clock = Clock(JUNE - LATE)
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="start")
    key_id = wallets.keys.create(wallet_id).key_id
    with CreditWallet.open(db_url, clock=late_clock) as late:
        yield Nodes(wallets, late, late_clock, wallet_id, key_id)
    assert wallets.verify() == []


def monthly(nodes: Nodes) -> dict[str, Any]:
    nodes.on_time.configure(nodes.wallet_id, monthly_budget_yen=100, budget_mode="cap")
    return {}


def of_key(nodes: Nodes) -> dict[str, Any]:
    nodes.on_time.keys.configure(nodes.key_id, monthly_cap_yen=100)
    return {"key_id": nodes.key_id}


def by(window: str, **limits: Any) -> Callable[[Nodes], dict[str, Any]]:
    def make(nodes: Nodes) -> dict[str, Any]:
        nodes.on_time.budgets.create(nodes.wallet_id, window=window, scope={"run": "*"}, **limits)
        return {"facts": {"run": "r1"}}

    return make


Cap = Callable[[Nodes], dict[str, Any]]
YEN = {"limit_yen": 100}
CAPS: list[Any] = [
    pytest.param(monthly, BudgetExhausted, id="monthly"),
    pytest.param(of_key, KeyCapExhausted, id="key"),
    *(pytest.param(by(window, **YEN), BudgetExhausted, id=window) for window in ("minute", "hour", "day", "month")),
    pytest.param(by("day", limit_calls=1), CallLimitReached, id="calls"),
]
each_cap = pytest.mark.parametrize(("cap", "refusal"), CAPS)


@each_cap
@pytest.mark.parametrize("goes_on", [False, True], ids=["at once", "after a charge of its own"])
def test_a_late_hold_has_to_fit_in_the_window_that_has_begun(
    nodes: Nodes, cap: Cap, refusal: type[WalletError], goes_on: bool
) -> None:
    payer = cap(nodes)
    nodes.on_time.charge(nodes.wallet_id, 90, idempotency_key="of the new window", **payer)
    if goes_on and refusal is not CallLimitReached:
        nodes.late.charge(nodes.wallet_id, 50, idempotency_key="of the old window", **payer)
    with pytest.raises(RailBusy, match="clock"):
        nodes.late.hold(nodes.wallet_id, 11, idempotency_key="hold", **payer)
    nodes.late_clock.advance(seconds=LATE.total_seconds())
    with pytest.raises(refusal):
        nodes.late.hold(nodes.wallet_id, 11, idempotency_key="hold", **payer)


@each_cap
def test_what_fits_in_both_windows_is_held_in_both(nodes: Nodes, cap: Cap, refusal: type[WalletError]) -> None:
    payer = cap(nodes)
    first = nodes.late.hold(nodes.wallet_id, 10, idempotency_key="fits", **payer)
    with pytest.raises(refusal):
        nodes.on_time.charge(nodes.wallet_id, 91, idempotency_key="too much", **payer)
    if refusal is CallLimitReached:
        return
    nodes.on_time.charge(nodes.wallet_id, 50, idempotency_key="charge", **payer)
    nodes.late.hold(nodes.wallet_id, 40, idempotency_key="fits as well", **payer)
    with pytest.raises(refusal):
        nodes.on_time.charge(nodes.wallet_id, 1, idempotency_key="one more", **payer)
    assert first.hold_id is not None
    nodes.late.capture(first.hold_id, 10)
    nodes.on_time.charge(nodes.wallet_id, 10, idempotency_key="what the capture has freed", **payer)


@each_cap
def test_a_hold_that_ends_before_the_window_is_held_but_not_extended_into_it(
    nodes: Nodes, cap: Cap, refusal: type[WalletError]
) -> None:
    payer = cap(nodes)
    nodes.on_time.charge(nodes.wallet_id, 90, idempotency_key="of the new window", **payer)
    held = nodes.late.hold(nodes.wallet_id, 11, idempotency_key="hold", ttl_seconds=5, **payer)
    assert held.hold_id is not None
    extended = nodes.late.extend(held.hold_id, ttl_seconds=60)
    assert extended.expires_at == "2026-06-01T00:00:00.000Z"
    if refusal is not CallLimitReached:
        nodes.on_time.charge(nodes.wallet_id, 10, idempotency_key="the hold is over", **payer)


@each_cap
def test_a_hold_of_the_new_window_is_not_captured_in_the_old_one_that_is_full(
    nodes: Nodes, cap: Cap, refusal: type[WalletError]
) -> None:
    del refusal
    payer = cap(nodes)
    nodes.late.charge(nodes.wallet_id, 90, idempotency_key="of the old window", **payer)
    held = nodes.on_time.hold(nodes.wallet_id, 11, idempotency_key="hold", **payer)
    assert held.hold_id is not None
    with pytest.raises(RailBusy, match="clock"):
        nodes.late.capture(held.hold_id, 11, idempotency_key="capture")
    nodes.late_clock.advance(seconds=LATE.total_seconds())
    assert nodes.late.capture(held.hold_id, 11, idempotency_key="capture").amount_yen == 11


def test_a_shadow_does_not_reserve_what_a_cap_would_have_refused(nodes: Nodes) -> None:
    shadow = nodes.on_time.budgets.create(nodes.wallet_id, limit_yen=100, window="day", mode="shadow")
    nodes.on_time.charge(nodes.wallet_id, 90, idempotency_key="of the new window")
    nodes.late.hold(nodes.wallet_id, 11, idempotency_key="hold")
    shown = nodes.late.budgets.show(shadow.budget_id)
    assert (shown.held, shown.refused) == (Decimal(0), Decimal(11))


def test_a_rolling_window_contains_what_later_clocks_have_spent(nodes: Nodes) -> None:
    nodes.on_time.budgets.create(nodes.wallet_id, limit_yen=100, window="rolling:1h")
    nodes.on_time.charge(nodes.wallet_id, 90, idempotency_key="later")
    with pytest.raises(BudgetExhausted):
        nodes.late.hold(nodes.wallet_id, 11, idempotency_key="hold")
    with pytest.raises(BudgetExhausted):
        nodes.late.charge(nodes.wallet_id, 11, idempotency_key="charge")


def test_a_rolling_window_of_a_late_capture_has_room_for_it(nodes: Nodes, clock: Clock) -> None:
    nodes.on_time.budgets.create(nodes.wallet_id, limit_yen=100, window="rolling:1h")
    nodes.late.charge(nodes.wallet_id, 90, idempotency_key="leaves the window first by the other clock")
    clock.advance(hours=1, seconds=-5)
    held = nodes.on_time.hold(nodes.wallet_id, 100, idempotency_key="hold")
    nodes.late_clock.advance(hours=1, seconds=-5)
    assert held.hold_id is not None
    with pytest.raises(RailBusy, match="clock"):
        nodes.late.capture(held.hold_id, 100, idempotency_key="capture")


def test_a_late_charge_is_decided_by_its_own_window_alone(nodes: Nodes) -> None:
    payer = monthly(nodes) | by("day", **YEN)(nodes)
    nodes.on_time.charge(nodes.wallet_id, 100, idempotency_key="of the new window", **payer)
    nodes.late.charge(nodes.wallet_id, 100, idempotency_key="of the old window", **payer)


def test_what_a_clock_spent_that_was_a_month_ahead_does_not_stop_holds_of_today(nodes: Nodes, clock: Clock) -> None:
    payer = monthly(nodes) | by("month", **YEN)(nodes)
    clock.advance(days=31)
    nodes.on_time.charge(nodes.wallet_id, 100, idempotency_key="of July", **payer)
    clock.advance(days=-31)
    nodes.late.hold(nodes.wallet_id, 40, idempotency_key="hold of May", **payer)
    nodes.on_time.hold(nodes.wallet_id, 40, idempotency_key="hold of June", **payer)
