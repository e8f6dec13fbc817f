"""The forecast: the cycle's pace so far, carried on.

A pace is taken over the time in which there was spending to observe. "Rates over a span in which there was nothing to
observe" is the kind of fault; where a rate is taken:

- the forecast's pace, its projection for the cycle, and when balance and budget run out: below;
- the usual hour of ``spending.anomaly_detected``, the mean of hours in which the wallet spent: below;
- agent keys have no rate of their own, and statements and reports have sums.
"""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from amounts import yen
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.views import WalletView
from credit_wallet.rules.forecast import forecast

pytestmark = on_every_database

NOON_OF_THE_11TH = datetime(2026, 5, 11, 12, tzinfo=UTC)
"""Ten and a half days into a month of 31."""


def wallet(
    balance_yen: int | str,
    spent_yen: int | str,
    budget_yen: int = 0,
    time_zone: str = "UTC",
    created_at: str = "2026-01-01T00:00:00.000Z",
) -> WalletView:
    return WalletView(
        wallet_id=7,
        label=None,
        balance_micros=yen(balance_yen),
        held_micros=0,
        debt_micros=0,
        auto_topup_threshold=0,
        auto_topup_amount=0,
        monthly_budget_yen=budget_yen,
        budget_mode="alert",
        time_zone=time_zone,
        current_cycle="2026-05",
        current_cycle_spent_micros=yen(spent_yen),
        enabled=True,
        created_at=created_at,
        low_balance_yen=0,
        alert_thresholds_pct=(),
        price_group=None,
        auto_topup_daily_yen=0,
        auto_topup_monthly_yen=0,
    )


@pytest.mark.parametrize(
    ("spent_yen", "daily_yen", "projected_yen"),
    [
        (0, 0, 0),
        (1, 0, 2),
        (21, 2, 62),
        (1_050, 100, 3_100),
        (10**12, 95_238_095_238, 2_952_380_952_380),
    ],
)
def test_spending_goes_on_at_its_pace_rounded_down(spent_yen: int, daily_yen: int, projected_yen: int) -> None:
    report = forecast(wallet(10**15, spent_yen), NOON_OF_THE_11TH)
    assert (report.spent_yen, report.daily_pace_yen, report.projected_cycle_spend_yen) == (
        spent_yen,
        daily_yen,
        projected_yen,
    )


@pytest.mark.parametrize(
    ("spent", "daily", "projected"),
    [
        ("0.000021", "0.000002", "0.000062"),
        ("10.5", "1", "31"),
        ("3.30", "0.314285", "9.742857"),
        ("0.999999", "0.095238", "2.952378"),
    ],
)
def test_a_pace_below_the_yen_is_rounded_down_to_the_micro(spent: str, daily: str, projected: str) -> None:
    report = forecast(wallet("100.5", spent), NOON_OF_THE_11TH)
    assert (report.daily_pace, report.projected_cycle_spend) == (Decimal(daily), Decimal(projected))
    assert (report.daily_pace_micros, report.projected_cycle_spend_micros) == (yen(daily), yen(projected))
    assert (report.balance, report.balance_yen, report.spent) == (Decimal("100.5"), 100, Decimal(spent).normalize())


def test_what_is_left_below_the_yen_lasts_as_long_as_the_pace_lets_it() -> None:
    """Half of a day's spending is half a day."""
    assert forecast(wallet("0.5", "10.5"), NOON_OF_THE_11TH).balance_runs_out_at == "2026-05-12T00:00:00.000Z"
    assert forecast(wallet(10, "0.5", 1), NOON_OF_THE_11TH).budget_runs_out_at == "2026-05-22T00:00:00.000Z"


@pytest.mark.parametrize(
    ("balance_yen", "spent_yen", "runs_out_at"),
    [
        pytest.param(1_000, 0, None, id="nothing spent"),
        pytest.param(1_050, 1_050, "2026-05-22T00:00:00.000Z", id="as much left as spent"),
        pytest.param(100, 1_050, "2026-05-12T12:00:00.000Z", id="a day's worth left"),
        pytest.param(1, 907_200, "2026-05-11T12:00:01.000Z", id="a second's worth left"),
        pytest.param(10_000, 1_050, "2026-08-19T12:00:00.000Z", id="in a later cycle"),
        pytest.param(36_600, 1_050, "2027-05-12T12:00:00.000Z", id="in 366 days"),
        pytest.param(36_601, 1_050, None, id="in more than 366 days"),
        pytest.param(10**15, 1, None, id="in ages"),
        pytest.param(0, 1_050, "2026-05-11T12:00:00.000Z", id="exhausted"),
        pytest.param(0, 0, "2026-05-11T12:00:00.000Z", id="empty from the start"),
    ],
)
def test_the_balance_runs_out_at_the_pace_within_a_year(
    balance_yen: int, spent_yen: int, runs_out_at: str | None
) -> None:
    report = forecast(wallet(balance_yen, spent_yen), NOON_OF_THE_11TH)
    assert report.balance_runs_out_at == runs_out_at
    assert report.budget_runs_out_at is None


@pytest.mark.parametrize(
    ("budget_yen", "spent_yen", "runs_out_at"),
    [
        pytest.param(0, 1_050, None, id="no budget"),
        pytest.param(2_000, 0, None, id="nothing spent"),
        pytest.param(1_150, 1_050, "2026-05-12T12:00:00.000Z", id="tomorrow"),
        pytest.param(3_099, 1_050, "2026-05-31T23:45:36.000Z", id="on the last day"),
        pytest.param(3_100, 1_050, None, id="as the cycle ends"),
        pytest.param(1_050, 1_050, "2026-05-11T12:00:00.000Z", id="spent"),
        pytest.param(1_000, 1_050, "2026-05-11T12:00:00.000Z", id="overspent"),
    ],
)
def test_the_budget_runs_out_at_the_pace_within_the_cycle(
    budget_yen: int, spent_yen: int, runs_out_at: str | None
) -> None:
    assert forecast(wallet(10**15, spent_yen, budget_yen), NOON_OF_THE_11TH).budget_runs_out_at == runs_out_at


@pytest.mark.parametrize("minutes", [0, 1, 59, 60])
def test_what_the_first_minutes_spend_is_taken_for_an_hours_spending(minutes: int) -> None:
    report = forecast(wallet(1_000, 10), datetime(2026, 5, 1, minutes // 60, minutes % 60, tzinfo=UTC))
    assert report.daily_pace_yen == 240
    assert report.balance_runs_out_at is not None
    assert report.balance_runs_out_at.startswith("2026-05-05T")


def test_after_the_first_hour_the_pace_is_what_was_seen() -> None:
    assert forecast(wallet(1_000, 10), datetime(2026, 5, 1, 2, tzinfo=UTC)).daily_pace_yen == 120


def test_nothing_more_is_projected_once_the_cycle_is_over() -> None:
    report = forecast(wallet(1_000, 620), datetime(2026, 6, 1, tzinfo=UTC))
    assert (report.daily_pace_yen, report.projected_cycle_spend_yen) == (20, 620)


def test_the_cycle_is_that_of_the_wallets_time_zone() -> None:
    an_hour_in = datetime(2026, 4, 30, 16, tzinfo=UTC)
    report = forecast(wallet(1_000, 24, time_zone="Asia/Tokyo"), an_hour_in)
    assert (report.daily_pace_yen, report.projected_cycle_spend_yen) == (576, 24 * 24 * 31)


@pytest.mark.parametrize(
    ("created_at", "now", "spent_yen", "daily_yen", "projected_yen", "runs_out_at", "budget_runs_out_at"),
    [
        pytest.param("2026-05-26", "2026-05-27", 1_000, 1_000, 6_000, "2026-05-29", "2026-05-30", id="a day old"),
        pytest.param(
            "2026-05-26", "2026-05-26T12:00", 500, 1_000, 6_000, "2026-05-28T12:00", "2026-05-30", id="half a day old"
        ),
        pytest.param("2026-05-26", "2026-05-26T00:01", 10, 240, 1_449, "2026-06-03T08:01", None, id="a minute old"),
        pytest.param("2026-05-26", "2026-05-27", 0, 0, 0, None, None, id="nothing spent"),
        pytest.param(
            "2026-04-30", "2026-05-11", 1_000, 100, 3_100, "2026-05-31", "2026-05-31", id="of the cycle before"
        ),
        pytest.param(
            "2026-05-01", "2026-05-11", 1_000, 100, 3_100, "2026-05-31", "2026-05-31", id="as old as the cycle"
        ),
        pytest.param(
            "someday", "2026-05-11", 1_000, 100, 3_100, "2026-05-31", "2026-05-31", id="plain SQL's own words"
        ),
        pytest.param(
            "2026-05-26 00:00:00", "2026-05-27", 1_000, 1_000, 6_000, "2026-05-29", "2026-05-30", id="a space"
        ),
        pytest.param(
            "2026-06-26", "2026-05-11", 10, 240, 5_050, "2026-05-19T08:00", "2026-05-23T11:00", id="made in the future"
        ),
    ],
)
def test_the_pace_is_that_since_the_wallet_was_there(
    created_at: str,
    now: str,
    spent_yen: int,
    daily_yen: int,
    projected_yen: int,
    runs_out_at: str | None,
    budget_runs_out_at: str | None,
) -> None:
    budget_yen = 4_000 if created_at.startswith("2026-05-26") else 3_000
    made = wallet(2_000, spent_yen, budget_yen, created_at=created_at)
    report = forecast(made, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert (report.daily_pace_yen, report.projected_cycle_spend_yen) == (daily_yen, projected_yen)
    assert report.balance_runs_out_at == instant(runs_out_at)
    assert report.budget_runs_out_at == instant(budget_runs_out_at)


def instant(text: str | None) -> str | None:
    return None if text is None else format_instant(datetime.fromisoformat(text).replace(tzinfo=UTC))


THE_26TH, THE_27TH = datetime(2026, 5, 26, tzinfo=UTC), datetime(2026, 5, 27, tzinfo=UTC)


@pytest.mark.parametrize("made", [THE_26TH, datetime(2026, 5, 3, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)])
def test_before_the_first_credit_there_was_nothing_to_observe(
    wallets: CreditWallet, clock: Clock, made: datetime
) -> None:
    clock.set(made)
    wallet_id = wallets.create(monthly_budget_yen=4_000).wallet_id
    clock.set(THE_26TH)
    wallets.topup(wallet_id, 2_000, idempotency_key="first")
    wallets.charge(wallet_id, 400, idempotency_key="charge")
    clock.set(THE_27TH)
    wallets.topup(wallet_id, 1_000, idempotency_key="second")
    wallets.charge(wallet_id, 600, idempotency_key="another")
    report = wallets.forecast(wallet_id)
    assert (report.daily_pace_yen, report.projected_cycle_spend_yen) == (1_000, 6_000)
    assert report.balance_runs_out_at == "2026-05-29T00:00:00.000Z"
    assert report.budget_runs_out_at == "2026-05-30T00:00:00.000Z"


@pytest.mark.partitions
def test_a_wallet_of_plain_sql_is_observed_from_its_first_entry(
    wallets: CreditWallet, clock: Clock, db_url: str
) -> None:
    """However it came to its balance, and whatever its row says of when it was made."""
    clock.set(THE_27TH)
    wallets.create()
    with PlainSql(db_url) as host:
        topped_up = host.wallet()  # made at an hour of the machine's clock
        host.move(topped_up, "topup", 3_000, "2026-05-26 00:00:00")
        host.move(topped_up, "charge", -1_000, "2026-05-26T12:00:00Z")
        given = host.wallet(balance_yen=3_000)
        host.move(given, "charge", -400, "2026-05-26")
        host.move(given, "charge", -600, "2026-05-26 23:00:00")
        old = host.wallet(balance_yen=3_000, created_at="2026-01-01T00:00:00.000Z")
        host.move(old, "charge", -2_600, "2026-05-26 12:00:00")
    assert wallets.verify() == []
    assert [wallets.forecast(wallet_id).daily_pace_yen for wallet_id in (topped_up, given, old)] == [1_000, 1_000, 100]
    assert wallets.forecast(topped_up).balance_runs_out_at == "2026-05-29T00:00:00.000Z"


@pytest.mark.parametrize("at", ["9999-12-31T23:59:59-12:00", "0001-01-01T00:00:00+09:00", "yesterday"])
def test_a_date_of_plain_sql_that_is_no_instant_fails_no_forecast_and_no_metric(
    wallets: CreditWallet, db_url: str, at: str
) -> None:
    """ISO 8601 as text, but in UTC beyond the years that there are."""
    wallet_id = wallets.create(time_zone="Asia/Tokyo").wallet_id
    with PlainSql(db_url) as host:
        host.move(wallet_id, "topup", 500, at)
    wallets.charge(wallet_id, 1, idempotency_key="charge")
    assert wallets.forecast(wallet_id).spent_yen == 1
    assert wallets.seals.unsealed_seconds() >= 0


def test_the_usual_hour_of_a_day_old_wallet_is_that_of_the_hours_in_which_it_spent(
    wallets: CreditWallet, clock: Clock
) -> None:
    clock.set(THE_26TH)
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100_000, idempotency_key="topup")
    for hour in range(24):
        wallets.charge(wallet_id, 300, idempotency_key=f"hour-{hour}")
        clock.advance(hours=1)
    wallets.charge(wallet_id, 1_500, idempotency_key="five times the usual")
    assert wallets.maintenance.watch_spending() == 0
    wallets.charge(wallet_id, 1, idempotency_key="more than that")
    assert wallets.maintenance.watch_spending() == 1


def test_a_wallet_forecasts_its_own_spending(wallets: CreditWallet, clock: Clock) -> None:
    clock.set(datetime(2026, 4, 30, tzinfo=UTC))
    wallet_id = wallets.create(monthly_budget_yen=1_150).wallet_id
    wallets.topup(wallet_id, 2_100, idempotency_key="start")
    clock.set(NOON_OF_THE_11TH)
    wallets.charge(wallet_id, 1_050, idempotency_key="charge")
    report = wallets.forecast(wallet_id)
    assert (report.wallet_id, report.billing_cycle) == (wallet_id, "2026-05")
    assert (report.spent_yen, report.balance_yen, report.monthly_budget_yen) == (1_050, 1_050, 1_150)
    assert (report.budget_runs_out_at, report.balance_runs_out_at) == (
        "2026-05-12T12:00:00.000Z",
        "2026-05-22T00:00:00.000Z",
    )
