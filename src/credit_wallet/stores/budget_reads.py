"""Reading budgets: pages of them with what is used of each now, in one query for a page, and the log of changes."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from msgspec import json

from credit_wallet.domain.budgets import (
    GROUP,
    KEY,
    Budget,
    anchors_of,
    counted_as,
    groups_above,
    labels_of,
    stored_value,
)
from credit_wallet.domain.cycle import format_instant, parse_instant
from credit_wallet.domain.views import KeyView
from credit_wallet.rules.counters import opened
from credit_wallet.rules.state import Counter
from credit_wallet.stores import Source
from credit_wallet.stores.budget_rows import budget_of, parse_kinds
from credit_wallet.stores.sql import statements
from credit_wallet.stores.views import WalletRow, micros

_MOST_GROUPS = 4


class Used(NamedTuple):
    """What is used of a budget now: by the value that ``counter`` is of, the fullest of ``values`` values.

    What was refused of all values is in micros of the unit.
    """

    counter: Counter
    values: int = 0
    refused_micros: int = 0
    refusals: int = 0


class Cap(NamedTuple):
    """The monthly cap of an agent key and what is used of it."""

    key_id: int
    label: str | None
    cap_yen: int
    spent_micros: int
    held_micros: int


class Change(NamedTuple):
    """A row of the log of changes, with its JSON."""

    change_id: int
    budget_id: str
    changed_by: str
    changed_at: str
    before: str | None
    after: str | None
    after_txn_id: int


def budgets(source: Source, wallet_id: int, after: int, limit: int, key: KeyView | None = None) -> list[Budget]:
    """Up to ``limit`` of a wallet's budgets with an id above ``after``: all, or those that ``key`` can match."""
    asked: dict[str, Any] = {"wallet_id": wallet_id, "after": after, "limit": limit}
    if key is None:
        return [budget_of(row) for row in source.rows(_sql(source)["budgets"], asked)]
    groups = groups_above(key.group) if key.group else []
    needles = [_condition(GROUP, group) for group in groups]
    needles += [""] * (_MOST_GROUPS - len(needles))
    asked |= {"key": _condition(KEY, str(key.key_id)), **dict(zip(_GROUPS, needles, strict=True))}
    return [budget_of(row) for row in source.rows(_sql(source)["budgets_of_key"], asked)]


def budget(source: Source, budget_id: int) -> Budget | None:
    """A budget; None when there is none of that id, or it was deleted."""
    for row in source.rows(_sql(source)["budget"], {"budget_id": budget_id}):
        return budget_of(row)
    return None


def bounding(source: Source, wallet: WalletRow, key: KeyView | None, now: datetime) -> list[Counter]:
    """The caps among a wallet's budgets that any charge by ``key``, or by the owner, counts in, whatever it is for."""
    if not wallet.budget_kinds:
        return []
    labels = labels_of(None if key is None else key.key_id, None if key is None else key.group, None)
    anchors = anchors_of(labels, frozenset(parse_kinds(wallet.budget_kinds)))
    if not anchors:
        return []
    asked = {"wallet_id": wallet.wallet_id, "anchors": _json(anchors)}
    rows = source.rows(_sql(source)["budgets_found"], asked)
    found = [each for each in map(budget_of, rows) if each.mode == "cap"]
    values = {each.budget_id: value for each in found if (value := counted_as(each.scope, labels)) is not None}
    matching = [each for each in found if each.budget_id in values]
    return [used.counter for used in used_of(source, wallet.wallet_id, matching, now, values)]


def used_of(
    source: Source, wallet_id: int, asked: Sequence[Budget], now: datetime, only: dict[int, str] | None = None
) -> list[Used]:
    """What is used of budgets of a wallet now, in their order; ``only`` names values that alone are looked at."""
    only = {} if only is None else only
    fresh = [opened(each, only.get(each.budget_id, ""), now) for each in asked]
    if not fresh:
        return []
    parameters = {"wallet_id": wallet_id, "asked": _json([_question(each, now, only) for each in fresh])}
    found = {int(row[0]): row[1:] for row in source.rows(_sql(source)["used"], parameters)}
    return [_used(each, found.get(each.budget.budget_id)) for each in fresh]


def values(source: Source, of: Budget, now: datetime, after: str, limit: int) -> list[Counter]:
    """Up to ``limit`` values that a budget counts now, after one as it is shown, in the order of the database."""
    fresh = opened(of, "", now)
    window = {"wallet_id": of.wallet_id, "budget_id": of.budget_id, "window_start": fresh.window_start}
    page = {**window, "left_at": left_at(of, now), "after": stored_value(of.scope, after), "limit": limit}
    counters = []
    for value, spent, beyond, held, held_fraction, last_at, *refused, refusals in source.rows(
        _sql(source)["values"], page
    ):
        counter = opened(of, value, now)
        _fill(counter, (spent, beyond, held, held_fraction, last_at))
        counter.refused_micros, counter.refusals = micros(*refused), int(refusals)
        counters.append(counter)
    return counters


def caps(source: Source, wallet_id: int, cycle: str, now: datetime, after: int, limit: int) -> list[Cap]:
    """Up to ``limit`` caps of a wallet's working agent keys with an id above ``after``."""
    asked = {"wallet_id": wallet_id, "cycle": cycle, "now": format_instant(now), "after": after, "limit": limit}
    return [
        Cap(key_id, label, cap_yen, micros(spent, spent_fraction), micros(held, held_fraction))
        for key_id, label, cap_yen, spent, spent_fraction, held, held_fraction in source.rows(
            _sql(source)["caps"], asked
        )
    ]


def changes(source: Source, wallet_id: int, budget_id: str | None, before: int, limit: int) -> list[Change]:
    """Up to ``limit`` changes to a wallet's budgets, or to one, newest first, before the one with an id."""
    asked = {"wallet_id": wallet_id, "before": before, "limit": limit}
    if budget_id is None:
        return [Change(*row) for row in source.rows(_sql(source)["changes"], asked)]
    return [Change(*row) for row in source.rows(_sql(source)["changes_of"], {**asked, "budget_id": budget_id})]


def left_at(of: Budget, now: datetime) -> str:
    """Up to when what was spent has left a rolling window; empty for any other."""
    return "" if of.rolls is None else format_instant(now - timedelta(seconds=of.rolls))


# Inside

_GROUPS = ("group_a", "group_b", "group_c", "group_d")


def _sql(source: Source) -> dict[str, str]:
    return statements("budget_reads.sql", source.dialect)


def _json(value: object) -> str:
    return json.encode(value).decode()


def _condition(name: str, value: str) -> str:
    """A condition as the column ``scope`` spells it."""
    return _json((name, value))


def _question(fresh: Counter, now: datetime, only: Collection[int]) -> dict[str, Any]:
    budget_id = fresh.budget.budget_id
    return {
        "budget_id": budget_id,
        "window_start": fresh.window_start,
        "left_at": left_at(fresh.budget, now),
        "value": fresh.value if budget_id in only else None,
    }


def _used(fresh: Counter, row: Sequence[Any] | None) -> Used:
    if row is None:
        return Used(fresh)
    value, spent, beyond, held, held_fraction, last_at, counted, refused, refused_fraction, refusals, _ = row
    fresh.value = value
    _fill(fresh, (spent, beyond, held, held_fraction, last_at))
    return Used(fresh, int(counted), micros(refused, refused_fraction), int(refusals))


def _fill(counter: Counter, figures: Iterable[Any]) -> None:
    spent, beyond, held, held_fraction, last_at = figures
    counter.spent_micros, counter.held_micros = micros(spent, beyond), micros(held, held_fraction)
    seconds = counter.budget.rolls
    if seconds is not None and counter.spent_micros and last_at:
        counter.empty_at = format_instant(parse_instant(last_at) + timedelta(seconds=seconds))
