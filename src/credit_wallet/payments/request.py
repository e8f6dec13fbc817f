"""Top-ups that an owner asks for: noted first, then asked for at Stripe under a name made from the top-up's id."""

from __future__ import annotations

from credit_wallet.domain.actors import PAYER, Actor
from credit_wallet.domain.money import is_amount
from credit_wallet.domain.topups import OPEN, PAYABLE, Flow
from credit_wallet.domain.views import TopupView
from credit_wallet.errors import InvalidAmount
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.apply import PaymentFacts, payment_for
from credit_wallet.payments.gateway import StripeGateway
from credit_wallet.payments.records import Asked
from credit_wallet.payments.replies import TopupReply
from credit_wallet.payments.settings import PaymentSettings


class TopupRequests:
    """What owners ask for; see ``replies.Payments``."""

    def __init__(
        self, wallets: CreditWallet, settings: PaymentSettings, gateway: StripeGateway, facts: PaymentFacts
    ) -> None:
        self._wallets = wallets
        self._settings = settings
        self._gateway = gateway
        self._facts = facts

    def request(
        self, wallet_id: int, amount_yen: int, *, idempotency_key: str, flow: Flow = "intent", actor: Actor = PAYER
    ) -> TopupReply:
        """Ask for a payment that the owner will make, with a card form (``intent``) or on a page of Stripe's.

        ``actor`` is who asks: idempotency keys of an operator are apart from those of the wallet's tokens.
        Raises ``InvalidAmount``, ``TopupInFlight`` and ``PaymentProviderError``.
        """
        min_yen, max_yen = self._settings.min_yen, self._settings.max_yen
        if not is_amount(amount_yen) or not min_yen <= amount_yen <= max_yen:
            raise InvalidAmount(
                f"amount_yen must be a whole number from {min_yen} to {max_yen}, not {amount_yen!r}",
                field="amount_yen",
            )
        self._wallets.show(wallet_id)
        outcome = self._wallets.topups.request(
            wallet_id, amount_yen, idempotency_key=idempotency_key, flow=flow, actor=actor
        )
        topup = self._wallets.topups.show(outcome.topup_id)
        asked = self.ask(topup)
        return self.reply(topup.topup_id, asked.client_secret, replayed=outcome.replayed)

    def show(self, topup_id: str) -> TopupReply:
        """A top-up with what its owner needs to pay it, as Stripe has it now.

        Raises ``TopupNotFound`` and ``PaymentProviderError``.
        """
        topup = self._wallets.topups.show(topup_id)
        if topup.status not in PAYABLE:
            return self.reply(topup_id)
        asked = self._gateway.records.status_of(topup)
        self._facts.apply(payment_for(topup, asked.fact))
        return self.reply(topup_id, asked.client_secret)

    def cancel(self, topup_id: str) -> TopupReply:
        """Give up a top-up that nobody has paid; one that was paid meanwhile is credited."""
        topup = self._wallets.topups.show(topup_id)
        if topup.status == "requested" and topup.origin == "owner":
            self.ask(topup)  # whether Stripe knows of it is not known; after this it does, under a name
            topup = self._wallets.topups.show(topup_id)
        if topup.status in PAYABLE:
            self._facts.apply(payment_for(topup, self._gateway.cancel(topup)), by_hand=True)
        return self.reply(topup_id)

    def ask(self, topup: TopupView) -> Asked:
        """Ask Stripe for a top-up's payment, or about it when it was asked for before, and apply the answer."""
        if topup.payment_intent is not None or topup.checkout_session is not None or topup.status not in OPEN:
            asked = self._gateway.records.status_of(topup)
        else:
            asked = self._gateway.new_payment(topup, self._wallets.topups.payer(topup.wallet_id).customer)
        self._facts.apply(payment_for(topup, asked.fact))
        return asked

    def reply(self, topup_id: str, client_secret: str | None = None, *, replayed: bool = False) -> TopupReply:
        """A top-up as whoever asked for it gets it back."""
        topup = self._wallets.topups.show(topup_id)
        is_page = topup.flow == "checkout" and topup.status in OPEN
        return TopupReply(
            topup_id=topup.topup_id,
            wallet_id=topup.wallet_id,
            amount_yen=topup.amount_yen,
            status=topup.status,
            payment_intent=topup.payment_intent,
            client_secret=client_secret,
            checkout_url=topup.action_url if is_page else None,
            action_url=topup.action_url,
            reason=topup.reason,
            replayed=replayed,
        )
