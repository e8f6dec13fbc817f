"""An x402 facilitator for tests, over HTTP: it verifies, settles each nonce once, and fails when it is told to."""

from __future__ import annotations

from typing import Any, NamedTuple

from msgspec import json

from credit_wallet.wire.asgi import Receive, Scope, Send
from credit_wallet.wire.receiving import read_body

Json = dict[str, Any]


class Fault(NamedTuple):
    """How a settlement goes wrong, and whether the money has moved all the same."""

    name: str
    settles: bool

    async def answer(self, receive: Receive, send: Send) -> None:
        """The answer, if it can be called one."""
        if self.name == "hangs":
            while (await receive())["type"] != "http.disconnect":
                pass
            return
        status = 500 if self.name == "500" else 200
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"<html>" if self.name == "garbage" else b""})


FAULTS = [Fault(name, settles) for name in ("hangs", "500", "garbage", "nothing") for settles in (False, True)]


class Facilitator:
    """``verified`` and ``settled`` are the nonces that it was asked about, in order."""

    def __init__(self) -> None:
        self.verified: list[str] = []
        self.settled: list[str] = []
        self.refuses: set[str] = set()
        """``verify`` and ``settle``: answered with a refusal."""
        self.breaks: set[str] = set()
        """Answered with 500, after having done it."""
        self.fault: Fault | None = None
        """What the next settlement meets."""
        self.repeats = False
        """Whether settling again what is settled is a success, as with facilitators that remember."""
        self.headers: list[bytes | None] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("no lifespan here")
        self.headers.append(dict(scope["headers"]).get(b"x-facilitator-key"))
        call = scope["path"].strip("/")
        asked = json.decode(await read_body(receive, 1 << 20))
        if call == "settle" and self.fault is not None:
            fault, self.fault = self.fault, None
            if fault.settles:
                self._settle(asked)
            await fault.answer(receive, send)
            return
        answer = self._verify(asked) if call == "verify" else self._settle(asked)
        status = 500 if call in self.breaks else 200
        await send(
            {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]}
        )
        await send({"type": "http.response.body", "body": json.encode(answer)})

    def _verify(self, asked: Json) -> Json:
        authorization, requirements = _parts(asked)
        self.verified.append(authorization["nonce"])
        good = authorization["value"] == requirements["amount"] and authorization["to"] == requirements["payTo"]
        if not good or "verify" in self.refuses:
            return {"isValid": False, "invalidReason": "invalid_payment", "payer": authorization["from"]}
        return {"isValid": True, "payer": authorization["from"]}

    def _settle(self, asked: Json) -> Json:
        authorization, requirements = _parts(asked)
        result = {"payer": authorization["from"], "transaction": "", "network": requirements["network"]}
        if "settle" in self.refuses:
            return {**result, "success": False, "errorReason": "insufficient_funds"}
        if authorization["nonce"] in self.settled:
            if self.repeats:
                return {**result, "success": True, "transaction": f"0x{1:064x}"}
            return {**result, "success": False, "errorReason": "nonce_already_used"}
        self.settled.append(authorization["nonce"])
        return {**result, "success": True, "transaction": f"0x{len(self.settled):064x}"}


def _parts(asked: Json) -> tuple[Json, Json]:
    assert asked["x402Version"] == 2
    payload = asked["paymentPayload"]["payload"]
    paid = json.decode(payload["transaction"]) if "transaction" in payload else payload["authorization"]
    return paid, asked["paymentRequirements"]
