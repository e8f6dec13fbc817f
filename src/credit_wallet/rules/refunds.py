"""Refunds of charges and reversals of top-ups, by the entry that made them."""

from __future__ import annotations

from credit_wallet.domain.commands import Reverse
from credit_wallet.domain.money import both, format_micros
from credit_wallet.domain.names import Names
from credit_wallet.domain.outcomes import EntryType, Refunded, Reversed
from credit_wallet.errors import EntryNotFound, RefundExceedsCharge, WalletError
from credit_wallet.rules import lots
from credit_wallet.rules.batch import Batch, append
from credit_wallet.rules.by_hand import leave_act
from credit_wallet.rules.credit import claw_back, refusal_to_take, return_to_lots
from credit_wallet.rules.pricing import uncount_usage
from credit_wallet.rules.state import EntryRecord, WalletState


def refund_charge(
    batch: Batch,
    wallet: WalletState,
    txn_id: int,
    amount_micros: int | None,
    note: str | None,
    names: Names | None = None,
) -> Refunded | WalletError:
    """Refund ``amount_micros`` of a charge to the lots it came from; None refunds all that is left of it."""
    charge = named_entry(batch, wallet, txn_id, "charge")
    if isinstance(charge, WalletError):
        return charge
    left_micros = -charge.amount_micros - charge.returned_micros
    amount_micros = left_micros if amount_micros is None else amount_micros
    if not 0 < amount_micros <= left_micros:
        return RefundExceedsCharge(
            f"{format_micros(left_micros)} of charge {charge.txn_id} is left to refund",
            txn_id=charge.txn_id,
            **both(refundable=left_micros),
        )
    if refusal := refusal_to_take(wallet, amount_micros):
        return refusal
    part = lots.returned_part(charge.allocation, charge.returned_micros, amount_micros)
    refund_id = next(batch.snapshot.txn_ids)
    if short_micros := amount_micros - lots.total_micros(part):
        part.append((refund_id, short_micros))
    charge.returned_micros += amount_micros
    if amount_micros == left_micros:
        uncount_usage(batch, wallet, charge.usage, charge.occurred_at)
    batch.decision.returned[charge.txn_id] = charge
    wallet.balance_micros += amount_micros
    append(
        batch, wallet, "refund", amount_micros, part, note, txn_id=refund_id, related_txn_id=charge.txn_id, names=names
    )
    return_to_lots(batch, wallet, part)
    return Refunded(wallet.wallet_id, amount_micros, wallet.balance_micros, refund_id)


def reverse(batch: Batch, wallet: WalletState, command: Reverse) -> Reversed | WalletError:
    """Reverse yen of a top-up whose payment was clawed back; yen that are already spent become a debt."""
    topup = named_entry(batch, wallet, command.txn_id, "topup")
    if isinstance(topup, WalletError):
        return topup
    left_micros = topup.amount_micros - topup.returned_micros
    if command.amount_micros > left_micros:
        return RefundExceedsCharge(
            f"{format_micros(left_micros)} of top-up {topup.txn_id} is left to reverse",
            txn_id=topup.txn_id,
            **both(refundable=left_micros),
        )
    topup.returned_micros += command.amount_micros
    batch.decision.returned[topup.txn_id] = topup
    taken_micros, txn_id = claw_back(batch, wallet, topup.txn_id, command.amount_micros, command.note, "clawback")
    subject = f"entry:{topup.txn_id}"
    leave_act(batch, command, "topup.reversed", subject, command.amount_micros, command.note, txn_id=txn_id)
    return Reversed(wallet.wallet_id, taken_micros, wallet.balance_micros, txn_id)


def named_entry(batch: Batch, wallet: WalletState, txn_id: int, txn_type: EntryType) -> EntryRecord | WalletError:
    """The entry ``txn_id``, if it is the wallet's and of ``txn_type``."""
    entry = batch.snapshot.entries.get(txn_id)
    if entry is None or entry.wallet_id != wallet.wallet_id or entry.txn_type != txn_type:
        return EntryNotFound(f"wallet {wallet.wallet_id} has no {txn_type} with txn_id {txn_id}", txn_id=txn_id)
    return entry
