"""A batch being decided: its snapshot, its time, and the decision it fills."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from credit_wallet.domain.causes import Cause
from credit_wallet.domain.corrections import CorrectionReason
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.names import Names
from credit_wallet.domain.outcomes import Alert, EntryType
from credit_wallet.domain.usage import Usage
from credit_wallet.rules import lots
from credit_wallet.rules.decision import Decision
from credit_wallet.rules.details import format_detail
from credit_wallet.rules.events import Event, event, threshold_reached
from credit_wallet.rules.state import Allocation, Snapshot, WalletState


class Batch(Struct):
    """One call of ``decide``: the snapshot it works on, the instant it works at, the decision it fills."""

    snapshot: Snapshot
    decision: Decision
    now: datetime
    at: str


def append(
    batch: Batch,
    wallet: WalletState,
    txn_type: EntryType,
    amount_micros: int,
    allocation: Allocation,
    note: str | None,
    *,
    usage: Usage | None = None,
    txn_id: int | None = None,
    key_id: int | None = None,
    related_txn_id: int | None = None,
    hold_id: int | None = None,
    cause: Cause | None = None,
    reason: CorrectionReason | None = None,
    names: Names | None = None,
) -> int:
    """Append an entry to the wallet's chain, under ``txn_id`` if that has been drawn before; return its id.

    The wallet already has the balance that the entry leaves. ``amount_micros`` has the entry's sign; its ``amount_yen``
    is the change of the whole yen of balance and holds, so that these add up for plain SQL.
    """
    after_micros = wallet.balance_micros + wallet.held_micros
    ledger_yen, fraction = divmod(after_micros, MICROS)
    before_yen, before_fraction = divmod(after_micros - amount_micros, MICROS)
    if usage is None and reason is None and names is None and not fraction and not before_fraction and amount_micros:
        detail = None
    else:
        detail = format_detail(
            None if fraction == before_fraction and amount_micros else amount_micros, fraction, usage, reason, names
        )
    if txn_id is None:
        txn_id = next(batch.snapshot.txn_ids)
    if names is not None:
        batch.decision.named.append((wallet.wallet_id, txn_id, names))
    columns = batch.decision.entries.setdefault((txn_type, batch.at), [])
    columns += (
        txn_id,
        wallet.wallet_id,
        ledger_yen - before_yen,
        note,
        wallet.last_txn_id,
        ledger_yen,
        lots.format_allocation(allocation),
        key_id,
        related_txn_id,
        hold_id,
        cause,
        detail,
    )
    wallet.last_txn_id = txn_id
    return txn_id


def emit(batch: Batch, wallet: WalletState, kind: str, **payload: object) -> None:
    """Put an event into the outbox."""
    batch.decision.events.append(event(wallet.wallet_id, kind, payload))


def emit_once(batch: Batch, wallet: WalletState, kind: str, dedupe_key: str, **payload: object) -> None:
    """Put an event into the outbox unless the wallet has emitted one of this kind with the same ``dedupe_key``.

    Use it for anything that an agent can repeat free of charge (holding and releasing, being refused), with the hour or
    the cycle as the key.
    """
    name = (wallet.wallet_id, f"{kind} {dedupe_key}")
    if name not in batch.decision.emitted and name not in batch.snapshot.emitted:
        batch.decision.emitted.add(name)
        batch.decision.events.append(event(wallet.wallet_id, kind, payload, dedupe_key))


def emit_made(batch: Batch, made: Event) -> None:
    """Like ``emit_once``, for an event that was made elsewhere with a ``dedupe_key``."""
    name = (made.wallet_id, made.dedupe_key or "")
    if name not in batch.decision.emitted and name not in batch.snapshot.emitted:
        batch.decision.emitted.add(name)
        batch.decision.events.append(made)


def note_recovery_due(batch: Batch, wallet: WalletState) -> None:
    """An event said that the balance is low or too small: when credit comes in, another says that it has recovered."""
    if not wallet.recovery_due:
        wallet.recovery_due = True
        batch.decision.touched[wallet.wallet_id] = wallet


def fire(batch: Batch, wallet: WalletState, alert: Alert) -> None:
    """Fire an alert for what the wallet has spent by now, and emit its event."""
    reached = threshold_reached(
        wallet.wallet_id, alert.threshold_pct, alert.billing_cycle, wallet.cycle_spent_micros, alert.budget_yen
    )
    batch.decision.alerts.append((alert, reached))
