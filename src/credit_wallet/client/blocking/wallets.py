"""The operator's wallets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from msgspec import UNSET, UnsetType

from credit_wallet.client import calls
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_as
from credit_wallet.client.transport import Send
from credit_wallet.domain.corrections import CorrectionReason
from credit_wallet.domain.erasure import Erasure
from credit_wallet.domain.outcomes import BudgetMode, LotKind, Outcome
from credit_wallet.domain.personal import PersonalPage
from credit_wallet.domain.views import CreatedWallet, HandedOverWallet, ReferencedWallet, TransactionView, WalletView
from credit_wallet.domain.wallet_search import WalletPage, WalletSort, WalletStatus
from credit_wallet.rules.usage import Amount
from credit_wallet.wire.bodies import (
    CreateWalletBody,
    MetadataBody,
    OperatorTopupBody,
    PriceGroupBody,
    ReplaceTokenBody,
)
from credit_wallet.wire.correction_bodies import (
    AdjustBody,
    CloseBody,
    EraseBody,
    FreezeBody,
    HandOverBody,
    MergeBody,
    TakeBackBody,
)
from credit_wallet.wire.replies import TransactionPage, WalletReply


class Wallets:
    """All wallets of the service. All methods are for the operator."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def create(
        self,
        *,
        label: str | None = None,
        monthly_budget_yen: int = 0,
        budget_mode: BudgetMode = "alert",
        auto_topup_threshold: int = 0,
        auto_topup_amount: int = 0,
        time_zone: str = "UTC",
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> ReferencedWallet:
        """A new, empty wallet. Its ``owner_token`` is shown only now.

        ``reference`` is your id of the customer: if a wallet has it already, that wallet is returned, ``created`` False
        and its ``owner_token`` None. So it is sent again when there is no response; without it, that could make two.
        """
        body = CreateWalletBody(
            label,
            monthly_budget_yen,
            budget_mode,
            auto_topup_threshold,
            auto_topup_amount,
            time_zone,
            reference,
            dict(metadata or {}),
        )
        call = calls.create("/operator/wallets", read_as(ReferencedWallet), body, repeatable=reference is not None)
        return self._send(call)

    def list(
        self,
        query: str | None = None,
        *,
        reference: str | None = None,
        status: WalletStatus | None = None,
        sort: WalletSort = "wallet_id",
        cursor: str | None = None,
        limit: int = 100,
    ) -> WalletPage:
        """A page of wallets for which all that is given is true; ``limit`` is 1 to 1,000.

        ``query`` is what is known of a wallet: its id, beginnings of words of its names or of its agent keys', a token.
        Send ``next_cursor`` as ``cursor`` with the rest unchanged, until it is None; a page can be short, or empty.
        """
        given = {"query": query, "reference": reference, "status": status, "cursor": cursor}
        return self._send(calls.get("/operator/wallets", read_as(WalletPage), **given, sort=sort, limit=limit))

    def show(self, wallet_id: int) -> WalletReply:
        """One wallet, as its owner sees it. Raises ``WalletNotFound``."""
        return self._send(calls.at_wallet(calls.show_wallet(), wallet_id))

    def set_metadata(self, wallet_id: int, metadata: Mapping[str, str]) -> WalletView:
        """Replace all pairs of a wallet's metadata."""
        path = f"/operator/wallets/{wallet_id:d}/metadata"
        return self._send(Call("POST", path, read_as(WalletView), MetadataBody(dict(metadata))))

    def freeze(
        self, wallet_id: int, *, frozen: bool = True, reason: CorrectionReason, note: str | None = None
    ) -> WalletView:
        """Freeze a wallet, so that nothing is spent of it, or unfreeze it."""
        path = f"/operator/wallets/{wallet_id:d}/freeze"
        return self._send(Call("POST", path, read_as(WalletView), FreezeBody(frozen, reason, note)))

    def close_wallet(
        self,
        wallet_id: int,
        *,
        note: str,
        reason: CorrectionReason = "closing",
        unused: Literal["pay_back", "write_off"] = "pay_back",
        release_holds: bool = False,
        write_off_debt: bool = False,
    ) -> WalletView:
        """Close a wallet for good. Send the same again after ``ClosingBlocked`` or a failure: it goes on."""
        path = f"/operator/wallets/{wallet_id:d}/close"
        body = CloseBody(note, reason, unused, release_holds, write_off_debt)
        return self._send(Call("POST", path, read_as(WalletView), body))

    def merge(
        self, wallet_id: int, into_wallet_id: int, *, note: str, reason: CorrectionReason = "merge"
    ) -> WalletView:
        """Move all credit to another wallet of the same customer, and close this one. Send the same again, likewise."""
        path = f"/operator/wallets/{wallet_id:d}/merge"
        return self._send(Call("POST", path, read_as(WalletView), MergeBody(into_wallet_id, note, reason)))

    def personal_data(self, wallet_id: int, *, cursor: str | None = None, limit: int = 100) -> PersonalPage:
        """What people have written about themselves in a wallet, or what names them, page by page.

        For the next page, pass ``next_cursor`` as ``cursor``; ``limit`` is 1 to 1,000. Raises ``WalletNotFound``.
        """
        path = f"/operator/wallets/{wallet_id:d}/personal-data"
        return self._send(calls.get(path, read_as(PersonalPage), cursor=cursor, limit=limit))

    def erase_personal_data(
        self, wallet_id: int, *, reason: CorrectionReason = "customer_request", note: str | None = None
    ) -> Erasure:
        """Erase what a closed wallet has of people, for good. Send the same again after a failure: it goes on."""
        path = f"/operator/wallets/{wallet_id:d}/erase"
        return self._send(Call("POST", path, read_as(Erasure), EraseBody(reason, note)))

    def hand_over(
        self,
        wallet_id: int,
        reference: str | None,
        *,
        metadata: Mapping[str, str] | UnsetType = UNSET,
        rotate_token: bool = False,
        reason: CorrectionReason = "other",
        note: str | None = None,
    ) -> HandedOverWallet:
        """Attach a wallet to another customer; with ``rotate_token`` hand it over, and end everything that opens it."""
        path = f"/operator/wallets/{wallet_id:d}/hand-over"
        pairs = UNSET if isinstance(metadata, UnsetType) else dict(metadata)
        body = HandOverBody(reference, pairs, rotate_token, reason, note)
        return self._send(Call("POST", path, read_as(HandedOverWallet), body, repeatable=not rotate_token))

    def set_price_group(self, wallet_id: int, price_group: str | None) -> WalletView:
        """Let the prices of a group count for a wallet, or those of none."""
        path = f"/operator/wallets/{wallet_id:d}/price-group"
        return self._send(Call("POST", path, read_as(WalletView), PriceGroupBody(price_group)))

    def topup(
        self,
        wallet_id: int,
        amount_yen: Amount,
        *,
        idempotency_key: str | None = None,
        promo: bool = False,
        expires_at: str | None = None,
        note: str | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Credit a wallet by hand, as paid or as promotional credit, which may expire. Exact as ``charge`` is."""
        names = calls.named(reference, metadata)
        body = OperatorTopupBody(wallet_id, calls.sent_exactly(amount_yen), promo, expires_at, note, **names)
        return self._send(calls.move("/operator/topup", body, idempotency_key, request_id))

    def transactions(
        self,
        *,
        request_id: str | None = None,
        reference: str | None = None,
        idempotency_key: str | None = None,
        limit: int = 50,
        cursor: str | None = None,
    ) -> TransactionPage:
        """Ledger entries of all wallets by what they were called, of which one is given at least.

        Wallets and entries backwards; ``limit`` is 1 to 200, ``cursor`` the last page's ``next_cursor``.
        """
        wanted = {"request_id": request_id, "reference": reference, "idempotency_key": idempotency_key}
        return self._send(
            calls.get("/operator/transactions", read_as(TransactionPage), limit=limit, cursor=cursor, **wanted)
        )

    def transaction(self, txn_id: int) -> TransactionView:
        """One ledger entry, whosever it is, with what was refunded or reversed of it. Raises ``EntryNotFound``."""
        return self._send(calls.get(f"/operator/transactions/{txn_id}", read_as(TransactionView)))

    def adjust(
        self,
        wallet_id: int,
        amount_yen: Amount,
        *,
        reason: CorrectionReason,
        note: str,
        idempotency_key: str | None = None,
        kind: LotKind | None = None,
        expires_at: str | None = None,
        allow_debt: bool = False,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Correct a balance: ``"10"`` adds credit, promotional unless ``kind`` says paid; ``"-10"`` takes it."""
        names = calls.named(reference, metadata)
        body = AdjustBody(calls.sent_change(amount_yen), reason, note, kind, expires_at, allow_debt, **names)
        return self._send(calls.move(f"/operator/wallets/{wallet_id:d}/adjust", body, idempotency_key, request_id))

    def take_back(
        self,
        wallet_id: int,
        txn_id: int,
        amount_yen: Amount | None = None,
        *,
        note: str,
        reason: CorrectionReason = "mistyped_topup",
        idempotency_key: str | None = None,
        allow_debt: bool = False,
        request_id: str | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Take back the manual top-up ``txn_id``, in full or ``amount_yen`` of it, as far as it is unused."""
        amount = None if amount_yen is None else calls.sent_exactly(amount_yen)
        names = calls.named(reference, metadata)
        body = TakeBackBody(txn_id, note, reason, amount, allow_debt, **names)
        return self._send(calls.move(f"/operator/wallets/{wallet_id:d}/take-back", body, idempotency_key, request_id))

    def replace_token(self, wallet_id: int, *, overlap_seconds: int = 0) -> CreatedWallet:
        """A new owner token for a wallet whose token is lost or has leaked."""
        path = f"/operator/wallets/{wallet_id:d}/token/rotate"
        return self._send(calls.create(path, read_as(CreatedWallet), ReplaceTokenBody(overlap_seconds)))
