"""Erasure of personal data: texts of a closed wallet are emptied in steps, sealed ranges with the proof that they held.

A step over a sealed range proves it, empties the texts of one wallet, and leaves an act that names the seal and the
hash of the range as it is then. The seal itself stays as it is, so that later seals and anchors still follow from it.
"""

from __future__ import annotations

import re
from datetime import datetime
from functools import cache
from typing import Any

from credit_wallet.domain.acts import Act, Author
from credit_wallet.domain.causes import NOT_PAID_BACK, PAID_BACK, REINSTATED
from credit_wallet.domain.corrections import CorrectionReason
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.erasure import BEGUN, ENDED, SEALED, Erasure
from credit_wallet.errors import ErasureBlocked, RailBusy, WalletNotFound
from credit_wallet.rules.details import names_of, parse_detail, without_names
from credit_wallet.stores import Connection
from credit_wallet.stores.acts import record
from credit_wallet.stores.entry_names import kept_of
from credit_wallet.stores.jobs import seals
from credit_wallet.stores.sql import statements

ROWS_A_STEP = 5_000

SETTINGS = (
    *("wallet", "keys", "names", "reference", "terms", "payer", "grants", "keys_of_grants", "transfers"),
    *("budgets", "budget_changes"),
)
"""Statements that empty a wallet's settings, together."""

BOUNDED = ("deliveries", "events", "deliveries", "purchases", "requests")
"""Statements that delete up to ``ROWS_A_STEP`` rows; an event may have been fanned out before it is deleted."""

_BEGINNINGS = ("top-up", "clawed back from top-up", "restored to top-up", PAID_BACK, NOT_PAID_BACK, REINSTATED)
_NOTED_OF_TOPUPS = ", ".join(f"'{beginning} ' || t.topup_id" for beginning in _BEGINNINGS)
_IS_OWN = f"""
(e.note = 'served after it was given back' OR e.txn_type <> 'charge' AND EXISTS (
    SELECT 1 FROM am_credit_topup t WHERE t.wallet_id = e.wallet_id AND e.note IN ({_NOTED_OF_TOPUPS})))
"""
"""Whether an entry's note is the ledger's own, which says what was paid for which top-up."""

_IS_PERSON = "(actor = 'payer' AND author <> 'owner' AND author NOT LIKE 'agent:%' AND author NOT LIKE 'link:%')"
"""Whether an act's author names one of the owner's people."""


TOLD = ("label", "reference", "metadata", "note", "frozen_note", "address", "idempotency_key")
"""What an act's before and after have of people, as migration 315 has it."""


@cache
def _sql(dialect: str) -> dict[str, str]:
    told = ", ".join(f"'{name}'" if dialect else f"'$.{name}'" for name in TOLD)
    filled = {"{is_own}": _IS_OWN, "{is_person}": _IS_PERSON, "{told}": told}
    return {
        name: re.sub(r"\{\w+\}", lambda place: filled.get(place[0], place[0]), statement)
        for name, statement in statements("erasure.sql", dialect).items()
    }


def begin(
    connection: Connection,
    dialect: str,
    wallet_id: int,
    reason: CorrectionReason,
    note: str | None,
    author: Author,
    now: datetime,
) -> str | None:
    """Begin the erasure of a wallet, or go on with it; returns when it had ended, if it had.

    Raises ``WalletNotFound``, and ``ErasureBlocked`` for one that is not closed.
    """
    sql, named = _sql(dialect), {"wallet_id": wallet_id}
    rows = connection.execute(sql["closed"], named).fetchall()
    if not rows:
        raise WalletNotFound(f"there is no wallet {wallet_id}; check the id", wallet_id=wallet_id)
    if rows[0][0] is None:
        raise ErasureBlocked(
            f"wallet {wallet_id} is not closed, so more could be written about its people; close it, then erase it",
            wallet_id=wallet_id,
            blocked_by="open",
        )
    if connection.execute(sql["begin"], {**named, "at": format_instant(now)}).fetchall():
        record(connection, author, Act(BEGUN, f"wallet:{wallet_id}", wallet_id, reason=reason, note=note), now)
        return None
    [(_, ended_at)] = connection.execute(sql["erasure"], named).fetchall()
    connection.execute(sql["finish"], {**named, "at": None})
    return None if ended_at is None else str(ended_at)


def erase_settings(connection: Connection, dialect: str, wallet_id: int) -> int:
    """Empty the texts of a wallet's settings; returns how many rows had some."""
    return sum(_done(connection, dialect, name, wallet_id) for name in SETTINGS)


def erase_some(connection: Connection, dialect: str, name: str, wallet_id: int) -> int:
    """Carry out one of ``BOUNDED``; returns how many rows it has emptied."""
    return _done(connection, dialect, name, wallet_id)


def erase_holds(connection: Connection, dialect: str, wallet_id: int) -> int:
    """Empty notes and names of up to ``ROWS_A_STEP`` holds; returns how many had some."""
    sql = _sql(dialect)
    told = connection.execute(sql["told_holds"], {"wallet_id": wallet_id, "limit": ROWS_A_STEP}).fetchall()
    for hold_id, usage in told:
        row = {"hold_id": hold_id, "wallet_id": wallet_id, "usage": without_names(usage)}
        connection.execute(sql["empty_hold"], row)
    return len(told)


def erase_targets(connection: Connection, dialect: str, wallet_id: int) -> int:
    """Delete a wallet's notification targets, which have no deliveries any more; returns how many."""
    return _done(connection, dialect, "targets", wallet_id)


def _done(connection: Connection, dialect: str, name: str, wallet_id: int) -> int:
    return len(connection.execute(_sql(dialect)[name], {"wallet_id": wallet_id, "limit": ROWS_A_STEP}).fetchall())


def erase_sealed(
    connection: Connection, dialect: str, wallet_id: int, found_by: str, row_id: int, author: Author, now: datetime
) -> tuple[int, int, int]:
    """Empty a wallet's texts in the sealed range of an entry or an act; ``found_by`` is ``seal_of_entry`` or ``…_act``.

    Returns the last entry and the last act before the range, and how many rows had texts. Raises ``RailBusy`` when the
    entry has no seal yet, and ``ErasureBlocked`` when the range is not what was sealed.
    """
    sql = _sql(dialect)
    found = connection.execute(sql[found_by], {"id": row_id}).fetchall()
    if not found:
        raise RailBusy(
            f"{'entry' if found_by == 'seal_of_entry' else 'act'} {row_id} cannot be sealed yet, since a transaction "
            "is open that may add one before it; send the same request again"
        )
    [(seal_id,)] = found
    connection.execute(sql["lock_seal"], {"seal_id": seal_id}).fetchall()

    def rows(statement: str, parameters: dict[str, Any]) -> list[tuple[Any, ...]]:
        return [tuple(row) for row in connection.execute(statement, parameters).fetchall()]

    seal, before = seals.sealed_range(rows, seal_id)
    hash_now = seals.hash_now(rows, seal)
    if seals.range_hash(rows, seal, before) != hash_now:
        raise ErasureBlocked(
            f"the entries or acts of seal {seal_id} are not what was sealed, so nothing of them is erased; run verify",
            wallet_id=wallet_id,
            blocked_by="changed",
            seal_id=seal_id,
        )
    after_txn_id, after_act_id = seals.starts_after(before)
    counted = _emptied(connection, sql, wallet_id, (after_txn_id, seal.last_txn_id), (after_act_id, seal.last_act_id))
    if any(counted):
        entries, acts = counted
        new_hash = seals.range_hash(rows, seal, before)
        act = Act(
            SEALED,
            f"seal:{seal_id}",
            wallet_id,
            {"sha256": hash_now},
            {"sha256": new_hash, "entries": entries, "acts": acts},
        )
        record(connection, author, act, now)
    return after_txn_id, after_act_id, sum(counted)


def _emptied(
    connection: Connection, sql: dict[str, str], wallet_id: int, entries: tuple[int, int], acts: tuple[int, int]
) -> tuple[int, int]:
    """Empty texts of the entries and acts above the first id, up to the second; how many of each had some."""
    in_entries = {"wallet_id": wallet_id, "after": entries[0], "last": entries[1]}
    told = connection.execute(sql["told_entries"], in_entries).fetchall()
    for txn_id, own_note, detail in told:
        this = {"txn_id": txn_id, "wallet_id": wallet_id}
        names = names_of(parse_detail(detail))
        for named, name in () if names is None else kept_of(names):
            connection.execute(sql["drop_name"], {**this, "named": named, "name": name})
        connection.execute(sql["empty_entry"], {**this, "note": own_note, "detail": without_names(detail)})
    in_acts = {"wallet_id": wallet_id, "after": acts[0], "last": acts[1]}
    return len(told), len(connection.execute(sql["acts"], in_acts).fetchall())


def end(
    connection: Connection,
    dialect: str,
    wallet_id: int,
    ended_at: str | None,
    emptied: int,
    author: Author,
    now: datetime,
) -> Erasure:
    """End the erasure of a wallet: as it had ended before, unless something was ``emptied`` since."""
    sql, named = _sql(dialect), {"wallet_id": wallet_id}
    if ended_at is None or emptied:
        ended_at = format_instant(now)
        record(connection, author, Act(ENDED, f"wallet:{wallet_id}", wallet_id), now)
    connection.execute(sql["finish"], {**named, "at": ended_at})
    [(begun_at, erased_at)] = connection.execute(sql["erasure"], named).fetchall()
    return Erasure(wallet_id, begun_at, erased_at)
