"""The id below which the ledger is complete, and the transactions that keep it from advancing.

An entry's id is drawn before its transaction commits, so a lower id may be committed after a higher one. A transaction
that has drawn an id holds a lock on the sequence, and one that writes an entry holds one on the ledger, until it ends;
a prepared transaction keeps them over restarts. Nobody else can add an entry below the last id drawn: not a transaction
of another database of the server, nor one of this database that only reads the ledger or has nothing to do with it.
"""

from __future__ import annotations

from time import monotonic, sleep
from typing import Any, NamedTuple

from credit_wallet.stores.jobs.seals import Holder
from credit_wallet.stores.postgres.connection import Raw

SETTLE_SECONDS = 1.0
"""How long sealing waits for transactions that may still commit an entry of its range."""

SETTLE_STEP_SECONDS = 0.01

_WRITERS = """
SELECT DISTINCT virtualtransaction, pid IS NULL FROM pg_locks
WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND relation IN (SELECT unnest(ARRAY[%s, %s]::regclass[])
                   UNION ALL
                   SELECT inhrelid FROM pg_inherits WHERE inhparent = %s::regclass)
"""
_SESSIONS = """
SELECT 'session ' || pid || ' of ' || coalesce(usename, 'nobody') || ' (' || coalesce(nullif(application_name, ''), '?')
           || coalesce(', ' || client_addr, '') || coalesce(', ' || state, '') || ')',
       CAST(extract(epoch FROM clock_timestamp() - xact_start) AS bigint)
FROM pg_stat_activity
WHERE pid IN (SELECT pid FROM pg_locks WHERE virtualtransaction = ANY (%s::text[]))
"""
_PREPARED = """
SELECT 'prepared transaction ' || quote_literal(gid) || ' of ' || owner,
       CAST(extract(epoch FROM clock_timestamp() - prepared) AS bigint)
FROM pg_prepared_xacts
WHERE transaction IN (SELECT transactionid FROM pg_locks
                      WHERE pid IS NULL AND locktype = 'transactionid' AND virtualtransaction = ANY (%s::text[]))
"""


class _Log(NamedTuple):
    """A table to which rows are added, and the sequence of their ids."""

    table: str
    sequence: str


_ENTRIES = _Log("am_credit_transaction_log", "am_credit_transaction_log_txn_id_seq")
_ACTS = _Log("am_credit_act", "am_credit_act_act_id_seq")


class _Writer(NamedTuple):
    """A transaction that may still add a row. ``transaction`` is its name in ``pg_locks``."""

    transaction: str
    prepared: bool


def settled_txn_id(raw: Raw) -> int:
    """The last id of an entry drawn so far, once every transaction that may have drawn an earlier one has ended; 0 when
    they do not end within ``SETTLE_SECONDS``.
    """
    return _settled(raw, _ENTRIES)


def settled_act_id(raw: Raw) -> int:
    """The same of acts."""
    return _settled(raw, _ACTS)


def _settled(raw: Raw, log: _Log) -> int:
    last_id: int = raw.execute(f"SELECT last_value FROM {log.sequence}").fetchall()[0][0]
    return 0 if _lasting_writers(raw, log) else last_id


def holders(raw: Raw) -> list[Holder]:
    """The transactions that may still add an entry below the last id drawn, the oldest first.

    Those that end within ``SETTLE_SECONDS`` are left out.
    """
    named = [[each.transaction for each in _lasting_writers(raw, _ENTRIES)]]
    rows: list[tuple[Any, ...]] = [*raw.execute(_SESSIONS, named), *raw.execute(_PREPARED, named)]
    return sorted((Holder(*row) for row in rows), key=lambda holder: -(holder.seconds or 0))


def _lasting_writers(raw: Raw, log: _Log) -> set[_Writer]:
    """The transactions that write now and have not ended after ``SETTLE_SECONDS``."""
    waited_for = _writers(raw, log)
    give_up_at = monotonic() + SETTLE_SECONDS
    while waited_for and monotonic() <= give_up_at:
        sleep(SETTLE_STEP_SECONDS)
        waited_for = _still_there(waited_for, _writers(raw, log))
    return waited_for


def _writers(raw: Raw, log: _Log) -> set[_Writer]:
    return {_Writer(*row) for row in raw.execute(_WRITERS, [log.sequence, log.table, log.table])}


def _still_there(waited_for: set[_Writer], now: set[_Writer]) -> set[_Writer]:
    """Those of ``waited_for`` that have not ended. One that was prepared meanwhile may have another name now."""
    return {writer for writer in now if writer in waited_for or writer.prepared}
