"""Big ledgers, made quickly: the rows that the rail would have left, written by set-based SQL.

A generated ledger is one that ``CreditWallet.verify`` accepts: chains, running balances, lots and cycle spend are those
of ``charges`` charges that went round the wallets in turn, so that consecutive entries of a wallet lie as far apart as
they can. They are spread over the current month, up to now.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import apsw

from credit_wallet.cli.workloads import CREDIT_YEN, PRICE_YEN
from credit_wallet.domain.cycle import cycle_at
from credit_wallet.stores.sqlite.store import SqliteStore

ROWS_A_STATEMENT = 500_000

_WALLETS = """
WITH RECURSIVE n (id) AS (VALUES (1) UNION ALL SELECT id + 1 FROM n WHERE id < :wallets),
     spent (id, charges) AS (SELECT id, :charges / :wallets + (id <= :charges % :wallets) FROM n)
INSERT INTO am_credit_wallet (wallet_id, owner_token_hash, balance_yen, monthly_budget_yen, open_lots, current_cycle,
                              cycle_spent_yen, last_txn_id)
SELECT id, lower(hex(randomblob(32))), :credit_yen - charges * :price_yen,
       CASE WHEN :crossing = 0 THEN 0
            WHEN id % (:wallets / :crossing) = 0 THEN charges * :price_yen * 2
            ELSE charges * :price_yen * 10 END,
       json_array(json_array(id, 'paid', :credit_yen - charges * :price_yen, NULL)), :cycle,
       charges * :price_yen, charges * :wallets + id
FROM spent
"""
_LOTS = """
INSERT INTO am_credit_lot (wallet_id, lot_id, kind, granted_yen)
SELECT wallet_id, wallet_id, 'paid', :credit_yen FROM am_credit_wallet
"""
_TOPUPS = """
INSERT INTO am_credit_transaction_log
    (txn_id, wallet_id, amount_yen, txn_type, occurred_at, prev_txn_id, ledger_balance_yen, lots)
SELECT wallet_id, wallet_id, :credit_yen, 'topup', strftime('%Y-%m-%dT%H:%M:%fZ', :start, 'unixepoch'), 0, :credit_yen,
       json_array(json_array(wallet_id, :credit_yen))
FROM am_credit_wallet
"""
_CHARGES = """
WITH RECURSIVE n (done) AS (VALUES (:first) UNION ALL SELECT done + 1 FROM n WHERE done + 1 < :after)
INSERT INTO am_credit_transaction_log
    (txn_id, wallet_id, amount_yen, txn_type, occurred_at, prev_txn_id, ledger_balance_yen, lots)
SELECT :wallets + done + 1, done % :wallets + 1, -:price_yen, 'charge',
       strftime('%Y-%m-%dT%H:%M:%fZ', :start + done * :step, 'unixepoch'), done + 1,
       :credit_yen - (done / :wallets + 1) * :price_yen, printf('[[%d,%d]]', done % :wallets + 1, :price_yen)
FROM n
"""
_KEYS = """
WITH RECURSIVE n (done) AS (VALUES (:first) UNION ALL SELECT done + 1 FROM n WHERE done + 1 < :after)
INSERT INTO am_credit_idempotency
    (idempotency_key, wallet_id, fingerprint, txn_id, amount_yen, balance_yen, created_on)
SELECT printf('%08x-%04x-7%03x-8%s-%s', ms >> 16, ms & 65535, done & 4095, substr(tail, 1, 3), substr(tail, 4)),
       done % :wallets + 1, randomblob(16), :wallets + done + 1, :price_yen,
       :credit_yen - (done / :wallets + 1) * :price_yen, date(ms / 1000, 'unixepoch')
FROM (SELECT done, CAST((:start + done * :step) * 1000 AS INTEGER) AS ms, lower(hex(randomblob(8))) AS tail FROM n)
"""


def ledger(folder: Path, *, wallets: int, charges: int, keys: bool = True, crossing: int = 0) -> Path:
    """A database with ``wallets`` and ``charges`` in ``folder``, generated unless it is there from this month.

    ``keys``: every charge has left its idempotency key. ``crossing``: wallets have budgets, and that many of them stand
    at 50 % with no alert fired yet, as after charges by plain SQL; the others stand at 10 %.
    """
    now = datetime.now(UTC)
    path = folder / f"{wallets}-wallets-{charges}-charges-{crossing}-crossing-{cycle_at(now)}{'-keys' * keys}.db"
    if not path.exists():
        building = path.with_suffix(".building")
        for leftover in folder.glob(f"{building.name}*"):
            leftover.unlink()
        SqliteStore(building, now).close()
        _fill(building, now, wallets, charges, keys, crossing)
        building.rename(path)
    return path


def entries(path: Path) -> int:
    """Rows of the ledger."""
    connection = apsw.Connection(str(path))
    count: int = connection.execute("SELECT max(txn_id) FROM am_credit_transaction_log").get
    connection.close()
    return count


def _fill(path: Path, now: datetime, wallets: int, charges: int, keys: bool, crossing: int) -> None:
    start = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    given = {
        "wallets": wallets,
        "charges": charges,
        "crossing": crossing,
        "credit_yen": CREDIT_YEN,
        "price_yen": PRICE_YEN,
        "cycle": cycle_at(now),
        "start": start.timestamp(),
        "step": (now - start).total_seconds() / (charges + 1),
    }
    connection = apsw.Connection(str(path))
    connection.execute("PRAGMA journal_mode = OFF")  # a half-built file is thrown away
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute("PRAGMA cache_size = -262144")
    for statement in (_WALLETS, _LOTS, _TOPUPS):
        connection.execute(statement, given)
    for statement in (_CHARGES, _KEYS) if keys else (_CHARGES,):
        for first in range(0, charges, ROWS_A_STATEMENT):
            after = min(first + ROWS_A_STATEMENT, charges)
            connection.execute(statement, {**given, "first": first, "after": after})
    connection.execute("PRAGMA journal_mode = WAL")
    connection.close()
