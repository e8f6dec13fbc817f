"""What a token's wallet shows of itself, to the routes and to the tools of an agent alike."""

from __future__ import annotations

import asyncio

from msgspec import structs

from credit_wallet.domain.outcomes import EntryType
from credit_wallet.domain.views import Access, Transaction, next_expiring
from credit_wallet.domain.whole_numbers import whole_number
from credit_wallet.errors import InvalidRequest, WalletError
from credit_wallet.ledger.reading_lanes import OWNERS, REPORTS, Lane
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.notices.targets import TargetView
from credit_wallet.runtime import deadlines
from credit_wallet.wire.asgi import RawHeaders
from credit_wallet.wire.auth import Caller, own_access
from credit_wallet.wire.headers import wallet_headers
from credit_wallet.wire.replies import TransactionPage, WalletReply
from credit_wallet.wire.visibility import visible_key

MAX_PAGE = 200

MAX_STEPS = 50
"""Steps that are looked through for one page: 100,000 entries. The next page goes on where this one ended."""

CURSOR_PATTERN = "^[1-9][0-9]{0,17}$"


def wallet_shown(
    wallets: CreditWallet, access: Access, topup_url: str, targets: list[TargetView] | None = None
) -> WalletReply:
    """The wallet with its settings, spending and latest transactions, and what the caller can spend of it.

    An agent key is shown the transactions that it paid. ``targets`` are the notification targets when they were just
    set; otherwise an owner is shown what is set.
    """
    shown = wallets.overview(access.wallet_id, key_id=access.key_id)
    return WalletReply(
        **structs.asdict(shown.wallet),
        recent_transactions=shown.recent_transactions,
        auto_topup=shown.auto_topup,
        notification_targets=shown.targets if targets is None else targets,
        spendable_micros=shown.spendable_micros,
        key=shown.key,
        topup_url=topup_url,
        lots=shown.lots,
        next_expiring=next_expiring(shown.lots),
        budgets=shown.budgets,
    )


async def transactions_shown(
    wallets: CreditWallet,
    caller: Caller,
    *,
    limit: int,
    cursor: str | None,
    type: EntryType | None,  # noqa: A002 - the parameter's name in HTTP
    key_id: int | None,
    note: str | None,
) -> TransactionPage:
    """A page of up to ``limit`` ledger entries, newest first, after that whose ``next_cursor`` is ``cursor``.

    A page of what is rare among the entries ends early, after ``MAX_STEPS``. An agent sees what it paid. Raises
    ``Forbidden`` for another key's and for callers without a wallet, ``ShareExceeded`` and ``ServiceBusy``.
    """
    access = own_access(caller)
    key_id = visible_key(access, key_id)
    before = None if cursor is None else _entry_at(cursor)
    wallet_id, lane_of_caller = access.wallet_id, caller.lane(OWNERS)
    if type is None and key_id is None and note is None:
        entries = await wallets.reading_lanes.ask_for(
            caller.share, lane_of_caller, wallets.history, wallet_id, limit=limit + 1, before_txn_id=before
        )
        return _page(entries, limit, None)

    async def step(lane: Lane) -> int | None:
        more, after = await wallets.reading_lanes.ask_for(
            caller.share,
            lane,
            wallets.transactions.search,
            wallet_id,
            limit=limit + 1 - len(found),
            before_txn_id=before,
            txn_type=type,
            key_id=key_id,
            note=note,
        )
        found.extend(more)
        return after

    found: list[Transaction] = []
    before = await step(lane_of_caller)
    if before is None or len(found) > limit:
        return _page(found, limit, before)
    with wallets.reading_lanes.report(caller.share):
        for _ in range(MAX_STEPS - 1):
            before = await step(REPORTS)
            if before is None or len(found) > limit:
                break
    return _page(found, limit, before)


async def caller_headers(caller: Caller | None, wallets: CreditWallet) -> RawHeaders:
    """The headers about the caller's wallet, for responses other than those to movements."""
    if caller is None or caller.access is None:
        return []
    try:
        wallet_id = caller.access.wallet_id
        async with asyncio.timeout(deadlines.BALANCE_SECONDS):
            lane = caller.lane(OWNERS)
            return wallet_headers(await wallets.reading_lanes.ask_for(caller.share, lane, wallets.show, wallet_id))
    except (WalletError, TimeoutError):  # the response matters more than its balance header
        return []


def _page(entries: list[Transaction], limit: int, goes_on_at: int | None) -> TransactionPage:
    page = entries[:limit]
    if len(entries) > limit:
        return TransactionPage(page, str(page[-1].txn_id))
    return TransactionPage(page, None if goes_on_at is None else str(goes_on_at))


def _entry_at(cursor: str) -> int:
    try:
        return whole_number(cursor)
    except ValueError:
        raise InvalidRequest(f"cursor must be the next_cursor of a page, not {cursor!r}", field="cursor") from None
