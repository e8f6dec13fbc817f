"""What a ledger asks of Stripe: payments to be made, given up, or refunded.

Every request that makes something carries an idempotency key made from the top-up's own id, so that asking again after
a lost answer makes nothing twice.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

import stripe
from stripe.params import PaymentIntentCreateParams, RefundCreateParams
from stripe.params.checkout import SessionCreateParams

from credit_wallet.domain.topups import Clawback, Offer, PaymentFact
from credit_wallet.domain.views import TopupView
from credit_wallet.payments.api import StripeApi, UnknownToStripe, asking
from credit_wallet.payments.facts import (
    INSTALLATION,
    REFUND,
    TOPUP,
    WALLET,
    id_of,
    refund_clawback,
    with_clawbacks,
)
from credit_wallet.payments.next_steps import at_checkout, next_action_of
from credit_wallet.payments.offers import BANK_TRANSFER, CARD, DELAYED
from credit_wallet.payments.records import Asked, StripeRecords
from credit_wallet.payments.settings import PaymentSettings
from credit_wallet.payments.shapes import is_live

METHOD_GONE = "payment_method_gone"
"""Reason of an automatic top-up whose saved method Stripe does not have any more, or not of this customer."""

REASON_CHARACTERS = 200
"""Of what Stripe says of a refusal that has no code."""

_REFUSALS = (stripe.CardError, stripe.InvalidRequestError)
_CREDIT = {"en": "Credit of ¥{:,}", "ja": "残高のチャージ ¥{:,}"}
"""What is paid for, on Stripe's pages and in its dashboard."""

_BANK_TRANSFER = {"funding_type": "bank_transfer", "bank_transfer": {"type": "jp_bank_transfer"}}


class _Offered(NamedTuple):
    """Parameters that say which methods may pay; ``saves_all``: whatever pays is saved for later."""

    params: Any
    saves_all: bool


class StripeGateway:
    """Stripe for one ledger, named ``installation``; ``records`` is what it knows already. Thread-safe."""

    def __init__(self, settings: PaymentSettings, installation: str, now: Callable[[], int]) -> None:
        """``now`` gives Unix seconds."""
        self._settings = settings
        self._installation = installation
        self._now = now
        self.api = StripeApi(settings)
        self.records = StripeRecords(
            self.api,
            installation,
            now,
            live=is_live(settings.secret_key),
            saves_methods=set(settings.methods) <= {CARD},
        )

    def new_customer(self, wallet_id: int, instead_of: str = "") -> str:
        """The customer that stands for a wallet at Stripe; the same one however often it is asked for within a day.

        ``instead_of`` is one that is gone.
        """
        metadata = {INSTALLATION: self._installation, WALLET: str(wallet_id)}
        once: Any = {"idempotency_key": f"{self._installation}-customer-{wallet_id}{instead_of and '-' + instead_of}"}
        return asking(lambda: self.api.v1.customers.create({"metadata": metadata}, once).id)

    def new_payment(self, topup: TopupView, customer: str | None) -> Asked:
        """Ask for the payment of a top-up, in its flow: a card form, or a page of Stripe's.

        A new customer takes the place of one that the wallet does not have yet, or that Stripe does not know any more.
        """
        ask = self._new_checkout if topup.flow == "checkout" else self._new_intent
        customer = customer or self.new_customer(topup.wallet_id)
        try:
            return ask(topup, customer)
        except UnknownToStripe:
            return ask(topup, self.new_customer(topup.wallet_id, instead_of=customer))

    def charge_saved(self, topup: TopupView, customer: str, payment_method: str) -> PaymentFact:
        """Charge the saved method while nobody is there; a decline is a fact like another, and so is a lost method."""
        params: PaymentIntentCreateParams = {
            **self._intent(topup, customer),
            "payment_method": payment_method,
            "automatic_payment_methods": {"enabled": True, "allow_redirects": "never"},
            "confirm": True,
            "off_session": True,
        }
        try:
            once = self._once(topup)
            answer = asking(lambda: self.api.v1.payment_intents.create(params, once).to_dict(), but=_REFUSALS)
            intent = self.records.readable(answer)
        except _REFUSALS as error:
            declined = error.error.payment_intent if error.error is not None else None
            if declined is None:  # no payment was made; nor will be, with this method
                reason = self._why_not(error, customer, payment_method)
                return PaymentFact(observed_at=self._now(), status="failed", reason=reason, decline="never")
            intent = self.records.intent(declined.id)
        return self.records.fact_of(intent)

    def cancel(self, topup: TopupView) -> PaymentFact:
        """Give up a payment that nobody has made; when it was made meanwhile, the fact says so."""
        session, intent = topup.checkout_session, topup.payment_intent
        if session is not None:  # as long as its page is open, its payment cannot be canceled
            self._end(lambda: self.api.v1.checkout.sessions.expire(session))
        if intent is not None:
            self._end(lambda: self.api.v1.payment_intents.cancel(intent))
        return self.records.status_of(topup).fact

    def refund(self, payment_intent: str, amount_yen: int, pay_back_id: str) -> PaymentFact:
        """Pay ``amount_yen`` of a payment back to where it came from, as the clawback ``pay_back_id``.

        When Stripe refuses, the clawback is reinstated. Raises ``PaymentProviderError`` when that is not known.
        """
        params: RefundCreateParams = {
            "payment_intent": payment_intent,
            "amount": amount_yen,
            "metadata": {INSTALLATION: self._installation, REFUND: pay_back_id},
        }
        once: Any = {"idempotency_key": f"{self._installation}-{pay_back_id}"}
        try:
            refund = asking(
                lambda: self.api.v1.refunds.create(params, once).to_dict(), but=(stripe.InvalidRequestError,)
            )
        except stripe.InvalidRequestError as error:
            return PaymentFact(
                observed_at=self._now(),
                payment_intent=payment_intent,
                reason=error.user_message or str(error),
                clawbacks=(Clawback(pay_back_id, "pay_back", amount_yen, "reinstated"),),
            )
        fact = PaymentFact(observed_at=self._now(), payment_intent=payment_intent)
        return with_clawbacks(fact, [refund_clawback(refund)])

    # Inside

    def _new_intent(self, topup: TopupView, customer: str) -> Asked:
        """A PaymentIntent that the owner confirms; a card is saved for later."""
        offer = self._offer(topup)
        params: PaymentIntentCreateParams = {**self._intent(topup, customer), **offer.params}
        if "allowed_payment_method_types" not in params:
            params["automatic_payment_methods"] = {"enabled": True}
        if offer.saves_all:
            params["setup_future_usage"] = "off_session"
        once = self._once(topup, customer)
        intent = self.records.readable(asking(lambda: self.api.v1.payment_intents.create(params, once).to_dict()))
        return Asked(self.records.fact_of(intent), intent.get("client_secret"), next_action_of(intent))

    def _new_checkout(self, topup: TopupView, customer: str) -> Asked:
        """A page of Stripe's where the owner pays; ``action_url`` of the fact is its address."""
        offer, language = self._offer(topup), topup.offer.language if topup.offer is not None else None
        params: SessionCreateParams = {
            "mode": "payment",
            "customer": customer,
            "line_items": [
                {
                    "quantity": 1,
                    "price_data": {
                        "currency": "jpy",
                        "unit_amount": topup.amount_yen,
                        "product_data": {"name": _credit(topup.amount_yen, language)},
                    },
                }
            ],
            "payment_intent_data": {
                "description": _credit(topup.amount_yen, None),
                "metadata": self._metadata(topup),
            },
            "client_reference_id": topup.topup_id,
            "metadata": self._metadata(topup),
            "adaptive_pricing": {"enabled": False},  # pages that offer the currency of the payer's country
            "success_url": self._settings.back_from_stripe(topup.topup_id, paid=True),
            "cancel_url": self._settings.back_from_stripe(topup.topup_id, paid=False),
        }
        params.update(offer.params)
        if language is not None:
            params["locale"] = language
        if offer.saves_all:
            params["payment_intent_data"]["setup_future_usage"] = "off_session"
        session = asking(lambda: self.api.v1.checkout.sessions.create(params, self._once(topup, customer)))
        return Asked(
            PaymentFact(
                observed_at=self._now(),
                status="pending",
                checkout_session=session.id,
                action_url=session.url,
                customer=customer,
            ),
            None,
            at_checkout(session.url, session.expires_at, topup.amount_yen),
        )

    def _why_not(self, error: stripe.StripeError, customer: str, payment_method: str) -> str:
        """Why a saved method was not even tried. That it is gone has many words, so Stripe is asked for it."""
        if isinstance(error, stripe.InvalidRequestError) and self._is_gone(error, customer, payment_method):
            return METHOD_GONE
        return error.code or f"invalid_request: {error.user_message or error}"[:REASON_CHARACTERS]

    def _is_gone(self, error: stripe.InvalidRequestError, customer: str, payment_method: str) -> bool:
        """Whether the method, or its customer, was deleted, or the one was detached from the other."""
        if error.code == "resource_missing":
            return True
        try:
            method = self.api.v1.payment_methods.retrieve(payment_method)
        except stripe.InvalidRequestError as missing:
            return bool(missing.code == "resource_missing")
        except stripe.StripeError:
            return bool(error.param == "payment_method")
        return id_of(method.customer) != customer

    def _once(self, topup: TopupView, *customer: str) -> Any:
        """The idempotency key of a request, another one for another ``customer``; a saved method has only one."""
        return {"idempotency_key": "-".join((self._installation, topup.topup_id, *customer))}

    def _metadata(self, topup: TopupView) -> dict[str, str]:
        return {INSTALLATION: self._installation, WALLET: str(topup.wallet_id), TOPUP: topup.topup_id}

    def _intent(self, topup: TopupView, customer: str) -> PaymentIntentCreateParams:
        return {
            "amount": topup.amount_yen,
            "currency": "jpy",
            "customer": customer,
            "description": _credit(topup.amount_yen, None),
            "metadata": self._metadata(topup),
        }

    def _offer(self, topup: TopupView) -> _Offered:
        """Which methods may pay. A card among others is saved by an option of its own: asked of the whole payment,
        methods that cannot be saved would not be offered.
        """
        wanted = topup.offer or Offer()
        methods = self._settings.methods if wanted.method is None else (wanted.method,)
        saves_all = wanted.save_card and set(methods) <= {CARD}
        options: dict[str, Any] = {}
        if CARD in methods and wanted.save_card and not saves_all:
            options[CARD] = {"setup_future_usage": "off_session"}
        if BANK_TRANSFER in methods:
            options[BANK_TRANSFER] = _BANK_TRANSFER
        params = {
            "allowed_payment_method_types": list(methods),
            "excluded_payment_method_types": [] if methods or saves_all else list(DELAYED),
            "payment_method_options": options,
        }
        return _Offered({name: value for name, value in params.items() if value}, saves_all)

    @staticmethod
    def _end(what: Callable[[], object]) -> None:
        with suppress(stripe.InvalidRequestError):  # it has been paid, or has ended otherwise
            asking(what, but=(stripe.InvalidRequestError,))


def _credit(amount_yen: int, language: str | None) -> str:
    return _CREDIT[language or "en"].format(amount_yen)
