"""The wallet that pays for a call: in this process, or behind the service. The gate does not know which."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import TYPE_CHECKING, Protocol, TypeAlias

from msgspec import Struct

from credit_wallet.domain import outcomes
from credit_wallet.domain.actors import PRODUCT
from credit_wallet.domain.money import micros_of
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.prices import PriceView
from credit_wallet.domain.tokens import looked_up
from credit_wallet.domain.views import Access
from credit_wallet.errors import ServiceUnreachable, Unauthorized
from credit_wallet.gate.credentials import Credentials
from credit_wallet.gate.facts import CallFacts
from credit_wallet.gate.measured import Part
from credit_wallet.gate.prices import AboveHold, Price
from credit_wallet.ledger.reading_lanes import OPERATORS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.wire.auth import Authenticator, token_digest
from credit_wallet.wire.failure_limit import FailureLimit

if TYPE_CHECKING:
    from credit_wallet.client import AsyncWalletClient

    Wallets: TypeAlias = CreditWallet | AsyncWalletClient

Failed: TypeAlias = Callable[[Exception], None]

PAYER_TOKEN = "X-Payer-Token"  # noqa: S105
"""The field that the service names if the payer's token is bad, not the gate's."""


class Order(Struct, frozen=True):
    """One attempt to answer a request, as the ledger knows it.

    ``key`` identifies the request and is equal for its retries, ``attempt`` identifies this attempt. ``once``: the key
    is never used again.
    """

    key: str
    attempt: str
    price: Price
    facts: CallFacts
    note: str
    once: bool
    free_retries: int


class Bought(Struct, frozen=True):
    """An order that the ledger has accepted. ``purchase_key`` identifies the purchase from now on."""

    outcome: Outcome
    purchase_key: str
    attempt: str
    once: bool

    @property
    def forgettable(self) -> bool:
        """Whether the purchase can be forgotten once it is served; a hold is renewed until it is captured."""
        return self.once and self.outcome.hold_id is None


class Payer(Protocol):
    """One caller's wallet. Each call raises what ``CreditWallet`` raises for it."""

    async def buy(self, order: Order, lease_seconds: int) -> Bought:
        """Pay for an order, or find that it is paid for."""

    async def cancel(self, order: Order, reason: str) -> Outcome | None:
        """Give back an order if it was accepted, which is not known."""

    def serve(self, bought: Bought, failed: Failed) -> None:
        """Record that the caller is being served, without waiting; ``failed`` is called in this event loop."""

    async def served(self, bought: Bought) -> Outcome:
        """The same, and wait."""

    async def renew(self, bought: Bought, lease_seconds: int) -> Outcome:
        """Extend the attempt's lease."""

    async def undo(self, bought: Bought, reason: str) -> Outcome:
        """Give back what the attempt paid, if nobody was served."""

    async def capture(self, bought: Bought, part: Part, number: int, *, final: bool, above: AboveHold) -> Outcome:
        """Spend of the purchase's hold. ``number`` tells the captures of an attempt apart."""

    async def release(self, bought: Bought) -> Outcome:
        """Give the purchase's hold back."""


class Payers(Protocol):
    """Finds the payer that credentials open."""

    async def payer_of(self, credentials: Credentials) -> Payer:
        """Raises ``Unauthorized`` and ``TooManyFailures``."""

    async def check(self) -> None:
        """Check that this gate may sell. Raises ``SellerKeyRefused``, or why that cannot be checked."""

    async def prices(self, caller: Credentials | None = None) -> Sequence[PriceView]:
        """The prices that count now, for ``caller`` or for everybody. Raises what ``payer_of`` does."""

    async def items(self) -> Collection[str] | None:
        """Every item that anybody has a price for at any time; None if this gate cannot see them all."""


def payers_of(wallets: Wallets) -> Payers:
    """The payers of an open ledger, or of the service that an ``AsyncWalletClient`` of a seller calls."""
    return EmbeddedPayers(wallets) if isinstance(wallets, CreditWallet) else RemotePayers(wallets)


class EmbeddedPayers:
    """Payers in a ledger that is open in this process."""

    def __init__(self, wallets: CreditWallet) -> None:
        self._wallets = wallets
        self._authenticator = Authenticator(wallets)

    async def payer_of(self, credentials: Credentials) -> Payer:
        """The payer of an owner token or an agent key."""
        caller = await self._authenticator.caller(credentials.authorization, credentials.api_key, credentials.address)
        if caller.access is None:
            raise Unauthorized("operators and sellers have no wallet to pay from; send a wallet's token")
        return _EmbeddedPayer(self._wallets, caller.access, credentials.request_id)

    async def check(self) -> None:
        """Whoever has opened the ledger may sell."""

    async def prices(self, caller: Credentials | None = None) -> Sequence[PriceView]:
        """As the ledger has them."""
        wallet_id = None
        if caller is not None:
            found = await self._authenticator.caller(caller.authorization, caller.api_key, caller.address)
            wallet_id = None if found.access is None else found.access.wallet_id
        return await self._wallets.reading_lanes.ask(OPERATORS, partial(self._wallets.prices.list, wallet_id=wallet_id))

    async def items(self) -> Collection[str]:
        """Those of the price book."""
        return await self._wallets.reading_lanes.ask(OPERATORS, self._wallets.prices.items)


class _EmbeddedPayer:
    __slots__ = ("_access", "_request_id", "_wallets")

    def __init__(self, wallets: CreditWallet, access: Access, request_id: str | None) -> None:
        self._wallets, self._access, self._request_id = wallets, access, request_id

    async def buy(self, order: Order, lease_seconds: int) -> Bought:
        purchase_key, price = self._name_of(order), order.price
        item = price.item
        outcome = await self._wallets.purchases.abuy(
            self._access.wallet_id,
            price.amount,
            item=None if item is None else item.name,
            quantity=None if item is None else item.quantity,
            facts=order.facts.seller,
            agent_facts=order.facts.agent,
            purchase_key=purchase_key,
            attempt=order.attempt,
            hold_seconds=price.hold_seconds,
            lease_seconds=lease_seconds,
            free_retries=order.free_retries,
            note=order.note,
            key_id=self._access.key_id,
            request_id=self._request_id,
        )
        return Bought(outcome, purchase_key, order.attempt, order.once)

    async def cancel(self, order: Order, reason: str) -> Outcome:
        return await self._wallets.purchases.aundo(
            self._access.wallet_id, self._name_of(order), attempt=order.attempt, reason=reason
        )

    def serve(self, bought: Bought, failed: Failed) -> None:
        loop = asyncio.get_running_loop()
        self._wallets.purchases.post_serve(
            self._access.wallet_id,
            bought.purchase_key,
            attempt=bought.attempt,
            forget=bought.forgettable,
            failed=partial(_call_in, loop, failed),
        )

    async def served(self, bought: Bought) -> Outcome:
        return await self._wallets.purchases.aserve(
            self._access.wallet_id, bought.purchase_key, attempt=bought.attempt, forget=bought.forgettable
        )

    async def renew(self, bought: Bought, lease_seconds: int) -> Outcome:
        return await self._wallets.purchases.arenew(
            self._access.wallet_id, bought.purchase_key, attempt=bought.attempt, lease_seconds=lease_seconds
        )

    async def undo(self, bought: Bought, reason: str) -> Outcome:
        return await self._wallets.purchases.aundo(
            self._access.wallet_id, bought.purchase_key, attempt=bought.attempt, reason=reason
        )

    async def capture(self, bought: Bought, part: Part, number: int, *, final: bool, above: AboveHold) -> Outcome:
        return await self._wallets.acapture(
            bought.outcome.hold_id or 0,
            part.amount,
            item=part.item,
            quantity=part.quantity,
            facts=part.facts,
            idempotency_key=_closing_key(bought, number),
            final=final,
            above=above,
            wallet_id=self._access.wallet_id,
            actor=PRODUCT,
        )

    async def release(self, bought: Bought) -> Outcome:
        return await self._wallets.arelease(
            bought.outcome.hold_id or 0,
            idempotency_key=_closing_key(bought),
            wallet_id=self._access.wallet_id,
            actor=PRODUCT,
        )

    def _name_of(self, order: Order) -> str:
        return order.key if self._access.key_id is None else f"{order.key}:{self._access.key_id}"


class SellerKeyRefused(ServiceUnreachable):
    """The service does not let this gate sell: it needs a seller's token or the operator key."""


class RemotePayers:
    """Payers behind the service, which is called with the seller's token; the caller's token says who pays."""

    def __init__(self, seller: AsyncWalletClient) -> None:
        self._seller = seller
        self._limit = FailureLimit()
        self._checked = False

    async def check(self) -> None:
        """Ask the service, until it has agreed once."""
        if self._checked:
            return
        try:
            role = (await self._seller.whoami()).role
        except Unauthorized as error:
            raise _refused("it is unknown there") from error
        if role not in ("seller", "operator"):
            raise _refused(f"it is an {role}'s token")
        self._checked = True

    async def prices(self, caller: Credentials | None = None) -> Sequence[PriceView]:
        """As the service has them."""
        await self.check()
        reply = await self._seller.prices(payer_token=None if caller is None else _sendable(caller.token()))
        return [
            PriceView(price.item, price.unit_price, price.per, price.tiers, price.valid_from, None, None, price.version)
            for price in reply.prices
        ]

    async def items(self) -> None:
        """A seller does not see the prices of groups and of single wallets."""

    async def payer_of(self, credentials: Credentials) -> Payer:
        """The payer of a token, which is checked when it is charged."""
        await self.check()
        try:
            token = _sendable(credentials.token())
        except Unauthorized:
            self._limit.admit(credentials.address, b"")
            self._limit.failed(credentials.address, b"", "malformed")
            raise
        self._limit.admit(credentials.address, token_digest(token))
        return _RemotePayer(token, self._seller, self._limit, credentials)


class _RemotePayer:
    __slots__ = ("_address", "_limit", "_request_id", "_seller", "_token")

    def __init__(self, token: str, seller: AsyncWalletClient, limit: FailureLimit, credentials: Credentials) -> None:
        self._token, self._seller = token, seller
        self._limit, self._address, self._request_id = limit, credentials.address, credentials.request_id

    async def buy(self, order: Order, lease_seconds: int) -> Bought:
        price, item = order.price, order.price.item
        try:
            reply = await self._seller.purchases.buy(
                price.amount,
                item=None if item is None else item.name,
                quantity=None if item is None else item.quantity,
                facts=order.facts.seller or None,
                agent_facts=order.facts.agent or None,
                idempotency_key=order.key,
                attempt=order.attempt,
                payer_token=self._token,
                hold_seconds=price.hold_seconds,
                lease_seconds=lease_seconds,
                free_retries=order.free_retries,
                note=order.note,
                request_id=self._request_id,
            )
        except Unauthorized as error:
            if error.details.get("field") != PAYER_TOKEN and "key_id" not in error.details:
                raise _refused("it has been revoked") from error
            self._limit.failed(self._address, token_digest(self._token), "unknown")
            raise Unauthorized(str(error)) from error
        self._limit.remember(self._address, token_digest(self._token))
        outcome = outcomes.Bought(
            reply.wallet_id,
            micros_of(reply.amount),
            micros_of(reply.balance),
            reply.txn_id,
            reply.hold_id,
            reply.replayed,
            reply.alerts,
            reply.warn_pct,
            reply.expires_at,
            price_version=reply.price_version,
            free=reply.free,
        )
        return Bought(outcome, reply.purchase_key, order.attempt, order.once)

    async def cancel(self, order: Order, reason: str) -> Outcome | None:
        bought = await self.buy(order, 1)
        return None if bought.outcome.free else await self.undo(bought, reason)

    def serve(self, bought: Bought, failed: Failed) -> None:  # noqa: ARG002
        failed(ServiceUnreachable("the service has not been called yet", sent=False))

    async def served(self, bought: Bought) -> Outcome:
        return await self._seller.purchases.serve(
            bought.outcome.wallet_id, bought.purchase_key, attempt=bought.attempt, forget=bought.forgettable
        )

    async def renew(self, bought: Bought, lease_seconds: int) -> Outcome:
        return await self._seller.purchases.renew(
            bought.outcome.wallet_id, bought.purchase_key, attempt=bought.attempt, lease_seconds=lease_seconds
        )

    async def undo(self, bought: Bought, reason: str) -> Outcome:
        return await self._seller.purchases.undo(
            bought.outcome.wallet_id, bought.purchase_key, attempt=bought.attempt, reason=reason
        )

    async def capture(self, bought: Bought, part: Part, number: int, *, final: bool, above: AboveHold) -> Outcome:
        return await self._seller.capture(
            bought.outcome.hold_id or 0,
            part.amount,
            item=part.item,
            quantity=part.quantity,
            facts=part.facts or None,
            idempotency_key=_closing_key(bought, number),
            final=final,
            above=above,
        )

    async def release(self, bought: Bought) -> Outcome:
        return await self._seller.release(bought.outcome.hold_id or 0, idempotency_key=_closing_key(bought))


def _sendable(token: str) -> str:
    """A token that a header can carry on to the service."""
    if looked_up(token) is None or not (token.isascii() and token.isprintable()):
        raise Unauthorized("this is not a token; send an owner token or an agent key")
    return token


def _refused(why: str) -> SellerKeyRefused:
    return SellerKeyRefused(
        f"the wallet's service does not let this gate sell with its token ({why}); nothing was charged. "
        "Whoever runs the gate must give it a seller's token or the operator key",
        sent=False,
    )


def _call_in(loop: asyncio.AbstractEventLoop, failed: Failed, error: Exception) -> None:
    loop.call_soon_threadsafe(failed, error)


def _closing_key(bought: Bought, number: int = 0) -> str:
    return f"gate:{bought.outcome.hold_id}:{bought.attempt}{f':{number}' if number else ''}"
