"""What the PostgreSQL benchmark is compared with: one transaction per charge, in one process or in several.

Every baseline is a context manager that yields a ``Workload`` over a connection of its own; ``in_processes`` runs one
in several processes at once. They prepare their statements, and commit with the settings of the server.

``charges`` is what a careful application does over the wallet's own tables: lock the wallet, claim the idempotency
key, check the balance, write the entry, the balance and the cycle spend, commit. ``charges_by_function`` does the same
in one round trip. Both leave a ledger that ``CreditWallet.verify`` accepts.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from datetime import UTC, datetime
from hashlib import sha256
from multiprocessing.connection import Connection as Pipe
from time import perf_counter
from typing import Any, LiteralString

import psycopg

from credit_wallet.cli.workloads import CREDIT_YEN, PRICE_YEN, Round, Workload, drawn, repeated
from credit_wallet.domain.cycle import cycle_at, format_instant
from credit_wallet.errors import IdempotencyConflict, InsufficientFunds
from credit_wallet.idempotency_keys import new_idempotency_key

Cursor = psycopg.Cursor[tuple[Any, ...]]

_CREATE_WALLETS = """
WITH numbered AS MATERIALIZED (
    SELECT nextval('am_credit_wallet_wallet_id_seq') AS wallet_id,
           nextval('am_credit_transaction_log_txn_id_seq') AS txn_id
    FROM generate_series(1, %(count)s)
), wallets AS (
    INSERT INTO am_credit_wallet (wallet_id, owner_token_hash, balance_yen, open_lots, last_txn_id, current_cycle)
    SELECT wallet_id, encode(sha256(gen_random_uuid()::text::bytea), 'hex'), %(credit_yen)s,
           format('[[%%s,"paid",%%s,null]]', txn_id, %(credit_yen)s::bigint), txn_id,
           to_char(clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM')
    FROM numbered
), lots AS (
    INSERT INTO am_credit_lot (wallet_id, lot_id, kind, granted_yen)
    SELECT wallet_id, txn_id, 'paid', %(credit_yen)s FROM numbered
), topups AS (
    INSERT INTO am_credit_transaction_log
        (txn_id, wallet_id, amount_yen, txn_type, prev_txn_id, ledger_balance_yen, lots)
    SELECT txn_id, wallet_id, %(credit_yen)s, 'topup', 0, %(credit_yen)s,
           format('[[%%s,%%s]]', txn_id, %(credit_yen)s::bigint)
    FROM numbered
)
SELECT wallet_id FROM numbered ORDER BY wallet_id
"""


def create_wallets(connection: psycopg.Connection, count: int) -> list[int]:
    """Make ``count`` wallets with one top-up each, quickly; returns their ids."""
    rows = connection.execute(_CREATE_WALLETS, {"count": count, "credit_yen": CREDIT_YEN}).fetchall()
    return [wallet_id for (wallet_id,) in rows]


# One transaction per charge

_LOCK_WALLET = """
SELECT balance_yen, current_cycle, cycle_spent_yen, last_txn_id, (open_lots::json->0->>0)::bigint,
       nextval('am_credit_transaction_log_txn_id_seq')
FROM am_credit_wallet WHERE wallet_id = %s AND enabled = 1 FOR UPDATE
"""
_CLAIM_KEY = """
INSERT INTO am_credit_idempotency
    (idempotency_key, wallet_id, fingerprint, txn_id, amount_yen, balance_yen, created_on)
VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_REMEMBERED = """
SELECT fingerprint, txn_id, balance_yen FROM am_credit_idempotency WHERE idempotency_key = %s AND wallet_id = %s
"""
_APPEND = """
INSERT INTO am_credit_transaction_log
    (txn_id, wallet_id, amount_yen, txn_type, occurred_at, prev_txn_id, ledger_balance_yen, lots)
VALUES (%s, %s, %s, 'charge', %s, %s, %s, %s)
"""
_SPEND = """
UPDATE am_credit_wallet
SET balance_yen = %s, current_cycle = %s, cycle_spent_yen = %s, last_txn_id = %s, updated_at = %s, open_lots = %s
WHERE wallet_id = %s
"""


@contextmanager
def charges(url: str, wallet_ids: Sequence[int]) -> Iterator[Workload]:
    """One transaction per charge, statement by statement, each for a wallet drawn at random."""
    payers = drawn(wallet_ids)
    with psycopg.connect(url, prepare_threshold=0) as connection, connection.cursor() as cursor:

        def charge_one() -> float:
            wallet_id, key = next(payers), new_idempotency_key()
            started = perf_counter()
            charge(cursor, wallet_id, PRICE_YEN, key)
            connection.commit()
            return perf_counter() - started

        yield repeated(charge_one, 1)


def charge(cursor: Cursor, wallet_id: int, amount_yen: int, idempotency_key: str) -> tuple[int, int]:
    """Charge in a transaction that the caller ends; returns the entry's id and the balance left.

    It knows wallets with one paid lot, in UTC. PostgreSQL draws the entry's id again after waiting for the lock, so ids
    rise along a wallet's chain.
    """
    fingerprint = _fingerprint(wallet_id, amount_yen)
    now = datetime.now(UTC)
    at, billing_cycle = format_instant(now), cycle_at(now)
    row: tuple[Any, ...] = cursor.execute(_LOCK_WALLET, (wallet_id,)).fetchall()[0]
    balance_yen, spent_in, spent_yen, last_txn_id, lot_id, txn_id = row
    balance_yen -= amount_yen
    remembered = (idempotency_key, wallet_id, fingerprint, txn_id, amount_yen, balance_yen, at[:10])
    if not cursor.execute(_CLAIM_KEY, remembered).rowcount:
        row = cursor.execute(_REMEMBERED, (idempotency_key, wallet_id)).fetchall()[0]
        before, txn_id, balance_yen = row
        if before != fingerprint:
            raise IdempotencyConflict("the key was used for a different request")
        return txn_id, balance_yen
    if balance_yen < 0:
        raise InsufficientFunds(f"wallet {wallet_id} has {balance_yen + amount_yen} yen")
    spent_yen = amount_yen + (spent_yen if spent_in == billing_cycle else 0)
    lots = f"[[{lot_id},{amount_yen}]]"
    cursor.execute(_APPEND, (txn_id, wallet_id, -amount_yen, at, last_txn_id, balance_yen, lots))
    open_lots = f'[[{lot_id},"paid",{balance_yen},null]]'
    cursor.execute(_SPEND, (balance_yen, billing_cycle, spent_yen, txn_id, at, open_lots, wallet_id))
    return txn_id, balance_yen


def _fingerprint(wallet_id: int, amount_yen: int) -> bytes:
    return sha256(f"{wallet_id} {amount_yen}".encode()).digest()[:16]


SCHEMA: LiteralString = "credit_wallet_benchmark"

_CREATE_CHARGE: LiteralString = f"""
CREATE FUNCTION {SCHEMA}.charge(
    payer bigint, price_yen bigint, request_key text, request bytea, at_instant text, in_cycle text
) RETURNS TABLE (entry_id bigint, left_yen bigint) LANGUAGE plpgsql AS $$
DECLARE
    wallet am_credit_wallet;
    lot_id bigint;
    before am_credit_idempotency;
BEGIN
    SELECT * INTO STRICT wallet FROM am_credit_wallet w WHERE w.wallet_id = payer AND w.enabled = 1 FOR UPDATE;
    entry_id := nextval('am_credit_transaction_log_txn_id_seq');
    left_yen := wallet.balance_yen - price_yen;
    INSERT INTO am_credit_idempotency
        (idempotency_key, wallet_id, fingerprint, txn_id, amount_yen, balance_yen, created_on)
    VALUES (request_key, payer, request, entry_id, price_yen, left_yen, left(at_instant, 10))
    ON CONFLICT DO NOTHING;
    IF NOT FOUND THEN
        SELECT * INTO STRICT before FROM am_credit_idempotency k
        WHERE k.idempotency_key = request_key AND k.wallet_id = payer;
        IF before.fingerprint <> request THEN
            RAISE EXCEPTION 'the key was used for a different request';
        END IF;
        RETURN QUERY SELECT before.txn_id, before.balance_yen;
        RETURN;
    END IF;
    IF left_yen < 0 THEN
        RAISE EXCEPTION 'wallet % has % yen', payer, wallet.balance_yen;
    END IF;
    lot_id := (wallet.open_lots::json->0->>0)::bigint;
    INSERT INTO am_credit_transaction_log
        (txn_id, wallet_id, amount_yen, txn_type, occurred_at, prev_txn_id, ledger_balance_yen, lots)
    VALUES (entry_id, payer, -price_yen, 'charge', at_instant, wallet.last_txn_id, left_yen,
            '[[' || lot_id || ',' || price_yen || ']]');
    UPDATE am_credit_wallet w
    SET balance_yen = left_yen, current_cycle = in_cycle, last_txn_id = entry_id, updated_at = at_instant,
        cycle_spent_yen = price_yen + CASE WHEN wallet.current_cycle = in_cycle THEN wallet.cycle_spent_yen ELSE 0 END,
        open_lots = '[[' || lot_id || ',"paid",' || left_yen || ',null]]'
    WHERE w.wallet_id = payer;
    RETURN NEXT;
END
$$
"""
_CHARGE: LiteralString = f"SELECT entry_id, left_yen FROM {SCHEMA}.charge(%s, %s, %s, %s, %s, %s)"


@contextmanager
def charges_by_function(url: str, wallet_ids: Sequence[int]) -> Iterator[Workload]:
    """One transaction per charge, each a single call of a function in the database."""
    payers = drawn(wallet_ids)
    with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection, connection.cursor() as cursor:

        def charge_one() -> float:
            wallet_id, key = next(payers), new_idempotency_key()
            started = perf_counter()
            now = datetime.now(UTC)
            request = (wallet_id, PRICE_YEN, key, _fingerprint(wallet_id, PRICE_YEN))
            cursor.execute(_CHARGE, (*request, format_instant(now), cycle_at(now))).fetchall()
            return perf_counter() - started

        yield repeated(charge_one, 1)


@contextmanager
def function(connection: psycopg.Connection) -> Iterator[None]:
    """The function of ``charges_by_function``, for as long as it is needed."""
    with schema(connection, SCHEMA):
        connection.execute(_CREATE_CHARGE)
        yield


@contextmanager
def schema(connection: psycopg.Connection, name: LiteralString) -> Iterator[None]:
    """A new schema, dropped in the end."""
    connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
    connection.execute(f"CREATE SCHEMA {name}")
    try:
        yield
    finally:
        connection.execute(f"DROP SCHEMA {name} CASCADE")


# Several processes

Opening = Callable[..., AbstractContextManager[Workload]]
"""Opens what a process charges with, as the baselines do."""


@contextmanager
def in_processes(count: int, opening: Opening, *given: object) -> Iterator[Workload]:
    """``count`` processes at once, each with the workload that ``opening(*given)`` yields there.

    A round lasts from the first one's start to the last one's end.
    """
    spawning = multiprocessing.get_context("spawn")
    with ExitStack() as stack:
        pipes: list[Pipe[Any, Any]] = []
        for _ in range(count):
            here, there = spawning.Pipe()
            process = spawning.Process(target=_work, args=(there, opening, given), daemon=True)
            process.start()
            there.close()
            stack.callback(process.join)
            pipes.append(stack.enter_context(here))
        for pipe in pipes:
            pipe.recv()

        def run(seconds: float) -> Round:
            for pipe in pipes:
                pipe.send(seconds)
            turns: list[tuple[float, float, Round]] = [pipe.recv() for pipe in pipes]
            started = min(started for started, _, _ in turns)
            ended = max(ended for _, ended, _ in turns)
            together = [turn for _, _, turn in turns]
            latencies_ms = tuple(latency for turn in together for latency in turn.latencies_ms)
            return Round(sum(turn.charges for turn in together), ended - started, latencies_ms)

        yield run


def _work(pipe: Pipe[Any, Any], opening: Opening, given: Sequence[object]) -> None:
    """Run rounds until the other side hangs up."""
    with opening(*given) as workload, suppress(EOFError):
        pipe.send("ready")
        while True:
            turn = workload(pipe.recv())
            ended = perf_counter()
            pipe.send((ended - turn.seconds, ended, turn))
