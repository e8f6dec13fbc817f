"""Paying per call without a wallet: x402, version 2, "exact" payments through a facilitator.

https://github.com/coinbase/x402/blob/main/specs/x402-specification-v2.md: a 402 says in ``PAYMENT-REQUIRED`` what would
be accepted; the caller signs it and sends the request again with ``PAYMENT-SIGNATURE``; it is verified before the
handler runs and settled when its answer begins, which then carries ``PAYMENT-RESPONSE``.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any

import httpx
import structlog
from msgspec import json
from x402.http import FacilitatorConfig, HTTPFacilitatorClient
from x402.http.facilitator_client_base import CreateHeadersAuthProvider
from x402.http.utils import (
    decode_payment_signature_header,
    encode_payment_required_header,
    encode_payment_response_header,
)
from x402.schemas import PaymentPayload, PaymentRequired, PaymentRequirements, ResourceInfo, SettleResponse

from credit_wallet import forks
from credit_wallet.errors import PaymentInvalid, PaymentProviderError, WalletError
from credit_wallet.gate.settings import X402
from credit_wallet.http.replies import RawHeaders, Scope

REMEMBERED_PAYMENTS = 10_000
"""Payments that this process keeps in mind lest it settles one twice; beyond that the chain itself refuses them."""

_UNUSABLE = (httpx.HTTPError, ValueError)
"""A facilitator that is not there, or does not speak x402."""

_log = structlog.get_logger("credit_wallet.gate")


class Cashier:
    """Takes payments per call for one gate."""

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
        self._taken: OrderedDict[bytes, None] = OrderedDict()

    def offer(self, scope: Scope, amount_yen: int, error: WalletError) -> tuple[bytes, bytes]:
        """The header of a 402 that says what would be accepted instead."""
        required = PaymentRequired(
            error=str(error), resource=ResourceInfo(url=_url_of(scope)), accepts=[self._requirements(amount_yen)]
        )
        return b"payment-required", encode_payment_required_header(required).encode()

    async def take(self, header: bytes, amount_yen: int) -> PaidOnChain:
        """A verified payment of ``amount_yen``. Raises ``PaymentInvalid`` and ``PaymentProviderError``."""
        payload = _payload_in(header)
        requirements = self._requirements(amount_yen)
        _require_same(payload.accepted, requirements)
        name = _name_of(payload)
        self._reserve(name)
        try:
            await self._verify(payload, requirements)
        except BaseException:
            self.forget(name)
            raise
        return PaidOnChain(self, name, payload, requirements)

    async def settle(self, payload: PaymentPayload, requirements: PaymentRequirements) -> SettleResponse:
        """Move the money, once. Raises ``PaymentInvalid``, and ``PaymentProviderError`` when nobody knows."""
        try:
            settled = await self._facilitator.settle(payload, requirements)
        except _UNUSABLE as error:
            _log.error("x402_settlement_unknown", error=str(error), payer=_payer(payload))
            raise PaymentProviderError(
                "the facilitator did not say whether the payment was settled; look at your account before paying again"
            ) from error
        except asyncio.CancelledError:
            _log.error("x402_settlement_unknown", error="the request was cancelled", payer=_payer(payload))
            raise
        if not settled.success:
            raise PaymentInvalid(f"the payment was not settled: {settled.error_reason or 'no reason given'}")
        _log.info("x402_settled", transaction=settled.transaction, network=settled.network, payer=settled.payer)
        return settled

    def forget(self, name: bytes) -> None:
        """A payment that was not settled may be sent again."""
        self._taken.pop(name, None)

    async def aclose(self) -> None:
        """Let go of the connections."""
        await self._facilitator.aclose()

    async def _verify(self, payload: PaymentPayload, requirements: PaymentRequirements) -> None:
        try:
            verified = await self._facilitator.verify(payload, requirements)
        except _UNUSABLE as error:
            raise PaymentProviderError(f"the facilitator could not verify the payment: {error}") from error
        if not verified.is_valid:
            raise PaymentInvalid(f"the payment is not valid: {verified.invalid_reason or 'no reason given'}")

    def _reserve(self, name: bytes) -> None:
        if name in self._taken:
            raise PaymentInvalid("this payment was used before; sign a new one")
        self._taken[name] = None
        if len(self._taken) > REMEMBERED_PAYMENTS:
            self._taken.popitem(last=False)

    def _requirements(self, amount_yen: int) -> PaymentRequirements:
        return PaymentRequirements(
            scheme="exact",
            network=self._x402.network,
            asset=self._x402.asset,
            amount=str(self._x402.units(amount_yen)),
            pay_to=self._x402.pay_to,
            max_timeout_seconds=self._x402.max_timeout_seconds,
            extra=dict(self._x402.extra),
        )


class PaidOnChain:
    """A verified payment, settled when the answer begins. One that is settled cannot be given back by the gate."""

    def __init__(
        self, cashier: Cashier, name: bytes, payload: PaymentPayload, requirements: PaymentRequirements
    ) -> None:
        self._cashier, self._name = cashier, name
        self._payload, self._requirements = payload, requirements
        self._tried = False
        self._settled: SettleResponse | None = None
        self._delivered = False

    async def confirm(self) -> None:
        """Settle. Whatever comes of it, this payment is not settled again."""
        if not self._tried:
            self._tried = True
            self._settled = await self._cashier.settle(self._payload, self._requirements)

    async def deliver(self) -> None:
        """Nothing is left to do."""
        self._delivered = True

    async def fail(self, reason: str) -> None:
        """Before it is settled the payment stays good; afterwards a person has to give it back."""
        if self._settled is not None and not self._delivered:
            _log.error("x402_answer_failed", transaction=self._settled.transaction, reason=reason)
            self._delivered = True

    def headers(self) -> RawHeaders:
        """The receipt."""
        if self._settled is None:
            return []
        return [(b"payment-response", encode_payment_response_header(self._settled).encode())]

    def close(self) -> None:
        """What was not tried to settle may be sent again."""
        if not self._tried:
            self._cashier.forget(self._name)


def _payload_in(header: bytes) -> PaymentPayload:
    try:
        payload = decode_payment_signature_header(header.decode("latin-1"))
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise PaymentInvalid(f"PAYMENT-SIGNATURE cannot be read: {error}") from error
    if not isinstance(payload, PaymentPayload):
        raise PaymentInvalid("PAYMENT-SIGNATURE is of x402 version 1; send version 2")
    return payload


def _require_same(accepted: PaymentRequirements, required: PaymentRequirements) -> None:
    """What was signed for is what is asked for; the facilitator is asked about the latter all the same."""
    for field in ("scheme", "network", "asset", "amount", "pay_to"):
        given, asked = str(getattr(accepted, field)), str(getattr(required, field))
        if given.lower() != asked.lower():
            raise PaymentInvalid(f"the payment is for {field} {given!r}, and {asked!r} is asked for")


def _name_of(payload: PaymentPayload) -> bytes:
    """What makes a payment that one: payer and nonce of its authorization, which are what the chain takes once."""
    authorization = _authorization(payload)
    if authorization is not None and isinstance(authorization.get("nonce"), str | int):
        identity: Any = [str(authorization.get("from", "")).lower(), str(authorization["nonce"]).lower()]
    else:
        identity = payload.payload
    return json.encode([payload.accepted.network, identity], order="sorted")


def _authorization(payload: PaymentPayload) -> Mapping[str, Any] | None:
    for name in ("authorization", "permit2Authorization"):
        found = payload.payload.get(name)
        if isinstance(found, dict):
            return found
    return None


def _payer(payload: PaymentPayload) -> str:
    return str((_authorization(payload) or {}).get("from", "unknown"))


def _url_of(scope: Scope) -> str:
    host = next((value.decode("latin-1") for name, value in scope["headers"] if name == b"host"), "localhost")
    return f"{scope.get('scheme', 'http')}://{host}{scope['path']}"
