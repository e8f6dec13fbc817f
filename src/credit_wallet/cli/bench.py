"""Charges per second on this machine, beside the limit: what SQLite alone takes for the same rows (``limit``).

Every charge looks its idempotency key up, checks the balance, and writes the ledger entry, the cycle spend and the key,
on durable settings (write-ahead log, ``synchronous=FULL``). Keys and wallets to charge are made beforehand, as a client
makes them. Cases take turns in short rounds, so that what disturbs the machine disturbs all of them, and medians are
reported.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median, quantiles
from typing import NamedTuple

import apsw
from msgspec import Struct, json, structs
from rich.table import Table

from credit_wallet.cli.equipped import create_equipped, equipped_charges
from credit_wallet.cli.limit import Limit
from credit_wallet.cli.workloads import (
    CALLERS,
    WALLETS,
    AnyCharge,
    Round,
    Workload,
    by_tasks,
    by_threads,
    create_wallets,
    in_batches,
    plain_charges,
)
from credit_wallet.ledger.rail import MAX_BATCH
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.stores.sqlite.connection import connect

ROUNDS = 5
"""Turns that each case gets; the median of them is reported."""


class Machine(Struct, frozen=True):
    """Where and when something was measured."""

    date: str
    cpus: int
    cpu: str
    python: str
    sqlite: str


class Case(Struct, frozen=True):
    """A case over all its rounds: the median rate, and latencies over every charge of every round.

    ``ratio`` is the median over the rounds of its rate divided by that of the case ``ratio_to``.
    """

    name: str
    charges_per_second: int
    rounds_per_second: tuple[int, ...]
    ratio: float | None = None
    ratio_to: str = ""
    p50_ms: float | None = None
    p99_ms: float | None = None


class BenchReport(Struct, frozen=True):
    """What ``run_bench`` found; each case comes before the one that it is compared with."""

    machine: Machine
    durability: str
    cases: tuple[Case, ...]

    def to_json(self) -> str:
        """One line of JSON."""
        return json.encode(self).decode()

    def to_table(self) -> Table:
        """For a terminal."""
        machine = self.machine
        table = Table(
            title="Charges per second",
            caption=f"{self.durability}; {machine.cpus} × {machine.cpu}, Python {machine.python}, "
            f"SQLite {machine.sqlite}, {machine.date}",
        )
        rates = {case.name: case.charges_per_second for case in self.cases}
        for heading in ("case", "charges/s", "ratio", "to", "p50 ms", "p99 ms"):
            table.add_column(heading, justify="left" if heading in {"case", "to"} else "right")
        for case in self.cases:
            if case.ratio is None:  # a limit, which is shown beside its case
                continue
            table.add_row(
                case.name,
                f"{case.charges_per_second:,}",
                f"{case.ratio:.2f}",
                f"{'limit' if case.ratio_to == limit_of(case.name) else 'own lists'}, {rates[case.ratio_to]:,}/s",
                "" if case.p50_ms is None else f"{case.p50_ms:.2f}",
                "" if case.p99_ms is None else f"{case.p99_ms:.2f}",
            )
        return table


def run_bench(folder: Path, *, seconds: float = 2.0) -> BenchReport:
    """Measure charging in new databases in ``folder`` (on the disk that the ledger will be on).

    Each case runs for ``seconds`` in all, in ``ROUNDS`` rounds. Raises ``DatabaseError``.
    """
    path, equipped_path = folder / "plain.db", folder / "equipped.db"
    wallet_ids, payers = create_wallets(path, WALLETS), create_equipped(equipped_path, 1)
    with _side_by_side(path) as plain, _side_by_side(equipped_path) as equipped:
        one, many = partial(plain_charges, wallet_ids[:1]), partial(plain_charges, wallet_ids)
        workloads = {
            **plain.lists("one wallet", one, MAX_BATCH),
            **equipped.lists("one wallet as people have it", partial(equipped_charges, payers), MAX_BATCH),
            **plain.lists(f"{WALLETS:,} wallets", many, MAX_BATCH),
            **plain.lists(f"{WALLETS:,} wallets", many, CALLERS),
            **plain.lists(f"{WALLETS:,} wallets", many, 1),
            f"{CALLERS} threads": by_threads(plain.wallets, wallet_ids, CALLERS),
            f"{CALLERS} asyncio tasks": by_tasks(plain.wallets, wallet_ids, CALLERS),
        }
        beside = {name: limit_of(name) for name in workloads if limit_of(name) in workloads}
        own_lists = lists_of(f"{WALLETS:,} wallets", CALLERS)
        beside |= dict.fromkeys(list(workloads)[-2:], own_lists)
        cases = measure(workloads, seconds=seconds, rounds=ROUNDS)
    cases |= {name: compared(cases[name], cases[other]) for name, other in beside.items()}
    return BenchReport(this_machine(), durability(path), tuple(cases.values()))


class _SideBySide(NamedTuple):
    """A ledger, and a copy of it with its limit."""

    wallets: CreditWallet
    limit: Limit

    def lists(self, payers: str, charges: Callable[[], Iterator[AnyCharge]], batch: int) -> dict[str, Workload]:
        """Lists of ``batch`` charges, and the limit of that."""
        name = lists_of(payers, batch)
        return {
            name: in_batches(self.wallets, charges(), batch),
            limit_of(name): self.limit.in_batches(charges(), batch),
        }


@contextmanager
def _side_by_side(path: Path) -> Iterator[_SideBySide]:
    copy = path.with_suffix(".copy.db")
    shutil.copyfile(path, copy)
    with CreditWallet.open(f"sqlite:///{path}") as wallets, Limit(copy) as limit:
        yield _SideBySide(wallets, limit)


def lists_of(payers: str, batch: int) -> str:
    """The name of a case."""
    return f"{payers}, one at a time" if batch == 1 else f"{payers}, lists of {batch:,}"


def limit_of(name: str) -> str:
    """The name of a case's limit."""
    return f"limit: {name}"


# Measuring


def measure(workloads: Mapping[str, Workload], *, seconds: float, rounds: int) -> dict[str, Case]:
    """Give each workload ``seconds`` in all, in ``rounds`` turns of alternating order.

    A short turn beforehand, not counted, warms caches up.
    """
    for workload in workloads.values():
        workload(seconds / rounds / 10)
    measured: dict[str, list[Round]] = {name: [] for name in workloads}
    for number in range(rounds):
        for name in list(workloads)[:: -1 if number % 2 else 1]:
            measured[name].append(workloads[name](seconds / rounds))
    return {name: _case(name, turns) for name, turns in measured.items()}


def compared(case: Case, other: Case) -> Case:
    """The case with its ratio to another one of the same run, the median of the ratios of the rounds."""
    pairs = zip(case.rounds_per_second, other.rounds_per_second, strict=True)
    return structs.replace(
        case, ratio=round(median(mine / max(there, 1) for mine, there in pairs), 3), ratio_to=other.name
    )


def percentiles_ms(latencies_ms: Sequence[float]) -> tuple[float, float]:
    """Median and 99th percentile."""
    if len(latencies_ms) < 2:
        return latencies_ms[0], latencies_ms[0]
    cuts = quantiles(latencies_ms, n=100, method="inclusive")
    return cuts[49], cuts[98]


def this_machine() -> Machine:
    """The machine, the interpreter and the SQLite library that run this."""
    return Machine(
        date=f"{datetime.now(UTC):%Y-%m-%d}",
        cpus=os.cpu_count() or 1,
        cpu=_cpu_model(),
        python=platform.python_version(),
        sqlite=apsw.sqlite_lib_version(),
    )


def durability(path: Path) -> str:
    """The settings that a ledger at ``path`` is written with, as SQLite tells them."""
    connection = connect(path)
    journal_mode = connection.execute("PRAGMA journal_mode").get
    synchronous = ("OFF", "NORMAL", "FULL", "EXTRA")[connection.execute("PRAGMA synchronous").get]
    connection.close()
    return f"journal_mode={str(journal_mode).upper()}, synchronous={synchronous}"


def _case(name: str, turns: Sequence[Round]) -> Case:
    latencies_ms = [latency for turn in turns for latency in turn.latencies_ms]
    p50_ms, p99_ms = percentiles_ms(latencies_ms) if latencies_ms else (None, None)
    rounds = tuple(round(turn.charges / turn.seconds) for turn in turns)
    return Case(name, round(median(rounds)), rounds, p50_ms=p50_ms, p99_ms=p99_ms)


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
