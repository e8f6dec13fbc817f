"""Where coroutines ask for payments: on a bounded crew, so that a provider that hangs takes no thread that others need.

Deliveries have a crew of their own: what owners wait for does not keep the provider's word from being heard.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar
from weakref import WeakKeyDictionary

from credit_wallet.deadlines import STRIPE_CREW, STRIPE_QUEUE, STRIPE_ROUTE_SECONDS, Crew, CrewBusy
from credit_wallet.errors import PaymentProviderError
from credit_wallet.payments.replies import Payments

BUSY_SECONDS = 5
"""After which it may be tried again when too many wait."""

P = ParamSpec("P")
T = TypeVar("T")


class PaymentDesk:
    """The crews of one ledger's payments."""

    def __init__(self) -> None:
        self._requests = Crew("credit-wallet-payments", STRIPE_CREW, STRIPE_QUEUE)
        self._deliveries = Crew("credit-wallet-deliveries", STRIPE_CREW, STRIPE_QUEUE)

    async def ask(self, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call what may ask the provider. Raises ``PaymentProviderError`` when it takes too long or too many wait, and
        what ``question`` raises.
        """
        return await _asked(self._requests, question, *args, **kwargs)

    async def take(self, take_in: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like ``ask``, for what the provider delivers."""
        return await _asked(self._deliveries, take_in, *args, **kwargs)


async def _asked(crew: Crew, question: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    try:
        return await asyncio.wait_for(crew.ask(question, *args, **kwargs), STRIPE_ROUTE_SECONDS)
    except CrewBusy:
        reason = "too many requests wait for Stripe already"
    except TimeoutError:
        reason = "Stripe takes too long"
    raise PaymentProviderError(
        f"{reason}; try again with the same idempotency key", retry_after_seconds=BUSY_SECONDS
    ) from None


_desks: WeakKeyDictionary[Payments, PaymentDesk] = WeakKeyDictionary()


def desk_of(payments: Payments) -> PaymentDesk:
    """The desk where ``payments`` are asked, the same for everybody."""
    desk = _desks.get(payments)
    if desk is None:
        desk = _desks.setdefault(payments, PaymentDesk())
    return desk
