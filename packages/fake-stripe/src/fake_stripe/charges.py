"""Charges, their balance transactions and the account's balance."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fake_stripe.calls import ChargeList
from fake_stripe.cards import Decline
from fake_stripe.failures import missing
from fake_stripe.lists import page
from fake_stripe.localstripe import Localstripe
from fake_stripe.methods import Method, Methods

Json = dict[str, Any]

FEE_PER_MILLE = 36
"""What Stripe keeps of a card payment in Japan (https://stripe.com/jp/pricing)."""


@dataclass
class Charge:
    """What is known of a charge beside what localstripe keeps."""

    id: str
    created: int
    amount_yen: int
    intent_id: str
    customer: str | None
    method: Method
    decline: Decline | None
    shown: Json
    """Fields as they were on the payment: metadata, description and the like."""
    refunded_yen: int = 0
    """What was refunded, or is being refunded."""
    disputed: bool = False
    withdrawn_yen: int = 0
    """What a dispute has withdrawn."""

    @property
    def fee_yen(self) -> int:
        """Stripe's share."""
        return 0 if self.decline else (self.amount_yen * FEE_PER_MILLE + 500) // 1000


class Charges:
    """All charges, failed ones as well."""

    def __init__(self, localstripe: Localstripe, methods: Methods) -> None:
        self._localstripe = localstripe
        self._methods = methods
        self._all: dict[str, Charge] = {}
        self._by_transaction: dict[str, Charge] = {}

    def find(self, charge_id: str, param: str = "charge", *, status: int = 400) -> Charge:
        """A charge that exists."""
        charge = self._all.get(charge_id)
        if charge is None:
            raise missing("charge", charge_id, param, status=status)
        return charge

    async def add(self, charge: Charge) -> None:
        """A charge that localstripe has just made."""
        self._all[charge.id] = charge
        if charge.decline is None:
            kept = await self._localstripe.get(f"/v1/charges/{charge.id}")
            self._by_transaction[kept["balance_transaction"]] = charge

    def of_payment(self, intent_id: str) -> list[Charge]:
        """The charges of a PaymentIntent, oldest first."""
        return [charge for charge in self._all.values() if charge.intent_id == intent_id]

    async def list(self, wanted: ChargeList) -> Json:
        """Charges, newest first."""
        chosen = [
            charge
            for charge in reversed(self._all.values())
            if wanted.customer in (None, charge.customer) and wanted.payment_intent in (None, charge.intent_id)
        ]
        return await page("/v1/charges", chosen, wanted).of_each(self.view)

    async def transaction(self, transaction_id: str) -> Json:
        """A balance transaction; a charge's has Stripe's fee."""
        kept = await self._localstripe.get(f"/v1/balance_transactions/{transaction_id}")
        charge = self._by_transaction.get(transaction_id)
        fee = charge.fee_yen if charge else 0
        detail = {"amount": fee, "currency": "jpy", "description": "Stripe processing fees", "type": "stripe_fee"}
        return kept | {
            "exchange_rate": None,
            "fee": fee,
            "fee_details": [{**detail, "application": None}] if fee else [],
            "net": kept["amount"] - fee,
        }

    def balance(self) -> Json:
        """What the account has: what was paid, less fees, refunds and what disputes withdrew."""
        yen = sum(
            charge.amount_yen - charge.fee_yen - charge.refunded_yen - charge.withdrawn_yen
            for charge in self._all.values()
            if charge.decline is None
        )
        return {
            "object": "balance",
            "available": [{"amount": yen, "currency": "jpy", "source_types": {"card": yen}}],
            "livemode": False,
            "pending": [{"amount": 0, "currency": "jpy", "source_types": {"card": 0}}],
        }

    async def view(self, charge: Charge) -> Json:
        """The charge as the API answers it."""
        kept = await self._localstripe.get(f"/v1/charges/{charge.id}")
        return {
            "id": charge.id,
            "object": "charge",
            "amount": charge.amount_yen,
            "amount_captured": charge.amount_yen if kept["paid"] else 0,
            "amount_refunded": charge.refunded_yen,
            "application": None,
            "application_fee": None,
            "application_fee_amount": None,
            "balance_transaction": kept["balance_transaction"],
            "billing_details": charge.method.billing_details,
            "calculated_statement_descriptor": "TEST MONEY",
            "captured": kept["paid"],
            "created": charge.created,
            "currency": "jpy",
            "customer": charge.customer,
            "disputed": charge.disputed,
            "failure_balance_transaction": None,
            "failure_code": charge.decline and charge.decline.code,
            "failure_message": charge.decline and charge.decline.message,
            "fraud_details": {},
            "livemode": False,
            "on_behalf_of": None,
            "outcome": _outcome(charge.decline),
            "paid": kept["paid"],
            "payment_intent": charge.intent_id,
            "payment_method": charge.method.id,
            "payment_method_details": {
                "type": charge.method.type,
                charge.method.type: await self._methods.details(charge.method),
            },
            "receipt_number": None,
            "receipt_url": None,
            "refunded": charge.refunded_yen == charge.amount_yen,
            "review": None,
            "shipping": None,
            "source": None,
            "statement_descriptor": None,
            "status": kept["status"],
            "transfer_data": None,
            "transfer_group": None,
        } | charge.shown


def _outcome(decline: Decline | None) -> Json:
    outcome: Json = {
        "advice_code": None,
        "network_advice_code": None,
        "network_decline_code": None,
        "network_status": "approved_by_network",
        "reason": None,
        "risk_level": "normal",
        "seller_message": "Payment complete.",
        "type": "authorized",
    }
    if decline is None:
        return outcome
    return outcome | {
        "advice_code": decline.advice_code,
        "network_status": "declined_by_network",
        "reason": decline.decline_code,
        "seller_message": f"The bank returned the decline code `{decline.decline_code}`.",
        "type": "issuer_declined",
    }
