"""A ledger of 10,000 wallets, one of which has 1,000,000 entries, built through the library: some minutes, then kept.

    python tests/support/large_ledger.py [--entries N] [--wallets N] [--data DIR]

The last four weeks: agents, items, facts and notes in the wallet ``WALLET_ID``, which ``OWNER_TOKEN`` opens. A ledger
is built anew in each month, and when this file or a migration has changed.
"""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser
from asyncio import gather, run
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from pathlib import Path
from random import Random

from clock import Clock

from credit_wallet import CreditWallet
from credit_wallet.domain.actors import OPERATOR
from credit_wallet.domain.commands import Charge
from credit_wallet.rules.usage import asked_for
from credit_wallet.runtime.steady_clock import utc_now
from credit_wallet.worker import count_totals, count_usage

WALLETS = 10_000
ENTRIES = 1_000_000
WALLET_ID = 1
OWNER_TOKEN = "the-owner-token-of-the-large-ledger"  # noqa: S105
ZONE = "Asia/Tokyo"
DAYS = 28
LIST = 1_000
OTHERS_CHARGES = 3
"""Of each other wallet."""

PRICES = """
[[price]]
item = "search"
unit_price_yen = "3.30"

[[price]]
item = "image"
unit_price_yen = "12"
"""
_NOTES = (None, None, None, "京都の宿を3件", "Flights to Sapporo", "Compare train passes")
_SOURCES = [Path(__file__), *sorted((Path(__file__).resolve().parents[2] / "scripts" / "migrations").rglob("*.sql"))]


def kept() -> Path:
    """The folder where built ledgers are kept for others."""
    folder = Path(tempfile.gettempdir()) / "credit-wallet-large"
    folder.mkdir(exist_ok=True)
    return folder


def ledger(folder: Path, *, wallets: int = WALLETS, entries: int = ENTRIES) -> Path:
    """The database in ``folder``, built if it is not there."""
    now = utc_now()
    state = sha256(b"".join(each.read_bytes() for each in _SOURCES)).hexdigest()[:12]
    path = folder / f"{wallets}-wallets-{entries}-entries-{now:%Y-%m}-{state}.db"
    if not path.exists():
        building = path.with_suffix(".building")
        for leftover in folder.glob(f"{building.name}*"):
            leftover.unlink()
        _build(building, now, wallets, entries)
        building.rename(path)
    return path


def _build(path: Path, now: datetime, wallets: int, entries: int) -> None:
    clock = Clock(now - timedelta(days=DAYS))
    with CreditWallet.open(f"sqlite:///{path}", clock=clock) as opened:
        opened.prices.apply(PRICES)
        keys = _customer(opened, entries)
        _others(opened, wallets - 1)
        dice, step = Random(19), timedelta(days=DAYS) / (entries // LIST + 1)
        for first in range(0, entries, LIST):
            clock.set(clock() + step)
            opened.charge_many(_charges(dice, keys, range(first, min(first + LIST, entries))))
        clock.set(now)
        while count_usage(opened) or count_totals(opened):
            pass


def _customer(wallets: CreditWallet, entries: int) -> list[int]:
    """The wallet with many entries, and its agents."""
    made = wallets.create(
        label="青空旅行株式会社", time_zone=ZONE, reference="cust_large", monthly_budget_yen=30 * entries
    )
    assert made.wallet_id == WALLET_ID
    wallets.secrets.register(WALLET_ID, sha256(OWNER_TOKEN.encode()).hexdigest())
    wallets.topup(WALLET_ID, 100 * entries, idempotency_key="credit")
    keys = [wallets.keys.create(WALLET_ID, label=f"Agent {number}").key_id for number in range(20)]
    wallets.budgets.create(WALLET_ID, limit_yen=20 * entries, window="month", label="Images", scope={"item": "image"})
    wallets.budgets.create(WALLET_ID, limit_yen=20 * entries, window="week", label="Per tool", scope={"tool": "*"})
    return keys


def _others(wallets: CreditWallet, count: int) -> None:
    """Wallets with credit and a few charges."""
    ids = [
        wallets.create(label=f"Customer {number}", reference=f"cust_{number}", time_zone=ZONE).wallet_id
        for number in range(count)
    ]

    async def credit(some: list[int]) -> None:
        await gather(*(wallets.atopup(each, 500, idempotency_key=f"credit {each}") for each in some))

    for first in range(0, len(ids), LIST):
        run(credit(ids[first : first + LIST]))
    for number in range(OTHERS_CHARGES):
        wallets.charge_many([(each, 40, f"charge {number} of {each}") for each in ids])


def _charges(dice: Random, keys: list[int], numbers: range) -> Iterator[Charge]:
    for number in numbers:
        tool, item = dice.choice((("search", "search"), ("translate", "search"), ("draw", "image")))
        facts = {"tool": tool, "model": dice.choice(("large", "small"))}
        amount_micros, usage = asked_for(None, item, None, facts, None, OPERATOR)
        note, key_id = dice.choice(_NOTES), dice.choice(keys)
        yield Charge(WALLET_ID, f"large {number}", amount_micros, note, key_id, usage)


def main() -> None:
    options = ArgumentParser(description="Build the large ledger, unless it is there, and print its path.")
    options.add_argument("--entries", type=int, default=ENTRIES)
    options.add_argument("--wallets", type=int, default=WALLETS)
    options.add_argument(
        "--data", type=Path, default=None, help="where it is kept (default: the folder for temporary files)"
    )
    given = options.parse_args()
    print(ledger(given.data or kept(), wallets=given.wallets, entries=given.entries))  # noqa: T201


if __name__ == "__main__":
    main()
