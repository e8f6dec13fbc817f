"""Turns a batch of commands into one durable transaction, on SQLite or PostgreSQL; all SQL lives here.

Nothing here decides about money: a store loads what the commands name, calls ``rules.decide``, and writes its decision.

A URL names a ``Database``; it opens a ``Store`` for each lane of the rail and a ``Source`` for reading.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Any, Concatenate, NamedTuple, ParamSpec, Protocol, TypeAlias, TypeVar

if TYPE_CHECKING:  # the alert job reads its SQL through this package with the standard library alone
    from pathlib import Path

    from credit_wallet.domain.commands import Command
    from credit_wallet.domain.outcomes import Outcome
    from credit_wallet.domain.views import Finding, Upgrade
    from credit_wallet.errors import WalletError
    from credit_wallet.stores.jobs.seals import Holder

OLDEST_SAFE_SQLITE = (3, 51, 3)
"""Earlier versions can corrupt a database when its log is reset (sqlite.org/wal.html, "the WAL-reset bug")."""

P = ParamSpec("P")
T = TypeVar("T")


Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with the current step, and the number of rows or pages done and in total."""


class Connection(Protocol):
    """A connection as the background jobs use it: statements with ``:name`` parameters, and cursors to fetch from."""

    def execute(self, statement: str, parameters: Mapping[str, Any] | None = None, /) -> Any:
        """Run a statement and return a cursor that can be iterated and has ``fetchall``."""


class Source(Protocol):
    """A source for read-only queries, apart from the rail; it sees every commit. May be shared by threads."""

    dialect: str
    """The dialect of its named statements; empty for the common ones."""

    in_process: bool
    """Whether reading a row takes microseconds; if not, asyncio callers query from a thread."""

    serves_many: bool
    """Whether it runs several queries at once; if not, one waits for another."""

    def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement with ``:name`` parameters. Raises ``DatabaseError``."""

    def snapshot(self) -> AbstractContextManager[Source]:
        """A snapshot of the ledger for all statements of a block; other queries can run meanwhile. Raises
        ``DatabaseError``.
        """

    def close(self) -> None:
        """Close it."""


class LedgerSource(Source, Protocol):
    """The source of a database, not of a snapshot."""

    def shared(self) -> AbstractContextManager[Shared]:
        """A snapshot that other processes can read as well. Raises ``DatabaseError``."""


class Moment(Protocol):
    """A state of a ledger, for other processes of this machine: it can be pickled."""

    def opened(self) -> AbstractContextManager[Source]:
        """A snapshot of it, while somebody else has one. Raises ``DatabaseError``."""


class Shared(NamedTuple):
    """A snapshot, and what other processes need to open it too."""

    source: Source
    moment: Moment

    open_seconds: float
    """How long opening it may take them."""

    let_go: Callable[[], None]
    """To be called as soon as the others have opened it: nobody can write to a SQLite file before."""


class Store(Protocol):
    """A database as the rail uses it. Every method is one durable transaction, or raises and moves nothing."""

    def execute(self, commands: Sequence[Command], clock: Callable[[], datetime]) -> list[Outcome | WalletError]:
        """Carry out ``commands``; one outcome or refusal per command, in order. Raises ``DatabaseError``.

        All happen at one instant: what ``clock`` says once the wallets are locked. So what has waited for another batch
        is dated after it.
        """

    @property
    def writes_by_others(self) -> int | None:
        """How often ``execute`` has found, before anything else, that others had written; None if it cannot tell."""

    checks_apart: bool
    """Whether ``check_writable`` may be called from any thread at any time."""

    def check_writable(self) -> None:
        """Raises ``DatabaseError`` when the database would not take a write, ``MigrationError`` when it is outdated."""

    def settled_txn_id(self) -> int:
        """An id up to which the ledger is complete: no entry with a lower id will be committed. 0 while an open
        transaction keeps it unknown.
        """

    def settled_act_id(self) -> int:
        """The same of acts."""

    def holding_back(self) -> list[Holder]:
        """The transactions that keep ``settled_txn_id`` at 0, the oldest first."""

    def run(self, job: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``job(connection, …)``; for the background jobs."""

    def run_until_known(self, job: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like ``run``, but repeated when it is unknown whether it was committed: the job must be able to find out."""

    def close(self) -> None:
        """Close it."""


class Database(Protocol):
    """The database of a ledger, named by a URL."""

    lanes: int
    """How many lanes a node has by default."""

    def open_store(self, now: datetime) -> Store:
        """A store for a lane, the schema up to date and plain SQL backfilled. Raises ``DatabaseError``."""

    def open_source(self) -> LedgerSource:
        """A source for reading. Raises ``DatabaseError``."""

    def require_ledger(self) -> None:
        """Raise ``NoLedger`` when it has no wallets. Changes and creates nothing."""

    def pending_migrations(self) -> list[str]:
        """Names of the pending migrations. Changes and creates nothing."""

    def upgrade(self, now: datetime, partitions: int = 0) -> Upgrade:
        """Apply what is pending and backfill what plain SQL wrote; new tables get ``partitions``, where there are such.

        Raises ``MigrationError`` and ``DatabaseError``.
        """

    def write_file(self, target: Path, progress: Progress) -> None:
        """Write all of the ledger, as it is at one moment, into the new SQLite file ``target``, while others use it.

        It is on disk when this returns. Raises ``DatabaseError``.
        """

    def rollback(self, number: int) -> list[str]:
        """Undo a migration and every later one; their names, latest first. Raises ``MigrationError``."""

    def network_disk(self) -> str | None:
        """The problem with a file on a network disk, for people; None when it is on a local disk or not a file."""

    def findings(self) -> Iterator[Finding]:
        """The findings of a check-up before the ledger is opened."""
