"""Routes whose functions block on the database: each runs on a thread of the lane that it names."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeVar, cast

from credit_wallet.ledger.reading_lanes import Lane
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.wire.auth import Caller

T = TypeVar("T")


def on_lane(lane: Lane) -> Callable[[Callable[..., T]], Callable[..., Awaitable[T]]]:
    """Run a route's function on a thread of ``lane``, within the caller's wallet's share of that lane.

    The function must take ``wallets``.
    """

    def decorate(function: Callable[..., T]) -> Callable[..., Awaitable[T]]:
        @wraps(function)
        async def run(**arguments: Any) -> T:
            wallets = cast(CreditWallet, arguments["wallets"])
            return await wallets.reading_lanes.ask_for(_wallet_of(arguments.get("caller")), lane, function, **arguments)

        return run

    return decorate


def _wallet_of(caller: Caller | None) -> int:
    """The wallet whose share of the lane a request counts against; 0 for callers without a wallet."""
    return 0 if caller is None or caller.access is None else caller.access.wallet_id
