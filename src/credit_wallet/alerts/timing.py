"""When a notice is sent: quiet hours, digests, and the pace of trying again. Pure."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

from credit_wallet.alerts.targets import TargetSettings

RETRY_SECONDS = (5, 30, 120, 600, 1_800, 3_600, 2 * 3_600, 4 * 3_600, 8 * 3_600, *(12 * 3_600,) * 4, 8 * 3_600)
"""After the first attempt, the second, and so on: three days in all."""

MAX_ATTEMPTS = len(RETRY_SECONDS) + 1

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
    asked_for = min(retry_after_seconds, LONGEST_WAIT_SECONDS)
    return _after_quiet_hours(target, now + timedelta(seconds=max(RETRY_SECONDS[attempts - 1], asked_for)))


def _digest_at(target: TargetSettings, now: datetime) -> datetime:
    if target.digest is None:
        return now
    local = now.astimezone(ZoneInfo(target.time_zone))
    if target.digest == "hourly":
        return (
            now
            + timedelta(hours=1)
            - timedelta(minutes=local.minute, seconds=local.second, microseconds=local.microsecond)
        )
    return _next(local, time.fromisoformat(target.digest)).astimezone(now.tzinfo)


def _after_quiet_hours(target: TargetSettings, at: datetime) -> datetime:
    """``at``, or the end of the quiet hours that it falls into."""
    if target.quiet_hours is None:
        return at
    begins, ends = map(time.fromisoformat, target.quiet_hours.split("-"))
    local = at.astimezone(ZoneInfo(target.time_zone))
    clock = local.time()
    quiet = begins <= clock < ends if begins <= ends else clock >= begins or clock < ends
    return _next(local, ends).astimezone(at.tzinfo) if quiet else at


def _next(local: datetime, clock: time) -> datetime:
    """When it is ``clock`` next, after ``local``, by the clocks of its time zone."""
    today = local.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0, fold=0)
    return today if today > local else today + timedelta(days=1)
