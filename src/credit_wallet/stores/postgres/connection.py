"""Opening PostgreSQL safely, running the jobs' SQL on it, and translating its errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from types import MappingProxyType
from typing import Any, TypeAlias

import psycopg
from msgspec import DecodeError
from psycopg.adapt import Buffer, Loader
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import ConnStatus, TransactionStatus
from psycopg.types.string import TextLoader

from credit_wallet.database_urls import without_password
from credit_wallet.errors import (
    DatabaseCorrupt,
    DatabaseError,
    DatabaseFull,
    DatabaseLocked,
    DatabaseReadOnly,
    DatabaseRefused,
    DatabaseUnavailable,
    DatabaseUnfit,
    InvalidRequest,
    WalletError,
)
from credit_wallet.runtime import deadlines
from credit_wallet.runtime.deadlines import CrewBusy, Deadline
from credit_wallet.stores.postgres.identity import KnownLedger
from credit_wallet.stores.postgres.ledger import CrewOfProcess, LedgerConnection
from credit_wallet.stores.postgres.session import SETTINGS, require_fit, settle_session

Raw: TypeAlias = LedgerConnection

NO_PLANS: Mapping[str, str] = MappingProxyType({})

CONNECTING = 16
"""Connections that a process opens at the same time; more wait."""

REACH_STANDBYS = "SELECT pg_logical_emit_message(true, 'credit_wallet', '')"
"""Writes only to the log, so that the commit waits for disks and synchronous standbys."""

_END_WHAT_IS_LEFT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE pid = %s AND CAST(extract(epoch FROM backend_start) AS text) = %s AND usename = current_user
"""

OF_OLD_POOLERS = ("26000", "42P05")
"""Prepared statements that are missing or already exist: those of another session."""

_DEFAULTS = {
    "application_name": "credit-wallet",
    "connect_timeout": "5",
    "keepalives_idle": "15",
    "keepalives_interval": "5",
    "keepalives_count": "3",
    "tcp_user_timeout": "15000",
    "target_session_attrs": "read-write",
}
"""Defaults that a URL may override: a dead peer is noticed after 15 seconds, and of several hosts the leader is taken.
"""

LOCK_SECONDS = 5.0
"""How long a transaction waits for another one's lock before it reports ``database_locked``."""

_PORTS = re.compile(r"[0-9,]*")
_UNENCODED = re.compile(r"://[^?@]*(/[^?]*@|@[^?]*@)")
"""A password that the driver would mistake for a part of the host, and print."""

_connecting = CrewOfProcess("credit-wallet-connect", CONNECTING)

_PARAMETER = re.compile(r":([a-z_][a-z0-9_]*)")


class _WholeNumber(Loader):
    """Sums of bigint are ``numeric`` in PostgreSQL; ours are whole."""

    def load(self, data: Buffer) -> int:
        return int(bytes(data))


class PostgresConnection:
    """A connection for the background jobs' statements: ``:name`` parameters, the same text as on SQLite."""

    def __init__(self, raw: Raw) -> None:
        self._raw = raw

    def execute(
        self, statement: str, parameters: Mapping[str, Any] | None = None, /
    ) -> psycopg.Cursor[tuple[Any, ...]]:
        """Run a statement and return a cursor that can be iterated and has ``fetchall``."""
        return self._raw.execute(_translated(statement), parameters or {})


@cache
def _translated(statement: str) -> str:
    return _PARAMETER.sub(r"%(\1)s", statement.replace("%", "%%"))


def with_defaults(url: str) -> str:
    """The connection string for ``url``. Raises ``InvalidRequest`` when it is malformed."""
    given = _parsed(url)
    if given is None:
        raise InvalidRequest(
            f"{without_password(url)!r} is not a PostgreSQL URL; write postgresql://user:password@host:5432/database, "
            "with %40 for an @ and %2F for a / in the password",
            field="db",
        )
    defaults = {name: value for name, value in _DEFAULTS.items() if name not in given}
    return make_conninfo(url, **defaults, client_encoding=SETTINGS["client_encoding"])


def _parsed(url: str) -> dict[str, Any] | None:
    """The parts of a URL; None when it is malformed."""
    try:
        given = conninfo_to_dict(url)
    except psycopg.ProgrammingError:
        return None
    well_formed = _PORTS.fullmatch(str(given.get("port", ""))) and not _UNENCODED.search(url)
    return given if well_formed else None


def configure(raw: Raw, known: KnownLedger | None = None, plans: Mapping[str, str] = NO_PLANS) -> None:
    """The wallet's settings, whole numbers as ``int`` and JSON as its text; for every connection.

    Raises ``DatabaseUnfit``, and ``DatabaseMoved`` when it does not lead to the ledger that is ``known``.
    """
    raw.adapters.register_loader("numeric", _WholeNumber)
    raw.adapters.register_loader("json", TextLoader)
    settle_session(raw, LOCK_SECONDS, f"database {raw.info.dbname}", plans)
    if known is not None:
        known.require(raw)
        known.outage.is_over()


def connect(
    url: str, plans: Mapping[str, str] = NO_PLANS, known: KnownLedger | None = None, seconds: float | None = None
) -> Raw:
    """Open a connection in autocommit mode; ``plans`` are settings of how its statements are planned.

    Takes up to ``seconds`` in all, including the look-up of names. Raises ``InvalidRequest`` when the URL is malformed,
    ``DatabaseUnfit``, ``DatabaseUnavailable``, and ``DatabaseMoved`` unless it leads to the ledger that is ``known``.
    """
    limit = deadlines.POSTGRES_CONNECT_SECONDS if seconds is None else seconds
    opening = begin_to_connect(url, plans, known, limit)
    try:
        return connected(opening, url, limit)
    except TimeoutError as error:
        opening.add_done_callback(close_unwanted)
        raise _too_late(url, limit) from error


def begin_to_connect(url: str, plans: Mapping[str, str], known: KnownLedger | None, seconds: float) -> Future[Raw]:
    """Start ``connect`` on another thread, where it takes up to ``seconds``. Raises ``InvalidRequest``."""
    conninfo = with_defaults(url)
    try:
        return _connecting.crew.submit(_open, conninfo, plans, known, seconds)
    except CrewBusy as error:
        raise _too_late(url, seconds) from error


def connected(opening: Future[Raw], url: str, seconds: float) -> Raw:
    """The connection that ``begin_to_connect`` opens. Raises ``TimeoutError`` after ``seconds``, and what ``connect``
    raises.
    """
    try:
        return opening.result(seconds)
    except psycopg.Error as error:
        if error.sqlstate in OF_OLD_POOLERS:
            raise named(error, url) from error
        raise DatabaseUnavailable(
            f"{without_password(url)} cannot be reached or refuses the connection ({_short(error)}); "
            "nothing moved; check address, user, database and server, then try again with the same idempotency key"
        ) from error


def _too_late(url: str, seconds: float) -> DatabaseUnavailable:
    return DatabaseUnavailable(
        f"{without_password(url)} accepted no connection within {seconds:g} seconds; nothing moved, check address, "
        "name server and server, then try again with the same idempotency key"
    )


def _open(conninfo: str, plans: Mapping[str, str], known: KnownLedger | None, seconds: float) -> Raw:
    ends = Deadline(seconds)
    raw = LedgerConnection.connect(conninfo, autocommit=True, prepare_threshold=0)
    try:
        with raw.within(ends.remaining()):
            configure(raw, known, plans)
    except BaseException:
        raw.close()
        raise
    return raw


def close_unwanted(opening: Future[Raw]) -> None:
    """Nobody waits for it any more."""
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def confirm(raw: Raw) -> None:
    """Return once the standbys have what was committed on ``raw``, if a commit came back with a warning.

    A cancelled wait for synchronous standbys ends in a warning: the transaction is committed here, but perhaps nowhere
    else. Another transaction that writes is then committed, and waits until the standbys have both.
    """
    while raw.warnings:
        raw.listen()
        with raw.pipeline():
            raw.begin()
            raw.execute(REACH_STANDBYS)
            raw.execute("COMMIT")


def end_what_is_left(raw: Raw, left: tuple[int, str]) -> None:
    """End the session that a lost connection of ours left behind, if it still exists: it may keep rows locked or wait
    for a standby.
    """
    raw.execute(_END_WHAT_IS_LEFT, left)


def begin(raw: Raw, known: KnownLedger | None = None) -> None:
    """Begin a transaction. Raises ``DatabaseUnfit`` and ``DatabaseMoved`` when a pooler leads to a wrong session."""
    with raw.pipeline():
        begun = raw.begin()
    look_at(raw, begun, known)


def look_at(raw: Raw, begun: psycopg.Cursor[Any], known: KnownLedger | None) -> None:
    """Check the results of ``begin`` in a pipeline. Raises like the function ``begin``."""
    started = require_fit(raw, begun)
    if known is not None:
        known.require_behind_pooler(raw, started)


@contextmanager
def transaction(raw: Raw) -> Iterator[None]:
    """One transaction: committed when the block ends, rolled back when it raises."""
    begin(raw)
    try:
        yield
        raw.listen()
        raw.execute("COMMIT")
        confirm(raw)
    except BaseException:
        roll_back(raw)
        raise


def roll_back(raw: Raw) -> None:
    """End the transaction that an error left open, if the connection still works."""
    try:
        if raw.info.transaction_status in (TransactionStatus.INTRANS, TransactionStatus.INERROR):
            raw.execute("ROLLBACK")
    except psycopg.Error:
        raw.close()


def is_lost(raw: Raw, error: psycopg.Error) -> bool:
    """Whether the connection has ended, or its server is no longer one that can be written to."""
    state = error.sqlstate or ""
    return raw.closed or raw.pgconn.status != ConnStatus.OK or state in ("25006", "25P03") or _is_disconnection(error)


def _is_disconnection(error: psycopg.Error) -> bool:
    if error.sqlstate:
        return error.sqlstate.startswith(("08", "57P"))
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


def named(error: psycopg.Error, url: str) -> WalletError:
    """The wallet's error for a PostgreSQL error: what happened to ``url`` and what to do."""
    place, state = without_password(url), error.sqlstate or ""
    if state in ("55P03", "40001", "40P01"):
        return DatabaseLocked(
            f"another transaction keeps rows of {place} locked; nothing moved, try again with the same idempotency key"
        )
    if state == "53100":
        return DatabaseFull(f"no room is left on the disk of {place}; nothing moved, free some and try again")
    if state == "25006":
        return DatabaseReadOnly(f"{place} cannot be written; nothing moved, give write access")
    if state == "42501":
        return DatabaseReadOnly(f"{place} denies this user access ({_short(error)}); nothing moved, give it access")
    if state in OF_OLD_POOLERS:
        return DatabaseUnfit(
            f"{place} is behind a pooler that loses prepared statements ({_short(error)}); use PgBouncer 1.21 or newer "
            "with max_prepared_statements above 0, a pool in session mode, or connect to PostgreSQL directly",
            setting="max_prepared_statements",
        )
    if state in ("XX001", "XX002"):
        return DatabaseCorrupt(f"{place} is damaged ({_short(error)}); stop the wallet and restore a backup")
    if state.startswith(("22", "23")) or error.diag.context:  # the latter names the function of a trigger
        return DatabaseRefused(f"a rule of {place} refused a row ({_short(error)}); nothing moved")
    return DatabaseError(f"PostgreSQL refused to work on {place}: {_short(error)}")


def unreadable(error: Exception, url: str) -> DatabaseCorrupt:
    """The wallet's error for a column that cannot be read."""
    return DatabaseCorrupt(
        f"{without_password(url)} holds what no wallet wrote ({error}); stop the wallet and restore a backup"
    )


@contextmanager
def naming_database_errors(url: str) -> Iterator[None]:
    """Turn PostgreSQL's errors into ``DatabaseError``, for work outside a ``Link``."""
    try:
        yield
    except psycopg.Error as error:
        if _is_disconnection(error):
            raise DatabaseUnavailable(
                f"the connection to {without_password(url)} was lost; try again with the same idempotency key"
            ) from error
        raise named(error, url) from error
    except (DecodeError, UnicodeDecodeError) as error:
        raise unreadable(error, url) from error


def _short(error: psycopg.Error) -> str:
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
