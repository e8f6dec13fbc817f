"""Single changes that somebody makes in a ledger by SQL, whoever protects it, and which checks of ``verify`` find them.

Each is made in a ledger that is in order, with no trigger, no foreign key and, in SQLite, no CHECK in its way, and put
back.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

import apsw
from clock import Clock
from databases import Databases
from rich_ledger import START
from width import WIDE

from credit_wallet import CreditWallet
from credit_wallet.database_urls import is_postgres, sqlite_path
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.jobs.seals import Anchor
from credit_wallet.stores.jobs.verify import verify
from credit_wallet.stores.jobs.verify_processes import Processes
from credit_wallet.stores.postgres.connection import connect
from credit_wallet.stores.postgres.database import PostgresSnapshot

Finder = Callable[[str], set[str]]
"""Makes a change, says which checks find it, and takes it back."""


class Change(NamedTuple):
    """A change, by a name for people, and the check that has to find it; others may as well."""

    name: str
    sql: str
    check: str


def missed(find: Finder, changes: Iterable[Change]) -> dict[str, set[str]]:
    """The changes that are not found by the check for them, and by which ones they are."""
    return {change.name: found for change in changes if change.check not in (found := find(change.sql))}


@contextmanager
def finder_in(
    databases: Databases, folder: Path, fill: Callable[[CreditWallet, Clock], None], *, usage: bool = False
) -> Iterator[Finder]:
    """A finder in a ledger that ``fill`` has filled and sealed.

    Every fourth change, in a wide run each, is looked for by two processes and in pieces too, which have to find what
    one process does: the same violations in the same order.
    """
    clock = Clock(START)
    with databases.ledger() as url:
        with CreditWallet.open(url, clock=clock) as wallets:
            fill(wallets, clock)
            seal = wallets.seals.latest()
            assert seal is not None
            assert wallets.verify([seal], usage=usage) == []
        if is_postgres(url):
            with _in_a_transaction(url, clock, seal, usage) as finder:
                yield finder
        else:
            with Processes(2) as provers:
                yield _on_a_copy(url, folder, clock, seal, provers, usage=usage)


def _on_a_copy(url: str, folder: Path, clock: Clock, seal: Anchor, provers: Processes, *, usage: bool) -> Finder:
    numbers = count()

    def find(change: str) -> set[str]:
        path = folder / "changed.db"
        shutil.copy(sqlite_path(url), path)
        with closing(apsw.Connection(str(path))) as forger:
            triggers = forger.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
            forger.execute("".join(f"DROP TRIGGER {name};" for name, _ in triggers))
            forger.execute("PRAGMA ignore_check_constraints = ON")
            forger.execute(change)
            assert forger.changes(), change
            forger.execute("".join(f"{text};" for _, text in triggers))
        with closing(database_at(f"sqlite:///{path}").open_source()) as source:
            found = verify(source, clock(), [seal], usage=usage)
            if _also_in_pieces(numbers):
                with provers.at(source) as (snapshot, proved):
                    assert verify(snapshot, clock(), [seal], usage=usage, prove=proved, pieces=provers.pieces) == found
        return {violation.check for violation in found}

    return find


@contextmanager
def _in_a_transaction(url: str, clock: Clock, seal: Anchor, usage: bool) -> Iterator[Finder]:
    numbers = count()
    with closing(connect(url)) as raw:

        def find(change: str) -> set[str]:
            raw.execute("BEGIN")
            raw.execute("SET LOCAL session_replication_role = replica")  # no trigger, no foreign key
            assert raw.execute(change).rowcount, change
            found = verify(PostgresSnapshot(raw), clock(), [seal], usage=usage)
            if _also_in_pieces(numbers):
                assert verify(PostgresSnapshot(raw), clock(), [seal], usage=usage, pieces=4) == found
            raw.execute("ROLLBACK")
            return {violation.check for violation in found}

        yield find


def _also_in_pieces(numbers: Iterator[int]) -> bool:
    return WIDE or next(numbers) % 4 == 0
