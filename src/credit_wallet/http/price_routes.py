"""What items cost, and whose prices count for a wallet."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post
from litestar.openapi.spec import Example
from litestar.params import JSONBody, QueryParameter
from litestar.status_codes import HTTP_200_OK

from credit_wallet.domain.views import WalletView
from credit_wallet.http.dependencies import GivenCaller, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.routing import WalletId, page_size, route
from credit_wallet.ledger.reading_lanes import OPERATORS, OWNERS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.wire.auth import Caller
from credit_wallet.wire.bodies import PriceGroupBody
from credit_wallet.wire.operator_bodies import PriceFileBody
from credit_wallet.wire.replies import PriceBookReply, PriceFileReply, PriceReply, PriceRevisionPage, PricesReply

TAG = "Operator: prices"
MAX_REVISIONS = 20


@get("/credit/prices", **route("Wallet", payer=True, needs="identify"))
@on_lane(OWNERS)
def list_prices(caller: GivenCaller, wallets: GivenWallets) -> PricesReply:
    """List prices

    What items cost the wallet now, and the prices that are announced for later. For owners and agents; sellers
    and operators see the prices of everybody, or of the wallet whose token they send as `X-Payer-Token`.
    """
    wallet_id = _payer(caller)
    return PricesReply(
        [PriceReply.of(price) for price in wallets.prices.list(wallet_id=wallet_id)],
        [PriceReply.of(price) for price in wallets.prices.announced(wallet_id=wallet_id)],
    )


@post(
    "/operator/wallets/{wallet_id:int}/price-group",
    status_code=HTTP_200_OK,
    **route("Operator: wallets", "wallet_not_found", needs="administer"),
)
@on_lane(OPERATORS)
def set_price_group(wallet_id: WalletId, data: JSONBody[PriceGroupBody], wallets: GivenWallets) -> WalletView:
    """Set a wallet's price group

    From now on the group's prices count for the wallet, before those of everybody; null for no group.
    """
    wallets.configure(wallet_id, price_group=data.price_group)
    return wallets.show(wallet_id)


@get("/operator/prices", **route(TAG, needs="view"))
@on_lane(OPERATORS)
def get_price_book(wallets: GivenWallets) -> PriceBookReply:
    """Get the price book

    Every price of the newest version: those of everybody, of groups and of single wallets, also those that have been
    replaced or are announced. `version` 0 has none.
    """
    prices = wallets.prices.book()
    return PriceBookReply(prices[0].version if prices else _newest(wallets), prices)


@post("/operator/prices", status_code=HTTP_200_OK, **route(TAG, needs="administer"))
@on_lane(OPERATORS)
def apply_prices(data: JSONBody[PriceFileBody], wallets: GivenWallets) -> PriceFileReply:
    """Apply a price file

    Makes the prices of a file the ones that count: items that it does not have have no price any more. With `dry_run`
    nothing is changed, and the response says what would be. The same prices again make no new version.
    """
    text = data.prices if "\n" in data.prices else f"{data.prices}\n"  # a text, never a path of this machine
    if data.dry_run:
        return PriceFileReply(_newest(wallets), wallets.prices.diff(text), True)
    applied = wallets.prices.apply(text, allow_empty=data.allow_empty)
    return PriceFileReply(applied.version, [*applied.changes], False)


@get("/operator/prices/revisions", **route(TAG, needs="view"))
@on_lane(OPERATORS)
def list_price_revisions(
    wallets: GivenWallets,
    cursor: Annotated[
        int | None,
        QueryParameter(
            ge=1,
            le=MAX_ID,
            required=False,
            description="`next_cursor` of the page before.",
            examples=[Example(value=12)],
        ),
    ] = None,
    limit: Annotated[int, page_size(MAX_REVISIONS)] = 10,
) -> PriceRevisionPage:
    """List the versions of the price book

    Versions, newest first: when and by whom each was applied, and what it changed of the one before.
    """
    found = wallets.prices.revisions(before=cursor, limit=limit)
    return PriceRevisionPage(found, found[-1].version if found and found[-1].version > 1 else None)


def _newest(wallets: CreditWallet) -> int:
    return max((each.version for each in wallets.prices.versions(limit=1)), default=0)


def _payer(caller: Caller) -> int | None:
    access = caller.access or caller.payer
    return None if access is None else access.wallet_id


PRICE_ROUTES = (list_prices, set_price_group, get_price_book, apply_prices, list_price_revisions)
