"""The queues of notices: events are fanned out to their targets, and each target is the queue of its deliveries.

A sender leases targets, not deliveries: a leased target is not offered to others until its lease ends or it is
released, so the backlog and failures of one target do not affect others. Jobs in separate transactions, the same on
every database; rows of targets are locked in order of their ids.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec import Struct, json

from credit_wallet.domain.cycle import format_instant
from credit_wallet.notices.confirming import new_code
from credit_wallet.notices.recipients import (
    OF_A_WALLET_AN_HOUR,
    TOO_MANY_OF_WALLET,
    TOO_MANY_VALUES,
    Allotment,
    Place,
    hears,
    is_bounded,
)
from credit_wallet.notices.targets import OPERATOR, Channel, Target, channel_of
from credit_wallet.notices.texts import Notice
from credit_wallet.notices.timing import GIVEN_UP_AFTER, MAX_ATTEMPTS
from credit_wallet.stores import Connection
from credit_wallet.stores.jobs.budget_values import hold_back
from credit_wallet.stores.jobs.mailboxes import count_notices, mail_waits_until, put_code
from credit_wallet.stores.notification_rows import REMOVED, SQL, target_of, targets_of

EVENTS_A_STEP = 200
TARGETS_A_STEP = 50

LEASE = timedelta(minutes=2)
"""The lease of a target: after it, the process is presumed dead and another may take the target."""

WEBHOOKS_A_TURN = 20
"""Deliveries taken at once for a webhook; only one after a failure."""

NOTICES_A_MESSAGE = 100
"""Maximum notices in one message to people."""


class Leased(Struct, frozen=True):
    """A delivery for this process to attempt: attempt number ``attempts``."""

    delivery_id: int
    attempts: int
    notice: Notice
    target: Target


class Turn(Struct, frozen=True):
    """A target leased until ``lease``, and its deliveries; ``failures`` counts its latest failures in a row.

    With a ``code``, only a confirmation request is sent to its mailbox.
    """

    target: Target
    lease: str
    failures: int
    leased: tuple[Leased, ...] = ()
    code: str | None = None


class Result(Struct, frozen=True):
    """The result of an attempt; ``next_attempt_at`` None after a failure means that it is not retried."""

    delivery_id: int
    target_id: int
    error: str | None = None
    next_attempt_at: str | None = None
    gone: bool = False


class Settled(Struct, frozen=True):
    """The result of a turn: the deliveries that were tried, those that were not, and until when the target pauses.

    ``failures`` counts the target's failures in a row. ``error`` is why a mailbox could not be asked.
    """

    turn: Turn
    results: tuple[Result, ...] = ()
    untried: tuple[int, ...] = ()
    failures: int = 0
    rests_until: str = ""
    error: str | None = None


class Places(NamedTuple):
    """Places for targets of a kind: of one channel, with a number of failures in a row."""

    channel: Channel
    min_failures: int
    max_failures: int
    free: int


class Taken(NamedTuple):
    """The turns taken for each kind of place, whether others wait for them, and whether more may remain."""

    turns: list[list[Turn]]
    crowded: list[bool]
    more: bool


# Events


def fan_out(connection: Connection, now: datetime) -> int:
    """Fan out the next events into deliveries; return how many events there were."""
    events = connection.execute(SQL["fan_out"], {"limit": EVENTS_A_STEP}).fetchall()
    targets = {
        wallet_id: targets_of(connection, wallet_id)
        for wallet_id in {OPERATOR, *(wallet_id for _, wallet_id, *_ in events)}
    }
    held_back = hold_back(connection, events, now)
    others = [event for event in events if event[0] not in held_back]
    beyond = _beyond_hour(connection, others, now) if targets[OPERATOR] else frozenset()
    allotments: dict[int, Allotment] = {}
    for event_id, wallet_id, kind, occurred_at, _ in sorted(events):
        for target in (*targets[wallet_id], *targets[OPERATOR]):
            if hears(target, kind, occurred_at):
                allotment = allotments.setdefault(target.target_id, Allotment(target, now))
                if event_id in held_back:
                    place = allotment.none(TOO_MANY_VALUES)
                elif target.wallet_id == OPERATOR and event_id in beyond:
                    place = allotment.none(TOO_MANY_OF_WALLET)
                else:
                    place = allotment.next(kind)
                row = {"wallet_id": wallet_id, "event_id": event_id, "target_id": target.target_id}
                connection.execute(SQL["put_delivery"], {**row, **_columns_of(place), "at": format_instant(now)})
    for target_id, allotment in sorted(allotments.items()):
        if allotment.due_at is not None:
            _note_fanned_out(connection, target_id, allotment)
    return len(events)


def _columns_of(place: Place) -> Mapping[str, Any]:
    status = "pending" if place.dead_because is None else "dead"
    return {"status": status, "error": place.dead_because, "next_attempt_at": place.due_at}


def _note_fanned_out(connection: Connection, target_id: int, allotment: Allotment) -> None:
    named = {"target_id": target_id, "hour": allotment.hour}
    row = {**named, "hour_notices": allotment.notices, "due_at": allotment.due_at}
    if not connection.execute(SQL["note_fanned_out"], row).fetchall():  # it was removed meanwhile
        connection.execute(SQL["dead_letter"], {"target_id": target_id, "reason": REMOVED}).fetchall()


def _beyond_hour(connection: Connection, events: Sequence[Any], now: datetime) -> frozenset[int]:
    """The events beyond the operator's hourly limit for their wallets; counts them all."""
    bounded: dict[int, list[int]] = {}
    for event_id, wallet_id, kind, *_ in sorted(events):
        if is_bounded(kind):
            bounded.setdefault(wallet_id, []).append(event_id)
    beyond: set[int] = set()
    for wallet_id, event_ids in sorted(bounded.items()):
        above = count_notices(connection, wallet_id, len(event_ids), now) - OF_A_WALLET_AN_HOUR
        if above > 0:
            beyond.update(event_ids[-above:])
    return frozenset(beyond)


# Turns


def lease(connection: Connection, now: datetime, target_ids: Sequence[int]) -> list[Turn]:
    """Lease targets with due deliveries for ``LEASE``, except those taken meanwhile."""
    turns = (_take(connection, target_id, now) for target_id in sorted(target_ids))
    return [turn for turn in turns if turn is not None]


def _take(connection: Connection, target_id: int, now: datetime) -> Turn | None:
    """Lease a target, unless somebody was faster or nothing is due for it after all."""
    at, lease = format_instant(now), format_instant(now + LEASE)
    taken = connection.execute(SQL["take_target"], {"target_id": target_id, "at": at, "lease": lease}).fetchall()
    if not taken:
        return None
    [(*columns, failures)] = taken
    target = target_of(columns)
    if target.confirm_by is not None:
        return _to_be_asked(connection, Turn(target, lease, failures), at)
    channel = channel_of(target.url)
    if target.stopped is not None:
        connection.execute(SQL["dead_letter"], {"target_id": target_id, "reason": target.stopped}).fetchall()
    elif (
        channel == "mail" and target.wallet_id != OPERATOR and (later := mail_waits_until(connection, target.url, now))
    ):
        _free(connection, Turn(target, lease, failures), failures, later)
        return None
    limit = NOTICES_A_MESSAGE if channel != "webhook" else 1 if failures else WEBHOOKS_A_TURN
    due = {"target_id": target_id, "at": at, "lease": lease, "limit": limit}
    rows = sorted(connection.execute(SQL["take_deliveries"], due).fetchall())
    leased = [_leased(connection, target, row, at) for row in rows]
    turn = Turn(target, lease, failures, tuple(each for each in leased if each is not None))
    if not turn.leased:
        _free(connection, turn, failures, "")
        return None
    return turn


def _to_be_asked(connection: Connection, turn: Turn, at: str) -> Turn | None:
    target = turn.target
    if target.confirm_by is None or target.confirm_by <= at:
        connection.execute(SQL["note_asked"], {"target_id": target.target_id, "due_at": None})
        return None
    code = new_code()
    put_code(connection, target.target_id, code)
    return Turn(target, turn.lease, turn.failures, code=code)


def _leased(connection: Connection, target: Target, row: Sequence[int], at: str) -> Leased | None:
    """A delivery from the columns of ``take_deliveries``, with its event; without its event it is dead-lettered."""
    delivery_id, event_id, attempts = row
    events = connection.execute(SQL["event"], {"event_id": event_id}).fetchall()
    if events:
        return Leased(delivery_id, attempts, notice_of(events[0]), target)
    connection.execute(SQL["failed"], _failure(delivery_id, "the event was removed", None, at))
    return None


def notice_of(row: Sequence[Any]) -> Notice:
    """An event from the columns of the statement ``event``."""
    event_id, wallet_id, label, kind, payload, occurred_at, time_zone = row
    data = json.decode(payload, type=dict[str, Any])
    return Notice(event_id, wallet_id, label, kind, data, occurred_at, time_zone)


def _free(connection: Connection, turn: Turn, failures: int, rests_until: str) -> bool:
    """Release a target; false when its lease had ended and somebody else has it."""
    row = {"target_id": turn.target.target_id, "lease": turn.lease, "failures": failures, "rests_until": rests_until}
    if not connection.execute(SQL["free_target"], row).fetchall():
        return False
    row = {"target_id": turn.target.target_id, "rests_until": rests_until}
    connection.execute(SQL["next_due"], row)
    return True


def settle(connection: Connection, settled: Sequence[Settled], now: datetime) -> int:
    """Record the results of turns; return how many deliveries arrived."""
    at = format_instant(now)
    events: set[int] = set()
    arrived = 0
    for each in sorted(settled, key=lambda each: each.turn.target.target_id):
        for result in each.results:
            if result.error is None:
                rows = connection.execute(SQL["delivered"], {"delivery_id": result.delivery_id, "at": at}).fetchall()
                events.update(event_id for (event_id,) in rows)
                arrived += 1
            else:
                _note_failure(connection, result, at)
        for delivery_id in each.untried:
            connection.execute(SQL["release_delivery"], {"delivery_id": delivery_id, "at": at})
        _note_turn(connection, each, now)
    for event_id in sorted(events):
        connection.execute(SQL["event_delivered"], {"event_id": event_id, "at": at})
    return arrived


def _note_turn(connection: Connection, settled: Settled, now: datetime) -> None:
    turn, target_id = settled.turn, settled.turn.target.target_id
    if settled.failures >= MAX_ATTEMPTS:
        since = format_instant(now - GIVEN_UP_AFTER)
        reason = next((result.error for result in settled.results if result.error), settled.error)
        connection.execute(
            SQL["dead_letter_old"], {"target_id": target_id, "since": since, "reason": reason}
        ).fetchall()
    if _free(connection, turn, settled.failures, settled.rests_until) and turn.code is not None:
        due_at = None if settled.error is None else settled.rests_until
        connection.execute(SQL["note_asked"], {"target_id": target_id, "due_at": due_at})


def _note_failure(connection: Connection, result: Result, at: str) -> None:
    connection.execute(SQL["failed"], _failure(result.delivery_id, result.error, result.next_attempt_at, at))
    if result.gone:
        stop = {"target_id": result.target_id, "reason": result.error}
        connection.execute(SQL["stop_target"], stop).fetchall()
        connection.execute(SQL["dead_letter"], stop).fetchall()


def _failure(delivery_id: int, error: str | None, next_attempt_at: str | None, at: str) -> Mapping[str, Any]:
    return {
        "delivery_id": delivery_id,
        "status": "dead" if next_attempt_at is None else "pending",
        "next_attempt_at": next_attempt_at or at,
        "error": error,
    }
