"""The wallet that a token opens: in a ledger of this process, or behind the service."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from credit_wallet.domain.entry_search import EntryQuery
from credit_wallet.domain.outcomes import EntryType
from credit_wallet.domain.views import Access
from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.ledger.reading_lanes import AUTHENTICATION, OWNERS, PAYMENTS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.factory import configured
from credit_wallet.payments.replies import Payments, TopupReply
from credit_wallet.rules.forecast import Forecast
from credit_wallet.stores.entry_names import Wanted
from credit_wallet.wire.auth import Caller
from credit_wallet.wire.presenters import transactions_shown, wallet_shown
from credit_wallet.wire.replies import TransactionPage, WalletReply


class Wallet(Protocol):
    """What the tools need of a wallet. ``AsyncWalletClient`` is one. Every method may raise ``WalletError``."""

    def wallet(self) -> Awaitable[WalletReply]:
        """The wallet, and how much of it the caller can spend."""

    def transactions(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        type: EntryType | None = None,  # noqa: A002 - the parameter's name in HTTP
        key_id: int | None = None,
        note: str | None = None,
        item: str | None = None,
        since: str | None = None,
        until: str | None = None,
        query: str | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        idempotency_key: str | None = None,
    ) -> Awaitable[TransactionPage]:
        """A page of ledger entries, newest first."""

    def forecast(self) -> Awaitable[Forecast]:
        """What the caller will have spent at this pace."""

    def topup(
        self, amount_yen: int, *, checkout: bool = False, idempotency_key: str | None = None
    ) -> Awaitable[TopupReply]:
        """Request a payment that a person makes. For the owner."""


class LedgerWallet:
    """A wallet of the ledger in this process.

    ``authenticate`` is called before every call, so that a revoked key sees nothing more. ``topup_url`` is where people
    pay; ``payments`` is None where none are set up.
    """

    def __init__(
        self, wallets: CreditWallet, authenticate: Callable[[], Access], payments: Payments | None, topup_url: str
    ) -> None:
        self._wallets = wallets
        self._authenticate = authenticate
        self._payments = payments
        self._topup_url = topup_url

    async def wallet(self) -> WalletReply:
        """As ``Wallet`` says."""
        access = await self._access()
        return await self._wallets.reading_lanes.ask_for(
            access.wallet_id, OWNERS, wallet_shown, self._wallets, access, self._topup_url
        )

    async def transactions(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        type: EntryType | None = None,  # noqa: A002 - the parameter's name in HTTP
        key_id: int | None = None,
        note: str | None = None,
        item: str | None = None,
        since: str | None = None,
        until: str | None = None,
        query: str | None = None,
        request_id: str | None = None,
        reference: str | None = None,
        idempotency_key: str | None = None,
    ) -> TransactionPage:
        """As ``Wallet`` says."""
        asked = EntryQuery(type, key_id, note, item, since, until, query)
        caller, names = Caller(await self._access()), Wanted(request_id, reference, idempotency_key)
        return await transactions_shown(self._wallets, caller, limit=limit, cursor=cursor, asked=asked, names=names)

    async def forecast(self) -> Forecast:
        """As ``Wallet`` says."""
        wallet_id = (await self._access()).wallet_id
        return await self._wallets.reading_lanes.ask_for(wallet_id, OWNERS, self._wallets.forecast, wallet_id)

    async def topup(self, amount_yen: int, *, checkout: bool = False, idempotency_key: str | None = None) -> TopupReply:
        """As ``Wallet`` says. Raises ``Forbidden`` for an agent key, ``PaymentsNotConfigured``."""
        access = await self._access()
        Caller.of(access).require("manage")
        wallet_id = access.wallet_id
        return await self._wallets.reading_lanes.ask_for(
            wallet_id, PAYMENTS, self._request_payment, wallet_id, amount_yen, checkout, idempotency_key
        )

    async def _access(self) -> Access:
        """What the token opens now, if it may read: every tool shows something of the wallet."""
        access = await self._wallets.reading_lanes.ask(AUTHENTICATION, self._authenticate)
        Caller.of(access).require("read")
        return access

    def _request_payment(
        self, wallet_id: int, amount_yen: int, checkout: bool, idempotency_key: str | None
    ) -> TopupReply:
        return configured(self._payments).request(
            wallet_id,
            amount_yen,
            idempotency_key=idempotency_key or new_idempotency_key(),
            flow="checkout" if checkout else "intent",
        )
