"""Loading budgets: which ones a batch's charges match, and what is counted in them at its instant.

The same for every store, after everything else is loaded: the labels of each charge, by them the anchors at which its
budgets are found, and a counter for each budget and value. All of it stays in memory between batches, until somebody
else has written: anything on SQLite, the wallet's row on PostgreSQL. A counter is read again when its window has ended.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from credit_wallet.domain.budgets import CALL, Budget, Unit, anchor_of, anchors_of, counted_as
from credit_wallet.domain.commands import Buy, Capture, Charge, Command, Hold
from credit_wallet.domain.cycle import format_instant, parse_instant
from credit_wallet.domain.money import MAX_AMOUNT_MICROS
from credit_wallet.domain.windows import ALWAYS, second_after
from credit_wallet.rules.counters import covers, opened
from credit_wallet.rules.state import Counter, Payment, Snapshot
from credit_wallet.stores.affected import labels_in, makes_holds, payments_in
from credit_wallet.stores.budget_rows import Figures, RollingCounter, StoredCounter

KNOWN_BUDGETS = 50_000
"""Counters, charges and anchors kept in memory, each; about 1 KB."""

OLDEST_STEPS = 256
"""Steps of a rolling window that a refusal can say the end of, the oldest."""

MAX_PASSED = 64
"""Steps that may have left a rolling window before its row is written again without any spending."""

_UNREAD = "~"
"""The start of a window that is after every instant."""


class BudgetTables(Protocol):
    """The tables of budgets of one database."""

    def definitions(self, anchors: Collection[tuple[int, str]], ids: Collection[tuple[int, int]]) -> list[Budget]:
        """The live budgets of wallets at anchors, and those of wallets by id."""

    def figures(self, counters: Sequence[Counter], *, with_later: bool) -> list[Figures]:
        """What is stored of each counter in its window, and in later ones; of a rolling one after ``counted_from``."""

    def put_spent(self, counters: Sequence[Counter]) -> None:
        """Write what was spent in the counters' windows."""


class _OfWallet(NamedTuple):
    """What is known of one wallet, by the names of it."""

    payments: list[Payment]
    anchors: list[tuple[int, str]]
    counters: list[tuple[int, str]]
    budget_ids: set[int]


class KnownBudgets:
    """Budgets, counters and which of them charges match."""

    def __init__(self) -> None:
        self.counters: dict[tuple[int, str], Counter] = {}
        self.matched: dict[Payment, tuple[Counter, ...]] = {}
        self._budgets: dict[int, Budget | None] = {}
        self._found: dict[tuple[int, str], tuple[Budget, ...]] = {}
        self._current: set[Payment] = set()
        """Charges of which all counters are right from ``_since`` until ``_until``."""
        self._since, self._until = ALWAYS, _UNREAD
        self._of_wallets: dict[int, _OfWallet] = {}

    def clear(self) -> None:
        """Forget everything."""
        self.counters.clear()
        self.matched.clear()
        self._budgets.clear()
        self._found.clear()
        self._of_wallets.clear()
        self._begin_anew()

    def forget(self, wallet_id: int) -> None:
        """Forget all of one wallet."""
        gone = self._of_wallets.pop(wallet_id, None)
        if gone is None:
            return
        for payment in gone.payments:
            self.matched.pop(payment, None)
        self._current.difference_update(gone.payments)
        for anchor in gone.anchors:
            self._found.pop(anchor, None)
        for counter in gone.counters:
            self.counters.pop(counter, None)
        for budget_id in gone.budget_ids:
            self._budgets.pop(budget_id, None)

    def bound(self) -> None:
        """Forget everything when it is too much."""
        if max(len(self.counters), len(self.matched), len(self._found), len(self._budgets)) > KNOWN_BUDGETS:
            self.clear()

    def load(self, tables: BudgetTables, snapshot: Snapshot, commands: Sequence[Command], now: datetime) -> None:
        """Give ``snapshot`` the counters of all that ``commands`` can charge, and of what its holds reserve."""
        snapshot.counters, snapshot.matched = self.counters, self.matched
        at = format_instant(now)
        if not self._since <= at < self._until:
            self._begin_anew()
        holds = makes_holds(commands)
        payments = payments_in(snapshot, commands)
        if not holds:
            payments -= self._current
        reserving = {
            (hold.wallet_id, reserved.budget_id, reserved.value)
            for hold in snapshot.holds.values()
            for reserved in hold.reserved
            if reserved.is_held
        }
        new = [name for name in payments if name not in self.matched]
        if new or reserving:
            self._match(tables, snapshot, new, reserving)
        in_use = {
            (counter.budget.budget_id, counter.value): counter for name in payments for counter in self.matched[name]
        }
        for _, budget_id, value in reserving:
            if budget := self._budgets[budget_id]:
                in_use[budget_id, value] = self._counter(budget, value)
        _note_asked(in_use.values(), commands)
        self._bring_to(tables, in_use.values(), now, with_later=holds)
        for name in payments:
            self._note_current(name, at)

    def _begin_anew(self) -> None:
        """Look at every counter again."""
        self._current.clear()
        self._since, self._until = ALWAYS, _UNREAD

    def _note_current(self, name: Payment, at: str) -> None:
        """The counters of a charge need no look before the first of their windows, or of their raises, ends."""
        counters = self.matched[name]
        if any(isinstance(counter, RollingCounter) for counter in counters):
            return
        self._current.add(name)
        for counter in counters:
            self._since = max(self._since, counter.window_start)
            self._until = min(self._until, counter.resets_at or _UNREAD)
            raised_until = counter.budget.raised_until
            if raised_until is not None and raised_until <= at:
                self._since = max(self._since, raised_until)
            elif raised_until is not None:
                self._until = min(self._until, raised_until)

    def _match(
        self,
        tables: BudgetTables,
        snapshot: Snapshot,
        new: Iterable[Payment],
        reserving: Iterable[tuple[int, int, str]],
    ) -> None:
        """Find the budgets of charges that are not known yet, and those that holds reserve in."""
        labels = {name: labels_in(snapshot, name) for name in new}
        sought = {
            name: [(name[0], anchor) for anchor in anchors_of(of, snapshot.wallets[name[0]].budget_kinds)]
            for name, of in labels.items()
        }
        anchors = {anchor for each in sought.values() for anchor in each if anchor not in self._found}
        ids = {(wallet_id, budget_id) for wallet_id, budget_id, _ in reserving if budget_id not in self._budgets}
        if anchors or ids:
            self._define(tables, anchors, ids)
        for name, of in labels.items():
            budgets = sorted((budget.budget_id, budget) for anchor in sought[name] for budget in self._found[anchor])
            values = ((budget, counted_as(budget.scope, of)) for _, budget in budgets)
            self.matched[name] = tuple(self._counter(budget, value) for budget, value in values if value is not None)
            self._of(name[0]).payments.append(name)

    def _of(self, wallet_id: int) -> _OfWallet:
        return self._of_wallets.get(wallet_id) or self._of_wallets.setdefault(wallet_id, _OfWallet([], [], [], set()))

    def _define(self, tables: BudgetTables, anchors: set[tuple[int, str]], ids: set[tuple[int, int]]) -> None:
        for wallet_id, budget_id in ids:
            self._budgets[budget_id] = None
            self._of(wallet_id).budget_ids.add(budget_id)
        found: dict[tuple[int, str], dict[int, Budget]] = {anchor: {} for anchor in anchors}
        for budget in tables.definitions(sorted(anchors), sorted(ids)):
            known = self._budgets.get(budget.budget_id) or budget
            self._budgets[budget.budget_id] = known
            self._of(budget.wallet_id).budget_ids.add(budget.budget_id)
            anchor = (budget.wallet_id, anchor_of(budget.scope))
            if anchor in found:
                found[anchor][budget.budget_id] = known
        for anchor, budgets in found.items():
            self._found[anchor] = tuple(budgets.values())
            self._of(anchor[0]).anchors.append(anchor)

    def _counter(self, budget: Budget, value: str) -> Counter:
        """The counter of a budget for one value, known or to be read."""
        name = (budget.budget_id, value)
        counter = self.counters.get(name)
        if counter is None:
            counter = (
                StoredCounter(budget, value, _UNREAD, "", 0)
                if budget.rolls is None
                else RollingCounter(budget, value, "", "", 0, later=())
            )
            self.counters[name] = counter
            self._of(budget.wallet_id).counters.append(name)
        return counter

    def _bring_to(self, tables: BudgetTables, counters: Iterable[Counter], now: datetime, *, with_later: bool) -> None:
        """Bring counters to the windows that ``now`` falls in, reading those that are in others, and those of which
        later windows are not known, if they matter.
        """
        at = format_instant(now)
        stale = []
        for counter in counters:
            if counter.budget.raised_until is not None:
                counter.limit_micros = counter.budget.limit_at(at)
            is_known = _roll(counter, now) if isinstance(counter, RollingCounter) else covers(counter, at)
            if not is_known or (with_later and counter.later is None):
                stale.append(counter)
        if not stale:
            return
        windows: dict[tuple[str, str, str], Counter] = {}
        for counter in stale:
            budget = counter.budget
            name = (budget.window, budget.time_zone, budget.week_start)
            fresh = windows.get(name) or windows.setdefault(name, opened(budget, counter.value, now))
            counter.window_start, counter.resets_at = fresh.window_start, fresh.resets_at
            counter.limit_micros = budget.limit_at(at)
        for counter, figures in zip(stale, tables.figures(stale, with_later=with_later), strict=True):
            _fill(counter, figures)
        passed = [each for each in stale if isinstance(each, RollingCounter) and each.passed > MAX_PASSED]
        if passed:
            tables.put_spent(passed)


def _note_asked(counters: Iterable[Counter], commands: Sequence[Command]) -> None:
    """Note in rolling counters how much ``commands`` can ask of them: what an item costs may be anything."""
    rolling = [counter for counter in counters if isinstance(counter, RollingCounter)]
    if not rolling:
        return
    asked: dict[tuple[int, Unit], int] = {}
    for command in commands:
        if isinstance(command, Charge | Hold | Buy | Capture):
            units: dict[Unit, int] = {"yen": command.amount_micros or MAX_AMOUNT_MICROS, "calls": CALL}
            for unit, micros in units.items():
                asked[command.wallet_id, unit] = asked.get((command.wallet_id, unit), 0) + micros
    for counter in rolling:
        counter.asked_micros = asked.get((counter.budget.wallet_id, counter.budget.unit), 0)


def _roll(counter: RollingCounter, now: datetime) -> bool:
    """Prepare a rolling counter for a batch at ``now``; False when it has to be read for its window."""
    length = timedelta(seconds=counter.budget.rolls or 0)
    step = second_after(now)
    counter.step_at, counter.leaves_at = format_instant(step), format_instant(step + length)
    counter.before_micros = counter.spent_micros
    start = format_instant(now.replace(microsecond=0) - length)
    if counter.counted_from != start:
        counter.counted_from = start
        return False
    if counter.asked_micros <= counter.left_micros or counter.oldest_read_at == start:
        return True
    return sum(micros for _, micros in counter.leaving) == counter.spent_micros


def _fill(counter: Counter, figures: Figures) -> None:
    counter.spent_micros = figures.spent_micros
    counter.refused_micros = figures.refused_micros
    counter.refusals = figures.refusals
    counter.told_pct = figures.told_pct
    counter.renewal = figures.renewal
    counter.held_micros = figures.held_micros
    if isinstance(counter, RollingCounter):
        _fill_window(counter, figures)
    elif isinstance(counter, StoredCounter):
        counter.later = figures.later
        counter.resting = counter.rests() if figures.is_stored else None


def _fill_window(counter: RollingCounter, figures: Figures) -> None:
    if figures.counted_from is not None and counter.counted_from < figures.counted_from:
        counter.spent_micros += figures.between_micros  # the clock was put back
    else:
        counter.spent_micros -= figures.between_micros
    counter.before_micros = counter.spent_micros
    counter.passed = figures.passed
    counter.last_at = figures.last_at or ""
    counter.empty_at = _later(counter.last_at, counter.budget) if counter.spent_micros else ""
    counter.leaving = [(_later(at, counter.budget), micros) for at, micros in figures.oldest]
    counter.oldest_read_at = counter.counted_from if counter.leaving else ""


def _later(at: str, budget: Budget) -> str:
    """When that leaves a rolling window which counts as past at ``at``."""
    return format_instant(parse_instant(at) + timedelta(seconds=budget.rolls or 0))
