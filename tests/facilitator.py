"""An x402 facilitator for tests, over HTTP: it verifies, settles each nonce once, and fails when it is told to."""

from __future__ import annotations

from typing import Any

from msgspec import json

from credit_wallet.http.receiving import read_body
from credit_wallet.http.replies import Receive, Scope, Send

Json = dict[str, Any]


class Facilitator:
    """``verified`` and ``settled`` are the nonces that it was asked about, in order."""

    def __init__(self) -> None:
        self.verified: list[str] = []
        self.settled: list[str] = []
        self.refuses: set[str] = set()
        """``verify`` and ``settle``: answered with a refusal."""
        self.breaks: set[str] = set()
        """Answered with 500, after having done it."""
        self.headers: list[bytes | None] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            raise ValueError("no lifespan here")
        self.headers.append(dict(scope["headers"]).get(b"x-facilitator-key"))
        call = scope["path"].strip("/")
        asked = json.decode(await read_body(receive, 1 << 20))
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
        if "settle" in self.refuses or authorization["nonce"] in self.settled:
            return {**result, "success": False, "errorReason": "nonce_already_used"}
        self.settled.append(authorization["nonce"])
        return {**result, "success": True, "transaction": f"0x{len(self.settled):064x}"}


def _parts(asked: Json) -> tuple[Json, Json]:
    assert asked["x402Version"] == 2
    return asked["paymentPayload"]["payload"]["authorization"], asked["paymentRequirements"]
