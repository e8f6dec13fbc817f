"""Closing a wallet for good, and merging it into another one: steps that a retry goes on with, wherever it was cut.

The wallet is frozen first. From then on nothing new can be held, bought or moved out of it, so whatever is read of it
afterwards only becomes less, and each step is safe to repeat. One command ends it, and refuses if something is left.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from credit_wallet.domain.commands import BeginClosing, EndClosing
from credit_wallet.domain.corrections import CorrectionReason
from credit_wallet.domain.metadata import Metadata
from credit_wallet.domain.money import MAX_BALANCE_MICROS, MICROS, both, decimal_of, format_micros
from credit_wallet.domain.outcomes import Configured
from credit_wallet.domain.tokens import NewToken, new_token, token_hash
from credit_wallet.domain.topups import pay_back_id_of
from credit_wallet.domain.views import HandedOverWallet, TopupView, WalletView
from credit_wallet.errors import (
    ClosingBlocked,
    InvalidAmount,
    InvalidRequest,
    PayBackNotAllowed,
    PaymentsNotConfigured,
    TransferReturned,
    WalletClosed,
)
from credit_wallet.ledger import transfers
from credit_wallet.ledger.ledger import MAX_PAGE, Ledger
from credit_wallet.rules.correction_validation import malformed_reason
from credit_wallet.rules.validation import checked_id, malformed_text
from credit_wallet.stores import closing_rows

if TYPE_CHECKING:
    from credit_wallet.ledger.wallet import CreditWallet

Unused: TypeAlias = Literal["pay_back", "write_off"]
"""What happens to paid credit that is unused."""


class PayBack(Protocol):
    """What pays credit back to where it came from, inside the limits of the law."""

    def __call__(self, topup_id: str, amount_yen: int, *, idempotency_key: str) -> object:
        """Pay whole yen of a top-up back."""


MAX_STEPS = 200
"""Transfers of a merge, or pay-backs of a top-up that the provider refused before."""


def close(
    wallets: CreditWallet,
    wallet_id: int,
    *,
    reason: CorrectionReason,
    note: str,
    unused: Unused,
    release_holds: bool,
    write_off_debt: bool,
    pay_back: PayBack | None,
) -> WalletView:
    """As ``CreditWallet.close_wallet`` says."""
    if unused not in ("pay_back", "write_off"):
        raise InvalidRequest(f"unused must be pay_back or write_off, not {unused!r}", field="unused")
    ledger = wallets._ledger
    ledger.run(Configured, BeginClosing(wallet_id, reason, note, write_off_debt=write_off_debt, author=ledger.author))
    _settle(wallets, wallet_id, release_holds=release_holds)
    rest_micros = None
    if unused == "pay_back":
        rest_micros = _pay_back(wallets, wallet_id, pay_back)
    _end(wallets, EndClosing(wallet_id, reason, note, rest_micros, write_off_debt, ledger.author))
    return wallets.show(wallet_id)


def merge(
    wallets: CreditWallet, wallet_id: int, into_wallet_id: int, *, reason: CorrectionReason, note: str
) -> WalletView:
    """As ``CreditWallet.merge`` says."""
    ledger = wallets._ledger
    begin = BeginClosing(wallet_id, reason, note, checked_id("into_wallet_id", into_wallet_id), author=ledger.author)
    source = wallets.show(wallet_id)
    if source.closed_at is not None and source.merged_into == into_wallet_id and _is_closing(wallets, into_wallet_id):
        return source  # done, and the other one takes nothing any more
    if source.closed_at is None:
        _check_target(wallets, wallet_id, into_wallet_id)
        _check_holds(ledger, wallet_id)
        _check_topups(ledger, wallet_id)
    ledger.run(Configured, begin)
    _give_way(wallets, wallet_id, into_wallet_id)
    _settle(wallets, wallet_id, release_holds=False)
    _move(wallets, wallet_id, into_wallet_id, note)
    _end(wallets, EndClosing(wallet_id, reason, note, 0, author=ledger.author))
    return wallets.show(wallet_id)


def hand_over(
    wallets: CreditWallet,
    wallet_id: int,
    reference: str | None,
    metadata: Metadata | None,
    rotate_token: bool,
    reason: CorrectionReason,
    note: str | None,
) -> HandedOverWallet:
    """As ``CreditWallet.hand_over`` says."""
    if problem := malformed_reason(reason) or malformed_text("note", note):
        raise problem
    checked_id("wallet_id", wallet_id)
    token = new_token() if rotate_token else None
    made = None if token is None else NewToken.of(token)
    ledger = wallets._ledger
    change = ledger.write if made is None else ledger.change_secrets
    change(wallet_id, closing_rows.hand_over, wallet_id, reference, metadata, made, reason, note)
    ledger.note_session_change()
    if made is not None:
        wallets.targets.set(wallet_id, [])
        wallets.configure(wallet_id, auto_topup_threshold=0, auto_topup_amount=0)
    return HandedOverWallet(wallet_id, reference, token)


# Steps


def _settle(wallets: CreditWallet, wallet_id: int, *, release_holds: bool) -> None:
    """Nothing is on hold, on its way or promised any more."""
    ledger = wallets._ledger
    if release_holds:
        for hold_id in closing_rows.holds_to_release(ledger.reader.source, wallet_id):
            wallets.release(hold_id, wallet_id=wallet_id)
    _check_holds(ledger, wallet_id)
    _check_topups(ledger, wallet_id)
    transfers.finish_of(ledger, wallet_id)
    for grant in wallets.grants.list(wallet_id, limit=MAX_PAGE):
        if grant.canceled_at is None and grant.next_at is not None:
            wallets.grants.cancel(grant.grant_id)


def _check_holds(ledger: Ledger, wallet_id: int) -> None:
    """Raises ``ClosingBlocked`` naming the open holds and the purchases that are being served."""
    ledger.row(wallet_id)  # settles what has expired
    hold_ids = closing_rows.open_holds(ledger.reader.source, wallet_id)
    purchases = closing_rows.running_purchases(ledger.reader.source, wallet_id)
    if not hold_ids and not purchases:
        return
    named = f"holds {', '.join(map(str, hold_ids))}" if hold_ids else f"{purchases} purchases"
    raise ClosingBlocked(
        f"{named} of wallet {wallet_id} have not ended; wait for them and send the same request again, or release them",
        wallet_id=wallet_id,
        blocked_by="holds" if hold_ids else "purchases",
        hold_ids=hold_ids,
        purchases=purchases,
    )


def _check_topups(ledger: Ledger, wallet_id: int) -> None:
    """Raises ``ClosingBlocked`` naming the top-ups that may still be paid: a closed wallet could not be credited."""
    if ledger.reader.wallet(wallet_id).closed_at is not None:
        return
    topup_ids = closing_rows.open_topups(ledger.reader.source, wallet_id)
    if topup_ids:
        raise closing_rows.may_still_be_paid(wallet_id, topup_ids)


def _end(wallets: CreditWallet, command: EndClosing) -> None:
    """End everything that opens the wallet, stop its notices, and close it."""
    ledger, wallet_id = wallets._ledger, command.wallet_id
    if wallets.show(wallet_id).closed_at is None:
        wallets.targets.set(wallet_id, [])
        ledger.change_secrets(wallet_id, closing_rows.end_access, wallet_id, token_hash(new_token()))
    ledger.run(Configured, command)


# Paying back


def _pay_back(wallets: CreditWallet, wallet_id: int, pay_back: PayBack | None) -> int:
    """Pay unused credit of payments back; return what is left of it, less than a yen of each."""
    for topup in wallets.topups.list(wallet_id, limit=MAX_PAGE):
        if topup.status == "credited":
            _pay_back_topup(wallets, topup, pay_back)
    paid = [lot for lot in wallets.lots.list(wallet_id) if lot.kind == "paid"]
    whole_micros = sum(lot.remaining_micros // MICROS * MICROS for lot in paid)
    if whole_micros:
        raise ClosingBlocked(
            f"{format_micros(whole_micros)} of wallet {wallet_id} was credited by hand, so no payment can be "
            "paid back; do it outside, then close the wallet with unused write_off",
            wallet_id=wallet_id,
            blocked_by="paid_by_hand",
            **both(left=whole_micros),
        )
    return sum(lot.remaining_micros for lot in paid)


def _pay_back_topup(wallets: CreditWallet, topup: TopupView, pay_back: PayBack | None) -> None:
    """One pay-back, under a name that a retry finds again; another one when the provider refused the last."""
    for attempt in range(1, MAX_STEPS):
        key = f"closing {topup.topup_id} {attempt}"
        pay_back_id = pay_back_id_of(topup.wallet_id, key)
        before = next((each for each in topup.clawbacks if each.id == pay_back_id), None)
        if before is not None and before.status == "reinstated":
            continue
        lots = wallets.lots.list(topup.wallet_id) if before is None else []
        unused_yen = sum(lot.remaining_yen for lot in lots if lot.lot_id == topup.credit_txn_id)
        amount_yen = unused_yen if before is None else before.amount_yen
        if amount_yen and pay_back is None:
            raise PaymentsNotConfigured("paying credit back needs payments; close the wallet where they are set up")
        if amount_yen and pay_back is not None:
            _pay_back_once(topup, amount_yen, key, pay_back)
        return


def _pay_back_once(topup: TopupView, amount_yen: int, key: str, pay_back: PayBack) -> None:
    try:
        pay_back(topup.topup_id, amount_yen, idempotency_key=key)
    except PayBackNotAllowed as refusal:
        raise ClosingBlocked(
            f"top-up {topup.topup_id} cannot be paid back: {refusal}; send the same request again when it can, or pay "
            "it back outside and send unused write_off",
            wallet_id=topup.wallet_id,
            blocked_by="pay_back",
            topup_ids=[topup.topup_id],
        ) from refusal


# Merging


def _is_closing(wallets: CreditWallet, wallet_id: int) -> bool:
    return wallets.show(wallet_id).closing_at is not None


def _check_target(wallets: CreditWallet, wallet_id: int, into_wallet_id: int) -> None:
    """Refuse what the other wallet could not take, before anything is frozen."""
    source, target = wallets.show(wallet_id), wallets.show(into_wallet_id)
    if source.merged_into == into_wallet_id and target.merged_into == wallet_id:
        return  # each was begun before the other was looked at: one of them gives way
    if target.closing_at is not None:
        raise WalletClosed(
            f"wallet {into_wallet_id} is closed or being closed; merge into another one",
            wallet_id=into_wallet_id,
            merged_into=target.merged_into,
        )
    moving_micros = source.balance_micros + source.held_micros
    if target.balance_micros + target.held_micros + moving_micros > MAX_BALANCE_MICROS:
        raise InvalidAmount(
            f"the balance of wallet {into_wallet_id} would exceed {format_micros(MAX_BALANCE_MICROS)}",
            field="into_wallet_id",
        )


def _give_way(wallets: CreditWallet, wallet_id: int, into_wallet_id: int) -> None:
    """Of two wallets that are being merged into each other, the one with the lower id stays."""
    target = wallets.show(into_wallet_id)
    if target.closing_at is None:
        return
    if target.closed_at is not None or target.merged_into != wallet_id or wallet_id < into_wallet_id:
        wallets.unfreeze(wallet_id, note=f"wallet {into_wallet_id} is being closed")
        raise WalletClosed(
            f"wallet {into_wallet_id} is closed or being closed; nothing was moved to it",
            wallet_id=into_wallet_id,
            merged_into=target.merged_into,
        )
    raise WalletClosed(
        f"wallet {into_wallet_id} is being merged into wallet {wallet_id}; send this again when it has given way, "
        "or unfreeze it",
        wallet_id=into_wallet_id,
        merged_into=target.merged_into,
    )


def _move(wallets: CreditWallet, wallet_id: int, into_wallet_id: int, note: str) -> None:
    """Move all credit by transfers, each named by the wallet's last entry: a retry finishes a cut one before."""
    ledger = wallets._ledger
    for _ in range(MAX_STEPS):
        row, most_micros = ledger.row(wallet_id), transfers.most_at_once(ledger, wallet_id)
        if ledger.row(wallet_id).last_txn_id != row.last_txn_id:
            continue  # somebody else goes on with the same merge
        if not most_micros:
            return
        try:
            wallets.transfers.create(
                wallet_id,
                into_wallet_id,
                decimal_of(most_micros),
                idempotency_key=f"merge after {row.last_txn_id}",
                note=note,
                actor="product",
            )
        except TransferReturned:
            _give_way(wallets, wallet_id, into_wallet_id)  # the other wallet may be being closed since we looked
            raise
