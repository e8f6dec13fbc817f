"""What items cost, and whose prices count for a wallet."""

from __future__ import annotations

from litestar import get, post
from litestar.params import JSONBody
from litestar.status_codes import HTTP_200_OK

from credit_wallet.domain.views import WalletView
from credit_wallet.http.dependencies import GivenCaller, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.routing import WalletId, route
from credit_wallet.ledger.reading_lanes import OPERATORS, OWNERS
from credit_wallet.wire.auth import Caller
from credit_wallet.wire.bodies import PriceGroupBody
from credit_wallet.wire.replies import PriceReply, PricesReply


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


def _payer(caller: Caller) -> int | None:
    access = caller.access or caller.payer
    return None if access is None else access.wallet_id


PRICE_ROUTES = (list_prices, set_price_group)
