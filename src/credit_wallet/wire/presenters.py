"""What a token's wallet shows of itself, to the routes and to the tools of an agent alike."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from msgspec import structs

from credit_wallet.domain.entry_search import EntryQuery, SearchStep
from credit_wallet.domain.views import Access, Transaction, next_expiring
from credit_wallet.domain.whole_numbers import whole_number
from credit_wallet.errors import InvalidRequest, WalletError
from credit_wallet.ledger.reading_lanes import OPERATORS, OWNERS, REPORTS, Lane
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.notices.targets import TargetView
from credit_wallet.runtime import deadlines
from credit_wallet.stores.entry_names import Position, Wanted
from credit_wallet.wire.asgi import RawHeaders
from credit_wallet.wire.auth import Caller, own_access
from credit_wallet.wire.headers import wallet_headers
from credit_wallet.wire.replies import TransactionPage, WalletReply
from credit_wallet.wire.visibility import visible_key

MAX_PAGE = 200
NO_NAMES = Wanted()

MAX_STEPS = 10
"""Steps that are looked through for one page: 20,000 entries. The next page goes on where this one ended."""

MAX_STEPS_OF_TEXTS = 5
"""The same where texts are searched, which takes twice as long: 10,000 entries."""

MAX_NAMED_STEPS = 10
"""The same of entries with a name: 10,000 entries."""

CURSOR_PATTERN = "^[1-9][0-9]{0,17}$"
ALL_CURSOR_PATTERN = "^[1-9][0-9]{0,17}-[1-9][0-9]{0,17}$"


def wallet_shown(
    wallets: CreditWallet,
    access: Access,
    topup_url: str,
    targets: list[TargetView] | None = None,
    *,
    for_operator: bool = False,
) -> WalletReply:
    """The wallet with its settings, spending and latest transactions, and what the caller can spend of it.

    An agent key is shown the transactions that it paid. ``targets`` are the notification targets when they were just
    set; otherwise an owner is shown what is set. Why a wallet is frozen is for operators to see.
    """
    shown = wallets.overview(access.wallet_id, key_id=access.key_id)
    why = {} if for_operator else {"frozen_reason": None, "frozen_note": None}
    return WalletReply(
        **(structs.asdict(shown.wallet) | why),
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
    asked: EntryQuery,
    names: Wanted = NO_NAMES,
) -> TransactionPage:
    """A page of up to ``limit`` ledger entries, newest first, after that whose ``next_cursor`` is ``cursor``.

    A page of what is rare among the entries ends early, after ``MAX_STEPS``. An agent sees what it paid. ``names`` are
    a request id, a reference and an idempotency key, by which entries are found without a search. Raises ``Forbidden``
    for another key's and for callers without a wallet, ``ShareExceeded`` and ``ServiceBusy``.
    """
    access = own_access(caller)
    asked = structs.replace(asked, key_id=visible_key(access, asked.key_id))
    before = None if cursor is None else _entry_at(cursor)
    wallet_id, lane_of_caller = access.wallet_id, caller.lane(OWNERS)
    ask: Callable[..., Awaitable[Any]] = partial(wallets.reading_lanes.ask_for, caller.share)
    found: list[Transaction] = []
    if names != NO_NAMES:
        rest = await ask(lane_of_caller, partial(wallets.transactions.filter, wallet_id, **structs.asdict(asked)))
        find = partial(wallets.transactions.find_step, structs.replace(names, rest=rest), wallet_id)
        after = None if before is None else (wallet_id, before)
        found, position = await _named(partial(ask, lane_of_caller), find, limit, after)
        return TransactionPage(found, None if position is None else str(position.txn_id))
    if asked == EntryQuery():
        entries = await ask(lane_of_caller, wallets.history, wallet_id, limit=limit + 1, before_txn_id=before)
        return _page(entries, limit, SearchStep([], None, None))

    async def step(lane: Lane) -> SearchStep:
        more = limit + 1 - len(found)
        given = structs.asdict(asked)
        one: SearchStep = await ask(
            lane, wallets.transactions.search, wallet_id, limit=more, before_txn_id=before, **given
        )
        found.extend(one.entries)
        return one

    last = await step(lane_of_caller)
    if last.before_txn_id is not None and len(found) <= limit:
        with wallets.reading_lanes.report(caller.share):
            for _ in range((MAX_STEPS_OF_TEXTS if asked.query else MAX_STEPS) - 1):
                before = last.before_txn_id
                last = await step(REPORTS)
                if last.before_txn_id is None or len(found) > limit:
                    break
    page = _page(found, limit, last)
    # When others were active is not an agent's to know.
    return page if access.viewer_key_id is None else structs.replace(page, searched_to=None)


async def all_named(wallets: CreditWallet, *, limit: int, cursor: str | None, names: Wanted) -> TransactionPage:
    """The same of all wallets by their names alone, wallets and entries backwards. Raises ``InvalidRequest``."""
    after = None if cursor is None else _position_at(cursor)
    find = partial(wallets.transactions.find_step, names)
    found, position = await _named(partial(wallets.reading_lanes.ask, OPERATORS), find, limit, after)
    return TransactionPage(found, None if position is None else f"{position.wallet_id}-{position.txn_id}")


async def _named(
    ask: Callable[..., Awaitable[Any]], find: Callable[..., Any], limit: int, after: tuple[int, int] | None
) -> tuple[list[Transaction], Position | None]:
    """Up to ``limit`` entries that ``find`` finds, and after which one the next page begins."""
    found: list[Transaction] = []
    position = None if after is None else Position(*after)
    for _ in range(MAX_NAMED_STEPS):
        more, position = await ask(find, limit=limit + 1 - len(found), after=position)
        found += more
        if position is None or len(found) > limit:
            break
    if len(found) <= limit:
        return found, position
    last = found[limit - 1]
    return found[:limit], Position(last.wallet_id, last.txn_id)


async def caller_headers(caller: Caller | None, wallets: CreditWallet) -> RawHeaders:
    """The headers about the caller's wallet, for responses other than those to movements."""
    if caller is None or caller.access is None or caller.permissions.isdisjoint(("read", "view")):
        return []
    try:
        wallet_id = caller.access.wallet_id
        async with asyncio.timeout(deadlines.BALANCE_SECONDS):
            lane = caller.lane(OWNERS)
            return wallet_headers(await wallets.reading_lanes.ask_for(caller.share, lane, wallets.show, wallet_id))
    except (WalletError, TimeoutError):  # the response matters more than its balance header
        return []


def _page(entries: list[Transaction], limit: int, last: SearchStep) -> TransactionPage:
    """The page, of whose entries ``last`` was looked at last."""
    page = entries[:limit]
    if len(entries) > limit:
        return TransactionPage(page, str(page[-1].txn_id), page[-1].occurred_at)
    if last.before_txn_id is None:
        return TransactionPage(page, None)
    return TransactionPage(page, str(last.before_txn_id), last.searched_to)


def _position_at(cursor: str) -> tuple[int, int]:
    wallet_id, _, txn_id = cursor.partition("-")
    return _entry_at(wallet_id), _entry_at(txn_id)


def _entry_at(cursor: str) -> int:
    try:
        return whole_number(cursor)
    except ValueError:
        raise InvalidRequest(f"cursor must be the next_cursor of a page, not {cursor!r}", field="cursor") from None
