"""Forgetting idempotency keys and purchases whose time is over, a bounded number of rows at a time, charges between."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from credit_wallet.stores import Connection

ROWS_A_STEP = 5_000


class _Kept(NamedTuple):
    """A table that is clustered by ``key``, and which of its rows may go: a pass reads it once and needs no index."""

    table: str
    key: str
    is_over: str


_KEPT = (
    _Kept("am_credit_idempotency", "idempotency_key", "created_on < :first_kept"),
    _Kept("am_credit_purchase", "purchase_key", "changed_on < :first_kept AND status <> 'running'"),
)


def prune(in_transaction: Callable[[Callable[[Any], Any]], Any], first_kept: str) -> int:
    """Delete what was last used before the day ``first_kept`` (YYYY-MM-DD); return how many rows.

    ``in_transaction`` calls a job with a connection in a write transaction of its own.
    """
    deleted = 0
    for kept in _KEPT:
        after: str | None = ""
        while after is not None:
            after, step = in_transaction(partial(_prune_step, kept=kept, after=after, first_kept=first_kept))
            deleted += step
    return deleted


def _prune_step(connection: Connection, kept: _Kept, after: str, first_kept: str) -> tuple[str | None, int]:
    table, key, is_over = kept
    rows, last = connection.execute(
        f"""
        SELECT count(*), max({key})
        FROM (SELECT {key} FROM {table} WHERE {key} > :after ORDER BY {key} LIMIT :limit) AS next_keys
        """,
        {"after": after, "limit": ROWS_A_STEP},
    ).fetchall()[0]
    if not rows:
        return None, 0
    deleted = connection.execute(
        f"DELETE FROM {table} WHERE {key} > :after AND {key} <= :last AND {is_over} RETURNING 1",
        {"after": after, "last": last, "first_kept": first_kept},
    ).fetchall()
    return last, len(deleted)
