"""Sell calls to your application: ``CreditGate`` for any ASGI app, ``priced`` for a route or a tool.

>>> app = CreditGate(app, wallets, price_yen=3)

``wallets`` is an open ``CreditWallet``, or an ``AsyncWalletClient`` with a seller's token or the operator key.
``docs/how-to/gate-an-app.md`` says what is charged, when it is given back, and when a retry is free.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from credit_wallet.errors import PriceMissing, WalletError
from credit_wallet.extras import needs
from credit_wallet.gate.billing import Billing
from credit_wallet.gate.context import PURCHASE_KEY, bought, current, entered
from credit_wallet.gate.documents import Documents
from credit_wallet.gate.exchange import Exchange
from credit_wallet.gate.facts import FactsOf, checked_facts
from credit_wallet.gate.listings import list_with_prices
from credit_wallet.gate.offers import items_of
from credit_wallet.gate.operations import prices_within
from credit_wallet.gate.options import X402, Cost, CostOf, GateOptions, server_failed
from credit_wallet.gate.payers import SellerKeyRefused, payers_of
from credit_wallet.gate.price_list import Listed, listed, require_priced
from credit_wallet.gate.prices import AboveHold, Item, Price, price_of
from credit_wallet.gate.purchases import Purchase
from credit_wallet.gate.requests import GatedRequest
from credit_wallet.gate.routing import Routes
from credit_wallet.gate.tools import LocalBilling, paid_for
from credit_wallet.rules.usage import Amount
from credit_wallet.telemetry import Logger
from credit_wallet.wire.asgi import AsgiApp, Receive, Scope, Send

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from credit_wallet.gate.payers import Wallets
    from credit_wallet.gate.x402_processor import X402Processor

__all__ = ["X402", "CreditGate", "GatedRequest", "Item", "Priced", "Purchase", "charge_for", "priced", "show_prices"]

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

    ``price`` names an item of the price book, and ``price_yen`` an amount; it is charged before the handler runs. An
    amount is whole yen, a ``Decimal`` or a string ("3.30"), an item is its name or an ``Item`` with a quantity; either
    may be a function of the ``GatedRequest`` that returns them; None and 0 are free. ``hold`` reserves an amount or an
    ``Item`` for ``hold_seconds`` instead, and spends what ``charge_for(request).capture(…)`` reports when the answer
    is delivered: up to what is held, or with ``above="up_to_balance"`` as much more as the wallet has. The gate
    extends the hold while the handler runs. ``items`` names the items that handlers report, so that they are shown
    and checked. Without any of them, only ``priced`` routes cost something. A gate does not start with an item that
    has no price. OpenAPI documents of FastAPI and Litestar show each price as ``x-payment-info``.

    ``facts`` are written beside each charge, up to eight: a mapping, or a function of the request. An agent adds its
    own with ``X-Wallet-Facts: run=r1``; they are kept apart.

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
        price: CostOf | None = None,
        price_yen: CostOf | None = None,
        hold: CostOf | None = None,
        hold_seconds: int = HOLD_SECONDS,
        above: AboveHold = "reject",
        items: Sequence[str] = (),
        topup_url: str | None = None,
        note: Callable[[GatedRequest], str] | None = None,
        facts: FactsOf | None = None,
        name: str = "",
        request_id_header: str | None = None,
        free_retries: int = FREE_RETRIES,
        max_keyed_body_bytes: int = MAX_KEYED_BODY_BYTES,
        refund_if: Callable[[int], bool] = server_failed,
        refund_cut_answers: bool = False,
        x402: X402 | None = None,
    ) -> None:
        costs = [cost for cost in (price, price_yen, hold) if cost is not None]
        if len(costs) > 1:
            raise ValueError("give one of price=, price_yen= and hold=: a hold is the most that a call may cost")
        self.app = app
        self._hold_seconds = None if hold is None else hold_seconds
        self._above, self._items = above, tuple(items)
        self._names_item = price is not None
        self._cost = costs[0] if costs else None
        self._price = None if callable(self._cost) else self._priced_at(self._cost)
        self._payers = payers_of(wallets)
        self._processor = _processor_of(x402)
        self._routes = Routes(app, entered)
        self._documents = Documents(app, self._price, depends=callable(self._cost), x402=x402 is not None)
        self._billing = Billing(free_retries=free_retries)
        self._options = GateOptions(
            topup_url=topup_url,
            note=note,
            facts=_own_facts(facts),
            name=name,
            request_id_header=request_id_header,
            max_keyed_body_bytes=max_keyed_body_bytes,
            refund_if=refund_if,
            refund_cut_answers=refund_cut_answers,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            if self._documents.is_one(scope):
                try:
                    scope, send = await self._documents.priced(scope, send, self._listed)
                except WalletError as error:
                    await self._exchange(scope, receive, send).refuse(error)
                    return
            exchange = self._exchange(scope, receive, send)
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

    def _exchange(self, scope: Scope, receive: Receive, send: Send) -> Exchange:
        return Exchange(
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

    async def _listed(self) -> Listed:
        return await listed(self._payers)

    async def aclose(self) -> None:
        """Wait a while for pending compensations. The end of an application's lifespan does this too."""
        pending = await self._billing.compensations.drain(SHUTDOWN_SECONDS)
        if pending:
            _log.error("gate_closed_with_compensations_pending", movements=pending)
        if self._processor is not None:
            await self._processor.aclose()

    async def _price_of(self, scope: Scope) -> Price | None:
        if not callable(self._cost):
            return self._price
        answer = self._cost(GatedRequest(scope))
        return self._priced_at(await answer if inspect.isawaitable(answer) else answer)

    def _priced_at(self, cost: Cost) -> Price | None:
        return price_of(cost, self._hold_seconds, self._above, self._items, names_item=self._names_item)

    async def _check(self) -> None:
        """Refuse to start without permission to sell, or with an item that has no price. If the service is unavailable,
        each request asks again.
        """
        try:
            await self._payers.check()
            await self._check_prices()
        except (SellerKeyRefused, PriceMissing) as error:
            _log.error("gate_may_not_sell", error=str(error))
            raise
        except WalletError as error:
            _log.warning("gate_not_checked", error=str(error))

    async def _check_prices(self) -> None:
        prices = [] if self._price is None else [self._price]
        try:
            prices += prices_within(self.app)
        except Exception:
            _log.exception("gate_cannot_see_prices", application=repr(self.app))
        await require_priced(self._payers, {item for price in prices for item in items_of(price)})

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The application's lifespan. The gate closes before the application, which may own the wallets.

        For an application without a lifespan the gate answers.
        """
        answered = False
        arrived = [await receive()]
        try:
            await self._check()
        except (SellerKeyRefused, PriceMissing) as error:
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

    def __init__(self, price: Price, facts: FactsOf | None, local: LocalBilling | None) -> None:
        self.credit_wallet_price = price
        self._facts = facts
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
            return paid_for(args[0], self.credit_wallet_price, self._facts, self._local)
        return self._pay(*args)

    async def _pay(self, *_: Any) -> Purchase | None:
        return await _exchange().pay(self.credit_wallet_price, self._facts)


def priced(
    price: str | Item | int | None = None,
    *,
    yen: Amount | None = None,
    hold: Amount | Item | None = None,
    hold_seconds: int = HOLD_SECONDS,
    above: AboveHold = "reject",
    items: Sequence[str] = (),
    facts: FactsOf | None = None,
    wallets: Wallets | None = None,
    token: str | None = None,
) -> Priced:
    """A price for one route or tool of an application behind ``CreditGate``: an item of the price book, or yen.

    ``price`` is the item's name, an ``Item``, or whole yen; exact yen are ``yen="3.30"``.

    FastAPI: ``dependencies=[Depends(priced("search"))]``. Litestar: ``guards=[priced(yen="3.30")]`` or
    ``Provide(priced(yen=3))``. A handler, or a tool of an MCP server: ``@priced("search")`` below the framework's own
    decorator. ``hold`` reserves yen or an ``Item`` instead; ``charge_for().capture(…)`` sets what is spent, or a tool
    reports it in its result's ``_meta``; ``items`` names the items that it reports. ``facts`` are as in ``CreditGate``,
    and come on top of the gate's; those of a tool have its name as ``tool``.

    A local MCP server (stdio) has neither gate nor headers: pass ``wallets`` and the ``token`` that pays.
    """
    costs = [cost for cost in (price, yen, hold) if cost is not None]
    if len(costs) != 1:
        raise ValueError("give a price, yen= or hold=")
    if (wallets is None) != (token is None):
        raise ValueError("wallets= and token= go together")
    if wallets is not None and callable(facts):
        raise ValueError("a local tool has no request: facts= must be a mapping")
    cost = price_of(costs[0], None if hold is None else hold_seconds, above, items, names_item=price is not None)
    if cost is None:
        raise ValueError("a price must be more than 0; a route without one is free")
    local = None
    if wallets is not None and token is not None:
        local = LocalBilling(payers_of(wallets), Billing(free_retries=FREE_RETRIES), token)
    return Priced(cost, _own_facts(facts), local)


def show_prices(server: Any, wallets: Wallets) -> None:
    """Have an MCP server (official SDK) list its ``priced`` tools with their prices, as the price book has them then.

    A tool's description ends with its price in words, and its ``_meta`` has it as ``credit-wallet/price``.
    """
    list_with_prices(server, payers_of(wallets))


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


def _own_facts(facts: FactsOf | None) -> FactsOf | None:
    return facts if facts is None or callable(facts) else checked_facts(facts)


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
