"""Forgetting idempotency keys whose time is over, a bounded number of rows at a time so that charges go on between."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from credit_wallet.stores import Connection

ROWS_A_STEP = 5_000

_RANGE = """
SELECT count(*), max(idempotency_key)
FROM (SELECT idempotency_key FROM am_credit_idempotency
      WHERE idempotency_key > :after ORDER BY idempotency_key LIMIT :limit) AS next_keys
"""
_DELETE = """
DELETE FROM am_credit_idempotency
WHERE idempotency_key > :after AND idempotency_key <= :last AND created_on < :first_kept
RETURNING 1
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


def _prune_step(connection: Connection, after: str, first_kept: str) -> tuple[str | None, int]:
    rows, last = connection.execute(_RANGE, {"after": after, "limit": ROWS_A_STEP}).fetchall()[0]
    if not rows:
        return None, 0
    deleted = connection.execute(_DELETE, {"after": after, "last": last, "first_kept": first_kept}).fetchall()
    return last, len(deleted)
