"""The corrections of the facade: what an operator does when something went wrong, each with a reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, cast

from credit_wallet.domain.commands import Adjust, Freeze
from credit_wallet.domain.corrections import CorrectionReason
from credit_wallet.domain.erasure import Erasure
from credit_wallet.domain.outcomes import Adjusted, Configured, LotKind
from credit_wallet.domain.views import HandedOverWallet, WalletView
from credit_wallet.ledger import movements
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.ledger.reading_lanes import MONEY, ReadingLanes
from credit_wallet.rules.metadata import checked_metadata, checked_reference
from credit_wallet.rules.names import called
from credit_wallet.rules.usage import Amount, checked_amount, checked_change

if TYPE_CHECKING:
    from credit_wallet.ledger.closing import PayBack, Unused
    from credit_wallet.ledger.wallet import CreditWallet


class WalletCorrections:
    """Corrections of a wallet. Those that move money have an ``a…`` twin for asyncio."""

    _ledger: Ledger
    reading_lanes: ReadingLanes

    def erase_personal_data(
        self, wallet_id: int, *, reason: CorrectionReason = "customer_request", note: str | None = None
    ) -> Erasure:
        """Erase what a closed wallet has of people: labels, references, metadata, notes, addresses, saved payments.

        What was charged and paid stays, with items, facts and consents, and so do sums, seals and anchors. It cannot be
        undone. It goes range by range; call it again after a crash, or when something was written since: it goes on.
        Entries and acts that have no seal yet are sealed first.

        Raises ``WalletNotFound``, ``ErasureBlocked`` for a wallet that is not closed or a range that is not what was
        sealed, ``RailBusy`` while an open transaction keeps entries from being sealed, and ``InvalidRequest``.
        """
        from credit_wallet.ledger.erasure import erase

        return erase(cast("CreditWallet", self), wallet_id, reason, note)

    def adjust(
        self,
        wallet_id: int,
        amount_yen: Amount,
        *,
        reason: CorrectionReason,
        note: str,
        idempotency_key: str,
        kind: LotKind | None = None,
        expires_at: str | None = None,
        allow_debt: bool = False,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Adjusted:
        """Correct a balance: ``"10"`` adds credit, ``"-10"`` takes it; neither counts as spending.

        ``reason`` is a code of ``corrections.CORRECTION_REASONS``, ``note`` says what happened; both stand on the
        ledger entry. Credit comes in as ``kind``, by default ``"promo"`` (``"paid"`` is for money that was received),
        and expires at ``expires_at`` (as in ``topup``) or never. It is taken in the order of spending, or of ``kind``
        alone. Nothing is taken that is not there, unless ``allow_debt`` makes a debt of what is missing.

        Names are as in ``charge``. Raises ``WalletNotFound``, ``InsufficientFunds``, ``InvalidAmount`` and
        ``InvalidRequest``.
        """
        end = movements.end_of_lot(self._ledger, wallet_id, expires_at)
        change_micros = checked_change(amount_yen)
        return self._ledger.run(
            Adjusted,
            Adjust(
                wallet_id,
                idempotency_key,
                change_micros,
                reason,
                note,
                kind,
                end,
                None,
                allow_debt,
                names=called(request_id, reference, metadata),
                author=self._ledger.author,
            ),
        )

    async def aadjust(
        self,
        wallet_id: int,
        amount_yen: Amount,
        *,
        reason: CorrectionReason,
        note: str,
        idempotency_key: str,
        kind: LotKind | None = None,
        expires_at: str | None = None,
        allow_debt: bool = False,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Adjusted:
        """The asyncio twin of ``adjust``."""
        end = await self.reading_lanes.ask(MONEY, movements.end_of_lot, self._ledger, wallet_id, expires_at)
        change_micros = checked_change(amount_yen)
        return await self._ledger.arun(
            Adjusted,
            Adjust(
                wallet_id,
                idempotency_key,
                change_micros,
                reason,
                note,
                kind,
                end,
                None,
                allow_debt,
                names=called(request_id, reference, metadata),
                author=self._ledger.author,
            ),
        )

    def take_back(
        self,
        txn_id: int,
        amount_yen: Amount | None = None,
        *,
        reason: CorrectionReason = "mistyped_topup",
        note: str,
        idempotency_key: str,
        allow_debt: bool = False,
        wallet_id: int | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Adjusted:
        """Take back ``amount_yen`` of the manual top-up ``txn_id``, or all that is left of it.

        What of it is spent already is refused, and the refusal says how much is unused (``max_amount``); with
        ``allow_debt`` other credit is taken for it, and what is missing then becomes debt. Credit of a payment is paid
        back instead (``topups.pay_back``); one that was clawed back is reversed (``reverse``). ``wallet_id`` is the
        wallet that the top-up must be of.

        Raises ``EntryNotFound``, ``InsufficientFunds``, ``RefundExceedsCharge``, ``InvalidAmount`` and
        ``InvalidRequest``.
        """
        wallet_id = movements.wallet_of_entry(self._ledger, txn_id) if wallet_id is None else wallet_id
        return self._ledger.run(
            Adjusted,
            Adjust(
                wallet_id,
                idempotency_key,
                None if amount_yen is None else -checked_amount(amount_yen),
                reason,
                note,
                None,
                None,
                txn_id,
                allow_debt,
                names=called(request_id, reference, metadata),
                author=self._ledger.author,
            ),
        )

    async def atake_back(
        self,
        txn_id: int,
        amount_yen: Amount | None = None,
        *,
        reason: CorrectionReason = "mistyped_topup",
        note: str,
        idempotency_key: str,
        allow_debt: bool = False,
        wallet_id: int | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Adjusted:
        """The asyncio twin of ``take_back``."""
        if wallet_id is None:
            wallet_id = await self.reading_lanes.ask(MONEY, movements.wallet_of_entry, self._ledger, txn_id)
        return await self._ledger.arun(
            Adjusted,
            Adjust(
                wallet_id,
                idempotency_key,
                None if amount_yen is None else -checked_amount(amount_yen),
                reason,
                note,
                None,
                None,
                txn_id,
                allow_debt,
                names=called(request_id, reference, metadata),
                author=self._ledger.author,
            ),
        )

    # Standing

    def freeze(self, wallet_id: int, *, reason: CorrectionReason = "other", note: str | None = None) -> WalletView:
        """Freeze a wallet: nothing is spent or held of it, and it does not top itself up, until it is unfrozen.

        It still takes credit, and its open holds can be captured. Only an operator can undo it. The same again changes
        nothing; another ``reason`` or ``note`` replaces the old one. Raises ``WalletNotFound``, ``WalletClosed`` and
        ``InvalidRequest``.
        """
        self._ledger.run(Configured, Freeze(wallet_id, True, reason, note, self._ledger.author))
        return self._ledger.wallet(wallet_id)

    def unfreeze(self, wallet_id: int, *, reason: CorrectionReason = "other", note: str | None = None) -> WalletView:
        """Let a frozen wallet spend again; this takes back a closing or a merge that has not ended.

        What was canceled or revoked for it stays so. Raises ``WalletNotFound``, ``WalletClosed`` and
        ``InvalidRequest``.
        """
        self._ledger.run(Configured, Freeze(wallet_id, False, reason, note, self._ledger.author))
        return self._ledger.wallet(wallet_id)

    def close_wallet(
        self,
        wallet_id: int,
        *,
        reason: CorrectionReason = "closing",
        note: str,
        unused: Unused = "pay_back",
        release_holds: bool = False,
        write_off_debt: bool = False,
        pay_back: PayBack | None = None,
    ) -> WalletView:
        """Close the wallet of a customer who leaves, for good. Send the same again after ``ClosingBlocked`` or a crash.

        The wallet is frozen, and its automatic top-ups stop. Open holds are waited for, or released with
        ``release_holds``. Grants are canceled. Unused credit of payments is paid back by ``pay_back``, within the
        limits of the law (``payments``), or written off with ``unused="write_off"``; promotional credit is written off.
        Then every token and key ends, and notices stop. A closed wallet takes clawbacks and failed pay-backs alone;
        closing it again settles what they left.

        Raises ``WalletNotFound``; ``ClosingBlocked`` for debt, unless ``write_off_debt``, for open holds and purchases,
        and for paid credit that no payment brought; ``PayBackNotAllowed``, ``PaymentsNotConfigured``,
        ``PaymentProviderError``.
        """
        from credit_wallet.ledger import closing

        return closing.close(
            cast("CreditWallet", self),
            wallet_id,
            reason=reason,
            note=note,
            unused=unused,
            release_holds=release_holds,
            write_off_debt=write_off_debt,
            pay_back=pay_back,
        )

    def merge(
        self, wallet_id: int, into_wallet_id: int, *, reason: CorrectionReason = "merge", note: str
    ) -> WalletView:
        """Move all credit of a wallet to another one of the same customer, and close it; returns the closed wallet.

        Kinds and expiries stay. Send the same again after ``ClosingBlocked`` or a crash. Of two wallets that are merged
        into each other at once, the one with the lower id stays.

        Raises ``WalletNotFound``, ``WalletClosed`` for the other wallet, ``ClosingBlocked`` for debt, open holds
        (``hold_ids``) and purchases, ``TransferReturned``, ``InvalidAmount`` and ``InvalidRequest``.
        """
        from credit_wallet.ledger import closing

        return closing.merge(cast("CreditWallet", self), wallet_id, into_wallet_id, reason=reason, note=note)

    def hand_over(
        self,
        wallet_id: int,
        reference: str | None,
        *,
        metadata: Mapping[str, str] | None = None,
        rotate_token: bool = False,
        reason: CorrectionReason = "other",
        note: str | None = None,
    ) -> HandedOverWallet:
        """Attach a wallet to another customer of the host's, by its ``reference``; None attaches it to none.

        ``metadata`` replaces all pairs, None leaves it. The customer before is signed out where a link has let it in.
        With ``rotate_token`` the outcome has a new owner token; every other token, agent key, registered key and
        session ends at once, the saved payment method is forgotten, automatic top-ups are off, and nobody gets notices.
        The same again changes nothing else.
        Of a closed wallet only reference and metadata can be changed. Raises ``WalletNotFound``, ``WalletClosed``,
        ``ReferenceInUse``, ``InvalidRequest``, and ``ClosingBlocked`` when it would be handed over with top-ups that
        may still be paid.
        """
        from credit_wallet.ledger.closing import hand_over

        pairs = None if metadata is None else checked_metadata(metadata)
        wallets = cast("CreditWallet", self)
        return hand_over(wallets, wallet_id, checked_reference(reference), pairs, rotate_token, reason, note)
