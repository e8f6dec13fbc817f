"""Transfers: taking credit out of a wallet, bringing it in to another one of the same owner, returning what is refused.

Each side is decided where its wallet is, and remembers what it has decided as long as there is a ledger: whatever is
sent again, nothing is taken, brought in or returned twice, and nothing is returned that has come in. What moves keeps
its kind and its expiry. It is neither spent nor issued: no budget, cap or alert counts it.
"""

from __future__ import annotations

from collections.abc import Sequence

from credit_wallet.domain.commands import EndTransfer, TransferIn, TransferOut
from credit_wallet.domain.money import MAX_BALANCE_MICROS, MICROS, both, both_up, format_micros, format_yen
from credit_wallet.domain.outcomes import LotKind, TransferEnded, TransferredIn, TransferredOut
from credit_wallet.domain.transfers import MAX_PARTS, TransferPart
from credit_wallet.domain.views import LotView
from credit_wallet.errors import (
    IdempotencyConflict,
    InsufficientFunds,
    TransferNotAllowed,
    TransferNotFound,
    WalletDisabled,
    WalletError,
)
from credit_wallet.rules import lots
from credit_wallet.rules.batch import Batch, append
from credit_wallet.rules.by_hand import leave_act
from credit_wallet.rules.credit import (
    after_credit,
    bring_in,
    emit_lower,
    end_exhaustion,
    expire_lots,
    refusal_to_take,
    return_to_lots,
)
from credit_wallet.rules.state import Lot, WalletState
from credit_wallet.rules.transfer_state import TransferState


def transfer_out(batch: Batch, wallet: WalletState, command: TransferOut) -> TransferredOut | WalletError:
    """Take credit out of its lots, in the order of spending, on its way to another wallet."""
    known = batch.snapshot.transfers.get((wallet.wallet_id, command.transfer_id))
    if known is not None:
        return _taken_before(known, command)
    if refusal := _refusal(wallet, command):
        return refusal
    granted = {lot.lot_id: lot for lot in wallet.lots}
    wallet.balance_micros -= command.amount_micros
    taken = lots.take(wallet.lots, command.amount_micros)
    note = _note(command.transfer_id, f"to wallet {command.to_wallet_id}", command.note)
    txn_id = append(batch, wallet, "reversal", -command.amount_micros, taken, note, cause="transfer_out")
    parts = [
        TransferPart(lot_id, granted[lot_id].kind, granted[lot_id].expires_at, part_micros)
        for lot_id, part_micros in taken
    ]
    _keep(
        batch,
        TransferState(
            command.transfer_id,
            wallet.wallet_id,
            "out",
            command.to_wallet_id,
            "out",
            command.amount_micros,
            wallet.balance_micros,
            tuple(parts),
            txn_id,
            None,
            command.note,
            None,
            batch.at,
            None,
        ),
    )
    emit_lower(batch, wallet, taken, command.amount_micros)
    subject, to = f"transfer:{command.transfer_id}", {"to_wallet_id": command.to_wallet_id}
    leave_act(batch, command, "transfer.created", subject, command.amount_micros, command.note, **to)
    return TransferredOut(wallet.wallet_id, command.amount_micros, wallet.balance_micros, txn_id)


def _taken_before(known: TransferState, command: TransferOut) -> TransferredOut | WalletError:
    """The answer to a transfer that was asked for longer ago than idempotency keys are remembered."""
    asked = (command.to_wallet_id, command.amount_micros, command.note)
    if (known.other_wallet_id, known.amount_micros, known.note) != asked or known.txn_id is None:
        return IdempotencyConflict(
            f"idempotency key {command.idempotency_key!r} was used for a different transfer; send a new key for a new "
            "one, or the same request for a retry",
            idempotency_key=command.idempotency_key,
        )
    return TransferredOut(known.wallet_id, known.amount_micros, known.balance_micros, known.txn_id, replayed=True)


def _refusal(wallet: WalletState, command: TransferOut) -> WalletError | None:
    amount_micros = command.amount_micros
    is_merging = wallet.standing.merged_into == command.to_wallet_id
    if not wallet.enabled and not is_merging:
        return WalletDisabled(
            f"wallet {wallet.wallet_id} is frozen, so no credit can be moved out of it; ask the operator",
            wallet_id=wallet.wallet_id,
        )
    kept_micros = wallet.auto_topup_threshold * MICROS if wallet.auto_topup_amount else 0
    free_micros = max(0, wallet.balance_micros - kept_micros)
    if wallet.debt_micros or amount_micros > wallet.balance_micros:
        missing_micros = amount_micros - wallet.balance_micros + wallet.debt_micros
        return InsufficientFunds(
            f"wallet {wallet.wallet_id} has {format_micros(wallet.balance_micros)} to move, this needs "
            f"{format_micros(amount_micros)}; what is on hold or owed does not move",
            wallet_id=wallet.wallet_id,
            **both(balance=wallet.balance_micros),
            **both_up(debt=wallet.debt_micros, missing=missing_micros),
            **both(max_amount=free_micros),
            retry_at=None,
        )
    if amount_micros > free_micros:
        return TransferNotAllowed(
            f"wallet {wallet.wallet_id} tops itself up below {format_yen(wallet.auto_topup_threshold)}, which a "
            f"transfer may not cause: move {format_micros(free_micros)} or less, or turn automatic top-ups off",
            wallet_id=wallet.wallet_id,
            **both(max_amount=free_micros),
        )
    left_micros = in_few_parts(wallet.lots, amount_micros)
    if left_micros < amount_micros:
        return TransferNotAllowed(
            f"the credit is of more than {MAX_PARTS} kinds and expiries; move {format_micros(left_micros)} or less",
            wallet_id=wallet.wallet_id,
            **both(max_amount=left_micros),
        )
    return None


def in_few_parts(open_lots: Sequence[Lot | LotView], amount_micros: int) -> int:
    """How much of an amount is of at most ``MAX_PARTS`` kinds and expiries, in the order of spending."""
    kinds: set[tuple[LotKind, str | None]] = set()
    moved_micros = 0
    for lot in open_lots:
        kinds.add((lot.kind, lot.expires_at))
        if moved_micros >= amount_micros or len(kinds) > MAX_PARTS:
            break
        moved_micros += lot.remaining_micros
    return min(moved_micros, amount_micros)


def transfer_in(batch: Batch, wallet: WalletState | None, command: TransferIn) -> TransferredIn:
    """Bring in what has left another wallet, a lot for each kind and expiry; or refuse it, for good.

    What has expired on its way expires on arrival, and repays no debt. Without a wallet it is refused, and stays so if
    one should appear under that id: by then it may have been returned.
    """
    known = batch.snapshot.transfers.get((command.wallet_id, command.transfer_id))
    if known is not None:
        came_micros = known.amount_micros if known.status == "done" else 0
        return TransferredIn(
            command.wallet_id, came_micros, known.balance_micros, known.txn_id, replayed=True, reason=known.reason
        )
    total_micros = sum(part.amount_micros for part in command.parts)
    reason = "there is no such wallet" if wallet is None else _why_not(wallet, command.parts, total_micros)
    came: list[TransferPart] = []
    if wallet is not None and reason is None:
        came = _come_in(batch, wallet, command)
    balance_micros = 0 if wallet is None else wallet.balance_micros
    txn_id = came[-1].lot_id if came else None
    _keep(
        batch,
        TransferState(
            command.transfer_id,
            command.wallet_id,
            "in",
            command.from_wallet_id,
            "done" if reason is None else "refused",
            total_micros,
            balance_micros,
            tuple(came or command.parts),
            txn_id,
            None,
            command.note,
            reason,
            batch.at,
            batch.at,
        ),
    )
    came_micros = total_micros if reason is None else 0
    return TransferredIn(command.wallet_id, came_micros, balance_micros, txn_id, reason=reason)


def _come_in(batch: Batch, wallet: WalletState, command: TransferIn) -> list[TransferPart]:
    """The parts, each with the entry that brought it."""
    note = _note(command.transfer_id, f"from wallet {command.from_wallet_id}", command.note)
    came = []
    for part in command.parts:
        txn_id = bring_in(batch, wallet, part.amount_micros, part.kind, part.expires_at, note, "transfer_in")
        if isinstance(txn_id, WalletError):  # ``_why_not`` has seen to it; a batch that fails moves nothing
            raise txn_id
        came.append(TransferPart(txn_id, part.kind, part.expires_at, part.amount_micros))
    batch.decision.touched[wallet.wallet_id] = wallet
    expire_lots(batch, wallet)
    after_credit(batch, wallet)
    end_exhaustion(batch, wallet)
    return came


def _why_not(wallet: WalletState, parts: tuple[TransferPart, ...], total_micros: int) -> str | None:
    """Why a wallet cannot take a transfer; None when it can."""
    if wallet.standing.closing_at is not None:
        return "the wallet is being closed" if wallet.standing.closed_at is None else "the wallet is closed"
    if wallet.balance_micros + wallet.held_micros + total_micros > MAX_BALANCE_MICROS:
        return f"the balance would exceed {format_micros(MAX_BALANCE_MICROS)}"
    for kind in ("paid", "promo"):
        new = {part.expires_at for part in parts if part.kind == kind}
        known = [lot.expires_at for lot in wallet.lots if lot.kind == kind]
        unlike = new - {*known, *((None,) if kind == "paid" else ())}  # what is paid and never expires always comes in
        if unlike and len(known) + len(new) > lots.MAX_OPEN_LOTS:
            return f"the wallet has as many {kind} lots with different expiries as it can have"
    return None


def end_transfer(batch: Batch, wallet: WalletState, command: EndTransfer) -> TransferEnded | WalletError:
    """Record that a transfer has come in; or return it to the lots that it came from, where it lapses with them."""
    transfer = batch.snapshot.transfers.get((wallet.wallet_id, command.transfer_id))
    if transfer is None or transfer.direction != "out":
        return TransferNotFound(
            f"wallet {wallet.wallet_id} has no transfer {command.transfer_id}", transfer_id=command.transfer_id
        )
    if transfer.status == "out":
        if command.reason is not None and (refusal := refusal_to_take(wallet, transfer.amount_micros)):
            return refusal
        transfer.status = "done" if command.reason is None else "returned"
        transfer.ended_at, transfer.reason = batch.at, command.reason
        batch.decision.touched_transfers[wallet.wallet_id, transfer.transfer_id] = transfer
        if command.reason is not None:
            _return(batch, wallet, transfer)
    returned_micros = transfer.amount_micros if transfer.status == "returned" else 0
    return TransferEnded(wallet.wallet_id, returned_micros, wallet.balance_micros, transfer.returned_txn_id)


def _return(batch: Batch, wallet: WalletState, transfer: TransferState) -> None:
    part = [(each.lot_id, each.amount_micros) for each in transfer.parts]
    note = _note(transfer.transfer_id, f"returned by wallet {transfer.other_wallet_id}", transfer.note)
    wallet.balance_micros += transfer.amount_micros
    transfer.returned_txn_id = append(
        batch,
        wallet,
        "topup",
        transfer.amount_micros,
        part,
        note,
        related_txn_id=transfer.txn_id,
        cause="transfer_returned",
    )
    batch.decision.touched[wallet.wallet_id] = wallet
    return_to_lots(batch, wallet, part)
    end_exhaustion(batch, wallet)


def _note(transfer_id: str, where: str, note: str | None) -> str:
    return f"transfer {transfer_id} {where}" + (f": {note}" if note else "")


def _keep(batch: Batch, transfer: TransferState) -> None:
    name = (transfer.wallet_id, transfer.transfer_id)
    batch.snapshot.transfers[name] = transfer
    batch.decision.new_transfers[name] = transfer
