"""The client of the service."""

from __future__ import annotations

import copy
from types import TracebackType
from typing import Self, TypeVar

import httpx

from credit_wallet.client import calls
from credit_wallet.client.blocking.movements import Movements
from credit_wallet.client.blocking.one_wallet import WalletOnBehalf
from credit_wallet.client.calls import Call
from credit_wallet.client.httpx_transports import Hook, HttpxTransport, Patience
from credit_wallet.client.responses import read_as, read_text
from credit_wallet.client.transport import Retries
from credit_wallet.domain.ledger_overview import LedgerOverview
from credit_wallet.domain.totals import LedgerTotals
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.stores.jobs.seals import Anchor
from credit_wallet.wire.bodies import (
    RotateBody,
)
from credit_wallet.wire.replies import Health, Identity
from credit_wallet.wire.service_health import ServiceHealth

T = TypeVar("T")


class WalletClient(Movements):
    """Calls the service at ``base_url`` for whoever ``token`` belongs to: an owner, agent, seller or the operator.

    A method returns what the service answers, or raises the ``WalletError`` that the library would have raised. Calls
    are repeated as ``retries`` says, always with the same idempotency key; ``timeout_seconds`` is for one attempt.

    ``on_insufficient_funds`` is called with the refusal when a charge or a hold finds the wallet empty. The client
    waits up to ``topup_seconds`` for the top-up that it returns, and repeats the call once; None lets the refusal
    stand.

    Safe to share between threads. Close it, or use it in a ``with`` block.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        *,
        timeout_seconds: float = 10.0,
        retries: Retries = Retries(),  # noqa: B008 - frozen
        on_insufficient_funds: Hook | None = None,
        topup_seconds: float = 120.0,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        http = httpx.Client(base_url=base_url, timeout=timeout_seconds, transport=transport)
        self._transport = HttpxTransport(http, token, Patience(retries, topup_seconds), on_insufficient_funds)

    def with_token(self, token: str) -> Self:
        """The same client for another caller, over the same connections. Close only the client it came from."""
        twin = copy.copy(self)
        twin._transport = self._transport.with_token(token)
        return twin

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def on(self, wallet_id: int) -> WalletOnBehalf:
        """A wallet with every method about it that its owner has, for an operator: ``client.on(7).transactions()``.

        A method raises ``WalletNotFound`` when there is no such wallet.
        """
        return WalletOnBehalf(self._send, wallet_id)

    def whoami(self) -> Identity:
        """Who the client's token is: ``role`` is "owner", "agent", "seller" or "operator"; the ids that go with it.

        Raises ``Unauthorized``. Call it first to check a token.
        """
        return self._send(calls.get("/credit/whoami", read_as(Identity)))

    def rotate_owner_token(self, *, overlap_seconds: int = 3600) -> CreatedWallet:
        """A new owner token; earlier ones work for another ``overlap_seconds``, up to 31 days. For the owner.

        This client keeps its token: continue with ``with_token``.
        """
        return self._send(calls.create("/credit/token/rotate", read_as(CreatedWallet), RotateBody(overlap_seconds)))

    def totals(self) -> LedgerTotals:
        """All wallets together, and what moved this month, as they were counted last. For the operator."""
        return self._send(calls.get("/operator/totals", read_as(LedgerTotals)))

    def overview(self, *, zone: str = "UTC") -> LedgerOverview:
        """The whole ledger at a glance, by days of ``zone``, and what needs a person. For the operator."""
        return self._send(calls.get("/operator/overview", read_as(LedgerOverview), zone=zone))

    def service_health(self) -> ServiceHealth:
        """How the ledger and the process that answers are, and what needs a look. For the operator."""
        return self._send(calls.get("/operator/health", read_as(ServiceHealth)))

    def latest_seal(self) -> Anchor:
        """The latest seal of the ledger, to be kept elsewhere. For the operator. Raises ``SealNotFound``."""
        return self._send(calls.get("/operator/seal", read_as(Anchor)))

    def alive(self) -> Health:
        """Whether the process answers."""
        return self._send(calls.get("/healthz", read_as(Health)))

    def ready(self) -> Health:
        """Whether the service would take a charge; otherwise raises the error that prevents it."""
        return self._send(calls.get("/readyz", read_as(Health)))

    def metrics(self) -> str:
        """The metrics, in Prometheus' text format."""
        return self._send(calls.get("/metrics", read_text))

    def _send(self, call: Call[T]) -> T:
        return self._transport.carry_out(call)
