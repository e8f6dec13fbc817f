"""64 callers at once, one charge each, beside the wallet's own lists of 64, on an empty ledger and on a long one.

    python benchmarks/concurrency.py [--smoke] [--json FILE] [--seconds S] [--rows N] [--data DIR]

Each case on the long ledger takes turns with its twin on the empty one. The charges of a run stay in the long ledger.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ledgers import entries, ledger
from reporting import Figure, add_data_option, data_folder, figure_of, parser, publish

from credit_wallet import CreditWallet
from credit_wallet.cli.bench import ROUNDS, Case, compared, durability, measure
from credit_wallet.cli.workloads import (
    CALLERS,
    WALLETS,
    Workload,
    by_tasks,
    by_threads,
    create_wallets,
    in_batches,
    plain_charges,
)
from credit_wallet.ledger.rail import MAX_BATCH

EMPTY, LONG = "empty ledger", "long ledger"
LISTS, BATCHES = f"own lists of {CALLERS}", f"lists of {MAX_BATCH:,}"
TASKS, THREADS = f"{CALLERS} asyncio tasks", f"{CALLERS} threads"


def main() -> None:
    options = parser("64 callers at once, one charge each.")
    options.add_argument("--rows", type=int, default=10_000_000, help="entries of the long ledger (default 10,000,000)")
    add_data_option(options)
    given = options.parse_args()
    rows, count = (50_000, 500) if given.smoke else (given.rows, WALLETS)
    seconds = 0.2 if given.smoke else given.seconds or 5.0
    with data_folder(given.data) as data, TemporaryDirectory(prefix="credit-wallet-bench-") as folder:
        long_path = ledger(data, wallets=count, charges=rows - count)
        settings, cases = _measure(Path(folder), long_path, count, seconds)
        settings += f"; long: {entries(long_path):,} entries"
        if given.smoke:
            with CreditWallet.open(f"sqlite:///{long_path}") as wallets:
                assert not wallets.verify()
    publish("SQLite, 64 callers at once", settings, [_figure(case) for case in cases], given.json)


def _measure(folder: Path, long_path: Path, count: int, seconds: float) -> tuple[str, list[Case]]:
    path = folder / "empty.db"
    wallet_ids = create_wallets(path, count)
    with CreditWallet.open(f"sqlite:///{path}") as empty, CreditWallet.open(f"sqlite:///{long_path}") as long:
        workloads: dict[str, Workload] = {}
        for kind, wallets in ((EMPTY, empty), (LONG, long)):
            workloads[f"{LISTS}, {kind}"] = in_batches(wallets, plain_charges(wallet_ids), CALLERS)
            workloads[f"{TASKS}, {kind}"] = by_tasks(wallets, wallet_ids, CALLERS)
            workloads[f"{THREADS}, {kind}"] = by_threads(wallets, wallet_ids, CALLERS)
            workloads[f"{BATCHES}, {kind}"] = in_batches(wallets, plain_charges(wallet_ids), MAX_BATCH)
        cases = measure(workloads, seconds=seconds, rounds=ROUNDS)
    beside = {name: other for name in cases if (other := _beside(name))}
    cases |= {name: compared(cases[name], cases[other]) for name, other in beside.items()}
    return durability(path), list(cases.values())


def _beside(name: str) -> str:
    """Cases on the long ledger are compared with the same on the empty one, callers there with lists."""
    if name.endswith(LONG):
        return name.replace(LONG, EMPTY)
    return f"{LISTS}, {EMPTY}" if name.startswith((TASKS, THREADS)) else ""


def _figure(case: Case) -> Figure:
    target = {f"{TASKS}, {EMPTY}": ">= 0.9, p99 < 3 × p50"}.get(case.name, ">= 0.95" if LONG in case.name else "")
    return figure_of(case, target=target, ratio_to=EMPTY if LONG in case.name else LISTS)


if __name__ == "__main__":
    main()
