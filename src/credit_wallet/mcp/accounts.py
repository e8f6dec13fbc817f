"""One wallet as one token opens it: a wallet of the ledger in this process, or of a service elsewhere."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from credit_wallet.http.auth import Caller, require_owner
from credit_wallet.http.bodies import TransactionPage, WalletReply
from credit_wallet.http.own_part import visible_key
from credit_wallet.http.showing import transactions_shown, wallet_shown
from credit_wallet.keys import new_idempotency_key
from credit_wallet.outcomes import Access, EntryType
from credit_wallet.payments.desk import desk_of
from credit_wallet.payments.opening import configured
from credit_wallet.payments.replies import Payments, TopupReply
from credit_wallet.reports.forecast import Forecast
from credit_wallet.wallet import CreditWallet


class Account(Protocol):
    """What the tools ask of a wallet. ``AsyncWalletClient`` is one, over HTTP. Every call may raise ``WalletError``."""

    def wallet(self) -> Awaitable[WalletReply]:
        """The wallet, and what whoever asks can spend of it."""

    def transactions(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        type: EntryType | None = None,  # noqa: A002 - the parameter's name in HTTP
        key_id: int | None = None,
        note: str | None = None,
    ) -> Awaitable[TransactionPage]:
        """A page of ledger entries, newest first."""

    def forecast(self) -> Awaitable[Forecast]:
        """Where spending is heading."""

    def topup(
        self, amount_yen: int, *, checkout: bool = False, idempotency_key: str | None = None
    ) -> Awaitable[TopupReply]:
        """Ask for a payment that a person makes. For the owner."""


class LedgerAccount:
    """A wallet of the ledger in this process.

    ``authenticate`` is asked before every call, so that a key sees nothing more once it is revoked. ``topup_url`` is
    where people pay; ``payments`` is None where none are set up.
    """

    def __init__(
        self, wallets: CreditWallet, authenticate: Callable[[], Access], payments: Payments | None, topup_url: str
    ) -> None:
        self._wallets = wallets
        self._authenticate = authenticate
        self._payments = payments
        self._topup_url = topup_url

    async def wallet(self) -> WalletReply:
        """As ``Account`` says."""
        return await asyncio.to_thread(lambda: wallet_shown(self._wallets, self._authenticate(), self._topup_url))

    async def transactions(
        self,
        *,
        limit: int = 50,
        cursor: str | None = None,
        type: EntryType | None = None,  # noqa: A002 - the parameter's name in HTTP
        key_id: int | None = None,
        note: str | None = None,
    ) -> TransactionPage:
        """As ``Account`` says."""

        def show() -> TransactionPage:
            access = self._authenticate()
            visible = visible_key(access, key_id)
            return transactions_shown(
                self._wallets, access.wallet_id, limit=limit, cursor=cursor, type=type, key_id=visible, note=note
            )

        return await asyncio.to_thread(show)

    async def forecast(self) -> Forecast:
        """As ``Account`` says."""
        return await asyncio.to_thread(lambda: self._wallets.forecast(self._authenticate().wallet_id))

    async def topup(self, amount_yen: int, *, checkout: bool = False, idempotency_key: str | None = None) -> TopupReply:
        """As ``Account`` says. Raises ``Forbidden`` for an agent key, ``PaymentsNotConfigured``."""
        wallet_id = require_owner(Caller(await asyncio.to_thread(self._authenticate)))
        ready = configured(self._payments)
        return await desk_of(ready).ask(
            ready.request,
            wallet_id,
            amount_yen,
            idempotency_key=idempotency_key or new_idempotency_key(),
            way="checkout" if checkout else "intent",
        )
