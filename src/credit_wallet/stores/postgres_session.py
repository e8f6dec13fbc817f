"""The settings of a session, none of which is taken as it comes.

A role, a database, the environment (``PGOPTIONS``, ``PGCLIENTENCODING``, a service file) and the URL can change what a
statement means, how long it may take, and what a commit is worth. Each setting that can do so is set here on every
connection, or refused by name. Those that are left alone change speed, places on disk, or logs.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from credit_wallet.errors import DatabaseUnfit

if TYPE_CHECKING:
    from credit_wallet.stores.postgres_connection import Raw

SETTINGS = {
    # what text and statements mean
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "array_nulls": "on",  # NULL in an array is not the word
    "transform_null_equals": "off",
    # what comes back
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "bytea_output": "hex",
    "extra_float_digits": "1",
    "row_security": "off",  # a policy that would hide rows is an error, and not a ledger with less in it
    # what a transaction is
    "default_transaction_isolation": "read committed",
    "default_transaction_deferrable": "off",
    "exit_on_error": "off",
    # how long things may take: waits for locks are bounded, and proving a large ledger takes its time
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "10s",
}
"""What the wallet sets, beside ``lock_timeout``, ``synchronous_commit`` and ``search_path``."""

_SINCE = {"transaction_timeout": 170_000}
"""The first version of a server that knows a setting, where that is not the oldest one we run on."""

REFUSED = {
    "server_encoding": ("UTF8", "make a database with ENCODING 'UTF8' TEMPLATE template0 for the ledger"),
    "session_replication_role": ("origin", "the ledger's triggers would not run; reset it for the wallet's user"),
    "zero_damaged_pages": ("off", "damaged pages would be lost unseen; reset it"),
    "ignore_checksum_failure": ("off", "damaged pages would be taken for good; reset it"),
}
"""What must be so, and what to do when it is not."""

_CONFIGURE = """
SELECT {refused},
       set_config('lock_timeout', %s, false),
       set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit')
                  IN ('off', 'local', 'remote_write') THEN 'on' ELSE current_setting('synchronous_commit') END, false),
       {settings}
"""
_PLACE = """
SELECT current_setting('search_path'), current_schema(),
       ARRAY(SELECT nspname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
             WHERE relname = 'am_credit_wallet' AND relkind IN ('r', 'p')
               AND to_regclass('am_credit_wallet') IS NULL ORDER BY 1)
"""
_STAY = """
SELECT set_config('search_path', string_agg(quote_ident(schema), ', ' ORDER BY schema <> (
           SELECT nspname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
           WHERE pg_class.oid = coalesce(to_regclass('am_credit_wallet'), 'pg_class'::regclass)), place) || ', pg_temp',
       false)
FROM unnest(current_schemas(false)) WITH ORDINALITY AS searched (schema, place) WHERE schema !~ '^pg_'
"""
"""The ledger's schema first: what a migration makes goes there, whatever schemas are made meanwhile."""


def settle_session(raw: Raw, lock_seconds: float, database: str) -> None:
    """Make a new connection to ``database`` mean what the wallet means. Raises ``DatabaseUnfit`` when it cannot."""
    found = raw.execute(_configure(raw.info.server_version), [f"{lock_seconds * 1_000:.0f}ms"]).fetchall()[0]
    for (name, (wanted, advice)), value in zip(REFUSED.items(), found, strict=False):
        if value != wanted:
            raise DatabaseUnfit(
                f"{database} has {name} = {value}, and a ledger needs {wanted}: {advice}", setting=name, value=value
            )
    _stay_in_the_ledgers_schema(raw, database)


@cache
def _configure(server_version: int) -> str:
    known = {name: value for name, value in SETTINGS.items() if server_version >= _SINCE.get(name, 0)}
    return _CONFIGURE.format(
        refused=", ".join(f"current_setting('{name}')" for name in REFUSED),
        settings=", ".join(f"set_config('{name}', '{value}', false)" for name, value in known.items()),
    )


def _stay_in_the_ledgers_schema(raw: Raw, database: str) -> None:
    """Keep to one place. Raises ``DatabaseUnfit`` when there is none, or the ledger is in another.

    A second ledger in a database is made only where the URL or ``PGOPTIONS`` names its schema.
    """
    [(path, schema, elsewhere)] = raw.execute(_PLACE).fetchall()
    if schema is None:
        raise DatabaseUnfit(
            f"{database} has search_path = {path}, where there is no schema that this user may use; make one, or set "
            "search_path for the wallet's user",
            setting="search_path",
            value=path,
        )
    if elsewhere and "search_path" not in (raw.info.get_parameters().get("options") or ""):
        raise DatabaseUnfit(
            f"the ledger of {database} is in schema {elsewhere[0]}, which search_path = {path} does not have; add "
            f"?options=-csearch_path%3D{elsewhere[0]} to the URL, or that of a schema for a ledger of its own",
            setting="search_path",
            value=path,
        )
    raw.execute(_STAY)
