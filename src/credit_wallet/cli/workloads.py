"""Workloads of benchmarks: charges through the rail, one list after another or by many callers at once."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from itertools import chain, cycle, islice
from pathlib import Path
from time import perf_counter
from typing import TypeAlias, TypeVar

import apsw
from msgspec import Struct

from credit_wallet.domain.commands import Charge, Topup
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.tokens import token_hash
from credit_wallet.errors import WalletError
from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.ledger.rail import MAX_BATCH
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.stores.sqlite.store import SqliteStore

P = TypeVar("P")

CALLERS = 64
"""Threads or tasks that charge at the same time."""

WALLETS = 10_000

CREDIT_YEN = 1_000_000_000
"""What a wallet of a benchmark starts with: more than any run can spend."""

PRICE_YEN = 3

KEYS_A_SECOND = 50_000
"""Idempotency keys made beforehand for concurrent callers; a faster machine makes the rest while it is measured."""


class Round(Struct, frozen=True):
    """One turn of a case. Latencies are of single charges, in milliseconds, where callers wait for each."""

    charges: int
    seconds: float
    latencies_ms: tuple[float, ...] = ()


Workload = Callable[[float], Round]
"""Charges for about that number of seconds."""

PlainCharge: TypeAlias = tuple[int, int, str]
"""Wallet, yen and idempotency key."""

AnyCharge: TypeAlias = PlainCharge | Charge
"""What a list of charges consists of."""


# Charging through the rail


def plain_charges(wallet_ids: Sequence[int]) -> Iterator[PlainCharge]:
    """Charges without end, each for a wallet drawn at random."""
    return ((wallet_id, PRICE_YEN, new_idempotency_key()) for wallet_id in drawn(wallet_ids))


def in_batches(wallets: CreditWallet, charges: Iterator[AnyCharge], batch: int) -> Workload:
    """One caller with lists of ``batch`` charges, which are made beforehand."""

    def charge_batch() -> float:
        made = list(islice(charges, batch))
        started = perf_counter()
        outcomes = wallets.charge_many(made)
        elapsed = perf_counter() - started
        require_success(outcomes)
        return elapsed

    return repeated(charge_batch, batch)


def repeated(charge_batch: Callable[[], float], batch: int) -> Workload:
    """A workload of batches; ``charge_batch`` charges one and returns the seconds that count."""

    def run(seconds: float) -> Round:
        deadline = perf_counter() + seconds
        batches, counted = 0, 0.0
        while perf_counter() < deadline or not batches:
            counted += charge_batch()
            batches += 1
        return Round(batches * batch, counted)

    return run


def by_threads(wallets: CreditWallet, wallet_ids: Sequence[int], callers: int) -> Workload:
    """``callers`` threads, each waiting for its charge before it sends the next."""

    def run(seconds: float) -> Round:
        latencies_ms: list[list[float]] = [[] for _ in range(callers)]
        start = threading.Barrier(callers + 1)
        payers, keys = drawn(wallet_ids), _keys_for(seconds)

        def call(mine: list[float]) -> None:
            start.wait()
            deadline = perf_counter() + seconds
            while (before := perf_counter()) < deadline:
                wallets.charge(next(payers), PRICE_YEN, idempotency_key=next(keys))
                mine.append((perf_counter() - before) * 1_000)

        threads = [threading.Thread(target=call, args=(mine,)) for mine in latencies_ms]
        for thread in threads:
            thread.start()
        start.wait()
        started = perf_counter()
        for thread in threads:
            thread.join()
        return _round_of(latencies_ms, perf_counter() - started)

    return run


def by_tasks(wallets: CreditWallet, wallet_ids: Sequence[int], callers: int) -> Workload:
    """``callers`` asyncio tasks on one loop, each waiting for its charge before it sends the next."""

    async def call(mine: list[float], payers: Iterator[int], keys: Iterator[str], deadline: float) -> None:
        while (before := perf_counter()) < deadline:
            await wallets.acharge(next(payers), PRICE_YEN, idempotency_key=next(keys))
            mine.append((perf_counter() - before) * 1_000)

    async def call_all(seconds: float) -> Round:
        latencies_ms: list[list[float]] = [[] for _ in range(callers)]
        payers, keys = drawn(wallet_ids), _keys_for(seconds)
        started = perf_counter()
        await asyncio.gather(*(call(mine, payers, keys, started + seconds) for mine in latencies_ms))
        return _round_of(latencies_ms, perf_counter() - started)

    return lambda seconds: asyncio.run(call_all(seconds))


def drawn(payers: Sequence[P]) -> Iterator[P]:
    """Wallets at random, without end; drawn beforehand, so that drawing is not measured."""
    return cycle(random.choices(payers, k=20 * MAX_BATCH))  # noqa: S311 - no secret


def _keys_for(seconds: float) -> Iterator[str]:
    """Idempotency keys, made beforehand as far as ``seconds`` can need them."""
    beforehand = [new_idempotency_key() for _ in range(int(seconds * KEYS_A_SECOND))]
    return chain(beforehand, iter(new_idempotency_key, ""))


def _round_of(latencies_ms: Sequence[Sequence[float]], seconds: float) -> Round:
    together = tuple(latency for mine in latencies_ms for latency in mine)
    return Round(len(together), seconds, together)


def require_success(outcomes: Sequence[object]) -> None:
    """Raise the first refusal among ``outcomes``."""
    for outcome in outcomes:
        if isinstance(outcome, WalletError):
            raise outcome


# Databases to charge in

_INSERT_WALLETS = """
INSERT INTO am_credit_wallet (owner_token_hash, monthly_budget_yen, last_txn_id) VALUES (?, ?, 0) RETURNING wallet_id
"""


def create_wallets(path: Path, count: int, *, credit_yen: int = CREDIT_YEN, monthly_budget_yen: int = 0) -> list[int]:
    """Make ``count`` wallets with ``credit_yen`` each in the database at ``path``, quickly; returns their ids."""

    def insert(connection: apsw.Connection) -> list[int]:
        rows = ((token_hash(f"bench {path} {number}"), monthly_budget_yen) for number in range(count))
        return [wallet_id for (wallet_id,) in connection.executemany(_INSERT_WALLETS, rows)]

    path.parent.mkdir(parents=True, exist_ok=True)
    store = SqliteStore(path, datetime.now(UTC))
    wallet_ids = store.run(insert)
    for start in range(0, count, MAX_BATCH):
        topups = [
            Topup(wallet_id, new_idempotency_key(), credit_yen * MICROS)
            for wallet_id in wallet_ids[start : start + MAX_BATCH]
        ]
        require_success(store.execute(topups, partial(datetime.now, UTC)))
    store.close()
    return wallet_ids
