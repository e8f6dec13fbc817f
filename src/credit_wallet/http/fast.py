"""The fast lane: charge, hold, capture, release and purchases on bare ASGI, in front of the documented application.

It answers byte for byte what the routes of the same names answer, with a quarter of their work per request. Anything
else, another method, another spelling or a query on these addresses included, goes on to the application behind it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from time import perf_counter
from traceback import format_exc
from typing import Any, NamedTuple, TypeAlias

from msgspec import Struct, json

from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.permissions import Permission
from credit_wallet.errors import WalletError
from credit_wallet.http import movement_routes, movements, purchase_routes
from credit_wallet.http.decoding import MAX_MOVEMENT_BYTES, decode_body
from credit_wallet.http.movements import Sent
from credit_wallet.http.routing import NEEDS
from credit_wallet.http.traffic import Answered, Traffic
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.telemetry import Logger
from credit_wallet.wire.ambiguity import require_one_framing, require_single_headers
from credit_wallet.wire.asgi import AsgiApp, RawHeaders, Receive, Scope, Send, address_of, text_of
from credit_wallet.wire.auth import Authenticator, Caller
from credit_wallet.wire.bodies import CaptureBody, ChargeBody, HoldBody, ReleaseBody
from credit_wallet.wire.headers import (
    STANDING_HEADERS,
    only_request_id,
    outcome_headers,
    request_id_header,
    sent_request_id,
)
from credit_wallet.wire.presenters import caller_headers
from credit_wallet.wire.problems import code_of, refusal
from credit_wallet.wire.purchase_bodies import BuyBody
from credit_wallet.wire.receiving import read_body
from credit_wallet.wire.replies import MovementReply, PurchaseReply

_log = Logger("credit_wallet.http")


_Answer: TypeAlias = tuple[int, RawHeaders, bytes, Caller | None, str | None]
"""Status, headers, body, who asked, and the code of a refusal."""


def _moved(outcome: Outcome) -> tuple[Outcome, Struct]:
    return outcome, MovementReply.of(outcome)


def _bought(purchase: tuple[Outcome, str]) -> tuple[Outcome, Struct]:
    outcome, purchase_key = purchase
    return outcome, PurchaseReply.of_purchase(outcome, purchase_key)


class _Call(NamedTuple):
    raw_path: bytes
    decoder: json.Decoder[Any]
    carry_out: Callable[..., Awaitable[Any]]
    needs: Permission
    replied: Callable[[Any], tuple[Outcome, Struct]] = _moved
    """The outcome and the reply, of what ``carry_out`` returns."""


CALLS = {
    "/credit/charge": _Call(
        b"/credit/charge", json.Decoder(ChargeBody), movements.charge, movement_routes.charge.opt[NEEDS]
    ),
    "/credit/hold": _Call(b"/credit/hold", json.Decoder(HoldBody), movements.hold, movement_routes.hold.opt[NEEDS]),
    "/credit/capture": _Call(
        b"/credit/capture", json.Decoder(CaptureBody), movements.capture, movement_routes.capture.opt[NEEDS]
    ),
    "/credit/release": _Call(
        b"/credit/release", json.Decoder(ReleaseBody), movements.release, movement_routes.release.opt[NEEDS]
    ),
    "/credit/purchase": _Call(
        b"/credit/purchase", json.Decoder(BuyBody), movements.buy, purchase_routes.purchase.opt[NEEDS], _bought
    ),
}


def call_of(scope: Scope) -> _Call | None:
    """The call of ``CALLS`` that a request makes; None for what is not the lane's."""
    call = CALLS.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
    if call is None or scope["query_string"] or scope.get("raw_path", call.raw_path) != call.raw_path:
        return None
    return call


def _keep_one_request_id(headers: dict[bytes, bytes], sent: RawHeaders) -> None:
    """Of two request ids neither counts."""
    if (request_id := only_request_id(sent)) is None:
        headers.pop(b"x-request-id", None)
    else:
        headers[b"x-request-id"] = request_id


class FastLane:
    """An ASGI application that takes ``CALLS`` and leaves the rest to ``behind``."""

    def __init__(
        self, behind: AsgiApp, wallets: CreditWallet, authenticator: Authenticator, topup_url: str, traffic: Traffic
    ) -> None:
        self._behind = behind
        self._wallets = wallets
        self._authenticator = authenticator
        self._topup_url = topup_url
        self._traffic = traffic

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        call = call_of(scope)
        if call is None:
            await self._behind(scope, receive, send)
            return
        began = perf_counter()
        status, headers, body, caller, code = await self._answer(call, scope, receive)
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        self._traffic.answered(Answered(scope["path"], "POST", status, began, len(body), headers, caller, code))

    async def _answer(self, call: _Call, scope: Scope, receive: Receive) -> _Answer:
        headers = dict(scope["headers"])
        caller: Caller | None = None
        try:
            if len(headers) != len(scope["headers"]):
                require_single_headers(scope["headers"])
                _keep_one_request_id(headers, scope["headers"])
            require_one_framing(headers, scope.get("http_version", "1.1"))
            caller = await self._authenticator.caller(
                text_of(headers.get(b"authorization")),
                text_of(headers.get(b"x-api-key")),
                address_of(scope),
                text_of(headers.get(b"x-payer-token")),
            )
            if call.needs not in caller.permissions:
                caller.require(call.needs)
            received = await read_body(receive, MAX_MOVEMENT_BYTES, declared=headers.get(b"content-length"))
            body = decode_body(call.decoder, received)
            sent = Sent(text_of(headers.get(b"idempotency-key")), sent_request_id(headers.get(b"x-request-id")))
            outcome, reply = call.replied(await call.carry_out(self._wallets, caller, body, sent))
        except WalletError as error:
            return await self._refuse(error, caller, headers)
        except Exception as error:
            _log.error("call_failed", path=scope["path"], exception=format_exc())
            return await self._refuse(error, caller, headers)
        content = json.encode(reply)
        reply_headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(content)),
            request_id_header(headers.get(b"x-request-id")),
            *STANDING_HEADERS,
            *outcome_headers(outcome),
        ]
        return 200, reply_headers, content, caller, None

    async def _refuse(self, error: Exception, caller: Caller | None, headers: dict[bytes, bytes]) -> _Answer:
        status, fields, content = refusal(error, self._topup_url)
        fields += await caller_headers(caller, self._wallets)
        fields = [*fields, request_id_header(headers.get(b"x-request-id"))]
        return status, fields, content, caller, code_of(error)
