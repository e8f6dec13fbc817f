"""Charges per second on this machine, beside what a plain implementation reaches in the same run.

The baseline is ``PlainLedger``: one careful transaction per charge on the same tables, driver and durability settings
(write-ahead log, ``synchronous=FULL``). Both sides look the idempotency key up, check the balance, write the ledger
entry, the cycle spend and the key; both get their idempotency keys and the wallets to charge made beforehand, as a
client makes them. Cases take turns in short rounds, so that what disturbs the machine disturbs all of them, and medians
are reported.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median, quantiles

import apsw
from msgspec import Struct, json
from rich.table import Table

from credit_wallet.cli.workloads import (
    CALLERS,
    WALLETS,
    PlainLedger,
    Round,
    Workload,
    by_tasks,
    by_threads,
    create_wallets,
    in_batches,
)
from credit_wallet.ledger.rail import MAX_BATCH
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.stores.sqlite.connection import connect

ROUNDS = 5
"""Turns that each case gets; the median of them is reported."""

BASELINE = "one transaction per charge"


class Machine(Struct, frozen=True):
    """Where and when something was measured."""

    date: str
    cpus: int
    cpu: str
    python: str
    sqlite: str


class Case(Struct, frozen=True):
    """A case over all its rounds: the median rate, and latencies over every charge of every round."""

    name: str
    charges_per_second: int
    ratio_to_baseline: float
    rounds_per_second: tuple[int, ...]
    p50_ms: float | None = None
    p99_ms: float | None = None


class BenchReport(Struct, frozen=True):
    """What ``run_bench`` found; ``cases`` starts with the baseline."""

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
        table.add_column("case")
        for heading in ("charges/s", "× baseline", "p50 ms", "p99 ms"):
            table.add_column(heading, justify="right")
        for case in self.cases:
            table.add_row(
                case.name,
                f"{case.charges_per_second:,}",
                f"{case.ratio_to_baseline:.1f}",
                "" if case.p50_ms is None else f"{case.p50_ms:.2f}",
                "" if case.p99_ms is None else f"{case.p99_ms:.2f}",
            )
        return table


def run_bench(folder: Path, *, seconds: float = 2.0) -> BenchReport:
    """Measure charging in new databases in ``folder`` (on the disk that the ledger will be on).

    Each case runs for ``seconds`` in all, in ``ROUNDS`` rounds. Raises ``DatabaseError``.
    """
    plain_path, path = folder / "baseline.db", folder / "bench.db"
    with PlainLedger(plain_path, create_wallets(plain_path, 1)) as plain:
        wallet_ids = create_wallets(path, WALLETS)
        with CreditWallet.open(f"sqlite:///{path}") as wallets:
            one = wallet_ids[:1]
            workloads = {
                BASELINE: plain.in_batches(1),
                f"one wallet, batches of {MAX_BATCH:,}": in_batches(wallets, one, MAX_BATCH),
                f"{WALLETS:,} wallets, batches of {MAX_BATCH:,}": in_batches(wallets, wallet_ids, MAX_BATCH),
                f"{CALLERS} threads, one charge each": by_threads(wallets, wallet_ids, CALLERS),
                f"{CALLERS} asyncio tasks, one charge each": by_tasks(wallets, wallet_ids, CALLERS),
            }
            cases = measure(workloads, seconds=seconds, rounds=ROUNDS)
    return BenchReport(this_machine(), durability(path), tuple(cases))


# Measuring


def measure(workloads: Mapping[str, Workload], *, seconds: float, rounds: int) -> list[Case]:
    """Give each workload ``seconds`` in all, in ``rounds`` turns; ratios are to the first one.

    A short turn beforehand, not counted, warms caches up.
    """
    for workload in workloads.values():
        workload(seconds / rounds / 10)
    measured: dict[str, list[Round]] = {name: [] for name in workloads}
    for _ in range(rounds):
        for name, workload in workloads.items():
            measured[name].append(workload(seconds / rounds))
    rates = {name: median(_rate(turn) for turn in turns) for name, turns in measured.items()}
    baseline = next(iter(rates.values()))
    return [_case(name, turns, rates[name], baseline) for name, turns in measured.items()]


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


def _case(name: str, turns: Sequence[Round], rate: float, baseline: float) -> Case:
    latencies_ms = [latency for turn in turns for latency in turn.latencies_ms]
    p50_ms, p99_ms = percentiles_ms(latencies_ms) if latencies_ms else (None, None)
    rounds = tuple(round(_rate(turn)) for turn in turns)
    return Case(name, round(rate), round(rate / baseline, 2), rounds, p50_ms, p99_ms)


def _rate(turn: Round) -> float:
    return turn.charges / turn.seconds


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
