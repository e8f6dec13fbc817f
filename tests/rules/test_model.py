"""Random interleavings of every command on several wallets agree with a naive model, and the ledger verifies."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from clock import Clock
from databases import Databases, on_every_database
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from model import ModelCharge, ModelHold, ModelKey, ModelTopup, ModelWallet, Refused
from msgspec import Struct

from credit_wallet import CreditWallet, Outcome, WalletError
from credit_wallet.domain.actors import OPERATOR, PAYER, PRODUCT
from credit_wallet.domain.cycle import format_instant
from credit_wallet.ledger.maintenance import ABANDONED_AFTER
from credit_wallet.stores.jobs.seals import Anchor

pytestmark = pytest.mark.slow

WALLETS = 3
KEYS = 2
START = datetime(2026, 1, 30, 23, 0, tzinfo=UTC)

yen = st.one_of(st.integers(1, 9), st.integers(10, 60), st.integers(61, 400))
wallet_numbers = st.integers(0, WALLETS - 1)
key_numbers = st.one_of(st.none(), st.integers(0, KEYS - 1))
positions = st.integers(0, 10**6)
actors = st.sampled_from([OPERATOR, OPERATOR, PAYER, PRODUCT])
purchase_names = st.sampled_from(["p", "q"])
attempts = st.sampled_from(["a", "a", "b"])


class Request(Struct):
    """A movement that was carried out: how to send it again, and what it answered."""

    send: Callable[[], Outcome]
    send_changed: Callable[[], Outcome]
    outcome: Outcome


class LedgerMachine(RuleBasedStateMachine):
    """Two nodes on a real database, beside the model."""

    def __init__(self, databases: Databases) -> None:
        super().__init__()
        self.databases = databases
        self.open_things = ExitStack()

    @initialize(budgets=st.lists(st.sampled_from([0, 60, 300]), min_size=WALLETS, max_size=WALLETS))
    def open(self, budgets: list[int]) -> None:
        self.clock = Clock(START)
        url = self.open_things.enter_context(self.databases.ledger())
        self.wallets, self.other_node = (
            self.open_things.enter_context(CreditWallet.open(url, clock=self.clock)) for _ in range(2)
        )
        self.model = [ModelWallet() for _ in range(WALLETS)]
        self.ids = [self.wallets.create(monthly_budget_yen=budget).wallet_id for budget in budgets]
        self.key_ids = []
        for model, wallet_id, budget in zip(self.model, self.ids, budgets, strict=True):
            model.budget = budget
            keys = [self.wallets.keys.create(wallet_id, monthly_cap_yen=cap).key_id for cap in (0, 90)]
            self.key_ids.append(keys)
            model.keys = [ModelKey(0), ModelKey(90)]
        self.noted: list[Anchor] = []
        self.sent = 0
        self.requests: list[Request] = []
        self.charges: list[tuple[int, int, ModelCharge]] = []
        self.topups: list[tuple[int, int, ModelTopup]] = []
        self.holds: list[tuple[int, int, ModelHold]] = []
        self.shared_keys: dict[tuple[int, str, str], int] = {}
        for number in range(WALLETS):
            self.topup(number, 500, False, None)
            self.topup(number, 40, True, 3)

    def teardown(self) -> None:
        with self.open_things:
            if hasattr(self, "wallets"):
                while self.wallets.maintenance.seal():
                    pass
                assert self.wallets.verify(self.noted) == []

    def _both(
        self, number: int, expect: Callable[[ModelWallet], object], send: Callable[[str, int], Outcome]
    ) -> tuple[Outcome, object] | None:
        """Do the same on both sides: the same refusal, or an outcome that leaves the model's balance.

        ``send`` takes an idempotency key and an amount to add, which makes a different request of it.
        """
        self.sent += 1
        key = f"request-{self.sent}"
        model = self.model[number]
        model.settle(self.clock())
        try:
            expected = expect(model)
        except Refused as refused:
            try:
                outcome = send(key, 0)
            except WalletError as error:
                assert error.code == refused.code, str(error)
                return None
            raise AssertionError(f"expected {refused.code}, got {outcome}") from None
        outcome = send(key, 0)
        assert outcome.balance_yen == model.balance
        assert not outcome.replayed
        self.requests.append(Request(lambda: send(key, 0), lambda: send(key, 1), outcome))
        return outcome, expected

    def _both_without_a_key(
        self, number: int, expect: Callable[[ModelWallet], Any], send: Callable[[], Outcome]
    ) -> tuple[Outcome, Any] | None:
        """``_both`` for commands that no idempotency key remembers."""
        model = self.model[number]
        model.settle(self.clock())
        try:
            expected = expect(model)
        except Refused as refused:
            try:
                outcome = send()
            except WalletError as error:
                assert error.code == refused.code, str(error)
                return None
            raise AssertionError(f"expected {refused.code}, got {outcome}") from None
        outcome = send()
        assert outcome.balance_yen == model.balance
        return outcome, expected

    @rule(
        number=wallet_numbers,
        amount=yen,
        promo=st.booleans(),
        days=st.one_of(st.none(), st.integers(1, 60)),
    )
    def topup(self, number: int, amount: int, promo: bool, days: int | None) -> None:
        expires = None if days is None else self.clock() + timedelta(days=days)
        done = self._both(
            number,
            lambda model: model.topup(amount, promo, expires, self.clock()),
            lambda key, more: self.wallets.topup(
                self.ids[number],
                amount + more,
                idempotency_key=key,
                promo=promo,
                expires_at=None if expires is None else format_instant(expires),
            ),
        )
        assert done is not None
        outcome, lot = done
        assert outcome.txn_id is not None
        assert isinstance(lot, ModelTopup)
        self.topups.append((number, outcome.txn_id, lot))

    @rule(number=wallet_numbers, amount=yen, key_number=key_numbers)
    def charge(self, number: int, amount: int, key_number: int | None) -> None:
        key_id = None if key_number is None else self.key_ids[number][key_number]
        done = self._both(
            number,
            lambda model: model.charge(amount, key_number, self.clock()),
            lambda key, more: self.wallets.charge(self.ids[number], amount + more, idempotency_key=key, key_id=key_id),
        )
        if done is not None:
            self._remember_charge(number, *done)

    @rule(items=st.lists(st.tuples(wallet_numbers, yen), min_size=1, max_size=8))
    def charge_many(self, items: list[tuple[int, int]]) -> None:
        named = []
        for number, amount in items:
            self.sent += 1
            self.model[number].settle(self.clock())
            named.append((self.ids[number], amount, f"request-{self.sent}"))
        for (number, amount), outcome in zip(items, self.wallets.charge_many(named), strict=True):
            try:
                charge = self.model[number].charge(amount, None, self.clock())
            except Refused as refused:
                assert isinstance(outcome, WalletError)
                assert outcome.code == refused.code
            else:
                assert isinstance(outcome, Outcome), outcome
                assert outcome.balance_yen == self.model[number].balance
                self._remember_charge(number, outcome, charge)

    @rule(
        number=wallet_numbers,
        amount=yen,
        key_number=key_numbers,
        seconds=st.integers(1, 40 * 24 * 3600),
        actor=actors,
    )
    def hold(self, number: int, amount: int, key_number: int | None, seconds: int, actor: str) -> None:
        seconds = min(seconds, 31 * 24 * 3600)
        done = self._both(
            number,
            lambda model: model.hold(amount, key_number, seconds, self.clock(), actor),
            lambda key, more: self.wallets.hold(
                self.ids[number],
                amount + more,
                idempotency_key=key,
                ttl_seconds=seconds,
                key_id=self._key_id(number, key_number),
                actor=actor,
            ),
        )
        if done is not None:
            outcome, hold = done
            assert outcome.hold_id is not None
            assert isinstance(hold, ModelHold)
            self.holds.append((number, outcome.hold_id, hold))

    def _key_id(self, number: int, key_number: int | None) -> int | None:
        return None if key_number is None else self.key_ids[number][key_number]

    @precondition(lambda self: self.holds)
    @rule(
        position=positions,
        amount=yen,
        final=st.booleans(),
        above=st.sampled_from(["reject", "up_to_balance"]),
        actor=actors,
    )
    def capture(self, position: int, amount: int, final: bool, above: Any, actor: str) -> None:
        number, hold_id, hold = self.holds[position % len(self.holds)]
        done = self._both(
            number,
            lambda model: model.capture(hold, amount, self.clock(), final=final, above=above, actor=actor),
            lambda key, more: self.wallets.capture(
                hold_id, amount + more, idempotency_key=key, final=final, above=above, actor=actor
            ),
        )
        if done is not None:
            outcome, charge = done
            assert isinstance(charge, ModelCharge)
            assert outcome.amount_yen == charge.yen
            self._remember_charge(number, outcome, charge)

    @precondition(lambda self: self.holds)
    @rule(position=positions, actor=actors)
    def release(self, position: int, actor: str) -> None:
        number, hold_id, hold = self.holds[position % len(self.holds)]
        self._both(
            number,
            lambda model: model.release(hold, self.clock(), actor),
            lambda key, more: (
                self.wallets.capture(hold_id, more, idempotency_key=key, actor=actor)
                if more
                else self.wallets.release(hold_id, idempotency_key=key, actor=actor)
            ),
        )

    @precondition(lambda self: self.holds)
    @rule(position=positions, seconds=st.integers(1, 31 * 24 * 3600), actor=actors)
    def extend(self, position: int, seconds: int, actor: str) -> None:
        number, hold_id, hold = self.holds[position % len(self.holds)]
        self._both_without_a_key(
            number,
            lambda model: model.extend(hold, seconds, self.clock(), actor),
            lambda: self.wallets.extend(hold_id, seconds, actor=actor),
        )

    @rule(number=wallet_numbers, amount=st.integers(1, 2), actor=actors, key=st.sampled_from(["one", "two"]))
    def charge_under_a_key_that_others_use(self, number: int, amount: int, actor: str, key: str) -> None:
        """Each actor's keys are in a room of its own."""
        name = (number, actor, key)
        if name not in self.shared_keys:
            done = self._both_without_a_key(
                number,
                lambda model: model.charge(amount, None, self.clock()),
                lambda: self.wallets.charge(self.ids[number], amount, idempotency_key=key, actor=actor),
            )
            if done is not None:
                self.shared_keys[name] = amount
                assert not done[0].replayed
            return
        try:
            outcome = self.wallets.charge(self.ids[number], amount, idempotency_key=key, actor=actor)
        except WalletError as error:
            assert error.code == "idempotency_conflict"
            assert amount != self.shared_keys[name]
        else:
            assert outcome.replayed
            assert amount == self.shared_keys[name]

    @rule(
        number=wallet_numbers,
        name=purchase_names,
        attempt=attempts,
        amount=st.sampled_from([5, 40, 40]),
        key_number=st.sampled_from([None, None, None, 1]),
        hold_seconds=st.sampled_from([None, None, 20, 5_000]),
        lease_seconds=st.integers(1, 7_200),
        free_retries=st.integers(0, 2),
    )
    def buy(
        self,
        number: int,
        name: str,
        attempt: str,
        amount: int,
        key_number: int | None,
        hold_seconds: int | None,
        lease_seconds: int,
        free_retries: int,
    ) -> None:
        done = self._both_without_a_key(
            number,
            lambda model: model.buy(
                name, attempt, amount, key_number, hold_seconds, lease_seconds, free_retries, self.clock()
            ),
            lambda: self.wallets.purchases.buy(
                self.ids[number],
                amount,
                purchase_key=name,
                attempt=attempt,
                hold_seconds=hold_seconds,
                lease_seconds=lease_seconds,
                free_retries=free_retries,
                key_id=self._key_id(number, key_number),
            ),
        )
        if done is None:
            return
        outcome, (came, purchase) = done
        assert (outcome.replayed, outcome.free) == (came != "paid", came == "free")
        if came == "paid" and purchase.hold is not None:
            assert outcome.hold_id is not None
            self.holds.append((number, outcome.hold_id, purchase.hold))
        elif came == "paid":
            self._remember_charge(number, outcome, purchase.charge)

    @rule(number=wallet_numbers, name=purchase_names, attempt=attempts, forget=st.sampled_from([False, False, True]))
    def serve(self, number: int, name: str, attempt: str, forget: bool) -> None:
        self._both_without_a_key(
            number,
            lambda model: model.serve(name, forget, self.clock()),
            lambda: self.wallets.purchases.serve(self.ids[number], name, attempt=attempt, forget=forget),
        )

    @rule(number=wallet_numbers, name=purchase_names, attempt=attempts, seconds=st.integers(1, 7_200))
    def renew(self, number: int, name: str, attempt: str, seconds: int) -> None:
        self._both_without_a_key(
            number,
            lambda model: model.renew(name, attempt, seconds, self.clock()),
            lambda: self.wallets.purchases.renew(self.ids[number], name, attempt=attempt, lease_seconds=seconds),
        )

    @rule(number=wallet_numbers, name=purchase_names, attempt=attempts)
    def undo(self, number: int, name: str, attempt: str) -> None:
        self._both_without_a_key(
            number,
            lambda model: model.undo(name, attempt, self.clock()),
            lambda: self.wallets.purchases.undo(self.ids[number], name, attempt=attempt),
        )

    @rule()
    def undo_abandoned(self) -> None:
        self.wallets.maintenance.undo_abandoned()
        for model in self.model:
            model.settle(self.clock())
            model.undo_abandoned(ABANDONED_AFTER, self.clock())

    @precondition(lambda self: self.charges)
    @rule(position=positions, amount=st.one_of(st.none(), yen))
    def refund(self, position: int, amount: int | None) -> None:
        number, txn_id, charge = self.charges[position % len(self.charges)]
        self._both(
            number,
            lambda model: model.refund(charge, amount, self.clock()),
            lambda key, more: self.wallets.refund(txn_id, (amount or 0) + 1 if more else amount, idempotency_key=key),
        )

    @precondition(lambda self: self.topups)
    @rule(position=positions, amount=yen)
    def reverse(self, position: int, amount: int) -> None:
        number, txn_id, topup = self.topups[position % len(self.topups)]
        self._both(
            number,
            lambda model: model.reverse(topup, amount),
            lambda key, more: self.wallets.reverse(txn_id, amount + more, idempotency_key=key),
        )

    @rule(
        number=wallet_numbers,
        enabled=st.sampled_from([True, True, True, False]),
        cap=st.booleans(),
        budget=st.sampled_from([0, 60, 300, 1000]),
    )
    def configure(self, number: int, enabled: bool, cap: bool, budget: int) -> None:
        model = self.model[number]
        model.settle(self.clock())
        model.enabled, model.cap, model.budget = enabled, cap, budget
        outcome = self.wallets.configure(
            self.ids[number], enabled=enabled, budget_mode="cap" if cap else "alert", monthly_budget_yen=budget
        )
        assert outcome.balance_yen == model.balance

    @rule(number=wallet_numbers)
    def enable(self, number: int) -> None:
        self.model[number].enabled = True
        self.wallets.configure(self.ids[number], enabled=True)
        self.model[number].settle(self.clock())

    @rule(number=wallet_numbers, key_number=st.integers(0, KEYS - 1))
    def revoke_key(self, number: int, key_number: int) -> None:
        self.model[number].keys[key_number].revoked = True
        self.wallets.keys.revoke(self.key_ids[number][key_number])

    @rule()
    def go_to_the_other_node(self) -> None:
        self.wallets, self.other_node = self.other_node, self.wallets

    @rule(seconds=st.one_of(st.integers(1, 3600), st.integers(3600, 20 * 24 * 3600)))
    def let_time_pass(self, seconds: int) -> None:
        self.clock.advance(seconds=seconds)

    @rule()
    def expire(self) -> None:
        self.wallets.maintenance.expire_due()
        for model in self.model:
            model.settle(self.clock())

    @rule()
    def maintenance(self) -> None:
        self.wallets.alerts.run()
        for model in self.model:
            model.run_alert_job(self.clock())
        while self.wallets.maintenance.seal():
            pass
        self.noted = [seal] if (seal := self.wallets.seals.latest()) else []
        assert self.wallets.verify(self.noted) == []

    @precondition(lambda self: self.requests)
    @rule(position=positions)
    def retry(self, position: int) -> None:
        request = self.requests[position % len(self.requests)]
        again = request.send()
        assert again.replayed
        assert (again.txn_id, again.hold_id, again.balance_yen, again.amount_yen) == (
            request.outcome.txn_id,
            request.outcome.hold_id,
            request.outcome.balance_yen,
            request.outcome.amount_yen,
        )

    @precondition(lambda self: self.requests)
    @rule(position=positions)
    def use_a_key_for_something_else(self, position: int) -> None:
        try:
            self.requests[position % len(self.requests)].send_changed()
        except WalletError as error:
            assert error.code == "idempotency_conflict"
        else:
            raise AssertionError("a key was accepted for two requests")

    @invariant()
    def both_sides_agree(self) -> None:
        if not hasattr(self, "model"):
            return
        cycle = f"{self.clock():%Y-%m}"
        for model, wallet_id in zip(self.model, self.ids, strict=True):
            model.settle(self.clock())
            view = self.wallets.show(wallet_id)
            assert (view.balance_yen, view.held_yen, view.debt_yen, view.current_cycle_spent_yen) == (
                model.balance,
                model.held,
                model.debt,
                model.spent.get(cycle, 0),
            )
            assert [
                (lot.kind == "promo", lot.expires_at, lot.remaining_yen) for lot in self.wallets.lots.list(wallet_id)
            ] == [
                (lot.promo, None if lot.expires is None else format_instant(lot.expires), lot.yen)
                for lot in model.open_lots()
            ]
            fired = {alert.threshold_pct for alert in self.wallets.alerts.list(wallet_id, cycle)}
            assert fired == model.alerted.get(cycle, set())

    def _remember_charge(self, number: int, outcome: Outcome, charge: object) -> None:
        assert outcome.txn_id is not None
        assert isinstance(charge, ModelCharge)
        self.charges.append((number, outcome.txn_id, charge))


EXAMPLES = {"sqlite": 60, "postgres": 15, "partitioned": 15}
"""Unless ``MODEL_EXAMPLES`` says how many for each."""


@on_every_database
def test_any_course_of_commands_agrees_with_the_model(databases: Databases) -> None:
    run_state_machine_as_test(
        partial(LedgerMachine, databases),  # type: ignore[arg-type]  # "a class or a function", it says
        settings=settings(
            max_examples=int(os.environ.get("MODEL_EXAMPLES", EXAMPLES[databases.kind])),
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
