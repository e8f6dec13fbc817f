"""Operators and their keys as rows: jobs in separate transactions, the same on every database.

A job may be repeated when it is unknown whether it was committed: it recognises its token.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from credit_wallet.domain.acts import Act, Author
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.operators import OperatorKeyView, OperatorView
from credit_wallet.domain.permissions import Role
from credit_wallet.errors import KeyEnded, OperatorNameInUse, OperatorNotFound, TooManyTokens
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.acts import record
from credit_wallet.stores.sql import statements

SQL = statements("operators.sql")

MAX_OLDER_KEYS = 10
"""Maximum earlier keys of an operator that work besides the latest."""

KEYS_SHOWN = 100


def create(
    connection: Connection, prefix: str, token_hash: str, name: str, role: Role, author: Author, now: datetime
) -> tuple[int, int]:
    """Insert an operator with its first key; return the ids of both. Raises ``OperatorNameInUse``."""
    for key_id, operator_id in connection.execute(SQL["key_of_token"], {"token_hash": token_hash}).fetchall():
        return int(operator_id), int(key_id)
    row = {"name": name, "role": role, "now": format_instant(now)}
    made = connection.execute(SQL["create_operator"], row).fetchall()
    if not made:
        [(operator_id,)] = connection.execute(SQL["operator_named"], {"name": name}).fetchall()
        raise OperatorNameInUse(
            f"operator {operator_id} is called {name!r}, and a name stays whoever had it; choose another one",
            operator_id=operator_id,
        )
    [(operator_id,)] = made
    record(connection, author, _act("created", operator_id, after={"name": name, "role": role}), now)
    return int(operator_id), _add_key(connection, operator_id, prefix, token_hash, now)


def configure(connection: Connection, operator_id: int, role: Role, author: Author, now: datetime) -> None:
    """Give an operator another role. Raises ``OperatorNotFound`` and ``KeyEnded``."""
    before = _locked(connection, operator_id)
    if before != role:
        connection.execute(SQL["configure_operator"], {"operator_id": operator_id, "role": role})
        act = _act("configured", operator_id, before={"role": before}, after={"role": role})
        record(connection, author, act, now)


def rotate(
    connection: Connection,
    operator_id: int,
    prefix: str,
    token_hash: str,
    overlap: timedelta,
    author: Author,
    now: datetime,
) -> int:
    """Give an operator another key; return its id. Raises ``OperatorNotFound``, ``KeyEnded`` and ``TooManyTokens``."""
    _locked(connection, operator_id)
    for key_id, _ in connection.execute(SQL["key_of_token"], {"token_hash": token_hash}).fetchall():
        return int(key_id)
    named = {"operator_id": operator_id, "now": format_instant(now)}
    connection.execute(SQL["end_keys"], {**named, "ends_at": format_instant(now + overlap)})
    [(older,)] = connection.execute(SQL["count_keys"], named).fetchall()
    if older > MAX_OLDER_KEYS:
        raise TooManyTokens(
            f"{MAX_OLDER_KEYS} earlier keys of operator {operator_id} still work beside the latest; end them with "
            "overlap_seconds=0, or wait until one has ended",
            max=MAX_OLDER_KEYS,
        )
    key_id = _add_key(connection, operator_id, prefix, token_hash, now)
    overlaps = {"operator_key_id": key_id, "overlap_seconds": int(overlap.total_seconds())}
    record(connection, author, _act("key_rotated", operator_id, after=overlaps), now)
    return key_id


def revoke(connection: Connection, operator_id: int, author: Author, now: datetime) -> None:
    """Revoke an operator and all keys, for good. Raises ``OperatorNotFound``."""
    rows = connection.execute(SQL["lock_operator"], {"operator_id": operator_id}).fetchall()
    if not rows:
        raise _no_operator(operator_id)
    [(_, revoked_at)] = rows
    if revoked_at is None:
        connection.execute(SQL["revoke_operator"], {"operator_id": operator_id, "now": format_instant(now)})
        record(connection, author, _act("revoked", operator_id), now)


def revoke_key(connection: Connection, operator_id: int, operator_key_id: int, author: Author, now: datetime) -> None:
    """Revoke one key of an operator, for good. Raises ``OperatorNotFound`` when it has no such key."""
    named = {"operator_id": operator_id, "operator_key_id": operator_key_id, "now": format_instant(now)}
    if connection.execute(SQL["revoke_key"], named).fetchall():
        record(connection, author, _act("key_revoked", operator_id, after={"operator_key_id": operator_key_id}), now)


def operators(source: Source, after: int, limit: int) -> list[OperatorView]:
    """Operators with an id above ``after``, by id."""
    return [OperatorView(*row) for row in source.rows(SQL["operators"], {"after": after, "limit": limit})]


def operator(source: Source, operator_id: int) -> OperatorView:
    """Raises ``OperatorNotFound``."""
    for row in source.rows(SQL["operator"], {"operator_id": operator_id}):
        return OperatorView(*row)
    raise _no_operator(operator_id)


def keys(source: Source, operator_id: int) -> list[OperatorKeyView]:
    """The latest keys of an operator, newest first."""
    rows = source.rows(SQL["keys"], {"operator_id": operator_id, "limit": KEYS_SHOWN})
    return [OperatorKeyView(*row) for row in rows]


def _locked(connection: Connection, operator_id: int) -> str:
    """The role of an operator that is not revoked, whom nobody else changes until the transaction ends."""
    rows = connection.execute(SQL["lock_operator"], {"operator_id": operator_id}).fetchall()
    if not rows:
        raise _no_operator(operator_id)
    [(role, revoked_at)] = rows
    if revoked_at is not None:
        raise KeyEnded(
            f"operator {operator_id} was revoked at {revoked_at}; create another one", operator_id=operator_id
        )
    return str(role)


def _add_key(connection: Connection, operator_id: int, prefix: str, token_hash: str, now: datetime) -> int:
    row = {"token_hash": token_hash, "token_prefix": prefix, "now": format_instant(now)}
    [(key_id,)] = connection.execute(SQL["add_key"], {**row, "operator_id": operator_id}).fetchall()
    return int(key_id)


def _act(
    verb: str, operator_id: int, *, before: dict[str, Any] | None = None, after: dict[str, Any] | None = None
) -> Act:
    return Act(f"operator.{verb}", f"operator:{operator_id}", before=before, after=after)


def _no_operator(operator_id: int) -> OperatorNotFound:
    return OperatorNotFound(f"there is no operator {operator_id}; check the id", operator_id=operator_id)
