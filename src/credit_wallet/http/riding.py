"""Routes whose functions wait for the database, each on the lane that it names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar, cast

from credit_wallet.ledger.reading_lanes import Lane
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.wire.auth import Caller

T = TypeVar("T")


def rides(lane: Lane) -> Callable[[Callable[..., T]], Callable[..., Awaitable[T]]]:
    """A route's function, called on a thread of ``lane`` and within the share of it that the caller's wallet has.

    The function must ask for ``wallets``.
    """

    def riding(answer: Callable[..., T]) -> Callable[..., Awaitable[T]]:
        @wraps(answer)
        async def ride(**given: Any) -> T:
            wallets = cast(CreditWallet, given["wallets"])
            return await wallets.reading_lanes.ask_for(wallet_of(given.get("caller")), lane, answer, **given)

        return ride

    return riding


def wallet_of(caller: Caller | None) -> int:
    """The wallet whose share a caller's question counts against; 0 for who has none."""
    return 0 if caller is None or caller.access is None else caller.access.wallet_id
