"""What a wallet's owner and agents see of it, and what its owner sets."""

from __future__ import annotations

from typing import Annotated, Literal, cast

from litestar import Response, get, patch
from litestar.openapi.spec import Example
from litestar.params import JSONBody, QueryParameter
from msgspec import UNSET, structs

from credit_wallet.domain.commands import MAX_NOTE_LENGTH
from credit_wallet.domain.cycle import CYCLE_PATTERN
from credit_wallet.domain.entry_search import EntryQuery
from credit_wallet.domain.outcomes import Alert, EntryType
from credit_wallet.domain.usage import ITEM, MAX_ITEM_LENGTH
from credit_wallet.domain.views import ExpiredLotView, HoldView, LotView, TransactionView
from credit_wallet.errors import EntryNotFound, HoldNotFound
from credit_wallet.http.app_settings import ServiceSettings
from credit_wallet.http.dependencies import GivenCaller, GivenSettings, GivenWallets
from credit_wallet.http.entry_names import ByIdempotencyKey, ByReference, ByRequestId
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.routing import DocumentResponse, id_in_path, page_size, route, text_headers
from credit_wallet.http.statements import stream_statement
from credit_wallet.ledger.lots import DAYS_SHOWN
from credit_wallet.ledger.reading_lanes import OWNERS
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.notices.targets import TargetView
from credit_wallet.reports.statement import Statement
from credit_wallet.reports.statement_forms import Rows, form_of
from credit_wallet.rules.forecast import Forecast
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.stores.entry_names import Wanted
from credit_wallet.wire.auth import Caller, own_access, own_wallet
from credit_wallet.wire.bodies import SettingsBody, TargetBody
from credit_wallet.wire.delegation import may_configure
from credit_wallet.wire.headers import wallet_headers
from credit_wallet.wire.presenters import CURSOR_PATTERN, MAX_PAGE, transactions_shown, wallet_shown
from credit_wallet.wire.replies import TransactionPage, WalletReply
from credit_wallet.wire.visibility import is_visible, visible_entry

TAG = "Wallet"

Cycle = Annotated[
    str | None,
    QueryParameter(
        pattern=f"^{CYCLE_PATTERN.pattern}$",
        required=False,
        description="Billing cycle, `YYYY-MM`: a month in the wallet's time zone.",
        examples=[Example(value="2026-11")],
    ),
]
TxnId = Annotated[int, id_in_path("ledger entry")]
MAX_TIME_LENGTH = 40


def _when(what: str, example: str) -> QueryParameter:
    return QueryParameter(
        max_length=MAX_TIME_LENGTH,
        required=False,
        description=f"{what}: a month or a day in the wallet's time zone, or an ISO 8601 time.",
        examples=[Example(value=example)],
    )


HoldId = Annotated[int, id_in_path("hold")]


@get("/credit/wallet", **route(TAG, needs="read"))
@on_lane(OWNERS)
def get_wallet(caller: GivenCaller, wallets: GivenWallets, settings: GivenSettings) -> Response[WalletReply]:
    """Get the wallet

    The wallet: its balance, settings, spending in the current cycle and latest transactions, and how much the
    caller can spend now. For owners and agents; `notification_targets` is empty for agents.
    """
    return _with_its_balance(_shown(wallets, caller, settings))


@patch("/credit/wallet", **route(TAG, "target_not_found", "too_many_confirmations", needs="manage"))
@on_lane(OWNERS)
def update_wallet(
    data: JSONBody[SettingsBody], caller: GivenCaller, wallets: GivenWallets, settings: GivenSettings
) -> Response[WalletReply]:
    """Update the wallet's settings

    Changes the label, budget, automatic top-up, alerts or notification targets; settings that are left out stay as they
    are. An owner who switches automatic top-ups on or changes them agrees to `auto_topup_consent`, by default the
    standard text; an operator sends there what the customer has agreed to, how and when. `GET
    /credit/topups/consents` has what was agreed to. The `secret` of a new webhook is in this response and
    never again.
    """
    wallet_id = own_wallet(caller)
    given = structs.asdict(data)
    may_configure(caller, given)
    if given.pop("notification_targets") is UNSET:
        wallets.configure(wallet_id, **given)
        return _with_its_balance(_shown(wallets, caller, settings))
    wanted = [target.wanted() for target in cast(list[TargetBody], data.notification_targets)]
    allowed = {"mail": settings.notify.mail, "private": settings.notify.private}
    wallets.targets.check(wallet_id, wanted, **allowed)  # before anything is changed
    wallets.configure(wallet_id, **given)
    targets = wallets.targets.set(wallet_id, wanted, **allowed)
    return _with_its_balance(_shown(wallets, caller, settings, targets))


def _shown(
    wallets: CreditWallet, caller: Caller, settings: ServiceSettings, targets: list[TargetView] | None = None
) -> WalletReply:
    is_operator = caller.operator is not None
    return wallet_shown(wallets, own_access(caller), settings.topup_url, targets, for_operator=is_operator)


def _with_its_balance(reply: WalletReply) -> Response[WalletReply]:
    """The wallet with the headers about it, so that it is not read again for them."""
    return DocumentResponse(reply, headers=text_headers(wallet_headers(reply)))


@get("/credit/transactions", **route(TAG, needs="read"))
async def list_transactions(
    caller: GivenCaller,
    wallets: GivenWallets,
    limit: Annotated[int, page_size(MAX_PAGE)] = 50,
    cursor: Annotated[
        str | None,
        QueryParameter(
            pattern=CURSOR_PATTERN,
            required=False,
            description="`next_cursor` of the page before; send the same filters with it.",
            examples=[Example(value="120")],
        ),
    ] = None,
    type: Annotated[  # noqa: A002
        EntryType | None,
        QueryParameter(required=False, description="Only entries of this type.", examples=[Example(value="charge")]),
    ] = None,
    key_id: Annotated[
        int | None,
        QueryParameter(
            ge=1,
            le=MAX_ID,
            required=False,
            description="Only what this agent key paid, refunds of it included.",
            examples=[Example(value=7)],
        ),
    ] = None,
    note: Annotated[
        str | None,
        QueryParameter(
            max_length=MAX_NOTE_LENGTH,
            pattern="^[^\\x00]*$",
            required=False,
            description="Only entries with exactly this note, refunds of them included.",
            examples=[Example(value="GET /search")],
        ),
    ] = None,
    item: Annotated[
        str | None,
        QueryParameter(
            max_length=MAX_ITEM_LENGTH,
            pattern=f"^{ITEM.pattern}$",
            required=False,
            description="Only charges for this item of the price book, refunds of them included.",
            examples=[Example(value="search")],
        ),
    ] = None,
    since: Annotated[str | None, _when("Only entries from then on", "2026-11-01")] = None,
    until: Annotated[str | None, _when("Only entries up to then, the month or day included", "2026-11-30")] = None,
    text: Annotated[  # the framework's own parameter is called query
        str | None,
        QueryParameter(
            name="query",
            required=False,
            description="Only entries with all of these words, or parts of words, in their note, item, request id, "
            "reference, metadata or facts, whatever their case and width: up to eight words, 300 characters.",
            examples=[Example(value="order-10")],
        ),
    ] = None,
    request_id: ByRequestId = None,
    reference: ByReference = None,
    idempotency_key: ByIdempotencyKey = None,
) -> TransactionPage:
    """List transactions

    The wallet's ledger entries, newest first. An agent sees what its key paid. A page ends after 20,000 entries that
    were searched, with `query` after 10,000, possibly with fewer than `limit` or none; `next_cursor` continues from
    there. Entries are found by what they were called without a search.
    """
    names = Wanted(request_id, reference, idempotency_key)
    asked = EntryQuery(type, key_id, note, item, since, until, text)
    return await transactions_shown(wallets, caller, limit=limit, cursor=cursor, asked=asked, names=names)


@get("/credit/transactions/{txn_id:int}", **route(TAG, "entry_not_found", needs="look_up"))
@on_lane(OWNERS)
def get_transaction(txn_id: TxnId, caller: GivenCaller, wallets: GivenWallets) -> TransactionView:
    """Get a transaction

    One ledger entry of the wallet and how much of it was refunded or reversed. An agent sees what its key paid, a
    seller the charges that it made.
    """
    if caller.seller is None:
        return visible_entry(wallets, own_access(caller), txn_id)
    entry = wallets.transactions.show(txn_id)
    if not wallets.sellers.has_sold(caller.actor, txn_id):
        raise EntryNotFound(f"there is no ledger entry {txn_id}; check the id", txn_id=txn_id)
    return entry


@get("/credit/holds/{hold_id:int}", **route(TAG, "hold_not_found", needs="look_up"))
@on_lane(OWNERS)
def get_hold(hold_id: HoldId, caller: GivenCaller, wallets: GivenWallets) -> HoldView:
    """Get a hold

    One hold of the wallet and its status. Agents and sellers see the holds that they made.
    """
    if caller.seller is None:
        access, hold = own_access(caller), wallets.holds.show(hold_id)
        is_own = is_visible(access, hold.wallet_id, hold.key_id)
    else:
        hold, is_own = wallets.holds.show(hold_id), wallets.sellers.has_held(caller.actor, hold_id)
    if not is_own:
        raise HoldNotFound(f"there is no hold {hold_id}; check the id", hold_id=hold_id)
    return hold


@get("/credit/lots", **route(TAG, needs="read"))
@on_lane(OWNERS)
def list_lots(caller: GivenCaller, wallets: GivenWallets) -> list[LotView]:
    """List lots

    What the balance is made of: the open lots in the order in which they are spent, each with its remaining amount,
    expiry and whole days until then.
    """
    return wallets.lots.list(own_wallet(caller))


@get("/credit/lots/expired", **route(TAG, needs="read"))
@on_lane(OWNERS)
def list_expired_lots(
    caller: GivenCaller,
    wallets: GivenWallets,
    days: Annotated[
        int,
        QueryParameter(
            ge=1, le=DAYS_SHOWN, description="How many days to look back.", examples=[Example(value=DAYS_SHOWN)]
        ),
    ] = DAYS_SHOWN,
) -> list[ExpiredLotView]:
    """List expired lots

    The lots that expired lately with something left, the latest first, up to 100.
    """
    return wallets.lots.expired(own_wallet(caller), days)


@get("/credit/alerts", **route(TAG, needs="read"))
@on_lane(OWNERS)
def list_alerts(caller: GivenCaller, wallets: GivenWallets, cycle: Cycle = None) -> list[Alert]:
    """List spending alerts

    The budget thresholds that were crossed, newest first; of all cycles unless `cycle` names one.
    """
    return wallets.alerts.list(own_wallet(caller), cycle)


@get("/credit/statement", **route(TAG, needs="read"))
async def get_statement(
    caller: GivenCaller,
    wallets: GivenWallets,
    cycle: Cycle = None,
    format: Annotated[  # noqa: A002
        Literal["json", "csv", "text"],
        QueryParameter(description="Format of the statement.", examples=[Example(value="json")]),
    ] = "json",
    rows: Annotated[
        Rows,
        QueryParameter(
            description="Rows of a CSV: the entries, or spending by agent key, by note or by item.",
            examples=[Example(value="entries")],
        ),
    ] = "entries",
    entries: Annotated[
        Literal["all", "none", "summary"],
        QueryParameter(
            description="Which entries JSON and text have; `none` leaves the totals and the spending. `summary` leaves "
            "them too, and of a cycle with thousands of entries only what is counted already: at once, and `left_out` "
            "names the rest.",
            examples=[Example(value="none")],
        ),
    ] = "all",
) -> Response[Statement]:
    """Get a statement

    The statement of a billing cycle, by default the current one, with spending by agent key, by note and by item. An
    agent sees the wallet's totals and its own entries. The statement shows the moment of the request and is streamed; a
    wallet may have two in progress.
    """
    form = form_of(format, rows, has_entries=entries == "all")
    return await stream_statement(wallets, caller, cycle, form, is_summary=entries == "summary" and format != "csv")


@get("/credit/forecast", **route(TAG, needs="read"))
@on_lane(OWNERS)
def get_forecast(caller: GivenCaller, wallets: GivenWallets) -> Forecast:
    """Get a forecast

    Projected spending at this cycle's pace, and when the balance and the budget run out.
    """
    return wallets.forecast(own_wallet(caller))


WALLET_ROUTES = (
    get_wallet,
    update_wallet,
    list_transactions,
    get_transaction,
    get_hold,
    list_lots,
    list_expired_lots,
    list_alerts,
    get_statement,
    get_forecast,
)
