"""Forgetting idempotency keys whose time is over, a bounded number of rows at a time so that charges go on between."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

ROWS_A_STEP = 5_000

_RANGE = """
SELECT count(*), max(idempotency_key)
FROM (SELECT idempotency_key FROM am_credit_idempotency WHERE idempotency_key > ? ORDER BY idempotency_key LIMIT ?)
"""
_DELETE = """
DELETE FROM am_credit_idempotency WHERE idempotency_key > ? AND idempotency_key <= ? AND created_on < ?
"""


def prune(in_transaction: Callable[[Callable[[Any], Any]], Any], first_kept: str) -> int:
    """Delete keys first used before the day ``first_kept`` (YYYY-MM-DD); return how many.

    ``in_transaction`` calls a job with a connection in a write transaction of its own. The table is clustered by key
    and walked in that order, so a pass reads it once and needs no index.
    """
    after: str | None = ""
    deleted = 0
    while after is not None:
        after, step = in_transaction(partial(_prune_step, after=after, first_kept=first_kept))
        deleted += step
    return deleted


def _prune_step(connection: Any, after: str, first_kept: str) -> tuple[str | None, int]:
    rows, last = connection.execute(_RANGE, (after, ROWS_A_STEP)).get
    if not rows:
        return None, 0
    connection.execute(_DELETE, (after, last, first_kept))
    return last, connection.changes()
