"""Whatever goes wrong between Stripe and a ledger, and in whatever order: in the end the ledger has what Stripe has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest
import stripe
from clock import Clock
from fake_stripe import FakeStripe, StripeFaults
from fake_stripe.failures import StripeFailure
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from installation import ASKS_ALWAYS, DECLINED, DECLINED_LATER, Installation
from width import examples

from credit_wallet import CreditWallet, WalletError
from credit_wallet.domain.views import TopupView

pytestmark = pytest.mark.slow

CHANCE_OF_A_FAULT = 0.25
EXAMPLES_A_STAGE = 25
BASE_PERIOD = datetime(2030, 2, 15, 12, tzinfo=UTC)
NEXT_PERIOD = datetime(2030, 6, 15, 12, tzinfo=UTC)
"""In which some of what was paid in the one before may be paid back."""

QUIET_AFTER = 6
"""Looks at Stripe after which nothing may be left to do."""

positions = st.integers(0, 10**6)
seeds = st.integers(0, 10**6)
wallet_numbers = st.integers(0, 2)
cards = st.sampled_from(["4242424242424242", "4242424242424242", DECLINED, ASKS_ALWAYS])


class Killed(BaseException):
    """The process has ended between Stripe's answer and the ledger's commit."""


class Stage:
    """The fake of Stripe and what breaks its calls, for some examples; then new ones, since it forgets nothing."""

    def __init__(self) -> None:
        self.clock = Clock(BASE_PERIOD)
        self._stack = ExitStack()
        self._examples = 0

    def begin(self) -> None:
        """Another example."""
        if self._examples % EXAMPLES_A_STAGE == 0:
            self._stack.close()
            self.fake = self._stack.enter_context(FakeStripe(clock=lambda: self.clock().timestamp()))
            self.faults = self._stack.enter_context(StripeFaults(self.fake))
        self._examples += 1
        self.faults.clear()
        self.clock.set(BASE_PERIOD)

    def close(self) -> None:
        """End it."""
        self._stack.close()


class PaymentsMachine(RuleBasedStateMachine):
    """Three wallets: one whose owner pays, two that top themselves up with a card that pays, or does not."""

    stage = Stage()

    @initialize(seed=seeds, card=st.sampled_from([DECLINED_LATER, ASKS_ALWAYS]))
    def open(self, seed: int, card: str) -> None:
        self.stage.begin()
        self.fake, self.faults, self.clock = self.stage.fake, self.stage.faults, self.stage.clock
        self.folder = TemporaryDirectory()
        self._open()
        owner = self.installation.owner()
        self.installation.pay(owner, 20_000)
        self.clock.set(NEXT_PERIOD)
        self.wallet_ids = [owner, self.installation.payer(), self.installation.payer(card)]
        self.requests: list[Callable[[], object]] = []
        self.pay_backs: list[Callable[[], object]] = []
        self.disputes: list[str] = []
        self.refunds: list[str] = []
        self.faults.at_random(Random(seed), CHANCE_OF_A_FAULT)

    def _open(self) -> None:
        url = f"sqlite:///{Path(self.folder.name) / 'ledger.db'}"
        wallets = CreditWallet.open(url, clock=self.clock)
        if not hasattr(self, "installation"):
            self.installation = Installation(
                wallets, self.fake, self.clock, api_url=self.faults.url, pay_back=True, auto_daily_yen=0
            )
        else:
            self.installation.reopen(wallets)

    def teardown(self) -> None:
        if not hasattr(self, "requests"):
            return
        self.faults.clear()
        try:
            self._come_to_rest()
            self._assert_both_sides_agree()
        finally:
            self.installation.wallets.close()
            self.folder.cleanup()

    # The service

    @rule(number=wallet_numbers, amount=st.integers(50, 3_000), page=st.booleans())
    def ask(self, number: int, amount: int, page: bool) -> None:
        wallet_id, key = self.wallet_ids[number], f"topup-{len(self.requests)}"
        self.requests.append(
            lambda: self.installation.request(wallet_id, amount, key, "checkout" if page else "intent")
        )
        self._try(self.requests[-1])

    @rule(position=positions)
    def ask_again(self, position: int) -> None:
        if not self.requests:
            return
        self._try(self.requests[position % len(self.requests)])

    @rule(position=positions)
    def look(self, position: int) -> None:
        self._try(lambda: self.installation.payments.show(self._topup(position).topup_id))

    @rule(position=positions)
    def give_up(self, position: int) -> None:
        self._try(lambda: self.installation.payments.cancel(self._topup(position).topup_id))

    @rule(position=positions, amount=st.integers(1, 1_000))
    def pay_back(self, position: int, amount: int) -> None:
        topup_id, key = self._topup(position).topup_id, f"back-{len(self.pay_backs)}"
        self.pay_backs.append(lambda: self.installation.payments.pay_back(topup_id, amount, idempotency_key=key))
        self._try(self.pay_backs[-1])

    @rule()
    def run_automatic(self) -> None:
        self._try(lambda: self.installation.payments.run_automatic())

    @rule()
    def reconcile(self) -> None:
        self._try(lambda: self.installation.payments.reconcile())

    @rule(seed=seeds, share=st.sampled_from([0.0, 0.5, 1.0]), times=st.integers(1, 2))
    def hear(self, seed: int, share: float, times: int) -> None:
        """A share of what happened is delivered, in any order; the rest is lost."""
        random = Random(seed)
        events = [event for event in self.installation.news() if random.random() <= share] * times
        random.shuffle(events)
        for event in events:
            self._try(lambda event=event: self.installation.deliver(event))  # type: ignore[misc]

    @rule(
        after=st.integers(0, 2), what=st.sampled_from(["ask", "run_automatic", "reconcile", "hear"]), position=positions
    )
    def be_killed(self, after: int, what: str, position: int) -> None:
        """The process ends before the commit that comes after some others, while it does something."""
        commits = iter(range(after))
        settle = self.installation.wallets.topups.settle

        def settle_or_die(*args: Any, **kwargs: Any) -> Any:
            if next(commits, None) is None:
                raise Killed
            return settle(*args, **kwargs)

        with suppress(Killed), pytest.MonkeyPatch.context() as patch:
            patch.setattr(self.installation.wallets.topups, "settle", settle_or_die)
            match what:
                case "ask":
                    self.ask(position % 3, 500, page=bool(position % 2))
                case "hear":
                    self.hear(position, 1.0, 1)
                case _:
                    getattr(self, what)()
        self.installation.wallets.close()
        self._open()

    @rule(number=wallet_numbers, amount=st.integers(1, 700), seed=seeds)
    def spend(self, number: int, amount: int, seed: int) -> None:
        self.installation.wallets.charge_many([(self.wallet_ids[number], amount, f"charge-{seed}")])

    @rule(minutes=st.sampled_from([1, 11, 61, 25 * 60, 8 * 24 * 60]))
    def let_time_pass(self, minutes: int) -> None:
        self.clock.advance(minutes=minutes)

    # People and banks

    @rule(position=positions, card=cards)
    def pay(self, position: int, card: str) -> None:
        topup = self._topup(position)
        target = topup.checkout_session or topup.payment_intent
        if target is not None and topup.origin == "owner":
            self._perhaps(lambda: self.fake.pay(target, card))

    @rule(position=positions, success=st.booleans())
    def authenticate(self, position: int, success: bool) -> None:
        intent = self._topup(position).payment_intent
        if intent is not None:
            self._perhaps(lambda: self.fake.authenticate(intent, success=success))

    @rule(position=positions, amount=st.one_of(st.none(), st.integers(1, 600)))
    def refund(self, position: int, amount: int | None) -> None:
        intent = self._topup(position).payment_intent
        if intent is not None:
            self._perhaps(lambda: self.refunds.append(self.fake.refund(intent, amount)))

    @rule(position=positions)
    def fail_refund(self, position: int) -> None:
        if not self.refunds:
            return
        self._perhaps(lambda: self.fake.settle_refund(self.refunds[position % len(self.refunds)], success=False))

    @rule(position=positions, inquiry=st.booleans())
    def dispute(self, position: int, inquiry: bool) -> None:
        intent = self._topup(position).payment_intent
        if intent is not None:
            self._perhaps(lambda: self.disputes.append(self.fake.dispute(intent, inquiry=inquiry)))

    @rule(position=positions, turn=st.sampled_from(["escalate", "win", "lose"]))
    def go_on_with_dispute(self, position: int, turn: str) -> None:
        if not self.disputes:
            return
        dispute = self.disputes[position % len(self.disputes)]
        if turn == "escalate":
            self._perhaps(lambda: self.fake.escalate_dispute(dispute))
        else:
            self._perhaps(lambda: self.fake.close_dispute(dispute, won=turn == "win"))

    # Inside

    def _topup(self, position: int) -> TopupView:
        topups = [topup for wallet_id in self.wallet_ids for topup in self.installation.wallets.topups.list(wallet_id)]
        return topups[position % len(topups)]

    @staticmethod
    def _try(act: Callable[[], object]) -> None:
        """Do something that Stripe's absence, or a rule, may keep from being done."""
        with suppress(WalletError):
            act()

    @staticmethod
    def _perhaps(act: Callable[[], object]) -> None:
        """Do something at Stripe, unless the payment is not such that it can be done."""
        with suppress(StripeFailure, ValueError):
            act()

    def _come_to_rest(self) -> None:
        """Stripe answers again; what was asked for is asked for again, and reconciliation looks until all is quiet."""
        for pay_back in self.pay_backs:
            self._try(pay_back)
        for _ in range(QUIET_AFTER):
            self.clock.advance(minutes=61)
            report = self.installation.payments.reconcile()
            assert report.problems == []
            if not report.changed:
                break
        else:
            raise AssertionError("reconciliation never comes to an end")
        for event in self.installation.news():
            self._try(lambda event=event: self.installation.deliver(event))  # type: ignore[misc]
        assert self.installation.payments.reconcile().changed == 0

    def _assert_both_sides_agree(self) -> None:
        wallets = self.installation.wallets
        assert wallets.verify() == []
        for wallet_id in self.wallet_ids:
            topups = wallets.topups.list(wallet_id, limit=1_000)
            assert {topup.status for topup in topups} <= {
                "pending",
                "requires_action",
                "credited",
                "failed",
                "canceled",
            }
            received = {payment.id: payment.received for payment in self.installation.made(wallet_id)}
            credited = {topup.payment_intent: topup.credited_yen for topup in topups if topup.credited_yen}
            assert credited == {intent: yen for intent, yen in received.items() if yen}
            assert self.installation.moved(wallet_id) == self.installation.kept(wallet_id)


@pytest.fixture(scope="module", autouse=True)
def stripe_for_all_examples() -> Iterator[None]:
    """The SDK tries again at once."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)
        patch.setattr(stripe.HTTPClient, "MAX_DELAY", 0)
        yield
        PaymentsMachine.stage.close()


TestPayments = PaymentsMachine.TestCase
TestPayments.settings = settings(
    max_examples=examples(20, "MODEL_EXAMPLES"),
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
