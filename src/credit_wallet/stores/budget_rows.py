"""Budgets as rows, the same for every store: definitions, counters, what holds reserve, and the log of changes.

Values are in micros of a budget's unit. A row has whole yen or calls, rounded down, and the micros beyond them in a
column ``…_fraction``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from msgspec import json

from credit_wallet.domain.budgets import Budget, Reserved, Scope
from credit_wallet.domain.money import MICROS, decimal_text
from credit_wallet.rules.decision import BudgetChange
from credit_wallet.rules.state import Counter, HoldState

BUDGET_COLUMNS = """
budget_id, wallet_id, label, unit, limit_whole, limit_fraction, time_window, scope, mode, shares, time_zone, week_start,
raised_whole, raised_fraction, raised_until, created_at
"""
SPENT_COLUMNS = (
    "wallet_id",
    "budget_id",
    "window_start",
    "value",
    "window_end",
    "spent",
    "spent_fraction",
    "refused",
    "refused_fraction",
    "refusals",
    "told_pct",
    "renewal",
    "counted_from",
    "last_at",
)
MOVED_COLUMNS = ("wallet_id", "budget_id", "window_start", "value", "spent", "spent_fraction")
"""The key of a counter's row, and what a usual charge changes of it."""

FIGURE_COLUMNS = """
spent, spent_fraction, refused, refused_fraction, refusals, told_pct, renewal, held, held_fraction,
counted_from, last_at
"""
LATER_COLUMNS = "s.budget_id, s.value, s.window_start, s.spent, s.spent_fraction"
HELD_COLUMNS = ("wallet_id", "budget_id", "value", "held", "held_fraction")
STEP_COLUMNS = ("wallet_id", "budget_id", "value", "at", "spent", "spent_fraction")
CHANGE_COLUMNS = ("wallet_id", "budget_id", "changed_by", "changed_at", "before", "after", "after_txn_id")

_scope_decoder = json.Decoder(Scope)
_shares_decoder = json.Decoder(tuple[int, ...])
_kinds_decoder = json.Decoder(dict[str, int])
_reserved_decoder = json.Decoder(tuple[int, tuple[Reserved, ...]])


@lru_cache(maxsize=4096)
def _scope_of(text: str) -> Scope:
    """Many budgets have the same."""
    return _scope_decoder.decode(text)


@lru_cache(maxsize=256)
def _shares_of(text: str) -> tuple[int, ...]:
    return _shares_decoder.decode(text)


class StoredCounter(Counter):
    """A counter of a store. ``resting`` is what its row has besides what was spent; None when it has no row."""

    resting: object = None

    def rests(self) -> object:
        """All of it that its row can have changed besides what was spent; a usual charge changes nothing of that. One
        number, since thousands of tuples a batch are work for the garbage collector. What was refused changes with how
        often.
        """
        return self.refusals << 16 | self.told_pct << 2 | self.renewal


class RollingCounter(StoredCounter):
    """A counter of a rolling window, with what is needed to write it.

    It has what was spent after ``counted_from``; ``last_at`` is when the last of it counts as past. What a batch spends
    counts as past at ``step_at``, and is what ``spent_micros`` has beyond ``before_micros``. ``passed`` is how many
    steps have left the window since its row was written. ``leaving`` begins with the oldest of the window that begins
    at ``oldest_read_at``; it is read when a batch can ask for more than there is room for, ``asked_micros`` at most.
    """

    counted_from: str = ""
    last_at: str = ""
    step_at: str = ""
    before_micros: int = 0
    passed: int = 0
    oldest_read_at: str = ""
    asked_micros: int = 0

    def rests(self) -> object:
        """With the window, which a row of a rolling counter says."""
        return (super().rests(), self.counted_from, self.last_at)


class Passed(NamedTuple):
    """What lies between two starts of a rolling window, in ``steps`` steps, and the oldest steps after the second."""

    micros: int
    steps: int
    oldest: Sequence[tuple[str, int]]


NOTHING_PASSED = Passed(0, 0, ())


class Figures(NamedTuple):
    """What is stored of a counter, in micros. Of a rolling window also what lies between the start that its row was
    written for and the one that was asked for, in ``passed`` steps; and the oldest steps, if a refusal may name them.
    """

    spent_micros: int = 0
    refused_micros: int = 0
    refusals: int = 0
    told_pct: int = 0
    renewal: int = 0
    held_micros: int = 0
    counted_from: str | None = None
    last_at: str | None = None
    between_micros: int = 0
    passed: int = 0
    oldest: Sequence[tuple[str, int]] = ()
    is_stored: bool = False
    later: Sequence[tuple[str, int]] | None = None
    """What was spent in later windows, by their start, if that was asked for."""


# Definitions


def budget_of(row: Iterable[Any]) -> Budget:
    """A budget from ``BUDGET_COLUMNS``."""
    (
        budget_id,
        wallet_id,
        label,
        unit,
        limit_whole,
        limit_fraction,
        window,
        scope,
        mode,
        shares,
        time_zone,
        week_start,
        raised_whole,
        raised_fraction,
        raised_until,
        created_at,
    ) = row
    return Budget(
        budget_id,
        wallet_id,
        label,
        unit,
        limit_whole * MICROS + limit_fraction,
        window,
        _scope_of(scope),
        mode,
        _shares_of(shares),
        time_zone,
        week_start,
        None if raised_whole is None else raised_whole * MICROS + raised_fraction,
        raised_until,
        created_at,
    )


def budget_row(budget: Budget) -> dict[str, Any]:
    """The reverse of ``budget_of``, by the names of the columns."""
    limit_whole, limit_fraction = divmod(budget.limit_micros, MICROS)
    raised_whole, raised_fraction = (
        (None, None) if budget.raised_micros is None else divmod(budget.raised_micros, MICROS)
    )
    return {
        "budget_id": budget.budget_id,
        "wallet_id": budget.wallet_id,
        "label": budget.label,
        "unit": budget.unit,
        "limit_whole": limit_whole,
        "limit_fraction": limit_fraction,
        "time_window": budget.window,
        "scope": json.encode(budget.scope).decode(),
        "mode": budget.mode,
        "shares": json.encode(budget.shares_pct).decode(),
        "time_zone": budget.time_zone,
        "week_start": budget.week_start,
        "raised_whole": raised_whole,
        "raised_fraction": raised_fraction,
        "raised_until": budget.raised_until,
        "created_at": budget.created_at,
    }


def described(budget: Budget) -> dict[str, Any]:
    """A budget in the log of changes; the names of its conditions are those inside."""
    return {
        "label": budget.label,
        "unit": budget.unit,
        "limit": decimal_text(budget.limit_micros),
        "window": budget.window,
        "scope": dict(budget.scope),
        "mode": budget.mode,
        "shares_pct": list(budget.shares_pct),
        "time_zone": budget.time_zone,
        "week_start": budget.week_start,
        "raised_limit": None if budget.raised_micros is None else decimal_text(budget.raised_micros),
        "raised_until": budget.raised_until,
    }


def parse_kinds(text: str) -> dict[str, int]:
    """How many of a wallet's live budgets are found by each kind of anchor, from its column ``budget_kinds``."""
    return _kinds_decoder.decode(text) if text else {}


def format_kinds(kinds: Mapping[str, int]) -> str:
    """The reverse of ``parse_kinds``; kinds without budgets are left out."""
    used = {kind: live for kind, live in sorted(kinds.items()) if live}
    return json.encode(used).decode() if used else ""


# What holds reserve


def parse_reserved(text: str | None) -> tuple[tuple[Reserved, ...], bool]:
    """What a hold reserves, and whether it has been counted as a call, from its column ``reserved``."""
    if text is None:
        return (), False
    counted, reserved = _reserved_decoder.decode(text)
    return reserved, bool(counted)


def format_reserved(hold: HoldState) -> str | None:
    """The reverse; a hold that reserves nothing says only what its captured amounts do not."""
    if not hold.reserved and not (hold.is_counted and not hold.captured_micros + hold.above_micros):
        return None
    return json.encode((int(hold.is_counted), hold.reserved)).decode()


# Counters


def spent_row(counter: Counter) -> tuple[Any, ...]:
    """What was spent in a counter's window, in the order of ``SPENT_COLUMNS``."""
    budget = counter.budget
    spent, spent_fraction = divmod(counter.spent_micros, MICROS)
    refused, refused_fraction = divmod(counter.refused_micros, MICROS) if counter.refused_micros else (0, 0)
    window_end: str = counter.resets_at
    counted_from: str | None = None
    last_at: str | None = None
    if isinstance(counter, RollingCounter):
        window_end, counted_from, last_at = "", counter.counted_from, counter.last_at or None
    return (
        budget.wallet_id,
        budget.budget_id,
        counter.window_start,
        counter.value,
        window_end,
        spent,
        spent_fraction,
        refused,
        refused_fraction,
        counter.refusals,
        counter.told_pct,
        counter.renewal,
        counted_from,
        last_at,
    )


def moved_row(counter: Counter) -> tuple[Any, ...]:
    """A counter in the order of ``MOVED_COLUMNS``."""
    budget = counter.budget
    whole, fraction = divmod(counter.spent_micros, MICROS)
    return (budget.wallet_id, budget.budget_id, counter.window_start, counter.value, whole, fraction)


def figures_of(row: Iterable[Any], between: Passed = NOTHING_PASSED) -> Figures:
    """From ``FIGURE_COLUMNS``, each NULL where there is no row."""
    spent, spent_fraction, refused, refused_fraction, refusals, told_pct, renewal, *others = row
    held, held_fraction, since, last_at = others
    return Figures(
        0 if spent is None else spent * MICROS + spent_fraction,
        0 if refused is None else refused * MICROS + refused_fraction,
        refusals or 0,
        told_pct or 0,
        renewal or 0,
        0 if held is None else held * MICROS + held_fraction,
        since,
        last_at,
        *between,
        spent is not None,
    )


def with_later_windows(
    figures: Iterable[Figures], counters: Iterable[Counter], rows: Iterable[tuple[Any, ...]]
) -> list[Figures]:
    """The counters' figures with what was spent in later windows, from ``LATER_COLUMNS``."""
    later: dict[tuple[int, str], list[tuple[str, int]]] = {}
    for budget_id, value, start, spent, fraction in rows:
        if spent or fraction:
            later.setdefault((budget_id, value), []).append((start, spent * MICROS + fraction))
    return [
        each._replace(later=sorted(later.get((counter.budget.budget_id, counter.value), ())))
        for each, counter in zip(figures, counters, strict=True)
    ]


def moved_or_whole(counters: Iterable[Counter]) -> tuple[list[Counter], list[Counter]]:
    """Counters of whose rows only what was spent has changed, and those whose rows are written whole, new ones among
    them; notes in each what its row has from now on.
    """
    moved: list[Counter] = []
    whole: list[Counter] = []
    for counter in counters:
        if isinstance(counter, StoredCounter):
            rests = counter.rests()
            if counter.resting == rests:
                moved.append(counter)
                continue
            counter.resting = rests
        whole.append(counter)
    return moved, whole


def held_row(counter: Counter) -> tuple[Any, ...]:
    """What holds reserve in a counter, in the order of ``HELD_COLUMNS``."""
    budget = counter.budget
    return (budget.wallet_id, budget.budget_id, counter.value, *divmod(counter.held_micros, MICROS))


def step_rows(counters: Iterable[Counter]) -> list[tuple[Any, ...]]:
    """What a batch has spent in rolling windows, in the order of ``STEP_COLUMNS``; notes it in the counters."""
    rows = []
    for counter in counters:
        if isinstance(counter, RollingCounter) and (micros := counter.spent_micros - counter.before_micros):
            budget = counter.budget
            rows.append((budget.wallet_id, budget.budget_id, counter.value, counter.step_at, *divmod(micros, MICROS)))
            counter.last_at = max(counter.last_at, counter.step_at)
            counter.before_micros = counter.spent_micros
    return rows


# The log of changes


def change_row(change: BudgetChange, at: str) -> tuple[Any, ...]:
    """A change made at an instant, in the order of ``CHANGE_COLUMNS``."""
    return (
        change.wallet_id,
        change.budget_id,
        change.changed_by,
        at,
        None if change.before is None else json.encode(change.before).decode(),
        None if change.after is None else json.encode(change.after).decode(),
        change.after_txn_id,
    )
