"""Checks that corrections are well formed: a reason of the list, a note that says what happened, sensible options."""

from __future__ import annotations

from credit_wallet.domain.commands import Adjust, BeginClosing, EndClosing, Freeze
from credit_wallet.domain.corrections import CORRECTION_REASONS
from credit_wallet.domain.money import MAX_AMOUNT_YEN, decimal_text, is_amount
from credit_wallet.errors import InvalidAmount, InvalidRequest, WalletError


def malformed_adjustment(command: Adjust) -> WalletError | None:
    """What is wrong with an adjustment, except that its note may not be text that a database can store."""
    return _malformed_amount(command) or malformed_why(command.reason, command.note) or _malformed_options(command)


def malformed_standing(command: Freeze | BeginClosing | EndClosing) -> WalletError | None:
    """What is wrong with a change of a wallet's standing, likewise. To freeze a wallet, a code is enough."""
    if isinstance(command, Freeze):
        if type(command.frozen) is not bool:
            return InvalidRequest(f"frozen must be true or false, not {command.frozen!r}", field="frozen")
        return malformed_reason(command.reason)
    if isinstance(command, BeginClosing) and command.merge_into is not None:
        if not (type(command.merge_into) is int and 0 < command.merge_into < 2**63):
            return InvalidRequest("into_wallet_id must be a positive whole number", field="into_wallet_id")
        if command.merge_into == command.wallet_id:
            return InvalidRequest("into_wallet_id must be another wallet", field="into_wallet_id")
    return malformed_why(command.reason, command.note)


def malformed_why(reason: object, note: object) -> WalletError | None:
    """A correction says why, by a code of the list and in words. That a note is text is checked elsewhere."""
    if problem := malformed_reason(reason):
        return problem
    if not isinstance(note, str) or not note.strip():
        return InvalidRequest("note must be text that says what happened, up to 500 characters", field="note")
    return None


def malformed_reason(reason: object) -> WalletError | None:
    """A reason is a code of the list."""
    if reason in CORRECTION_REASONS:
        return None
    return InvalidRequest(
        f"reason must be one of {', '.join(CORRECTION_REASONS)}, not {str(reason)[:80]!r}", field="reason"
    )


def _malformed_amount(command: Adjust) -> WalletError | None:
    amount = command.amount_micros
    if amount is None and command.txn_id is not None:
        return None
    if type(amount) is int and is_amount(abs(amount)) and (amount < 0 or command.txn_id is None):
        return None
    shown = decimal_text(amount) if type(amount) is int else repr(amount)
    wanted = f"0.000001 to {MAX_AMOUNT_YEN} yen, below 0 to take credit" if command.txn_id is None else "below 0"
    return InvalidAmount(f"amount_yen must be {wanted}, not {shown}", field="amount_yen")


def _malformed_options(command: Adjust) -> WalletError | None:
    adds = command.txn_id is None and (command.amount_micros or 0) > 0
    if command.kind not in (None, "paid", "promo"):
        return InvalidRequest(f"kind must be paid or promo, not {command.kind!r}", field="kind")
    if type(command.allow_debt) is not bool:
        return InvalidRequest(f"allow_debt must be true or false, not {command.allow_debt!r}", field="allow_debt")
    if command.expires_at is not None and not adds:
        return InvalidRequest("expires_at must be left out: it is for credit that is added", field="expires_at")
    if command.allow_debt and adds:
        return InvalidRequest("allow_debt must be left out: it is for credit that is taken", field="allow_debt")
    if command.txn_id is not None and not (type(command.txn_id) is int and 0 < command.txn_id < 2**63):
        return InvalidRequest(f"txn_id must be a positive whole number, not {command.txn_id!r}", field="txn_id")
    if command.kind is not None and (command.allow_debt or command.txn_id is not None):
        return InvalidRequest("kind must be left out with allow_debt and with txn_id", field="kind")
    return None
