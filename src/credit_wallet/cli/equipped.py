"""Wallets as people have them, for benchmarks: two budgets, automatic top-ups, an agent key.

Their charges are of an item, with facts.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

from credit_wallet.cli.workloads import create_wallets, drawn
from credit_wallet.domain.acts import LIBRARY
from credit_wallet.domain.budget_settings import NewBudget, NewKey
from credit_wallet.domain.commands import Charge
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.tokens import NewToken
from credit_wallet.domain.usage import QUANTITY_UNIT, Usage
from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.stores.budget_jobs import create_budget
from credit_wallet.stores.identity_rows import create_key
from credit_wallet.stores.sqlite.store import SqliteStore

PRICES = '[[price]]\nitem = "search"\nunit_price_yen = 3\n'
TOPUP_BELOW_YEN, TOPUP_YEN = 1_000, 10_000
GROUP = "acme/search"
LIMIT_MICROS = 10**9 * MICROS
SHARES_PCT = (80, 100)
CHARGES_A_RUN = 100

Payer: TypeAlias = tuple[int, int]
"""A wallet and its agent key."""


def create_equipped(path: Path, count: int) -> list[Payer]:
    """Make ``count`` such wallets in the database at ``path``, quickly, and a price for what they are charged."""
    wallet_ids, now = create_wallets(path, count), datetime.now(UTC)
    store = SqliteStore(path, now)
    payers: list[Payer] = store.run(_equip, wallet_ids, now)
    store.close()
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        wallets.prices.apply(PRICES)
        asyncio.run(_configure(wallets, wallet_ids))
    return payers


async def _configure(wallets: CreditWallet, wallet_ids: Sequence[int]) -> None:
    """Switch automatic top-ups on, many wallets in a batch."""
    automatic = partial(wallets.aconfigure, auto_topup_threshold=TOPUP_BELOW_YEN, auto_topup_amount=TOPUP_YEN)
    await asyncio.gather(*map(automatic, wallet_ids))


def equipped_charges(payers: Sequence[Payer]) -> Iterator[Charge]:
    """Charges without end, each for a wallet drawn at random; a run lasts a hundred charges of a wallet."""
    run_length, number = CHARGES_A_RUN * len(payers), 0
    charged = drawn(payers)
    while True:
        usage = Usage("search", QUANTITY_UNIT, (("run", f"r{number}"), ("tool", "search")))
        for wallet_id, key_id in islice(charged, run_length):
            yield Charge(wallet_id, new_idempotency_key(), amount_micros=0, key_id=key_id, usage=usage)
        number += 1


def _equip(connection: Any, wallet_ids: Sequence[int], now: datetime) -> list[Payer]:
    return [(wallet_id, _equip_one(connection, wallet_id, now)) for wallet_id in wallet_ids]


def _equip_one(connection: Any, wallet_id: int, now: datetime) -> int:
    """Give a wallet a key, a budget of the month and one of the day for the keys of a group; returns the key's id."""
    budgets = (("month", ()), ("day", ((".group", "acme"),)))
    for window, scope in budgets:
        budget = NewBudget(wallet_id, None, "yen", LIMIT_MICROS, window, scope, "cap", SHARES_PCT, None, "monday")
        create_budget(connection, budget, LIBRARY, now)
    token = NewToken.of(f"key of {wallet_id}")
    return create_key(connection, wallet_id, token, NewKey(group=GROUP), None, LIBRARY, now)
