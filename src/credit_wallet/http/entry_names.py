"""The query parameters by which entries are found, and the search of all wallets."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.openapi.spec import Example
from litestar.params import QueryParameter

from credit_wallet.domain.commands import MAX_IDEMPOTENCY_KEY_LENGTH
from credit_wallet.domain.metadata import MAX_REFERENCE_LENGTH
from credit_wallet.domain.names import MAX_REQUEST_ID_LENGTH
from credit_wallet.domain.views import TransactionView
from credit_wallet.http.dependencies import GivenWallets
from credit_wallet.http.lanes import on_lane
from credit_wallet.http.routing import id_in_path, page_size, route
from credit_wallet.ledger.reading_lanes import OPERATORS
from credit_wallet.stores.entry_names import Wanted
from credit_wallet.wire.names import NAME_PATTERN
from credit_wallet.wire.presenters import ALL_CURSOR_PATTERN, MAX_PAGE, all_named
from credit_wallet.wire.replies import TransactionPage

ByRequestId = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=MAX_REQUEST_ID_LENGTH,
        pattern="^[ -~]+$",
        required=False,
        description="Only entries of the request that the caller sent with this `X-Request-Id`.",
        examples=[Example(value="req-7f3a")],
    ),
]
ByReference = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=MAX_REFERENCE_LENGTH,
        pattern=NAME_PATTERN,
        required=False,
        description="Only entries with this reference.",
        examples=[Example(value="order-1042")],
    ),
]
ByIdempotencyKey = Annotated[
    str | None,
    QueryParameter(
        min_length=1,
        max_length=MAX_IDEMPOTENCY_KEY_LENGTH,
        pattern=NAME_PATTERN,
        required=False,
        description="Only entries that were asked for with this idempotency key, whoever used it. One that was sent "
        "without a request id, a reference and metadata is known for as long as keys are remembered.",
        examples=[Example(value="0199f3a2-7c1e-7000-8000-3b1d5f8e2a10")],
    ),
]


@get("/operator/transactions", **route("Operator: wallets", needs="view"))
async def find_transactions(
    wallets: GivenWallets,
    request_id: ByRequestId = None,
    reference: ByReference = None,
    idempotency_key: ByIdempotencyKey = None,
    limit: Annotated[int, page_size(MAX_PAGE)] = 50,
    cursor: Annotated[
        str | None,
        QueryParameter(
            pattern=ALL_CURSOR_PATTERN,
            required=False,
            description="`next_cursor` of the page before; send the same names with it.",
            examples=[Example(value="7-120")],
        ),
    ] = None,
) -> TransactionPage:
    """Find transactions of all wallets

    Ledger entries by what they were called, in whatever wallet; at least one name is needed. The latest wallets come
    first, and of each the newest entries.
    """
    names = Wanted(request_id, reference, idempotency_key)
    return await all_named(wallets, limit=limit, cursor=cursor, names=names)


@get("/operator/transactions/{txn_id:int}", **route("Operator: wallets", "entry_not_found", needs="view"))
@on_lane(OPERATORS)
def get_transaction_of_all(
    txn_id: Annotated[int, id_in_path("ledger entry")], wallets: GivenWallets
) -> TransactionView:
    """Get a transaction of any wallet

    One ledger entry, whosever it is, and how much of it was refunded or reversed.
    """
    return wallets.transactions.show(txn_id)
