"""Top-ups and payers as rows: loaded and written with the same statements on every database.

A batch has few of them, so each is a statement of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import json, structs

from credit_wallet.domain.commands import Command, PayBack, RequestAutoTopup, RequestTopup, SettleTopup
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.topups import OPEN, PayerState, Takings, TopupState, topup_id_of
from credit_wallet.rules.pay_back import period_start
from credit_wallet.rules.state import Decision, Snapshot
from credit_wallet.stores import Connection

_COLUMNS = ", ".join(TopupState.__struct_fields__)
_TAKINGS = TopupState.__struct_fields__.index("takings")
_OPEN = ", ".join(f"'{status}'" for status in OPEN)
_TOPUP = f"SELECT {_COLUMNS} FROM am_credit_topup WHERE topup_id = :topup_id"
_OF_PAYMENT = (
    f"SELECT {_COLUMNS} FROM am_credit_topup WHERE payment_intent = :payment_intent AND wallet_id = :wallet_id"
)
_OPEN_TOPUPS = f"SELECT {_COLUMNS} FROM am_credit_topup WHERE wallet_id = :wallet_id AND status IN ({_OPEN})"
_AUTO_TOPPED_UP = """
SELECT coalesce(sum(CASE WHEN created_at >= :today THEN amount_yen ELSE 0 END), 0),
       coalesce(sum(CASE WHEN created_at >= :month THEN amount_yen ELSE 0 END), 0),
       coalesce(sum(CASE WHEN created_at >= :hour_ago THEN 1 ELSE 0 END), 0)
FROM am_credit_topup
WHERE wallet_id = :wallet_id AND created_at >= :since AND origin = 'auto' AND status NOT IN ('failed', 'canceled')
"""
_LOCK_PAY_BACKS = "UPDATE am_credit_installation SET installation_id = installation_id"
"""The row that is the ledger's own, locked behind the wallets' rows: of those who pay back, one at a time decides."""

_PAID_BACK = """
SELECT CAST(coalesce(-sum(amount_yen), 0) AS BIGINT) FROM am_credit_transaction_log
WHERE cause IN ('pay_back', 'pay_back_failed') AND occurred_at >= :start
"""
_PAYER = f"SELECT {', '.join(PayerState.__struct_fields__)} FROM am_credit_payer WHERE wallet_id = :wallet_id"
_PUT_TOPUP = f"""
INSERT INTO am_credit_topup ({_COLUMNS}, updated_at)
VALUES ({", ".join(f":{name}" for name in TopupState.__struct_fields__)}, :at)
ON CONFLICT (topup_id, wallet_id) DO UPDATE
SET status = excluded.status, processing = excluded.processing, payment_intent = excluded.payment_intent,
    checkout_session = excluded.checkout_session, told_at = excluded.told_at, received_yen = excluded.received_yen,
    takings = excluded.takings, credited_yen = excluded.credited_yen,
    reversed_yen = excluded.reversed_yen, credit_txn_id = excluded.credit_txn_id, reason = excluded.reason,
    action_url = excluded.action_url, updated_at = excluded.updated_at
"""
_PUT_STEP = """
INSERT INTO am_credit_topup_history (topup_id, wallet_id, status, received_yen, taken_yen, reason, occurred_at)
VALUES (:topup_id, :wallet_id, :status, :received_yen, :taken_yen, :reason, :at)
"""
_PUT_PAYER = """
INSERT INTO am_credit_payer (wallet_id, customer, payment_method, failures, retry_at, stopped, reason, updated_at)
VALUES (:wallet_id, :customer, :payment_method, :failures, :retry_at, :stopped, :reason, :at)
ON CONFLICT (wallet_id) DO UPDATE
SET customer = excluded.customer, payment_method = excluded.payment_method, failures = excluded.failures,
    retry_at = excluded.retry_at, stopped = excluded.stopped, reason = excluded.reason, updated_at = excluded.updated_at
"""


def load_topups(connection: Connection, snapshot: Snapshot, commands: Sequence[Command], now: datetime) -> None:
    """Load the top-ups and payers that ``commands`` are about; does nothing when they are about other things."""
    for command in commands:
        if not isinstance(command, SettleTopup | PayBack | RequestTopup | RequestAutoTopup):
            continue
        this: dict[str, Any] = {"wallet_id": command.wallet_id}
        if isinstance(command, PayBack) and command.limit is not None:
            snapshot.paid_back_yen = _paid_back_yen(connection, now)
        if isinstance(command, SettleTopup | PayBack):
            named = command.topup_id
        else:
            named = topup_id_of(command.wallet_id, command.stored_key)
            _load(connection, snapshot, _OPEN_TOPUPS, this)
        _load(connection, snapshot, _TOPUP, {"topup_id": named})
        if isinstance(command, SettleTopup):
            known = snapshot.topups.get(named)
            for intent in {command.fact.payment_intent, known and known.payment_intent} - {None}:
                _load(connection, snapshot, _OF_PAYMENT, {**this, "payment_intent": intent})
        for row in connection.execute(_PAYER, this).fetchall():
            payer = PayerState(*row)
            payer.stopped = bool(payer.stopped)
            snapshot.payers[payer.wallet_id] = payer
        if isinstance(command, RequestAutoTopup):
            [sums] = connection.execute(_AUTO_TOPPED_UP, {**this, **_windows(now)}).fetchall()
            snapshot.auto_topped_up[command.wallet_id] = sums


def _windows(now: datetime) -> dict[str, str]:
    """When today, this month and the last hour began, and the first of them."""
    at, hour_ago = format_instant(now), format_instant(now - timedelta(hours=1))
    return {"today": at[:10], "month": at[:7], "hour_ago": hour_ago, "since": min(at[:7], hour_ago)}


def _paid_back_yen(connection: Connection, now: datetime) -> int:
    """What was paid back of all wallets in the present period; nobody else pays back until the transaction ends."""
    connection.execute(_LOCK_PAY_BACKS)
    [(paid_back_yen,)] = connection.execute(_PAID_BACK, {"start": period_start(now)}).fetchall()
    return int(paid_back_yen)


def _load(connection: Connection, snapshot: Snapshot, statement: str, parameters: dict[str, Any]) -> None:
    for row in connection.execute(statement, parameters).fetchall():
        topup = topup_of(row)
        snapshot.topups.setdefault(topup.topup_id, topup)


def topup_of(row: tuple[Any, ...]) -> TopupState:
    """A top-up from the columns that are named like its fields."""
    topup = TopupState(*row)
    topup.processing = bool(topup.processing)
    topup.takings = {
        taking: (yen, stage) for taking, yen, stage in json.decode(row[_TAKINGS], type=list[tuple[str, int, int]])
    }
    return topup


def write_topups(connection: Connection, decision: Decision, at: str) -> None:
    """Write what a decision did to top-ups and payers."""
    for topup in decision.touched_topups.values():
        row = {**structs.asdict(topup), "processing": int(topup.processing), "takings": _text(topup.takings)}
        connection.execute(_PUT_TOPUP, {**row, "at": at})
    for step in decision.topup_steps:
        connection.execute(_PUT_STEP, {**structs.asdict(step), "at": at})
    for payer in decision.touched_payers.values():
        connection.execute(_PUT_PAYER, {**structs.asdict(payer), "stopped": int(payer.stopped), "at": at})


def _text(takings: Takings) -> str:
    return json.encode([(taking, yen, stage) for taking, (yen, stage) in takings.items()]).decode()
