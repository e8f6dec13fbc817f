"""Windows of budgets follow local clocks and tile time, whatever these do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from naive_windows import naive_window

from credit_wallet.domain.cycle import format_instant, parse_instant
from credit_wallet.domain.windows import (
    WEEK_STARTS,
    is_window,
    rolling_seconds,
    second_after,
    window_at,
)

ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "America/St_Johns",
    "Africa/Cairo",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "America/Havana",
)
MICROSECOND = timedelta(microseconds=1)

milliseconds = st.integers(0, 30 * 365 * 24 * 3600 * 1000)
moments = milliseconds.map(lambda each: datetime(2005, 1, 1, tzinfo=UTC) + timedelta(milliseconds=each))
fixed = st.sampled_from(["minute", "hour", "day", "week", "month"])
zones = st.sampled_from(ZONES)
week_starts = st.sampled_from(WEEK_STARTS)


def instant(text: str) -> datetime:
    return parse_instant(text)


@pytest.mark.parametrize(
    ("window", "zone", "at", "start", "end"),
    [
        pytest.param("minute", "UTC", "2026-05-15T09:00:59Z", "2026-05-15T09:00Z", "2026-05-15T09:01Z", id="a minute"),
        pytest.param("hour", "UTC", "2026-05-15T09:00Z", "2026-05-15T09:00Z", "2026-05-15T10:00Z", id="an hour"),
        pytest.param(
            "hour", "Asia/Kathmandu", "2026-05-15T09:00Z", "2026-05-15T08:15Z", "2026-05-15T09:15Z", id="Kathmandu"
        ),
        pytest.param(
            "day", "Asia/Kathmandu", "2026-05-15T18:15Z", "2026-05-15T18:15Z", "2026-05-16T18:15Z", id="its midnight"
        ),
        pytest.param(
            "day", "Europe/Berlin", "2026-03-29T12:00Z", "2026-03-28T23:00Z", "2026-03-29T22:00Z", id="23 hours"
        ),
        pytest.param(
            "day", "Europe/Berlin", "2026-10-25T12:00Z", "2026-10-24T22:00Z", "2026-10-25T23:00Z", id="25 hours"
        ),
        pytest.param(
            "hour", "Europe/Berlin", "2026-10-25T00:30Z", "2026-10-25T00:00Z", "2026-10-25T01:00Z", id="2:30, first"
        ),
        pytest.param(
            "hour", "Europe/Berlin", "2026-10-25T01:30Z", "2026-10-25T01:00Z", "2026-10-25T02:00Z", id="2:30, again"
        ),
        pytest.param(
            "day", "America/New_York", "2026-03-08T12:00Z", "2026-03-08T05:00Z", "2026-03-09T04:00Z", id="New York"
        ),
        pytest.param(
            "week", "America/New_York", "2026-11-01T12:00Z", "2026-10-26T04:00Z", "2026-11-02T05:00Z", id="a long week"
        ),
        pytest.param(
            "month", "America/New_York", "2026-03-31T23:00Z", "2026-03-01T05:00Z", "2026-04-01T04:00Z", id="short month"
        ),
        pytest.param(
            "day", "America/Sao_Paulo", "2018-11-04T12:00Z", "2018-11-04T03:00Z", "2018-11-05T02:00Z", id="no midnight"
        ),
        pytest.param(
            "day", "America/Sao_Paulo", "2018-02-18T02:30Z", "2018-02-17T02:00Z", "2018-02-18T03:00Z", id="11 pm twice"
        ),
        pytest.param(
            "day", "Africa/Cairo", "2026-04-24T10:00Z", "2026-04-23T22:00Z", "2026-04-24T21:00Z", id="Cairo, spring"
        ),
        pytest.param(
            "day", "Africa/Cairo", "2026-10-29T20:30Z", "2026-10-28T21:00Z", "2026-10-29T22:00Z", id="Cairo, autumn"
        ),
        pytest.param(
            "day", "America/St_Johns", "2010-11-07T03:00Z", "2010-11-07T02:30Z", "2010-11-08T03:30Z", id="a day goes on"
        ),
        pytest.param(
            "day", "America/Havana", "2026-11-01T04:30Z", "2026-11-01T04:00Z", "2026-11-02T05:00Z", id="0:30 twice"
        ),
        pytest.param(
            "day", "Pacific/Apia", "2011-12-30T10:00Z", "2011-12-30T10:00Z", "2011-12-31T10:00Z", id="a day left out"
        ),
        pytest.param(
            "day", "Australia/Lord_Howe", "2026-04-05T12:00Z", "2026-04-04T13:00Z", "2026-04-05T13:30Z", id="24½ hours"
        ),
        pytest.param(
            "hour", "Australia/Lord_Howe", "2026-04-04T15:10Z", "2026-04-04T15:00Z", "2026-04-04T15:30Z", id="half back"
        ),
        pytest.param(
            "hour", "Australia/Lord_Howe", "2026-10-03T15:20Z", "2026-10-03T14:30Z", "2026-10-03T15:30Z", id="before it"
        ),
        pytest.param(
            "hour", "Australia/Lord_Howe", "2026-10-03T15:40Z", "2026-10-03T15:30Z", "2026-10-03T16:00Z", id="half on"
        ),
        pytest.param("month", "UTC", "2028-02-29T23:59:59Z", "2028-02-01T00:00Z", "2028-03-01T00:00Z", id="leap day"),
        pytest.param("month", "UTC", "2027-02-28T23:59:59Z", "2027-02-01T00:00Z", "2027-03-01T00:00Z", id="none"),
        pytest.param("month", "UTC", "2026-12-31T23:59:59Z", "2026-12-01T00:00Z", "2027-01-01T00:00Z", id="new year"),
    ],
)
def test_a_window_begins_and_ends_by_local_clocks(window: str, zone: str, at: str, start: str, end: str) -> None:
    assert window_at(window, instant(at), zone) == (format_instant(instant(start)), format_instant(instant(end)))


@pytest.mark.parametrize(("number", "week_start"), list(enumerate(WEEK_STARTS)))
def test_a_week_begins_on_any_day(number: int, week_start: str) -> None:
    monday = datetime(2026, 5, 11, tzinfo=UTC)
    start, end = window_at("week", monday + timedelta(days=6, hours=23), "UTC", week_start)
    assert start == format_instant(monday + timedelta(days=number))
    assert end == format_instant(monday + timedelta(days=number + 7))


def test_all_time_has_neither_start_nor_end() -> None:
    assert window_at("total", datetime.now(UTC), "UTC") == ("", "")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("rolling:1m", 60),
        ("rolling:24h", 86400),
        ("rolling:31d", 31 * 86400),
        ("rolling:44640m", 31 * 86400),
        ("rolling:32d", None),
        ("rolling:44641m", None),
        ("rolling:0h", None),
        ("rolling:01h", None),
        ("rolling:60s", None),
        ("rolling:1h ", None),
        ("rolling:١h", None),
        ("rolling:", None),
        ("day", None),
    ],
)
def test_rolling_windows_are_a_minute_to_31_days_long(text: str, seconds: int | None) -> None:
    assert rolling_seconds(text) == seconds
    assert is_window(text) == (seconds is not None or text == "day")


@given(moments)
def test_rolling_windows_move_in_whole_seconds(moment: datetime) -> None:
    second = second_after(moment)
    assert moment <= second < moment + timedelta(seconds=1)
    assert not second.microsecond


@given(fixed, moments, zones, week_starts)
def test_a_window_is_the_same_from_its_first_instant_to_its_last(
    window: str, moment: datetime, zone: str, week_start: str
) -> None:
    span = window_at(window, moment, zone, week_start)
    start, end = instant(span.start), instant(span.end)
    assert start <= moment < end
    assert window_at(window, start, zone, week_start) == span
    assert window_at(window, end - MICROSECOND, zone, week_start) == span


@given(fixed, moments, zones, week_starts)
def test_the_next_window_begins_where_one_ends(window: str, moment: datetime, zone: str, week_start: str) -> None:
    span = window_at(window, moment, zone, week_start)
    after = window_at(window, instant(span.end), zone, week_start)
    before = window_at(window, instant(span.start) - MICROSECOND, zone, week_start)
    assert (before.end, after.start) == (span.start, span.end)


@given(fixed, moments, zones, week_starts)
def test_windows_are_those_that_a_look_at_the_clock_finds(
    window: str, moment: datetime, zone: str, week_start: str
) -> None:
    expected = naive_window(window, moment, zone, week_start)
    span = window_at(window, moment, zone, week_start)
    assert (instant(span.start), instant(span.end)) == expected
