"""Stripe's API: the one client of a ledger, bounded calls to it, and what its failures mean."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar, cast

import stripe

from credit_wallet.domain.retry_after import retry_after_seconds, whole_seconds
from credit_wallet.errors import PaymentProviderError
from credit_wallet.payments.bounded_client import BoundedClient
from credit_wallet.payments.settings import PaymentSettings
from credit_wallet.payments.shapes import NotOfStripe
from credit_wallet.runtime import forks

RETRIES = 2
"""Of a request that Stripe did not answer or answered with 409 or 5xx; with the same idempotency key."""

PAGE = 100
"""Objects that a page of a list has."""

T = TypeVar("T")


class UnknownToStripe(PaymentProviderError):
    """Stripe does not know what it was asked about: it was deleted there, or belongs to another account."""


class StripeSilent(PaymentProviderError):
    """Stripe could not be reached, or did not answer in time."""


class StripeApi:
    """A ledger's client of Stripe's API. Thread-safe."""

    def __init__(self, settings: PaymentSettings) -> None:
        self._http = BoundedClient()
        bases = cast(Any, {"api": settings.api_url} if settings.api_url else {})
        client = stripe.StripeClient(
            settings.secret_key,
            base_addresses=bases,
            max_network_retries=RETRIES,
            http_client=self._http,
        )
        self.v1 = client.v1
        forks.leave_behind(self, "v1")

    def end_retries(self) -> None:
        """Retry nothing from now on: the process ends."""
        self._http.end_retries()

    def check(self) -> str:
        """That Stripe answers, and which money its key moves. Raises ``PaymentProviderError``."""
        balance = asking(lambda: self.v1.balance.retrieve())
        return "Stripe answers, with live money" if balance.livemode else "Stripe answers, with test money"


def asking(ask: Callable[[], T], *, but: tuple[type[stripe.StripeError], ...] = ()) -> T:
    """Call Stripe. Raises ``PaymentProviderError``, and errors of the kinds ``but`` as they are."""
    try:
        return ask()
    except stripe.StripeError as error:
        if isinstance(error, but):
            raise
        raise _provider_error(error) from error


def pages(listed: Any) -> Iterator[dict[str, Any]]:
    """Every object of a list that comes in pages. Raises ``PaymentProviderError``."""
    objects = listed.auto_paging_iter()
    while True:
        each = asking(lambda: next(objects, None))
        if each is None:
            return
        yield each.to_dict()


@contextmanager
def reading_answer() -> Iterator[None]:
    """An answer that cannot be read is Stripe's failure. Raises ``PaymentProviderError``."""
    try:
        yield
    except NotOfStripe as problem:
        raise PaymentProviderError(f"Stripe's response cannot be read: {problem}") from problem


def _provider_error(error: stripe.StripeError) -> PaymentProviderError:
    unreachable = isinstance(error, stripe.APIConnectionError)  # its own words have addresses of objects in them
    kind: type[PaymentProviderError] = StripeSilent if unreachable else PaymentProviderError
    if error.code == "resource_missing":
        kind = UnknownToStripe
    reason = "no connection" if unreachable else error.user_message or error
    details: dict[str, Any] = {"request_id": error.request_id}
    headers = {name.lower(): value for name, value in (error.headers or {}).items()}
    if asked_seconds := retry_after_seconds(headers.get("retry-after"), datetime.now(UTC)):
        details["retry_after_seconds"] = whole_seconds(asked_seconds)
    return kind(f"Stripe could not be reached ({reason}); try again with the same idempotency key", **details)
