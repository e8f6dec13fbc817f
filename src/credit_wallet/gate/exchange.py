"""One request to a gated application and its answer, and the payment between them."""

from __future__ import annotations

from collections.abc import MutableMapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias

from credit_wallet.errors import PaymentRequired, WalletError
from credit_wallet.gate.billing import Billing
from credit_wallet.gate.context import EXCHANGE_KEY, PURCHASE_KEY, bought, current
from credit_wallet.gate.facts import NO_FACTS, CallFacts, FactsOf
from credit_wallet.gate.inbox import Inbox
from credit_wallet.gate.options import GateOptions
from credit_wallet.gate.payers import Payers
from credit_wallet.gate.payment import Payment
from credit_wallet.gate.price_list import quoted
from credit_wallet.gate.prices import Price, amount_micros_of
from credit_wallet.gate.purchases import Purchase
from credit_wallet.gate.requests import GatedRequest, checked_key, credentials_of, facts_of, note_of, request_key
from credit_wallet.gate.routing import Found, Routes
from credit_wallet.telemetry import Logger
from credit_wallet.wire.ambiguity import SINGLE_HEADERS, require_single_headers
from credit_wallet.wire.asgi import RawHeaders, Receive, Scope, Send
from credit_wallet.wire.problems import refusal

if TYPE_CHECKING:
    from credit_wallet.gate.x402_processor import X402Processor

Message: TypeAlias = MutableMapping[str, Any]

TOO_LATE = "this request has been answered; nothing more can be charged to it"
_REDIRECTION = 300
_ERROR = 400
_PAYMENT_REQUIRED = 402
_METHOD_NOT_ALLOWED = 405
_WITHOUT_BODY = (204, 304)

_ZERO_COPY = "http.response.zerocopysend"
_FILES = ("http.response.pathsend", _ZERO_COPY)
"""Messages that have the server send a file for a body (extensions of ASGI)."""

_TELLS_OF_LEAVING = (2, 4)
"""Version of the ASGI specification from which on ``send`` raises ``OSError`` when the caller has left."""

_BALANCES = ((b"x-wallet-balance", "balance_yen"), (b"x-wallet-balance-exact", "balance"))

_NOT_LOOKED_UP: Any = object()

_log = Logger("credit_wallet.gate")


class Exchange:
    """Sits between server and application for one request.

    It is the block of its request's payment, made at the gate or by the handler: leaving it leaves the payment.
    """

    def __init__(
        self,
        app: Any,
        scope: Scope,
        receive: Receive,
        send: Send,
        payers: Payers,
        billing: Billing,
        options: GateOptions,
        x402_processor: X402Processor | None,
        routes: Routes,
    ) -> None:
        self.app, self.scope = app, scope
        self.payers, self.billing, self.options = payers, billing, options
        self.inbox = Inbox(receive)
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.x402_processor = x402_processor
        self.entered = False  # whether the handler of the route has begun
        self._routes = routes
        self._root_path = scope.get("root_path", "")
        self._found: Found | None = _NOT_LOOKED_UP
        self._payment: Payment | None = None
        self._is_paying = False
        self._price: Price | None = None
        self._passes_at: Price | None = None
        """What the request would cost if somebody answered it after all."""
        self._server_send = send
        self._refusal: WalletError | None = None
        self._started = self._replaced = False
        self._over = False
        """Whether the answer is complete, or will never be."""
        self._begun = False
        """Whether any of the body was handed to the server while the caller was there."""
        self._left_bytes: int | None = None
        """Bytes of the body that are still to come, when the answer said how many there would be."""

    async def run(self, price: Price | None) -> None:
        """Let the request pay ``price``, if there is one and a handler will run, and have it answered."""
        self.scope[EXCHANGE_KEY] = self
        token, none_yet = current.set(self), bought.set(None)
        try:
            async with self:
                if price is not None:
                    await self._pay_at_the_gate(price)
                else:
                    self._routes.mark(self.scope)
                await self.app(self.scope, self.inbox.receive, self.send)
        except Exception:
            if self._refusal is None or (self._started and not self._replaced):
                raise
        finally:
            current.reset(token)
            bought.reset(none_yet)
        if self._refusal is not None and not self._started:
            await self.refuse(self._refusal)

    async def __aenter__(self) -> Exchange:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """The answer is over: leave the payment too, wherever it was made."""
        self._over = True
        self.inbox.close()
        if self._payment is None:
            return
        if isinstance(error, Exception):
            self._payment.undo_reason = f"failed: {type(error).__name__}"
        elif self.inbox.left:
            self._payment.undo_reason = "the caller left"
        await self._payment.__aexit__(kind, error, traceback)

    async def _pay_at_the_gate(self, price: Price) -> None:
        """Pay now if a handler will run; if the framework answers in its place, only once it turns out otherwise."""
        found = self._route()
        if found is None or found.served:
            await self.pay(price)
        elif not found.page:
            self._passes_at = price

    async def pay(self, price: Price, facts: FactsOf | None = None) -> Purchase | None:
        """Charge this request; None if it paid with x402. A refusal is raised, and sent as the answer.

        ``facts`` are the route's, beside those of the gate.
        """
        if self._payment is not None or self._is_paying:
            raise RuntimeError("this request is paid for already: price it at the gate or at the route, not both")
        if self._over:
            raise RuntimeError(TOO_LATE)
        self._price = price
        self._route()
        self._is_paying = True
        try:
            payment = await self._purchased(price, facts)
        except WalletError as error:
            self.refused(error)
            raise
        finally:
            self._is_paying = False
        if self._over:  # the block that would leave this payment has been left
            async with payment:
                payment.undo_reason = "the request was answered before"
            raise RuntimeError(TOO_LATE)
        self._payment = payment
        if not isinstance(payment, Purchase):
            return None
        self.scope[PURCHASE_KEY] = payment
        bought.set(payment)
        return payment

    async def _purchased(self, price: Price, facts: FactsOf | None) -> Payment:
        self.require_single_headers()
        signature = self.headers.get(b"payment-signature")
        if self.x402_processor is not None and signature is not None and price.hold_seconds is None:
            paid: Payment = await self.x402_processor.accept(signature, await self._exact_micros(price))
            self.inbox.watch()
            return paid
        return await self._pay_from_wallet(price, facts)

    def require_single_headers(self) -> None:
        """Raise ``AmbiguousRequest`` when what says who pays, or for which request, is given twice."""
        if len(self.headers) != len(self.scope["headers"]):
            request_id = self.options.request_id_header
            names = SINGLE_HEADERS if request_id is None else SINGLE_HEADERS | {request_id.lower().encode()}
            require_single_headers(self.scope["headers"], names)

    async def _pay_from_wallet(self, price: Price, facts: FactsOf | None) -> Purchase:
        credentials = credentials_of(self.scope, self.headers)
        if self.x402_processor is not None and not credentials.given and price.hold_seconds is None:
            await self._exact_micros(price)  # without a price there is nothing to offer
            raise PaymentRequired("send a wallet's token, or pay for this call as PAYMENT-REQUIRED says")
        payer = await self.payers.payer_of(credentials)
        known = await self.facts(facts)
        key = await self._key()
        self.inbox.watch()
        return await self.billing.buy(payer, price, self._note(), key, known)

    async def facts(self, own: FactsOf | None = None, given: CallFacts = NO_FACTS) -> CallFacts:
        """The facts of this call: the gate's, ``own`` ones on top, ``given`` ones beneath; and what the agent sent."""
        if not (own or given.seller or self.options.facts or b"x-wallet-facts" in self.headers):
            return NO_FACTS
        return await facts_of(self.scope, self.headers, (given.seller, self.options.facts, own))

    async def _offer(self, processor: X402Processor, price: Price, error: WalletError) -> RawHeaders:
        """What a 402 says would be accepted instead; nothing if the price cannot be found out now."""
        try:
            return [processor.offer(self.scope, await self._exact_micros(price), error)]
        except WalletError as unknown:
            _log.warning("gate_without_x402_offer", error=str(unknown))
            return []

    async def _exact_micros(self, price: Price) -> int:
        """What a price comes to. Raises ``PriceMissing``."""
        if price.item is None:
            return amount_micros_of(price.amount)
        return await quoted(self.payers, price.item)

    def refused(self, error: WalletError) -> None:
        """Remember a refusal: it is sent if the application turns it into an error, or does not answer at all."""
        self._refusal = error

    async def send(self, message: Message) -> None:
        """Stands for the server's ``send``."""
        if message["type"] == "http.response.start":
            await self._start(message)
        elif not self._replaced:
            await self._go_on(message)

    def _route(self) -> Found | None:
        """The request's route, as it was when the request arrived: a mount changes the scope on its way."""
        if self._found is _NOT_LOOKED_UP:
            moved = self.scope.get("root_path", "") != self._root_path
            arrived = {**self.scope, "root_path": self._root_path} if moved else self.scope
            self._found = self._routes.find(arrived)
        return self._found

    def _caller_key(self) -> bytes | None:
        """What the caller sent to mark retries of one request."""
        key = self.headers.get(b"idempotency-key")
        if not key and self.options.request_id_header is not None:
            key = self.headers.get(self.options.request_id_header.lower().encode())
        return checked_key(key)

    async def _key(self) -> str | None:
        """Identifies the whole request, because the caller's idempotency key alone must not make another one free."""
        given = self._caller_key()
        if given is None:
            return None
        digest = await self.inbox.body_digest(self.options.max_keyed_body_bytes)
        texts = (self.scope["method"], self.scope["path"])
        parts = (text.encode("utf-8", "surrogateescape") for text in texts)
        name = self.options.name.encode("utf-8", "surrogateescape")
        return request_key(given, *parts, self.scope.get("query_string", b""), digest, name)

    def _note(self) -> str:
        if self.options.note is not None:
            return self.options.note(GatedRequest(self.scope))
        found = self._route()
        return note_of(None if found is None else found.template, self.scope)

    async def _start(self, message: Message) -> None:
        if self._refusal is not None and message["status"] >= _ERROR:
            await self.refuse(self._refusal)
            return
        if not await self._paid_after_all(message["status"]):
            return
        if self._is_lost():
            self._started = True
            self._leave_out()
            return
        headers = list(message.get("headers", ()))
        if self._payment is not None:
            if not await self._goes_well(self._payment, message["status"]):
                return
            headers += self._payment.headers()
        self._started = True
        length = next((value for name, value in headers if name.lower() == b"content-length"), b"")
        self._left_bytes = int(length) if length.isdigit() else None
        whole = not self.inbox.left and self._has_no_body(message["status"])
        await self._hand_over({**message, "headers": headers}, whole)
        if self._payment is not None and whole:
            await self._deliver(self._payment)

    def _has_no_body(self, status: int) -> bool:
        """Whether the caller has the whole answer with its head, and may leave."""
        return self._left_bytes == 0 or status in _WITHOUT_BODY or self.scope["method"] == "HEAD"

    def _begin(self, payment: Payment) -> None:
        if not self._begun:
            self._begun = True
            payment.begin()
            if not self.options.refund_cut_answers:
                payment.serve()

    async def _deliver(self, payment: Payment) -> None:
        if not self._begun or self.options.refund_cut_answers:
            payment.serve()
        await payment.deliver()

    async def _paid_after_all(self, status: int) -> bool:
        """Whether an answer may go out that no handler was expected to give: then it is paid now, or withheld.

        A handler that ran unexpectedly (a middleware changed the path or the routes) counts, whatever it answers.
        """
        price, self._passes_at = self._passes_at, None
        looks_own = status >= _REDIRECTION or self.scope["method"] == "OPTIONS"
        if price is None or status == _METHOD_NOT_ALLOWED or (looks_own and not self.entered):
            return True
        try:
            await self.pay(price)
        except WalletError as error:
            await self.refuse(error)
            return False
        return True

    async def _goes_well(self, payment: Payment, status: int) -> bool:
        """Whether the answer may begin. If not, the reason has been sent instead."""
        if self.options.refund_if(status) or self._is_frameworks_own(status):
            await payment.undo(f"answered {status}")
        elif not self.inbox.left:
            try:
                await payment.confirm()
            except WalletError as error:
                self._refusal = error
                await self.refuse(error)
                return False
        return True

    def _is_frameworks_own(self, status: int) -> bool:
        """Whether the framework answers in the handler's place: a redirect, or a refused request."""
        if status == _METHOD_NOT_ALLOWED:
            return True
        if self.entered or status < _REDIRECTION:
            return False
        found = self._route()
        return found is not None and found.marked

    async def _go_on(self, message: Message) -> None:
        """An answer is delivered when the server accepted its last byte before the caller left."""
        if self._is_lost():
            self._over = self._over or self._is_last(message)
            self._leave_out()
            return
        there = not self.inbox.left
        has_body = bool(message.get("body")) or message["type"] in _FILES
        await self._hand_over(message, there and has_body)
        last = self._is_last(message)
        if self._payment is not None and there and last:
            await self._deliver(self._payment)
        self._over = self._over or last

    def _is_lost(self) -> bool:
        """Whether the caller has left before it was served: the rest is neither paid nor, therefore, sent.

        Servers may send to such a caller: Hypercorn does if the caller closed only its half of the connection.
        """
        is_paid = self._begun and not self.options.refund_cut_answers
        return self._payment is not None and self.inbox.left and not is_paid

    def _leave_out(self) -> None:
        """Drop a message, as servers do when the caller has left; from ASGI 2.4 on that raises."""
        spec_version = str(self.scope.get("asgi", {}).get("spec_version", "2.0"))
        if tuple(int(part) for part in spec_version.split(".") if part.isdecimal()) >= _TELLS_OF_LEAVING:
            raise ConnectionResetError("the caller has left")

    async def _hand_over(self, message: Message, serves: bool) -> None:
        """Give a message to the server. If it ``serves``, the caller has it even if the request is cancelled meanwhile:
        a server may wait here for a reader who is slow on purpose.
        """
        try:
            await self._server_send(message)
        except OSError:  # the caller was gone before
            self.inbox.left = True
            raise
        except BaseException:
            if self._payment is not None and serves:
                self._begin(self._payment)
            raise
        if self._payment is not None and serves:
            self._begin(self._payment)

    def _is_last(self, message: Message) -> bool:
        if message["type"] == "http.response.pathsend":
            return True
        if message["type"] not in ("http.response.body", _ZERO_COPY):
            return False
        if self._left_bytes is not None and message["type"] != _ZERO_COPY:
            self._left_bytes -= len(message.get("body", b""))
        return not message.get("more_body", False) or self._left_bytes == 0

    async def refuse(self, error: WalletError) -> None:
        """Send the problem document instead of the application's answer."""
        self._started = self._replaced = True
        status, headers, content = refusal(error, self.options.topup_url)
        for header, member in _BALANCES:
            if member in error.details:
                headers.append((header, str(error.details[member]).encode()))
        if self.x402_processor is not None and self._price is not None and status == _PAYMENT_REQUIRED:
            headers += await self._offer(self.x402_processor, self._price, error)
        await self._server_send({"type": "http.response.start", "status": status, "headers": headers})
        await self._server_send({"type": "http.response.body", "body": content})
