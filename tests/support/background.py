"""Wallets for the background jobs, and what the jobs have sealed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.worker import JOBS, Job

if TYPE_CHECKING:
    pass


def funded(wallets: CreditWallet, amount_yen: int = 1_000) -> int:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, amount_yen, idempotency_key="start")
    return wallet_id


def job_named(name: str) -> Job:
    return next(job for job in JOBS if job.name == name)


def txn_ids_of(ledger: PlainSql) -> list[int]:
    return [txn_id for (txn_id,) in ledger.run("SELECT txn_id FROM am_credit_transaction_log ORDER BY 1")]


def covered(rows: list[tuple[Any, ...]], txn_ids: list[int]) -> list[int]:
    """The entries that seals cover, one after the other."""
    return [txn_id for _, first, last, *_ in rows for txn_id in txn_ids if first <= txn_id <= last]


def seals_of(db_url: str, more: str = "") -> list[tuple[Any, ...]]:
    columns = f"seal_id, first_txn_id, last_txn_id, entries, sha256{more}"
    with PlainSql(db_url) as ledger:
        return ledger.run(f"SELECT {columns} FROM am_credit_seal ORDER BY 1")
