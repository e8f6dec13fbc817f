"""The figures of a cycle with very many entries, at once: from what is kept of it, without walking its entries.

Opening and closing balance come from the cycle's segments, spending by key and by item from the sums of usage. Entries
that are not counted yet, and those from before the wallet's usage began, are few: they are walked, so the figures are
of the moment of the request. Whatever does not tie with what charges keep in their own transactions is not shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from credit_wallet.domain.views import Transaction
from credit_wallet.domain.visibility import is_hidden
from credit_wallet.reports.items import ItemSpend
from credit_wallet.reports.spending import KeySpend
from credit_wallet.stores import usage_reads
from credit_wallet.stores.jobs.usage import ITEM, KEY, WHOLE_WALLET
from credit_wallet.stores.reads import CycleEntry, CycleSpan, Reader
from credit_wallet.stores.usage_reads import Month, Spent

MIN_CHARGES = 5_000
"""Of a cycle whose entries are not walked. Walking fewer takes a tenth of a second, and gives everything."""

MAX_WALKED = 5_000
"""Entries that may be walked beside what is counted."""

MAX_CREDITS = 5_000
"""Entries that bring credit and are added up one by one."""

ENTRIES_A_STEP = 500

LeftOut: TypeAlias = Literal["spend_by_note", "prices", "kinds"]

LEFT_OUT: Final[tuple[LeftOut, ...]] = get_args(LeftOut)
"""What only the entries say: spending by note, the prices of items, and of what kind ``other`` is."""


class Counted(NamedTuple):
    """The figures of a cycle."""

    opening_micros: int
    closing_micros: int
    topups_micros: int
    transferred_in_micros: int
    other_micros: int
    spent: Spent
    """By the whole wallet."""

    by_key: dict[int | None, Spent]
    by_item: dict[str | None, Spent]


def counted(reader: Reader, wallet_id: int, cycle: str, viewer_key_id: int | None) -> Counted | None:
    """None when the entries must be walked: there are few, or the sums do not say all of them.

    By key and by item only the spending of ``viewer_key_id`` is shown, unless it is None.
    """
    source = reader.source
    month = usage_reads.month(source, wallet_id, cycle, viewer_key_id)
    if month is None or month.of("", WHOLE_WALLET).charges < MIN_CHARGES:
        return None
    before = usage_reads.charged_micros(source, wallet_id, cycle)
    span = reader.cycle(wallet_id, cycle)
    afterwards = usage_reads.charged_micros(source, wallet_id, cycle)
    walked = _uncounted(reader, wallet_id, span, month)
    if walked is None:
        return None
    moves = [(each, spent) for each in walked if (spent := _spent_by(each.entry))]
    spent = _sum(month.of("", WHOLE_WALLET), (spent for _, spent in moves))
    if not before <= spent.charged_micros <= afterwards:
        return None
    seen = [(each, spent) for each, spent in moves if not is_hidden(each.paid_by, viewer_key_id)]
    by_key = _added(_keys(month, viewer_key_id), ((each.paid_by, spent) for each, spent in seen))
    items = month.divided(ITEM, WHOLE_WALLET if viewer_key_id is None else viewer_key_id)
    by_item = _added(items, ((_item(each), spent) for each, spent in seen))
    topups, transferred_in = _credits(reader, wallet_id, span)
    known = topups + transferred_in + spent.refunded_micros - spent.charged_micros
    closing = span.opening_micros + span.net_micros
    return Counted(
        span.opening_micros, closing, topups, transferred_in, span.net_micros - known, spent, by_key, by_item
    )


def items_of(by_item: Mapping[str | None, Spent]) -> list[ItemSpend]:
    """Lines without prices, the most expensive item first and what names none last."""
    lines = [
        ItemSpend(
            item,
            spent.charges,
            spent.quantity_micros,
            spent.charged_micros,
            spent.refunded_micros,
            spent.charged_micros - spent.refunded_micros,
            (),
        )
        for item, spent in by_item.items()
    ]
    return sorted(lines, key=lambda line: (line.item is None, -line.spent_micros, line.item))


def keys_of(
    by_key: Mapping[int | None, Spent], label_and_cap: Callable[[int], tuple[str | None, int]]
) -> list[KeySpend]:
    """Lines, the agent key that spent most first; ``label_and_cap`` looks one up."""
    lines = [
        KeySpend(
            key_id,
            label,
            spent.charges,
            spent.charged_micros,
            spent.refunded_micros,
            spent.charged_micros - spent.refunded_micros,
            cap,
        )
        for key_id, spent in by_key.items()
        for label, cap in [(None, 0) if key_id is None else label_and_cap(key_id)]
    ]
    return sorted(lines, key=lambda line: (-line.spent_micros, line.key_id or 0))


def _uncounted(reader: Reader, wallet_id: int, span: CycleSpan, month: Month) -> list[CycleEntry] | None:
    """The entries of a cycle that the sums of usage leave out; None when there are too many."""
    found: list[CycleEntry] = []
    for last, after in span.segments:
        stretches = []
        if last > month.last_txn_id:
            stretches.append((last, max(after, month.last_txn_id)))
        if after < month.first_txn_id - 1:
            stretches.append((min(last, month.first_txn_id), after))
        for start, end in stretches:
            entries = _between(reader, wallet_id, start, end, MAX_WALKED - len(found))
            if entries is None:
                return None
            found += (each for each in entries if not month.first_txn_id <= each.entry.txn_id <= month.last_txn_id)
    return found


def _between(reader: Reader, wallet_id: int, start: int, after: int, limit: int) -> list[CycleEntry] | None:
    """The wallet's entries from ``start`` back to those above ``after``; None when they are more than ``limit``."""
    found: list[CycleEntry] = []
    at: int | None = start
    while at is not None and at > after:
        entries, at = reader.stretch(wallet_id, at, after, ENTRIES_A_STEP)
        found += (each for each in entries if each.entry.txn_id > after)
        if len(found) > limit:
            return None
    return found


def _spent_by(entry: Transaction) -> Spent | None:
    if entry.txn_type == "charge":
        return Spent(1, entry.quantity_micros or 0, -entry.amount_micros, 0)
    return Spent(refunded_micros=entry.amount_micros) if entry.txn_type == "refund" else None


def _item(each: CycleEntry) -> str | None:
    return each.entry.item if each.entry.txn_type == "charge" else each.paid_item


def _keys(month: Month, viewer_key_id: int | None) -> dict[int | None, Spent]:
    if viewer_key_id is not None:
        own = month.of("", viewer_key_id)
        return {viewer_key_id: own} if any(own) else {}
    by_key = month.divided(KEY, WHOLE_WALLET)
    return {None if value is None else int(value): spent for value, spent in by_key.items()}


def _added(sums: dict[Any, Spent], moves: Iterable[tuple[Any, Spent]]) -> dict[Any, Spent]:
    for name, spent in moves:
        sums[name] = sums.get(name, Spent()).plus(spent)
    return sums


def _sum(first: Spent, others: Iterable[Spent]) -> Spent:
    for each in others:
        first = first.plus(each)
    return first


def _credits(reader: Reader, wallet_id: int, span: CycleSpan) -> tuple[int, int]:
    """What topped up the wallet and what came from other wallets, as far as it made lots."""
    topups = transferred_in = 0
    left = MAX_CREDITS
    for last, after in span.segments:
        found = usage_reads.credits_of(reader.source, wallet_id, after, last, left)
        left -= len(found)
        for each in found:
            if each.cause == "transfer_in":
                transferred_in += each.amount_micros
            elif each.cause not in ("adjustment", "transfer_returned") and not each.is_related:
                topups += each.amount_micros
    return topups, transferred_in
