"""Money that goes back: refunds and disputes."""

from __future__ import annotations

import pytest
import stripe
from merchant import (
    happened,
    konbini,
    pays,
    refusal,
)

from fake_stripe import FakeStripe


def test_a_payment_is_refunded_in_parts(fake: FakeStripe, client: stripe.StripeClient) -> None:
    paid = pays(client)
    first = client.v1.refunds.create({"payment_intent": paid.id, "amount": 300, "reason": "requested_by_customer"})
    assert (first.status, first.amount, first.charge) == ("succeeded", 300, paid.latest_charge)
    charge = client.v1.charges.retrieve(str(paid.latest_charge))
    assert (charge.amount_refunded, charge.refunded) == (300, False)
    second = client.v1.refunds.create({"charge": charge.id})
    assert second.amount == 700
    charge = client.v1.charges.retrieve(charge.id)
    assert (charge.amount_refunded, charge.refunded) == (1000, True)
    assert refusal(lambda: client.v1.refunds.create({"charge": charge.id}))["code"] == "charge_already_refunded"
    assert [refund.id for refund in client.v1.refunds.list({"charge": charge.id}).data] == [second.id, first.id]
    refunded = [event for event in fake.events("charge.refunded") if event["data"]["object"]["id"] == charge.id]
    assert [event["data"]["object"]["amount_refunded"] for event in refunded] == [300, 1000]
    assert [event["data"]["previous_attributes"]["amount_refunded"] for event in refunded] == [0, 300]
    assert happened(fake, first.id) == ["refund.created", "refund.updated"]
    assert fake.payment_intent(paid.id).refunded == 1000


def test_no_more_is_refunded_than_was_paid(client: stripe.StripeClient) -> None:
    paid = pays(client)
    error = refusal(lambda: client.v1.refunds.create({"payment_intent": paid.id, "amount": 1001}))
    assert "greater than unrefunded amount" in error["message"]


@pytest.mark.parametrize("success", [True, False])
def test_a_konbini_refund_takes_a_while_and_may_fail(
    fake: FakeStripe, client: stripe.StripeClient, *, success: bool
) -> None:
    intent = konbini(client)
    fake.pay_voucher(intent.id)
    refund_id = fake.refund(intent.id, 400)
    assert client.v1.refunds.retrieve(refund_id).status == "requires_action"
    assert fake.payment_intent(intent.id).refunded == 400
    settled = fake.settle_refund(refund_id, success=success)
    assert settled["status"] == ("succeeded" if success else "failed")
    assert fake.payment_intent(intent.id).refunded == (400 if success else 0)
    charge = client.v1.charges.retrieve(settled["charge"])
    assert charge.amount_refunded == (400 if success else 0)
    assert ("refund.failed" in happened(fake, refund_id)) is not success


# Disputes


def test_a_dispute_takes_the_money_and_may_give_it_back(fake: FakeStripe, client: stripe.StripeClient) -> None:
    paid = pays(client)
    dispute = client.v1.disputes.retrieve(fake.dispute(paid.id, 800))
    assert (dispute.status, dispute.amount, dispute.payment_intent) == ("needs_response", 800, paid.id)
    assert client.v1.charges.retrieve(str(paid.latest_charge)).disputed
    assert fake.payment_intent(paid.id).disputed == 800
    assert refusal(lambda: client.v1.refunds.create({"payment_intent": paid.id}))["code"] == "charge_disputed"
    [found] = client.v1.disputes.list({"payment_intent": paid.id, "created": {"gte": dispute.created}}).data
    assert found.id == dispute.id
    fake.close_dispute(dispute.id, won=True)
    assert client.v1.disputes.retrieve(dispute.id).status == "won"
    assert fake.payment_intent(paid.id).disputed == 0
    assert happened(fake, dispute.id) == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.funds_reinstated",
        "charge.dispute.closed",
    ]


def test_a_lost_dispute_keeps_the_money(fake: FakeStripe, client: stripe.StripeClient) -> None:
    paid = pays(client)
    dispute_id = fake.dispute(str(paid.latest_charge))
    fake.close_dispute(dispute_id, won=False)
    assert client.v1.disputes.retrieve(dispute_id).status == "lost"
    assert fake.payment_intent(paid.id).disputed == 1000
    with pytest.raises(ValueError, match="is closed"):
        fake.close_dispute(dispute_id, won=True)


def test_an_inquiry_takes_no_money_unless_it_becomes_a_dispute(fake: FakeStripe, client: stripe.StripeClient) -> None:
    paid = pays(client)
    inquiry = client.v1.disputes.retrieve(fake.dispute(paid.id, inquiry=True))
    assert (inquiry.status, inquiry.is_charge_refundable) == ("warning_needs_response", True)
    assert (fake.payment_intent(paid.id).disputed, happened(fake, inquiry.id)) == (0, ["charge.dispute.created"])
    fake.escalate_dispute(inquiry.id)
    assert fake.payment_intent(paid.id).disputed == 1000
    other = pays(client)
    closed = fake.dispute(other.id, inquiry=True)
    fake.close_dispute(closed, won=True)
    assert client.v1.disputes.retrieve(closed).status == "warning_closed"
    assert happened(fake, closed) == ["charge.dispute.created", "charge.dispute.closed"]
