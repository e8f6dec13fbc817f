"""Where everything that Stripe reports of a payment enters: deliveries, responses, look-ups and comparisons.

Saying the same again, or in another order, changes nothing (``domain.topups.join``).
"""

from __future__ import annotations

from contextlib import suppress
from typing import TypeAlias

from msgspec import structs

from credit_wallet.domain.actors import PRODUCT
from credit_wallet.domain.topups import OPEN, PaymentFact
from credit_wallet.domain.views import TopupView
from credit_wallet.errors import PaymentProviderError, TopupInFlight, TopupNotFound
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.gateway import StripeGateway
from credit_wallet.payments.records import Payment
from credit_wallet.telemetry import Logger

Problems: TypeAlias = tuple[str, ...]
"""What a person must see of a payment."""

_log = Logger("credit_wallet.payments")


def payment_for(topup: TopupView, fact: PaymentFact) -> Payment:
    """What Stripe says of the payment that a known top-up asked for."""
    return Payment(topup.wallet_id, topup.topup_id, 0, fact)


class PaymentFacts:
    """Facts about payments on their way into the ledger."""

    def __init__(self, wallets: CreditWallet, gateway: StripeGateway) -> None:
        self._wallets = wallets
        self._gateway = gateway

    def apply(self, payment: Payment, *, by_hand: bool = False) -> Problems:
        """Settle the top-up that ``payment`` names; when its bank wants a person, call for one.

        ``by_hand`` says that somebody gives the top-up up.
        """
        fact = payment.fact
        self._wallets.topups.settle(
            payment.wallet_id, payment.topup_id, fact, amount_yen=payment.amount_yen, by_hand=by_hand
        )
        for mismatch in fact.mismatches:
            named = {"wallet_id": payment.wallet_id, "topup_id": payment.topup_id}
            _log.warning("payment_currency_mismatch", **named, mismatch=mismatch)
        if fact.decline == "person":
            self._invite(self._wallets.topups.show(payment.topup_id))
        return fact.mismatches

    def attribute(self, payment: Payment) -> Payment:
        """A payment that Stripe named, under the top-up that it belongs to.

        One that lost its row, or whose row is another's, gets a new one: unless it was not asked for in yen, and has
        nothing to show in a row.
        """
        intent = payment.fact.payment_intent
        found = self._wallets.topups.of_payment(intent) if intent is not None else None
        if found is not None:
            return payment._replace(topup_id=found[0], amount_yen=0)
        if intent is not None and self._belongs_to_another(payment):
            _log.warning("payment_without_topup", payment_intent=intent, wallet_id=payment.wallet_id)
            return payment._replace(topup_id=f"tu_{intent}")
        return payment._replace(amount_yen=0)

    def _belongs_to_another(self, payment: Payment) -> bool:
        """Whether the named top-up is not there, or has another payment, as after a backup was restored."""
        try:
            topup = self._wallets.topups.show(payment.topup_id)
        except TopupNotFound:
            return True
        return (
            topup.wallet_id != payment.wallet_id
            or payment.amount_yen not in (0, topup.amount_yen)
            or topup.payment_intent not in (None, payment.fact.payment_intent)
        )

    def _invite(self, declined: TopupView) -> None:
        """Give the owner a page to pay on in place of an automatic top-up, once; the declined payment is given up."""
        if declined.origin != "auto" or not self._wallets.topups.payer(declined.wallet_id).stopped:
            return
        try:
            outcome = self._wallets.topups.request(
                declined.wallet_id,
                declined.amount_yen,
                idempotency_key=f"instead of {declined.topup_id}",
                flow="checkout",
                actor=PRODUCT,
            )
        except TopupInFlight:  # the owner pays in another way already
            return
        topup = self._wallets.topups.show(outcome.topup_id)
        if topup.status in OPEN and topup.checkout_session is None:
            customer = self._wallets.topups.payer(topup.wallet_id).customer
            fact = self._gateway.new_payment(topup, customer).fact
            fact = structs.replace(fact, status="requires_action", reason="authentication_required")
            self.apply(payment_for(topup, fact))
            with suppress(PaymentProviderError):
                self._gateway.cancel(declined)
