"""What is told, when, and how often: thresholds of a wallet's own, low balance, caps, spending out of the ordinary."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from amounts import yen
from clock import Clock
from databases import on_every_database
from hypothesis import given
from hypothesis import strategies as st
from msgspec import json
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.topups import RUNAWAY_TOPUPS, PaymentFact
from credit_wallet.errors import BudgetExhausted, InvalidRequest, KeyCapExhausted, WalletError
from credit_wallet.notices.targets import TargetSettings
from credit_wallet.notices.texts import FOR_OPERATORS, KINDS, Notice, message_of
from credit_wallet.notices.timing import MAX_ATTEMPTS, RETRY_SECONDS, first_attempt_at, next_attempt_at
from credit_wallet.rules.anomalies import is_anomaly, usual_micros

_numbers = count()


@pytest.fixture
def host(db_url: str, wallets: CreditWallet) -> Iterator[PlainSql]:
    """The ledger's database, by plain SQL, once the wallet has made it."""
    assert not wallets.maintenance.waiting()
    with PlainSql(db_url) as opened:
        yield opened


def told(host: PlainSql, *kinds: str) -> list[dict[str, Any]]:
    """What was told of these kinds, oldest first."""
    rows = host.run("SELECT kind, payload FROM am_credit_outbox ORDER BY event_id")
    return [json.decode(payload) for kind, payload in rows if kind in kinds]


def funded(wallets: CreditWallet, amount_yen: int = 10_000, **settings: Any) -> int:
    wallet_id: int = wallets.create(**settings).wallet_id
    wallets.topup(wallet_id, amount_yen, idempotency_key="topup")
    return wallet_id


def spend(wallets: CreditWallet, wallet_id: int, *amounts_yen: int, key_id: int | None = None) -> None:
    for amount_yen in amounts_yen:
        wallets.charge(wallet_id, amount_yen, idempotency_key=f"spend-{next(_numbers)}", key_id=key_id)


# Thresholds of a wallet's own


@on_every_database
def test_a_threshold_of_ones_own_fires_once_a_cycle_at_the_moment_of_crossing(
    wallets: CreditWallet, host: PlainSql, clock: Clock
) -> None:
    wallet_id = funded(wallets, monthly_budget_yen=1_000)
    wallets.configure(wallet_id, alert_thresholds_pct=[25, 120])
    spend(wallets, wallet_id, 249, 1, 700, 249, 1, 500)
    fired = [(each["threshold_pct"], each["spent_yen"]) for each in told(host, "budget.threshold_reached")]
    assert fired == [(25, 250), (50, 950), (80, 950), (100, 1_199), (120, 1_200)]
    assert [each.threshold_pct for each in wallets.alerts.list(wallet_id)] == [120, 100, 80, 50, 25]
    assert {pct for (pct,) in host.run("SELECT threshold_pct FROM am_credit_spending_alert")} == {50, 80, 100}
    clock.advance(days=31)
    spend(wallets, wallet_id, 300)
    assert [each.threshold_pct for each in wallets.alerts.list(wallet_id, "2026-06")] == [25]
    assert wallets.verify() == []


@on_every_database
@pytest.mark.partitions
def test_the_job_finds_what_plain_sql_spent_past_a_threshold_of_ones_own(
    wallets: CreditWallet, host: PlainSql, clock: Clock
) -> None:
    wallet_id = funded(wallets, monthly_budget_yen=1_000)
    wallets.configure(wallet_id, alert_thresholds_pct=[30, 60])
    host.move(wallet_id, "charge", -350, clock().isoformat())
    assert [each.threshold_pct for each in wallets.alerts.run(dry_run=True).alerts_fired] == [30]
    assert [each.threshold_pct for each in wallets.alerts.run().alerts_fired] == [30]
    assert wallets.alerts.run().alerts_fired == []
    spend(wallets, wallet_id, 300)
    assert [each["threshold_pct"] for each in told(host, "budget.threshold_reached")] == [30, 50, 60]
    assert wallets.alerts.run().alerts_fired == []


@on_every_database
def test_a_threshold_that_is_added_fires_unless_a_higher_one_has(
    wallets: CreditWallet,
) -> None:
    wallet_id = funded(wallets, monthly_budget_yen=1_000)
    spend(wallets, wallet_id, 700)
    wallets.configure(wallet_id, alert_thresholds_pct=[40, 65])
    assert [each.threshold_pct for each in wallets.alerts.run().alerts_fired] == [65]
    wallets.configure(wallet_id, alert_thresholds_pct=[])
    assert wallets.show(wallet_id).alert_thresholds_pct == ()
    assert wallets.alerts.run().alerts_fired == []


def test_too_many_or_senseless_thresholds_are_refused(wallets: CreditWallet) -> None:
    wallet_id = funded(wallets)
    senseless: list[Any] = [[0], [1_001], [5, 5], list(range(1, 12)), ["50"], [50.0]]
    for thresholds in senseless:
        with pytest.raises(InvalidRequest) as refusal:
            wallets.configure(wallet_id, alert_thresholds_pct=thresholds)
        assert refusal.value.details["field"] == "alert_thresholds_pct"
    assert wallets.show(wallet_id).alert_thresholds_pct == ()


# Balance, budget and caps


@on_every_database
def test_a_low_balance_emits_when_it_is_crossed_and_once_an_hour_at_most(
    wallets: CreditWallet, host: PlainSql, clock: Clock
) -> None:
    wallet_id = funded(wallets, 1_000)
    wallets.configure(wallet_id, low_balance_yen=500)
    spend(wallets, wallet_id, 500)
    assert told(host, "balance.low") == []
    spend(wallets, wallet_id, 1)
    assert told(host, "balance.low") == [
        {"wallet_id": wallet_id, "balance_yen": 499, "balance": "499", "low_balance_yen": 500}
    ]
    for number in range(5):  # up and down around it
        wallets.topup(wallet_id, 100, idempotency_key=f"up-{number}")
        clock.advance(seconds=1)
        spend(wallets, wallet_id, 100)
    assert len(told(host, "balance.low")) == 1
    clock.advance(hours=1)
    wallets.topup(wallet_id, 100, idempotency_key="up")
    spend(wallets, wallet_id, 100)
    assert len(told(host, "balance.low")) == 2


@on_every_database
def test_a_used_up_cap_is_told_once_a_cycle_however_often_it_refuses(
    wallets: CreditWallet, host: PlainSql, clock: Clock
) -> None:
    wallet_id = funded(wallets, monthly_budget_yen=1_000, budget_mode="cap")
    with pytest.raises(BudgetExhausted):
        spend(wallets, wallet_id, 5_000)  # the call was large; the budget is not used up
    assert told(host, "budget.exhausted") == []
    spend(wallets, wallet_id, 998)
    for _ in range(3):
        with pytest.raises(BudgetExhausted):
            spend(wallets, wallet_id, 3)
    [event] = told(host, "budget.exhausted")
    assert (event["left_yen"], event["monthly_budget_yen"], event["billing_cycle"]) == (2, 1_000, "2026-05")
    clock.advance(days=31)
    spend(wallets, wallet_id, 999)
    with pytest.raises(BudgetExhausted):
        spend(wallets, wallet_id, 3)
    assert len(told(host, "budget.exhausted")) == 2


@on_every_database
def test_an_agents_cap_has_alerts_of_its_own(wallets: CreditWallet, host: PlainSql) -> None:
    wallet_id = funded(wallets)
    key_id = wallets.keys.create(wallet_id, monthly_cap_yen=1_000).key_id
    spend(wallets, wallet_id, 5_000)  # the owner's spending is not the agent's
    spend(wallets, wallet_id, 799, key_id=key_id)
    assert told(host, "key_cap.threshold_reached") == []
    spend(wallets, wallet_id, 1, 50, key_id=key_id)
    with pytest.raises(KeyCapExhausted):
        spend(wallets, wallet_id, 500, key_id=key_id)
    assert told(host, "key_cap.exhausted") == []
    spend(wallets, wallet_id, 149, key_id=key_id)
    for _ in range(2):
        with pytest.raises(KeyCapExhausted):
            spend(wallets, wallet_id, 3, key_id=key_id)
    spend(wallets, wallet_id, 1, key_id=key_id)
    reached = [
        (each["key_id"], each["threshold_pct"], each["spent_yen"]) for each in told(host, "key_cap.threshold_reached")
    ]
    assert reached == [(key_id, 80, 800), (key_id, 100, 1_000)]
    [exhausted] = told(host, "key_cap.exhausted")
    assert (exhausted["key_id"], exhausted["left_yen"], exhausted["monthly_cap_yen"]) == (key_id, 1, 1_000)


def test_a_refusal_that_was_told_writes_nothing_more(wallets: CreditWallet, host: PlainSql) -> None:
    wallet_id = funded(wallets, monthly_budget_yen=100, budget_mode="cap")
    spend(wallets, wallet_id, 99)
    with pytest.raises(BudgetExhausted):
        spend(wallets, wallet_id, 3)
    version = "PRAGMA data_version"  # grows when another connection has written
    before = host.run(version)
    for _ in range(3):
        with pytest.raises(BudgetExhausted):
            spend(wallets, wallet_id, 3)
    assert host.run(version) == before


# Automatic top-ups that run away


@on_every_database
@pytest.mark.partitions
def test_automatic_top_ups_that_follow_each_other_are_told_once_an_hour(
    wallets: CreditWallet, host: PlainSql, clock: Clock
) -> None:
    wallet_id = wallets.create(auto_topup_threshold=500, auto_topup_amount=500).wallet_id
    pay(wallets, wallet_id, "owner", wallets.topups.request(wallet_id, 600, idempotency_key="owner").topup_id)
    for number in range(RUNAWAY_TOPUPS + 2):
        spend(wallets, wallet_id, int(wallets.balance(wallet_id)))
        clock.advance(minutes=1)
        asked = wallets.topups.request_automatic(wallet_id, idempotency_key=f"{number}", min_yen=50, max_yen=10_000)
        assert len(told(host, "auto_topup.runaway_detected")) == (number + 1 >= RUNAWAY_TOPUPS)
        pay(wallets, wallet_id, f"pi_{number}", asked.topup_id)
    assert told(host, "auto_topup.runaway_detected")[0]["topups"] == RUNAWAY_TOPUPS
    clock.advance(hours=2)
    spend(wallets, wallet_id, int(wallets.balance(wallet_id)))
    wallets.topups.request_automatic(wallet_id, idempotency_key="later", min_yen=50, max_yen=10_000)
    assert len(told(host, "auto_topup.runaway_detected")) == 1


def pay(wallets: CreditWallet, wallet_id: int, intent: str, topup_id: str | None) -> None:
    fact = PaymentFact(
        observed_at=1, status="succeeded", received_yen=500, payment_intent=intent, customer="cus", payment_method="pm"
    )
    wallets.topups.settle(wallet_id, str(topup_id), fact)


# Spending out of the ordinary


def spend_hours(wallets: CreditWallet, clock: Clock, wallet_id: int, hours: int, amount_yen: int) -> None:
    for _ in range(hours):
        spend(wallets, wallet_id, amount_yen)
        clock.advance(hours=1)


@on_every_database
def test_an_hour_far_above_the_usual_is_told_once(wallets: CreditWallet, host: PlainSql, clock: Clock) -> None:
    wallet_id, calm_id = funded(wallets, 100_000), funded(wallets, 100_000)
    spend_hours(wallets, clock, wallet_id, 24, 300)
    spend(wallets, wallet_id, 1_500)
    spend(wallets, calm_id, 1_500)  # has no usual hour yet
    assert wallets.maintenance.watch_spending() == 0
    spend(wallets, wallet_id, 1)
    assert wallets.maintenance.watch_spending() == 1
    spend(wallets, wallet_id, 9_000)
    assert wallets.maintenance.watch_spending() == 0
    hour = clock().isoformat()[:13]
    assert told(host, "spending.anomaly_detected") == [
        {"wallet_id": wallet_id, "hour": hour, "spent_yen": 1_501, "spent": "1501", "usual_yen": 300, "usual": "300"}
    ]


def test_a_burst_at_the_end_of_an_hour_is_told_in_the_next(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = funded(wallets, 100_000)
    spend_hours(wallets, clock, wallet_id, 24, 300)
    clock.advance(minutes=59)
    spend(wallets, wallet_id, 9_000)
    clock.advance(minutes=4)
    assert wallets.maintenance.watch_spending() == 1
    assert wallets.maintenance.watch_spending() == 0


@pytest.mark.parametrize(
    ("spent", "hours", "before", "found"),
    [
        ("1500.000005", 24, "7200.000024", False),  # a usual hour costs ¥300.000001
        ("1500.000006", 24, "7200.000024", True),
        ("999.999999", 24, "24", False),
        ("1000", 24, "24", True),
        ("1000.000001", 23, "24", False),
    ],
)
def test_an_hour_is_compared_to_the_micro(spent: str, hours: int, before: str, found: bool) -> None:
    assert is_anomaly(yen(spent), usual_micros(hours, yen(before))) is found


@on_every_database
def test_an_hour_below_the_yen_is_reported_exactly(wallets: CreditWallet, host: PlainSql, clock: Clock) -> None:
    wallet_id = funded(wallets, 100_000)
    for number in range(24):
        wallets.charge(wallet_id, "300.1", idempotency_key=f"usual {number}")
        clock.advance(hours=1)
    wallets.charge(wallet_id, "1500.5", idempotency_key="five times")
    assert wallets.maintenance.watch_spending() == 0
    wallets.charge(wallet_id, "0.000001", idempotency_key="and a micro")
    assert wallets.maintenance.watch_spending() == 1
    [event] = told(host, "spending.anomaly_detected")
    assert (event["spent"], event["spent_yen"], event["usual"]) == ("1500.500001", 1_500, "300.1")


def test_little_money_is_nothing_out_of_the_ordinary(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = funded(wallets)
    spend_hours(wallets, clock, wallet_id, 30, 3)
    spend(wallets, wallet_id, 999)
    assert wallets.maintenance.watch_spending() == 0


def test_hours_are_counted_once_by_however_many(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    wallet_id = funded(wallets, 100_000)
    with CreditWallet.open(db_url, clock=clock) as other:
        for number in range(30):
            (wallets if number % 2 else other).maintenance.watch_spending()
            spend(wallets, wallet_id, 100)
            clock.advance(minutes=20)
        wallets.maintenance.watch_spending()
        other.maintenance.watch_spending()
    with PlainSql(db_url) as host:
        assert host.run("SELECT sum(spent_yen) FROM am_credit_hour_spend") == [(3_000,)]


@on_every_database
def test_a_date_without_a_time_keeps_no_other_entry_from_being_counted(
    wallets: CreditWallet, host: PlainSql, clock: Clock
) -> None:
    wallet_id = funded(wallets, 100_000)
    host.move(wallet_id, "charge", -100, "2026-05-15")
    spend(wallets, wallet_id, 300)
    wallets.maintenance.watch_spending()
    assert host.run("SELECT hour, spent_yen FROM am_credit_hour_spend") == [(clock().isoformat()[:13], 300)]


def test_hours_of_long_ago_are_forgotten(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    wallet_id = funded(wallets, 100_000)
    spend_hours(wallets, clock, wallet_id, 3, 100)
    wallets.maintenance.watch_spending()
    clock.advance(days=9)
    wallets.maintenance.watch_spending()
    with PlainSql(db_url) as host:
        assert host.run("SELECT count(*) FROM am_credit_hour_spend") == [(0,)]


# When a notice is sent, pure


instants = st.integers(0, 2 * 365 * 24 * 3_600).map(
    lambda seconds: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
)
zones = st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York", "Australia/Lord_Howe"])
times = st.times().map(lambda time: time.strftime("%H:%M"))


@given(instants, zones, times, times)
def test_nothing_is_sent_in_quiet_hours_and_all_is_within_a_day(
    now: datetime, zone: str, begins: str, ends: str
) -> None:
    target = TargetSettings(url="slack://", quiet_hours=f"{begins}-{ends}", time_zone=zone)
    at = first_attempt_at(target, now)
    assert now <= at <= now + timedelta(hours=25)
    clock = at.astimezone(ZoneInfo(zone)).strftime("%H:%M")
    quiet = begins <= clock < ends if begins <= ends else clock >= begins or clock < ends
    assert not quiet


@given(instants, zones, times)
def test_a_daily_digest_comes_at_its_time(now: datetime, zone: str, at_time: str) -> None:
    at = first_attempt_at(TargetSettings(url="slack://", digest=at_time, time_zone=zone), now)
    assert now < at <= now + timedelta(hours=25)
    local = at.astimezone(ZoneInfo(zone))
    on_the_clock = local.strftime("%H:%M") == at_time
    assert on_the_clock or local.utcoffset() != (local - timedelta(hours=3)).utcoffset()  # the hour was left out


@given(instants, zones)
def test_an_hourly_digest_comes_at_the_next_full_hour(now: datetime, zone: str) -> None:
    at = first_attempt_at(TargetSettings(url="slack://", digest="hourly", time_zone=zone), now)
    assert now < at <= now + timedelta(hours=1)
    assert (at.astimezone(ZoneInfo(zone)).minute, at.second, at.microsecond) == (0, 0, 0)


@given(st.integers(1, MAX_ATTEMPTS + 3), instants, st.floats(0, 10**9))
def test_an_attempt_comes_no_earlier_than_asked_for_and_within_half_a_day(
    attempts: int, now: datetime, retry_after: float
) -> None:
    at = next_attempt_at(TargetSettings(url="https://example.com/"), attempts, now, retry_after)
    if attempts >= MAX_ATTEMPTS:
        assert at is None
    else:
        assert at is not None
        assert timedelta(seconds=RETRY_SECONDS[attempts - 1]) <= at - now <= timedelta(hours=12)
    assert timedelta(days=2, hours=20) < timedelta(seconds=sum(RETRY_SECONDS)) <= timedelta(days=3)


# What people read


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_words_in_both_languages(kind: str, language: str) -> None:
    message = message_of([Notice(1, 7, "search\n<b>", kind, {"amount_yen": 5, "reason": None}, "")], language)
    assert message.title
    assert kind in FOR_OPERATORS or "7" in message.body
    assert "\n" not in message.body
    assert "{" not in message.title + message.body


def test_what_the_rail_tells_has_a_text(wallets: CreditWallet, host: PlainSql) -> None:
    wallet_id = funded(wallets, 1_000, monthly_budget_yen=900, budget_mode="cap")
    wallets.configure(wallet_id, low_balance_yen=900, alert_thresholds_pct=[10])
    key_id = wallets.keys.create(wallet_id, monthly_cap_yen=850).key_id
    for amount_yen in (850, 60):
        try:
            spend(wallets, wallet_id, amount_yen, key_id=key_id)
        except WalletError:
            continue
    rows = host.run("SELECT kind, payload FROM am_credit_outbox")
    assert {kind for kind, _ in rows} <= set(KINDS)
    for kind, payload in rows:
        body = message_of([Notice(1, wallet_id, None, kind, json.decode(payload), "")], "ja").body
        assert "…" not in body, kind
