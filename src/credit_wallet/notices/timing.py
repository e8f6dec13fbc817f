"""When a notice is sent: quiet hours, digests, and the pace of trying again. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from itertools import count
from zoneinfo import ZoneInfo

from credit_wallet.domain.backoff import no_sooner_than_asked
from credit_wallet.notices.targets import TargetSettings

RETRY_SECONDS = (5, 30, 120, 600, 1_800, 3_600, 2 * 3_600, 4 * 3_600, 8 * 3_600, *(12 * 3_600,) * 4, 8 * 3_600)
"""After the first attempt, the second, and so on: three days in all."""

MAX_ATTEMPTS = len(RETRY_SECONDS) + 1

GIVEN_UP_AFTER = timedelta(seconds=sum(RETRY_SECONDS))
"""How old a delivery is when it is given up on because its target has failed all the time."""

LONGEST_WAIT_SECONDS = 12 * 3_600
"""The most that a receiver's ``Retry-After`` counts for."""


def first_attempt_at(target: TargetSettings, now: datetime) -> datetime:
    """When an event that happens at ``now`` is sent to ``target``."""
    return _after_quiet_hours(target, _digest_at(target, now))


def next_attempt_at(
    target: TargetSettings, attempts: int, now: datetime, retry_after_seconds: float
) -> datetime | None:
    """When to try again after the failure of attempt number ``attempts``; None when three days are over."""
    if attempts >= MAX_ATTEMPTS:
        return None
    pause = no_sooner_than_asked(RETRY_SECONDS[attempts - 1], retry_after_seconds, LONGEST_WAIT_SECONDS)
    return _after_quiet_hours(target, now + timedelta(seconds=pause))


def rests_until(failures: int, now: datetime, retry_after_seconds: float) -> datetime:
    """When a target that has failed ``failures`` times in a row, 1 or more, is tried again at the earliest."""
    usual = RETRY_SECONDS[min(failures, len(RETRY_SECONDS)) - 1]
    return now + timedelta(seconds=no_sooner_than_asked(usual, retry_after_seconds, LONGEST_WAIT_SECONDS))


def postponed_to(now: datetime, hours_ahead: int) -> datetime:
    """``now``, or the beginning of an hour (UTC) after this one."""
    if not hours_ahead:
        return now
    return now.replace(minute=0, second=0, microsecond=0) + timedelta(hours=hours_ahead)


def _digest_at(target: TargetSettings, now: datetime) -> datetime:
    if target.digest is None:
        return now
    zone = ZoneInfo(target.time_zone)
    if target.digest == "hourly":
        return _full_hour_after(now, zone)
    return next(_readings(time.fromisoformat(target.digest), now, zone))


def _after_quiet_hours(target: TargetSettings, at: datetime) -> datetime:
    """``at``, or the end of the quiet hours that it falls into."""
    if target.quiet_hours is None:
        return at
    zone = ZoneInfo(target.time_zone)
    begins, ends = map(time.fromisoformat, target.quiet_hours.split("-"))

    def is_quiet(moment: datetime) -> bool:
        clock = moment.astimezone(zone).time()
        return begins <= clock < ends if begins <= ends else clock >= begins or clock < ends

    if not is_quiet(at):
        return at
    return next(end for end in _readings(ends, at, zone) if not is_quiet(end))


# Wall clocks. All of this compares instants: a wall time can come twice, or not at all.


def _full_hour_after(now: datetime, zone: ZoneInfo) -> datetime:
    """When the clocks of ``zone`` read a full hour next; they may be moved by half an hour before they do."""
    at = now
    while at == now or _past_the_hour(at, zone):
        at += timedelta(hours=1) - _past_the_hour(at, zone)
    return at


def _past_the_hour(moment: datetime, zone: ZoneInfo) -> timedelta:
    local = moment.astimezone(zone)
    return timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)


def _readings(clock: time, after: datetime, zone: ZoneInfo) -> Iterator[datetime]:
    """The instants after ``after`` at which the clocks of ``zone`` read ``clock``, in order.

    On the day that has an hour twice there may be two. On the day that lacks an hour, the instant at which the clocks
    are put past ``clock`` counts as that reading.
    """
    first_day = after.astimezone(zone).date() - timedelta(days=1)
    for days in count():
        wall = datetime.combine(first_day + timedelta(days=days), clock)
        for instant in _instants_of(wall, zone):
            if instant > after:
                yield instant


def _instants_of(wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """The instants that are ``wall`` (naive) in ``zone``: one, two in the hour that comes twice; see ``_readings``."""
    earlier, later = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if earlier <= later:
        return [earlier] if earlier == later else [earlier, later]
    before, behind = later, earlier  # PEP 495: in a gap, fold 0 is read by the offset before it and fold 1 by the other
    while behind - before > timedelta(seconds=1):
        middle = before + (behind - before) // 2
        if middle.astimezone(zone).replace(tzinfo=None) < wall:
            before = middle
        else:
            behind = middle
    return [behind.replace(microsecond=0)]
