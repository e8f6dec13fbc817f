"""Databases that are migrated, and what their schema is then."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from databases import MIGRATIONS
from plain_sql import PlainSql

from credit_wallet.database_urls import is_postgres

NOW = datetime(2026, 5, 15, 12, tzinfo=UTC)

SQLITE_SCHEMA = "SELECT type, name, sql FROM sqlite_schema ORDER BY type, name"

POSTGRES_SCHEMA = """
SELECT concat_ws(' ', 'relation', relname, relkind, pg_get_expr(relpartbound, oid), pg_get_partkeydef(oid))
FROM pg_class WHERE relnamespace = 'public'::regnamespace
UNION ALL
SELECT concat_ws(' ', 'column', attrelid::regclass, attname, format_type(atttypid, atttypmod), attcollation, attnotnull,
                 pg_get_expr(adbin, adrelid), rank() OVER (PARTITION BY attrelid ORDER BY attnum))
FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
UNION ALL
SELECT concat_ws(' ', 'constraint', conrelid::regclass, conname, pg_get_constraintdef(oid))
FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND conname !~ '_not_null'
UNION ALL
SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
UNION ALL
SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
UNION ALL
SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace
UNION ALL
SELECT concat_ws(' ', viewname, definition) FROM pg_views WHERE schemaname = 'public'
ORDER BY 1
"""

SQLITE_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%' ORDER BY 1"

POSTGRES_TABLES = """
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') AND NOT relispartition ORDER BY 1
"""


def folder_of(url: str) -> str:
    """Where the files of a database's dialect are below the folder of the migrations."""
    return "postgres" if is_postgres(url) else ""


def append(folder: Path, url: str, name: str, line: str) -> None:
    """Add a line to a migration of the database's dialect."""
    with (folder / folder_of(url) / name).open("a", encoding="utf-8") as file:
        file.write(line)


def script(url: str, name: str) -> str:
    return (MIGRATIONS / folder_of(url) / name).read_text(encoding="utf-8")


def host_runs(url: str, *statements: str) -> None:
    """What a host does by itself."""
    with PlainSql(url) as host:
        for each in statements:
            host.run(each)


def tables_of(host: PlainSql, url: str) -> list[str]:
    return [name for (name,) in host.run(POSTGRES_TABLES if is_postgres(url) else SQLITE_TABLES)]


def dump(url: str) -> list[str]:
    """Schema and rows."""
    with PlainSql(url) as host:
        schema = host.run(POSTGRES_SCHEMA if is_postgres(url) else SQLITE_SCHEMA)
        rows = [(name, row) for name in tables_of(host, url) for row in host.run(f"SELECT * FROM {name} ORDER BY 1")]
    return [str(line) for line in (*schema, *rows)]


def applied_names(url: str) -> list[str]:
    with PlainSql(url) as host:
        place = "ctid" if is_postgres(url) else "rowid"
        return [name for (name,) in host.run(f"SELECT name FROM credit_wallet_migration ORDER BY {place}")]
