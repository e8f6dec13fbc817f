"""Targets, deliveries and the outbox as rows: jobs in a transaction of their own, the same on every database."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, json

from credit_wallet.alerts.targets import OPERATOR, Secrets, Target, TargetSettings, address_of, is_webhook, rotated
from credit_wallet.alerts.texts import Notice
from credit_wallet.alerts.timing import first_attempt_at
from credit_wallet.cycle import format_instant
from credit_wallet.outcomes import DeliveryView
from credit_wallet.stores import Connection
from credit_wallet.stores.sql import statements

SQL = statements("notify.sql")

EVENTS_A_STEP = 200
DELIVERIES_A_STEP = 100

LEASE = timedelta(minutes=2)
"""How long a process that takes a delivery has for it; then, it has died or lost its way, and another may."""

REMOVED = "the target was removed"


class Chosen(Struct, frozen=True):
    """A target that a wallet is to have, known by its address.

    One that is there and stays as it is is left alone, stopped or not, unless ``again``. A new webhook gets a secret,
    and with ``rotate_secret`` one that is there.
    """

    settings: TargetSettings
    rotate_secret: bool = False
    again: bool = False


class Claimed(Struct, frozen=True):
    """A delivery that this process is to carry out: its attempt number ``attempts``."""

    delivery_id: int
    attempts: int
    notice: Notice
    target: Target


class Carried(Struct, frozen=True):
    """What became of an attempt; ``next_attempt_at`` None after a failure means never again."""

    delivery_id: int
    target_id: int
    error: str | None = None
    next_attempt_at: str | None = None
    gone: bool = False


def target_of(row: Sequence[Any]) -> Target:
    """A target from the columns of the statements ``targets`` and ``target``."""
    names = ("url", "kinds", "language", "quiet_hours", "digest", "time_zone", "target_id", "wallet_id", "secrets")
    values: dict[str, Any] = dict(zip((*names, "stopped", "created_at"), row, strict=True))
    values["kinds"] = json.decode(values["kinds"], type=tuple[str, ...])
    values["secrets"] = json.decode(values["secrets"], type=Secrets)
    return Target(**values)


def targets_of(connection: Connection, wallet_id: int) -> list[Target]:
    """A wallet's targets, oldest first."""
    return [target_of(row) for row in connection.execute(SQL["targets"], {"wallet_id": wallet_id}).fetchall()]


def put_targets(
    connection: Connection,
    wallet_id: int,
    choose: Callable[[list[Target]], Sequence[Chosen]],
    now: datetime,
) -> dict[int, str]:
    """Give a wallet the targets that ``choose`` makes of those it has; the secrets that are new, by target."""
    known = {target.url: target for target in targets_of(connection, wallet_id)}
    wanted = choose([*known.values()])
    for url in known.keys() - {chosen.settings.url for chosen in wanted}:
        _drop(connection, known[url])
    new: dict[int, str] = {}
    for chosen in wanted:
        before = known.get(chosen.settings.url)
        if before is not None and chosen == Chosen(settings_of(before)):
            continue
        secrets = () if before is None else before.secrets
        if is_webhook(chosen.settings.url) and (chosen.rotate_secret or not secrets):
            secrets = rotated(secrets, now)
        target_id = _put(connection, wallet_id, chosen.settings, secrets, format_instant(now))
        if secrets and (before is None or secrets != before.secrets):
            new[target_id] = secrets[0][0]
    return new


def _put(connection: Connection, wallet_id: int, settings: TargetSettings, secrets: Secrets, at: str) -> int:
    row = {
        **{name: getattr(settings, name) for name in TargetSettings.__struct_fields__},
        "kinds": json.encode(settings.kinds).decode(),
        "secrets": json.encode(secrets).decode(),
    }
    [(target_id,)] = connection.execute(SQL["put_target"], {**row, "wallet_id": wallet_id, "at": at}).fetchall()
    return int(target_id)


def _drop(connection: Connection, target: Target) -> None:
    this = {"target_id": target.target_id}
    connection.execute(SQL["bury_deliveries"], {**this, "reason": REMOVED}).fetchall()
    connection.execute(SQL["drop_target"], {**this, "wallet_id": target.wallet_id}).fetchall()


def hand_out(connection: Connection, now: datetime) -> int:
    """Make deliveries of the next events that nobody has handed out; return how many events there were."""
    events = connection.execute(SQL["hand_out"], {"limit": EVENTS_A_STEP}).fetchall()
    targets = {wallet_id: targets_of(connection, wallet_id) for wallet_id in {OPERATOR, *(row[1] for row in events)}}
    for event_id, wallet_id, kind, occurred_at in sorted(events):
        for target in (*targets[wallet_id], *targets[OPERATOR]):
            if target.wants(kind) and occurred_at >= target.created_at:
                row = {"wallet_id": wallet_id, "event_id": event_id, "target_id": target.target_id}
                due = {"next_attempt_at": format_instant(first_attempt_at(target, now)), "at": format_instant(now)}
                connection.execute(SQL["put_delivery"], {**row, **due})
    return len(events)


def claim(connection: Connection, now: datetime) -> list[Claimed]:
    """Take deliveries that are due, for ``LEASE``; those whose target or event has gone are dead."""
    at = format_instant(now)
    due = {"at": at, "lease": format_instant(now + LEASE), "limit": DELIVERIES_A_STEP}
    claimed = []
    for delivery_id, event_id, target_id, attempts in sorted(connection.execute(SQL["claim"], due).fetchall()):
        targets = connection.execute(SQL["target"], {"target_id": target_id}).fetchall()
        events = connection.execute(SQL["event"], {"event_id": event_id}).fetchall()
        target = target_of(targets[0]) if targets else None
        if target is None or target.stopped is not None or not events:
            reason = REMOVED if target is None else target.stopped or "the event was removed"
            connection.execute(SQL["failed"], _failure(delivery_id, reason, None, at))
        else:
            claimed.append(Claimed(delivery_id, attempts, notice_of(events[0]), target))
    return claimed


def notice_of(row: Sequence[Any]) -> Notice:
    """An event from the columns of the statement ``event``."""
    event_id, wallet_id, label, kind, payload, occurred_at, time_zone = row
    data = json.decode(payload, type=dict[str, Any])
    return Notice(event_id, wallet_id, label, kind, data, occurred_at, time_zone)


def record(connection: Connection, carried: Sequence[Carried], now: datetime) -> int:
    """Note what became of deliveries; return how many arrived."""
    at = format_instant(now)
    arrived = 0
    for each in carried:
        if each.error is None:
            for (event_id,) in connection.execute(
                SQL["delivered"], {"delivery_id": each.delivery_id, "at": at}
            ).fetchall():
                connection.execute(SQL["event_delivered"], {"event_id": event_id, "at": at})
            arrived += 1
            continue
        connection.execute(SQL["failed"], _failure(each.delivery_id, each.error, each.next_attempt_at, at))
        if each.gone:
            stop = {"target_id": each.target_id, "reason": each.error}
            connection.execute(SQL["stop_target"], stop).fetchall()
            connection.execute(SQL["bury_deliveries"], stop).fetchall()
    return arrived


def _failure(delivery_id: int, error: str | None, next_attempt_at: str | None, at: str) -> Mapping[str, Any]:
    return {
        "delivery_id": delivery_id,
        "status": "dead" if next_attempt_at is None else "pending",
        "next_attempt_at": next_attempt_at or at,
        "error": error,
    }


def resend(connection: Connection, delivery_id: int | None, now: datetime) -> int:
    """Send a delivery again, or with None all that are dead; return how many. Those without a target stay."""
    at = {"at": format_instant(now)}
    if delivery_id is None:
        return len(connection.execute(SQL["resend_dead"], at).fetchall())
    return len(connection.execute(SQL["resend"], {**at, "delivery_id": delivery_id}).fetchall())


def delivery_view(row: Sequence[Any]) -> DeliveryView:
    """From the columns of the statement ``deliveries``."""
    values = list(row)
    values[5] = REMOVED if row[5] is None else address_of(row[5])
    return DeliveryView(*values)


def settings_of(target: TargetSettings) -> TargetSettings:
    """What a target is asked to be, without what is known of it beside."""
    return TargetSettings(**{name: getattr(target, name) for name in TargetSettings.__struct_fields__})
