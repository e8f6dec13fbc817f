"""The OpenAPI documents of a gated application, with the price of each operation in ``x-payment-info``.

https://paymentauth.org/draft-payment-discovery-00.html names the extension and the 402 that goes with it; its members
``price`` and ``protocols`` are those of x402scan, which can say a price below the yen. Prices are read for every
answer, so a document is as true as the price book.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from msgspec import DecodeError, json

from credit_wallet.gate.offers import items_of, payment_info
from credit_wallet.gate.operations import Operations, documents_of, priced_operations
from credit_wallet.gate.price_list import Listed
from credit_wallet.gate.prices import Price
from credit_wallet.telemetry import Logger
from credit_wallet.wire.asgi import Scope, Send

EXTENSION = "x-payment-info"

_METHODS = ("get", "put", "post", "delete", "patch", "head", "options", "trace")
_REFUSALS = {
    "402": {"description": "Payment Required: the wallet cannot pay for this call"},
    "429": {"description": "Too Many Requests: a limit of the wallet on calls is reached"},
}

_log = Logger("credit_wallet.gate")


class Documents:
    """The documents of one application. ``price`` is the gate's own; ``depends`` says that it is a function."""

    def __init__(self, app: Any, price: Price | None, *, depends: bool, x402: bool) -> None:
        self._app, self._price, self._depends, self._x402 = app, price, depends, x402
        self._found: dict[str, Any] | None = None

    def is_one(self, scope: Scope) -> bool:
        """Whether a request is for one of them."""
        if scope["method"] != "GET":
            return False
        documents = self._by_path()
        return bool(documents) and self._path(scope) in documents

    async def priced(self, scope: Scope, send: Send, prices: Callable[[], Awaitable[Listed]]) -> tuple[Scope, Send]:
        """The request, and a ``send`` that adds the prices to the answer. Raises what reading the prices does."""
        app = self._by_path()[self._path(scope)]
        operations = priced_operations(app)
        shown = [*operations.values(), self._price]
        listed = await prices() if any(items_of(price) for price in shown) else {}
        plain = [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]
        return {**scope, "headers": plain}, _Annotated(send, lambda body: self._annotated(body, operations, listed))

    def _by_path(self) -> dict[str, Any]:
        if self._found is None:
            try:
                self._found = documents_of(self._app)
            except Exception:
                _log.exception("gate_cannot_see_documents", application=repr(self._app))
                self._found = {}
        return self._found

    @staticmethod
    def _path(scope: Scope) -> str:
        return str(scope["path"]).removeprefix(str(scope.get("root_path", "")))

    def _annotated(self, body: bytes, operations: Operations, prices: Listed) -> bytes:
        try:
            document = json.decode(body)
            paths = document["paths"].items()
        except (DecodeError, TypeError, KeyError, AttributeError):
            return body
        for path, item in paths:
            for method in _METHODS:
                if isinstance(item, dict) and isinstance(item.get(method), dict):
                    self._annotate(item[method], operations.get((method.upper(), path)), prices)
        return json.encode(document)

    def _annotate(self, operation: dict[str, Any], own: Price | None, prices: Listed) -> None:
        price = own or self._price
        if price is None and not self._depends:
            return
        operation[EXTENSION] = payment_info(price, prices, x402=self._x402)
        for status, refusal in _REFUSALS.items():
            operation.setdefault("responses", {}).setdefault(status, refusal)


class _Annotated:
    """Stands for the server's ``send`` for one document: keeps it until it is whole."""

    def __init__(self, send: Send, annotate: Callable[[bytes], bytes]) -> None:
        self._send, self._annotate = send, annotate
        self._start: MutableMapping[str, Any] | None = None
        self._body = b""

    async def __call__(self, message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and _is_json(message):
            self._start = message
        elif self._start is None or message["type"] != "http.response.body":
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start)

    async def _finish(self, start: MutableMapping[str, Any]) -> None:
        body = self._annotate(self._body)
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        await self._send({**start, "headers": [*headers, (b"content-length", b"%d" % len(body))]})
        await self._send({"type": "http.response.body", "body": body})


def _is_json(message: MutableMapping[str, Any]) -> bool:
    headers = {name.lower(): value for name, value in message.get("headers", ())}
    kind = headers.get(b"content-type", b"").partition(b";")[0].strip()
    return message["status"] == 200 and kind.endswith((b"/json", b"+json")) and b"content-encoding" not in headers
