"""A state machine of one wallet's budgets beside the naive model, for the rules alone and for ledgers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from budget_model import FAR, YEN, Labels, ModelBudget, ModelReserve, ModelSpender, refused_of
from budget_time import MILLISECOND, BudgetsInTime
from budget_values import (
    Paid,
    PurchaseModel,
    Side,
    amounts,
    assert_busy,
    budget_settings,
    changes,
    groups,
    positions,
    said,
    usages,
)
from clock import Clock
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule

from credit_wallet.domain.commands import (
    MAX_HOLD_SECONDS,
    Buy,
    Capture,
    Charge,
    Command,
    Configure,
    Expire,
    Extend,
    Hold,
    Refund,
    Release,
    Serve,
    Topup,
    Undo,
)
from credit_wallet.domain.cycle import format_instant, parse_instant
from credit_wallet.domain.outcomes import Extended, Outcome
from credit_wallet.errors import WalletError

START = datetime(2026, 3, 27, 22, 59, tzinfo=UTC)
CREDIT = 200 * YEN


class BudgetsBesideAModel(BudgetsInTime):
    """One wallet, two keys, any number of budgets."""

    says_first_instant = True
    """Whether ``retry_at`` is the first instant even where a window rolls: a store loads only so much of those."""

    def open_side(self, clock: Clock) -> Side:
        raise NotImplementedError

    @initialize(monthly=st.sampled_from([0, 60]))
    def open(self, monthly: int) -> None:
        self.clock = Clock(START)
        self.side = self.open_side(self.clock)
        self.wallet_id = self.side.wallet_id
        self.model = ModelSpender()
        self.sent = 0
        self.holds: list[tuple[int, ModelReserve]] = []
        self.charges: list[Paid] = []
        self.purchases: list[PurchaseModel] = []
        self.key_ids = [self.side.open_key(cap) for cap in (0, 40)]
        self.model.groups = dict.fromkeys(self.key_ids)
        self.monthly = self._seed_budget(f"monthly-{self.wallet_id}", 0, {})
        self._seed_budget(f"key-{self.key_ids[1]}", 40, {".key_id": str(self.key_ids[1])})
        self._set_monthly(monthly)
        self._send(Topup(self.wallet_id, self._key(), amount_micros=CREDIT))
        self.model.credit(CREDIT)

    def teardown(self) -> None:
        if hasattr(self, "side"):
            self.side.close()

    # Charges and refusals

    @rule(micros=amounts, usage=usages, key=st.sampled_from([None, 0, 1]), elsewhere=st.booleans())
    def charge(self, micros: int, usage: Any, key: int | None, elsewhere: bool) -> None:
        key_id = None if key is None else self.key_ids[key]
        labels = self.model.labels(key_id, usage.item, dict(usage.facts), dict(usage.agent_facts))

        def ask(amount: int) -> Outcome | WalletError:
            return self._send(
                Charge(self.wallet_id, self._key(), amount_micros=amount, usage=said(usage), key_id=key_id), elsewhere
            )

        refusal = self._refusal(ask(micros), micros, labels)
        if refusal is None:
            return
        most = int(Decimal(str(refusal.details["max_amount"])) * YEN)
        assert self._refusal(ask(most + 1), most + 1, labels) is not None
        if most:
            assert self._refusal(ask(most), most, labels) is None

    @rule(
        asked=st.lists(st.tuples(amounts, usages, st.sampled_from([None, 0, 1]), st.booleans()), min_size=2, max_size=6)
    )
    def send_many(self, asked: list[tuple[int, Any, int | None, bool]]) -> None:
        """Charges and holds in one batch."""
        commands: list[Command] = []
        for micros, usage, key, is_hold in asked:
            kind = Hold if is_hold else Charge
            key_id = None if key is None else self.key_ids[key]
            commands.append(kind(self.wallet_id, self._key(), amount_micros=micros, usage=said(usage), key_id=key_id))
        outcomes = self.side.run(commands)
        self.model.settle(self.now)
        for (micros, usage, key, is_hold), outcome in zip(asked, outcomes, strict=True):
            key_id = None if key is None else self.key_ids[key]
            if is_hold:
                self._held(outcome, micros, usage, key_id, 900)
            else:
                labels = self.model.labels(key_id, usage.item, dict(usage.facts), dict(usage.agent_facts))
                self._refusal(outcome, micros, labels)

    def _refusal(self, outcome: Outcome | WalletError, micros: int, labels: Labels) -> WalletError | None:
        """The refusal of a charge if it was refused, as it should have been."""
        now, refusing = self.now, self.model.refusing(micros, labels, self.now)
        if not refusing:
            assert not isinstance(outcome, WalletError), f"refused what fits: {outcome!r}"
            self.model.charge(micros, labels, now)
            self._assert_no_cap_exceeded(labels)
            assert outcome.txn_id is not None
            self.charges.append(Paid(outcome.txn_id, micros))
            return None
        self._assert_says(outcome, refusing, micros, labels)
        assert isinstance(outcome, WalletError)
        return outcome

    def _assert_says(self, outcome: object, refusing: list[str], micros: int, labels: Labels) -> None:
        """That a refusal names what said no, what would pass and when the same does."""
        assert isinstance(outcome, WalletError), f"{refusing} would have refused {outcome!r}"
        details: dict[str, Any] = outcome.details
        shown = details.get("budget")
        named = "balance" if shown is None else shown["budget_id"]
        assert named in refusing, (named, refusing, outcome)
        assert Decimal(details["max_amount"]) * YEN == self.model.most(labels, self.now)
        if shown is not None:
            self._assert_shows(shown, labels)
        said, expected = details["retry_at"], self.model.passes_at(micros, labels, self.now)
        if any(entry.at > self.now for entry in self.model.entries):
            return  # the clock was put back, and what was spent at a later time is not expected to be known
        assert (said is None) == (expected is None), (said, expected)
        if said is None:
            return
        instant = parse_instant(said)
        assert self.model.refusing(micros, labels, instant) == []
        assert instant >= (expected or FAR)
        if self.says_first_instant or not any(budget.rolls for budget, _ in self.model.matched(labels)):
            assert instant == expected
            assert self.model.refusing(micros, labels, instant - MILLISECOND)

    def _assert_shows(self, shown: dict[str, Any], labels: Labels) -> None:
        [(budget, value)] = [each for each in self.model.matched(labels) if each[0].name == shown["budget_id"]]
        spent, held = self.model.spent(budget, value, self.now), self.model.held(budget, value)
        limit = budget.limit_at(self.now)
        figures = {"limit": limit, "spent": spent, "held": held, "left": max(0, limit - spent - held)}
        assert {name: Decimal(shown[name]) * YEN for name in figures} == figures, (shown, figures)
        assert (shown["unit"], shown["window"]) == (budget.unit, budget.window)

    def _assert_no_cap_exceeded(self, labels: Labels) -> None:
        for budget, value in self.model.matched(labels):
            if budget.mode == "cap":
                assert self.model.left(budget, value, self.now) >= 0

    # Holds

    @rule(
        micros=amounts,
        usage=usages,
        key=st.sampled_from([None, 0, 1]),
        ttl=st.sampled_from([1, 60, 3600, 30 * 86400]),
        elsewhere=st.booleans(),
    )
    def hold(self, micros: int, usage: Any, key: int | None, ttl: int, elsewhere: bool) -> None:
        key_id = None if key is None else self.key_ids[key]
        command = Hold(
            self.wallet_id, self._key(), amount_micros=micros, usage=said(usage), key_id=key_id, ttl_seconds=ttl
        )
        self._held(self._send(command, elsewhere), micros, usage, key_id, ttl)

    def _held(
        self, outcome: Outcome | WalletError, micros: int, usage: Any, key_id: int | None, ttl: int
    ) -> ModelReserve | None:
        hold = ModelReserve(
            micros,
            key_id,
            usage.item,
            dict(usage.facts),
            dict(usage.agent_facts),
            self.now + timedelta(seconds=ttl),
            self.now,
        )
        labels = self.model.labels(key_id, hold.item, hold.facts, hold.agent_facts)
        if refusing := self.model.refusing(micros, labels, self.now):
            self._assert_says(outcome, refusing, micros, labels)
            return None
        if late := self.model.refusing_late(hold, labels, self.now):
            assert_busy(outcome, late)
            return None
        assert not isinstance(outcome, WalletError), f"refused what fits: {outcome!r}"
        self.model.hold(hold, self.now)
        self._assert_no_cap_exceeded(labels)
        assert outcome.hold_id is not None
        self.holds.append((outcome.hold_id, hold))
        return hold

    @precondition(lambda self: any(hold.status == "open" for _, hold in self.holds))
    @rule(
        position=positions,
        micros=st.one_of(st.sampled_from(["rest", "more", "half"]), amounts),
        final=st.booleans(),
        above=st.booleans(),
        usage=usages,
        elsewhere=st.booleans(),
    )
    def capture(self, position: int, micros: Any, final: bool, above: bool, usage: Any, elsewhere: bool) -> None:
        hold_id, hold = self._open_hold(position)
        known = {"rest": max(1, hold.left), "more": hold.left + 3 * YEN, "half": max(1, hold.left // 2)}
        micros = known[micros] if isinstance(micros, str) else micros
        command = Capture(
            self.wallet_id,
            self._key(),
            hold_id=hold_id,
            amount_micros=micros,
            final=final,
            above="up_to_balance" if above else "reject",
            usage=said(usage),
        )
        before = dict(hold.agent_facts)
        outcome = self._send(command, elsewhere)
        if hold.status != "open":
            assert isinstance(outcome, WalletError)
            assert outcome.code == "hold_closed"
            return
        hold.agent_facts = before | dict(usage.agent_facts)
        labels = self.model.captured_labels(hold, micros, usage.item, dict(usage.facts))
        hold.agent_facts = before
        self._captured(outcome, hold, micros, labels, final=final, above=above)

    def _captured(
        self,
        outcome: Outcome | WalletError,
        hold: ModelReserve,
        micros: int,
        labels: Labels,
        *,
        final: bool,
        above: bool,
    ) -> None:
        inside = min(micros, hold.left)
        beyond = micros - inside
        if beyond and not above:
            assert isinstance(outcome, WalletError)
            assert outcome.code == "invalid_amount"
            return
        refusing = [] if hold.served else self.model.refusing_capture(hold, inside, labels, self.now)
        if refusing:
            assert isinstance(outcome, WalletError), f"{refusing} would have refused {outcome!r}"
            details: dict[str, Any] = outcome.details
            assert details["budget"]["budget_id"] in refusing
            self._assert_capture_can_follow(outcome, hold, inside, labels)
            return
        if not hold.served and (early := self.model.refusing_early(hold, inside, labels, self.now)):
            assert_busy(outcome, early)
            return
        beyond = min(beyond, self.model.room_above(hold, inside, labels, self.now)) if beyond else 0
        if not inside + beyond:
            assert isinstance(outcome, WalletError)
            return
        left = self._left_of_caps()
        assert not isinstance(outcome, WalletError), f"refused what fits: {outcome!r}"
        assert outcome.amount_micros == inside + beyond
        self.model.spend_held(hold, inside, beyond, labels, self.now, final=final, stays=not final and above)
        if not hold.served:
            after = self._left_of_caps()
            assert all(after[each] >= min(0, left.get(each, 0)) for each in after)
        assert outcome.txn_id is not None
        self.charges.append(Paid(outcome.txn_id, inside + beyond))

    def _assert_capture_can_follow(self, refusal: WalletError, hold: ModelReserve, inside: int, labels: Labels) -> None:
        most = int(Decimal(str(refusal.details["max_amount"])) * YEN)
        assert self.model.refusing_capture(hold, min(most + 1, inside), labels, self.now)
        if most:
            assert self.model.refusing_capture(hold, most, labels, self.now) == []

    def _left_of_caps(self) -> dict[tuple[ModelBudget, str], int]:
        caps = [each for each in self.model.values() if each[0].mode == "cap"]
        return {each: self.model.left(*each, self.now) for each in caps}

    @precondition(lambda self: any(hold.status == "open" for _, hold in self.holds))
    @rule(position=positions, ttl=st.sampled_from([1, 3600, 30 * 86400]), elsewhere=st.booleans())
    def extend(self, position: int, ttl: int, elsewhere: bool) -> None:
        hold_id, hold = self._open_hold(position)
        outcome = self._send(Extend(self.wallet_id, hold_id, ttl), elsewhere)
        if hold.status != "open":
            assert isinstance(outcome, WalletError)
            return
        until = min(self.now + timedelta(seconds=ttl), hold.made + timedelta(seconds=MAX_HOLD_SECONDS))
        hold.expires = self.model.extended(hold, until, self.now)
        assert isinstance(outcome, Extended)
        assert outcome.expires_at == format_instant(hold.expires)

    @precondition(lambda self: any(hold.status == "open" for _, hold in self.holds))
    @rule(position=positions)
    def release(self, position: int) -> None:
        hold_id, hold = self._open_hold(position)
        outcome = self._send(Release(self.wallet_id, self._key(), hold_id=hold_id))
        if hold.status != "open":
            assert isinstance(outcome, WalletError)
            return
        assert not isinstance(outcome, WalletError)
        self.model.release(hold, "released")

    def _open_hold(self, position: int) -> tuple[int, ModelReserve]:
        found = [(hold_id, hold) for hold_id, hold in self.holds if hold.status == "open"]
        return found[position % len(found)]

    # Refunds and purchases

    @precondition(lambda self: any(each.refunded < each.micros for each in self.charges))
    @rule(position=positions, part=st.booleans())
    def refund(self, position: int, part: bool) -> None:
        found = [each for each in self.charges if each.refunded < each.micros]
        paid = found[position % len(found)]
        left = paid.micros - paid.refunded
        micros = max(1, left // 2) if part else left
        outcome = self._send(Refund(self.wallet_id, self._key(), txn_id=paid.txn_id, amount_micros=micros))
        assert not isinstance(outcome, WalletError), outcome
        paid.refunded += micros
        self.model.credit(micros)

    @rule(micros=amounts, usage=usages, key=st.sampled_from([None, 0]), hold=st.sampled_from([None, 60, 86400]))
    def buy(self, micros: int, usage: Any, key: int | None, hold: int | None) -> None:
        key_id = None if key is None else self.key_ids[key]
        name = self._key()
        command = Buy(
            self.wallet_id, name, "attempt", amount_micros=micros, usage=said(usage), key_id=key_id, hold_seconds=hold
        )
        outcome = self._send(command)
        labels = self.model.labels(key_id, usage.item, dict(usage.facts), dict(usage.agent_facts))
        if hold is not None:
            held = self._held(outcome, micros, usage, key_id, hold)
            if held is not None:
                self.purchases.append(PurchaseModel(name, micros, labels, key_id, held, None, self.lease))
        elif self._refusal(outcome, micros, labels) is None:
            paid = self.charges.pop()
            self.purchases.append(PurchaseModel(name, micros, labels, key_id, None, paid, self.lease))

    @precondition(lambda self: self.purchases)
    @rule(position=positions, elsewhere=st.booleans())
    def serve(self, position: int, elsewhere: bool) -> None:
        """Whatever has become of its payment."""
        bought = self.purchases[position % len(self.purchases)]
        outcome = self._send(Serve(self.wallet_id, bought.name, "attempt"), elsewhere)
        assert not isinstance(outcome, WalletError), outcome
        if bought.status != "served":
            hold = bought.hold
            if hold is not None and hold.status == "open":
                hold.served = True
            elif hold is not None and hold.status != "captured":
                hold.served = True
                labels = self.model.captured_labels(hold, hold.left, None, {})
                self.model.spend_held(hold, 0, hold.left, labels, self.now, final=True, stays=False)
            elif hold is None and bought.status == "undone":
                labels = {name: label for name, label in bought.labels.items() if name != ".group"}
                group = None if bought.key_id is None else self.model.groups[bought.key_id]
                self.model.charge_again(bought.micros, labels | ({".group": group} if group else {}), self.now)
            bought.status = "served"

    @precondition(lambda self: any(each.status == "running" for each in self.purchases))
    @rule(position=positions, abandoned=st.booleans())
    def undo(self, position: int, abandoned: bool) -> None:
        found = [each for each in self.purchases if each.status == "running"]
        bought = found[position % len(found)]
        if abandoned:
            self.clock.advance(hours=1)
        outcome = self._send(Undo(self.wallet_id, bought.name, "attempt", abandoned=abandoned))
        assert not isinstance(outcome, WalletError), outcome
        if abandoned and self.now < bought.lease:
            return
        hold = bought.hold
        if hold is None:
            self.model.credit(bought.micros)
            bought.status = "undone"
        elif hold.status != "open" and (hold.status == "captured" or hold.captured):
            bought.status = "served"
        else:
            if hold.status == "open":
                self.model.release(hold, "released")
            bought.status = "served" if hold.status == "captured" else "undone"

    # Budgets

    @rule(settings=budget_settings)
    def make(self, settings: dict[str, Any]) -> None:
        if len(self.model.budgets) > 9:
            return
        self.clock.advance(milliseconds=1)  # the same budget at the same instant is the same request
        budget = ModelBudget("", **settings, since=0)
        self.model.settle(self.now)
        self._send(Topup(self.wallet_id, self._key(), amount_micros=YEN))  # what is due comes before the budget
        self.model.credit(YEN)
        budget.name = self.side.make(budget)
        self.model.make(budget)

    @precondition(lambda self: len(self.model.budgets) > 2)
    @rule(position=positions, changed=changes, lasts=st.sampled_from([None, 1, 3600, 86400]))
    def change(self, position: int, changed: dict[str, Any], lasts: int | None) -> None:
        budget = self._own_budget(position)
        for name, value in changed.items():
            setattr(budget, name, value)
        budget.raised = None if lasts is None else budget.limit + 2 * YEN
        budget.raised_until = FAR if lasts is None else self.now + timedelta(seconds=lasts)
        self.side.change(budget)

    @precondition(lambda self: len(self.model.budgets) > 2)
    @rule(position=positions)
    def delete(self, position: int) -> None:
        budget = self._own_budget(position)
        self.side.delete(budget)
        self.model.delete(budget)

    @rule(yen=st.sampled_from([0, 20, 60]))
    def change_monthly_budget(self, yen: int) -> None:
        self._set_monthly(yen)

    @rule(position=positions, group=groups)
    def change_group(self, position: int, group: str | None) -> None:
        key_id = self.key_ids[position % len(self.key_ids)]
        self.side.set_group(key_id, group)
        self.model.groups[key_id] = group

    def _own_budget(self, position: int) -> ModelBudget:
        own = [each for each in self.model.budgets if each.name.startswith("budget-")]
        return own[position % len(own)]

    def _seed_budget(self, name: str, yen: int, scope: Labels) -> ModelBudget:
        budget = ModelBudget(name, "yen", yen * YEN, "month", scope, "cap", "UTC", "monday", 0)
        self.model.budgets.append(budget)
        return budget

    def _set_monthly(self, yen: int) -> None:
        self._send(Configure(self.wallet_id, monthly_budget_yen=yen, budget_mode="cap"))
        self.monthly.limit, self.monthly.mode = yen * YEN, "cap" if yen else "alert"

    @invariant()
    def counters_are_what_entries_and_holds_say(self) -> None:
        if not hasattr(self, "model"):
            return
        self._send(Expire(self.wallet_id))
        expected, shadows = {}, []
        for budget, value in self.model.values():
            if budget.name.startswith("budget-"):
                used = self.model.spent(budget, value, self.now), self.model.held(budget, value)
                if any(used):
                    expected[budget.name, value] = used
                if budget.refused and not budget.rolls:
                    shadows.append((budget, value))
        assert self.side.used() == expected
        for budget, value in shadows:
            assert self.side.refused(budget.name, value) == refused_of(budget, value, self.now)

    @property
    def lease(self) -> datetime:
        """How long an attempt that begins now has."""
        return self.now + timedelta(seconds=30)

    def _key(self) -> str:
        self.sent += 1
        return f"request-{self.sent}"

    def _send(self, command: Command, elsewhere: bool = False) -> Outcome | WalletError:
        [outcome] = self.side.run([command], elsewhere=elsewhere)
        self.model.settle(self.now)
        return outcome
