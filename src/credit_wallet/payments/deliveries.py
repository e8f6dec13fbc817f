"""Webhook deliveries: whether Stripe has signed one just now, and what its event says of a payment."""

from __future__ import annotations

import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import stripe
from msgspec import DecodeError, json

from credit_wallet.domain.distinct_members import require_distinct_members
from credit_wallet.errors import InvalidEvent, InvalidSignature
from credit_wallet.payments.facts import StripeObject
from credit_wallet.payments.records import Payment, StripeRecords
from credit_wallet.payments.settings import PaymentSettings
from credit_wallet.payments.shapes import NotOfStripe, checked_event, is_live
from credit_wallet.telemetry import Logger

SIGNED_SECONDS = 300
"""How far a delivery's time may be from now, either way."""

_log = Logger("credit_wallet.payments")


class Deliveries:
    """What Stripe delivers to one ledger."""

    def __init__(self, settings: PaymentSettings, records: StripeRecords) -> None:
        self._secrets = settings.webhook_secrets
        self._is_live = is_live(settings.secret_key)
        self._records = records

    def payment_in(self, payload: bytes, signature: str | None) -> Payment | None:
        """What a delivery says of a payment; None when that is not a payment of this ledger's.

        Raises ``InvalidSignature`` unless one of the secrets signed it lately, ``InvalidEvent`` when it is not an event
        of this account and of the key's money, or cannot be read, and ``InvalidJson`` when an object in it has a member
        twice.
        """
        event = _signed(payload, signature, self._secrets)
        try:
            checked_event(event, self._is_live)
            return self._records.payment_in(event["type"], event["created"], event["data"]["object"])
        except NotOfStripe as problem:
            raise _refused(event, problem) from problem


def _refused(event: StripeObject, problem: NotOfStripe) -> InvalidEvent:
    """What is signed and is not taken, which a person must see."""
    named = {name: str(event.get(name))[:80] for name in ("id", "type")}
    _log.warning("delivery_refused", problem=str(problem), **named)
    return InvalidEvent(f"the event is signed but not accepted: {problem}")


def _signed(payload: bytes, signature: str | None, secrets: Iterable[str]) -> dict[str, Any]:
    header = signature if signature is not None and signature.isascii() else ""
    for secret in secrets:
        with suppress(stripe.SignatureVerificationError, ValueError):  # no UTF-8, or a time that is not a number
            stripe.WebhookSignature.verify_header(payload.decode(), header, secret, tolerance=SIGNED_SECONDS)
            _require_past(header)
            return _decoded(payload)
    raise InvalidSignature(
        "Stripe did not sign this event with a known webhook secret within the last five minutes; compare the webhook "
        "secret and the clock"
    )


def _require_past(header: str) -> None:
    """Raise unless a header that is well signed says a time that has come; the SDK looks at what is long ago."""
    said = max(int(value) for name, _, value in (part.partition("=") for part in header.split(",")) if name == "t")
    if said > time.time() + SIGNED_SECONDS:
        raise stripe.SignatureVerificationError("signed after now", header)  # type: ignore[no-untyped-call]


def _decoded(payload: bytes) -> dict[str, Any]:
    """What was signed; a stranger's long body is not worth the time that this takes."""
    try:
        decoded = json.decode(payload, type=dict[str, Any])
        require_distinct_members(payload)
    except (DecodeError, RecursionError) as error:
        raise InvalidSignature("the event is not JSON") from error
    return decoded
