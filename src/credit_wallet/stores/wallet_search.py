"""The search of wallets, at a cost that does not grow with their number.

Whatever narrows a search down is tried first: if a word, a status or a reference leaves at most ``GATHERED`` wallets,
these are read, sorted and judged. Else the wallets are walked through in the order that was asked for and judged in
steps, ``LOOKED_AT`` of them a page at most; where matches are that frequent, a page is soon full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from itertools import islice
from typing import Any

from credit_wallet.domain.cycle import cycle_at
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.wallet_search import BY_FIGURES, Place, WalletQuery, WalletStatus
from credit_wallet.errors import InvalidRequest
from credit_wallet.stores import Source
from credit_wallet.stores.profile_rows import wallet_of
from credit_wallet.stores.sql import IDS_A_STATEMENT, rows_of

GATHERED = 1_000
"""Wallets that are sorted in memory."""

LOOKED_AT = 1_000
"""Wallets that a page looks at."""

STEP = IDS_A_STATEMENT
"""Wallets that one statement judges."""

WORDS_TRIED = 3
"""Words of a query that are tried for whether they narrow it down."""

_LAST = "\U0010ffff"
"""Comes after every character."""

_STATUSES: dict[WalletStatus, str] = {
    "low": "w.recovery_due = 1",
    "in_debt": "(w.debt_yen > 0 OR w.debt_fraction > 0)",
    "exhausted": "w.exhausted = 1",
    "disabled": "w.enabled = 0",
    "closed": "w.enabled = 0 AND w.closed_at IS NOT NULL",
    "failed_topup": """EXISTS (
        SELECT 1 FROM am_credit_topup f WHERE f.wallet_id = w.wallet_id AND f.status = 'failed' AND NOT EXISTS (
            SELECT 1 FROM am_credit_topup c
            WHERE c.wallet_id = f.wallet_id AND c.created_at > f.created_at AND c.status = 'credited'))""",
}
_OF_A_TERM = """
SELECT wallet_id FROM am_credit_search_term WHERE term >= :word AND term < :beyond ORDER BY term, wallet_id LIMIT :most
"""
_OF_A_STATUS = "SELECT w.wallet_id FROM am_credit_wallet w WHERE {condition} ORDER BY w.wallet_id LIMIT :most"
_WITH_FAILED_TOPUPS = """
SELECT DISTINCT wallet_id FROM am_credit_topup WHERE status = 'failed' ORDER BY wallet_id LIMIT :most
"""
_JUDGE = "SELECT w.wallet_id FROM am_credit_wallet w WHERE w.wallet_id IN ({ids}) AND {conditions}"
_HAS_TERM = """EXISTS (
    SELECT 1 FROM am_credit_search_term t
    WHERE t.wallet_id = w.wallet_id AND t.term >= :word{number} AND t.term < :beyond{number})"""

_COLUMNS = {"label": "sorted_label", "reference": "reference", "created_at": "created_at"}
_WALK_BY_ID = """
SELECT '', w.wallet_id FROM am_credit_wallet w WHERE w.wallet_id {after} :after AND {condition}
ORDER BY w.wallet_id {order} LIMIT :steps
"""
_WALK = """
SELECT {column}, wallet_id FROM am_credit_profile WHERE key_id = 0 AND ({column}, wallet_id) {after} (:value, :after)
ORDER BY {column} {order}, wallet_id {order} LIMIT :steps
"""
_START_WALK = """
SELECT {column}, wallet_id FROM am_credit_profile WHERE key_id = 0
ORDER BY {column} {order}, wallet_id {order} LIMIT :steps
"""
_VALUES = "SELECT {column}, wallet_id FROM am_credit_profile WHERE key_id = 0 AND wallet_id IN ({ids})"
_FIGURES = """
SELECT wallet_id, balance_yen, balance_fraction, time_zone, current_cycle, cycle_spent_yen, cycle_spent_fraction
FROM am_credit_wallet WHERE wallet_id IN ({ids})
"""
_MAX_ID = 2**63 - 1

Ranked = tuple[str | int, int]
"""What a wallet is sorted by, and its id."""


def found(source: Source, query: WalletQuery, now: datetime) -> tuple[list[int], Place | None]:
    """The ids of a page of wallets, and where the next one begins. Raises ``InvalidRequest`` for a sort by figures of
    more wallets than are gathered.
    """
    gathered = _gathered(source, query)
    if gathered is not None:
        ranked = _after(_ranked(source, query, gathered, now), query)
    elif query.key in BY_FIGURES:
        raise InvalidRequest(
            f"sort {query.sort} is for at most {GATHERED:,} wallets; narrow the search with a query or a status",
            field="sort",
        )
    else:
        ranked = _walked(source, query)
    return _page(source, query, ranked)


def _gathered(source: Source, query: WalletQuery) -> set[int] | None:
    """All wallets that can match, or more; None when they are too many."""
    if query.reference is not None:
        wallet_id = wallet_of(source, query.reference)
        return set() if wallet_id is None else {wallet_id}
    for statement, named in _narrowing(query):
        rows = source.rows(statement, {**named, "most": GATHERED + 1})
        if len(rows) <= GATHERED:
            matches = {wallet_id for (wallet_id,) in rows}
            return matches if "word" not in named else matches | set(query.named)
    return set(query.named) if query.named and not query.words else None


def _narrowing(query: WalletQuery) -> Iterator[tuple[str, dict[str, Any]]]:
    for word in query.words[:WORDS_TRIED]:
        yield _OF_A_TERM, _range_of(word)
    if query.status == "failed_topup":
        yield _WITH_FAILED_TOPUPS, {}
    elif query.status is not None:
        yield _OF_A_STATUS.format(condition=_STATUSES[query.status]), {}


def _ranked(source: Source, query: WalletQuery, gathered: set[int], now: datetime) -> list[Ranked]:
    ids = sorted(gathered)
    if query.key == "wallet_id":
        return [("", wallet_id) for wallet_id in ids]
    if query.key in BY_FIGURES:
        return [_figure(query.key, row, now) for row in rows_of(source, _FIGURES, ids)]
    rows = rows_of(source, _VALUES.replace("{column}", _COLUMNS[query.key]), ids)
    return [(value, wallet_id) for value, wallet_id in rows]


def _figure(key: str, row: tuple[Any, ...], now: datetime) -> Ranked:
    wallet_id, balance_yen, balance_fraction, time_zone, cycle, spent_yen, spent_fraction = row
    if key == "balance":
        return balance_yen * MICROS + balance_fraction, wallet_id
    return (spent_yen * MICROS + spent_fraction if cycle == cycle_at(now, time_zone) else 0), wallet_id


def _after(ranked: list[Ranked], query: WalletQuery) -> Iterator[list[Ranked]]:
    ranked.sort(reverse=query.descending)
    if (place := query.after) is not None:
        last = (place.value, place.wallet_id)
        ranked = [each for each in ranked if (each < last if query.descending else each > last)]
    yield from _steps(iter(ranked))


def _steps(ranked: Iterator[Ranked]) -> Iterator[list[Ranked]]:
    while step := list(islice(ranked, STEP)):
        yield step


def _walked(source: Source, query: WalletQuery) -> Iterator[list[Ranked]]:
    """Wallets in order, in steps. One by id looks at those of the status alone, which have an index."""
    after, order = ("<", "DESC") if query.descending else (">", "ASC")
    place, column = query.after, _COLUMNS.get(query.key)
    is_column = query.status not in (None, "failed_topup")
    condition = _STATUSES[query.status] if is_column and query.status else "w.wallet_id > 0"
    while True:
        named: dict[str, Any] = {"steps": STEP}
        if column is None:
            start = _MAX_ID if query.descending else 0
            named["after"] = start if place is None else place.wallet_id
            statement = _WALK_BY_ID.format(after=after, order=order, condition=condition)
        elif place is None:
            statement = _START_WALK.format(column=column, order=order)
        else:
            named |= {"value": place.value, "after": place.wallet_id}
            statement = _WALK.format(column=column, after=after, order=order)
        step = [(value, wallet_id) for value, wallet_id in source.rows(statement, named)]
        if not step:
            return
        yield step
        place = Place(query.sort, *step[-1])


def _page(source: Source, query: WalletQuery, steps: Iterator[list[Ranked]]) -> tuple[list[int], Place | None]:
    """The first matches of ``steps``; the place is that of the last wallet looked at, if there may be more."""
    page: list[int] = []
    last, looked_at = query.after, 0
    judge = _judge(source, query)
    for step in steps:
        matches = judge([wallet_id for _, wallet_id in step])
        for value, wallet_id in step:
            if wallet_id in matches:
                if len(page) == query.limit:
                    return page, last
                page.append(wallet_id)
            last = Place(query.sort, value, wallet_id)
        looked_at += len(step)
        if looked_at >= LOOKED_AT:
            return page, last
    return page, None


def _judge(source: Source, query: WalletQuery) -> Callable[[list[int]], set[int]]:
    """Which of some wallets match."""
    conditions: list[str] = []
    named: dict[str, Any] = {}
    if query.status is not None:
        conditions.append(_STATUSES[query.status])
    if query.words or query.named:
        of_words = []
        for number, word in enumerate(query.words):
            of_words.append(_HAS_TERM.format(number=number))
            named |= {f"{name}{number}": value for name, value in _range_of(word).items()}
        either = [f"w.wallet_id IN ({', '.join(map(str, query.named))})"] if query.named else []
        either += [f"({' AND '.join(of_words)})"] if of_words else []
        conditions.append(f"({' OR '.join(either)})")
    if not conditions:
        return set
    statement = _JUDGE.replace("{conditions}", " AND ".join(conditions))

    def judge(wallet_ids: list[int]) -> set[int]:
        return {wallet_id for (wallet_id,) in rows_of(source, statement, wallet_ids, named)}

    return judge


def _range_of(word: str) -> dict[str, Any]:
    return {"word": word, "beyond": word + _LAST}
