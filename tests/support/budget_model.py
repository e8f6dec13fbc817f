"""Budgets a second time, slowly: what is spent is the sum of the entries, what is held is the sum of the open holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from naive_windows import leaves_at, naive_window

YEN = 10**6
CALL = 10**6
FAR = datetime(2999, 1, 1, tzinfo=UTC)

Labels = dict[str, str]
"""Facts by their keys; item, key and group as ``.item``, ``.key_id``, ``.group``."""


@dataclass(eq=False)
class ModelBudget:
    name: str
    unit: str
    limit: int
    window: str
    scope: dict[str, str]
    mode: str
    zone: str
    week_start: str
    since: int
    """The entries before it."""
    raised: int | None = None
    raised_until: datetime = FAR
    refused: list[tuple[datetime, str, int]] = field(default_factory=list)
    """Of a shadow: when, for which value and how much."""

    @property
    def rolls(self) -> int:
        """Seconds of a rolling window, 0 for others."""
        if not self.window.startswith("rolling:"):
            return 0
        return int(self.window[8:-1]) * {"m": 60, "h": 3600, "d": 86400}[self.window[-1]]

    def limit_at(self, now: datetime) -> int:
        return self.raised if self.raised is not None and now < self.raised_until else self.limit

    def cost(self, micros: int) -> int:
        return micros if self.unit == "yen" else CALL

    def value(self, labels: Labels) -> str | None:
        """Which of its values a charge counts for, None for none."""
        values = []
        for name in sorted(self.scope):
            wanted, label = self.scope[name], labels.get(name)
            if label is None:
                return None
            if wanted == "*":
                values.append(label)
            elif name == ".group":
                if not f"{label}/".startswith(f"{wanted}/"):
                    return None
            elif label != wanted:
                return None
        return "\x1f".join(values)

    def counts(self, spent_at: datetime, now: datetime) -> bool:
        """Whether what was spent then is in the window of now."""
        if self.rolls:
            return leaves_at(spent_at, self.rolls) > now
        return self._window(spent_at) == self._window(now)

    def later(self, moments: Iterable[datetime], now: datetime, until: datetime) -> set[datetime]:
        """The starts of the windows of moments, later ones than that of now and before ``until``."""
        starts = set() if self.rolls else {self._window(moment)[0] for moment in moments}
        return {start for start in starts if start is not None and now < start < until}

    def ends(self, now: datetime) -> datetime | None:
        return None if self.rolls else self._window(now)[1]

    def _window(self, moment: datetime) -> tuple[datetime | None, datetime | None]:
        return naive_window(self.window, moment, self.zone, self.week_start)


@dataclass(eq=False)
class ModelEntry:
    at: datetime
    micros: int
    calls: int
    labels: Labels
    passed_by: set[ModelBudget] = field(default_factory=set)
    """Shadows that would have refused it."""


@dataclass(eq=False)
class ModelReserve:
    """What a hold sets aside. It is for ``item`` if it is captured whole at once."""

    micros: int
    key_id: int | None
    item: str | None
    facts: Labels
    agent_facts: Labels
    expires: datetime
    made: datetime
    reserves: dict[tuple[ModelBudget, str], bool] = field(default_factory=dict)
    """Where; False in a shadow that would have refused it."""
    captured: int = 0
    is_counted: bool = False
    status: str = "open"
    served: bool = False

    @property
    def left(self) -> int:
        return self.micros - self.captured


class ModelSpender:
    """A wallet with budgets, all of whose credit is of one kind and never ends."""

    def __init__(self) -> None:
        self.balance = 0
        self.debt = 0
        self.budgets: list[ModelBudget] = []
        self.holds: list[ModelReserve] = []
        self.entries: list[ModelEntry] = []
        self.groups: dict[int, str | None] = {}

    # What is used

    def spent(self, budget: ModelBudget, value: str, now: datetime) -> int:
        of_unit = (
            entry.micros if budget.unit == "yen" else entry.calls * CALL
            for entry in self.entries[budget.since :]
            if budget not in entry.passed_by and budget.value(entry.labels) == value and budget.counts(entry.at, now)
        )
        return sum(of_unit)

    def held(self, budget: ModelBudget, value: str) -> int:
        return sum(
            hold.left if budget.unit == "yen" else CALL * (not hold.is_counted)
            for hold in self.holds
            if hold.status == "open" and hold.reserves.get((budget, value))
        )

    def left(self, budget: ModelBudget, value: str, now: datetime) -> int:
        return budget.limit_at(now) - self.spent(budget, value, now) - self.held(budget, value)

    def values(self) -> Iterator[tuple[ModelBudget, str]]:
        """Every counter that has ever been used."""
        for budget in self.budgets:
            found = {budget.value(entry.labels) for entry in self.entries}
            found |= {value for hold in self.holds for of, value in hold.reserves if of is budget}
            yield from ((budget, value) for value in sorted(each for each in found if each is not None))

    def matched(self, labels: Labels) -> list[tuple[ModelBudget, str]]:
        return [(budget, value) for budget in self.budgets if (value := budget.value(labels)) is not None]

    def labels(self, key_id: int | None, item: str | None, facts: Labels, agent_facts: Labels) -> Labels:
        labels = {**agent_facts, **facts}
        if item is not None:
            labels[".item"] = item
        if key_id is not None:
            labels[".key_id"] = str(key_id)
            group = self.groups.get(key_id)
            if group is not None:
                labels[".group"] = group
        return labels

    # What says no

    def refusing(self, micros: int, labels: Labels, now: datetime) -> list[str]:
        """The names of what says no to a charge at ``now``: budgets, or the balance."""
        names = [
            budget.name
            for budget, value in self.matched(labels)
            if budget.mode == "cap" and budget.cost(micros) and budget.cost(micros) > self.left(budget, value, now)
        ]
        return [*names, "balance"] if micros > self.balance else names

    def full_later(self, budget: ModelBudget, value: str, cost: int, now: datetime, until: datetime) -> set[datetime]:
        """The starts of later windows in which others have spent already, and no more can be held until then."""
        starts = budget.later((entry.at for entry in self.entries), now, until)
        return {
            start for start in starts if cost > self.left(budget, value, start) and self.spent(budget, value, start)
        }

    def refusing_late(self, hold: ModelReserve, labels: Labels, now: datetime) -> list[str]:
        """The names of the caps that have no room for a new hold in later windows."""
        return [
            budget.name
            for budget, value in self.matched(labels)
            if budget.mode == "cap"
            and (cost := budget.cost(hold.micros))
            and self.full_later(budget, value, cost, now, hold.expires)
        ]

    def refusing_early(self, hold: ModelReserve, inside: int, labels: Labels, now: datetime) -> list[str]:
        """The names of the caps that have no room for the capture of a hold that is made later than now."""
        return [
            budget.name
            for budget, value in self.matched(labels)
            if budget.mode == "cap"
            and (inside if budget.unit == "yen" else not hold.is_counted)
            and (budget.ends(now) or hold.made) <= hold.made
            and now < hold.made
            and self.left(budget, value, now) < 0
        ]

    def extended(self, hold: ModelReserve, until: datetime, now: datetime) -> datetime:
        """Until when an open hold can be extended."""
        starts = [
            start
            for (budget, value), is_held in hold.reserves.items()
            if is_held and budget.mode == "cap" and budget in self.budgets
            for start in self.full_later(budget, value, 0, now, until)
        ]
        return max(hold.expires, min([until, *starts]))

    def most(self, labels: Labels, now: datetime) -> int:
        """The largest charge that passes, 0 for none."""
        most = self.balance
        for budget, value in self.matched(labels):
            if budget.mode == "cap":
                left = self.left(budget, value, now)
                most = min(most, left if budget.unit == "yen" else most if left >= CALL else 0)
        return max(0, most)

    def passes_at(self, micros: int, labels: Labels, now: datetime) -> datetime | None:
        """When a refused charge passes if nothing else is spent: the first instant at which anything changes enough."""
        changes: set[datetime] = set()
        for budget, value in self.matched(labels):
            changes.add(budget.raised_until)
            changes.add(budget.ends(now) or FAR)
            if budget.rolls:
                mine = (entry for entry in self.entries if budget.value(entry.labels) == value)
                changes |= {leaves_at(entry.at, budget.rolls) for entry in mine}
        later = sorted(at for at in changes if now < at < FAR)
        return next((at for at in later if not self.refusing(micros, labels, at)), None)

    # What moves

    def charge(self, micros: int, labels: Labels, now: datetime) -> None:
        self.balance -= micros
        self._count(ModelEntry(now, micros, 1, labels), now)

    def charge_again(self, micros: int, labels: Labels, now: datetime) -> None:
        """For what was delivered: nothing speaks against it, and what the balance lacks is owed."""
        taken = min(micros, self.balance)
        self.debt += micros - taken
        if taken:
            self.charge(taken, labels, now)

    def hold(self, hold: ModelReserve, now: datetime) -> None:
        labels = self.labels(hold.key_id, hold.item, hold.facts, hold.agent_facts)
        for budget, value in self.matched(labels):
            cost = budget.cost(hold.micros)
            is_late = bool(cost) and bool(self.full_later(budget, value, cost, now, hold.expires))
            hold.reserves[budget, value] = not self._is_refused_in_shadow(budget, value, cost, now, is_late=is_late)
        self.balance -= hold.micros
        self.holds.append(hold)

    def captured_labels(self, hold: ModelReserve, micros: int, item: str | None, facts: Labels) -> Labels:
        """What a capture is for: its own item or that of the whole hold, its own facts before the hold's."""
        if item is None and micros == hold.micros and not hold.captured:
            item = hold.item
        return self.labels(hold.key_id, item, {**hold.facts, **facts}, hold.agent_facts)

    def fresh(self, hold: ModelReserve, labels: Labels) -> list[tuple[ModelBudget, str]]:
        """Budgets that a capture counts in and the hold does not reserve in."""
        return [
            each
            for each in self.matched(labels)
            if each not in hold.reserves or (not hold.reserves[each] and each[0].mode != "shadow")
        ]

    def refusing_capture(self, hold: ModelReserve, micros: int, labels: Labels, now: datetime) -> list[str]:
        """What says no to spending so much of a hold."""
        names = []
        for budget, value in self.fresh(hold, labels):
            cost = micros if budget.unit == "yen" else CALL * (not hold.is_counted)
            if budget.mode == "cap" and cost and cost > self.left(budget, value, now):
                names.append(budget.name)
        return names

    def room_above(self, hold: ModelReserve, inside: int, labels: Labels, now: datetime) -> int:
        """What a capture may take beyond its hold."""
        fresh = self.fresh(hold, labels)
        caps = [each for each in self.matched(labels) if each[0].mode == "cap" and each[0].unit == "yen"]
        rooms = [self.left(*each, now) - (inside if each in fresh else 0) for each in caps]
        return max(0, min([self.balance, *rooms]))

    def spend_held(
        self, hold: ModelReserve, inside: int, above: int, labels: Labels, now: datetime, *, final: bool, stays: bool
    ) -> None:
        was_open = hold.status == "open"
        is_call = not hold.is_counted
        hold.captured += inside
        closes = final or not was_open or not (hold.left or stays)
        taken = min(above, self.balance + (hold.left if closes and was_open else 0))
        if closes:
            self._close(hold, "captured")
        self.balance -= taken
        self.debt += above - taken
        if inside + taken:
            entry = ModelEntry(now, inside + taken, int(is_call), labels)
            entry.passed_by |= {
                budget for (budget, _), is_held in hold.reserves.items() if not is_held and budget.mode == "shadow"
            }
            hold.is_counted = True
            self._count(entry, now)
        self._repay()

    def release(self, hold: ModelReserve, status: str) -> None:
        self._close(hold, status if hold.left or not hold.captured else "captured")
        self._repay()

    def settle(self, now: datetime) -> None:
        """Holds that have expired by now, in that order."""
        for hold in sorted(self.holds, key=lambda hold: hold.expires):
            if hold.status == "open" and hold.expires <= now:
                if hold.served:
                    labels = self.captured_labels(hold, hold.left, None, {})
                    self.spend_held(hold, hold.left, 0, labels, now, final=True, stays=False)
                else:
                    self.release(hold, "expired")

    def credit(self, micros: int) -> None:
        """Credit that came in, or came back."""
        self.balance += micros
        self._repay()

    def make(self, budget: ModelBudget) -> None:
        """Make a budget: it counts from now on, and open holds reserve in it."""
        budget.since = len(self.entries)
        self.budgets.append(budget)
        for hold in self.holds:
            if hold.status == "open":
                value = budget.value(self.labels(hold.key_id, hold.item, hold.facts, hold.agent_facts))
                if value is not None:
                    hold.reserves[budget, value] = True

    def delete(self, budget: ModelBudget) -> None:
        self.budgets.remove(budget)

    def _count(self, entry: ModelEntry, now: datetime) -> None:
        for budget, value in self.matched(entry.labels):
            cost = entry.micros if budget.unit == "yen" else entry.calls * CALL
            if budget not in entry.passed_by and self._is_refused_in_shadow(budget, value, cost, now):
                entry.passed_by.add(budget)
        self.entries.append(entry)

    def _is_refused_in_shadow(
        self, budget: ModelBudget, value: str, cost: int, now: datetime, *, is_late: bool = False
    ) -> bool:
        has_room = cost <= self.left(budget, value, now) and not is_late
        is_refused = budget.mode == "shadow" and bool(cost) and not has_room
        if is_refused:
            budget.refused.append((now, value, cost))
        return is_refused

    def _close(self, hold: ModelReserve, status: str) -> None:
        if hold.status == "open":
            self.balance += hold.left
        hold.status = status

    def _repay(self) -> None:
        repaid = min(self.debt, self.balance)
        self.debt -= repaid
        self.balance -= repaid


def refused_of(budget: ModelBudget, value: str, now: datetime) -> tuple[int, int]:
    """What a shadow would have refused of a value in the window: how much, how often."""
    costs = [cost for at, of, cost in budget.refused if of == value and budget.counts(at, now)]
    return sum(costs), len(costs)
