"""What operators see and change of one wallet: its owner's routes again, under the wallet's address.

Each is made from the owner's route, so that both read and answer the same. A caller stands in for the owner there, and
stays the operator who acts.
"""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from typing import Any, cast

from litestar import Request
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler

from credit_wallet.domain.permissions import Permission
from credit_wallet.http import (
    budget_routes,
    consent_routes,
    key_routes,
    notice_routes,
    payment_routes,
    price_routes,
    transfer_routes,
    usage_routes,
    wallet_routes,
)
from credit_wallet.http.dependencies import GivenWallets
from credit_wallet.http.routing import CODES, WalletId, route
from credit_wallet.ledger.reading_lanes import OPERATORS
from credit_wallet.wire.auth import Caller
from credit_wallet.wire.mirrored import mirrored

TAG = "Operator: one wallet"

TITLES: dict[HTTPRouteHandler, str] = {
    wallet_routes.get_wallet: "Get a wallet by id",
    wallet_routes.update_wallet: "Update a wallet's settings by its id",
    wallet_routes.list_transactions: "List a wallet's transactions",
    wallet_routes.get_transaction: "Get a wallet's transaction",
    wallet_routes.get_hold: "Get a wallet's hold",
    wallet_routes.list_lots: "List a wallet's lots",
    wallet_routes.list_expired_lots: "List a wallet's expired lots",
    wallet_routes.list_alerts: "List a wallet's spending alerts",
    wallet_routes.get_statement: "Get a wallet's statement",
    wallet_routes.get_forecast: "Get a wallet's forecast",
    usage_routes.get_usage: "Get a wallet's usage",
    price_routes.list_prices: "List a wallet's prices",
    budget_routes.list_budgets: "List a wallet's budgets",
    budget_routes.create_budget: "Create a budget for a wallet",
    budget_routes.list_budget_changes: "List changes to a wallet's budgets",
    budget_routes.get_budget: "Get a wallet's budget",
    budget_routes.configure_budget: "Configure a wallet's budget",
    budget_routes.delete_budget: "Delete a wallet's budget",
    budget_routes.list_budget_values: "List the values of a wallet's budget",
    key_routes.list_keys: "List a wallet's agent keys",
    key_routes.create_key: "Create an agent key for a wallet",
    key_routes.get_key: "Get a wallet's agent key",
    key_routes.configure_key: "Configure a wallet's agent key",
    key_routes.revoke_key: "Revoke a wallet's agent key",
    key_routes.rotate_key: "Rotate a wallet's agent key",
    payment_routes.create_topup: "Create a top-up for a wallet's owner to pay",
    payment_routes.list_topups: "List a wallet's top-ups",
    payment_routes.get_topup_options: "Get how a wallet's owner can pay",
    payment_routes.get_topup: "Get a wallet's top-up",
    payment_routes.cancel_topup: "Cancel a wallet's top-up",
    consent_routes.list_consents: "List a wallet's consents to automatic top-ups",
    transfer_routes.list_transfers: "List a wallet's transfers",
    transfer_routes.get_transfer: "Get a wallet's transfer",
    notice_routes.list_deliveries: "List a wallet's deliveries",
    notice_routes.confirm_notification_target: "Confirm a wallet's mailbox",
    notice_routes.resend_confirmation_code: "Resend the confirmation code of a wallet's mailbox",
}
"""The owner's routes that operators have as well, each with its title there."""


SHOWING_SECRETS = (payment_routes.get_topup,)
"""Routes that read, and answer with what lets somebody act: a payment's client secret."""


def _mirror(handler: HTTPRouteHandler, title: str) -> HTTPRouteHandler:
    """The operator's twin of an owner's route."""
    (path,), (method,) = handler.paths, handler.http_methods
    carry_out: Callable[..., Awaitable[Any]] = handler.fn

    async def stand_in(wallet_id: int, **arguments: Any) -> Any:  # noqa: ARG001 - it is in ``caller``
        return await carry_out(**arguments)

    _describe(stand_in, carry_out, f"{title}\n\n{_text(handler, method, path)}")
    return HTTPRouteHandler(
        mirrored(path, "{wallet_id:int}"),
        http_method=method,
        status_code=handler.status_code,
        dependencies={"caller": Provide(_operator_at_wallet)},
        **route(TAG, *handler.opt[CODES], "wallet_not_found", needs=_needs(handler, method)),
    )(stand_in)


def _needs(handler: HTTPRouteHandler, method: str) -> Permission:
    """What an operator needs to do as the owner does: to see, and to change."""
    return "view" if method == "GET" and handler not in SHOWING_SECRETS else "support"


def _describe(twin: Callable[..., Any], function: Callable[..., Any], text: str) -> None:
    """Give ``twin`` the signature of an owner's route after the wallet's id, and a name and text of its own."""
    described: Any = twin
    hints = inspect.get_annotations(inspect.unwrap(function), eval_str=True)
    names = inspect.signature(function).parameters
    described.__name__ = twin_name(function.__name__)
    described.__doc__ = text
    described.__annotations__.update(wallet_id=WalletId, **hints)
    described.__signature__ = inspect.Signature(
        [
            inspect.Parameter("wallet_id", inspect.Parameter.KEYWORD_ONLY, annotation=WalletId),
            *(
                each.replace(kind=inspect.Parameter.KEYWORD_ONLY, annotation=hints[name])
                for name, each in names.items()
            ),
        ],
        return_annotation=hints["return"],
    )


def twin_name(name: str) -> str:
    """What the twin of the owner's route ``name`` is called: ``list_keys_of_wallet`` for ``list_keys``."""
    return f"{name}_by_id" if name.endswith("_wallet") else f"{name}_of_wallet"


def _text(handler: HTTPRouteHandler, method: str, path: str) -> str:
    """The first sentence of the owner's text, and where to read the rest."""
    _, _, text = (handler.fn.__doc__ or "").partition("\n\n")
    first, _, _ = " ".join(text.split()).partition(". ")
    address = path.replace(":int}", "}").replace(":str}", "}")
    return f"{first.rstrip('.')}. The same as `{method} {address}` for the wallet's owner."


async def _operator_at_wallet(request: Request[Any, Any, Any], wallets: GivenWallets) -> Caller:
    """The operator, standing in for the owner of the wallet in the path. Raises ``WalletNotFound``."""
    caller = cast(Caller, request.state.caller)
    wallet_id = cast(int, request.path_params["wallet_id"])
    await wallets.reading_lanes.ask_for(0, OPERATORS, wallets.show, wallet_id)
    standing_in = caller.standing_in(wallet_id)
    request.state.caller = standing_in  # the headers of the response are about this wallet
    return standing_in


MIRRORED_ROUTES = tuple(_mirror(handler, title) for handler, title in TITLES.items())
