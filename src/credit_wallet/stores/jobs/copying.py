"""Copying a whole ledger from SQLite into an empty PostgreSQL database, and proving that it arrived.

verify SRC → copy every table in order of its key, one transaction a chunk → compare every row → verify DST → open it.
Nobody else can use SRC meanwhile, and DST refuses to be opened until the last step. An interrupted copy continues after
the last row that arrived.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from hashlib import sha256
from typing import Any, NamedTuple

import apsw
from msgspec import Struct, json

from credit_wallet.domain.cycle import format_instant
from credit_wallet.errors import CopyRefused
from credit_wallet.stores import Connection, Progress, migrations
from credit_wallet.stores.jobs.verify import Violation, verify
from credit_wallet.stores.postgres.connection import PostgresConnection, Raw, connect, transaction
from credit_wallet.stores.postgres.connection import naming_database_errors as naming_postgres_errors
from credit_wallet.stores.postgres.database import PostgresDatabase
from credit_wallet.stores.postgres.schema import PostgresSchema
from credit_wallet.stores.sqlite.connection import naming_database_errors as naming_sqlite_errors
from credit_wallet.stores.sqlite.database import SqliteDatabase, SqliteSource
from credit_wallet.stores.sqlite.ledger import LedgerConnection

ROWS_A_CHUNK = 10_000


class Table(NamedTuple):
    """A table of a ledger."""

    name: str
    key: tuple[str, ...]
    numbered: bool
    """Whether its key comes from a sequence."""


TABLES = (
    Table("am_credit_wallet", ("wallet_id",), True),
    Table("am_credit_transaction_log", ("txn_id",), True),
    Table("am_credit_spending_alert", ("alert_id",), True),
    Table("am_credit_lot", ("wallet_id", "lot_id"), False),
    Table("am_credit_hold", ("hold_id",), True),
    Table("am_credit_purchase", ("purchase_key", "wallet_id"), False),
    Table("am_credit_returned", ("wallet_id", "txn_id"), False),
    Table("am_credit_entry_name", ("named", "name", "wallet_id", "txn_id"), False),
    Table("am_credit_cycle_spend", ("billing_cycle", "wallet_id", "key_id"), False),
    Table("am_credit_end", ("identity", "identity_id", "wallet_id", "cause"), False),
    Table("am_credit_key", ("key_id",), True),
    Table("am_credit_idempotency", ("idempotency_key", "wallet_id"), False),
    Table("am_credit_outbox", ("event_id",), True),
    Table("am_credit_seal", ("seal_id",), True),
    Table("am_credit_topup", ("topup_id",), False),
    Table("am_credit_topup_history", ("event_id",), True),
    Table("am_credit_payer", ("wallet_id",), False),
    Table("am_credit_installation", ("installation_id",), False),
    Table("am_credit_threshold_alert", ("alert_id",), True),
    Table("am_credit_target", ("target_id",), True),
    Table("am_credit_delivery", ("delivery_id",), True),
    Table("am_credit_mail_count", ("wallet_id", "counted", "day"), False),
    Table("am_credit_hour_spend", ("wallet_id", "hour"), False),
    Table("am_credit_counted", ("counted",), False),
    Table("am_credit_month_total", ("month", "txn_type", "cause"), False),
    Table("am_credit_totals", ("totals_id",), False),
    Table("am_credit_quarter_total", ("quarter", "txn_type", "cause", "kind"), False),
    Table("am_credit_usage", ("wallet_id", "every", "dimension", "period", "value", "key_id"), False),
    Table("am_credit_usage_start", ("wallet_id",), False),
    Table("am_credit_seller", ("seller_id",), True),
    Table("am_credit_secret", ("token_hash", "wallet_id"), False),
    Table("am_credit_operator", ("operator_id",), True),
    Table("am_credit_operator_key", ("operator_key_id",), True),
    Table("am_credit_revoked_token", ("token_hash", "wallet_id"), False),
    Table("am_credit_session", ("session_id",), True),
    Table("am_credit_link", ("secret_hash", "wallet_id"), False),
    Table("am_credit_sale", ("wallet_id", "txn_id"), False),
    Table("am_credit_cycle_segment", ("wallet_id", "segment_no"), False),
    Table("am_credit_clawback", ("wallet_id", "credit_txn_id"), False),
    Table("am_credit_price_version", ("version", "wallet_id"), False),
    Table("am_credit_price", ("version", "wallet_id", "item", "price_group", "valid_from"), False),
    Table("am_credit_tier_usage", ("wallet_id", "item", "billing_cycle"), False),
    Table("am_credit_transfer", ("wallet_id", "transfer_id"), False),
    Table("am_credit_budget", ("budget_id",), True),
    Table("am_credit_budget_spent", ("wallet_id", "budget_id", "window_start", "value"), False),
    Table("am_credit_budget_held", ("wallet_id", "budget_id", "value"), False),
    Table("am_credit_budget_step", ("wallet_id", "budget_id", "value", "at"), False),
    Table("am_credit_budget_change", ("change_id",), True),
    Table("am_credit_grant", ("grant_id",), True),
    Table("am_credit_grant_occurrence", ("wallet_id", "grant_id", "occurrence"), False),
    Table("am_credit_auto_topup_consent", ("wallet_id", "consent_no"), False),
    Table("am_credit_reference", ("reference",), False),
    Table("am_credit_profile", ("wallet_id", "key_id"), False),
    Table("am_credit_search_term", ("term", "wallet_id", "key_id"), False),
    Table("am_credit_act", ("act_id",), True),
    Table("am_credit_erasure", ("wallet_id",), False),
)
"""Every table of a ledger, referenced tables first."""

_CREATE_MARK = "CREATE TABLE credit_wallet_copy (source TEXT NOT NULL, started_at TEXT NOT NULL)"
_MARK = "INSERT INTO credit_wallet_copy (source, started_at) VALUES (:source, :at)"
_MARK_EXISTS = "SELECT to_regclass('credit_wallet_copy') IS NOT NULL"
_MARKED = "SELECT source FROM credit_wallet_copy"
DELETE_OWN_ROWS = ("DELETE FROM am_credit_installation", "DELETE FROM am_credit_counted")
"""Rows that migrations put into a new database, and that SRC has its own of."""

_DROP_MARK = "DROP TABLE credit_wallet_copy"
_HAS_ROWS = "SELECT EXISTS (SELECT FROM am_credit_wallet) OR EXISTS (SELECT FROM am_credit_transaction_log)"
_STATE = """
SELECT count(*), sum(balance_yen), sum(held_yen), sum(debt_yen), max(updated_at) FROM am_credit_wallet
"""
_LAST_IDS = "SELECT name, seq FROM sqlite_sequence ORDER BY name"
_COLUMNS_HERE = "SELECT name FROM pragma_table_info(:table)"
_COLUMNS_THERE = """
SELECT column_name FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = :table
"""


class Copied(Struct, frozen=True):
    """The result of a copy."""

    rows: dict[str, int]
    """Rows by table, including those of an earlier, interrupted copy."""

    resumed: bool


def copy_ledger(source: SqliteDatabase, target: PostgresDatabase, now: datetime, progress: Progress) -> Copied:
    """Copy all of ``source`` into ``target``, which must be empty or hold the beginning of the same copy.

    Raises ``CopyRefused`` when one of them is unsuitable or the proof fails, and ``DatabaseError``.
    """
    with (
        naming_sqlite_errors(source.path),
        naming_postgres_errors(target.url),
        closing(source.open_alone(now)) as here,
        closing(connect(target.url)) as there,
    ):
        _require_sound("SRC", verify(SqliteSource(here, source.path)))
        migrations.migrate(PostgresSchema(there, target.url))
        resumed = _begin(here, there, now)
        tables = [(table, _columns(here, there, table)) for table in TABLES]
        rows = {table.name: _copy(here, there, table, columns, progress) for table, columns in tables}
        for table, columns in tables:
            _compare(here, there, table, columns, rows[table.name], progress)
        _continue_sequences(here, there)
        there.execute("ANALYZE")
        with closing(target.open_source()) as copied:
            _require_sound("DST", verify(copied))
        here.require_in_place()
        there.execute(_DROP_MARK)
    return Copied(rows, resumed)


def _require_sound(which: str, violations: list[Violation]) -> None:
    if violations:
        raise CopyRefused(
            f"the ledger of {which} breaks {len(violations)} invariants, the first of them {violations[0].message}; "
            "run credit-wallet verify",
            violations=len(violations),
        )


def _begin(here: apsw.Connection, there: Raw, now: datetime) -> bool:
    """Mark DST as the target of a copy; return whether an earlier copy had begun."""
    state = (here.execute(_STATE).fetchall(), here.execute(_LAST_IDS).fetchall())
    fingerprint = sha256(json.encode(state)).hexdigest()
    with transaction(there):
        [(marked,)] = there.execute(_MARK_EXISTS).fetchall()
        if not marked:
            if there.execute(_HAS_ROWS).fetchall() == [(True,)]:
                raise CopyRefused("the target has a ledger already; take an empty database")
            there.execute(_CREATE_MARK)
            for statement in DELETE_OWN_ROWS:
                there.execute(statement)
            PostgresConnection(there).execute(_MARK, {"source": fingerprint, "at": format_instant(now)})
        elif there.execute(_MARKED).fetchall() != [(fingerprint,)]:
            raise CopyRefused(
                "SRC has changed since this copy was begun, or is another ledger; copy into a new, empty database"
            )
    return bool(marked)


def columns_of(here: apsw.Connection, table: Table) -> list[str]:
    """The columns of a table in SQLite."""
    return [name for (name,) in here.execute(_COLUMNS_HERE, {"table": table.name})]


def _columns(here: apsw.Connection, there: Raw, table: Table) -> str:
    this = {"table": table.name}
    columns = columns_of(here, table)
    known = {name for (name,) in PostgresConnection(there).execute(_COLUMNS_THERE, this)}
    if missing := [name for name in columns if name not in known]:
        raise CopyRefused(f"{table.name} has columns in SRC that DST lacks: {', '.join(missing)}; add them to DST")
    return ", ".join(columns)


def _copy(here: LedgerConnection, there: Raw, table: Table, columns: str, progress: Progress) -> int:
    """Copy the rows that DST lacks of a table; return how many rows the table has."""
    total, done = (count_of(connection, table) for connection in (here, PostgresConnection(there)))
    key = ", ".join(table.key)
    backwards = ", ".join(f"{column} DESC" for column in table.key)
    last = there.execute(f"SELECT {key} FROM {table.name} ORDER BY {backwards} LIMIT 1").fetchone()
    progress(f"copying {table.name}", done, total)
    for chunk in chunks(here, table, columns, last):
        with transaction(there), there.cursor().copy(f"COPY {table.name} ({columns}) FROM STDIN") as copy:
            for row in chunk:
                copy.write_row(row)
        here.require_in_place()
        done += len(chunk)
        progress(f"copying {table.name}", done, total)
    return total


def count_of(connection: Connection, table: Table) -> int:
    """How many rows a table has."""
    return int(_rows(connection, f"SELECT count(*) FROM {table.name}")[0][0])


def _rows(connection: Connection, statement: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = connection.execute(statement).fetchall()
    return rows


def _compare(here: apsw.Connection, there: Raw, table: Table, columns: str, total: int, progress: Progress) -> None:
    """Every row of DST must be that of SRC. Raises ``CopyRefused``."""
    done = 0
    arrived = chunks(PostgresConnection(there), table, columns, None)
    for chunk in chunks(here, table, columns, None):
        if next(arrived, []) != chunk:
            raise CopyRefused(
                f"{table.name} is not the same in DST and SRC; copy into a new, empty database", table=table.name
            )
        done += len(chunk)
        progress(f"comparing {table.name}", done, total)
    if next(arrived, []):
        raise CopyRefused(f"{table.name} has rows in DST that SRC lacks; copy into a new, empty database")


def chunks(
    connection: Connection, table: Table, columns: str, after: tuple[Any, ...] | None
) -> Iterator[list[tuple[Any, ...]]]:
    """A table's rows in order of its key, from after ``after``; the same statement on both sides."""
    key = ", ".join(table.key)
    names = [f"key_{position}" for position in range(len(table.key))]
    behind = f"WHERE ({key}) > ({', '.join(':' + name for name in names)}) "
    positions = [columns.split(", ").index(column) for column in table.key]
    while True:
        where = "" if after is None else behind
        statement = f"SELECT {columns} FROM {table.name} {where}ORDER BY {key} LIMIT {ROWS_A_CHUNK}"
        parameters = {} if after is None else dict(zip(names, after, strict=True))
        rows = connection.execute(statement, parameters).fetchall()
        if not rows:
            return
        yield rows
        after = tuple(rows[-1][position] for position in positions)


def _continue_sequences(here: apsw.Connection, there: Raw) -> None:
    last_ids: dict[str, int] = dict(_rows(here, _LAST_IDS))
    for table in TABLES:
        if table.numbered and last_ids.get(table.name):
            sequence = f"{table.name}_{table.key[0]}_seq"
            there.execute("SELECT setval(%s, %s)", [sequence, last_ids[table.name]])
