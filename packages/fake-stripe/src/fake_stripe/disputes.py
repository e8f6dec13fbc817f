"""Disputes: a payer's bank withdraws the money, or asks first (https://docs.stripe.com/disputes/how-disputes-work)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fake_stripe.calls import DisputeList
from fake_stripe.charges import Charge, Charges
from fake_stripe.events import Events
from fake_stripe.failures import missing
from fake_stripe.ids import new_id
from fake_stripe.lists import page
from fake_stripe.parameters import MetadataUpdate, merged

Json = dict[str, Any]

FEE_YEN = 1300
"""What Stripe keeps of a dispute in Japan."""

_ANSWER_WITHIN_SECONDS = 9 * 24 * 3600
_OPEN = ("needs_response", "warning_needs_response")


@dataclass
class Dispute:
    """A dispute, or an inquiry that may become one."""

    id: str
    created: int
    amount_yen: int
    charge: Charge
    reason: str
    status: str
    metadata: dict[str, str] = field(default_factory=dict)
    transactions: list[Json] = field(default_factory=list)
    """The balance transactions: money withdrawn and reinstated."""

    @property
    def is_inquiry(self) -> bool:
        """Whether the bank only asks and has withdrawn no money."""
        return self.status.startswith("warning_")


class Disputes:
    """All disputes."""

    def __init__(self, events: Events, charges: Charges, clock: Callable[[], float]) -> None:
        self._events = events
        self._charges = charges
        self._clock = clock
        self._all: dict[str, Dispute] = {}

    def find(self, dispute_id: str, *, status: int = 404) -> Dispute:
        """A dispute that exists."""
        dispute = self._all.get(dispute_id)
        if dispute is None:
            raise missing("dispute", dispute_id, status=status)
        return dispute

    def open(self, charge: Charge, amount_yen: int | None, reason: str, *, inquiry: bool) -> Dispute:
        """The payer disputes a charge; with ``inquiry`` the bank only asks."""
        if charge.decline is not None or charge.disputed:
            raise ValueError(f"{charge.id} cannot be disputed: it has failed, or has been disputed already")
        amount_yen = charge.amount_yen if amount_yen is None else amount_yen
        if not 1 <= amount_yen <= charge.amount_yen:
            raise ValueError(f"{amount_yen} is not between 1 and the amount of the charge, {charge.amount_yen}")
        status = "warning_needs_response" if inquiry else "needs_response"
        dispute = Dispute(new_id("du"), int(self._clock()), amount_yen, charge, reason, status)
        self._all[dispute.id] = dispute
        charge.disputed = True
        if not inquiry:
            self._withdraw(dispute)
        self._events.record("charge.dispute.created", self.view(dispute))
        if not inquiry:
            self._events.record("charge.dispute.funds_withdrawn", self.view(dispute))
        return dispute

    def escalate(self, dispute: Dispute) -> None:
        """The bank does not accept the answer: the inquiry becomes a dispute, and the money is withdrawn."""
        if dispute.status != "warning_needs_response":
            raise ValueError(f"{dispute.id} is not an open inquiry; its status is {dispute.status}")
        dispute.status = "needs_response"
        self._withdraw(dispute)
        self._events.record("charge.dispute.updated", self.view(dispute), {"status": "warning_needs_response"})
        self._events.record("charge.dispute.funds_withdrawn", self.view(dispute))

    def close(self, dispute: Dispute, *, won: bool) -> None:
        """The bank has decided. An inquiry is closed without any money having moved."""
        if dispute.status not in _OPEN:
            raise ValueError(f"{dispute.id} is closed; its status is {dispute.status}")
        if dispute.is_inquiry:
            dispute.status = "warning_closed"
        else:
            dispute.status = "won" if won else "lost"
        if dispute.status == "won":
            dispute.charge.withdrawn_yen -= dispute.amount_yen
            dispute.transactions.append(self._transaction(dispute.amount_yen, "dispute_reversal"))
            self._events.record("charge.dispute.funds_reinstated", self.view(dispute))
        self._events.record("charge.dispute.closed", self.view(dispute))

    def update(self, dispute: Dispute, given: MetadataUpdate) -> None:
        """Change the metadata."""
        dispute.metadata = merged(dispute.metadata, given.metadata)
        self._events.record("charge.dispute.updated", self.view(dispute))

    def list(self, wanted: DisputeList) -> Json:
        """Disputes, newest first."""
        chosen = [
            dispute
            for dispute in reversed(self._all.values())
            if wanted.charge in (None, dispute.charge.id) and wanted.payment_intent in (None, dispute.charge.intent_id)
        ]
        return page("/v1/disputes", chosen, wanted).of(self.view)

    def view(self, dispute: Dispute) -> Json:
        """The dispute as the API answers it."""
        brand = dispute.charge.method.card.brand if dispute.charge.method.card else "unknown"
        card = {
            "brand": brand,
            "case_type": "inquiry" if dispute.is_inquiry else "chargeback",
            "network": brand,
            "network_reason_code": "10.4",
        }
        evidence = {
            "due_by": dispute.created + _ANSWER_WITHIN_SECONDS,
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        }
        return {
            "id": dispute.id,
            "object": "dispute",
            "amount": dispute.amount_yen,
            "balance_transactions": list(dispute.transactions),
            "charge": dispute.charge.id,
            "created": dispute.created,
            "currency": "jpy",
            "enhanced_eligibility_types": [],
            "evidence": {},
            "evidence_details": evidence,
            "is_charge_refundable": dispute.is_inquiry,
            "livemode": False,
            "metadata": dispute.metadata,
            "payment_intent": dispute.charge.intent_id,
            "payment_method_details": {"card": card, "type": "card"},
            "reason": dispute.reason,
            "status": dispute.status,
        }

    def _withdraw(self, dispute: Dispute) -> None:
        dispute.charge.withdrawn_yen += dispute.amount_yen
        dispute.transactions.append(self._transaction(-dispute.amount_yen, "dispute", FEE_YEN))

    def _transaction(self, amount_yen: int, category: str, fee_yen: int = 0) -> Json:
        return {
            "id": new_id("txn"),
            "object": "balance_transaction",
            "amount": amount_yen,
            "created": int(self._clock()),
            "currency": "jpy",
            "fee": fee_yen,
            "net": amount_yen - fee_yen,
            "reporting_category": category,
            "status": "available",
            "type": "adjustment",
        }
