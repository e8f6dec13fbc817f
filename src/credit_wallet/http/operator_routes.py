"""What the operator does: wallets for owners."""

from __future__ import annotations

from typing import Annotated

from litestar import get, post, put
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED

from credit_wallet.domain.outcomes import CreatedWallet, WalletView
from credit_wallet.errors import SealNotFound
from credit_wallet.http.dependencies import GivenCaller, GivenSettings, GivenWallets
from credit_wallet.http.riding import rides
from credit_wallet.http.routing import SECURITY, problems
from credit_wallet.ledger.reading_lanes import OPERATORS
from credit_wallet.notices.targets import OPERATOR, TargetView
from credit_wallet.stores.jobs.seals import Anchor
from credit_wallet.wire.auth import require_operator
from credit_wallet.wire.bodies import CreateWalletBody, EnabledBody, TargetsBody

TAGS = ["Operator"]
MAX_PAGE = 1_000
WalletId = Annotated[int, PathParameter(ge=1, le=2**63 - 1)]


@post(
    "/operator/wallets", status_code=HTTP_201_CREATED, tags=TAGS, security=SECURITY, responses=problems(400, 413, 422)
)
@rides(OPERATORS)
def create_wallet(data: JSONBody[CreateWalletBody], caller: GivenCaller, wallets: GivenWallets) -> CreatedWallet:
    """A new, empty wallet and its owner token, shown this once."""
    require_operator(caller)
    return wallets.create(
        label=data.label,
        monthly_budget_yen=data.monthly_budget_yen,
        budget_mode=data.budget_mode,
        auto_topup_threshold=data.auto_topup_threshold,
        auto_topup_amount=data.auto_topup_amount,
        time_zone=data.time_zone,
    )


@get("/operator/wallets", tags=TAGS, security=SECURITY, responses=problems(422))
@rides(OPERATORS)
def list_wallets(
    caller: GivenCaller,
    wallets: GivenWallets,
    after: Annotated[int, QueryParameter(ge=0, le=2**63 - 1, description="Only wallets with a higher id.")] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = 100,
) -> list[WalletView]:
    """Wallets by id."""
    require_operator(caller)
    return wallets.list(after=after, limit=limit)


@get("/operator/wallets/{wallet_id:int}", tags=TAGS, security=SECURITY, responses=problems(404, 422))
@rides(OPERATORS)
def show_wallet(wallet_id: WalletId, caller: GivenCaller, wallets: GivenWallets) -> WalletView:
    """One wallet."""
    require_operator(caller)
    return wallets.show(wallet_id)


@post(
    "/operator/wallets/{wallet_id:int}/enabled",
    status_code=HTTP_200_OK,
    tags=TAGS,
    security=SECURITY,
    responses=problems(400, 404, 413, 422),
)
@rides(OPERATORS)
def switch_wallet(
    wallet_id: WalletId, data: JSONBody[EnabledBody], caller: GivenCaller, wallets: GivenWallets
) -> WalletView:
    """Let a wallet spend, or stop it. Credit comes in either way; open holds can be captured."""
    require_operator(caller)
    wallets.configure(wallet_id, enabled=data.enabled)
    return wallets.show(wallet_id)


@get("/operator/notification-targets", tags=TAGS, security=SECURITY, responses=problems())
@rides(OPERATORS)
def list_targets(caller: GivenCaller, wallets: GivenWallets) -> list[TargetView]:
    """Where notices of all wallets go, for the operator."""
    require_operator(caller)
    return wallets.targets.list(OPERATOR)


@put("/operator/notification-targets", tags=TAGS, security=SECURITY, responses=problems(400, 404, 413, 422))
@rides(OPERATORS)
def set_targets(
    data: JSONBody[TargetsBody], caller: GivenCaller, wallets: GivenWallets, settings: GivenSettings
) -> list[TargetView]:
    """Send notices of all wallets there and nowhere else; the secrets of new webhooks are shown this once."""
    require_operator(caller)
    wanted = [target.wanted() for target in data.notification_targets]
    return wallets.targets.set(OPERATOR, wanted, mail=settings.notify.mail, private=settings.notify.private)


@get("/operator/seal", tags=TAGS, security=SECURITY, responses=problems(404))
@rides(OPERATORS)
def show_seal(caller: GivenCaller, wallets: GivenWallets) -> Anchor:
    """The latest seal of the ledger: note it elsewhere, and ``verify --anchor`` proves that it is still there."""
    require_operator(caller)
    seal = wallets.seals.latest()
    if seal is None:
        raise SealNotFound("nothing of the ledger is sealed yet")
    return seal


OPERATOR_ROUTES = (show_seal, create_wallet, list_wallets, show_wallet, switch_wallet, list_targets, set_targets)
