"""Paying unused credit back to where it came from, inside the limits of the law."""

from __future__ import annotations

from credit_wallet import config
from credit_wallet.domain.commands import PayBackLimit
from credit_wallet.domain.topups import PaymentFact, pay_back_id_of
from credit_wallet.errors import PayBackNotAllowed, TopupNotFound
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.apply import PaymentFacts, payment_for
from credit_wallet.payments.gateway import StripeGateway
from credit_wallet.payments.settings import PaymentSettings


class PayBacks:
    """What is paid back of one ledger."""

    def __init__(
        self,
        wallets: CreditWallet,
        settings: PaymentSettings,
        gateway: StripeGateway,
        facts: PaymentFacts,
    ) -> None:
        self._wallets = wallets
        self._settings = settings
        self._gateway = gateway
        self._facts = facts

    def pay_back(self, topup_id: str, amount_yen: int, *, idempotency_key: str) -> None:
        """Pay unused credit of a top-up back.

        The credit leaves the wallet first; when Stripe refuses, it is reinstated. Raises ``PayBackNotAllowed``,
        ``RefundExceedsCharge`` and ``PaymentProviderError`` (send it again with the same idempotency key).
        """
        topup = self._wallets.topups.show(topup_id)
        if topup.payment_intent is None:
            raise TopupNotFound(f"top-up {topup_id} has no payment", topup_id=topup_id)
        pay_back_id = pay_back_id_of(topup.wallet_id, idempotency_key)
        before = next((each for each in topup.clawbacks if each.id == pay_back_id), None)
        if before is not None and before.status == "reinstated":
            raise PayBackNotAllowed(
                "Stripe did not pay it back; the credit was returned to the wallet. Use a new idempotency key next time"
            )
        limit = self._limit() if before is None else None
        self._wallets.topups.pay_back(
            topup.wallet_id, topup_id, amount_yen, idempotency_key=idempotency_key, limit=limit
        )
        fact = self._refund(topup.payment_intent, amount_yen, pay_back_id, is_known=before is not None)
        self._facts.apply(payment_for(topup, fact))
        if any(each.status == "reinstated" for each in fact.clawbacks):
            raise PayBackNotAllowed(
                f"Stripe did not pay it back ({fact.reason}); the credit was returned to the wallet"
            )

    def _refund(self, payment_intent: str, amount_yen: int, pay_back_id: str, *, is_known: bool) -> PaymentFact:
        """Ask for the refund, unless Stripe has it: it forgets idempotency keys after a day."""
        known = self._gateway.records.pay_back(payment_intent, pay_back_id) if is_known else None
        return known or self._gateway.refund(payment_intent, amount_yen, pay_back_id)

    def _limit(self) -> PayBackLimit:
        if not self._settings.pay_back:
            raise PayBackNotAllowed(f"paying credit back is off; the operator can allow it: {config.PAY_BACK.name}=on")
        return self._wallets.topups.pay_back_limit()
