"""Charges per second in batches on SQLite: one wallet and 10,000 wallets, beside two plain implementations.

    python benchmarks/sqlite_charges.py [--smoke] [--json FILE] [--seconds S]

TigerBeetle's figures were measured on a 2-core machine with TigerBeetle 0.17.9 (one replica) through its Python client;
they are not part of the run.
"""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from reporting import Figure, figure_of, parser, publish

from credit_wallet import CreditWallet
from credit_wallet.cli.bench import BASELINE, ROUNDS, Case, durability, measure
from credit_wallet.cli.workloads import WALLETS, PlainLedger, Workload, create_wallets, in_batches

MAX_BATCH = 8_192
ONE_WALLET = "one wallet, batches of 1,024"
TIGERBEETLE = {1: (405, 405), 64: (6_400, 9_700), 1_024: (25_000, 35_000), 8_000: (52_000, 57_000)}
"""Batch size to the lowest and the highest transfers/s."""


def main() -> None:
    options = parser("Charges per second in batches on SQLite.").parse_args()
    seconds = 0.2 if options.smoke else options.seconds or 5.0
    with TemporaryDirectory(prefix="credit-wallet-bench-") as folder:
        count = 500 if options.smoke else WALLETS
        settings, cases = _measure(Path(folder), seconds, count)
    publish("SQLite, charges in batches", settings, [_figure(case, count) for case in cases], options.json)


def _measure(folder: Path, seconds: float, count: int) -> tuple[str, list[Case]]:
    plain_path, path = folder / "plain.db", folder / "wallets.db"
    plain_ids, wallet_ids = create_wallets(plain_path, count), create_wallets(path, count)
    with (
        PlainLedger(plain_path, plain_ids[:1]) as plain_one,
        PlainLedger(plain_path, plain_ids) as plain,
        CreditWallet.open(f"sqlite:///{path}", max_batch=MAX_BATCH) as wallets,
    ):
        workloads: dict[str, Workload] = {
            BASELINE: plain_one.in_batches(1),
            "statement by statement, one wallet, batches of 1,024": plain_one.in_batches(1_024),
            f"statement by statement, {_name(1_024, count)}": plain.in_batches(1_024),
            ONE_WALLET: in_batches(wallets, wallet_ids[:1], 1_024),
        }
        for batch in TIGERBEETLE:
            workloads[_name(batch, count)] = in_batches(wallets, wallet_ids, batch)
        cases = measure(workloads, seconds=seconds, rounds=ROUNDS)
        _require_valid(wallets)
    with CreditWallet.open(f"sqlite:///{plain_path}") as left_by_plain:
        _require_valid(left_by_plain)
    return durability(path), cases


def _name(batch: int, count: int) -> str:
    return f"{count:,} wallets, batch{'' if batch == 1 else 'es'} of {batch:,}"


def _figure(case: Case, count: int) -> Figure:
    targets = {ONE_WALLET: ">= 100,000/s, >= 40 ×", _name(1_024, count): ">= 40,000/s, >= 15 ×"}
    target, detail = targets.get(case.name, ""), ""
    for batch, (lowest, highest) in TIGERBEETLE.items():
        if case.name == _name(batch, count):
            target = target or f"> {highest:,}/s"
            measured = f"{highest:,}" if lowest == highest else f"{lowest:,}–{highest:,}"
            detail = f"TigerBeetle {measured}/s"
    return figure_of(case, target=target, ratio_to=BASELINE, detail=detail)


def _require_valid(wallets: CreditWallet) -> None:
    violations = wallets.verify()
    assert not violations, violations[:3]


if __name__ == "__main__":
    main()
