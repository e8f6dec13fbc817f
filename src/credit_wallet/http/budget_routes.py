"""Budgets of a wallet, for its owner."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, patch, post
from litestar.openapi.spec import Example
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from credit_wallet.domain.budget_views import BudgetChangeView, BudgetValueView, BudgetView
from credit_wallet.errors import BudgetNotFound
from credit_wallet.http.dependencies import GivenCaller, GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.routing import page_size, route
from credit_wallet.ledger.ledger import MAX_PAGE
from credit_wallet.ledger.reading_lanes import OWNERS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.wire.auth import Caller, own_wallet
from credit_wallet.wire.bodies import sent
from credit_wallet.wire.budget_bodies import ConfigureBudgetBody, CreateBudgetBody
from credit_wallet.wire.delegation import may_change_budget

TAG = "Budgets"
ID_PATTERN = "^(budget|monthly|key)-[1-9][0-9]{0,18}$"
MAX_VALUE_LENGTH = 520
"""Four values of 64 characters, each of which may be escaped, and what is between them."""

BudgetId = Annotated[
    str,
    PathParameter(
        pattern=ID_PATTERN,
        description="Id of the budget; `monthly-1` is the monthly budget of wallet 1, `key-7` the cap of agent key 7.",
        examples=[Example(value="budget-12")],
    ),
]


@get("/credit/budgets", **route(TAG, "key_not_found", needs="manage"))
@on_lane(OWNERS)
def list_budgets(
    caller: GivenCaller,
    wallets: GivenWallets,
    key_id: Annotated[
        int | None,
        QueryParameter(
            ge=1,
            le=MAX_ID,
            required=False,
            description="Only budgets that can bound this agent key.",
            examples=[Example(value=7)],
        ),
    ] = None,
    after: Annotated[
        str | None,
        QueryParameter(
            pattern=ID_PATTERN,
            required=False,
            description="Only budgets after this one: send the last id of the page before.",
            examples=[Example(value="budget-12")],
        ),
    ] = None,
    limit: Annotated[int, page_size(MAX_PAGE)] = MAX_PAGE,
) -> list[BudgetView]:
    """List budgets

    What limits the wallet and its agents, and how much of each is spent, held and left now: the monthly budget, the
    caps of agent keys, then budgets by id. For owners; agents see what bounds them in `GET /credit/wallet`.
    """
    return wallets.budgets.list(own_wallet(caller), key_id=key_id, after=after, limit=limit)


@post(
    "/credit/budgets", status_code=HTTP_201_CREATED, **route(TAG, "key_not_found", "too_many_budgets", needs="manage")
)
@on_lane(OWNERS)
def create_budget(data: JSONBody[CreateBudgetBody], caller: GivenCaller, wallets: GivenWallets) -> BudgetView:
    """Create a budget

    A limit on what charges spend (`limit_yen`) or on how many there are (`limit_calls`), in each `window`, of all
    charges or of those that `scope` says. It counts from now on; open holds reserve what they have left.
    """
    return wallets.budgets.create(own_wallet(caller), **sent(data))


@get("/credit/budgets/changes", **route(TAG, needs="manage"))
@on_lane(OWNERS)
def list_budget_changes(
    caller: GivenCaller,
    wallets: GivenWallets,
    budget_id: Annotated[
        str | None,
        QueryParameter(
            pattern=ID_PATTERN,
            required=False,
            description="Only changes to this budget, which may be deleted.",
            examples=[Example(value="budget-12")],
        ),
    ] = None,
    before: Annotated[
        int | None,
        QueryParameter(
            ge=1,
            le=MAX_ID,
            required=False,
            description="Only changes before this one: send the last `change_id` of the page before.",
            examples=[Example(value=120)],
        ),
    ] = None,
    limit: Annotated[int, page_size(MAX_PAGE)] = 100,
) -> list[BudgetChangeView]:
    """List changes to budgets

    Who changed which limit, when, and from what to what, newest first: budgets made, changed and deleted, the monthly
    budget and its mode, caps and groups of agent keys.
    """
    return wallets.budgets.changes(own_wallet(caller), budget_id=budget_id, before=before, limit=limit)


@get("/credit/budgets/{budget_id:str}", **route(TAG, "budget_not_found", needs="manage"))
@on_lane(OWNERS)
def get_budget(budget_id: BudgetId, caller: GivenCaller, wallets: GivenWallets) -> BudgetView:
    """Get a budget

    One budget and how much of it is spent, held and left now.
    """
    return _own_budget(wallets, caller, budget_id)


@patch("/credit/budgets/{budget_id:str}", status_code=HTTP_200_OK, **route(TAG, "budget_not_found", needs="manage"))
@on_lane(OWNERS)
def configure_budget(
    budget_id: BudgetId, data: JSONBody[ConfigureBudgetBody], caller: GivenCaller, wallets: GivenWallets
) -> BudgetView:
    """Configure a budget

    Changes what is sent of it: limit, mode, label, shares, or a raise until an instant. A lower limit counts at once.
    Unit, window, scope and time zone stay: make another budget for them. Of `monthly-…`, limit and mode can be changed,
    of `key-…` the limit.
    """
    may_change_budget(wallets, caller, _own_budget(wallets, caller, budget_id))
    return wallets.budgets.configure(budget_id, **sent(data))


@delete("/credit/budgets/{budget_id:str}", status_code=HTTP_200_OK, **route(TAG, "budget_not_found", needs="manage"))
@on_lane(OWNERS)
def delete_budget(budget_id: BudgetId, caller: GivenCaller, wallets: GivenWallets) -> BudgetView:
    """Delete a budget

    It limits nothing any more; the log of changes keeps it. Returns it as it was. A monthly budget and a cap cannot be
    deleted: set their limit to 0.
    """
    may_change_budget(wallets, caller, _own_budget(wallets, caller, budget_id))
    return wallets.budgets.delete(budget_id)


@get("/credit/budgets/{budget_id:str}/values", **route(TAG, "budget_not_found", needs="manage"))
@on_lane(OWNERS)
def list_budget_values(
    budget_id: BudgetId,
    caller: GivenCaller,
    wallets: GivenWallets,
    after: Annotated[
        str,
        QueryParameter(
            max_length=MAX_VALUE_LENGTH,
            pattern="^[^\\x00-\\x1f\\x7f]*$",
            required=False,
            description="Only values after this one: send the last `value` of the page before.",
            examples=[Example(value="r1")],
        ),
    ] = "",
    limit: Annotated[int, page_size(MAX_PAGE)] = MAX_PAGE,
) -> list[BudgetValueView]:
    """List a budget's values

    How much each value has spent in the current window of a budget for each value (`{"run": "*"}`), by value.
    """
    _own_budget(wallets, caller, budget_id)
    return wallets.budgets.values(budget_id, after=after, limit=limit)


def _own_budget(wallets: CreditWallet, caller: Caller, budget_id: str) -> BudgetView:
    """A budget of the caller's wallet; another wallet's does not exist for the caller."""
    wallet_id = own_wallet(caller)
    budget = wallets.budgets.show(budget_id)
    if budget.wallet_id != wallet_id:
        raise BudgetNotFound(f"there is no {budget_id}, or it was deleted; check the id", budget_id=budget_id)
    return budget


BUDGET_ROUTES = (
    list_budgets,
    create_budget,
    list_budget_changes,
    get_budget,
    configure_budget,
    delete_budget,
    list_budget_values,
)
