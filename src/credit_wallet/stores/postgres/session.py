"""The settings of a session; none is left to chance.

A role, a database, the environment (``PGOPTIONS``, ``PGCLIENTENCODING``, a service file) and the URL can change what a
statement means, how long it may take, and how durable a commit is. Each setting that can do so is set here on every
connection, or refused by name. The others only affect speed, places on disk, or logs.

A pooler in transaction mode gives each transaction any free session, and settings made on a session affect other
programs. Behind one, settings are made only inside transactions, and refused ones are checked in each. The durability
of commits is set inside each transaction everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from psycopg import Cursor, sql

from credit_wallet.errors import DatabaseUnfit
from credit_wallet.stores.postgres.ledger import LedgerConnection

SETTINGS = {
    # what text and statements mean
    "client_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "array_nulls": "on",  # NULL in an array is not the word
    "transform_null_equals": "off",
    "quote_all_identifiers": "off",  # how the definition of a trigger is written
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
    "client_min_messages": "warning",  # that a commit may not have been replicated is a warning
    # how long things may take: waits for locks are bounded, and proving a large ledger takes its time
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_session_timeout": "0",
    "idle_in_transaction_session_timeout": "10s",
}
"""The wallet's settings, besides ``lock_timeout``, ``synchronous_commit`` and ``search_path``."""

_SINCE = {"transaction_timeout": 170_000}
"""The first server version with a setting, if newer than the oldest one we support."""

REFUSED = {
    "server_encoding": ("UTF8", "make a database with ENCODING 'UTF8' TEMPLATE template0 for the ledger"),
    "session_replication_role": ("origin", "the ledger's triggers would not run; reset it for the wallet's user"),
    "zero_damaged_pages": ("off", "damaged pages would be lost unseen; reset it"),
    "ignore_checksum_failure": ("off", "damaged pages would be taken for good; reset it"),
}
"""Required values, and what to do about others."""

OF_EACH_TRANSACTION = ("client_min_messages", "statement_timeout", "row_security")
"""Set inside transactions even on our own sessions, with ``synchronous_commit`` and ``search_path``."""

_OF_SESSIONS = ("default_transaction_isolation", "default_transaction_deferrable", "idle_session_timeout")
"""Settings without effect inside a transaction that has begun."""

_DURABLE = """
CASE WHEN current_setting('synchronous_commit') IN ('on', 'remote_apply') THEN NULL
     ELSE set_config('synchronous_commit', 'on', {local}) END
"""
_SET = "CASE WHEN current_setting('{name}') = {value} THEN NULL ELSE set_config('{name}', {value}, {local}) END"
"""Reading a setting costs a fraction of setting it."""

_FIT = [f"current_setting('{name}')" for name in REFUSED]
_SESSION = """
pg_backend_pid(), (SELECT CAST(extract(epoch FROM backend_start) AS text) FROM pg_stat_get_activity(pg_backend_pid()))
"""
_LOOK = f"SELECT {', '.join(_FIT)}, {_SESSION}"
_PLACE = """
SELECT current_setting('search_path'), current_schema(),
       ARRAY(SELECT nspname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
             WHERE relname = 'am_credit_wallet' AND relkind IN ('r', 'p')
               AND to_regclass('am_credit_wallet') IS NULL ORDER BY 1),
       (SELECT string_agg(quote_ident(schema), ', ' ORDER BY schema <> (
                   SELECT nspname FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
                   WHERE pg_class.oid = coalesce(to_regclass('am_credit_wallet'), 'pg_class'::regclass)), place)
               || ', pg_temp'
        FROM unnest(current_schemas(false)) WITH ORDINALITY AS searched (schema, place) WHERE schema !~ '^pg_'),
       pg_backend_pid()
"""
"""At the end the path to keep to, the ledger's schema first: what a migration makes goes there, whatever schemas are
made meanwhile."""


def settle_session(raw: LedgerConnection, lock_seconds: float, database: str, plans: Mapping[str, str]) -> None:
    """Give a new connection to ``database`` the wallet's settings. Raises ``DatabaseUnfit`` when it cannot.

    ``plans`` are settings of how statements are planned.
    """
    *found, process, started = raw.execute(_LOOK).fetchall()[0]
    _require_fit(found, database)
    path, process_again = _stay_in_the_ledgers_schema(raw, database)
    raw.session = (process, started)
    raw.pooled = not process == process_again == raw.info.backend_pid
    own = {name: value for name, value in SETTINGS.items() if raw.info.server_version >= _SINCE.get(name, 0)} | {
        "lock_timeout": f"{lock_seconds * 1_000:.0f}ms",
        "search_path": path,
        **plans,
    }
    if raw.pooled:
        inside = {name: value for name, value in own.items() if name not in _OF_SESSIONS}
        said = [*_FIT, *_set(inside, local=True), _SESSION, "pg_postmaster_start_time()::text"]
        raw.own_settings = f"SELECT {', '.join(said)}"
    else:
        raw.execute(f"SELECT {', '.join(_set(own, local=False))}", prepare=False)
        inside = {name: own[name] for name in (*OF_EACH_TRANSACTION, "search_path")}
        raw.own_settings = f"SELECT {', '.join(_set(inside, local=True))}"


def _set(settings: Mapping[str, str], *, local: bool) -> list[str]:
    """Expressions that set ``settings`` and make commits durable, until the transaction ends or the session does."""
    said = str(local).lower()
    return [
        _DURABLE.format(local=said),
        *(_SET.format(name=name, value=sql.Literal(value).as_string(), local=said) for name, value in settings.items()),
    ]


def require_fit(raw: LedgerConnection, begun: Cursor[Any]) -> str | None:
    """Check the results of ``begin``: behind a pooler the session may be another one each time.

    Returns when its server was started, None on a session of our own. Raises ``DatabaseUnfit``.
    """
    if not raw.pooled:
        return None
    [answer] = begun.fetchall()
    *_, process, begun_at, started = answer
    raw.session = (process, begun_at)
    _require_fit(answer, f"database {raw.info.dbname}")
    return str(started)


def _require_fit(found: Iterable[str], database: str) -> None:
    for (name, (wanted, advice)), value in zip(REFUSED.items(), found, strict=False):
        if value != wanted:
            raise DatabaseUnfit(
                f"{database} has {name} = {value}, and a ledger needs {wanted}: {advice}", setting=name, value=value
            )


def _stay_in_the_ledgers_schema(raw: LedgerConnection, database: str) -> tuple[str, int]:
    """The path to keep to, and the session's process id. Raises ``DatabaseUnfit`` when there is no place to keep to.

    A second ledger in a database is made only where the URL or ``PGOPTIONS`` names its schema.
    """
    [(path, schema, elsewhere, own_path, process)] = raw.execute(_PLACE).fetchall()
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
    return own_path, process
