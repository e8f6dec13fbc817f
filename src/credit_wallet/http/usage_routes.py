"""What a wallet's charges were for."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.openapi.spec import Example
from litestar.params import QueryParameter

from credit_wallet.domain.usage_periods import Every
from credit_wallet.domain.usage_views import UsageReport
from credit_wallet.http.dependencies import GivenCaller, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.routing import page_size, route
from credit_wallet.ledger.ledger import MAX_PAGE
from credit_wallet.ledger.reading_lanes import OWNERS
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.wire.auth import own_access
from credit_wallet.wire.visibility import visible_key

MAX_TIME_LENGTH = 40
MAX_CURSOR_LENGTH = 120


def _time(what: str, example: str) -> QueryParameter:
    return QueryParameter(
        max_length=MAX_TIME_LENGTH,
        required=False,
        description=f"{what}: a month or a day in the wallet's time zone, or an ISO 8601 time.",
        examples=[Example(value=example)],
    )


@get("/credit/usage", **route("Wallet", needs="read"))
@on_lane(OWNERS)
def get_usage(
    caller: GivenCaller,
    wallets: GivenWallets,
    by: Annotated[
        str | None,
        QueryParameter(
            pattern="^(fact\\.)?[a-z][a-z0-9_]{0,31}$",
            required=False,
            description="What to divide each period by: `key`, `item`, or the key of a fact (`fact.key` and "
            "`fact.item` for facts of those names). Without it, each period has one row.",
            examples=[Example(value="tool")],
        ),
    ] = None,
    every: Annotated[
        Every, QueryParameter(description="Length of the periods.", examples=[Example(value="day")])
    ] = "day",
    since: Annotated[
        str | None, _time("First period to list; by default 24 hours, 31 days or 12 months ago", "2026-11-01")
    ] = None,
    until: Annotated[str | None, _time("Last period to list; by default the current one", "2026-11-30")] = None,
    key_id: Annotated[
        int | None,
        QueryParameter(
            ge=1,
            le=MAX_ID,
            required=False,
            description="Only what this agent key paid.",
            examples=[Example(value=7)],
        ),
    ] = None,
    limit: Annotated[int, page_size(MAX_PAGE)] = MAX_PAGE,
    cursor: Annotated[
        str | None,
        QueryParameter(
            max_length=MAX_CURSOR_LENGTH,
            required=False,
            description="`next_cursor` of the page before; send the same filters with it.",
            examples=[Example(value="2026-11-28~search")],
        ),
    ] = None,
) -> UsageReport:
    """Get usage

    What the wallet's charges were for, added up by hour, day or month of its time zone, and by agent key, item or fact.
    Charges are counted in the background, usually within ten seconds: `counted_to_txn_id` says up to where. An agent
    sees what its key paid.
    """
    access = own_access(caller)
    return wallets.usage(
        access.wallet_id,
        by=by,
        every=every,
        since=since,
        until=until,
        key_id=visible_key(access, key_id),
        limit=limit,
        cursor=cursor,
    )


USAGE_ROUTES = (get_usage,)
