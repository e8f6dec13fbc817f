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
    """Run a route's function on a thread of ``lane``, within the share of it that is the caller's.

    The function must take ``wallets``.
    """

    def decorate(function: Callable[..., T]) -> Callable[..., Awaitable[T]]:
        @wraps(function)
        async def run(**arguments: Any) -> T:
            wallets, caller = cast(CreditWallet, arguments["wallets"]), cast("Caller | None", arguments.get("caller"))
            share, asked = (0, lane) if caller is None else (caller.share, caller.lane(lane))
            return await wallets.reading_lanes.ask_for(share, asked, function, **arguments)

        return run

    return decorate
