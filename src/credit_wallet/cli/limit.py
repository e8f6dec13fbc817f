"""The limit: how fast SQLite alone writes what charges write, on the same disk with the same settings.

A ledger charges, and the statements and rows that it writes are recorded as apsw traces them. A copy of that ledger,
taken before, then gets the same rows over a bare connection, ready-made, one transaction per batch: nothing is looked
up, checked or built. So the limit always writes exactly what the code that is compared with it writes, and leaves the
same ledger.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from time import perf_counter, process_time
from typing import Any, NamedTuple, Self, TypeAlias

import apsw

from credit_wallet.cli.workloads import AnyCharge, Round, Workload, require_success
from credit_wallet.ledger.rail import MAX_BATCH
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.stores.sqlite.connection import connect

RECORDED_CHARGES = 16_384
"""Charges recorded at once at most, which keeps their rows in some 50 MB."""

RECORDED_LISTS = 64

Rows: TypeAlias = list[Any]
"""The bindings of one statement, a row each time that it runs."""

Transaction: TypeAlias = list[tuple[str, Rows]]
"""What one transaction writes: statements, each with its rows."""


class Taken(NamedTuple):
    """What a turn took."""

    charges: int
    seconds: float
    cpu_seconds: float


class Recorder:
    """A ledger in a file, and what its writer writes from now on."""

    def __init__(self, path: Path, max_batch: int) -> None:
        self._written: list[Transaction] = []
        apsw.connection_hooks.append(self._trace)
        try:
            self.wallets = CreditWallet.open(f"sqlite:///{path}", max_batch=max_batch)
        finally:
            apsw.connection_hooks.remove(self._trace)
        self.take()

    def take(self) -> list[Transaction]:
        """The transactions since the last time."""
        taken, self._written = self._written, []
        return taken

    def _trace(self, connection: apsw.Connection) -> None:
        connection.set_exec_trace(self._note)

    def _note(self, cursor: apsw.Cursor, statement: str, row: Any) -> bool:
        if statement == "BEGIN IMMEDIATE":
            self._written.append([])
        elif not cursor.is_readonly and self._written:
            transaction = self._written[-1]
            if not transaction or transaction[-1][0] != statement:
                transaction.append((statement, []))
            transaction[-1][1].append(row or ())
        return True


class Limit:
    """Writes on a copy of a ledger what charges in lists write, and does nothing else."""

    def __init__(self, path: Path, *, max_batch: int = MAX_BATCH) -> None:
        """``path`` is a ledger that is closed; it stays the one that charges. Both are brought up to date before."""
        CreditWallet.open(f"sqlite:///{path}").close()
        self.path = path.with_suffix(".limit.db")
        shutil.copyfile(path, self.path)
        self._recorder = Recorder(path, max_batch)
        self._connection = connect(self.path)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._recorder.wallets.close()
        self._connection.close()

    def in_batches(self, charges: Iterator[AnyCharge], batch: int) -> Workload:
        """A workload of lists; what recording them takes does not count. A short turn records few of them."""
        maximum = max(1, min(RECORDED_LISTS, RECORDED_CHARGES // batch))

        def run(seconds: float) -> Round:
            charged, counted, lists = 0, 0.0, 1
            while counted < seconds or not charged:
                taken = self.write(charges, batch, lists)
                charged, counted, lists = charged + taken.charges, counted + taken.seconds, min(2 * lists, maximum)
            return Round(charged, counted)

        return run

    def write(self, charges: Iterator[AnyCharge], batch: int, lists: int) -> Taken:
        """Write the rows of ``lists`` lists of ``batch`` charges, after recording them."""
        for _ in range(lists):
            require_success(self._recorder.wallets.charge_many(list(islice(charges, batch))))
        transactions = self._recorder.take()
        started, started_cpu = perf_counter(), process_time()
        for transaction in transactions:
            self._write(transaction)
        return Taken(lists * batch, perf_counter() - started, process_time() - started_cpu)

    def _write(self, transaction: Sequence[tuple[str, Rows]]) -> None:
        execute, executemany = self._connection.execute, self._connection.executemany
        execute("BEGIN IMMEDIATE")
        for statement, rows in transaction:
            executemany(statement, rows).fetchall()
        execute("COMMIT")
