"""The client of the service for asyncio."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Literal, Self, TypeVar

import httpx

from credit_wallet.client import calls
from credit_wallet.client.asynchronous.nouns import AsyncNouns
from credit_wallet.client.asynchronous.one_wallet import AsyncWalletOnBehalf
from credit_wallet.client.calls import Call
from credit_wallet.client.httpx_transports import AsyncHook, AsyncHttpxTransport, Patience
from credit_wallet.client.responses import read_as, read_outcome, read_text
from credit_wallet.client.transport import Retries
from credit_wallet.domain.commands import Charge
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.errors import WalletError
from credit_wallet.rules.usage import Amount
from credit_wallet.stores.jobs.seals import Anchor
from credit_wallet.wire.bodies import (
    CaptureBody,
    ChargeBody,
    ExtendBody,
    HoldBody,
    RefundBody,
    ReleaseBody,
    RotateBody,
)
from credit_wallet.wire.replies import Health, Identity

T = TypeVar("T")


class AsyncWalletClient(AsyncNouns):
    """Calls the service at ``base_url`` for whoever ``token`` belongs to: an owner, agent, seller or the operator.

    A method returns what the service answers, or raises the ``WalletError`` that the library would have raised. Calls
    are repeated as ``retries`` says, always with the same idempotency key; ``timeout_seconds`` is for one attempt.

    ``on_insufficient_funds`` is called with the refusal when a charge or a hold finds the wallet empty. The client
    waits up to ``topup_seconds`` for the top-up that it returns, and repeats the call once; None lets the refusal
    stand. It may be a coroutine function.

    Safe to share between tasks. Close it with ``aclose``, or use it in an ``async with`` block.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout_seconds: float = 10.0,
        retries: Retries = Retries(),  # noqa: B008 - frozen
        on_insufficient_funds: AsyncHook | None = None,
        topup_seconds: float = 120.0,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        http = httpx.AsyncClient(base_url=base_url, timeout=timeout_seconds, transport=transport)
        self._transport = AsyncHttpxTransport(http, token, Patience(retries, topup_seconds), on_insufficient_funds)

    def with_token(self, token: str) -> Self:
        """The same client for another caller, over the same connections. Close only the client it came from."""
        twin = copy.copy(self)
        twin._transport = self._transport.with_token(token)
        return twin

    async def aclose(self) -> None:
        """Close the connections."""
        await self._transport.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def on(self, wallet_id: int) -> AsyncWalletOnBehalf:
        """A wallet with every method about it that its owner has, for an operator: ``client.on(7).transactions()``.

        A method raises ``WalletNotFound`` when there is no such wallet.
        """
        return AsyncWalletOnBehalf(self._send, wallet_id)

    async def charge(
        self,
        amount_yen: Amount | None = None,
        *,
        item: str | None = None,
        quantity: Amount | None = None,
        facts: Mapping[str, str] | None = None,
        agent_facts: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        note: str | None = None,
        wallet_id: int | None = None,
        payer_token: str | None = None,
    ) -> Outcome:
        """Spend ``amount_yen``: an integer, or a ``Decimal`` or string with up to six places, such as "3.30".

        Instead of it, ``item`` names an item of the price book in a ``quantity`` (default 1). ``facts`` say what it was
        for, such as ``{"tool": "search"}``; a seller sends those that its buyer set as ``agent_facts``.

        Sellers and operators name the payer by ``wallet_id`` or ``payer_token``. Raises ``InsufficientFunds``,
        ``BudgetExhausted``, ``KeyCapExhausted``, ``CallLimitReached`` and the other errors of a charge.
        """
        asked = calls.sold(amount_yen, item, quantity, facts, agent_facts)
        body = ChargeBody(**asked, note=note, wallet_id=wallet_id)
        return await self._send(
            calls.move("/credit/charge", body, idempotency_key, spends=True, payer_token=payer_token)
        )

    async def charge_many(self, charges: Iterable[tuple[int, Amount, str] | Charge]) -> list[Outcome | WalletError]:
        """Charge ``(wallet_id, amount_yen, idempotency_key)`` each; one outcome or error per item, in order.

        An item may also be a ``Charge`` with a note, but not of an agent key. Up to 1,000 charges are one durable
        batch; more are sent as several batches, one after the other. For the operator.
        """
        return [outcome for batch in calls.charge_batches(charges) for outcome in await self._send(batch)]

    async def hold(
        self,
        amount_yen: Amount | None = None,
        *,
        item: str | None = None,
        quantity: Amount | None = None,
        facts: Mapping[str, str] | None = None,
        agent_facts: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        ttl_seconds: int = 900,
        note: str | None = None,
        wallet_id: int | None = None,
        payer_token: str | None = None,
    ) -> Outcome:
        """Set ``amount_yen`` aside for ``ttl_seconds``, up to 31 days; the outcome's ``hold_id`` names the hold.

        Item, facts and payer are named as in ``charge``, which also says what is raised.
        """
        asked = calls.sold(amount_yen, item, quantity, facts, agent_facts)
        body = HoldBody(**asked, ttl_seconds=ttl_seconds, note=note, wallet_id=wallet_id)
        return await self._send(calls.move("/credit/hold", body, idempotency_key, spends=True, payer_token=payer_token))

    async def capture(
        self,
        hold_id: int,
        amount_yen: Amount | None = None,
        *,
        item: str | None = None,
        quantity: Amount | None = None,
        facts: Mapping[str, str] | None = None,
        agent_facts: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        final: bool = True,
        above: Literal["reject", "up_to_balance"] = "reject",
    ) -> Outcome:
        """Spend ``amount_yen`` of a hold and release the rest, or with ``final=False`` keep it for later captures.

        With ``above="up_to_balance"``, whoever made the hold may also spend of the balance what the hold does not
        cover. Item and facts are named as in ``charge``. Without an idempotency key of yours, a final capture has one
        that is made from the hold.
        """
        if idempotency_key is None and final:
            idempotency_key = calls.key_of_this_process(f"capture:{hold_id}")
        asked = calls.sold(amount_yen, item, quantity, facts, agent_facts)
        body = CaptureBody(**asked, hold_id=hold_id, final=final, above=above)
        return await self._send(calls.move("/credit/capture", body, idempotency_key))

    async def release(self, hold_id: int, *, idempotency_key: str | None = None) -> Outcome:
        """Give back what is left of a hold. The idempotency key is made from the hold, unless you give one."""
        key = idempotency_key or calls.key_of_this_process(f"release:{hold_id}")
        return await self._send(calls.move("/credit/release", ReleaseBody(hold_id), key))

    async def extend(self, hold_id: int, ttl_seconds: int) -> Outcome:
        """Let a hold last until ``ttl_seconds`` from now, if that is later, and at most 31 days in all."""
        return await self._send(Call("POST", "/credit/extend", read_outcome, ExtendBody(hold_id, ttl_seconds)))

    async def refund(
        self,
        txn_id: int,
        amount_yen: Amount | None = None,
        *,
        idempotency_key: str | None = None,
        note: str | None = None,
    ) -> Outcome:
        """Give back ``amount_yen`` of a charge, or all that is left of it. For the operator, and for its seller."""
        body = RefundBody(txn_id, None if amount_yen is None else calls.sent_exactly(amount_yen), note)
        return await self._send(calls.move("/credit/refund", body, idempotency_key))

    async def whoami(self) -> Identity:
        """Who the client's token is: ``role`` is "owner", "agent", "seller" or "operator"; the ids that go with it.

        Raises ``Unauthorized``. Call it first to check a token.
        """
        return await self._send(calls.get("/credit/whoami", read_as(Identity)))

    async def rotate_owner_token(self, *, overlap_seconds: int = 3600) -> CreatedWallet:
        """A new owner token; earlier ones work for another ``overlap_seconds``, up to 31 days. For the owner.

        This client keeps its token: continue with ``with_token``.
        """
        return await self._send(
            calls.create("/credit/token/rotate", read_as(CreatedWallet), RotateBody(overlap_seconds))
        )

    async def latest_seal(self) -> Anchor:
        """The latest seal of the ledger, to be kept elsewhere. For the operator. Raises ``SealNotFound``."""
        return await self._send(calls.get("/operator/seal", read_as(Anchor)))

    async def alive(self) -> Health:
        """Whether the process answers."""
        return await self._send(calls.get("/healthz", read_as(Health)))

    async def ready(self) -> Health:
        """Whether the service would take a charge; otherwise raises the error that prevents it."""
        return await self._send(calls.get("/readyz", read_as(Health)))

    async def metrics(self) -> str:
        """The metrics, in Prometheus' text format."""
        return await self._send(calls.get("/metrics", read_text))

    async def _send(self, call: Call[T]) -> T:
        return await self._transport.carry_out(call)
