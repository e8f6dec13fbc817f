"""Times of day on the days when clocks are changed: everything is decided by instants.

The kind is "wall clocks compared without ``fold``". Where a time of day, or a day, is turned into an instant:

- digests (daily, hourly) and quiet hours (``alerts.timing``): below;
- billing cycles, which begin at a local midnight that can come twice or not at all (``cycle``): below;
- forecasts, statements, thresholds, expiries and retries work on instants and on the bounds of cycles alone;
- days of idempotency keys, hours of spending and of ``balance.low`` are UTC, which has no such days.
"""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_wallet.domain.cycle import cycle_at, cycle_bounds, parse_instant
from credit_wallet.notices.targets import TargetSettings
from credit_wallet.notices.timing import first_attempt_at

BERLIN = "Europe/Berlin"
"""02:00 to 03:00 is left out on 29 March 2026 and comes twice on 25 October 2026: CEST until 01:00 UTC, then CET."""


def sent_at(now: str, time_zone: str = BERLIN, *, digest: str | None = None, quiet: str | None = None) -> str:
    target = TargetSettings(url="slack://", digest=digest, quiet_hours=quiet, time_zone=time_zone)
    return f"{first_attempt_at(target, datetime.fromisoformat(f'{now}Z')):%Y-%m-%dT%H:%M}"


@pytest.mark.parametrize(
    ("digest", "event", "sent"),
    [
        pytest.param("02:10", "2026-10-25T00:02", "2026-10-25T00:10", id="02:02 CEST"),
        pytest.param("02:10", "2026-10-25T00:10", "2026-10-25T01:10", id="02:10 CEST"),
        pytest.param("02:10", "2026-10-25T00:50", "2026-10-25T01:10", id="02:50 CEST"),
        pytest.param("02:10", "2026-10-25T01:02", "2026-10-25T01:10", id="02:02 CET"),
        pytest.param("02:10", "2026-10-25T01:10", "2026-10-26T01:10", id="02:10 CET"),
        pytest.param("02:10", "2026-10-25T01:59", "2026-10-26T01:10", id="02:59 CET"),
        pytest.param("09:00", "2026-10-24T08:00", "2026-10-25T08:00", id="a day of 25 hours"),
        pytest.param("02:30", "2026-03-28T12:00", "2026-03-29T01:00", id="the hour is left out"),
        pytest.param("02:30", "2026-03-29T00:59", "2026-03-29T01:00", id="a minute before it"),
        pytest.param("02:30", "2026-03-29T01:00", "2026-03-30T00:30", id="as the clocks are put forward"),
        pytest.param("03:00", "2026-03-29T00:59", "2026-03-29T01:00", id="03:00 CEST"),
        pytest.param("09:00", "2026-03-28T09:00", "2026-03-29T07:00", id="a day of 23 hours"),
    ],
)
def test_a_daily_digest_waits_for_the_next_instant_at_which_the_clock_reads_its_time(
    digest: str, event: str, sent: str
) -> None:
    assert sent_at(event, digest=digest) == sent


@pytest.mark.parametrize(
    ("quiet", "event", "sent"),
    [
        pytest.param("01:30-02:15", "2026-10-24T23:29", "2026-10-24T23:29", id="before them"),
        pytest.param("01:30-02:15", "2026-10-24T23:30", "2026-10-25T00:15", id="01:30 CEST"),
        pytest.param("01:30-02:15", "2026-10-25T00:14", "2026-10-25T00:15", id="02:14 CEST"),
        pytest.param("01:30-02:15", "2026-10-25T00:15", "2026-10-25T00:15", id="02:15 CEST"),
        pytest.param("01:30-02:15", "2026-10-25T01:02", "2026-10-25T01:15", id="02:02 CET"),
        pytest.param("01:30-02:15", "2026-10-25T01:15", "2026-10-25T01:15", id="02:15 CET"),
        pytest.param("22:00-07:00", "2026-10-25T00:30", "2026-10-25T06:00", id="a long night, first pass"),
        pytest.param("22:00-07:00", "2026-10-25T01:30", "2026-10-25T06:00", id="a long night, second pass"),
        pytest.param("02:30-03:30", "2026-10-25T00:45", "2026-10-25T02:30", id="begun in the first pass"),
        pytest.param("22:00-02:30", "2026-03-29T00:30", "2026-03-29T01:00", id="they end in the hour left out"),
        pytest.param("02:30-07:00", "2026-03-29T01:00", "2026-03-29T05:00", id="they begin in the hour left out"),
        pytest.param("02:15-02:45", "2026-03-29T00:59", "2026-03-29T00:59", id="they are left out whole"),
        pytest.param("22:00-07:00", "2026-03-29T00:30", "2026-03-29T05:00", id="a short night"),
    ],
)
def test_quiet_hours_hold_in_both_passes_of_an_hour(quiet: str, event: str, sent: str) -> None:
    assert sent_at(event, quiet=quiet) == sent


def test_a_digest_in_quiet_hours_comes_when_they_end() -> None:
    assert sent_at("2026-10-25T01:02", digest="02:10", quiet="01:30-02:15") == "2026-10-25T01:15"


@pytest.mark.parametrize(
    ("event", "sent"),
    [
        ("2026-04-04T14:45", "2026-04-04T15:30"),  # 01:45, clocks are put back from 02:00 to 01:30: 45 minutes to 02:00
        ("2026-04-04T15:10", "2026-04-04T15:30"),  # 01:40 in the second pass
        ("2026-10-03T15:15", "2026-10-03T16:00"),  # 01:45, clocks are put forward from 02:00 to 02:30
    ],
)
def test_an_hourly_digest_waits_for_a_full_hour_where_clocks_are_moved_by_half_an_hour(event: str, sent: str) -> None:
    assert sent_at(event, "Australia/Lord_Howe", digest="hourly") == sent


CHANGES = {
    "Europe/Berlin": ["2026-03-29T01:00", "2026-10-25T01:00"],
    "America/New_York": ["2026-03-08T07:00", "2026-11-01T06:00"],
    "Australia/Lord_Howe": ["2026-04-04T15:00", "2026-10-03T15:30"],
    "America/Havana": ["2026-11-01T05:00"],
    "Africa/Cairo": ["2026-04-23T22:00", "2026-10-29T21:00"],
    "Atlantic/Azores": ["2026-10-25T01:00"],
}
near_a_change = st.sampled_from([(zone, change) for zone, changes in CHANGES.items() for change in changes])
times = st.times().map(lambda each: f"{each:%H:%M}")


@given(near_a_change, st.integers(-30 * 3_600, 6 * 3_600), times, times)
def test_around_a_change_nothing_is_sent_early_twice_or_in_quiet_hours(
    near: tuple[str, str], seconds: int, begins: str, ends: str
) -> None:
    zone, change = near
    now = datetime.fromisoformat(f"{change}Z") + timedelta(seconds=seconds)

    def is_quiet(moment: datetime) -> bool:
        clock = f"{moment.astimezone(ZoneInfo(zone)):%H:%M}"
        return begins <= clock < ends if begins <= ends else clock >= begins or clock < ends

    quiet = TargetSettings(url="slack://", quiet_hours=f"{begins}-{ends}", time_zone=zone)
    at = first_attempt_at(quiet, now)
    assert at == now or is_quiet(now)
    assert now <= at <= now + timedelta(hours=26)
    assert not is_quiet(at)

    daily = TargetSettings(url="slack://", digest=begins, time_zone=zone)
    at = first_attempt_at(daily, now)
    assert now < at <= now + timedelta(hours=25)
    assert first_attempt_at(daily, at - timedelta(seconds=1)) == at
    reads, read = (each.astimezone(ZoneInfo(zone)).replace(tzinfo=None) for each in (at, at - timedelta(seconds=1)))
    meant = datetime.combine(reads.date(), time.fromisoformat(begins))
    assert reads == meant or read < meant < reads  # the clocks were put past it


@pytest.mark.parametrize(
    ("zone", "cycle"),
    [
        ("America/Havana", "2026-11"),  # midnight comes twice
        ("America/Asuncion", "2023-10"),  # midnight does not come
        ("Africa/Cairo", "2024-11"),  # the last hour of October comes twice
        ("America/St_Johns", "2009-11"),  # clocks go back at 00:01, into October
        ("Europe/Berlin", "2026-10"),
        ("Australia/Lord_Howe", "2026-10"),
    ],
)
def test_a_cycle_begins_once_and_every_instant_is_in_the_cycle_whose_bounds_it_is_between(
    zone: str, cycle: str
) -> None:
    start, end = (parse_instant(bound) for bound in cycle_bounds(cycle, zone))
    for seconds in range(-3 * 3_600, 3 * 3_600, 59):
        for bound, inside in ((start, seconds >= 0), (end, seconds < 0)):
            moment = bound + timedelta(seconds=seconds)
            assert (cycle_at(moment, zone) == cycle) is inside, moment
    assert start.tzinfo is UTC
