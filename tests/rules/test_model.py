"""Random interleavings of every command on several wallets agree with a naive model, and the ledger verifies."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from functools import partial
from typing import Any

import pytest
from databases import Databases, on_every_database
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from ledger_machine import KEYS, SEARCH_YEN, BesideAModel, exact_yen, positions, wallet_numbers
from model_values import ModelCharge, ModelHold, ModelTopup, Refused
from width import examples

from credit_wallet import Outcome, WalletError
from credit_wallet.domain.actors import OPERATOR, PAYER, PRODUCT
from credit_wallet.ledger.maintenance import ABANDONED_AFTER

pytestmark = pytest.mark.slow

key_numbers = st.one_of(st.none(), st.integers(0, KEYS - 1))
shared_amounts = st.sampled_from([Decimal(1), Decimal("0.1")])
actors = st.sampled_from([OPERATOR, OPERATOR, PAYER, PRODUCT])
purchase_names = st.sampled_from(["p", "q"])
attempts = st.sampled_from(["a", "a", "b"])


class LedgerMachine(BesideAModel):
    """Two nodes on a real database, beside the model."""

    @rule(
        number=wallet_numbers,
        amount=exact_yen,
        promo=st.booleans(),
        days=st.one_of(st.none(), st.integers(1, 60)),
    )
    def topup(self, number: int, amount: Decimal, promo: bool, days: int | None) -> None:
        self.credit(number, amount, promo, days)

    @rule(number=wallet_numbers, amount=exact_yen, key_number=key_numbers)
    def charge(self, number: int, amount: Decimal, key_number: int | None) -> None:
        key_id = None if key_number is None else self.key_ids[number][key_number]
        done = self._both(
            number,
            lambda model: model.charge(amount, key_number, self.clock()),
            lambda key, more: self.wallets.charge(self.ids[number], amount + more, idempotency_key=key, key_id=key_id),
        )
        if done is not None:
            self._remember_charge(number, *done)

    @rule(
        number=wallet_numbers,
        quantity=st.sampled_from([Decimal(1), Decimal("2.5"), Decimal("0.0003")]),
        key_number=key_numbers,
        facts=st.sampled_from([None, {"tool": "web"}]),
    )
    def charge_for_an_item(
        self, number: int, quantity: Decimal, key_number: int | None, facts: dict[str, str] | None
    ) -> None:
        amount = (SEARCH_YEN * quantity).quantize(Decimal("0.000001"), ROUND_HALF_UP)
        done = self._both(
            number,
            lambda model: model.charge(amount, key_number, self.clock()),
            lambda key, more: self.wallets.charge(
                self.ids[number],
                item="search",
                quantity=quantity + more,
                facts=facts,
                idempotency_key=key,
                key_id=self._key_id(number, key_number),
            ),
        )
        if done is not None:
            assert done[0].amount == amount
            self._remember_charge(number, *done)

    @rule(items=st.lists(st.tuples(wallet_numbers, exact_yen), min_size=1, max_size=8))
    def charge_many(self, items: list[tuple[int, Decimal]]) -> None:
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
                assert outcome.balance == self.model[number].balance
                self._remember_charge(number, outcome, charge)

    @rule(
        number=wallet_numbers,
        amount=exact_yen,
        key_number=key_numbers,
        seconds=st.integers(1, 40 * 24 * 3600),
        actor=actors,
    )
    def hold(self, number: int, amount: Decimal, key_number: int | None, seconds: int, actor: str) -> None:
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

    @precondition(lambda self: self.holds)
    @rule(
        position=positions,
        amount=exact_yen,
        final=st.booleans(),
        above=st.sampled_from(["reject", "up_to_balance"]),
        actor=actors,
    )
    def capture(self, position: int, amount: Decimal, final: bool, above: Any, actor: str) -> None:
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
            assert outcome.amount == charge.yen
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

    @rule(
        number=wallet_numbers,
        amount=shared_amounts,
        actor=actors,
        key=st.sampled_from(["one", "two"]),
    )
    def charge_under_a_key_that_others_use(self, number: int, amount: Decimal, actor: str, key: str) -> None:
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

    @precondition(lambda self: self.charges)
    @rule(position=positions, amount=st.one_of(st.none(), exact_yen))
    def refund(self, position: int, amount: Decimal | None) -> None:
        number, txn_id, charge = self.charges[position % len(self.charges)]
        self._both(
            number,
            lambda model: model.refund(charge, amount, self.clock()),
            lambda key, more: self.wallets.refund(txn_id, (amount or 0) + 1 if more else amount, idempotency_key=key),
        )

    @precondition(lambda self: self.topups)
    @rule(position=positions, amount=exact_yen)
    def reverse(self, position: int, amount: Decimal) -> None:
        number, txn_id, topup = self.topups[position % len(self.topups)]
        self._both(
            number,
            lambda model: model.reverse(topup, amount),
            lambda key, more: self.wallets.reverse(txn_id, amount + more, idempotency_key=key),
        )

    @rule(
        number=wallet_numbers,
        amount=exact_yen,
        sign=st.sampled_from([1, -1, -1]),
        kind=st.sampled_from([None, None, "paid", "promo"]),
        allow_debt=st.booleans(),
    )
    def adjust(self, number: int, amount: Decimal, sign: int, kind: Any, allow_debt: bool) -> None:
        allow_debt = allow_debt and sign < 0 and kind is None
        done = self._both(
            number,
            lambda model: model.adjust(sign * amount, kind, allow_debt, self.clock()),
            lambda key, more: self.wallets.adjust(
                self.ids[number],
                sign * amount,
                reason="other",
                note=f"correction {more}",
                idempotency_key=key,
                kind=kind,
                allow_debt=allow_debt,
            ),
        )
        if done is not None and isinstance(done[1], ModelTopup):
            assert done[0].txn_id is not None
            self.topups.append((number, done[0].txn_id, done[1]))

    @precondition(lambda self: self.topups)
    @rule(position=positions, amount=st.one_of(st.none(), exact_yen), allow_debt=st.booleans())
    def take_back(self, position: int, amount: Decimal | None, allow_debt: bool) -> None:
        number, txn_id, topup = self.topups[position % len(self.topups)]
        done = self._both(
            number,
            lambda model: model.take_back(topup, amount, allow_debt),
            lambda key, more: self.wallets.take_back(
                txn_id, amount, note=f"mistyped {more}", idempotency_key=key, allow_debt=allow_debt
            ),
        )
        if done is not None:
            assert done[0].amount == -Decimal(str(done[1]))

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
        (self.wallets.unfreeze if enabled else self.wallets.freeze)(self.ids[number])
        outcome = self.wallets.configure(
            self.ids[number], budget_mode="cap" if cap else "alert", monthly_budget_yen=budget
        )
        assert outcome.balance == model.balance

    @rule(number=wallet_numbers)
    def enable(self, number: int) -> None:
        self.model[number].enabled = True
        self.wallets.unfreeze(self.ids[number])
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

    @rule(
        number=wallet_numbers,
        name=purchase_names,
        attempt=attempts,
        amount=st.sampled_from([Decimal(5), Decimal("39.7"), Decimal("39.7")]),
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
        amount: Decimal,
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


EXAMPLES = {"sqlite": 60, "postgres": 15, "partitioned": 15}
"""In a wide run, unless ``MODEL_EXAMPLES`` says how many for each."""


@on_every_database
def test_any_course_of_commands_agrees_with_the_model(databases: Databases) -> None:
    run_state_machine_as_test(
        partial(LedgerMachine, databases),  # type: ignore[arg-type]  # "a class or a function", it says
        settings=settings(
            max_examples=examples(EXAMPLES[databases.kind], "MODEL_EXAMPLES"),
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
