"""Top-ups that an owner asks for: noted first, then asked for at Stripe under a name made from the top-up's id."""

from __future__ import annotations

from credit_wallet.domain.actors import PAYER, Actor
from credit_wallet.domain.topups import OPEN, PAYABLE, Flow, Offer
from credit_wallet.domain.views import TopupView
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.apply import PaymentFacts, payment_for
from credit_wallet.payments.gateway import StripeGateway
from credit_wallet.payments.offers import options, require_offered
from credit_wallet.payments.records import Asked
from credit_wallet.payments.replies import TopupOptions, TopupReply
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

    def options(self) -> TopupOptions:
        """How owners can pay."""
        return options(self._settings)

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
        """Ask for a payment that the owner will make, with a card form (``intent``) or on a page of Stripe's.

        ``offer`` says by which method, in which language, and whether a card is saved. ``actor`` is who asks:
        idempotency keys of an operator are apart from those of the wallet's tokens. Raises ``InvalidAmount``,
        ``InvalidRequest``, ``TopupInFlight`` and ``PaymentProviderError``.
        """
        require_offered(self.options(), amount_yen, None if offer is None else offer.method)
        self._wallets.show(wallet_id)
        outcome = self._wallets.topups.request(
            wallet_id,
            amount_yen,
            idempotency_key=idempotency_key,
            flow=flow,
            offer=None if offer == Offer() else offer,
            actor=actor,
        )
        topup = self._wallets.topups.show(outcome.topup_id)
        asked = self.ask(topup)
        return self.reply(topup.topup_id, asked, replayed=outcome.replayed)

    def show(self, topup_id: str) -> TopupReply:
        """A top-up with what its owner needs to pay it, as Stripe has it now.

        Raises ``TopupNotFound`` and ``PaymentProviderError``.
        """
        topup = self._wallets.topups.show(topup_id)
        if topup.status not in PAYABLE:
            return self.reply(topup_id)
        asked = self._gateway.records.status_of(topup)
        self._facts.apply(payment_for(topup, asked.fact))
        return self.reply(topup_id, asked)

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

    def reply(self, topup_id: str, asked: Asked | None = None, *, replayed: bool = False) -> TopupReply:
        """A top-up as whoever asked for it gets it back, with what Stripe was ``asked`` if it can still be paid."""
        topup = self._wallets.topups.show(topup_id)
        next_action = asked.next_action if asked is not None and topup.status in PAYABLE else None
        is_page = next_action is not None and next_action.type == "checkout"
        return TopupReply(
            topup_id=topup.topup_id,
            wallet_id=topup.wallet_id,
            amount_yen=topup.amount_yen,
            status=topup.status,
            payment_intent=topup.payment_intent,
            client_secret=asked.client_secret if asked is not None else None,
            checkout_url=next_action.url if next_action is not None and is_page else None,
            action_url=topup.action_url,
            reason=topup.reason,
            replayed=replayed,
            next_action=next_action,
            origin=topup.origin,
            method=None if topup.offer is None else topup.offer.method,
            received_yen=topup.received_yen,
            credited_yen=topup.credited_yen,
            reversed_yen=topup.reversed_yen,
            credit_txn_id=topup.credit_txn_id,
            created_at=topup.created_at,
        )
