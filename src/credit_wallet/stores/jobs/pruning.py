"""Pruning: idempotency keys and purchases after days, closed rows that moved no money after months.

A pass reads a table once along its primary key, a bounded number of rows at a time with charges between, so that it
needs no index. Rows that the ledger's entries name are kept for good: charges and their captured holds, credited
top-ups, agent keys that have paid.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, NamedTuple

from credit_wallet.domain.cycle import day_number
from credit_wallet.domain.topups import OPEN
from credit_wallet.stores import Connection
from credit_wallet.stores.short_keys import DROP_LONG_KEYS

ROWS_A_STEP = 5_000


class _Kept(NamedTuple):
    """A table in the order of ``key``, whose values are all above ``first``, and the condition for deleting a row.

    ``ahead`` stands before the DELETE; ``also`` deletes what belongs to each row, by its key and its wallet.
    """

    table: str
    key: str
    is_over: str
    first: str | int = 0
    ahead: str = ""
    also: tuple[str, ...] = ()


_DAYS = (
    _Kept(
        "am_credit_idempotency",
        "idempotency_key",
        "created_on < CASE WHEN length(created_on) = 10 THEN :before ELSE :before_number END",  # days until 305
        "",
    ),
    _Kept("am_credit_purchase", "purchase_key", "changed_on < :before AND status <> 'running'", ""),
    _Kept("am_credit_session", "session_id", "created_at < :before"),
    _Kept("am_credit_link", "secret_hash", "created_at < :before", ""),
)

_CYCLES = """
WITH RECURSIVE cycle (billing_cycle) AS (
    SELECT min(billing_cycle) FROM am_credit_cycle_spend
    UNION ALL
    SELECT (SELECT min(s.billing_cycle) FROM am_credit_cycle_spend s WHERE s.billing_cycle > cycle.billing_cycle)
    FROM cycle WHERE cycle.billing_cycle IS NOT NULL
)
"""
"""The cycles in which there was spending, each found by one step along the primary key."""

_OPEN = ", ".join(f"'{status}'" for status in OPEN)
"""Top-ups that may still be credited, whose history proves that they were asked for."""

_MONTHS = (
    _Kept(
        "am_credit_hold",
        "hold_id",
        "status IN ('released', 'expired') AND captured_yen + captured_fraction + above_yen + above_fraction = 0 "
        "AND closed_at < :before",
    ),
    _Kept(
        "am_credit_topup_history",
        "event_id",
        f"""
        occurred_at < :before AND NOT EXISTS (
            SELECT 1 FROM am_credit_topup AS t
            WHERE t.topup_id = am_credit_topup_history.topup_id AND t.wallet_id = am_credit_topup_history.wallet_id
              AND t.status IN ({_OPEN})
        ) AND NOT EXISTS (
            SELECT 1 FROM am_credit_topup_history AS earlier
            WHERE earlier.topup_id = am_credit_topup_history.topup_id
              AND earlier.wallet_id = am_credit_topup_history.wallet_id
              AND earlier.event_id < am_credit_topup_history.event_id AND earlier.occurred_at >= :before
        )
        """,
    ),
    _Kept(
        "am_credit_topup",
        "topup_id",
        "status IN ('failed', 'canceled') AND received_yen = 0 AND credited_yen = 0 AND takings = '[]' "
        "AND updated_at < :before",
        "",
        also=("DELETE FROM am_credit_topup_history WHERE topup_id = :key AND wallet_id = :wallet_id",),
    ),
    _Kept(
        "am_credit_key",
        "key_id",
        """
        coalesce(revoked_at, expires_at) < :before
        AND held_yen + held_fraction + cycle_spent_yen + cycle_spent_fraction = 0 AND NOT EXISTS (
            SELECT 1 FROM cycle JOIN am_credit_cycle_spend AS s ON s.billing_cycle = cycle.billing_cycle
            WHERE s.wallet_id = am_credit_key.wallet_id AND s.key_id = am_credit_key.key_id
        )
        """,
        ahead=_CYCLES,
        also=(
            "DELETE FROM am_credit_secret WHERE wallet_id = :wallet_id AND key_id = :key",
            "DELETE FROM am_credit_end WHERE identity = 'key' AND identity_id = :key AND wallet_id = :wallet_id",
            "DELETE FROM am_credit_search_term WHERE wallet_id = :wallet_id AND key_id = :key",
            "DELETE FROM am_credit_profile WHERE wallet_id = :wallet_id AND key_id = :key",
        ),
    ),
    _Kept("am_credit_operator_key", "operator_key_id", "coalesce(revoked_at, ends_at) < :before"),
    _Kept("am_credit_revoked_token", "token_hash", "revoked_at < :before", ""),
    _Kept("am_credit_secret", "token_hash", "ends_at < :before", ""),
    _Kept("am_credit_grant", "grant_id", "canceled_at < :before AND next_occurrence = 0"),
)

InTransaction = Callable[[Callable[[Any], Any]], Any]
"""Calls a job with a connection in a separate write transaction."""


def prune(in_transaction: InTransaction, before: str, ended: Callable[[], bool]) -> int:
    """Delete idempotency keys and purchases last used, and sessions and links made, before a day; return how many rows.

    ``before`` is YYYY-MM-DD.

    ``ended`` is called between two steps; when it returns true, the rest is left for another time.
    """
    deleted = _prune(_DAYS, in_transaction, before, ended)
    if not ended():
        in_transaction(partial(_drop_long_keys, before=before))
    return deleted


def prune_closed(in_transaction: InTransaction, before: str, ended: Callable[[], bool]) -> int:
    """Delete rows that were closed before the instant ``before`` and moved no money; return how many."""
    return _prune(_MONTHS, in_transaction, before, ended)


def _prune(tables: Iterable[_Kept], in_transaction: InTransaction, before: str, ended: Callable[[], bool]) -> int:
    deleted = 0
    for kept in tables:
        after: str | int | None = kept.first
        while after is not None and not ended():
            after, step = in_transaction(partial(_prune_step, kept=kept, after=after, before=before))
            deleted += step
    return deleted


def _prune_step(connection: Connection, kept: _Kept, after: str | int, before: str) -> tuple[str | int | None, int]:
    table, key = kept.table, kept.key
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
        f"{kept.ahead} DELETE FROM {table} WHERE {key} > :after AND {key} <= :last AND {kept.is_over} "
        f"RETURNING {key}, wallet_id",
        {"after": after, "last": last, "before": before, "before_number": day_number(before[:10])},
    ).fetchall()
    for gone, wallet_id in deleted:
        for also in kept.also:
            connection.execute(also, {"key": gone, "wallet_id": wallet_id})
    return last, len(deleted)


def _drop_long_keys(connection: Connection, before: str) -> None:
    connection.execute(DROP_LONG_KEYS, {"before": before})
