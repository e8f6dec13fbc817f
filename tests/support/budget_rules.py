"""One wallet with budgets on the rules alone: it loads and keeps what a store would, and only what ``decide`` names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from itertools import count

from budget_model import ModelBudget
from decisions import decide_twice
from msgspec import structs

from credit_wallet.domain.budgets import Budget, Reserved, anchor_of, counted_as, kind_of, labels_of
from credit_wallet.domain.commands import Command
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.windows import second_after
from credit_wallet.errors import WalletError
from credit_wallet.rules.counters import opened
from credit_wallet.rules.decision import Decision
from credit_wallet.rules.details import exact_micros, parse_detail, usage_of
from credit_wallet.rules.lots import parse_allocation
from credit_wallet.rules.state import (
    ClawbackState,
    Counter,
    EntryRecord,
    HoldState,
    KeyState,
    LotOpening,
    PurchaseState,
    Snapshot,
    WalletState,
)
from credit_wallet.stores.affected import payments_of, roll, to_roll

WALLET = 1
Name = tuple[int, str]


class RulesAlone:
    """Rows in dictionaries."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self.clock = clock
        self.wallet = WalletState(WALLET, 0, 0, 0, [], "", 0, 0, 0, None, False, True, None, 0, "alert", 0, 0, "UTC")
        self.wallet_id = WALLET
        self.keys: dict[int, KeyState] = {}
        self.holds: dict[int, HoldState] = {}
        self.entries: dict[int, EntryRecord] = {}
        self.purchases: dict[tuple[str, int], PurchaseState] = {}
        self.clawbacks: dict[int, dict[int, ClawbackState]] = {}
        self.openings: dict[tuple[int, int], LotOpening] = {}
        self.budgets: dict[int, Budget] = {}
        self.rows: dict[tuple[int, str, str], tuple[int, int, int]] = {}
        """Spent, refused and refusals by budget, value and start of the window; of rolling ones refusals alone."""
        self.steps: dict[Name, dict[datetime, int]] = {}
        self.held: dict[Name, int] = {}
        self.cycles: dict[tuple[int, str], int] = {}
        self.txn_ids, self.hold_ids, self.budget_ids = count(1), count(1), count(1)

    # Budgets and keys

    def open_key(self, cap_yen: int) -> int:
        key_id = len(self.keys) + 1
        self.keys[key_id] = KeyState(key_id, WALLET, cap_yen, "", 0, 0, None, None)
        return key_id

    def set_group(self, key_id: int, group: str | None) -> None:
        self.keys[key_id].group = group

    def make(self, model: ModelBudget) -> str:
        budget = Budget(
            next(self.budget_ids), WALLET, None, "yen", 0, model.window, tuple(sorted(model.scope.items())), "alert",
            (80, 100), model.zone, model.week_start, None, None, format_instant(self.clock()),
        )  # fmt: skip
        self.budgets[budget.budget_id] = budget = _as_set(budget, model)
        self.wallet.budget_kinds |= {kind_of(anchor_of(budget.scope))}
        for hold in self.holds.values():
            group = None if hold.key_id is None else self.keys[hold.key_id].group
            value = counted_as(budget.scope, labels_of(hold.key_id, group, hold.usage))
            if hold.status == "open" and value is not None:
                hold.reserved = (*hold.reserved, Reserved(budget.budget_id, value))
                cost_micros = hold.left_micros if budget.unit == "yen" else budget.cost_of(0) * (not hold.is_counted)
                name = budget.budget_id, value
                self.held[name] = self.held.get(name, 0) + cost_micros
        return f"budget-{budget.budget_id}"

    def change(self, model: ModelBudget) -> None:
        budget_id = _id_of(model)
        self.budgets[budget_id] = _as_set(self.budgets[budget_id], model)

    def delete(self, model: ModelBudget) -> None:
        del self.budgets[_id_of(model)]

    def reopen(self) -> None:
        """Nothing is kept elsewhere."""

    def close(self) -> None:
        """Nor is anything open."""

    # Commands

    def run(self, commands: Sequence[Command], *, elsewhere: bool = False) -> list[Outcome | WalletError]:
        """``elsewhere`` is for ledgers with several nodes."""
        del elsewhere
        snapshot = self._loaded(commands)
        loaded = {name: counter.spent_micros for name, counter in snapshot.counters.items()}
        decision = decide_twice(snapshot, commands, self.clock())
        self._keep(snapshot, decision, loaded)
        return decision.outcomes

    def used(self) -> dict[tuple[str, str], tuple[int, int]]:
        """What is spent now and what is held, by budget and value, where either is."""
        names = {(budget_id, value) for budget_id, value, _ in self.rows} | self.held.keys() | self.steps.keys()
        counters = [self._counter(*name) for name in names if name[0] in self.budgets]
        return {
            (f"budget-{each.budget.budget_id}", each.value): (each.spent_micros, each.held_micros)
            for each in counters
            if each.spent_micros or each.held_micros
        }

    def refused(self, name: str, value: str) -> tuple[int, int]:
        """What a shadow would have refused of a value in the window, and how often."""
        counter = self._counter(int(name.removeprefix("budget-")), value)
        return counter.refused_micros, counter.refusals

    # Rows

    def _loaded(self, commands: Sequence[Command]) -> Snapshot:
        at = format_instant(self.clock())
        is_due = self.wallet.next_due_at is not None and self.wallet.next_due_at <= at
        due = [hold for hold in self.holds.values() if is_due and hold.status == "open" and hold.expires_at <= at]
        later = [hold.expires_at for hold in self.holds.values() if hold.status == "open" and hold.expires_at > at]
        snapshot = Snapshot(
            {WALLET: self.wallet},
            self.keys,
            self.holds,
            self.entries,
            self.openings,
            {},
            {WALLET: sorted(due, key=lambda hold: (hold.expires_at, hold.hold_id))} if due else {},
            {WALLET: min(later)} if later else {},
            [],
            self.txn_ids,
            self.hold_ids,
            purchases=self.purchases,
            clawbacks=self.clawbacks,
        )
        for rolling in list(to_roll({WALLET: self.wallet}, self.keys, [WALLET], list(self.keys), self.clock())):
            spent_micros = self.cycles.get((rolling.key_id, rolling.cycle), 0)
            roll(snapshot, rolling, spent_micros, 0)
        for cycle, _, key_id, spent_micros in snapshot.left_cycles:
            self.cycles[key_id, cycle] = spent_micros
        snapshot.later_cycles = self._later_cycles()
        self._match(snapshot, commands)
        return snapshot

    def _later_cycles(self) -> dict[tuple[int, int], list[tuple[str, int]]]:
        later: dict[tuple[int, int], list[tuple[str, int]]] = {}
        for (key_id, cycle), spent_micros in sorted(self.cycles.items()):
            if cycle > self.wallet.current_cycle:
                later.setdefault((WALLET, key_id), []).append((f"{cycle}-01T00:00:00.000Z", spent_micros))
        return later

    def _match(self, snapshot: Snapshot, commands: Sequence[Command]) -> None:
        counters = snapshot.counters
        for payment, labels in payments_of(snapshot, commands).items():
            names = [
                (budget_id, value)
                for budget_id, budget in sorted(self.budgets.items())
                if (value := counted_as(budget.scope, labels)) is not None
            ]
            for name in names:
                counters.setdefault(name, self._counter(*name))
            snapshot.matched[payment] = tuple(counters[name] for name in names)
        for hold in self.holds.values():
            for each in hold.reserved:
                if each.budget_id in self.budgets:
                    counters.setdefault((each.budget_id, each.value), self._counter(each.budget_id, each.value))

    def _counter(self, budget_id: int, value: str) -> Counter:
        now, budget = self.clock(), self.budgets[budget_id]
        counter = opened(budget, value, now)
        row = self.rows.get((budget_id, value, counter.window_start), (0, 0, 0))
        counter.spent_micros, counter.refused_micros, counter.refusals = row
        counter.held_micros = self.held.get((budget_id, value), 0)
        counter.later = sorted(
            (start, spent)
            for (of, of_value, start), (spent, *_) in self.rows.items()
            if (of, of_value) == (budget_id, value) and start > counter.window_start and spent
        )
        if budget.rolls is not None:
            length = timedelta(seconds=budget.rolls)
            steps = {at + length: micros for at, micros in self.steps.get((budget_id, value), {}).items()}
            leaving = [(format_instant(at), steps[at]) for at in sorted(steps) if at > now]
            counter.leaving, counter.spent_micros = leaving, sum(micros for _, micros in leaving)
            counter.empty_at = leaving[-1][0] if leaving else ""
            counter.leaves_at = format_instant(second_after(now) + length)
        return counter

    def _keep(self, snapshot: Snapshot, decision: Decision, loaded: dict[Name, int]) -> None:
        for (budget_id, value), counter in decision.spent_in.items():
            of = budget_id, value
            row = (counter.spent_micros, counter.refused_micros, counter.refusals)
            if counter.budget.rolls is not None:
                steps, second = self.steps.setdefault(of, {}), second_after(self.clock())
                steps[second] = steps.get(second, 0) + counter.spent_micros - loaded[of]
                row = (0, counter.refused_micros, counter.refusals)
            self.rows[budget_id, value, counter.window_start] = row
        for name, counter in decision.held_in.items():
            self.held[name] = counter.held_micros
        for entry in decision.appended():
            detail = parse_detail(entry.detail)
            self.entries[entry.txn_id] = EntryRecord(
                entry.txn_id,
                entry.wallet_id,
                exact_micros(entry.amount_yen, detail),
                entry.txn_type,
                parse_allocation(entry.lots),
                snapshot.entries[entry.txn_id].returned_micros if entry.txn_id in snapshot.entries else 0,
                usage_of(detail),
                entry.occurred_at,
            )


def _as_set(budget: Budget, model: ModelBudget) -> Budget:
    return structs.replace(
        budget,
        unit=model.unit,
        limit_micros=model.limit,
        mode=model.mode,
        raised_micros=model.raised,
        raised_until=None if model.raised is None else format_instant(model.raised_until),
    )


def _id_of(model: ModelBudget) -> int:
    return int(model.name.removeprefix("budget-"))
