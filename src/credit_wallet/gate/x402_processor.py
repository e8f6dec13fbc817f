"""Paying per call without a wallet: x402, version 2, "exact" payments through a facilitator.

https://github.com/coinbase/x402/blob/main/specs/x402-specification-v2.md: a 402 says in ``PAYMENT-REQUIRED`` what would
be accepted; the caller signs it and sends the request again with ``PAYMENT-SIGNATURE``; it is verified before the
handler runs and settled when its answer begins, which then carries ``PAYMENT-RESPONSE``.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import httpx
from cachetools import FIFOCache
from msgspec import json
from x402.http import FacilitatorConfig, HTTPFacilitatorClient
from x402.http.facilitator_client_base import CreateHeadersAuthProvider
from x402.http.utils import (
    decode_payment_signature_header,
    encode_payment_required_header,
    encode_payment_response_header,
)
from x402.schemas import PaymentPayload, PaymentRequired, PaymentRequirements, ResourceInfo, SettleResponse

from credit_wallet.errors import PaymentInvalid, PaymentProviderError, WalletError
from credit_wallet.gate.options import X402
from credit_wallet.runtime import forks
from credit_wallet.telemetry import Logger
from credit_wallet.wire.asgi import RawHeaders, Scope

State: TypeAlias = Literal["under way", "settled", "unknown"]

REMEMBERED_PAYMENTS = 10_000
"""How many payments a process remembers, so as not to serve one twice. The chain refuses older ones itself."""

_NONCE_USED = re.compile(r"(?=.*(?:nonce|authorization))(?=.*used)(?!.*cancel)")
"""What facilitators say of a payment that the chain has accepted already, such as ``nonce_already_used``."""

_AUTHORIZATIONS = {"authorization", "permit2Authorization"}
"""Members of a payment that identify it and its payer. Of two, the facilitator might use the other one."""

_UNUSABLE = (httpx.HTTPError, ValueError)
"""Errors of a facilitator that is unavailable, or does not speak x402."""

_log = Logger("credit_wallet.gate")


class X402Processor:
    """Accepts payments per call for one gate."""

    def __init__(self, x402: X402) -> None:
        self._x402 = x402
        headers = x402.facilitator_headers
        self._facilitator = HTTPFacilitatorClient(
            FacilitatorConfig(
                url=x402.facilitator_url,
                timeout=x402.facilitator_seconds,
                auth_provider=CreateHeadersAuthProvider(headers) if headers is not None else None,
            )
        )
        forks.leave_behind(self, "_facilitator")
        self._known: FIFOCache[bytes, State] = FIFOCache(REMEMBERED_PAYMENTS)

    def offer(self, scope: Scope, amount_micros: int, error: WalletError) -> tuple[bytes, bytes]:
        """The header of a 402 that says what would be accepted instead."""
        required = PaymentRequired(
            error=str(error), resource=ResourceInfo(url=_url_of(scope)), accepts=[self._requirements(amount_micros)]
        )
        return b"payment-required", encode_payment_required_header(required).encode()

    async def accept(self, header: bytes, amount_micros: int) -> X402Payment:
        """A verified payment of ``amount_micros``. Raises ``PaymentInvalid`` and ``PaymentProviderError``."""
        payload = _payload_in(header)
        requirements = self._requirements(amount_micros)
        _require_same(payload.accepted, requirements)
        name = _name_of(payload)
        before = self._reserve(name)
        try:
            if before is None:  # what was verified before and may be settled by now is no longer "valid"
                await self._verify(payload, requirements)
        except BaseException:
            self.note(name, before)
            raise
        return X402Payment(self, name, payload, requirements, before)

    async def settle(
        self, name: bytes, payload: PaymentPayload, requirements: PaymentRequirements, before: State | None
    ) -> SettleResponse:
        """Move the money. The chain accepts a payment once, however often it is sent.

        Raises ``PaymentInvalid``, and ``PaymentProviderError`` if the result is unknown: the same payment can be sent
        again.
        """
        self.note(name, "unknown")
        try:
            settled = await self._facilitator.settle(payload, requirements)
        except _UNUSABLE as error:
            _log.error("x402_settlement_unknown", error=str(error), payer=_payer(payload))
            raise PaymentProviderError(
                "the facilitator did not say whether the payment was settled; "
                "send the same request with the same payment again; it cannot be charged twice"
            ) from error
        except asyncio.CancelledError:
            _log.error("x402_settlement_unknown", error="the request was cancelled", payer=_payer(payload))
            raise
        if not settled.success:
            settled = self._refused(name, payload, settled, before)
        self.note(name, "settled")
        _log.info("x402_settled", transaction=settled.transaction, network=settled.network, payer=settled.payer)
        return settled

    def note(self, name: bytes, state: State | None) -> None:
        """Remember the state of a payment; None: it was not settled and may be sent again."""
        if state is None:
            self._known.pop(name, None)
        else:
            self._known[name] = state

    async def aclose(self) -> None:
        """Close the connections."""
        await self._facilitator.aclose()

    async def _verify(self, payload: PaymentPayload, requirements: PaymentRequirements) -> None:
        try:
            verified = await self._facilitator.verify(payload, requirements)
        except _UNUSABLE as error:
            raise PaymentProviderError(f"the facilitator could not verify the payment: {error}") from error
        if not verified.is_valid:
            reason = verified.invalid_reason or "no reason given"
            raise PaymentInvalid(f"the payment is not valid: {reason}{_if_used(reason)}")

    def _refused(
        self, name: bytes, payload: PaymentPayload, settled: SettleResponse, before: State | None
    ) -> SettleResponse:
        """The result of a settlement that failed: "used", after one with an unknown result, means that it succeeded."""
        reason = settled.error_reason or "no reason given"
        if before == "unknown" and _is_used(reason):
            _log.warning("x402_settled_before", reason=reason, payer=_payer(payload))
            return settled.model_copy(update={"success": True, "error_reason": None})
        self.note(name, None)
        raise PaymentInvalid(f"the payment was not settled: {reason}{_if_used(reason)}")

    def _reserve(self, name: bytes) -> State | None:
        """Reserve a payment for this request. Returns what was known of it before."""
        before = self._known.get(name)
        if before == "under way":
            raise PaymentInvalid("another request with this payment is running; wait for its answer")
        if before == "settled":
            raise PaymentInvalid("this payment has been used for an answer already; sign a new one")
        self.note(name, "under way")
        return before

    def _requirements(self, amount_micros: int) -> PaymentRequirements:
        return PaymentRequirements(
            scheme="exact",
            network=self._x402.network,
            asset=self._x402.asset,
            amount=str(self._x402.units(amount_micros)),
            pay_to=self._x402.pay_to,
            max_timeout_seconds=self._x402.max_timeout_seconds,
            extra=dict(self._x402.extra),
        )


class X402Payment:
    """A verified payment, settled when the answer begins. Once it is settled, the gate cannot give it back."""

    def __init__(
        self,
        processor: X402Processor,
        name: bytes,
        payload: PaymentPayload,
        requirements: PaymentRequirements,
        before: State | None,
    ) -> None:
        self._processor, self._name = processor, name
        self._payload, self._requirements = payload, requirements
        self._before = before
        self._tried = False
        self._settled: SettleResponse | None = None
        self._delivered = False
        self.undo_reason = "the answer was not complete"

    async def __aenter__(self) -> X402Payment:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Log what was settled and not delivered whole, because a person may want to give it back."""
        await self.undo(self.undo_reason)
        if not self._tried:
            self._processor.note(self._name, self._before)

    async def confirm(self) -> None:
        """Settle, once for this request."""
        if not self._tried:
            self._tried = True
            self._settled = await self._processor.settle(self._name, self._payload, self._requirements, self._before)

    def begin(self) -> None:
        """Nothing to do: it was settled before."""

    def serve(self) -> None:
        """Nothing to do: the chain has recorded it."""

    async def deliver(self) -> None:
        """The payment stays settled."""
        self._delivered = True

    async def undo(self, reason: str) -> None:
        """Before it is settled the payment stays good; afterwards a person has to give it back."""
        if self._settled is not None and not self._delivered:
            _log.error("x402_answer_failed", transaction=self._settled.transaction, reason=reason)
            self._delivered = True

    def headers(self) -> RawHeaders:
        """The receipt."""
        if self._settled is None:
            return []
        return [(b"payment-response", encode_payment_response_header(self._settled).encode())]


def _is_used(reason: str) -> bool:
    return _NONCE_USED.match(reason.lower().replace("_", " ")) is not None


def _if_used(reason: str) -> str:
    if not _is_used(reason):
        return ""
    return "; if you got no answer for it, do not pay again: the seller can find it by your address and its nonce"


def _payload_in(header: bytes) -> PaymentPayload:
    try:
        payload = decode_payment_signature_header(header.decode("latin-1"))
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise PaymentInvalid(f"PAYMENT-SIGNATURE cannot be read: {error}") from error
    if not isinstance(payload, PaymentPayload):
        raise PaymentInvalid("PAYMENT-SIGNATURE is of x402 version 1; send version 2")
    if len(_AUTHORIZATIONS & payload.payload.keys()) > 1:
        raise PaymentInvalid("PAYMENT-SIGNATURE has two authorizations; send one")
    return payload


def _require_same(accepted: PaymentRequirements, required: PaymentRequirements) -> None:
    """What was signed for is what is asked for; the facilitator is asked about the latter all the same."""
    for field in ("scheme", "network", "asset", "amount", "pay_to"):
        given, asked = str(getattr(accepted, field)), str(getattr(required, field))
        if given.lower() != asked.lower():
            raise PaymentInvalid(f"the payment is for {field} {given!r}, and {asked!r} is asked for")


def _name_of(payload: PaymentPayload) -> bytes:
    """What identifies a payment, however it is written: payer and nonce of its authorization, or its transaction, which
    the chain accepts only once. Whatever else a payer adds to it does not make it another payment.
    """
    authorization, transaction = _authorization(payload), payload.payload.get("transaction")
    if authorization is not None and isinstance(authorization.get("nonce"), str | int):
        identity: Any = [str(authorization.get("from", "")).lower(), str(authorization["nonce"]).lower()]
    elif authorization is None and isinstance(transaction, str):
        identity = transaction
    else:
        identity = payload.payload
    return json.encode([payload.accepted.network.lower(), identity], order="sorted")


def _authorization(payload: PaymentPayload) -> Mapping[str, Any] | None:
    found = [payload.payload[name] for name in _AUTHORIZATIONS if isinstance(payload.payload.get(name), dict)]
    return found[0] if found else None


def _payer(payload: PaymentPayload) -> str:
    return str((_authorization(payload) or {}).get("from", "unknown"))


def _url_of(scope: Scope) -> str:
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "localhost")
    return f"{scope.get('scheme', 'http')}://{host}{scope['path']}"
