"""Targets and deliveries as rows: jobs in separate transactions, the same on every database."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, json

from credit_wallet.domain.acts import Act, Author, difference
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.views import DeliveryView
from credit_wallet.notices.targets import (
    OPERATOR,
    Secrets,
    Target,
    TargetSettings,
    address_of,
    channel_of,
    is_webhook,
    rotated,
)
from credit_wallet.stores import Connection
from credit_wallet.stores.acts import record
from credit_wallet.stores.jobs import mailboxes
from credit_wallet.stores.sql import statements

SQL = statements("notify.sql")

REMOVED = "the target was removed"


class Chosen(Struct, frozen=True):
    """A requested target of a wallet, identified by its address.

    An existing target without changes is left alone, stopped or not, unless ``again``. A new webhook gets a secret, and
    with ``rotate_secret`` so does an existing one.
    """

    settings: TargetSettings
    rotate_secret: bool = False
    again: bool = False


_TARGET_COLUMNS = (
    "url",
    "kinds",
    "language",
    "quiet_hours",
    "digest",
    "time_zone",
    "target_id",
    "wallet_id",
    "secrets",
    "stopped",
    "created_at",
    "confirm_by",
    "hour",
    "hour_notices",
)


def target_of(row: Sequence[Any]) -> Target:
    """A target from the columns of the statements ``targets``, ``target`` and, but for its last, ``take_target``."""
    values: dict[str, Any] = dict(zip(_TARGET_COLUMNS, row, strict=True))
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
    *,
    confirmed: bool,
    author: Author,
) -> dict[int, str]:
    """Replace a wallet's targets by what ``choose`` makes of them; return the new secrets, by target.

    A new mailbox must be asked to confirm, unless it is already ``confirmed``. Raises ``TooManyConfirmations``.
    """
    mailboxes.delete_unconfirmed_of(connection, wallet_id, now)
    known = {target.url: target for target in targets_of(connection, wallet_id)}
    wanted = choose([*known.values()])
    for url in known.keys() - {chosen.settings.url for chosen in wanted}:
        _drop(connection, known[url])
        act = _act("removed", wallet_id, known[url].target_id, described(known[url]), None)
        record(connection, author, act, now)
    new: dict[int, str] = {}
    for chosen in wanted:
        before = known.get(chosen.settings.url)
        if before is not None and chosen == Chosen(settings_of(before)):
            continue
        secrets = () if before is None else before.secrets
        if is_webhook(chosen.settings.url) and (chosen.rotate_secret or not secrets):
            secrets = rotated(secrets, now)
        confirm_by = None
        if before is None and not confirmed and wallet_id != OPERATOR and channel_of(chosen.settings.url) == "mail":
            confirm_by = mailboxes.about_to_ask(connection, wallet_id, chosen.settings.url, now)
        target_id = _put(connection, wallet_id, chosen.settings, secrets, format_instant(now), confirm_by)
        if secrets and (before is None or secrets != before.secrets):
            new[target_id] = secrets[0][0]
        for act in _acts(wallet_id, target_id, before, chosen, has_new_secret=target_id in new):
            record(connection, author, act, now)
    return new


def _acts(
    wallet_id: int, target_id: int, before: Target | None, chosen: Chosen, *, has_new_secret: bool
) -> Iterator[Act]:
    """What was done to a target that is wanted: settings, and secrets of those that were there."""
    after = described(chosen.settings)
    if before is None:
        yield _act("added", wallet_id, target_id, None, after)
        return
    was, now = difference(described(before), after)
    if now:
        yield _act("configured", wallet_id, target_id, was, now)
    if has_new_secret:
        yield _act("secret_rotated", wallet_id, target_id, None, None)
    if chosen.again and before.stopped is not None:
        yield _act("restarted", wallet_id, target_id, {"stopped": before.stopped}, None)


def _act(done: str, wallet_id: int, target_id: int, before: dict[str, Any] | None, after: dict[str, Any] | None) -> Act:
    return Act(f"target.{done}", f"target:{target_id}", wallet_id, before, after)


def described(settings: TargetSettings) -> dict[str, Any]:
    """The settings of a target as the log of acts has them, without what its address has of secrets."""
    named = {name: getattr(settings, name) for name in TargetSettings.__struct_fields__ if name != "url"}
    return {"address": address_of(settings.url), **named}


def _put(
    connection: Connection,
    wallet_id: int,
    settings: TargetSettings,
    secrets: Secrets,
    at: str,
    confirm_by: str | None,
) -> int:
    row = {
        **{name: getattr(settings, name) for name in TargetSettings.__struct_fields__},
        "kinds": json.encode(settings.kinds).decode(),
        "secrets": json.encode(secrets).decode(),
        "channel": channel_of(settings.url),
        "confirm_by": confirm_by,
        "due_at": None if confirm_by is None else at,
    }
    [(target_id,)] = connection.execute(SQL["put_target"], {**row, "wallet_id": wallet_id, "at": at}).fetchall()
    return int(target_id)


def _drop(connection: Connection, target: Target) -> None:
    this = {"target_id": target.target_id}
    connection.execute(SQL["dead_letter"], {**this, "reason": REMOVED}).fetchall()
    connection.execute(SQL["drop_target"], {**this, "wallet_id": target.wallet_id}).fetchall()


def resend(connection: Connection, delivery_id: int | None, author: Author, now: datetime) -> int:
    """Resend a delivery, or with None all dead ones; return how many. Those without a target stay dead."""
    at = {"at": format_instant(now)}
    if delivery_id is None:
        rows = connection.execute(SQL["resend_dead"], at).fetchall()
    else:
        rows = connection.execute(SQL["resend"], {**at, "delivery_id": delivery_id}).fetchall()
    for target_id in sorted({target_id for target_id, _ in rows}):
        connection.execute(SQL["begin_anew"], {**at, "target_id": target_id})
    if rows:
        of = {wallet_id for _, wallet_id in rows}
        subject = "deliveries:dead" if delivery_id is None else f"delivery:{delivery_id}"
        wallet_id = of.pop() if len(of) == 1 else OPERATOR
        record(connection, author, Act("delivery.resent", subject, wallet_id, after={"deliveries": len(rows)}), now)
    return len(rows)


def delivery_view(row: Sequence[Any]) -> DeliveryView:
    """From the columns of the statement ``deliveries``."""
    delivery_id, wallet_id, event_id, kind, target_id, url, *progress = row
    address = REMOVED if url is None else address_of(url)
    return DeliveryView(delivery_id, wallet_id, event_id, kind, target_id, address, *progress)


def settings_of(target: TargetSettings) -> TargetSettings:
    """The settings of a target, without its state."""
    return TargetSettings(**{name: getattr(target, name) for name in TargetSettings.__struct_fields__})
