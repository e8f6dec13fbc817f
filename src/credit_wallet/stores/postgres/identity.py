"""Identity: whether the server at an address still has the ledger that was opened there.

An address can start to lead to another server: a restored dump of an older state, another database, a failover to a
standby that lacks commits. Anything written there is lost when the right one returns, so every new connection is
identified before its results are acknowledged or returned. A promoted standby is the same ledger.
"""

from __future__ import annotations

from threading import Lock
from typing import NamedTuple

from credit_wallet.database_urls import without_password
from credit_wallet.errors import DatabaseMoved
from credit_wallet.rules.decision import Entry
from credit_wallet.stores.postgres.ledger import LedgerConnection
from credit_wallet.stores.postgres.waits import PostgresWaits
from credit_wallet.telemetry import Logger

REMEMBERED_STARTS = 16
"""How many checked servers behind a pooler are remembered."""

_WHAT_CAN_BE_ASKED = """
SELECT CAST((SELECT oid FROM pg_database WHERE datname = current_database()) AS bigint),
       has_function_privilege('pg_control_system()', 'EXECUTE'),
       coalesce(has_table_privilege(to_regclass('am_credit_installation'), 'SELECT'), false)
"""
_SYSTEM = "(SELECT system_identifier FROM pg_control_system())"
_INSTALLATION = "(SELECT min(installation_id) FROM am_credit_installation)"
_HAS_ENTRY = """
SELECT EXISTS (SELECT FROM am_credit_transaction_log
               WHERE txn_id = %s AND wallet_id = %s AND occurred_at = %s AND ledger_balance_yen = %s)
"""

_log = Logger("credit_wallet.stores")


class _Identity(NamedTuple):
    """The properties that distinguish one ledger from another. A physical standby has all of them from its primary."""

    system: int | None
    """PostgreSQL's identifier of the server's files; None when the wallet's user may not read it."""

    database: int
    installation: str | None
    """The ledger's own random name; None before there is a ledger."""


class KnownLedger:
    """The known identity of the ledger at ``url``, shared by all connections to it."""

    def __init__(self, url: str, waits: PostgresWaits | None = None) -> None:
        self.url = url
        self.waits = waits or PostgresWaits()
        self.outage = Outage(without_password(url))
        self.moved: DatabaseMoved | None = None
        """Why the last connection was refused; None when it was accepted."""
        self._identity: _Identity | None = None
        self._acknowledged: tuple[int, int, str, int] | None = None
        self._looked_at: set[str] = set()

    def acknowledge(self, entry: Entry) -> None:
        """Record that an entry is committed and about to be acknowledged. Its id alone does not identify it: where the
        entry was lost, another node gets the same id for another entry.
        """
        self._acknowledged = (entry.txn_id, entry.wallet_id, entry.occurred_at, entry.ledger_balance_yen)

    def require(self, raw: LedgerConnection) -> None:
        """Raises ``DatabaseMoved`` unless ``raw`` leads to the ledger that was opened first."""
        try:
            self._require(raw)
        except DatabaseMoved as error:
            self.moved = error
            raise
        self.moved = None

    def require_behind_pooler(self, raw: LedgerConnection, started: str | None) -> None:
        """The same for a transaction on a server with this start time; None on a session of our own."""
        if started is None or started in self._looked_at:
            return
        self.require(raw)
        if len(self._looked_at) >= REMEMBERED_STARTS:
            self._looked_at.clear()
        self._looked_at.add(started)

    def _require(self, raw: LedgerConnection) -> None:
        found, known = _identity_of(raw), self._identity
        if known is None:
            if found.installation is not None:
                self._identity = found
            return
        if found.installation != known.installation:
            raise self._moved("holds another ledger, or none")
        if None not in (found.system, known.system) and found.system != known.system:
            raise self._moved("is on another server, which is not a standby of the one that was opened")
        if found.database != known.database:
            raise self._moved("is another database of that name")
        if self._acknowledged and raw.execute(_HAS_ENTRY, self._acknowledged).fetchall() != [(True,)]:
            raise self._moved(
                f"lacks entry {self._acknowledged[0]}, which was acknowledged: it is an older state, or a standby that "
                "was promoted without it"
            )

    def _moved(self, what: str) -> DatabaseMoved:
        return DatabaseMoved(
            f"{without_password(self.url)} {what}; nothing is acknowledged until the ledger that was opened is back. "
            "If this is meant to be the ledger from now on, run verify and restart every node. Sending it again with "
            "the same idempotency key is safe"
        )


def _identity_of(raw: LedgerConnection) -> _Identity:
    [(database, may_ask_system, may_ask_installation)] = raw.execute(_WHAT_CAN_BE_ASKED).fetchall()
    asked = f"SELECT {_SYSTEM if may_ask_system else 'NULL'}, {_INSTALLATION if may_ask_installation else 'NULL'}"
    [(system, installation)] = raw.execute(asked).fetchall()
    return _Identity(system, database, installation)


class Outage:
    """Logs once that a database is away and once that it is back, however often that is noticed."""

    def __init__(self, database: str) -> None:
        self._database = database
        self._lock = Lock()
        self._begun = False

    def begins(self, error: BaseException) -> None:
        with self._lock:
            first, self._begun = not self._begun, True
        if first:
            _log.warning("database_connection_lost", database=self._database, error=str(error))

    def is_over(self) -> None:
        if not self._begun:
            return
        with self._lock:
            last, self._begun = self._begun, False
        if last:
            _log.info("database_connection_back", database=self._database)
