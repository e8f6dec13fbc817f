"""The standing of a wallet: freezing it, closing it for good, and what a wallet that is closed still takes.

Of a frozen wallet nothing is spent or held, and it does not top itself up; its owner cannot change that. Closing
freezes a wallet first, so that what is read of it afterwards (holds, credit, transfers) only becomes less, and ends
with one command that finds it settled or refuses. A closed wallet takes news of its payments alone: clawbacks, and what
was not paid back.
"""

from __future__ import annotations

from typing import Any

from msgspec import structs

from credit_wallet.domain.acts import Act, Author, difference
from credit_wallet.domain.commands import (
    Adjust,
    BeginClosing,
    Command,
    Configure,
    CreditGrant,
    EndClosing,
    EndTransfer,
    Expire,
    Freeze,
    PayBack,
    RequestTopup,
    Reverse,
    SettleTopup,
    TransferIn,
)
from credit_wallet.domain.corrections import CorrectionReason
from credit_wallet.domain.money import both, both_up, format_micros
from credit_wallet.domain.outcomes import Configured, LotKind
from credit_wallet.domain.standing import OPEN
from credit_wallet.errors import ClosingBlocked, WalletClosed, WalletError
from credit_wallet.rules.adjustments import adjust
from credit_wallet.rules.batch import Batch
from credit_wallet.rules.consents import record_consent
from credit_wallet.rules.state import WalletState

_OF_CLOSED = frozenset(
    (
        SettleTopup,
        PayBack,
        Reverse,
        Expire,
        TransferIn,  # refuses them, so that the credit returns
        EndTransfer,
        CreditGrant,  # likewise, so that it is tried later
        Freeze,
        BeginClosing,
        EndClosing,
    )
)
_NOT_WHILE_CLOSING = frozenset((RequestTopup, Configure))


def refusal_of_closed(wallet: WalletState, command: Command) -> WalletClosed | None:
    """Why a wallet that is closed, or is being closed, takes no such command."""
    standing = wallet.standing
    if standing.closed_at is not None:
        return None if type(command) in _OF_CLOSED else closed(wallet)
    if standing.closing_at is not None and type(command) in _NOT_WHILE_CLOSING:
        return closed(wallet)
    return None


def closed(wallet: WalletState) -> WalletClosed:
    """The refusal of a wallet that is closed, or is being closed."""
    standing, merged_into = wallet.standing, wallet.standing.merged_into
    state = "is being closed" if standing.closed_at is None else f"was closed at {standing.closed_at}"
    where = "" if merged_into is None else f"; its credit goes to wallet {merged_into}"
    return WalletClosed(
        f"wallet {wallet.wallet_id} {state}{where}", wallet_id=wallet.wallet_id, merged_into=merged_into
    )


def freeze(batch: Batch, wallet: WalletState, command: Freeze) -> Configured | WalletError:
    """Freeze a wallet or unfreeze it. The same again changes nothing; another reason or note replaces the old one."""
    if wallet.standing.closed_at is not None:
        return closed(wallet)
    if command.frozen:
        since = wallet.standing.frozen_at if not wallet.enabled and wallet.standing.frozen_at else batch.at
        frozen = structs.replace(
            wallet.standing, frozen_at=since, frozen_reason=command.reason, frozen_note=command.note
        )
        changed = wallet.enabled or frozen != wallet.standing
        kind = "wallet.frozen"
    else:
        frozen, kind = OPEN, "wallet.unfrozen"
        changed = not wallet.enabled
    if changed:
        before = _shown(wallet)
        wallet.enabled, wallet.standing = not command.frozen, frozen
        _note(batch, wallet, command.author, kind, before, command.reason, command.note)
    return Configured(wallet.wallet_id, 0, wallet.balance_micros)


def begin_closing(batch: Batch, wallet: WalletState, command: BeginClosing) -> Configured | WalletError:
    """Freeze the wallet for good, and stop its automatic top-ups."""
    standing = wallet.standing
    is_begun = standing.closing_at is not None or standing.closed_at is not None
    settles_later = standing.closed_at is not None and command.merge_into is None
    if is_begun and standing.merged_into != command.merge_into and not settles_later:
        return closed(wallet)
    if not is_begun and wallet.debt_micros and not command.write_off_debt:
        return ClosingBlocked(
            f"wallet {wallet.wallet_id} owes {format_micros(wallet.debt_micros)}; have it repaid, or write it off",
            wallet_id=wallet.wallet_id,
            blocked_by="debt",
            **both_up(debt=wallet.debt_micros),
        )
    if not is_begun:
        before = _shown(wallet)
        _stop_automatic_topups(batch, wallet, command.author)
        frozen = {"frozen_at": batch.at, "frozen_reason": command.reason, "frozen_note": command.note}
        wallet.standing = structs.replace(
            wallet.standing,
            **(frozen if wallet.enabled else {}),
            closing_at=batch.at,
            merged_into=command.merge_into,
        )
        wallet.enabled = False
        _note(batch, wallet, command.author, "wallet.closing_begun", before, command.reason, command.note)
    return Configured(wallet.wallet_id, 0, wallet.balance_micros)


def end_closing(batch: Batch, wallet: WalletState, command: EndClosing) -> Configured | WalletError:
    """Write off what is left, and close the wallet."""
    if refusal := _not_settled(wallet, command):
        return refusal
    why = (command.reason, command.note, command.author)
    for kind in ("promo", "paid"):
        _write_off(batch, wallet, kind, *why)
    if wallet.debt_micros and command.write_off_debt:
        _adjust(batch, wallet, wallet.debt_micros, None, "write_off", command.note, command.author)
    if wallet.standing.closed_at is None:
        before = _shown(wallet)
        wallet.standing = structs.replace(wallet.standing, closed_at=batch.at)
        _note(batch, wallet, command.author, "wallet.closed", before, command.reason, command.note)
    return Configured(wallet.wallet_id, 0, wallet.balance_micros)


def _not_settled(wallet: WalletState, command: EndClosing) -> WalletError | None:
    said: dict[str, Any] = {"wallet_id": wallet.wallet_id}
    if wallet.standing.closing_at is None:
        return ClosingBlocked(
            f"wallet {wallet.wallet_id} was unfrozen, which took its closing back", blocked_by="unfrozen", **said
        )
    if wallet.held_micros:
        return ClosingBlocked(
            f"{format_micros(wallet.held_micros)} of wallet {wallet.wallet_id} is on hold",
            blocked_by="holds",
            **said,
            **both(held=wallet.held_micros),
        )
    kinds = ("paid", "promo") if wallet.standing.merged_into is not None else ("paid",)
    left_micros = sum(lot.remaining_micros for lot in wallet.lots if lot.kind in kinds)
    if command.max_paid_micros is not None and left_micros > command.max_paid_micros:
        return ClosingBlocked(
            f"{format_micros(left_micros)} is left in wallet {wallet.wallet_id}",
            blocked_by="credit",
            **said,
            **both(left=left_micros),
        )
    if wallet.debt_micros and not command.write_off_debt and wallet.standing.closed_at is None:
        return ClosingBlocked(
            f"wallet {wallet.wallet_id} owes {format_micros(wallet.debt_micros)}; have it repaid, or write it off",
            blocked_by="debt",
            **said,
            **both_up(debt=wallet.debt_micros),
        )
    return None


def _write_off(
    batch: Batch, wallet: WalletState, kind: LotKind, reason: CorrectionReason, note: str, author: Author
) -> None:
    left_micros = sum(lot.remaining_micros for lot in wallet.lots if lot.kind == kind)
    if left_micros:
        _adjust(batch, wallet, -left_micros, kind, reason, note, author)


def _adjust(
    batch: Batch,
    wallet: WalletState,
    change_micros: int,
    kind: LotKind | None,
    reason: CorrectionReason,
    note: str,
    author: Author,
) -> None:
    batch.decision.touched[wallet.wallet_id] = wallet
    outcome = adjust(batch, wallet, Adjust(wallet.wallet_id, "", change_micros, reason, note, kind, author=author))
    if isinstance(outcome, WalletError):  # of what the wallet has or owes; a batch that fails moves nothing
        raise outcome


def _stop_automatic_topups(batch: Batch, wallet: WalletState, author: Author) -> None:
    """With the consent that says so."""
    off = Configure(wallet.wallet_id, auto_topup_threshold=0, auto_topup_amount=0, author=author)
    if refusal := record_consent(batch, wallet, off):
        raise refusal
    wallet.auto_topup_threshold = wallet.auto_topup_amount = 0


def _shown(wallet: WalletState) -> dict[str, Any]:
    """What a change of standing may change, for the log."""
    return {
        "frozen": not wallet.enabled,
        "auto_topup_threshold": wallet.auto_topup_threshold,
        "auto_topup_amount": wallet.auto_topup_amount,
        **{name: value for name, value in structs.asdict(wallet.standing).items() if name in _LOGGED},
    }


_LOGGED = ("frozen_reason", "closing_at", "closed_at", "merged_into")


def _note(
    batch: Batch,
    wallet: WalletState,
    author: Author,
    kind: str,
    before: dict[str, Any],
    reason: CorrectionReason,
    note: str | None,
) -> None:
    """Write the wallet's standing, and the act."""
    was, now_is = difference(before, _shown(wallet))
    act = Act(kind, f"wallet:{wallet.wallet_id}", wallet.wallet_id, was, now_is, reason, note)
    batch.decision.acts.append((author, act))
    batch.decision.configured[wallet.wallet_id] = wallet
