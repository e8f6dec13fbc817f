"""Grants as rows: loaded and written by the rail, made and canceled by jobs, the same on every database.

Whoever changes a grant has locked its wallet's row, as the rail does: a cancellation comes before or after an
occurrence, never while it is credited.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import Struct, structs

from credit_wallet.domain.acts import Act, Author
from credit_wallet.domain.commands import Command, CreditGrant
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.grants import (
    MAX_GRANTS,
    GrantOccurrence,
    GrantState,
    GrantView,
    Lapse,
    Rhythm,
    Terms,
    occurrence_at,
)
from credit_wallet.domain.money import MICROS, decimal_text
from credit_wallet.domain.outcomes import LotKind
from credit_wallet.errors import (
    GrantNotFound,
    IdempotencyConflict,
    InvalidRequest,
    TooManyGrants,
    WalletNotFound,
)
from credit_wallet.rules.decision import Decision
from credit_wallet.rules.state import Snapshot
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.acts import record
from credit_wallet.stores.sql import statements
from credit_wallet.stores.standing_rows import require_open

_SQL = statements("grants.sql")


class NewGrant(Struct, frozen=True):
    """A grant to be made. ``starts_at`` None is now."""

    wallet_id: int
    idempotency_key: str
    amount_micros: int
    kind: LotKind
    starts_at: str | None
    every: Rhythm | None
    until: str | None
    lapse: Lapse
    lapse_days: int
    note: str | None


# The rail


def load_grants(connection: Connection, snapshot: Snapshot, commands: Sequence[Command]) -> None:
    """Load the grants that ``commands`` name, if any."""
    for command in commands:
        if type(command) is CreditGrant and command.grant_id not in snapshot.grants:
            named = {"wallet_id": command.wallet_id, "grant_id": command.grant_id}
            for row in connection.execute(_SQL["state"], named).fetchall():
                snapshot.grants[command.grant_id] = _state(row)


def write_grants(connection: Connection, decision: Decision) -> None:
    """Write how far grants have got, and the occurrences that have come."""
    for grant in decision.touched_grants.values():
        connection.execute(_SQL["advance"], _named(grant, _ADVANCED))
    for occurrence in decision.granted:
        connection.execute(_SQL["put_occurrence"], structs.asdict(occurrence))


_ADVANCED = ("wallet_id", "grant_id", "next_occurrence", "next_at", "due_at")


def _named(grant: GrantState, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(grant, name) for name in names}


def _state(row: tuple[Any, ...]) -> GrantState:
    grant_id, wallet_id, amount_yen, amount_fraction, *rest = row
    return GrantState(grant_id, wallet_id, amount_yen * MICROS + amount_fraction, *rest)


# Jobs


def create_grant(connection: Connection, new: NewGrant, author: Author, now: datetime) -> int:
    """Make a grant, unless the same request has made it; return its id.

    Raises ``WalletNotFound``, ``WalletClosed``, ``InvalidRequest``, ``IdempotencyConflict`` and ``TooManyGrants``.
    """
    at, this = format_instant(now), {"wallet_id": new.wallet_id}
    zones = connection.execute(_SQL["lock_wallet"], this).fetchall()
    if not zones:
        raise WalletNotFound(f"there is no wallet {new.wallet_id}; check the id", wallet_id=new.wallet_id)
    named = {**this, "idempotency_key": new.idempotency_key}
    for grant_id, *made in connection.execute(_SQL["of_request"], named).fetchall():
        if _is_same(new, made):
            return int(grant_id)
        raise IdempotencyConflict(
            f"idempotency key {new.idempotency_key!r} was used for a different grant; send a new key for another one",
            idempotency_key=new.idempotency_key,
        )
    require_open(connection, new.wallet_id)
    [(running,)] = connection.execute(_SQL["count_running"], {**this, "max": MAX_GRANTS}).fetchall()
    if running >= MAX_GRANTS:
        raise TooManyGrants(
            f"wallet {new.wallet_id} has {MAX_GRANTS} grants with credit still to come, the maximum; cancel one first",
            max=MAX_GRANTS,
        )
    starts_at = new.starts_at or at
    [(time_zone,)] = zones
    terms = Terms(starts_at, new.every, new.until, new.lapse, new.lapse_days, time_zone)
    next_at = occurrence_at(terms, 0)
    if next_at is None:
        raise InvalidRequest(f"until must be after the grant starts, at {starts_at}", field="until")
    [(grant_id,)] = connection.execute(
        _SQL["create"], {**_columns(new), "starts_at": starts_at, "created_at": at, "next_at": next_at}
    ).fetchall()
    settings = {name: value for name, value in structs.asdict(new).items() if name not in _NOT_TERMS}
    promised = {"amount": decimal_text(new.amount_micros), **settings, "starts_at": starts_at}
    record(connection, author, Act("grant.created", f"grant:{grant_id}", new.wallet_id, after=promised), now)
    return int(grant_id)


_NOT_TERMS = ("wallet_id", "idempotency_key", "amount_micros")


def _columns(new: NewGrant) -> dict[str, Any]:
    amount_yen, amount_fraction = divmod(new.amount_micros, MICROS)
    return {
        "wallet_id": new.wallet_id,
        "idempotency_key": new.idempotency_key,
        "amount_yen": amount_yen,
        "amount_fraction": amount_fraction,
        "kind": new.kind,
        "starts_at": new.starts_at,
        "every": new.every,
        "until_at": new.until,
        "lapses": new.lapse,
        "lapse_days": new.lapse_days,
        "note": new.note,
    }


def _is_same(new: NewGrant, made: Sequence[Any]) -> bool:
    """Whether a grant is what a request asks for; one that started when it was made was asked for without a start."""
    wanted = _columns(new)
    *terms, _, created_at = made
    names = [name for name in wanted if name not in ("wallet_id", "idempotency_key")]
    there = dict(zip(names, terms, strict=True))
    if new.starts_at is None and there["starts_at"] == created_at:
        wanted["starts_at"] = created_at
    return all(wanted[name] == there[name] for name in names)


def cancel_grant(connection: Connection, grant_id: int, author: Author, now: datetime) -> None:
    """Cancel a grant, unless it has ended. Raises ``GrantNotFound``."""
    owners = connection.execute(_SQL["owner_of"], {"grant_id": grant_id}).fetchall()
    if not owners:
        raise no_grant(grant_id)
    [(wallet_id,)] = owners
    connection.execute(_SQL["lock_wallet"], {"wallet_id": wallet_id})
    named = {"wallet_id": wallet_id, "grant_id": grant_id, "at": format_instant(now)}
    if connection.execute(_SQL["cancel"], named).fetchall():
        record(connection, author, Act("grant.canceled", f"grant:{grant_id}", wallet_id), now)


def no_grant(grant_id: int) -> GrantNotFound:
    """The refusal for a grant that does not exist."""
    return GrantNotFound(f"there is no grant {grant_id}; check the id", grant_id=grant_id)


# Reading


def due_grants(source: Source, now: datetime, limit: int) -> list[tuple[int, int, int]]:
    """Wallet, grant and next occurrence of up to ``limit`` grants that are due."""
    rows = source.rows(_SQL["due"], {"at": format_instant(now), "limit": limit})
    return [(wallet_id, grant_id, occurrence) for wallet_id, grant_id, occurrence in rows]


def grant(source: Source, grant_id: int) -> GrantView:
    """Raises ``GrantNotFound``."""
    for row in source.rows(_SQL["show"], {"grant_id": grant_id}):
        return _view(row)
    raise no_grant(grant_id)


def grants(source: Source, wallet_id: int | None, after: int, limit: int) -> list[GrantView]:
    """Up to ``limit`` grants of a wallet, or of all, with an id above ``after``, by id."""
    page: dict[str, Any] = {"after": after, "limit": limit}
    if wallet_id is None:
        return [_view(row) for row in source.rows(_SQL["list"], page)]
    return [_view(row) for row in source.rows(_SQL["list_of"], {**page, "wallet_id": wallet_id})]


def occurrences(source: Source, of: GrantView, before: int, limit: int) -> list[GrantOccurrence]:
    """Up to ``limit`` occurrences of a grant with a number below ``before``, newest first."""
    named = {"wallet_id": of.wallet_id, "grant_id": of.grant_id, "before": before, "limit": limit}
    return [GrantOccurrence(*row) for row in source.rows(_SQL["occurrences"], named)]


def _view(row: tuple[Any, ...]) -> GrantView:
    grant_id, wallet_id, yen, fraction, kind, starts_at, every, until, lapse, lapse_days, note, created_at, *rest = row
    occurrences, next_at, due_at, canceled_at = rest
    return GrantView(
        grant_id=grant_id,
        wallet_id=wallet_id,
        amount_micros=yen * MICROS + fraction,
        promo=kind == "promo",
        starts_at=starts_at,
        every=every,
        until=until,
        lapses=lapse_days if lapse == "days" else lapse,
        note=note,
        created_at=created_at,
        occurrences=occurrences,
        next_at=next_at,
        retry_at=None if due_at == next_at else due_at,
        canceled_at=canceled_at,
    )
