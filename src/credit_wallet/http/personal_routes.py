"""Personal data of a wallet: for people who ask what is kept about them."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.openapi.spec import Example
from litestar.params import QueryParameter

from credit_wallet.domain.personal import PersonalPage
from credit_wallet.http.dependencies import GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.routing import WalletId, page_size, route
from credit_wallet.ledger.personal import KINDS
from credit_wallet.ledger.reading_lanes import OPERATORS

TAG = "Operator: one wallet"
MAX_PAGE = 1_000

Cursor = Annotated[
    str | None,
    QueryParameter(
        pattern=f"^({'|'.join(KINDS)}):[0-9]{{1,18}}$",
        required=False,
        description="`next_cursor` of the page before, for the next one.",
        examples=[Example(value="entry:4711")],
    ),
]


@get("/operator/wallets/{wallet_id:int}/personal-data", **route(TAG, "wallet_not_found", needs="administer"))
@on_lane(OPERATORS)
def export_personal_data(
    wallet_id: WalletId, wallets: GivenWallets, cursor: Cursor = None, limit: Annotated[int, page_size(MAX_PAGE)] = 100
) -> PersonalPage:
    """Export a wallet's personal data

    What people have written about themselves, or what names them: labels, notes, facts, addresses, consents, the saved
    payment method, and what is in the log of acts. Page by page until `next_cursor` is null.
    """
    return wallets.personal_data(wallet_id, cursor=cursor, limit=limit)


PERSONAL_ROUTES = (export_personal_data,)
