"""Sell calls to your application: ``CreditGate`` for any ASGI app, ``priced`` for a route or a tool.

>>> app = CreditGate(app, wallets, price_yen=3)

``wallets`` is an open ``CreditWallet``, or an ``AsyncWalletClient`` with a seller's token or the operator key.
``docs/how-to/gate-an-app.md`` says what is charged, when it is given back, and when a retry is free.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from credit_wallet.errors import WalletError
from credit_wallet.extras import needs
from credit_wallet.gate.billing import Billing
from credit_wallet.gate.exchange import PURCHASE_KEY, Exchange, bought, current, entered
from credit_wallet.gate.options import X402, GateOptions, YenOf, server_failed
from credit_wallet.gate.payers import SellerKeyRefused, payers_of
from credit_wallet.gate.purchases import AboveHold, Price, Purchase
from credit_wallet.gate.requests import GatedRequest
from credit_wallet.gate.routing import Routes
from credit_wallet.gate.tools import LocalBilling, paid_for
from credit_wallet.telemetry import Logger
from credit_wallet.wire.asgi import AsgiApp, Receive, Scope, Send

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from credit_wallet.gate.payers import Wallets
    from credit_wallet.gate.x402_processor import X402Processor

__all__ = ["X402", "CreditGate", "GatedRequest", "Priced", "Purchase", "charge_for", "priced"]

P = ParamSpec("P")
R = TypeVar("R")

FREE_RETRIES = 3
MAX_KEYED_BODY_BYTES = 1 << 20
HOLD_SECONDS = 900

SHUTDOWN_SECONDS = 10.0
"""How long a shutdown waits for pending compensations."""

_log = Logger("credit_wallet.gate")


class CreditGate:
    """An ASGI application that lets requests through to ``app`` once they are paid for.

    ``price_yen`` is charged before the handler runs: whole yen, or a function of the ``GatedRequest`` that returns
    them; None and 0 are free. ``hold`` reserves yen for ``hold_seconds`` instead, and spends what
    ``charge_for(request).capture(yen)`` says when the answer is delivered: up to what is held, or with
    ``above="up_to_balance"`` as much more as the wallet has. The gate extends the hold while the handler runs. Without
    either, only ``priced`` routes cost something.

    What the framework answers itself (redirects, 404, 405, 422, ``OPTIONS``, its API pages) costs nothing.

    A failure gives back what was paid: an exception, or a status for which ``refund_if`` is true (by default 5xx).
    Once the first byte of the body has left, the answer is paid however it ends. ``refund_cut_answers=True`` gives back
    until the last byte has left, which a caller can use to read everything before it without paying.

    The caller's ``Idempotency-Key`` makes a retry of the same request free, up to ``free_retries`` times.
    ``request_id_header`` names another header to use, if every caller sets a new value for every request. With an
    idempotency key the body is read before the handler runs, up to ``max_keyed_body_bytes``.

    ``name`` identifies the application if several sell from one ledger: a request that one of them served is charged
    again at another. Workers of one application have the same name.

    ``x402`` lets callers without a wallet pay per call. ``topup_url`` is in every 402; ``note`` is a function of the
    request that returns its note in the ledger. WebSockets and lifespan pass.
    """

    def __init__(
        self,
        app: AsgiApp,
        wallets: Wallets,
        *,
        price_yen: YenOf | None = None,
        hold: YenOf | None = None,
        hold_seconds: int = HOLD_SECONDS,
        above: AboveHold = "reject",
        topup_url: str | None = None,
        note: Callable[[GatedRequest], str] | None = None,
        name: str = "",
        request_id_header: str | None = None,
        free_retries: int = FREE_RETRIES,
        max_keyed_body_bytes: int = MAX_KEYED_BODY_BYTES,
        refund_if: Callable[[int], bool] = server_failed,
        refund_cut_answers: bool = False,
        x402: X402 | None = None,
    ) -> None:
        if price_yen is not None and hold is not None:
            raise ValueError("give price_yen= or hold=, not both: a hold is the most that a call may cost")
        self.app = app
        self._yen = price_yen if hold is None else hold
        self._hold_seconds = None if hold is None else hold_seconds
        self._above = above
        self._payers = payers_of(wallets)
        self._processor = _processor_of(x402)
        self._routes = Routes(app, entered)
        self._billing = Billing(free_retries=free_retries)
        self._options = GateOptions(
            topup_url=topup_url,
            note=note,
            name=name,
            request_id_header=request_id_header,
            max_keyed_body_bytes=max_keyed_body_bytes,
            refund_if=refund_if,
            refund_cut_answers=refund_cut_answers,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            exchange = Exchange(
                self.app,
                scope,
                receive,
                send,
                self._payers,
                self._billing,
                self._options,
                self._processor,
                self._routes,
            )
            try:
                price = await self._price_of(scope)
            except WalletError as error:  # the price function refused the request
                await exchange.refuse(error)
            else:
                await exchange.run(price)
        elif scope["type"] == "lifespan":
            await self._live(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def aclose(self) -> None:
        """Wait a while for pending compensations. The end of an application's lifespan does this too."""
        pending = await self._billing.compensations.drain(SHUTDOWN_SECONDS)
        if pending:
            _log.error("gate_closed_with_compensations_pending", movements=pending)
        if self._processor is not None:
            await self._processor.aclose()

    async def _price_of(self, scope: Scope) -> Price | None:
        yen = self._yen
        if callable(yen):
            answer = yen(GatedRequest(scope))
            yen = await answer if inspect.isawaitable(answer) else answer
        return Price(yen, self._hold_seconds, self._above) if yen else None

    async def _check(self) -> None:
        """Refuse to start without permission to sell. If the service is unavailable, each request asks again."""
        try:
            await self._payers.check()
        except SellerKeyRefused as error:
            _log.error("gate_may_not_sell", error=str(error))
            raise
        except WalletError as error:
            _log.warning("gate_not_checked", error=str(error))

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's lifespan. The gate closes before the application, which may own the wallets.

        For an application without a lifespan the gate answers.
        """
        answered = False
        arrived = [await receive()]
        try:
            await self._check()
        except SellerKeyRefused as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return

        async def closing_receive() -> MutableMapping[str, Any]:
            message = arrived.pop() if arrived else await receive()
            if message["type"] == "lifespan.shutdown":
                await self.aclose()
            return message

        async def noting_send(message: MutableMapping[str, Any]) -> None:
            nonlocal answered
            answered = True
            await send(message)

        try:
            await self.app(scope, closing_receive, noting_send)
        except Exception as error:
            if answered:
                raise
            _log.debug("application_without_lifespan", error=str(error))
        if not answered:
            await send({"type": "lifespan.startup.complete"})
            while (await closing_receive())["type"] != "lifespan.shutdown":
                pass  # the application may have left the startup unread
            await send({"type": "lifespan.shutdown.complete"})


class Priced:
    """What ``priced`` returns: called with a function it is a decorator, else a dependency or a guard."""

    def __init__(self, price: Price, local: LocalBilling | None) -> None:
        self._price = price
        self._local = local
        # Frameworks look at these two to learn that it must be awaited and takes no arguments.
        self.__call__ = self._pay  # type: ignore[method-assign, assignment]
        self.__signature__ = inspect.Signature()

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a connection is not a function
        self, function: Callable[P, Awaitable[R]], /
    ) -> Callable[P, Awaitable[R]]: ...

    @overload
    def __call__(self, function: Callable[P, R], /) -> Callable[P, Awaitable[R]]: ...  # type: ignore[overload-overlap]

    @overload
    def __call__(self, connection: object = None, route: object = None, /) -> Coroutine[Any, Any, Any]: ...

    def __call__(self, *args: Any) -> Any:
        if len(args) == 1 and inspect.isroutine(args[0]):
            return paid_for(args[0], self._price, self._local)
        return self._pay(*args)

    async def _pay(self, *_: Any) -> Purchase | None:
        return await _exchange().pay(self._price)


def priced(
    yen: int | None = None,
    *,
    hold: int | None = None,
    hold_seconds: int = HOLD_SECONDS,
    above: AboveHold = "reject",
    wallets: Wallets | None = None,
    token: str | None = None,
) -> Priced:
    """A price for one route or tool of an application behind ``CreditGate``.

    FastAPI: ``dependencies=[Depends(priced(yen=3))]``. Litestar: ``guards=[priced(yen=3)]`` or
    ``Provide(priced(yen=3))``. A handler, or a tool of an MCP server: ``@priced(yen=3)`` below the framework's own
    decorator. ``hold`` reserves yen instead; ``charge_for().capture(yen)`` sets what is spent.

    A local MCP server (stdio) has neither gate nor headers: pass ``wallets`` and the ``token`` that pays.
    """
    if (yen is None) == (hold is None):
        raise ValueError("give yen= or hold=")
    if (wallets is None) != (token is None):
        raise ValueError("wallets= and token= go together")
    price = Price(yen, None) if yen is not None else Price(hold or 0, hold_seconds, above)
    local = None
    if wallets is not None and token is not None:
        local = LocalBilling(payers_of(wallets), Billing(free_retries=FREE_RETRIES), token)
    return Priced(price, local)


def charge_for(request: object = None) -> Purchase:
    """The purchase of the running request, or of ``request`` (a framework's request, or a scope).

    Raises ``LookupError`` when no wallet was charged.
    """
    scope = getattr(request, "scope", request)
    found = scope.get(PURCHASE_KEY) if isinstance(scope, dict) else None
    purchase = found if isinstance(found, Purchase) else bought.get(None)
    if purchase is None:
        raise LookupError("no wallet was charged for this request: it is free, paid with x402, or passed no gate")
    return purchase


def _processor_of(x402: X402 | None) -> X402Processor | None:
    if x402 is None:
        return None
    with needs("x402"):
        from credit_wallet.gate.x402_processor import X402Processor

    return X402Processor(x402)


def _exchange() -> Exchange:
    exchange = current.get(None)
    if exchange is None:
        raise RuntimeError("this route has a price but no gate: wrap the application in CreditGate(app, wallets)")
    return exchange
