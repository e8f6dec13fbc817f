"""64 callers at once, one charge each, on an empty ledger and on a long one.

    python benchmarks/concurrency.py [--smoke] [--json FILE] [--seconds S] [--rows N] [--data DIR]

Each case on the long ledger takes turns with its twin on the empty one. The charges of a run stay in the long ledger.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from ledgers import entries, ledger
from reporting import Figure, add_data_option, data_folder, figure_of, parser, publish

from credit_wallet import CreditWallet
from credit_wallet.cli.bench import BASELINE, ROUNDS, Case, durability, measure
from credit_wallet.cli.workloads import (
    CALLERS,
    WALLETS,
    PlainLedger,
    Workload,
    by_tasks,
    by_threads,
    create_wallets,
    in_batches,
)
from credit_wallet.ledger.rail import MAX_BATCH

EMPTY, LONG = "empty ledger", "long ledger"


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
    publish("SQLite, 64 callers at once", settings, _figures(cases), given.json)


def _measure(folder: Path, long_path: Path, count: int, seconds: float) -> tuple[str, list[Case]]:
    path, plain_path = folder / "empty.db", folder / "plain.db"
    wallet_ids = create_wallets(path, count)
    with (
        PlainLedger(plain_path, create_wallets(plain_path, 1)) as plain,
        CreditWallet.open(f"sqlite:///{path}") as empty,
        CreditWallet.open(f"sqlite:///{long_path}") as long,
    ):
        workloads: dict[str, Workload] = {BASELINE: plain.in_batches(1)}
        for kind, wallets in ((EMPTY, empty), (LONG, long)):
            workloads[f"{CALLERS} threads, {kind}"] = by_threads(wallets, wallet_ids, CALLERS)
            workloads[f"{CALLERS} asyncio tasks, {kind}"] = by_tasks(wallets, wallet_ids, CALLERS)
            workloads[f"batches of {MAX_BATCH:,}, {kind}"] = in_batches(wallets, wallet_ids, MAX_BATCH)
        cases = measure(workloads, seconds=seconds, rounds=ROUNDS)
    return durability(path), cases


def _figures(cases: list[Case]) -> list[Figure]:
    rates = {case.name: case.charges_per_second for case in cases}
    figures = []
    for case in cases:
        target = ">= 20,000/s, p99 < 20 ms" if str(CALLERS) in case.name else ""
        twin = case.name.replace(LONG, EMPTY)
        if case.name == twin:
            figures.append(figure_of(case, target=target, ratio_to=BASELINE))
        else:
            figure = figure_of(case, target=">= 0.80 × empty ledger")
            ratio = round(case.charges_per_second / rates[twin], 2)
            figures.append(
                Figure(*(figure.case, figure.value, figure.unit, figure.target), ratio, EMPTY, figure.detail)
            )
    return figures


if __name__ == "__main__":
    main()
