"""Random clocks: every node has its own, which is ahead or behind, steps back and forth, over hours, months and DST.

Whatever they do, the books tie: a cycle opens with what the one before closed with, each entry is in one statement, and
nothing is shown below zero.
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from itertools import pairwise
from typing import NamedTuple

import pytest
from amounts import amounts
from clock import Clock
from databases import Databases, on_every_database
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from plain_sql import PlainSql
from width import examples

from credit_wallet import CreditWallet, Outcome, WalletError
from credit_wallet.domain.cycle import CYCLE_PATTERN, cycle_of, format_instant
from credit_wallet.domain.money import decimal_of
from credit_wallet.domain.topups import Clawback, ClawbackStatus, PaymentFact

pytestmark = pytest.mark.slow

ZONES = ("UTC", "Asia/Tokyo", "Europe/Berlin")
STARTS = [
    "2026-10-24T23:59:59.990",  # the night in which Berlin has an hour twice
    "2026-10-31T14:59:59.990",  # months end: in Tokyo, in Berlin, in UTC
    "2026-10-31T22:59:59.990",
    "2026-10-31T23:59:59.990",
    "2026-12-31T23:30",
    "2027-03-28T00:59:59.990",  # and an hour not at all
]
REFUSALS = {"insufficient_funds", "hold_closed", "refund_exceeds_charge", "invalid_request", "invalid_amount"}

nodes = st.integers(0, 1)
wallets = st.integers(0, len(ZONES) - 1)
yen = st.one_of(st.integers(1, 9), st.integers(10, 300))
exact_yen = st.one_of(amounts(9), amounts(300)).map(decimal_of)
positions = st.integers(0, 10**6)
spans = st.one_of(
    st.integers(1, 30).map(lambda ms: timedelta(milliseconds=ms)),
    st.integers(1, 3_600).map(lambda s: timedelta(seconds=s)),
    st.integers(1, 72).map(lambda hours: timedelta(hours=hours)),
    st.integers(10, 70).map(lambda days: timedelta(days=days)),
)


class Thing(NamedTuple):
    """A charge or a hold, and whose it is."""

    number: int
    id: int


class ClocksMachine(RuleBasedStateMachine):
    """Two nodes with clocks of their own on one ledger, and a host that writes plain SQL."""

    def __init__(self, databases: Databases) -> None:
        super().__init__()
        self.databases = databases
        self.open_things = ExitStack()

    @initialize(start=st.sampled_from(STARTS), skew=st.integers(-50, 50))
    def open(self, start: str, skew: int) -> None:
        url = self.open_things.enter_context(self.databases.ledger())
        now = datetime.fromisoformat(start).replace(tzinfo=UTC)
        self.clocks = [Clock(now), Clock(now + timedelta(milliseconds=skew))]
        self.nodes = [self.open_things.enter_context(CreditWallet.open(url, clock=clock)) for clock in self.clocks]
        self.host = self.open_things.enter_context(PlainSql(url))
        self.ids = [self.nodes[0].create(time_zone=zone, monthly_budget_yen=100).wallet_id for zone in ZONES]
        self.sent = 0
        self.charges: list[Thing] = []
        self.holds: list[Thing] = []
        self.payments: list[tuple[int, str, int]] = []
        for number in range(len(ZONES)):
            self.pay(0, number, 300)

    def teardown(self) -> None:
        with self.open_things:
            if hasattr(self, "nodes"):
                self.look_at_the_books(0)
                self.clocks[1].advance(days=100)
                self.nodes[1].maintenance.expire_due()
                self.look_at_the_books(1)
                assert self.nodes[1].verify() == []

    def _key(self) -> str:
        self.sent += 1
        return f"request-{self.sent}"

    # Clocks

    @rule(span=spans)
    def let_time_pass(self, span: timedelta) -> None:
        for clock in self.clocks:
            clock.set(clock() + span)

    @rule(node=nodes, span=spans, back=st.booleans())
    def step_one_clock(self, node: int, span: timedelta, back: bool) -> None:
        clock = self.clocks[node]
        clock.set(clock() - span if back else clock() + span)

    @rule(node=nodes)
    def set_one_clock_by_the_other(self, node: int) -> None:
        self.clocks[node].set(self.clocks[1 - node]() + timedelta(milliseconds=7))

    # Movements

    @rule(node=nodes, number=wallets, amount=exact_yen)
    def charge(self, node: int, number: int, amount: Decimal) -> None:
        outcome = self._carried_out(
            lambda: self.nodes[node].charge(self.ids[number], amount, idempotency_key=self._key())
        )
        if outcome is not None and outcome.txn_id is not None:
            self.charges.append(Thing(number, outcome.txn_id))

    @rule(node=nodes, position=positions, amount=exact_yen)
    def refund(self, node: int, position: int, amount: Decimal) -> None:
        if self.charges:
            charge = self.charges[position % len(self.charges)]
            self._carried_out(lambda: self.nodes[node].refund(charge.id, amount, idempotency_key=self._key()))

    @rule(node=nodes, number=wallets, amount=exact_yen, span=spans, promo=st.booleans())
    def give(self, node: int, number: int, amount: Decimal, span: timedelta, promo: bool) -> None:
        expires_at = format_instant(self.clocks[node]() + span)
        self._carried_out(
            lambda: self.nodes[node].topup(
                self.ids[number], amount, idempotency_key=self._key(), promo=promo, expires_at=expires_at
            )
        )

    @rule(node=nodes, number=wallets, amount=yen)
    def pay(self, node: int, number: int, amount: int) -> None:
        wallet_id = self.ids[number]
        topup_id = self.nodes[node].topups.request(wallet_id, amount, idempotency_key=self._key()).topup_id
        assert topup_id is not None
        paid = PaymentFact(observed_at=1, status="succeeded", received_yen=amount)
        self.nodes[node].topups.settle(wallet_id, topup_id, paid)
        self.payments.append((number, topup_id, amount))

    @rule(node=nodes, position=positions, dispute=st.integers(0, 2), won=st.booleans())
    def dispute(self, node: int, position: int, dispute: int, won: bool) -> None:
        number, topup_id, amount = self.payments[position % len(self.payments)]
        status: ClawbackStatus = "reinstated" if won else "withdrawn"
        clawback = Clawback(f"dispute {dispute}", "dispute", max(1, amount // (1 + dispute)), status)
        self.nodes[node].topups.settle(self.ids[number], topup_id, PaymentFact(observed_at=2, clawbacks=(clawback,)))

    @rule(node=nodes, number=wallets, amount=exact_yen, seconds=st.integers(1, 31 * 86_400))
    def hold(self, node: int, number: int, amount: Decimal, seconds: int) -> None:
        outcome = self._carried_out(
            lambda: self.nodes[node].hold(self.ids[number], amount, idempotency_key=self._key(), ttl_seconds=seconds)
        )
        if outcome is not None and outcome.hold_id is not None:
            self.holds.append(Thing(number, outcome.hold_id))

    @rule(node=nodes, position=positions, amount=exact_yen, released=st.booleans())
    def close_hold(self, node: int, position: int, amount: Decimal, released: bool) -> None:
        if self.holds:
            hold = self.holds[position % len(self.holds)]
            close = self.nodes[node].release if released else partial(self.nodes[node].capture, amount_yen=amount)
            self._carried_out(lambda: close(hold.id, idempotency_key=self._key()))

    @rule(number=wallets, amount=yen, span=spans, back=st.booleans(), is_topup=st.booleans())
    def write_plain_sql(self, number: int, amount: int, span: timedelta, back: bool, is_topup: bool) -> None:
        at = format_instant(self.clocks[0]() - span if back else self.clocks[0]() + span)
        balance_yen, debt_yen = self.host.run(
            "SELECT balance_yen, debt_yen FROM am_credit_wallet WHERE wallet_id = ?", self.ids[number]
        )[0]
        if is_topup and not debt_yen:  # plain SQL knows of no debts to repay
            self.host.move(self.ids[number], "topup", amount, at)
        elif balance_yen >= amount:
            self.host.move(self.ids[number], "charge", -amount, at)

    @rule(node=nodes)
    def expire(self, node: int) -> None:
        self.nodes[node].maintenance.expire_due()

    @staticmethod
    def _carried_out(move: object) -> Outcome | None:
        try:
            outcome: Outcome = move()  # type: ignore[operator]
        except WalletError as error:
            assert error.code in REFUSALS, str(error)
            return None
        return outcome

    # What they must show

    @rule(node=nodes)
    def look_at_the_books(self, node: int) -> None:
        shown = self.nodes[node]
        for wallet_id, zone in zip(self.ids, ZONES, strict=True):
            with suppress(WalletError):
                shown.charge(wallet_id, 10**12, idempotency_key=self._key())  # what plain SQL wrote is taken in
            view = shown.show(wallet_id)
            entries = shown.history(wallet_id, limit=1_000)
            cycles = sorted({cycle_of(entry.occurred_at, zone) for entry in entries} | {view.current_cycle})
            assert all(CYCLE_PATTERN.fullmatch(cycle) for cycle in cycles)
            reports = [shown.statement(wallet_id, cycle) for cycle in ("2020-01", *cycles, "2035-01")]
            assert reports[0].opening == 0
            for before, after in pairwise(reports):
                assert before.closing == after.opening
            assert reports[-1].closing == view.balance + view.held
            for report in reports:
                assert report.opening + sum(entry.amount for entry in report.entries) == report.closing
            for report in reports:  # as a walk through all of the wallet's entries finds them
                assert report.entries == [
                    entry for entry in reversed(entries) if cycle_of(entry.occurred_at, zone) == report.billing_cycle
                ]
            forecast = shown.forecast(wallet_id)
            figures = (forecast.spent_yen, forecast.daily_pace_yen, forecast.projected_cycle_spend_yen)
            assert min(*figures, view.balance_yen, view.held_yen, view.debt_yen) >= 0
            now = format_instant(self.clocks[node]())
            assert not [
                lot for lot in shown.lots.list(wallet_id) if lot.expires_at is not None and lot.expires_at <= now
            ]

    @rule(node=nodes)
    def look_at_all(self, node: int) -> None:
        totals, views = self.nodes[node].maintenance.totals(), self.nodes[node].list()
        assert totals.balance == sum(view.balance for view in views)
        assert totals.held == sum(view.held for view in views)


EXAMPLES = {"sqlite": 60, "postgres": 12, "partitioned": 12}
"""In a wide run, unless ``MODEL_EXAMPLES`` says how many for each."""


@on_every_database
def test_the_books_tie_whatever_the_clocks_do(databases: Databases) -> None:
    run_state_machine_as_test(
        partial(ClocksMachine, databases),  # type: ignore[arg-type]  # "a class or a function", it says
        settings=settings(
            max_examples=examples(EXAMPLES[databases.kind], "MODEL_EXAMPLES"),
            stateful_step_count=50,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
