"""Adjustments: an operator corrects what a wallet has, up or down, with a reason.

Neither is spending: no budget, cap or alert counts it. Credit that nobody paid for is promotional, unless it is said to
be paid (Payment Services Act: only what was paid for is issued). What is taken goes in the order of spending; of a
manual top-up that was wrong, from its lot. Nothing is overdrawn unasked.
"""

from __future__ import annotations

from credit_wallet.domain.acts import Act
from credit_wallet.domain.causes import Cause
from credit_wallet.domain.commands import Adjust
from credit_wallet.domain.money import both, both_up, decimal_text, format_micros
from credit_wallet.domain.outcomes import Adjusted
from credit_wallet.errors import EntryNotFound, InsufficientFunds, InvalidRequest, RefundExceedsCharge, WalletError
from credit_wallet.rules import lots
from credit_wallet.rules.batch import Batch, append
from credit_wallet.rules.clawbacks import owe, remember_lots
from credit_wallet.rules.credit import claw_back, credit, emit_lower
from credit_wallet.rules.names import names_of_entry
from credit_wallet.rules.refunds import named_entry
from credit_wallet.rules.state import Allocation, EntryRecord, Lot, WalletState

BY_HAND: frozenset[Cause | None] = frozenset((None, "grant", "adjustment"))
"""Causes of credit that no payment and no other wallet brought."""


def adjust(batch: Batch, wallet: WalletState, command: Adjust) -> Adjusted | WalletError:
    """Correct the balance."""
    debt_micros = wallet.debt_micros
    if command.txn_id is not None:
        outcome = _take_back_topup(batch, wallet, command, command.txn_id)
    elif (amount_micros := command.amount_micros or 0) > 0:
        outcome = _add(batch, wallet, command, amount_micros)
    else:
        outcome = _take(batch, wallet, command)
    if not isinstance(outcome, WalletError):
        _record(batch, command, outcome, wallet.debt_micros - debt_micros)
    return outcome


def _record(batch: Batch, command: Adjust, outcome: Adjusted, owed_micros: int) -> None:
    """Adjusting is an act too; what became debt is in no entry."""
    after = {"amount": decimal_text(outcome.amount_micros), "txn_id": outcome.txn_id}
    if command.txn_id is not None:
        after["of_txn_id"] = command.txn_id
    if owed_micros > 0:
        after["owed"] = decimal_text(owed_micros)
    subject = f"wallet:{outcome.wallet_id}"
    act = Act("wallet.adjusted", subject, outcome.wallet_id, None, after, command.reason, command.note)
    batch.decision.acts.append((command.author, act))


def _add(batch: Batch, wallet: WalletState, command: Adjust, amount_micros: int) -> Adjusted | WalletError:
    if command.expires_at is not None and command.expires_at <= batch.at:
        return InvalidRequest(f"expires_at {command.expires_at} is in the past", field="expires_at")
    kind, end = command.kind or "promo", command.expires_at
    why, names = command.reason, names_of_entry(command)
    txn_id = credit(batch, wallet, amount_micros, kind, end, command.note, "adjustment", why, names)
    if isinstance(txn_id, WalletError):
        return txn_id
    return Adjusted(wallet.wallet_id, amount_micros, wallet.balance_micros, txn_id, expires_at=end)


def _take(batch: Batch, wallet: WalletState, command: Adjust) -> Adjusted | WalletError:
    wanted_micros = -(command.amount_micros or 0)
    taken_micros = min(wanted_micros, _available_micros(wallet, command))
    if taken_micros < wanted_micros and not command.allow_debt:
        return _short(wallet, wanted_micros, taken_micros, f"wallet {wallet.wallet_id} has", "lower the amount")
    owe(batch, wallet, wanted_micros - taken_micros)
    txn_id = None
    if taken_micros:
        remember_lots(batch, wallet)
        wallet.balance_micros -= taken_micros
        taken = _taken(wallet, command, taken_micros)
        txn_id = append(
            batch,
            wallet,
            "reversal",
            -taken_micros,
            taken,
            command.note,
            cause="adjustment",
            reason=command.reason,
            names=names_of_entry(command),
        )
        emit_lower(batch, wallet, taken, taken_micros)
    return Adjusted(wallet.wallet_id, -taken_micros, wallet.balance_micros, txn_id)


def _available_micros(wallet: WalletState, command: Adjust) -> int:
    if command.kind is None:
        return wallet.balance_micros
    return sum(lot.remaining_micros for lot in wallet.lots if lot.kind == command.kind)


def _taken(wallet: WalletState, command: Adjust, amount_micros: int) -> Allocation:
    """Take from the lots in the order of spending, or from those of one kind alone."""
    if command.kind is None:
        return lots.take(wallet.lots, amount_micros)
    of_kind: list[Lot] = [lot for lot in wallet.lots if lot.kind == command.kind]
    taken = lots.take(of_kind, amount_micros)
    wallet.lots[:] = [lot for lot in wallet.lots if lot.remaining_micros]
    return taken


def _take_back_topup(batch: Batch, wallet: WalletState, command: Adjust, txn_id: int) -> Adjusted | WalletError:
    """Take back a manual top-up: what of it is unused, or with ``allow_debt`` all of it, from other credit and as debt.

    The register of clawbacks keeps what was taken and what is owed, as for a payment that was clawed back.
    """
    topup = named_entry(batch, wallet, txn_id, "topup")
    if isinstance(topup, WalletError):
        return topup
    if topup.cause not in BY_HAND:
        return EntryNotFound(
            f"entry {txn_id} is not a manual top-up: pay credit of a payment back, or adjust without txn_id",
            txn_id=txn_id,
        )
    left_micros = topup.amount_micros - topup.returned_micros
    wanted_micros = left_micros if command.amount_micros is None else -command.amount_micros
    if not 0 < wanted_micros <= left_micros:
        return RefundExceedsCharge(
            f"{format_micros(left_micros)} of top-up {txn_id} is left to take back",
            txn_id=txn_id,
            **both(refundable=left_micros),
        )
    unused_micros = _unused_micros(wallet, topup)
    if wanted_micros > unused_micros and not command.allow_debt:
        of_topup = f"of top-up {txn_id}, wallet {wallet.wallet_id} has"
        return _short(wallet, wanted_micros, unused_micros, of_topup, "take that back")
    topup.returned_micros += wanted_micros
    batch.decision.returned[txn_id] = topup
    why, names = command.reason, names_of_entry(command)
    taken_micros, entry_id = claw_back(batch, wallet, txn_id, wanted_micros, command.note, "adjustment", why, names)
    return Adjusted(wallet.wallet_id, -taken_micros, wallet.balance_micros, entry_id)


def _unused_micros(wallet: WalletState, topup: EntryRecord) -> int:
    """What is left in the lot of a top-up."""
    return sum(lot.remaining_micros for lot in wallet.lots if lot.lot_id == topup.txn_id)


def _short(
    wallet: WalletState, wanted_micros: int, available_micros: int, whose: str, what_to_do: str
) -> InsufficientFunds:
    missing_micros = wanted_micros - available_micros
    return InsufficientFunds(
        f"{whose} {format_micros(available_micros)} left, this takes {format_micros(wanted_micros)}; {what_to_do}, or "
        "send allow_debt for what is missing to become debt",
        wallet_id=wallet.wallet_id,
        **both(balance=wallet.balance_micros),
        **both_up(debt=wallet.debt_micros, missing=missing_micros),
        **both(max_amount=available_micros),
        retry_at=None,
    )
