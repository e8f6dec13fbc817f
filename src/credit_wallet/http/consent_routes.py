"""What was agreed to for automatic top-ups, as owners see it."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.openapi.spec import Example
from litestar.params import QueryParameter

from credit_wallet.domain.consents import Consent
from credit_wallet.http.dependencies import GivenCaller, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.routing import page_size, route
from credit_wallet.ledger.reading_lanes import OWNERS
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.wire.auth import own_wallet

MAX_PAGE = 1_000
Before = Annotated[
    int | None,
    QueryParameter(
        ge=1,
        le=MAX_ID,
        required=False,
        description="Only earlier consents: send the last number of the page before.",
        examples=[Example(value=12)],
    ),
]


@get("/credit/topups/consents", **route("Top-ups", needs="manage"))
@on_lane(OWNERS)
def list_consents(
    caller: GivenCaller,
    wallets: GivenWallets,
    before: Before = None,
    limit: Annotated[int, page_size(MAX_PAGE)] = 100,
) -> list[Consent]:
    """List consents to automatic top-ups

    What was agreed to whenever automatic top-ups were switched on, changed or switched off, newest first: who, when,
    which words, which figures.
    """
    return wallets.topups.consents(own_wallet(caller), before=before, limit=limit)


CONSENT_ROUTES = (list_consents,)
