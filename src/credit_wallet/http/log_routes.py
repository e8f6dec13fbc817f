"""The log of acts: who did what to a wallet, or to the whole ledger, from where and why."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.openapi.spec import Example
from litestar.params import QueryParameter

from credit_wallet.domain.acts import ActPage, as_owner_sees
from credit_wallet.http.dependencies import GivenCaller, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.routing import WalletId, page_size, route
from credit_wallet.ledger.reading_lanes import OPERATORS, OWNERS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.wire.auth import own_wallet

TAG = "Log of acts"
MAX_PAGE = 1_000


def _text(description: str, example: str) -> QueryParameter:
    return QueryParameter(
        pattern=r"^[^\x00]{1,100}$", required=False, description=description, examples=[Example(value=example)]
    )


Kind = Annotated[str | None, _text("Only this kind, or all kinds of its noun.", "budget.configured")]
By = Annotated[str | None, _text("Only what this author did.", "operator:3")]
Subject = Annotated[str | None, _text("Only what was done to this thing.", "budget:budget-7")]
Since = Annotated[
    str | None, _text("Only acts from then on: an ISO 8601 time, or a day in UTC.", "2026-12-01T00:00:00Z")
]
Until = Annotated[str | None, _text("Only acts up to then: a time, or a day in UTC, which is included.", "2026-12-31")]
OfWallet = Annotated[
    int | None,
    QueryParameter(
        ge=1, le=MAX_ID, required=False, description="Only what was done to this wallet.", examples=[Example(value=1)]
    ),
]
Cursor = Annotated[
    int | None,
    QueryParameter(
        ge=1,
        le=MAX_ID,
        required=False,
        description="`next_cursor` of the page before, for the next one.",
        examples=[Example(value=120)],
    ),
]
Limit = Annotated[int, page_size(MAX_PAGE)]


@get("/operator/log", **route(TAG, "wallet_not_found", needs="administer"))
@on_lane(OPERATORS)
def list_acts(
    wallets: GivenWallets,
    wallet_id: OfWallet = None,
    kind: Kind = None,
    by: By = None,
    subject: Subject = None,
    since: Since = None,
    until: Until = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> ActPage:
    """List acts

    What was done to the ledger besides moving money, newest first: settings, keys, budgets, prices, operators,
    notification targets, corrections. Each act says who did it, from where and why, and what changed.
    """
    return _page(wallets, wallet_id, kind, by, subject, since, until, cursor, limit)


@get("/operator/wallets/{wallet_id:int}/log", **route(TAG, "wallet_not_found", needs="view"))
@on_lane(OPERATORS)
def list_acts_of_wallet(
    wallet_id: WalletId,
    wallets: GivenWallets,
    kind: Kind = None,
    by: By = None,
    subject: Subject = None,
    since: Since = None,
    until: Until = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> ActPage:
    """List acts on a wallet

    What was done to one wallet besides moving its money, newest first.
    """
    return _page(wallets, wallet_id, kind, by, subject, since, until, cursor, limit)


@get("/credit/log", **route(TAG, needs="manage"))
@on_lane(OWNERS)
def list_own_acts(
    caller: GivenCaller,
    wallets: GivenWallets,
    kind: Kind = None,
    subject: Subject = None,
    since: Since = None,
    until: Until = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> ActPage:
    """List acts on your wallet

    What was done to the wallet besides moving its money, newest first. Of what operators did `by` is `operator`, and
    address, request and note are null.
    """
    page = _page(wallets, own_wallet(caller), kind, None, subject, since, until, cursor, limit)
    return ActPage([as_owner_sees(act) for act in page.acts], page.next_cursor)


def _page(
    wallets: CreditWallet,
    wallet_id: int | None,
    kind: str | None,
    by: str | None,
    subject: str | None,
    since: str | None,
    until: str | None,
    cursor: int | None,
    limit: int,
) -> ActPage:
    acts = wallets.log(
        wallet_id, before=cursor, limit=limit, kind=kind, by=by, subject=subject, since=since, until=until
    )
    return ActPage(acts, acts[-1].act_id if len(acts) == limit else None)


LOG_ROUTES = (list_acts, list_acts_of_wallet, list_own_acts)
