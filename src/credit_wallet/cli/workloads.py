"""Workloads of the benchmark: charges through the rail, and the plain implementation that they are compared with."""

from __future__ import annotations

import asyncio
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from hashlib import sha256
from itertools import chain, cycle, islice
from pathlib import Path
from time import perf_counter
from typing import Any

import apsw
from msgspec import Struct

from credit_wallet.domain.commands import Topup
from credit_wallet.domain.cycle import cycle_at, format_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.tokens import token_hash
from credit_wallet.errors import IdempotencyConflict, InsufficientFunds, WalletError
from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.ledger.rail import MAX_BATCH
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.stores.sqlite.connection import connect
from credit_wallet.stores.sqlite.ledger import transaction
from credit_wallet.stores.sqlite.store import SqliteStore

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


# Charging through the rail


def in_batches(wallets: CreditWallet, wallet_ids: Sequence[int], batch: int) -> Workload:
    """One caller with lists of ``batch`` charges, each for a wallet drawn at random."""
    payers = drawn(wallet_ids)

    def charge_batch() -> float:
        charges = [(wallet_id, PRICE_YEN, new_idempotency_key()) for wallet_id in islice(payers, batch)]
        started = perf_counter()
        outcomes = wallets.charge_many(charges)
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


def drawn(wallet_ids: Sequence[int]) -> Iterator[int]:
    """Wallets at random, without end; drawn beforehand, so that drawing is not measured."""
    return cycle(random.choices(wallet_ids, k=20 * MAX_BATCH))  # noqa: S311 - no secret


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


# The baseline

_REMEMBERED = """
SELECT fingerprint, txn_id, balance_yen FROM am_credit_idempotency WHERE idempotency_key = ? AND wallet_id = ?
"""
_BALANCE = """
SELECT balance_yen, current_cycle, cycle_spent_yen, last_txn_id, json_extract(open_lots, '$[0][0]')
FROM am_credit_wallet WHERE wallet_id = ? AND enabled = 1
"""
_SPEND = """
UPDATE am_credit_wallet
SET balance_yen = ?1, current_cycle = ?2, cycle_spent_yen = ?3, last_txn_id = ?4, updated_at = ?5,
    open_lots = json_array(json_array(?6, 'paid', ?1, NULL))
WHERE wallet_id = ?7
"""
_APPEND = """
INSERT INTO am_credit_transaction_log
    (wallet_id, amount_yen, txn_type, occurred_at, prev_txn_id, ledger_balance_yen, lots)
VALUES (?1, -?2, 'charge', ?3, ?4, ?5, json_array(json_array(?6, ?2)))
RETURNING txn_id
"""
_REMEMBER = """
INSERT INTO am_credit_idempotency
    (idempotency_key, wallet_id, fingerprint, txn_id, amount_yen, balance_yen, created_on)
VALUES (?, ?, ?, ?, ?, ?, ?)
"""


class PlainLedger:
    """What a careful application does without a rail: it reads, checks and writes each charge with its own statements.

    It knows wallets with one paid lot, in UTC, and leaves a ledger that ``CreditWallet.verify`` accepts.
    """

    def __init__(self, path: Path, wallet_ids: Sequence[int]) -> None:
        self._connection = connect(path)
        self._payers = drawn(wallet_ids)

    def __enter__(self) -> PlainLedger:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def in_batches(self, batch: int) -> Workload:
        """``batch`` charges per transaction, each with statements of its own; 1 is one transaction per charge."""

        def charge_batch() -> float:
            charges = [(wallet_id, new_idempotency_key()) for wallet_id in islice(self._payers, batch)]
            started = perf_counter()
            with transaction(self._connection):
                for wallet_id, key in charges:
                    self.charge(wallet_id, PRICE_YEN, key)
            return perf_counter() - started

        return repeated(charge_batch, batch)

    def charge(self, wallet_id: int, amount_yen: int, idempotency_key: str) -> tuple[int, int]:
        """Charge in the caller's transaction; returns the entry's id and the balance left."""
        execute = self._connection.execute
        fingerprint = sha256(f"{wallet_id} {amount_yen}".encode()).digest()[:16]
        before: list[tuple[Any, ...]] = execute(_REMEMBERED, (idempotency_key, wallet_id)).fetchall()
        if before:
            remembered, txn_id, balance_yen = before[0]
            if remembered != fingerprint:
                raise IdempotencyConflict("the key was used for a different request")
            return txn_id, balance_yen
        now = datetime.now(UTC)
        at, billing_cycle = format_instant(now), cycle_at(now)
        row: tuple[Any, ...] = execute(_BALANCE, (wallet_id,)).fetchall()[0]
        balance_yen, spent_in, spent_yen, last_txn_id, lot_id = row
        if balance_yen < amount_yen:
            raise InsufficientFunds(f"wallet {wallet_id} has {balance_yen} yen")
        balance_yen -= amount_yen
        spent_yen = amount_yen + (spent_yen if spent_in == billing_cycle else 0)
        txn_id = execute(_APPEND, (wallet_id, amount_yen, at, last_txn_id, balance_yen, lot_id)).get
        execute(_SPEND, (balance_yen, billing_cycle, spent_yen, txn_id, at, lot_id, wallet_id))
        execute(_REMEMBER, (idempotency_key, wallet_id, fingerprint, txn_id, amount_yen, balance_yen, at[:10]))
        return txn_id, balance_yen
