"""Time: billing cycles in their time zones, clocks that jump, and what expires."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from clock import Clock
from databases import on_every_database_at_length

from credit_wallet import CreditWallet
from credit_wallet.domain.outcomes import Alert
from credit_wallet.errors import (
    BudgetExhausted,
    HoldClosed,
    InsufficientFunds,
    InvalidRequest,
    KeyCapExhausted,
    Unauthorized,
)

pytestmark = on_every_database_at_length

MILLISECOND = timedelta(milliseconds=1)


def moment(text: str) -> datetime:
    """An ISO 8601 time in UTC."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def funded(wallets: CreditWallet, amount_yen: int = 1_000, *, monthly_budget_yen: int = 0, cap: bool = False) -> int:
    wallet_id = wallets.create(monthly_budget_yen=monthly_budget_yen, budget_mode="cap" if cap else "alert").wallet_id
    wallets.topup(wallet_id, amount_yen, idempotency_key="start")
    return wallet_id


def movements(wallets: CreditWallet, wallet_id: int) -> list[tuple[str, int]]:
    """The wallet's ledger, oldest entry first."""
    return [(entry.txn_type, entry.amount_yen) for entry in reversed(wallets.history(wallet_id))]


def hold(wallets: CreditWallet, wallet_id: int, amount_yen: int, *, ttl_seconds: int = 60) -> int:
    hold_id = wallets.hold(wallet_id, amount_yen, idempotency_key="hold", ttl_seconds=ttl_seconds).hold_id
    assert hold_id is not None
    return hold_id


def charge(wallets: CreditWallet, wallet_id: int, amount_yen: int, key: str = "charge") -> int:
    txn_id = wallets.charge(wallet_id, amount_yen, idempotency_key=key).txn_id
    assert txn_id is not None
    return txn_id


# Billing cycles


@pytest.mark.parametrize(
    ("time_zone", "begins", "before", "cycle"),
    [
        ("UTC", "2026-06-01T00:00", "2026-05", "2026-06"),
        ("UTC", "2027-01-01T00:00", "2026-12", "2027-01"),
        ("UTC", "2027-03-01T00:00", "2027-02", "2027-03"),
        ("UTC", "2028-03-01T00:00", "2028-02", "2028-03"),
        ("Asia/Tokyo", "2026-05-31T15:00", "2026-05", "2026-06"),
        ("Asia/Tokyo", "2028-02-29T15:00", "2028-02", "2028-03"),
        ("Asia/Kathmandu", "2026-05-31T18:15", "2026-05", "2026-06"),
        ("Pacific/Kiritimati", "2026-12-31T10:00", "2026-12", "2027-01"),
        ("Pacific/Pago_Pago", "2027-01-01T11:00", "2026-12", "2027-01"),
        ("America/New_York", "2026-03-01T05:00", "2026-02", "2026-03"),
        ("America/New_York", "2026-04-01T04:00", "2026-03", "2026-04"),
        ("America/New_York", "2026-11-01T04:00", "2026-10", "2026-11"),
        ("America/New_York", "2026-12-01T05:00", "2026-11", "2026-12"),
    ],
)
def test_a_cycle_begins_with_the_month_in_the_wallets_time_zone(
    wallets: CreditWallet, clock: Clock, time_zone: str, begins: str, before: str, cycle: str
) -> None:
    clock.set(moment(begins) - MILLISECOND)
    wallet_id = wallets.create(time_zone=time_zone).wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="start")
    last = charge(wallets, wallet_id, 3, "last")
    view = wallets.show(wallet_id)
    assert (view.current_cycle, view.current_cycle_spent_yen) == (before, 3)
    clock.advance(milliseconds=1)
    view = wallets.show(wallet_id)
    assert (view.current_cycle, view.current_cycle_spent_yen) == (cycle, 0)
    first = charge(wallets, wallet_id, 5, "first")
    assert wallets.show(wallet_id).current_cycle_spent_yen == 5
    assert [entry.txn_id for entry in wallets.cycles.entries(wallet_id, before)][1:] == [last]
    assert [entry.txn_id for entry in wallets.cycles.entries(wallet_id, cycle)] == [first]
    assert wallets.verify() == []


@pytest.mark.parametrize("cycle", ["1000-01", "1000-02", "9998-12"])
@pytest.mark.parametrize("time_zone", ["UTC", "Asia/Tokyo", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_the_first_and_the_last_cycle_that_there_is_can_be_asked_for(
    wallets: CreditWallet, time_zone: str, cycle: str
) -> None:
    """In Tokyo the year 1000 begins in 999 UTC, which is written with four digits as every other year is."""
    wallet_id = wallets.create(time_zone=time_zone).wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="start")
    assert wallets.cycles.entries(wallet_id, cycle) == []
    assert wallets.cycles.refunded_charges(wallet_id, cycle) == []
    assert wallets.cycles.opening_yen(wallet_id, cycle) == (100 if cycle == "9998-12" else 0)
    assert wallets.statement(wallet_id, cycle).closing_yen == (100 if cycle == "9998-12" else 0)
    assert wallets.alerts.run(cycle).alerts_fired == []


def test_the_leap_day_belongs_to_february(wallets: CreditWallet, clock: Clock) -> None:
    clock.set(moment("2028-02-28T23:59:59"))
    wallet_id = funded(wallets, monthly_budget_yen=100, cap=True)
    charge(wallets, wallet_id, 60, "on the 28th")
    clock.set(moment("2028-02-29T12:00"))
    with pytest.raises(BudgetExhausted, match="2028-02"):
        charge(wallets, wallet_id, 41, "on the 29th")
    assert charge(wallets, wallet_id, 40, "on the 29th, less")
    assert wallets.show(wallet_id).current_cycle_spent_yen == 100
    assert wallets.verify() == []


def test_the_hour_that_daylight_saving_repeats_is_counted_once(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create(time_zone="America/New_York", monthly_budget_yen=100, budget_mode="cap").wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="start")
    for number, instant in enumerate(("2026-11-01T05:30", "2026-11-01T06:30")):  # 01:30 in New York, twice
        clock.set(moment(instant))
        charge(wallets, wallet_id, 30, f"charge-{number}")
    assert wallets.show(wallet_id).current_cycle_spent_yen == 60
    assert [alert.threshold_pct for alert in wallets.alerts.list(wallet_id, "2026-11")] == [50]
    assert wallets.verify() == []


def test_a_budget_and_an_agent_keys_cap_start_afresh_with_the_cycle(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = funded(wallets, monthly_budget_yen=100, cap=True)
    key_id = wallets.keys.create(wallet_id, monthly_cap_yen=30).key_id
    for number, instant in enumerate(("2026-05-31T23:59:59.999", "2026-06-01T00:00", "2026-07-01T00:00")):
        clock.set(moment(instant))
        wallets.charge(wallet_id, 30, idempotency_key=f"agent-{number}", key_id=key_id)
        with pytest.raises(KeyCapExhausted):
            wallets.charge(wallet_id, 1, idempotency_key="agent-more", key_id=key_id)
        charge(wallets, wallet_id, 70, f"owner-{number}")
        with pytest.raises(BudgetExhausted):
            charge(wallets, wallet_id, 1, "owner-more")
        assert wallets.keys.list(wallet_id)[0].current_cycle_spent_yen == 30
    assert wallets.balance(wallet_id) == 700
    assert wallets.verify() == []


def test_a_retry_in_the_next_month_spends_in_neither(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = funded(wallets, monthly_budget_yen=100)
    clock.set(moment("2026-05-31T23:59:59"))
    first = wallets.charge(wallet_id, 60, idempotency_key="charge")
    clock.set(moment("2026-06-01T00:00:01"))
    again = wallets.charge(wallet_id, 60, idempotency_key="charge")
    assert again.replayed
    assert (again.txn_id, again.alerts, again.balance_yen) == (first.txn_id, first.alerts, 940)
    assert wallets.show(wallet_id).current_cycle_spent_yen == 0
    assert wallets.verify() == []


def test_a_hold_over_the_end_of_the_month_is_spending_of_the_month_it_is_captured_in(
    wallets: CreditWallet, clock: Clock
) -> None:
    wallet_id = funded(wallets, monthly_budget_yen=100, cap=True)
    clock.set(moment("2026-05-31T23:59:59"))
    hold_id = hold(wallets, wallet_id, 80)
    with pytest.raises(BudgetExhausted):
        charge(wallets, wallet_id, 21)
    clock.set(moment("2026-06-01T00:00:01"))
    with pytest.raises(BudgetExhausted):
        charge(wallets, wallet_id, 21)
    wallets.capture(hold_id, 50)
    assert wallets.show(wallet_id).current_cycle_spent_yen == 50
    assert [alert.billing_cycle for alert in wallets.alerts.list(wallet_id)] == ["2026-06"]
    assert charge(wallets, wallet_id, 50)
    assert wallets.cycles.entries(wallet_id, "2026-05")[1:] == []
    assert wallets.verify() == []


# Alerts and clocks that jump


def test_an_alert_fires_once_per_threshold_and_cycle_however_the_clock_jumps(
    wallets: CreditWallet, clock: Clock
) -> None:
    wallet_id = funded(wallets, monthly_budget_yen=100)
    may, june = moment("2026-05-31T23:59:59"), moment("2026-06-01T00:00:01")
    fired: list[Alert] = []
    for number, (now, amount_yen, expected) in enumerate(
        [
            (may, 49, []),
            (june, 50, [50]),
            (may, 1, [50]),
            (june, 29, []),
            (june, 1, [80]),
            (may, 100, [80, 100]),
            (june, 100, [100]),
            (may, 100, []),
            (june, 100, []),
        ]
    ):
        clock.set(now)
        outcome = wallets.charge(wallet_id, amount_yen, idempotency_key=f"charge-{number}")
        assert [alert.threshold_pct for alert in outcome.alerts] == expected
        fired += outcome.alerts
        assert wallets.alerts.run().alerts_fired == []
        assert wallets.verify() == []
    assert Counter((alert.billing_cycle, alert.threshold_pct) for alert in fired) == Counter(
        (cycle, pct) for cycle in ("2026-05", "2026-06") for pct in (50, 80, 100)
    )
    assert len(wallets.alerts.list(wallet_id)) == len(fired)
    assert wallets.show(wallet_id).current_cycle_spent_yen == 280


@pytest.mark.parametrize("time_zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_spending_is_counted_in_the_right_cycle_on_a_clock_gone_wild(
    wallets: CreditWallet, clock: Clock, time_zone: str
) -> None:
    """The clock jumps back and forth over the ends of months; a cap and an agent key's cap hold in every cycle."""
    random = Random(time_zone)
    wallet_id = wallets.create(time_zone=time_zone, monthly_budget_yen=100, budget_mode="cap").wallet_id
    wallets.topup(wallet_id, 100_000, idempotency_key="start")
    key_id = wallets.keys.create(wallet_id, monthly_cap_yen=60).key_id
    start = moment("2026-12-01T00:00")
    spent: Counter[str] = Counter()
    agent_spent: Counter[str] = Counter()
    for number in range(300):
        clock.set(start + timedelta(hours=number * 10 + random.randint(-300, 300)))
        cycle = wallets.show(wallet_id).current_cycle
        payer = random.choice([None, key_id])
        amount_yen = random.randint(1, 20)
        left_yen = 100 - spent[cycle] if payer is None else min(100 - spent[cycle], 60 - agent_spent[cycle])
        if amount_yen <= left_yen:
            wallets.charge(wallet_id, amount_yen, idempotency_key=f"charge-{number}", key_id=payer)
            spent[cycle] += amount_yen
            agent_spent[cycle] += amount_yen if payer else 0
        else:
            with pytest.raises((BudgetExhausted, KeyCapExhausted)):
                wallets.charge(wallet_id, amount_yen, idempotency_key=f"charge-{number}", key_id=payer)
        assert wallets.show(wallet_id).current_cycle_spent_yen == spent[cycle]
        assert wallets.keys.list(wallet_id)[0].current_cycle_spent_yen == agent_spent[cycle]
    assert len(spent) > 4
    for cycle, spent_yen in spent.items():
        entries = wallets.cycles.entries(wallet_id, cycle)
        assert -sum(entry.amount_yen for entry in entries if entry.txn_type == "charge") == spent_yen
    assert wallets.verify() == []


# Holds and agent keys that expire


def test_a_hold_can_be_captured_until_the_instant_it_expires(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = funded(wallets)
    hold_id = hold(wallets, wallet_id, 100, ttl_seconds=60)
    clock.advance(seconds=60, milliseconds=-1)
    assert wallets.balance(wallet_id) == 900
    assert wallets.capture(hold_id, 40).balance_yen == 960
    assert wallets.verify() == []


def test_a_hold_gives_its_yen_back_at_the_instant_it_expires(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = funded(wallets)
    hold_id = hold(wallets, wallet_id, 100, ttl_seconds=60)
    clock.advance(seconds=60)
    with pytest.raises(HoldClosed, match="expired"):
        wallets.capture(hold_id, 100)
    assert wallets.balance(wallet_id) == 1_000
    assert wallets.charge(wallet_id, 1_000, idempotency_key="all of it").balance_yen == 0
    assert wallets.holds.show(hold_id).status == "expired"
    assert wallets.verify() == []


def test_what_has_expired_stays_so_when_the_clock_goes_back(wallets: CreditWallet, clock: Clock) -> None:
    before = clock()
    wallet_id = funded(wallets)
    wallets.topup(wallet_id, 50, idempotency_key="promo", promo=True, expires_at="2026-05-15T13:00:00Z")
    hold_id = hold(wallets, wallet_id, 100, ttl_seconds=60)
    clock.advance(hours=2)
    assert wallets.maintenance.expire_due() == 1
    clock.set(before)
    with pytest.raises(HoldClosed):
        wallets.release(hold_id)
    assert wallets.balance(wallet_id) == 1_000
    assert wallets.maintenance.expire_due() == 0
    assert wallets.verify() == []


@pytest.mark.parametrize(
    ("minutes_between_looks", "balances_yen"),
    [((10, 10, 10), [952, 971, 1_000]), ((20, 10), [971, 1_000]), ((30,), [1_000])],
)
def test_holds_and_lots_expire_in_turn_however_seldom_somebody_looks(
    wallets: CreditWallet, clock: Clock, minutes_between_looks: tuple[int, ...], balances_yen: list[int]
) -> None:
    wallet_id = funded(wallets)
    for minutes in (10, 20, 30):
        wallets.hold(wallet_id, minutes, idempotency_key=f"hold-{minutes}", ttl_seconds=60 * minutes)
    for minutes in (10, 20, 30):
        wallets.topup(wallet_id, 1, idempotency_key=f"lot-{minutes}", expires_at=f"2026-05-15T12:{minutes}:00Z")
    found_yen = []
    for minutes in minutes_between_looks:
        clock.advance(minutes=minutes)
        assert wallets.maintenance.expire_due() == 1
        found_yen.append(wallets.balance(wallet_id))
    assert found_yen == balances_yen
    assert found_yen[-1].held_yen == 0
    assert wallets.maintenance.expire_due() == 0
    assert wallets.verify() == []


def test_an_agent_key_pays_until_the_instant_it_expires(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = funded(wallets)
    key = wallets.keys.create(wallet_id, expires_at="2026-05-15T12:01:00Z")
    clock.set(moment("2026-05-15T12:01:00") - MILLISECOND)
    assert wallets.tokens.authenticate(key.token).key_id == key.key_id
    wallets.charge(wallet_id, 1, idempotency_key="in time", key_id=key.key_id)
    clock.advance(milliseconds=1)
    with pytest.raises(Unauthorized):
        wallets.tokens.authenticate(key.token)
    with pytest.raises(Unauthorized):
        wallets.charge(wallet_id, 1, idempotency_key="too late", key_id=key.key_id)
    assert wallets.balance(wallet_id) == 999


# Credit that expires

EXPIRY = "2026-05-15T13:00:00.000Z"


def with_expiring_credit(wallets: CreditWallet, paid_yen: int = 0) -> int:
    """A wallet with ¥100 until ``EXPIRY`` and ``paid_yen`` for good."""
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="promo", promo=True, expires_at=EXPIRY)
    if paid_yen:
        wallets.topup(wallet_id, paid_yen, idempotency_key="paid")
    return wallet_id


def test_credit_can_be_spent_until_the_instant_it_expires(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = with_expiring_credit(wallets)
    clock.set(moment("2026-05-15T13:00:00") - MILLISECOND)
    assert wallets.charge(wallet_id, 30, idempotency_key="in time").balance_yen == 70
    clock.advance(milliseconds=1)
    with pytest.raises(InsufficientFunds):
        wallets.charge(wallet_id, 1, idempotency_key="too late")
    assert wallets.balance(wallet_id) == 0
    assert wallets.lots.list(wallet_id) == []
    assert movements(wallets, wallet_id) == [("topup", 100), ("charge", -30), ("expire", -70)]
    assert wallets.show(wallet_id).current_cycle_spent_yen == 30
    assert wallets.verify() == []


@pytest.mark.parametrize("asked_first", ["charge", "hold", "charge_many", "balance", "expire", "topup"])
def test_expired_credit_is_gone_whoever_looks_first(wallets: CreditWallet, clock: Clock, asked_first: str) -> None:
    wallet_id = with_expiring_credit(wallets, paid_yen=10)
    clock.advance(hours=1)
    match asked_first:
        case "charge":
            with pytest.raises(InsufficientFunds):
                wallets.charge(wallet_id, 11, idempotency_key="new")
        case "hold":
            with pytest.raises(InsufficientFunds):
                wallets.hold(wallet_id, 11, idempotency_key="new")
        case "charge_many":
            (refusal,) = wallets.charge_many([(wallet_id, 11, "new")])
            assert isinstance(refusal, InsufficientFunds)
        case "balance":
            assert wallets.balance(wallet_id) == 10
        case "expire":
            assert wallets.maintenance.expire(wallet_id).balance_yen == 10
        case "topup":
            assert wallets.topup(wallet_id, 5, idempotency_key="new").balance_yen == 15
    assert ("expire", -100) in movements(wallets, wallet_id)
    assert wallets.balance(wallet_id) == (15 if asked_first == "topup" else 10)
    assert wallets.verify() == []


@pytest.mark.parametrize("expires_at", ["2026-05-15T12:00:00Z", "2026-05-15T11:59:59.999Z", "2026-05-14"])
def test_credit_that_has_expired_cannot_be_brought_in(wallets: CreditWallet, expires_at: str) -> None:
    wallet_id = wallets.create().wallet_id
    with pytest.raises(InvalidRequest, match="past"):
        wallets.topup(wallet_id, 1, idempotency_key="late", expires_at=expires_at)
    assert wallets.history(wallet_id) == []


def test_a_refund_to_expired_credit_expires_at_once(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = with_expiring_credit(wallets, paid_yen=50)
    txn_id = charge(wallets, wallet_id, 120)
    clock.advance(hours=1)
    assert wallets.balance(wallet_id) == 30
    wallets.refund(txn_id, idempotency_key="refund")
    assert wallets.balance(wallet_id) == 50
    assert [(lot.kind, lot.remaining_yen) for lot in wallets.lots.list(wallet_id)] == [("paid", 50)]
    assert movements(wallets, wallet_id)[-2:] == [("refund", 120), ("expire", -100)]
    assert wallets.verify() == []


def test_a_partial_refund_goes_back_to_the_credit_spent_last(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = with_expiring_credit(wallets, paid_yen=50)
    txn_id = charge(wallets, wallet_id, 120)
    clock.advance(hours=1)
    assert wallets.refund(txn_id, 15, idempotency_key="refund-1").balance_yen == 45
    assert wallets.refund(txn_id, 15, idempotency_key="refund-2").balance_yen == 50
    assert movements(wallets, wallet_id)[-3:] == [("refund", 15), ("refund", 15), ("expire", -10)]
    assert wallets.verify() == []


def test_what_a_hold_gives_back_after_the_expiry_expires_at_once(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = with_expiring_credit(wallets, paid_yen=50)
    hold_id = hold(wallets, wallet_id, 120, ttl_seconds=7_200)
    clock.advance(hours=1)
    assert wallets.capture(hold_id, 90).balance_yen == 50
    assert movements(wallets, wallet_id)[-2:] == [("charge", -90), ("expire", -10)]
    assert wallets.verify() == []


def test_a_hold_that_outlives_its_credit_gives_nothing_of_it_back(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = with_expiring_credit(wallets)
    hold(wallets, wallet_id, 100, ttl_seconds=7_200)
    clock.advance(hours=2)
    assert wallets.balance(wallet_id) == 0
    assert movements(wallets, wallet_id) == [("topup", 100), ("expire", -100)]
    assert wallets.verify() == []


# Debt


def in_debt(wallets: CreditWallet) -> int:
    """A wallet that spent ¥70 of a top-up of ¥100 whose payment was then clawed back."""
    wallet_id = wallets.create().wallet_id
    txn_id = wallets.topup(wallet_id, 100, idempotency_key="clawed back").txn_id
    charge(wallets, wallet_id, 70)
    assert txn_id is not None
    wallets.reverse(txn_id, 100, idempotency_key="dispute")
    return wallet_id


def test_what_a_reversal_cannot_take_back_is_debt_and_stops_spending(wallets: CreditWallet) -> None:
    wallet_id = in_debt(wallets)
    balance = wallets.balance(wallet_id)
    assert (balance, balance.debt_yen) == (0, 70)
    with pytest.raises(InsufficientFunds, match="owed") as refusal:
        charge(wallets, wallet_id, 5, "in debt")
    assert refusal.value.details["missing_yen"] == 75
    assert wallets.verify() == []


def test_the_next_top_ups_repay_the_debt_first(wallets: CreditWallet) -> None:
    wallet_id = in_debt(wallets)
    balances = []
    for number, amount_yen in enumerate((50, 30, 10)):
        assert wallets.topup(wallet_id, amount_yen, idempotency_key=f"topup-{number}").amount_yen == amount_yen
        balances.append((int(wallets.balance(wallet_id)), wallets.balance(wallet_id).debt_yen))
    assert balances == [(0, 20), (10, 0), (20, 0)]
    assert movements(wallets, wallet_id)[3:] == [
        ("topup", 50),
        ("reversal", -50),
        ("topup", 30),
        ("reversal", -20),
        ("topup", 10),
    ]
    assert wallets.charge(wallet_id, 20, idempotency_key="after").balance_yen == 0
    assert wallets.show(wallet_id).current_cycle_spent_yen == 90
    assert wallets.verify() == []


def test_a_refund_and_a_released_hold_repay_debt_first(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    topup_id = wallets.topup(wallet_id, 100, idempotency_key="clawed back").txn_id
    txn_id = charge(wallets, wallet_id, 40)
    hold_id = hold(wallets, wallet_id, 60)
    assert topup_id is not None
    wallets.reverse(topup_id, 90, idempotency_key="dispute")
    assert wallets.balance(wallet_id).debt_yen == 90
    wallets.refund(txn_id, idempotency_key="refund")
    assert (wallets.balance(wallet_id), wallets.balance(wallet_id).debt_yen) == (0, 50)
    assert wallets.release(hold_id).balance_yen == 10
    assert wallets.balance(wallet_id).debt_yen == 0
    assert wallets.verify() == []


def test_credit_that_expires_after_a_reversal_does_not_change_the_debt(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = in_debt(wallets)
    wallets.topup(wallet_id, 100, idempotency_key="promo", promo=True, expires_at=EXPIRY)
    assert (wallets.balance(wallet_id), wallets.balance(wallet_id).debt_yen) == (30, 0)
    clock.advance(hours=1)
    assert (wallets.balance(wallet_id), wallets.balance(wallet_id).debt_yen) == (0, 0)
    assert wallets.verify() == []
