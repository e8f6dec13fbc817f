"""Payments through Stripe, from end to end: the parts of this room put together for one ledger.

A top-up is noted before Stripe is asked, and Stripe is asked under a name made from it. Whatever is lost on the way,
the answer, a delivery or this process, the next look finds the same payment: ``reconcile`` needs no webhook.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from datetime import datetime
from typing import Self

from credit_wallet.domain.actors import PAYER, Actor
from credit_wallet.domain.acts import Author
from credit_wallet.domain.topups import Flow, Offer
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.apply import PaymentFacts
from credit_wallet.payments.automatic import AutomaticTopups
from credit_wallet.payments.deliveries import Deliveries
from credit_wallet.payments.gateway import StripeGateway
from credit_wallet.payments.jobs import Ending
from credit_wallet.payments.pay_back import PayBacks
from credit_wallet.payments.reconcile import Reconciler
from credit_wallet.payments.replies import AutoTopup, Reconciliation, TopupOptions, TopupReply
from credit_wallet.payments.request import TopupRequests
from credit_wallet.payments.settings import PaymentSettings
from credit_wallet.runtime.steady_clock import utc_now


class StripePayments:
    """Payments of one ledger. Thread-safe; its calls wait for Stripe. ``replies.Payments`` says what each does."""

    def __init__(
        self, wallets: CreditWallet, settings: PaymentSettings, clock: Callable[[], datetime] = utc_now
    ) -> None:
        def now() -> int:
            return int(clock().timestamp())

        self._wallets = wallets
        self._settings = settings
        self._ending = Ending()
        self.gateway = StripeGateway(settings, wallets.topups.installation_id(), now)
        self._deliveries = Deliveries(settings, self.gateway.records)
        self._act_in(wallets)
        self._automatic = AutomaticTopups(wallets, settings, self.gateway, self._facts, self._ending, now)
        self._reconciler = Reconciler(
            wallets, self.gateway, self._facts, self._requests, self._automatic, self._ending, clock
        )

    def acting(self, author: Author) -> Self:
        """The same payments, for which ``author`` asks."""
        payments = copy(self)
        payments._act_in(self._wallets.acting(author))
        return payments

    def _act_in(self, wallets: CreditWallet) -> None:
        """Make what is asked for by somebody, in whose name ``wallets`` act."""
        self._facts = PaymentFacts(wallets, self.gateway)
        self._requests = TopupRequests(wallets, self._settings, self.gateway, self._facts)
        self._pay_backs = PayBacks(wallets, self._settings, self.gateway, self._facts)

    def options(self) -> TopupOptions:
        """How owners can pay."""
        return self._requests.options()

    def request(
        self,
        wallet_id: int,
        amount_yen: int,
        *,
        idempotency_key: str,
        flow: Flow = "intent",
        offer: Offer | None = None,
        actor: Actor = PAYER,
    ) -> TopupReply:
        """Ask for a payment that the owner will make."""
        return self._requests.request(
            wallet_id, amount_yen, idempotency_key=idempotency_key, flow=flow, offer=offer, actor=actor
        )

    def show(self, topup_id: str) -> TopupReply:
        """A top-up with what its owner needs to pay it, as Stripe has it now."""
        return self._requests.show(topup_id)

    def cancel(self, topup_id: str) -> TopupReply:
        """Give up a top-up that nobody has paid; one that was paid meanwhile is credited."""
        return self._requests.cancel(topup_id)

    def deliver(self, payload: bytes, signature: str | None) -> str:
        """Take in a webhook delivery and say what was done with it: ``settled``, or ``ignored`` when not ours.

        ``reported`` when some amount is not in yen: that moves nothing, and an event calls for a person.

        Raises ``InvalidSignature`` for one that Stripe did not sign, and whatever keeps it from being taken in whole;
        it is then delivered again.
        """
        payment = self._deliveries.payment_in(payload, signature)
        if payment is None:
            return "ignored"
        return "reported" if self._facts.apply(self._facts.attribute(payment)) else "settled"

    def pay_back(self, topup_id: str, amount_yen: int, *, idempotency_key: str) -> TopupReply:
        """Pay unused credit of a top-up back to where it came from, inside the limits of the law."""
        self._pay_backs.pay_back(topup_id, amount_yen, idempotency_key=idempotency_key)
        return self._requests.reply(topup_id)

    def run_automatic(self) -> list[AutoTopup]:
        """Charge the saved methods of all wallets that are due, one after the other; one line for each."""
        return self._automatic.run()

    def reconcile(self) -> Reconciliation:
        """Ask Stripe about open top-ups that were quiet for long, and compare recent payments with the ledger."""
        return self._reconciler.run()

    def end_jobs(self) -> None:
        """Have jobs end after the call they are at: no card is charged any more, and nothing is retried."""
        self._ending.begin()
        self.gateway.api.end_retries()

    def check(self) -> str:
        """That Stripe answers, for a check-up. Raises ``PaymentProviderError``."""
        advice = "" if self._settings.webhook_secrets else "; without a webhook secret, payments are found by looking"
        return self.gateway.api.check() + advice
