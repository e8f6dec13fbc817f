"""Reconciliation: asking Stripe about what no webhook reported, so that payments need none to be credited."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from credit_wallet.domain.cycle import parse_instant
from credit_wallet.domain.topups import PaymentFact
from credit_wallet.domain.views import TopupView
from credit_wallet.errors import DatabaseError, RailBusy, TopupNotFound, WalletError
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.apply import PaymentFacts, Problems, payment_for
from credit_wallet.payments.automatic import AutomaticTopups
from credit_wallet.payments.gateway import StripeGateway
from credit_wallet.payments.jobs import Ending, Silence
from credit_wallet.payments.replies import Reconciliation
from credit_wallet.payments.request import TopupRequests
from credit_wallet.runtime.steady_clock import SteadyClock

QUIET = timedelta(minutes=10)
"""How long nothing may be heard of an open top-up before Stripe is asked."""

UNSENT_FOR = timedelta(hours=1)
"""How long a top-up that Stripe does not know may wait to be sent again; Stripe keeps idempotency keys for a day."""

UNPAID_FOR = timedelta(days=1)
"""How long an owner may take to pay; delayed methods have limits of their own."""

LOOK_BACK = timedelta(days=3)
"""How far behind the last comparison that got through payments, refunds and disputes are compared with the ledger
again; webhooks are redelivered as long.
"""

FIRST_LOOK_BACK = timedelta(days=30)
"""How far back the first comparison after a start goes, since nobody may have looked for long; Stripe keeps events as
long.
"""


class Reconciler:
    """Comparisons of one ledger with Stripe."""

    def __init__(
        self,
        wallets: CreditWallet,
        gateway: StripeGateway,
        facts: PaymentFacts,
        requests: TopupRequests,
        automatic: AutomaticTopups,
        ending: Ending,
        clock: Callable[[], datetime],
    ) -> None:
        self._wallets = wallets
        self._gateway = gateway
        self._facts = facts
        self._requests = requests
        self._automatic = automatic
        self._ending = ending
        self._clock = clock
        self._compare_since = clock() - FIRST_LOOK_BACK

    def run(self) -> Reconciliation:
        """Ask Stripe about open top-ups that were quiet for long, and compare recent payments with the ledger.

        While Stripe does not answer, and once jobs are to end, the rest is left for the next time.
        """
        report, silence = Reconciliation(), Silence()
        for topup in self._ending.until(self._wallets.topups.unsettled(QUIET)):
            if silence.is_long:
                break
            self._attempt(report, silence, topup.topup_id, partial(self._look_up, topup))
        if not self._ending.has_begun and not silence.is_long:
            self._compare_recent(report, silence)
        report.problems = [*dict.fromkeys(report.problems)]
        return report

    def _look_up(self, topup: TopupView) -> Problems:
        """Bring an open top-up up to what Stripe knows of it."""
        if topup.payment_intent is None and topup.checkout_session is None:
            return self._send_or_give_up(topup)
        fact = self._gateway.records.status_of(topup).fact
        waits_for_owner = topup.origin == "owner" and fact.status in ("pending", "failed") and not fact.processing
        if waits_for_owner and self._clock() - parse_instant(topup.created_at) > UNPAID_FOR:
            fact = self._gateway.cancel(topup)
        return self._facts.apply(payment_for(topup, fact))

    def _send_or_give_up(self, topup: TopupView) -> Problems:
        """A top-up that was noted and perhaps sent: send it again under its name, or when that is too old, look."""
        if self._latest() - parse_instant(topup.created_at) <= UNSENT_FOR:
            if topup.origin == "auto":
                self._automatic.charge(topup)
            else:
                self._requests.ask(topup)
            return ()
        made = int(parse_instant(topup.created_at).timestamp())
        for payment in self._gateway.records.payments_since(made - 60):
            if payment.topup_id == topup.topup_id:
                return self._facts.apply(self._facts.attribute(payment))
        fact = PaymentFact(observed_at=int(self._clock().timestamp()), status="canceled", reason="never_sent")
        return self._facts.apply(payment_for(topup, fact))

    def _compare_recent(self, report: Reconciliation, silence: Silence) -> None:
        """Compare what has changed since the last comparison that got through; the next one begins where this one did,
        unless this one gets through.
        """
        now, since = self._clock(), int(self._compare_since.timestamp())
        records = self._gateway.records
        intents = [each for each in self._ending.until(records.received_since(since)) if not self._is_credited(each)]
        intents += self._ending.until(records.clawed_back_since(since))
        for intent in self._ending.until(dict.fromkeys(intents)):
            if silence.is_long:
                return
            self._attempt(report, silence, intent, partial(self._compare, intent))
        if not self._ending.has_begun:
            self._compare_since = now - LOOK_BACK

    def _compare(self, intent: str) -> Problems:
        payment = self._gateway.records.payment(intent)
        return () if payment is None else self._facts.apply(self._facts.attribute(payment))

    def _attempt(self, report: Reconciliation, silence: Silence, name: str, repair: Callable[[], Problems]) -> None:
        """Repair one thing; what goes wrong is reported and does not keep the others from it."""
        report.asked += 1
        before = self._state(name)
        try:
            report.problems += [f"{name}: {problem}" for problem in repair()]
            silence.note(None)
        except (DatabaseError, RailBusy):
            raise
        except WalletError as error:
            silence.note(error)
            report.problems.append(f"{name}: {error}")
        after = self._state(name)
        report.changed += after != before
        if after is not None and after[1] == "succeeded":
            report.problems.append(f"{after[0]}: paid and not credited ({after[-1]})")

    def _state(self, name: str) -> tuple[object, ...] | None:
        found = self._wallets.topups.of_payment(name)
        try:
            topup = self._wallets.topups.show(found[0] if found else name)
        except TopupNotFound:
            return None
        return topup.topup_id, topup.status, topup.credited_yen, topup.reversed_yen, topup.reason

    def _is_credited(self, intent: str) -> bool:
        found = self._wallets.topups.of_payment(intent)
        return found is not None and self._wallets.topups.show(found[0]).status == "credited"

    def _latest(self) -> datetime:
        """The latest that it may be: Stripe forgets by its own clock, while ours may be behind after a pause."""
        return self._clock.latest() if isinstance(self._clock, SteadyClock) else self._clock()
