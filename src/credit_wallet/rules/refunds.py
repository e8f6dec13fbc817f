"""Refunds of charges and reversals of top-ups, by the entry that made them."""

from __future__ import annotations

from credit_wallet.domain.commands import Reverse
from credit_wallet.domain.money import format_yen
from credit_wallet.domain.outcomes import EntryType, Refunded, Reversed
from credit_wallet.errors import EntryNotFound, RefundExceedsCharge, WalletError
from credit_wallet.rules import lots
from credit_wallet.rules.batch import Batch, append
from credit_wallet.rules.credit import refusal_to_take, return_to_lots, take_back
from credit_wallet.rules.state import EntryRecord, WalletState


def refund_charge(
    batch: Batch, wallet: WalletState, txn_id: int, amount_yen: int | None, note: str | None
) -> Refunded | WalletError:
    """Refund ``amount_yen`` of a charge to the lots it came from; None refunds all that is left of it."""
    charge = _named_entry(batch, wallet, txn_id, "charge")
    if isinstance(charge, WalletError):
        return charge
    left_yen = -charge.amount_yen - charge.returned_yen
    amount_yen = left_yen if amount_yen is None else amount_yen
    if not 0 < amount_yen <= left_yen:
        return RefundExceedsCharge(
            f"{format_yen(left_yen)} of charge {charge.txn_id} is left to refund",
            txn_id=charge.txn_id,
            refundable_yen=left_yen,
        )
    if refusal := refusal_to_take(wallet, amount_yen):
        return refusal
    part = lots.returned_part(charge.allocation, charge.returned_yen, amount_yen)
    refund_id = next(batch.snapshot.txn_ids)
    if short_yen := amount_yen - lots.total_yen(part):
        part.append((refund_id, short_yen))
    charge.returned_yen += amount_yen
    batch.decision.returned[charge.txn_id] = charge
    wallet.balance_yen += amount_yen
    append(batch, wallet, "refund", amount_yen, part, note, txn_id=refund_id, related_txn_id=charge.txn_id)
    return_to_lots(batch, wallet, part)
    return Refunded(wallet.wallet_id, amount_yen, wallet.balance_yen, refund_id)


def reverse(batch: Batch, wallet: WalletState, command: Reverse) -> Reversed | WalletError:
    """Reverse yen of a top-up whose payment was clawed back; yen that are already spent become a debt."""
    topup = _named_entry(batch, wallet, command.txn_id, "topup")
    if isinstance(topup, WalletError):
        return topup
    left_yen = topup.amount_yen - topup.returned_yen
    if command.amount_yen > left_yen:
        return RefundExceedsCharge(
            f"{format_yen(left_yen)} of top-up {topup.txn_id} is left to reverse",
            txn_id=topup.txn_id,
            refundable_yen=left_yen,
        )
    topup.returned_yen += command.amount_yen
    batch.decision.returned[topup.txn_id] = topup
    taken_yen, txn_id = take_back(batch, wallet, topup.txn_id, command.amount_yen, command.note, "clawback")
    return Reversed(wallet.wallet_id, taken_yen, wallet.balance_yen, txn_id)


def _named_entry(batch: Batch, wallet: WalletState, txn_id: int, txn_type: EntryType) -> EntryRecord | WalletError:
    entry = batch.snapshot.entries.get(txn_id)
    if entry is None or entry.wallet_id != wallet.wallet_id or entry.txn_type != txn_type:
        return EntryNotFound(f"wallet {wallet.wallet_id} has no {txn_type} with txn_id {txn_id}", txn_id=txn_id)
    return entry
