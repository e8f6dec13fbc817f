"""Reading, opening and proving a long ledger, and the memory of a process that charges on it.

python benchmarks/big_ledger.py [--smoke] [--json FILE] [--rows N] [--data DIR]
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from ledgers import entries, ledger
from reporting import Figure, add_data_option, data_folder, parser, publish, taking

from credit_wallet import CreditWallet
from credit_wallet.cli.bench import durability, percentiles_ms
from credit_wallet.cli.workloads import WALLETS, in_batches, plain_charges
from credit_wallet.domain.cycle import cycle_at
from credit_wallet.ledger.ledger import MAX_PAGE
from credit_wallet.ledger.rail import MAX_BATCH

PAGE = 50


def main() -> None:
    options = parser("A long ledger: history, opening, memory, verify.")
    options.add_argument("--rows", type=int, default=10_000_000, help="entries of the ledger (default 10,000,000)")
    options.add_argument("--charging", type=Path, metavar="DB", help="only charge on DB and print the memory used")
    add_data_option(options)
    given = options.parse_args()
    if given.charging is not None:
        print(_memory_mb_of_charging(given.charging, given.seconds or 5.0))
        return
    rows, count = (50_000, 500) if given.smoke else (given.rows, WALLETS)
    with data_folder(given.data) as data:
        path = ledger(data, wallets=count, charges=rows - count)
        size = path.stat().st_size
        settings = f"{durability(path)}; {entries(path):,} entries, {size / 1e9:.2f} GB"
        figures = [Figure("size with idempotency keys", size / entries(path), "bytes an entry", "<= 140")]
        figures += _measure(path, count, 100 if given.smoke else 2_000, 0.2 if given.smoke else given.seconds or 5.0)
    publish("SQLite, a long ledger", settings, figures, given.json)


def _measure(path: Path, count: int, reads: int, seconds: float) -> list[Figure]:
    opening: list[float] = []
    for _ in range(5):
        with taking(opening):
            wallets = CreditWallet.open(f"sqlite:///{path}")
        wallets.close()
    memory = _memory_mb_in_a_process(path, seconds)
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        cycle = cycle_at(datetime.now(UTC))
        history = _latencies_ms(lambda wallet_id: wallets.history(wallet_id, limit=PAGE), count, reads, PAGE)
        of_cycle = len(wallets.cycles.entries(1, cycle))
        statement = _latencies_ms(lambda wallet_id: wallets.cycles.entries(wallet_id, cycle), count, reads // 20, 1)
        proofs = [_verify(wallets, entries(path), processes) for processes in (1, 2)]
    return [
        _latency(f"history page of {PAGE}", history, "< 2 ms", "wallets at random"),
        Figure(
            "open an existing database", median(opening), "s", "< 1 s", detail=f"slowest of 5: {max(opening):.3f} s"
        ),
        Figure(f"memory of a process charging over {count:,} wallets", memory, "MB", "< 200 MB", detail="peak RSS"),
        _latency(f"entries of a cycle, {of_cycle:,} of them", statement, "", "wallets at random"),
        *proofs,
    ]


def _verify(wallets: CreditWallet, rows: int, processes: int) -> Figure:
    proving: list[float] = []
    with taking(proving):
        violations = wallets.verify(processes=processes)
    assert not violations, violations[:3]
    name = "verify" if processes == 1 else f"verify in {processes} processes"
    target = "<= 3" if processes == 2 else ""
    return Figure(name, proving[0] / rows * 1e6, "µs an entry", target, detail=f"{proving[0]:.1f} s in all")


def _latencies_ms(read: Callable[[int], Sequence[object]], count: int, reads: int, min_rows: int) -> list[float]:
    latencies: list[float] = []
    for _ in range(reads):
        with taking(latencies):
            found = read(random.randint(1, count))
        assert len(found) >= min_rows
    return [latency * 1_000 for latency in latencies]


def _latency(case: str, latencies_ms: list[float], target: str, detail: str) -> Figure:
    p50_ms, p99_ms = percentiles_ms(latencies_ms)
    return Figure(case, p50_ms, "ms", target, detail=f"p99 {p99_ms:.2f} ms, {detail}")


def _memory_mb_in_a_process(path: Path, seconds: float) -> float:
    command = [sys.executable, __file__, "--charging", str(path), "--seconds", str(seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _memory_mb_of_charging(path: Path, seconds: float) -> float:
    """The most memory that this process had resident while it charged wallets at random for ``seconds``, in MB."""
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        wallet_ids: list[int] = []
        while page := wallets.list(after=wallet_ids[-1] if wallet_ids else 0, limit=MAX_PAGE):
            wallet_ids += [view.wallet_id for view in page]
        in_batches(wallets, plain_charges(wallet_ids), MAX_BATCH)(seconds)
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1_000
    raise RuntimeError("the kernel does not tell VmHWM")


if __name__ == "__main__":
    main()
