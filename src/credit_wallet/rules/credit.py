"""Credit coming in and going out: opening and expiring lots, repaying debt, and clawing back credit."""

from __future__ import annotations

from typing import Any

from credit_wallet.domain.causes import Cause
from credit_wallet.domain.corrections import CorrectionReason
from credit_wallet.domain.money import MAX_BALANCE_MICROS, MICROS, both, format_micros
from credit_wallet.domain.names import Names
from credit_wallet.domain.outcomes import LotKind
from credit_wallet.errors import InvalidAmount, InvalidRequest, WalletClosed, WalletError
from credit_wallet.rules import lots
from credit_wallet.rules.batch import Batch, append, emit, emit_once, note_recovery_due
from credit_wallet.rules.clawbacks import (
    clawback_of,
    forgive,
    note_taken,
    owe,
    remember_lots,
    repay_debt,
    take_to_return,
)
from credit_wallet.rules.segments import carry_out_at
from credit_wallet.rules.state import Allocation, LotOpening, WalletState


def credit(
    batch: Batch,
    wallet: WalletState,
    amount_micros: int,
    kind: LotKind,
    expires_at: str | None,
    note: str | None,
    cause: Cause,
    reason: CorrectionReason | None = None,
    names: Names | None = None,
) -> int | WalletError:
    """Add credit as a separate lot and return the entry's id; debt is repaid from it first."""
    txn_id = bring_in(batch, wallet, amount_micros, kind, expires_at, note, cause, reason, names)
    if not isinstance(txn_id, WalletError):
        after_credit(batch, wallet)
        end_exhaustion(batch, wallet)
    return txn_id


def bring_in(
    batch: Batch,
    wallet: WalletState,
    amount_micros: int,
    kind: LotKind,
    expires_at: str | None,
    note: str | None,
    cause: Cause,
    reason: CorrectionReason | None = None,
    names: Names | None = None,
) -> int | WalletError:
    """Add credit as a separate lot and return the entry's id, before anything is repaid from it."""
    if refusal := _refusal_of_closed(wallet, cause) or refusal_to_take(wallet, amount_micros):
        return refusal
    lot_id: int | None = None
    if lots.is_full(wallet.lots, kind):
        same = next((lot for lot in wallet.lots if (lot.kind, lot.expires_at) == (kind, expires_at)), None)
        if same is None and (kind, expires_at) != ("paid", None):  # what was paid always comes in
            return InvalidRequest(
                f"wallet {wallet.wallet_id} has {lots.MAX_OPEN_LOTS} {kind} lots with different expiries, the maximum; "
                "use an expiry that one of them has",
                field="expires_at",
            )
        lot_id = same.lot_id if same is not None else None
    txn_id = next(batch.snapshot.txn_ids)
    opening = LotOpening(wallet.wallet_id, txn_id if lot_id is None else lot_id, kind, amount_micros, expires_at)
    if lot_id is None:
        batch.decision.opened_lots.append(opening)
        batch.snapshot.lot_openings[wallet.wallet_id, opening.lot_id] = opening
    wallet.balance_micros += amount_micros
    lots.put(wallet.lots, opening, amount_micros)
    if expires_at is not None and expires_at > batch.at:
        note_due(wallet, expires_at)
    allocation = [(opening.lot_id, amount_micros)]
    return append(
        batch,
        wallet,
        "topup",
        amount_micros,
        allocation,
        note,
        txn_id=txn_id,
        cause=cause,
        reason=reason,
        names=names,
    )


def _refusal_of_closed(wallet: WalletState, cause: Cause) -> WalletClosed | None:
    """Nothing comes in to a closed wallet, and no credit by hand to one that is being closed.

    What closing writes off of a debt does, also when it comes later; an adjustment alone is refused before.
    """
    standing = wallet.standing
    if cause == "adjustment":
        return None
    if standing.closed_at is None and (standing.closing_at is None or cause != "grant"):
        return None
    state = "is being closed" if standing.closed_at is None else f"was closed at {standing.closed_at}"
    return WalletClosed(
        f"wallet {wallet.wallet_id} {state}", wallet_id=wallet.wallet_id, merged_into=standing.merged_into
    )


def refusal_to_take(wallet: WalletState, amount_micros: int) -> InvalidAmount | None:
    """Why a wallet cannot take ``amount_micros`` more. Held yen already belong to it, so they can always return."""
    if wallet.balance_micros + wallet.held_micros + amount_micros <= MAX_BALANCE_MICROS:
        return None
    return InvalidAmount(f"the balance would exceed {format_micros(MAX_BALANCE_MICROS)}; add less", field="amount_yen")


def claw_back(
    batch: Batch,
    wallet: WalletState,
    topup_txn_id: int,
    amount_micros: int,
    note: str | None,
    cause: Cause,
    reason: CorrectionReason | None = None,
    names: Names | None = None,
) -> tuple[int, int | None]:
    """Claw back credit of top-up ``topup_txn_id``; return how much could be taken, and the entry if any was.

    Credit that has already been spent becomes debt. The register records both.
    """
    taken_micros = min(amount_micros, wallet.balance_micros)
    clawback = clawback_of(batch, wallet, topup_txn_id)
    owe(batch, wallet, amount_micros - taken_micros, topup_txn_id)
    if not taken_micros:
        return 0, None
    remember_lots(batch, wallet)
    wallet.balance_micros -= taken_micros
    taken = lots.take_from(wallet.lots, topup_txn_id, taken_micros)
    note_taken(clawback, taken)
    of_topup: dict[str, Any] = {"related_txn_id": topup_txn_id, "cause": cause, "reason": reason, "names": names}
    txn_id = append(batch, wallet, "reversal", -taken_micros, taken, note, **of_topup)
    emit_lower(batch, wallet, taken, taken_micros)
    return taken_micros, txn_id


def give_again(
    batch: Batch, wallet: WalletState, topup_txn_id: int, amount_micros: int, note: str, cause: Cause
) -> int:
    """Reinstate credit that was taken back of top-up ``topup_txn_id``, as far as there is room; return how much.

    Its debt is cancelled first; the rest returns to the lots it was taken from. Only credit that was taken before the
    register existed opens a new, paid lot.
    """
    clawback = clawback_of(batch, wallet, topup_txn_id)
    owed_micros = forgive(batch, wallet, amount_micros, topup_txn_id)
    unknown_micros = max(0, amount_micros - owed_micros - lots.total_micros(clawback.taken))
    older_micros = forgive(batch, wallet, unknown_micros)
    room_micros = MAX_BALANCE_MICROS - wallet.balance_micros - wallet.held_micros
    wanted_micros = amount_micros - owed_micros - older_micros
    short_micros = max(0, wanted_micros - room_micros) // MICROS * MICROS  # payments are of whole yen, so is the rest
    part = take_to_return(clawback, wanted_micros - short_micros)
    returned_micros = lots.total_micros(part)
    if returned_micros:
        wallet.balance_micros += returned_micros
        append(batch, wallet, "topup", returned_micros, part, note, related_txn_id=topup_txn_id, cause=cause)
        return_to_lots(batch, wallet, part)
        end_exhaustion(batch, wallet)
    left_micros = wanted_micros - returned_micros
    if left_micros and not clawback.taken:
        credited = credit(batch, wallet, left_micros, "paid", None, note, cause)
        left_micros = left_micros if isinstance(credited, WalletError) else 0
    return amount_micros - left_micros


def return_to_lots(batch: Batch, wallet: WalletState, allocation: Allocation) -> None:
    """Return yen, already in the balance, to the lots they came from.

    A lot that has expired meanwhile stays expired: yen returned to it expire at once. (An expiry that can be
    circumvented does not count as one: s-kessai.jp FAQ Q1.)
    """
    for lot_id, part_micros in allocation:
        opening = _opening_of(batch, wallet, lot_id, part_micros)
        lots.put(wallet.lots, opening, part_micros)
        if opening.expires_at is not None and opening.expires_at > batch.at:
            note_due(wallet, opening.expires_at)
    expire_lots(batch, wallet)
    after_credit(batch, wallet)


def _opening_of(batch: Batch, wallet: WalletState, lot_id: int, amount_micros: int) -> LotOpening:
    """The lot as it was granted; of one that is still open, what there is to know. Any other is a new, paid lot."""
    opening = batch.snapshot.lot_openings.get((wallet.wallet_id, lot_id))
    if opening is None:
        for lot in wallet.lots:
            if lot.lot_id == lot_id:
                return LotOpening(wallet.wallet_id, lot_id, lot.kind, lot.remaining_micros, lot.expires_at)
        opening = LotOpening(wallet.wallet_id, lot_id, "paid", amount_micros, None)
        batch.snapshot.lot_openings[wallet.wallet_id, lot_id] = opening
        batch.decision.opened_lots.append(opening)
    return opening


def after_credit(batch: Batch, wallet: WalletState) -> None:
    """Repay debt first."""
    if wallet.debt_micros and wallet.balance_micros:
        repay_debt(batch, wallet)


def end_exhaustion(batch: Batch, wallet: WalletState) -> None:
    """Credit has come in: the next time the balance is too small, an event is due again.

    Yen that an agent can get back free of charge, from a released hold or an undone purchase, do not count as credit.
    """
    was_exhausted = wallet.exhausted
    if wallet.balance_micros:
        wallet.exhausted = False
    if was_exhausted or wallet.recovery_due:
        _recover(batch, wallet, was_exhausted)


def _recover(batch: Batch, wallet: WalletState, was_exhausted: bool) -> None:
    """Emit an event once the balance, of which an event said that it is low or too small, is above the low-balance mark
    or reaches it; without a mark, once there is any.

    After ``wallet.exhausted``, each credit can do so. Else once an hour, as ``balance.low``.
    """
    low_yen = wallet.low_balance_yen
    wallet.recovery_due = wallet.balance_micros < max(low_yen * MICROS, 1)
    if wallet.recovery_due:
        return
    recovered = {**both(balance=wallet.balance_micros), "low_balance_yen": low_yen}
    if was_exhausted:
        emit(batch, wallet, "balance.recovered", **recovered)
    else:
        emit_once(batch, wallet, "balance.recovered", batch.at[:13], **recovered)


def expire_lots(batch: Batch, wallet: WalletState) -> None:
    """Burn what is left of the expired lots; the entries are dated at the batch's time."""
    for lot in [lot for lot in wallet.lots if lot.expires_at is not None and lot.expires_at <= batch.at]:
        wallet.lots.remove(lot)
        wallet.balance_micros -= lot.remaining_micros
        append(batch, wallet, "expire", -lot.remaining_micros, [(lot.lot_id, lot.remaining_micros)], None)
        lapsed = {"lot_kind": lot.kind, **both(expired=lot.remaining_micros), "expires_at": lot.expires_at}
        emit_once(batch, wallet, "credit.expired", str(lot.lot_id), lot_id=lot.lot_id, **lapsed)


def lapse_until(batch: Batch, wallet: WalletState, until: str) -> None:
    """Burn what is left of the lots that expired by ``until``; each entry is dated at its lot's expiry."""
    for end in sorted(
        {lot.expires_at for lot in wallet.lots if lot.expires_at is not None and lot.expires_at <= until}
    ):
        carry_out_at(batch, wallet, end, lambda then: expire_lots(then, wallet))


def note_due(wallet: WalletState, at: str) -> None:
    wallet.next_due_at = at if wallet.next_due_at is None else min(wallet.next_due_at, at)


def emit_lower(batch: Batch, wallet: WalletState, taken: Allocation, spent_micros: int) -> None:
    """Emit an event when ``spent_micros``, ``taken`` from the lots, has carried the balance below the auto-topup
    threshold or the low-balance mark.

    A balance that moves up and down around either emits once an hour; around the threshold, once more after each
    credit.
    """
    balance_micros, before_micros = wallet.balance_micros, wallet.balance_micros + spent_micros
    threshold_micros = wallet.auto_topup_threshold * MICROS
    if wallet.auto_topup_amount and balance_micros < threshold_micros <= before_micros:
        newest_lot_id = max((lot_id for lot_id, _ in taken), default=0)
        newest_lot_id = max(newest_lot_id, max((lot.lot_id for lot in wallet.lots), default=0))
        dedupe_key = f"{batch.at[:13]} {newest_lot_id}"
        due = {**both(balance=balance_micros), "auto_topup_threshold": wallet.auto_topup_threshold}
        emit_once(batch, wallet, "topup.due", dedupe_key, **due)
    low_yen = wallet.low_balance_yen
    if balance_micros < low_yen * MICROS <= before_micros:
        emit_once(batch, wallet, "balance.low", batch.at[:13], low_balance_yen=low_yen, **both(balance=balance_micros))
        note_recovery_due(batch, wallet)
