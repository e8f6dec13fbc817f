"""What a wallet's owner sees and sets."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from litestar import Response, delete, get, patch, post
from litestar.params import FromQuery, JSONBody, PathParameter, QueryParameter
from litestar.status_codes import HTTP_200_OK, HTTP_201_CREATED
from msgspec import UNSET, structs

from credit_wallet.domain.commands import MAX_NOTE_LENGTH
from credit_wallet.domain.cycle import CYCLE_PATTERN
from credit_wallet.domain.outcomes import Alert, CreatedKey, EntryType, HoldView, KeyView, LotView, TransactionView
from credit_wallet.errors import EntryNotFound, HoldNotFound, KeyNotFound
from credit_wallet.http.dependencies import GivenCaller, GivenSettings, GivenWallets
from credit_wallet.http.riding import rides
from credit_wallet.http.routing import SECURITY, problems
from credit_wallet.http.statements import stream_statement
from credit_wallet.ledger.reading_lanes import OWNERS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.reports.statement import Statement
from credit_wallet.reports.statement_forms import Rows, form_of
from credit_wallet.rules.forecast import Forecast
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.wire.auth import Caller, require_access, require_owner, require_wallet
from credit_wallet.wire.bodies import (
    CreateKeyBody,
    RotateBody,
    SettingsBody,
    TargetBody,
    TransactionPage,
    WalletReply,
)
from credit_wallet.wire.own_part import is_visible, visible_entry
from credit_wallet.wire.presenters import CURSOR_PATTERN, MAX_PAGE, transactions_shown, wallet_shown

MAX_KEYS_PAGE = 1_000

Cycle = Annotated[
    str | None,
    QueryParameter(
        pattern=f"^{CYCLE_PATTERN.pattern}$", required=False, description="YYYY-MM; default: the current one."
    ),
]
KeyId = Annotated[int, PathParameter(ge=1, le=MAX_ID)]
TxnId = Annotated[int, PathParameter(ge=1, le=MAX_ID)]
HoldId = Annotated[int, PathParameter(ge=1, le=MAX_ID)]


@get("/credit/wallet", tags=["Wallet"], security=SECURITY, responses=problems())
@rides(OWNERS)
def show_wallet(caller: GivenCaller, wallets: GivenWallets, settings: GivenSettings) -> WalletReply:
    """The wallet with its settings, the spending of its current cycle and its latest transactions; and what the caller
    can spend of it.

    `notification_targets` are for the owner token to see.
    """
    return wallet_shown(wallets, require_access(caller), settings.topup_url)


@patch("/credit/wallet", tags=["Wallet"], security=SECURITY, responses=problems(400, 404, 413, 422))
@rides(OWNERS)
def configure_wallet(
    data: JSONBody[SettingsBody], caller: GivenCaller, wallets: GivenWallets, settings: GivenSettings
) -> WalletReply:
    """Change auto-topup, budget, alerts, label or notification targets. For the owner token.

    The `secret` of a webhook that is new or has a new one is in the answer, this once.
    """
    wallet_id = require_owner(caller)
    given = structs.asdict(data)
    if given.pop("notification_targets") is UNSET:
        wallets.configure(wallet_id, **given)
        return wallet_shown(wallets, require_access(caller), settings.topup_url)
    wanted = [target.wanted() for target in cast(list[TargetBody], data.notification_targets)]
    allowed = {"mail": settings.notify.mail, "private": settings.notify.private}
    wallets.targets.check(wallet_id, wanted, **allowed)  # before anything is changed
    wallets.configure(wallet_id, **given)
    targets = wallets.targets.set(wallet_id, wanted, **allowed)
    return wallet_shown(wallets, require_access(caller), settings.topup_url, targets)


@get("/credit/transactions", tags=["Wallet"], security=SECURITY, responses=problems(422))
async def list_transactions(
    caller: GivenCaller,
    wallets: GivenWallets,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE)] = 50,
    cursor: Annotated[
        str | None,
        QueryParameter(pattern=CURSOR_PATTERN, required=False, description="`next_cursor` of the page before."),
    ] = None,
    type: Annotated[EntryType | None, QueryParameter(required=False)] = None,  # noqa: A002
    key_id: Annotated[
        int | None, QueryParameter(ge=1, le=MAX_ID, required=False, description="Only what this agent key paid.")
    ] = None,
    note: Annotated[
        str | None,
        QueryParameter(
            max_length=MAX_NOTE_LENGTH, pattern="^[^\\x00]*$", required=False, description="Only what has this note."
        ),
    ] = None,
) -> TransactionPage:
    """The wallet's ledger entries, newest first; for an agent key, what it paid. A refund has the key and the note of
    the charge that it gives back.
    """
    access = require_access(caller)
    return await transactions_shown(wallets, access, limit=limit, cursor=cursor, type=type, key_id=key_id, note=note)


@get("/credit/transactions/{txn_id:int}", tags=["Wallet"], security=SECURITY, responses=problems(404, 422))
@rides(OWNERS)
def show_transaction(txn_id: TxnId, caller: GivenCaller, wallets: GivenWallets) -> TransactionView:
    """One ledger entry of the wallet, with what was given back of it; for an agent key one that it paid, for a seller a
    charge that it made.
    """
    if caller.seller is None:
        return visible_entry(wallets, require_access(caller), txn_id)
    entry = wallets.transactions.show(txn_id)
    if not wallets.sellers.has_sold(caller.actor, txn_id):
        raise EntryNotFound(f"there is no ledger entry {txn_id}", txn_id=txn_id)
    return entry


@get("/credit/holds/{hold_id:int}", tags=["Wallet"], security=SECURITY, responses=problems(404, 422))
@rides(OWNERS)
def show_hold(hold_id: HoldId, caller: GivenCaller, wallets: GivenWallets) -> HoldView:
    """One hold of the wallet, and what became of it; for an agent key or a seller, one that it made."""
    if caller.seller is None:
        access, hold = require_access(caller), wallets.holds.show(hold_id)
        is_own = is_visible(access, hold.wallet_id, hold.key_id)
    else:
        hold, is_own = wallets.holds.show(hold_id), wallets.sellers.has_held(caller.actor, hold_id)
    if not is_own:
        raise HoldNotFound(f"there is no hold {hold_id}", hold_id=hold_id)
    return hold


@get("/credit/lots", tags=["Wallet"], security=SECURITY, responses=problems())
@rides(OWNERS)
def list_lots(caller: GivenCaller, wallets: GivenWallets) -> list[LotView]:
    """The wallet's open lots in the order of spending, each with what is left of it and when that expires."""
    return [lot.view() for lot in wallets.lots.list(require_wallet(caller))]


@get("/credit/alerts", tags=["Wallet"], security=SECURITY, responses=problems(422))
@rides(OWNERS)
def list_alerts(caller: GivenCaller, wallets: GivenWallets, cycle: Cycle = None) -> list[Alert]:
    """The spending alerts that fired, newest first; of all cycles unless one is named."""
    return wallets.alerts.list(require_wallet(caller), cycle)


@get("/credit/statement", tags=["Wallet"], security=SECURITY, responses=problems(422))
async def show_statement(
    caller: GivenCaller,
    wallets: GivenWallets,
    cycle: Cycle = None,
    format: FromQuery[Literal["json", "csv", "text"]] = "json",  # noqa: A002
    rows: Annotated[
        Rows, QueryParameter(description="Of a CSV: entries, or spending by agent key or note.")
    ] = "entries",
) -> Response[Statement]:
    """The statement of a billing cycle, spending by agent key and by note included, as JSON, CSV or text. An agent key
    sees the wallet's totals, and of entries and spending its own.

    It is of the moment at which it was asked for, and comes in pieces as they are taken. A wallet may have two under
    way.
    """
    return await stream_statement(wallets, require_access(caller), cycle, form_of(format, rows))


@get("/credit/forecast", tags=["Wallet"], security=SECURITY, responses=problems())
@rides(OWNERS)
def show_forecast(caller: GivenCaller, wallets: GivenWallets) -> Forecast:
    """Where spending is heading at this cycle's pace, and when balance and budget run out."""
    return wallets.forecast(require_wallet(caller))


@get("/credit/keys", tags=["Keys"], security=SECURITY, responses=problems(422))
@rides(OWNERS)
def list_keys(
    caller: GivenCaller,
    wallets: GivenWallets,
    after: Annotated[int, QueryParameter(ge=0, le=MAX_ID, description="Only keys with a higher id.")] = 0,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_KEYS_PAGE)] = MAX_KEYS_PAGE,
) -> list[KeyView]:
    """The wallet's agent keys by id and what they have spent, ended and revoked ones included. For the owner token."""
    return wallets.keys.list(require_owner(caller), after=after, limit=limit)


@post(
    "/credit/keys",
    status_code=HTTP_201_CREATED,
    tags=["Keys"],
    security=SECURITY,
    responses=problems(400, 409, 413, 422),
)
@rides(OWNERS)
def create_key(data: JSONBody[CreateKeyBody], caller: GivenCaller, wallets: GivenWallets) -> CreatedKey:
    """A token of its own for an agent, shown this once. For the owner token."""
    return wallets.keys.create(
        require_owner(caller), label=data.label, monthly_cap_yen=data.monthly_cap_yen, expires_at=data.expires_at
    )


@get("/credit/keys/{key_id:int}", tags=["Keys"], security=SECURITY, responses=problems(404, 422))
@rides(OWNERS)
def show_key(key_id: KeyId, caller: GivenCaller, wallets: GivenWallets) -> KeyView:
    """One agent key. For the owner token."""
    return _own_key(wallets, caller, key_id)


@delete(
    "/credit/keys/{key_id:int}", status_code=HTTP_200_OK, tags=["Keys"], security=SECURITY, responses=problems(404, 422)
)
@rides(OWNERS)
def revoke_key(key_id: KeyId, caller: GivenCaller, wallets: GivenWallets) -> KeyView:
    """Revoke an agent key for good, effective at once. For the owner token."""
    _own_key(wallets, caller, key_id)
    wallets.keys.revoke(key_id)
    return wallets.keys.show(key_id)


@post(
    "/credit/keys/{key_id:int}/rotate",
    status_code=HTTP_201_CREATED,
    tags=["Keys"],
    security=SECURITY,
    responses=problems(400, 404, 409, 413, 422),
)
@rides(OWNERS)
def rotate_key(key_id: KeyId, data: JSONBody[RotateBody], caller: GivenCaller, wallets: GivenWallets) -> CreatedKey:
    """Another token for an agent key, which stays what it is; the tokens before it work for `overlap_seconds` more. For
    the owner token.
    """
    _own_key(wallets, caller, key_id)
    return wallets.keys.rotate(key_id, overlap_seconds=data.overlap_seconds)


def _own_key(wallets: CreditWallet, caller: Caller, key_id: int) -> KeyView:
    """Somebody else's key does not exist for the caller."""
    wallet_id = require_owner(caller)
    key = wallets.keys.show(key_id)
    if key.wallet_id != wallet_id:
        raise KeyNotFound(f"there is no agent key {key_id}", key_id=key_id)
    return key


OWNER_ROUTES = (
    show_wallet,
    configure_wallet,
    list_transactions,
    show_transaction,
    show_hold,
    list_lots,
    list_alerts,
    show_statement,
    show_forecast,
    list_keys,
    create_key,
    show_key,
    revoke_key,
    rotate_key,
)
