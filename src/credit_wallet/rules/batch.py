"""A batch under decision: the snapshot it works on, the time it is, and what it writes down."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from credit_wallet.domain.outcomes import EntryType
from credit_wallet.rules import lots
from credit_wallet.rules.state import Allocation, Decision, Entry, Event, Snapshot, WalletState


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
    amount_yen: int,
    allocation: Allocation,
    note: str | None,
    *,
    txn_id: int | None = None,
    key_id: int | None = None,
    related_txn_id: int | None = None,
    hold_id: int | None = None,
) -> int:
    """Append an entry to the wallet's chain, under ``txn_id`` if that has been drawn before; return its id.

    The wallet already has the balance that the entry leaves.
    """
    if txn_id is None:
        txn_id = next(batch.snapshot.txn_ids)
    batch.decision.entries.append(
        Entry(
            txn_id,
            wallet.wallet_id,
            amount_yen,
            txn_type,
            batch.at,
            note,
            wallet.last_txn_id,
            wallet.balance_yen + wallet.held_yen,
            lots.format_allocation(allocation),
            key_id,
            related_txn_id,
            hold_id,
        )
    )
    wallet.last_txn_id = txn_id
    return txn_id


def tell(batch: Batch, wallet: WalletState, kind: str, **payload: object) -> None:
    """Put an event into the outbox."""
    batch.decision.events.append(Event(wallet.wallet_id, kind, {"wallet_id": wallet.wallet_id, **payload}))


def tell_once(batch: Batch, wallet: WalletState, kind: str, occasion: str, **payload: object) -> None:
    """Put an event into the outbox unless the wallet has told it of the same ``occasion`` before.

    Whatever an agent can bring about again and again for nothing (setting aside and releasing, being refused) is told
    through this, by the hour or by the cycle.
    """
    name = (wallet.wallet_id, f"{kind} {occasion}")
    if name not in batch.decision.told and name not in batch.snapshot.told:
        batch.decision.told.add(name)
        batch.decision.events.append(Event(name[0], kind, {"wallet_id": name[0], **payload}, name[1]))
