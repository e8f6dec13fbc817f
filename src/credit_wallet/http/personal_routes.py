"""Personal data of a wallet: for people who ask what is kept about them."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.openapi.spec import Example
from litestar.params import JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK

from credit_wallet.domain.erasure import Erasure
from credit_wallet.domain.personal import PersonalPage
from credit_wallet.http.dependencies import GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.routing import WalletId, page_size, route
from credit_wallet.ledger.personal import KINDS
from credit_wallet.ledger.reading_lanes import OPERATORS
from credit_wallet.wire.correction_bodies import EraseBody

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


@post(
    "/operator/wallets/{wallet_id:int}/erase",
    status_code=HTTP_200_OK,
    **route(TAG, "wallet_not_found", "erasure_blocked", "rail_busy", needs="administer"),
)
@on_lane(OPERATORS)
def erase_personal_data(wallet_id: WalletId, data: JSONBody[EraseBody], wallets: GivenWallets) -> Erasure:
    """Erase a wallet's personal data

    Empties what a closed wallet has of people: labels, references, metadata, notes, addresses. What was charged and
    paid stays, with items, facts and consents, and sums and seals hold. It cannot be undone. Send the same again when
    it was interrupted: it goes on where it stopped.
    """
    return wallets.erase_personal_data(wallet_id, reason=data.reason, note=data.note)


PERSONAL_ROUTES = (export_personal_data, erase_personal_data)
