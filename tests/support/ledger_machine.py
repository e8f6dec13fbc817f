"""A state machine over a real database beside the naive model: what every course of commands has in common."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from amounts import amounts
from clock import Clock
from databases import Databases
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from model import ModelWallet
from model_values import ModelCharge, ModelHold, ModelKey, ModelTopup, Refused
from msgspec import Struct
from plain_sql import PlainSql

from credit_wallet import CreditWallet, Outcome, WalletError
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS, decimal_of
from credit_wallet.stores.jobs.seals import Anchor

WALLETS = 3
KEYS = 2
START = datetime(2026, 1, 30, 23, 0, tzinfo=UTC)

SEARCH_YEN = Decimal("3.305")
"""The price of the item "search"."""

wallet_numbers = st.integers(0, WALLETS - 1)
positions = st.integers(0, 10**6)
exact_yen = st.one_of(amounts(9), amounts(60), amounts(400)).map(decimal_of)

_SUMS = """
SELECT wallet.balance_yen + wallet.held_yen, wallet.ledger_fraction, wallet.balance_yen, wallet.balance_fraction,
       (SELECT coalesce(sum(amount_yen), 0) FROM am_credit_transaction_log AS entry
        WHERE entry.wallet_id = wallet.wallet_id),
       (SELECT coalesce(sum(amount_micros), 0) FROM v_credit_transaction_exact AS entry
        WHERE entry.wallet_id = wallet.wallet_id),
       (SELECT coalesce(sum((amount_yen - captured_yen) * 1000000 + amount_fraction - captured_fraction), 0)
        FROM am_credit_hold AS hold WHERE hold.wallet_id = wallet.wallet_id AND status = 'open')
FROM am_credit_wallet AS wallet
"""


class Request(Struct):
    """A movement that was carried out: how to send it again, and what it answered."""

    send: Callable[[], Outcome]
    send_changed: Callable[[], Outcome]
    outcome: Outcome


class BesideAModel(RuleBasedStateMachine):
    """Two nodes on a real database, beside the model."""

    def __init__(self, databases: Databases) -> None:
        super().__init__()
        self.databases = databases
        self.open_things = ExitStack()

    @initialize(budgets=st.lists(st.sampled_from([0, 60, 300]), min_size=WALLETS, max_size=WALLETS))
    def open(self, budgets: list[int]) -> None:
        self.clock = Clock(START)
        url = self.open_things.enter_context(self.databases.ledger())
        self.host = self.open_things.enter_context(PlainSql(url))
        self.wallets, self.other_node = (
            self.open_things.enter_context(CreditWallet.open(url, clock=self.clock)) for _ in range(2)
        )
        self.wallets.prices.apply(f'[[price]]\nitem = "search"\nunit_price_yen = "{SEARCH_YEN}"\n')
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
        self.shared_keys: dict[tuple[int, str, str], Decimal] = {}
        for number in range(WALLETS):
            self.credit(number, Decimal(500), False, None)
            self.credit(number, Decimal("39.95"), True, 3)

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
        assert outcome.balance == model.balance
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
        assert outcome.balance == model.balance
        return outcome, expected

    def credit(self, number: int, amount: Decimal, promo: bool, days: int | None) -> None:
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

    def _key_id(self, number: int, key_number: int | None) -> int | None:
        return None if key_number is None else self.key_ids[number][key_number]

    def _remember_charge(self, number: int, outcome: Outcome, charge: object) -> None:
        assert outcome.txn_id is not None
        assert isinstance(charge, ModelCharge)
        self.charges.append((number, outcome.txn_id, charge))

    @precondition(lambda self: self.requests)
    @rule(position=positions)
    def retry(self, position: int) -> None:
        request = self.requests[position % len(self.requests)]
        again = request.send()
        assert again.replayed
        assert (again.txn_id, again.hold_id, again.balance, again.amount) == (
            request.outcome.txn_id,
            request.outcome.hold_id,
            request.outcome.balance,
            request.outcome.amount,
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
            assert (view.balance, view.held, view.debt, view.current_cycle_spent) == (
                model.balance,
                model.held,
                model.debt,
                model.spent.get(cycle, Decimal(0)),
            )
            assert [
                (lot.kind == "promo", lot.expires_at, lot.remaining) for lot in self.wallets.lots.list(wallet_id)
            ] == [
                (lot.promo, None if lot.expires is None else format_instant(lot.expires), lot.yen)
                for lot in model.open_lots()
            ]
            fired = {alert.threshold_pct for alert in self.wallets.alerts.list(wallet_id, cycle)}
            assert fired == model.alerted.get(cycle, set())

    @invariant()
    def plain_sql_adds_up(self) -> None:
        """Whoever reads the tables by hand gets the balance to the yen from the whole yen, and to the micro from the
        view.
        """
        if not hasattr(self, "model"):
            return
        for row in self.host.run(_SUMS):
            ledger_yen, ledger_fraction, yen, fraction, whole, micros, held_micros = map(int, row)
            assert whole == ledger_yen
            assert micros == ledger_yen * MICROS + ledger_fraction
            assert micros == yen * MICROS + fraction + held_micros
