"""Clawbacks: what was taken back of a top-up, from which lots, and what is still owed of it.

Reinstated credit returns to where it was taken from. So the register keeps, for each top-up that was taken back, the
lots that the yen came from, whether they were taken at once or later, to repay the debt. When they are reinstated (a
dispute is won, a refund or a pay-back fails), what is still owed is cancelled first; the rest returns to those lots,
those taken last first, and lapses with them.

All of a wallet's debt is in the register: what is owed for no top-up, but for what was served without credit, under 0.
"""

from __future__ import annotations

from credit_wallet.rules import lots
from credit_wallet.rules.batch import Batch, append
from credit_wallet.rules.state import Allocation, ClawbackState, LotOpening, WalletState

FOR_NO_TOPUP = 0
"""The register's key for debt that belongs to no top-up."""


def clawback_of(batch: Batch, wallet: WalletState, credit_txn_id: int) -> ClawbackState:
    """The register's record of the top-up that entry ``credit_txn_id`` credited, to be changed by the caller."""
    of_wallet = batch.snapshot.clawbacks.setdefault(wallet.wallet_id, {})
    clawback = of_wallet.setdefault(credit_txn_id, ClawbackState(wallet.wallet_id, credit_txn_id, [], 0))
    batch.decision.touched_clawbacks[wallet.wallet_id, credit_txn_id] = clawback
    return clawback


def note_taken(clawback: ClawbackState, allocation: Allocation) -> None:
    """Record the lots that yen were taken from, after those recorded before."""
    for lot_id, part_micros in allocation:
        last_id, last_micros = clawback.taken[-1] if clawback.taken else (None, 0)
        if lot_id == last_id:
            clawback.taken[-1] = (lot_id, last_micros + part_micros)
        else:
            clawback.taken.append((lot_id, part_micros))


def take_to_return(clawback: ClawbackState, max_micros: int) -> Allocation:
    """Take up to ``max_micros`` off the register, those taken last first."""
    part, rest = lots.split(clawback.taken[::-1], max_micros)
    clawback.taken = rest[::-1]
    return part


def remember_lots(batch: Batch, wallet: WalletState) -> None:
    """Remember the open lots, for those that are used up now and get credit back in the same batch."""
    if wallet.wallet_id in batch.snapshot.known_lots:
        return
    batch.snapshot.known_lots.add(wallet.wallet_id)
    for lot in wallet.lots:
        opening = LotOpening(wallet.wallet_id, lot.lot_id, lot.kind, lot.remaining_micros, lot.expires_at)
        batch.snapshot.lot_openings.setdefault((wallet.wallet_id, lot.lot_id), opening)


def repay_debt(batch: Batch, wallet: WalletState) -> None:
    """Repay debt from available credit: first the debt that belongs to no top-up, then the oldest top-up's."""
    remember_lots(batch, wallet)
    owing = [each for each in batch.snapshot.clawbacks.get(wallet.wallet_id, {}).values() if each.owed_micros]
    for clawback in sorted(owing, key=lambda each: each.credit_txn_id):
        if wallet.balance_micros:
            clawback_of(batch, wallet, clawback.credit_txn_id)
            repaid_micros = min(clawback.owed_micros, wallet.balance_micros)
            clawback.owed_micros -= repaid_micros
            if clawback.credit_txn_id == FOR_NO_TOPUP:
                _repay(batch, wallet, repaid_micros)
            else:
                note_taken(clawback, _repay(batch, wallet, repaid_micros, clawback.credit_txn_id))


def owe(batch: Batch, wallet: WalletState, amount_micros: int, credit_txn_id: int = FOR_NO_TOPUP) -> None:
    """Record a debt of ``amount_micros`` (0 or more), for a top-up that was taken back or for something else."""
    if amount_micros:
        clawback_of(batch, wallet, credit_txn_id).owed_micros += amount_micros
        wallet.debt_micros += amount_micros


def forgive(batch: Batch, wallet: WalletState, max_micros: int, credit_txn_id: int = FOR_NO_TOPUP) -> int:
    """Cancel up to ``max_micros`` of the debt of a top-up, or of the other debt; return how much was cancelled."""
    owing = batch.snapshot.clawbacks.get(wallet.wallet_id, {}).get(credit_txn_id)
    forgiven_micros = 0 if owing is None else min(owing.owed_micros, max_micros)
    if forgiven_micros:
        clawback_of(batch, wallet, credit_txn_id).owed_micros -= forgiven_micros
        wallet.debt_micros -= forgiven_micros
    return forgiven_micros


def _repay(batch: Batch, wallet: WalletState, debt_micros: int, credit_txn_id: int | None = None) -> Allocation:
    repaid_micros = min(debt_micros, wallet.balance_micros)
    wallet.debt_micros -= repaid_micros
    wallet.balance_micros -= repaid_micros
    taken = lots.take(wallet.lots, repaid_micros)
    append(
        batch,
        wallet,
        "reversal",
        -repaid_micros,
        taken,
        "debt repaid",
        related_txn_id=credit_txn_id,
        cause="debt_repayment",
    )
    return taken
