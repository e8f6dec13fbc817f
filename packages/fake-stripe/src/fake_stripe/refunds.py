"""Refunds of charges, whole and in parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fake_stripe.calls import RefundCreate, RefundList
from fake_stripe.charges import Charge, Charges
from fake_stripe.events import Events
from fake_stripe.failures import invalid, missing
from fake_stripe.intents import Intents
from fake_stripe.lists import page
from fake_stripe.localstripe import Localstripe
from fake_stripe.parameters import MetadataUpdate, merged

Json = dict[str, Any]


@dataclass
class Refund:
    """What is known of a refund beside what localstripe keeps."""

    id: str
    created: int
    amount_yen: int
    charge: Charge
    reason: str | None
    instructions_email: str | None
    metadata: dict[str, str]
    status: str
    failure_reason: str | None = None


class Refunds:
    """All refunds. A card is refunded at once; other payers must first say where the money goes, and that may fail."""

    def __init__(
        self,
        localstripe: Localstripe,
        events: Events,
        intents: Intents,
        charges: Charges,
        clock: Callable[[], float],
    ) -> None:
        self._localstripe = localstripe
        self._events = events
        self._intents = intents
        self._charges = charges
        self._clock = clock
        self._all: dict[str, Refund] = {}

    def find(self, refund_id: str, *, status: int = 404) -> Refund:
        """A refund that exists."""
        refund = self._all.get(refund_id)
        if refund is None:
            raise missing("refund", refund_id, status=status)
        return refund

    async def create(self, given: RefundCreate) -> Refund:
        """Refund a charge: the amount, or all that is left of it."""
        charge = self._charge(given)
        amount_yen = self._check(charge, given.amount)
        email = given.instructions_email or charge.method.email
        at_once = charge.method.card is not None
        if not at_once and not email:
            message = "An email address is required to tell the customer how to get the refund."
            raise invalid(message, "instructions_email", "parameter_missing")
        kept = await self._localstripe.post("/v1/refunds", charge=charge.id, amount=amount_yen)
        refund = Refund(
            kept["id"],
            int(self._clock()),
            amount_yen,
            charge,
            given.reason,
            None if at_once else email,
            merged({}, given.metadata),
            "succeeded" if at_once else "requires_action",
        )
        self._all[refund.id] = refund
        before = {"amount_refunded": charge.refunded_yen, "refunded": False}
        charge.refunded_yen += amount_yen
        self._events.record("refund.created", await self.view(refund))
        self._events.record("charge.refunded", await self._charges.view(charge), before)
        if at_once:
            self._events.record("refund.updated", await self.view(refund))
        return refund

    async def settle(self, refund: Refund, *, success: bool) -> None:
        """The payer's bank has accepted the money, or has returned it."""
        status = "succeeded" if success else "failed"
        if refund.status in (status, "failed"):
            raise ValueError(f"{refund.id} has {refund.status} already")
        before = {"status": refund.status}
        refund.status = status
        if not success:
            refund.failure_reason = "unknown"
            refund.charge.refunded_yen -= refund.amount_yen
            self._events.record("refund.failed", await self.view(refund), before)
        self._events.record("refund.updated", await self.view(refund), before)
        self._events.record("charge.refund.updated", await self.view(refund), before)

    async def update(self, refund: Refund, given: MetadataUpdate) -> None:
        """Change the metadata."""
        refund.metadata = merged(refund.metadata, given.metadata)
        self._events.record("refund.updated", await self.view(refund))

    async def list(self, wanted: RefundList) -> Json:
        """Refunds, newest first."""
        chosen = [
            refund
            for refund in reversed(self._all.values())
            if wanted.charge in (None, refund.charge.id) and wanted.payment_intent in (None, refund.charge.intent_id)
        ]
        return await page("/v1/refunds", chosen, wanted).of_each(self.view)

    async def view(self, refund: Refund) -> Json:
        """The refund as the API answers it."""
        kept = await self._localstripe.get(f"/v1/refunds/{refund.id}")
        kind = refund.charge.method.type
        return {
            "id": refund.id,
            "object": "refund",
            "amount": refund.amount_yen,
            "balance_transaction": kept["balance_transaction"],
            "charge": refund.charge.id,
            "created": refund.created,
            "currency": "jpy",
            "destination_details": {"type": kind, kind: {}},
            "failure_reason": refund.failure_reason,
            "instructions_email": refund.instructions_email,
            "metadata": refund.metadata,
            "payment_intent": refund.charge.intent_id,
            "reason": refund.reason,
            "receipt_number": None,
            "source_transfer_reversal": None,
            "status": refund.status,
            "transfer_reversal": None,
        }

    def _charge(self, given: RefundCreate) -> Charge:
        if given.charge is not None:
            return self._charges.find(given.charge)
        intent = self._intents.find(given.payment_intent or "")
        if intent.latest_charge is None:
            raise invalid(f"This PaymentIntent ({intent.id}) does not have a successful charge to refund.")
        return intent.latest_charge

    def _check(self, charge: Charge, amount_yen: int | None) -> int:
        left = charge.amount_yen - charge.refunded_yen
        if charge.decline is not None:
            raise invalid(f"Charge {charge.id} has failed; it cannot be refunded.", code="charge_not_refundable")
        if charge.withdrawn_yen:
            raise invalid(f"Charge {charge.id} has been charged back; cannot issue a refund.", code="charge_disputed")
        if left == 0:
            raise invalid(f"Charge {charge.id} has already been refunded.", code="charge_already_refunded")
        if amount_yen is not None and amount_yen > left:
            raise invalid(
                f"Refund amount (¥{amount_yen:,}) is greater than unrefunded amount on charge (¥{left:,})", "amount"
            )
        return left if amount_yen is None else amount_yen
