"""The wallet that pays for a call: in this process, or behind the service. The gate does not see which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import Struct

from credit_wallet.errors import Unauthorized
from credit_wallet.http.auth import Authenticator, token_of
from credit_wallet.outcomes import Access, HoldView, Outcome, TransactionView
from credit_wallet.tokens import looked_up
from credit_wallet.wallet import CreditWallet

if TYPE_CHECKING:
    from credit_wallet.client import AsyncWalletClient

    Wallets: TypeAlias = CreditWallet | AsyncWalletClient


class Credentials(Struct, frozen=True):
    """What a caller sent to say who pays. ``address`` is the caller's, for counting bad tokens."""

    authorization: str | None
    api_key: str | None
    address: str = ""

    @property
    def given(self) -> bool:
        """Whether there is anything to look at."""
        return self.authorization is not None or self.api_key is not None

    def token(self) -> str:
        """The token. Raises ``Unauthorized`` when there is none."""
        return token_of(self.authorization, self.api_key)


class Account(Protocol):
    """One caller's wallet. Each call raises what ``CreditWallet`` raises for it."""

    async def charge(self, amount_yen: int, idempotency_key: str, note: str) -> Outcome:
        """Spend, as the caller."""

    async def hold(self, amount_yen: int, ttl_seconds: int, idempotency_key: str, note: str) -> Outcome:
        """Set aside, as the caller."""

    async def capture(self, hold_id: int, amount_yen: int, idempotency_key: str) -> Outcome:
        """Spend of a hold, as the operator: a key that was revoked meanwhile still pays for what it got."""

    async def release(self, hold_id: int, idempotency_key: str) -> Outcome:
        """Give a hold back, as the operator."""

    async def refund(self, txn_id: int, idempotency_key: str, note: str) -> Outcome:
        """Give back all that is left of a charge, as the operator."""

    async def transaction(self, txn_id: int) -> TransactionView:
        """A ledger entry of the wallet, with what was given back of it."""

    async def hold_status(self, hold_id: int) -> HoldView:
        """A hold of the wallet and what became of it."""


class Accounts(Protocol):
    """Finds the account that credentials open."""

    async def account_of(self, credentials: Credentials) -> Account:
        """Raises ``Unauthorized`` and ``TooManyFailures``."""


def accounts_in(wallets: Wallets) -> Accounts:
    """The accounts of an open ledger, or of the service that an ``AsyncWalletClient`` with the operator key calls."""
    return EmbeddedAccounts(wallets) if isinstance(wallets, CreditWallet) else RemoteAccounts(wallets)


class EmbeddedAccounts:
    """Accounts in a ledger that is open in this process."""

    def __init__(self, wallets: CreditWallet) -> None:
        self._wallets = wallets
        self._authenticator = Authenticator(wallets, None)

    async def account_of(self, credentials: Credentials) -> Account:
        """The account of an owner token or an agent key."""
        caller = await self._authenticator.caller(credentials.authorization, credentials.api_key, credentials.address)
        if caller.access is None:
            raise Unauthorized("operators and sellers pay for nothing; send a wallet's token")
        return _EmbeddedAccount(self._wallets, caller.access)


class _EmbeddedAccount:
    __slots__ = ("_access", "_wallets")

    def __init__(self, wallets: CreditWallet, access: Access) -> None:
        self._wallets, self._access = wallets, access

    async def charge(self, amount_yen: int, idempotency_key: str, note: str) -> Outcome:
        wallet_id, key_id = self._access.wallet_id, self._access.key_id
        return await self._wallets.acharge(
            wallet_id, amount_yen, idempotency_key=idempotency_key, note=note, key_id=key_id
        )

    async def hold(self, amount_yen: int, ttl_seconds: int, idempotency_key: str, note: str) -> Outcome:
        return await self._wallets.ahold(
            self._access.wallet_id,
            amount_yen,
            idempotency_key=idempotency_key,
            ttl_seconds=ttl_seconds,
            note=note,
            key_id=self._access.key_id,
        )

    async def capture(self, hold_id: int, amount_yen: int, idempotency_key: str) -> Outcome:
        return await self._wallets.acapture(hold_id, amount_yen, idempotency_key=idempotency_key)

    async def release(self, hold_id: int, idempotency_key: str) -> Outcome:
        return await self._wallets.arelease(hold_id, idempotency_key=idempotency_key)

    async def refund(self, txn_id: int, idempotency_key: str, note: str) -> Outcome:
        return await self._wallets.arefund(txn_id, idempotency_key=idempotency_key, note=note)

    async def transaction(self, txn_id: int) -> TransactionView:
        return await self._wallets.ask(self._wallets.transaction, txn_id)

    async def hold_status(self, hold_id: int) -> HoldView:
        return await self._wallets.ask(self._wallets.hold_status, hold_id)


class RemoteAccounts:
    """Accounts behind the service. ``operator`` gives back and captures; callers charge with their own tokens."""

    def __init__(self, operator: AsyncWalletClient) -> None:
        self._operator = operator

    async def account_of(self, credentials: Credentials) -> Account:
        """The account of a token; whether it is good is found out by charging it."""
        token = credentials.token()
        if looked_up(token) is None:
            raise Unauthorized("this is too long for a token; send an owner token or an agent key")
        return _RemoteAccount(self._operator.with_token(token), self._operator)


class _RemoteAccount:
    __slots__ = ("_caller", "_operator")

    def __init__(self, caller: AsyncWalletClient, operator: AsyncWalletClient) -> None:
        self._caller, self._operator = caller, operator

    async def charge(self, amount_yen: int, idempotency_key: str, note: str) -> Outcome:
        return await self._caller.charge(amount_yen, idempotency_key=idempotency_key, note=note)

    async def hold(self, amount_yen: int, ttl_seconds: int, idempotency_key: str, note: str) -> Outcome:
        return await self._caller.hold(amount_yen, idempotency_key=idempotency_key, ttl_seconds=ttl_seconds, note=note)

    async def capture(self, hold_id: int, amount_yen: int, idempotency_key: str) -> Outcome:
        return await self._operator.capture(hold_id, amount_yen, idempotency_key=idempotency_key)

    async def release(self, hold_id: int, idempotency_key: str) -> Outcome:
        return await self._operator.release(hold_id, idempotency_key=idempotency_key)

    async def refund(self, txn_id: int, idempotency_key: str, note: str) -> Outcome:
        return await self._operator.refund(txn_id, idempotency_key=idempotency_key, note=note)

    async def transaction(self, txn_id: int) -> TransactionView:
        return await self._caller.transaction(txn_id)

    async def hold_status(self, hold_id: int) -> HoldView:
        return await self._caller.hold_status(hold_id)
