"""The counters of a replay, kept in memory: those of windows that may still be charged in, and no others."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from credit_wallet.domain.budgets import Budget, Labels, anchors_of, counted_as, kind_of
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.windows import Span, window_at
from credit_wallet.rules.counters import Steps, covers, opened
from credit_wallet.rules.state import Counter, Payment

KEPT = timedelta(hours=1)
"""How long a window is kept after its end, for entries of a node whose clock was behind."""

MAX_OTHERS = 60
"""Windows of a value that are kept beside the current one, for the same."""

MIN_SWEPT = 2_000
MAX_MATCHES = 20_000


class Spans:
    """The windows that time is in, by their kind: most charges fall in the one of the charge before, whoever's."""

    def __init__(self) -> None:
        self._latest: dict[tuple[str, str, str], Span] = {}

    def at(self, budget: Budget, now: datetime, at: str) -> Span | None:
        """A budget's window at ``now``, written ``at``; None for a rolling one."""
        if budget.rolls is not None:
            return None
        kind = (budget.window, budget.time_zone, budget.week_start)
        span = self._latest.get(kind)
        if span is None or not (span.start <= at and (not span.end or at < span.end)):
            span = self._latest[kind] = window_at(budget.window, now, budget.time_zone, budget.week_start)
        return span


class Place:
    """Where charges count: one value of one wallet's budget, with its windows."""

    __slots__ = ("_spans", "budget", "counter", "latest_end", "others", "steps", "value")

    def __init__(self, budget: Budget, value: str, spans: Spans, now: datetime, at: str) -> None:
        self.budget, self.value, self._spans = budget, value, spans
        self.counter = opened(budget, value, now, spans.at(budget, now, at))
        self.others: list[Counter] = []
        self.latest_end = self.counter.resets_at
        self.steps = None if budget.rolls is None else Steps(budget.rolls)

    def counter_at(self, now: datetime, at: str) -> Counter:
        """The counter for a charge at ``now``, written ``at``."""
        if self.steps is not None:
            self.steps.move_to(now)
            self.counter.spent_micros = self.steps.spent_micros
        elif not covers(self.counter, at):
            self._change_window(now, at)
        return self.counter

    def _change_window(self, now: datetime, at: str) -> None:
        found = None if at >= self.latest_end else next((each for each in self.others if covers(each, at)), None)
        if found is not None:
            self.others.remove(found)
        self.others.append(self.counter)
        del self.others[:-MAX_OTHERS]
        self.counter = found or opened(self.budget, self.value, now, self._spans.at(self.budget, now, at))
        self.latest_end = max(self.latest_end, self.counter.resets_at)

    def keep(self, now: datetime) -> None:
        """Keep what was counted at ``now`` in a rolling window."""
        if self.steps is not None and (spent_micros := self.counter.spent_micros - self.steps.spent_micros):
            self.steps.add(now, spent_micros)

    def is_over(self, until: datetime, end: str) -> bool:
        """Whether all its windows ended by ``until``, written ``end``."""
        if self.steps is not None:
            return self.steps.is_over(until)
        return bool(self.latest_end) and self.latest_end <= end


class Windows:
    """The places of every wallet, budget and value."""

    def __init__(self) -> None:
        self._places: dict[tuple[int, int, str], Place] = {}
        self._matches: dict[Payment, list[Place]] = {}
        self._spans = Spans()
        self._sweep_after = MIN_SWEPT

    def __len__(self) -> int:
        return len(self._places)

    def known(self, name: Payment) -> list[Place] | None:
        """What ``matching`` has found for a charge that is called ``name``, if it is remembered."""
        return self._matches.get(name)

    def matching(
        self, name: Payment, labels: Labels, budgets: Mapping[str, Sequence[Budget]], now: datetime, at: str
    ) -> list[Place]:
        """Where a charge counts that is called ``name`` and has ``labels``, in the order of budgets. ``budgets`` are
        the wallet's, by their anchors.
        """
        kinds = frozenset(map(kind_of, budgets))
        of_charge = [each for anchor in anchors_of(labels, kinds) for each in budgets.get(anchor, ())]
        found = [*self._places_of(sorted(of_charge, key=_by_order), labels, now, at)]
        if len(self._matches) >= MAX_MATCHES:
            self._matches.clear()
        self._matches[name] = found
        return found

    def keep(self, places: Iterable[Place], now: datetime) -> None:
        """Keep what was counted at ``now``, and from time to time forget what is over."""
        for place in places:
            place.keep(now)
        if len(self._places) >= self._sweep_after:
            until = now - KEPT
            end = format_instant(until)
            self._places = {name: place for name, place in self._places.items() if not place.is_over(until, end)}
            self._matches.clear()
            self._sweep_after = max(MIN_SWEPT, 2 * len(self._places))

    def _places_of(self, budgets: Iterable[Budget], labels: Labels, now: datetime, at: str) -> Iterable[Place]:
        for budget in budgets:
            value = counted_as(budget.scope, labels)
            if value is None:
                continue
            name = (budget.wallet_id, budget.budget_id, value)
            place = self._places.get(name)
            if place is None:
                place = self._places[name] = Place(budget, value, self._spans, now, at)
            yield place


def _by_order(budget: Budget) -> tuple[bool, int]:
    """The ledger's own budgets before the plan's, which have negative ids, each in the order of creation."""
    return budget.budget_id < 0, abs(budget.budget_id)
