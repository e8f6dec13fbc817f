"""64 callers at once, one charge each, beside the wallet's own lists of 64, on an empty ledger and on a long one.

    python benchmarks/concurrency.py [--rows N] [--data DIR] [--tigerbeetle ADDRESS] [--seconds S] [--smoke]
                                     [--json FILE]

Each case on the long ledger takes turns with its twin on the empty one. The charges of a run stay in the long ledger.
With ``--tigerbeetle``, 64 asyncio tasks also send transfers to that server.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from ledgers import entries, ledger
from msgspec import structs
from reporting import Figure, add_data_option, data_folder, figure_of, parser, publish
from tigerbeetle_transfers import TIGERBEETLE, TigerBeetle, add_tigerbeetle_option

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
AT_TIGERBEETLE = f"{TASKS}: {TIGERBEETLE}"


def main() -> None:
    options = parser("64 callers at once, one charge each.")
    options.add_argument("--rows", type=int, default=10_000_000, help="entries of the long ledger (default 10,000,000)")
    add_data_option(options)
    add_tigerbeetle_option(options)
    given = options.parse_args()
    rows, count = (50_000, 500) if given.smoke else (given.rows, WALLETS)
    seconds = 0.2 if given.smoke else given.seconds or 5.0
    with data_folder(given.data) as data, TemporaryDirectory(prefix="credit-wallet-bench-") as folder:
        long_path = ledger(data, wallets=count, charges=rows - count)
        settings, cases = _measure(Path(folder), long_path, count, seconds, given.tigerbeetle)
        settings += f"; long: {entries(long_path):,} entries"
        if given.smoke:
            with CreditWallet.open(f"sqlite:///{long_path}") as wallets:
                assert not wallets.verify()
    publish("SQLite, 64 callers at once", settings, [_figure(name, cases) for name in cases], given.json)


def _measure(
    folder: Path, long_path: Path, count: int, seconds: float, tigerbeetle: str | None
) -> tuple[str, dict[str, Case]]:
    path = folder / "empty.db"
    wallet_ids = create_wallets(path, count)
    with ExitStack() as stack:
        empty, long = (stack.enter_context(CreditWallet.open(f"sqlite:///{each}")) for each in (path, long_path))
        workloads: dict[str, Workload] = {}
        for kind, wallets in ((EMPTY, empty), (LONG, long)):
            workloads[f"{LISTS}, {kind}"] = in_batches(wallets, plain_charges(wallet_ids), CALLERS)
            workloads[f"{TASKS}, {kind}"] = by_tasks(wallets, wallet_ids, CALLERS)
            workloads[f"{THREADS}, {kind}"] = by_threads(wallets, wallet_ids, CALLERS)
            workloads[f"{BATCHES}, {kind}"] = in_batches(wallets, plain_charges(wallet_ids), MAX_BATCH)
        if tigerbeetle is not None:
            peer = stack.enter_context(TigerBeetle(tigerbeetle, count))
            workloads[AT_TIGERBEETLE] = peer.by_tasks(CALLERS)
        return durability(path), measure(workloads, seconds=seconds, rounds=ROUNDS)


def _figure(name: str, cases: dict[str, Case]) -> Figure:
    """Callers beside lists, cases on the long ledger beside the same on the empty one."""
    case = cases[name]
    if name == AT_TIGERBEETLE:
        ratio = compared(cases[f"{TASKS}, {EMPTY}"], case).ratio
        return structs.replace(figure_of(case, target=">= 50"), unit="transfers/s", ratio=ratio, ratio_to=TIGERBEETLE)
    if name.endswith(LONG):
        return figure_of(compared(case, cases[name.replace(LONG, EMPTY)]), target=">= 0.95", ratio_to=EMPTY)
    if name.startswith((TASKS, THREADS)):
        target = ">= 0.9, p99 < 3 × p50" if name.startswith(TASKS) else ""
        return figure_of(compared(case, cases[f"{LISTS}, {EMPTY}"]), target=target, ratio_to=LISTS)
    return figure_of(case)


if __name__ == "__main__":
    main()
