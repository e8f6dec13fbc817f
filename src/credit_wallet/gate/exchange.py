"""One request to a gated application and its answer, and what becomes of the purchase between them."""

from __future__ import annotations

from collections.abc import MutableMapping
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

from credit_wallet.errors import PaymentRequired, WalletError
from credit_wallet.gate.accounts import Accounts
from credit_wallet.gate.attempts import request_key
from credit_wallet.gate.inbox import Inbox
from credit_wallet.gate.purchases import Price, Purchase, Till
from credit_wallet.gate.requests import GatedRequest, credentials_of, note_of
from credit_wallet.gate.sales import Sale
from credit_wallet.gate.settings import GateSettings
from credit_wallet.http.distinct import SINGLE_HEADERS, require_single_headers
from credit_wallet.http.replies import Receive, Scope, Send, refusal

if TYPE_CHECKING:
    from credit_wallet.gate.on_chain import Cashier

Message: TypeAlias = MutableMapping[str, Any]

current: ContextVar[Exchange] = ContextVar("credit_wallet_exchange")
"""The exchange that the running code is part of."""

bought: ContextVar[Purchase | None] = ContextVar("credit_wallet_purchase")
"""What the running code has been paid with."""

PURCHASE_KEY = "credit_wallet.purchase"
"""Where a request's scope has its purchase."""

_ERROR = 400
_PAYMENT_REQUIRED = 402


class Exchange:
    """Sits between the server and the application for one request."""

    def __init__(
        self,
        app: Any,
        scope: Scope,
        receive: Receive,
        send: Send,
        accounts: Accounts,
        till: Till,
        settings: GateSettings,
        cashier: Cashier | None,
    ) -> None:
        self.app, self.scope = app, scope
        self.accounts, self.till, self.settings = accounts, till, settings
        self.inbox = Inbox(receive)
        self.headers: dict[bytes, bytes] = dict(scope["headers"])
        self.cashier = cashier
        self._sale: Sale | None = None
        self._price: Price | None = None
        self._server_send = send
        self._refusal: WalletError | None = None
        self._started = False
        self._replaced = False
        self._begun = False
        """Whether any of the body was handed to the server while the caller was there."""
        self._left_bytes: int | None = None
        """Bytes of the body that are still to come, when the answer said how many there would be."""

    async def run(self, price: Price | None) -> None:
        """Let the request pay ``price``, if there is one, and have it answered."""
        token, none_yet = current.set(self), bought.set(None)
        failure: str | None = None
        try:
            if price is not None:
                await self.pay(price)
            await self.app(self.scope, self.inbox.receive, self.send)
        except Exception as error:
            failure = f"failed: {type(error).__name__}"
            if self._refusal is None or (self._started and not self._replaced):
                raise
        finally:
            current.reset(token)
            bought.reset(none_yet)
            await self._settle(failure)
        if self._refusal is not None and not self._started:
            await self.refuse(self._refusal)

    async def pay(self, price: Price) -> Purchase | None:
        """Have this request paid for; None when it paid by itself. What stands against it is raised and answered."""
        if self._sale is not None:
            raise RuntimeError("this request is paid for already: price it at the gate or at the route, not at both")
        self._price = price
        try:
            self.require_single_headers()
            signature = self.headers.get(b"payment-signature")
            if self.cashier is not None and signature is not None and price.hold_seconds is None:
                self._sale = await self.cashier.take(signature, price.amount_yen)
                self.inbox.watch()
                return None
            self._sale = purchase = await self._pay_from_wallet(price)
        except WalletError as error:
            self.refused(error)
            raise
        self.scope[PURCHASE_KEY] = purchase
        bought.set(purchase)
        return purchase

    def require_single_headers(self) -> None:
        """Raise ``AmbiguousRequest`` when what says who pays, or for which request, is given twice."""
        if len(self.headers) != len(self.scope["headers"]):
            request_id = self.settings.request_id_header
            names = SINGLE_HEADERS if request_id is None else SINGLE_HEADERS | {request_id.lower().encode()}
            require_single_headers(self.scope["headers"], names)

    async def _pay_from_wallet(self, price: Price) -> Purchase:
        credentials = credentials_of(self.scope, self.headers)
        if self.cashier is not None and not credentials.given and price.hold_seconds is None:
            raise PaymentRequired("send a wallet's token, or pay for this call as PAYMENT-REQUIRED says")
        account = await self.accounts.account_of(credentials)
        key = await self._key()
        self.inbox.watch()
        return await self.till.sell(account, price, self._note(), key)

    def refused(self, error: WalletError) -> None:
        """If the application makes an error answer of it, or none at all, the problem document goes out instead."""
        self._refusal = error

    async def send(self, message: Message) -> None:
        """Stands for the server's ``send``."""
        if message["type"] == "http.response.start":
            await self._start(message)
        elif not self._replaced:
            await self._go_on(message)

    def _caller_key(self) -> bytes | None:
        """What the caller sent to tell a retry from a new request."""
        key = self.headers.get(b"idempotency-key")
        if not key and self.settings.request_id_header is not None:
            key = self.headers.get(self.settings.request_id_header.lower().encode())
        return key or None

    async def _key(self) -> str | None:
        """The retry of a request is the same request: the caller's key alone does not make it free."""
        given = self._caller_key()
        if given is None:
            return None
        digest = await self.inbox.body_digest(self.settings.max_keyed_body_bytes)
        token = credentials_of(self.scope, self.headers).token()
        texts = (token, self.scope["method"], self.scope["path"])
        parts = (text.encode("utf-8", "surrogateescape") for text in texts)
        return request_key(given, *parts, self.scope.get("query_string", b""), digest)

    def _note(self) -> str:
        if self.settings.note is not None:
            return self.settings.note(GatedRequest(self.scope))
        return note_of(self.app, self.scope)

    async def _start(self, message: Message) -> None:
        if self._refusal is not None and message["status"] >= _ERROR:
            await self.refuse(self._refusal)
            return
        headers = list(message.get("headers", ()))
        if self._sale is not None:
            if not await self._goes_well(self._sale, message["status"]):
                return
            headers += self._sale.headers()
        self._started = True
        length = next((value for name, value in headers if name.lower() == b"content-length"), b"")
        self._left_bytes = int(length) if length.isdigit() else None
        await self._server_send({**message, "headers": headers})

    async def _goes_well(self, sale: Sale, status: int) -> bool:
        """Whether the answer may begin; what speaks against it is answered in its place."""
        if self.settings.refund_if(status):
            await sale.fail(f"answered {status}")
        elif not self.inbox.left:
            try:
                await sale.confirm()
            except WalletError as error:
                self._refusal = error
                await self.refuse(error)
                return False
        return True

    async def _go_on(self, message: Message) -> None:
        """An answer is delivered when the server took its last byte and the caller had not left before."""
        there = not self.inbox.left
        try:
            await self._server_send(message)
        except OSError:
            self.inbox.left = True
            raise
        if self._sale is not None and there:
            self._begun = self._begun or bool(message.get("body"))
            if self._is_last(message):
                await self._sale.deliver()

    def _is_last(self, message: Message) -> bool:
        if message["type"] == "http.response.pathsend":
            return True
        if message["type"] != "http.response.body":
            return False
        if self._left_bytes is not None:
            self._left_bytes -= len(message.get("body", b""))
        return not message.get("more_body", False) or self._left_bytes == 0

    async def _settle(self, failure: str | None) -> None:
        """What has not been delivered by now never will be."""
        self.inbox.close()
        if self._sale is None:
            return
        try:
            if self.inbox.left and self._begun and not self.settings.refund_cut_answers:
                await self._sale.deliver()
            await self._sale.fail(failure or ("the caller left" if self.inbox.left else "the answer was not complete"))
        finally:
            self._sale.close()

    async def refuse(self, error: WalletError) -> None:
        """Answer with the problem document, in place of whatever the application makes of it."""
        self._started = self._replaced = True
        status, headers, content = refusal(error, self.settings.topup_url)
        balance_yen = error.details.get("balance_yen")
        if balance_yen is not None:
            headers.append((b"x-wallet-balance", str(balance_yen).encode()))
        if self.cashier is not None and self._price is not None and status == _PAYMENT_REQUIRED:
            headers.append(self.cashier.offer(self.scope, self._price.amount_yen, error))
        await self._server_send({"type": "http.response.start", "status": status, "headers": headers})
        await self._server_send({"type": "http.response.body", "body": content})
