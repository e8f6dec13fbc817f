"""When the occurrences of grants come and when their credit lapses: months of every length, clocks that are put on."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_wallet.domain.cycle import format_instant, parse_instant
from credit_wallet.domain.grants import Lapse, Rhythm, Terms, lapses_at, occurrence_at


def terms(
    starts_at: str,
    time_zone: str = "UTC",
    *,
    every: Rhythm | None = "month",
    until: str | None = None,
    lapse: Lapse = "never",
    lapse_days: int = 0,
) -> Terms:
    start = datetime.fromisoformat(starts_at).replace(tzinfo=ZoneInfo(time_zone))
    end = None if until is None else format_instant(datetime.fromisoformat(until).replace(tzinfo=ZoneInfo(time_zone)))
    return Terms(format_instant(start), every, end, lapse, lapse_days, time_zone)


def local(instant: str | None, time_zone: str) -> str | None:
    return None if instant is None else parse_instant(instant).astimezone(ZoneInfo(time_zone)).isoformat()[:16]


MONTHS = [
    ("the 31st", "2026-01-31T09:00", "UTC", 3, ["01-31T09:00", "02-28T09:00", "03-31T09:00"]),
    ("the 31st of a leap year", "2028-01-31T09:00", "UTC", 3, ["01-31T09:00", "02-29T09:00", "03-31T09:00"]),
    ("a leap day", "2028-02-29T00:00", "Asia/Tokyo", 2, ["02-29T00:00", "03-29T00:00"]),
    ("the turn of a year", "2026-11-30T00:00", "Asia/Tokyo", 4,
     ["11-30T00:00", "12-30T00:00", "01-30T00:00", "02-28T00:00"]),
    ("a time that clocks skip", "2026-02-08T02:30", "America/New_York", 3,
     ["02-08T02:30", "03-08T03:30", "04-08T02:30"]),
    ("a time that clocks show twice", "2026-10-01T01:30", "America/New_York", 2, ["10-01T01:30", "11-01T01:30"]),
    ("a midnight that clocks skip", "2026-02-27T00:00", "Asia/Beirut", 3,
     ["02-27T00:00", "03-27T00:00", "04-27T00:00"]),
]  # fmt: skip


@pytest.mark.parametrize(("name", "starts_at", "time_zone", "count", "days"), MONTHS, ids=[each[0] for each in MONTHS])
def test_months_go_by_the_clocks_of_the_wallet(
    name: str, starts_at: str, time_zone: str, count: int, days: list[str]
) -> None:
    of = terms(starts_at, time_zone)
    assert [(local(occurrence_at(of, number), time_zone) or "")[5:] for number in range(count)] == days, name


def test_of_a_time_that_clocks_show_twice_it_is_the_first() -> None:
    assert occurrence_at(terms("2026-10-01T01:30", "America/New_York"), 1) == "2026-11-01T05:30:00.000Z"


def test_a_leap_day_comes_again_on_the_last_of_february() -> None:
    of = terms("2028-02-29T12:00")
    assert occurrence_at(of, 12) == "2029-02-28T12:00:00.000Z"
    assert occurrence_at(of, 48) == "2032-02-29T12:00:00.000Z"


ENDS: list[tuple[str, Terms, list[str | None]]] = [
    ("once", terms("2026-05-15T12:00", every=None), ["2026-05-15T12:00:00.000Z", None]),
    (
        "until before the third",
        terms("2026-05-15T12:00", until="2026-07-15T12:00"),
        ["2026-05-15T12:00:00.000Z", "2026-06-15T12:00:00.000Z", None],
    ),
    ("until before it starts", terms("2026-05-15T12:00", until="2026-05-15T12:00"), [None]),
    ("the end of the years", terms("9998-12-01T00:00"), ["9998-12-01T00:00:00.000Z", None]),
]


@pytest.mark.parametrize(("name", "of", "instants"), ENDS, ids=[each[0] for each in ENDS])
def test_a_grant_ends(name: str, of: Terms, instants: list[str | None]) -> None:
    assert [occurrence_at(of, number) for number in range(len(instants))] == instants, name


LAPSES: list[tuple[str, Terms, int, str | None]] = [
    ("never", terms("2026-01-31T09:00"), 0, None),
    ("with the next one", terms("2026-01-31T09:00", lapse="next"), 0, "2026-02-28T09:00:00.000Z"),
    ("the last one too", terms("2026-01-31T09:00", lapse="next", until="2026-02-01T00:00"), 0,
     "2026-02-28T09:00:00.000Z"),
    ("after days", terms("2026-01-31T09:00", lapse="days", lapse_days=30), 1, "2026-03-30T09:00:00.000Z"),
    (
        "after days of 23 hours",
        terms("2026-03-07T09:00", "America/New_York", lapse="days", lapse_days=1),
        0,
        "2026-03-08T13:00:00.000Z",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "of", "number", "instant"), LAPSES, ids=[each[0] for each in LAPSES])
def test_credit_lapses_counted_from_when_it_was_to_come(name: str, of: Terms, number: int, instant: str | None) -> None:
    assert lapses_at(of, number) == instant, name


@given(
    st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),  # noqa: DTZ001  - local times
    st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York", "Asia/Beirut", "Pacific/Apia", "Australia/Lord_Howe"]),
    st.integers(0, 240),
)
def test_occurrences_come_one_after_the_other_a_month_apart(start: datetime, time_zone: str, number: int) -> None:
    of = Terms(format_instant(start.replace(tzinfo=ZoneInfo(time_zone))), "month", None, "next", 0, time_zone)
    at, following = occurrence_at(of, number), occurrence_at(of, number + 1)
    assert at is not None
    assert following is not None
    days = (parse_instant(following) - parse_instant(at)).total_seconds() / 86_400
    assert 27 <= days <= 33
    assert lapses_at(of, number) == following
