"""Turns a batch of commands into one durable transaction, on SQLite or PostgreSQL; all SQL lives here.

Nothing here decides about money: a store loads what the commands name, calls ``rules.decide``, and writes what it says.

``Database`` is what a URL names; it opens a ``Store`` for each lane of the rail and a ``Source`` for what is only read.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:  # the alert job reads its SQL through this package with the standard library alone
    from credit_wallet.domain.commands import Command
    from credit_wallet.domain.outcomes import Finding, Outcome, Upgrade
    from credit_wallet.errors import WalletError
    from credit_wallet.stores.jobs.seals import Holder

OLDEST_SAFE_SQLITE = (3, 51, 3)
"""Earlier versions can corrupt a database when its log is reset (sqlite.org/wal.html, "the WAL-reset bug")."""

P = ParamSpec("P")
T = TypeVar("T")


class Connection(Protocol):
    """What the background jobs ask of a connection: statements with ``:name`` parameters, and cursors to fetch from."""

    def execute(self, statement: str, parameters: Mapping[str, Any] | None = None, /) -> Any:
        """Run a statement and return a cursor that can be iterated and has ``fetchall``."""


class Source(Protocol):
    """Where questions go that only read: apart from the rail, and every commit is seen. May be shared by threads."""

    dialect: str
    """Whose versions of the named statements it takes; empty for the common ones."""

    in_process: bool
    """Whether a row is a matter of microseconds; else asyncio callers ask from a thread."""

    serves_many: bool
    """Whether it answers several questions at once; else one waits for the other."""

    def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement with ``:name`` parameters. Raises ``DatabaseError``."""

    def snapshot(self) -> AbstractContextManager[Source]:
        """The ledger as it is now, for all statements of a block; others ask meanwhile. Raises ``DatabaseError``."""

    def close(self) -> None:
        """Let go of the database."""


class Store(Protocol):
    """What the rail asks of a database. Every method is one durable transaction, or raises and nothing moved."""

    def execute(self, commands: Sequence[Command], now: datetime) -> list[Outcome | WalletError]:
        """Carry out ``commands``; one outcome or refusal per command, in order. Raises ``DatabaseError``."""

    def create_wallet(
        self,
        owner_token_hash: str,
        label: str | None,
        auto_topup: tuple[int, int],
        monthly_budget_yen: int,
        budget_mode: str,
        time_zone: str,
        now: datetime,
    ) -> int:
        """Insert a wallet and return its id; ``auto_topup`` is threshold and amount."""

    def revoke_key(self, key_id: int, now: datetime) -> str:
        """Revoke an agent key for good, effective at once; return when it was revoked first. Raises ``KeyNotFound``."""

    checks_apart: bool
    """Whether ``check_writable`` may be called from any thread, whatever is under way."""

    def check_writable(self) -> None:
        """Raises ``DatabaseError`` when the database would not take a write, ``MigrationError`` when it is outdated."""

    def settled_txn_id(self) -> int:
        """An id up to which the ledger is complete: no entry with a lower one will be committed any more.

        0 when somebody's transaction keeps that from being known for now.
        """

    def holding_back(self) -> list[Holder]:
        """The transactions that keep ``settled_txn_id`` at 0, the oldest first."""

    def run(self, job: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``job(connection, …)``; for the background jobs."""

    def run_until_known(self, job: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like ``run``, and again when it is not known whether it was committed: the job must find that out."""

    def close(self) -> None:
        """Let go of the database."""


class Database(Protocol):
    """A ledger's place, as a URL names it."""

    lanes: int
    """How many lanes a node has by default."""

    def open_store(self, now: datetime) -> Store:
        """A store for a lane, the schema up to date and plain SQL backfilled. Raises ``DatabaseError``."""

    def open_source(self) -> Source:
        """A source for reading. Raises ``DatabaseError``."""

    def require_ledger(self) -> None:
        """Raise ``NoLedger`` when no wallets are kept there. Changes nothing and makes nothing."""

    def pending_migrations(self) -> list[str]:
        """Names of the migrations still to be applied. Changes nothing and makes nothing."""

    def upgrade(self, now: datetime, partitions: int = 0) -> Upgrade:
        """Apply what is pending and backfill what plain SQL wrote; new tables get ``partitions``, where there are such.

        Raises ``MigrationError`` and ``DatabaseError``.
        """

    def rollback(self, number: int) -> list[str]:
        """Undo a migration and every later one; their names, latest first. Raises ``MigrationError``."""

    def network_disk(self) -> str | None:
        """What is wrong with a file that lies on a network disk, for people; None when it does not or is not a file."""

    def findings(self) -> Iterator[Finding]:
        """What a check-up looks at before the ledger is opened."""
