"""How the payment of a top-up may be offered."""

from __future__ import annotations

from credit_wallet.domain.commands import PayBack, RequestTopup
from credit_wallet.domain.topups import METHOD
from credit_wallet.errors import InvalidRequest


def malformed_offer(command: RequestTopup | PayBack) -> InvalidRequest | None:
    """What is wrong with the payment method that a top-up is to be paid by, if one is named."""
    offer = command.offer if isinstance(command, RequestTopup) else None
    if offer is None or offer.method is None or METHOD.fullmatch(offer.method):
        return None
    return InvalidRequest("method must be the name of a payment method, such as card", field="method")
