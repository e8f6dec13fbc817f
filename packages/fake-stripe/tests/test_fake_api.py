"""What every call has: parameters, keys, lists, idempotency."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import pytest
import stripe
from merchant import (
    BROWSER,
    client_of,
    create_with_key,
    happened,
    kept,
    pays,
    refusal,
)

from fake_stripe import FakeStripe


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"amount": 49}, "amount_too_small", "amount"),
        ({"amount": 100_000_000}, "amount_too_large", "amount"),
        ({"amount": 0}, "parameter_invalid_integer", "amount"),
        ({"amount": "12.5"}, "parameter_invalid_integer", "amount"),
        ({"nonsense": 1}, "parameter_unknown", "nonsense"),
        ({"automatic_payment_methods": {"nonsense": 1}}, "parameter_unknown", "automatic_payment_methods[nonsense]"),
        ({"customer": "cus_nobody"}, "resource_missing", "customer"),
        ({"payment_method": "pm_nothing"}, "resource_missing", "payment_method"),
        ({"payment_method_types": ["card"]}, "payment_method_types_no_longer_supported", "payment_method_types"),
        ({"return_url": "javascript:alert(1)"}, "url_invalid", "return_url"),
        ({"currency": "eur"}, None, "currency"),
        ({"confirm": False, "off_session": True}, None, "off_session"),
        ({"automatic_payment_methods": {"enabled": True}}, None, "return_url"),
        ({"statement_descriptor_suffix": "<b>"}, None, "statement_descriptor_suffix"),
        ({"metadata": {"key": "v" * 501}}, None, "metadata[key]"),
    ],
)
def test_bad_parameters_are_refused(
    fake: FakeStripe, client: stripe.StripeClient, change: dict[str, Any], code: str | None, param: str
) -> None:
    before = len(fake.payment_intents())
    error = refusal(lambda: pays(client, **change))
    assert (error["type"], error.get("code"), error["param"]) == ("invalid_request_error", code, param)
    assert len(fake.payment_intents()) == before


def test_versions_before_dynamic_payment_methods_take_a_list_of_types(client: stripe.StripeClient) -> None:
    given: Any = {"amount": 1000, "currency": "jpy", "payment_method_types": ["card", "konbini"]}
    intent = client.v1.payment_intents.create(given, {"stripe_version": "2025-09-30.clover"})
    assert intent.payment_method_types == ["card", "konbini"]
    given = {"amount": 1000, "currency": "jpy", "allowed_payment_method_types": ["card", "customer_balance"]}
    assert client.v1.payment_intents.create(given).payment_method_types == ["card"]


def test_metadata_is_merged_and_unset(client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 100, "currency": "jpy", "metadata": {"a": "1", "b": "2"}})
    assert kept(client.v1.payment_intents.update(intent.id, {"metadata": {"b": "", "0": "x"}})) == {"a": "1", "0": "x"}
    assert kept(client.v1.payment_intents.update(intent.id, {"metadata": ""})) == {}


def test_a_payment_can_be_cancelled_until_it_is_made(fake: FakeStripe, client: stripe.StripeClient) -> None:
    intent = client.v1.payment_intents.create({"amount": 100, "currency": "jpy"})
    cancelled = client.v1.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})
    assert (cancelled.status, cancelled.cancellation_reason) == ("canceled", "abandoned")
    assert cancelled.canceled_at
    assert happened(fake, intent.id)[-1] == "payment_intent.canceled"
    paid = pays(client)
    for call in (
        lambda: client.v1.payment_intents.cancel(paid.id),
        lambda: client.v1.payment_intents.confirm(paid.id),
        lambda: client.v1.payment_intents.update(paid.id, {"amount": 200}),
        lambda: client.v1.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"}),
    ):
        error = refusal(call)
        assert error["code"] == "payment_intent_unexpected_state"
        assert error["payment_intent"]["status"] in ("succeeded", "canceled")


def test_only_keys_for_test_money_are_taken(fake: FakeStripe) -> None:
    for key in ("sk_live_123", "pk_test_123"):
        client = stripe.StripeClient(key, base_addresses={"api": fake.url})
        with pytest.raises(stripe.AuthenticationError):
            client.v1.balance.retrieve()
    assert BROWSER.get(f"{fake.url}/v1/balance").status_code == 401
    assert BROWSER.get(f"{fake.url}/v1/balance", auth=("sk_test_123", "")).status_code == 200


def test_unknown_calls_and_objects_are_not_found(client: stripe.StripeClient) -> None:
    assert refusal(lambda: client.v1.payment_intents.retrieve("pi_nothing"), 404)["code"] == "resource_missing"
    assert refusal(lambda: client.v1.subscriptions.list(), 404)["message"].startswith("Unrecognized request URL")


# Lists


def test_lists_are_paged_newest_first(client: stripe.StripeClient, customer: str) -> None:
    made = [pays(client, customer=customer).id for _ in range(5)]
    first = client.v1.payment_intents.list({"customer": customer, "limit": 2})
    assert ([intent.id for intent in first.data], first.has_more) == (made[:2:-1], True)
    everything = first.auto_paging_iter()
    assert [intent.id for intent in everything] == made[::-1]
    last = client.v1.payment_intents.list({"customer": customer, "starting_after": made[1]})
    assert ([intent.id for intent in last.data], last.has_more) == (made[:1], False)
    newer = client.v1.payment_intents.list({"customer": customer, "ending_before": made[2], "limit": 1})
    assert ([intent.id for intent in newer.data], newer.has_more) == ([made[3]], True)
    created = client.v1.payment_intents.retrieve(made[0]).created
    assert len(client.v1.payment_intents.list({"customer": customer, "created": {"gte": created}}).data) == 5
    assert client.v1.payment_intents.list({"customer": customer, "created": {"gt": created + 60}}).data == []
    assert refusal(lambda: client.v1.payment_intents.list({"limit": 101}))["param"] == "limit"


def test_events_can_be_listed_by_type_and_time(client: stripe.StripeClient) -> None:
    paid = pays(client)
    [latest] = client.v1.events.list({"type": "payment_intent.succeeded", "limit": 1}).data
    assert latest.data.object["id"] == paid.id
    found = client.v1.events.list({"types": ["charge.*"], "created": {"gte": latest.created}}).data
    assert found[0].data.object["id"] == paid.latest_charge
    assert client.v1.events.retrieve(latest.id).type == "payment_intent.succeeded"
    assert client.v1.events.list({"type": "no.such.event"}).data == []


def test_events_name_the_request_that_caused_them(fake: FakeStripe, client: stripe.StripeClient) -> None:
    given: Any = {"amount": 100, "currency": "jpy"}
    intent = client.v1.payment_intents.create(given, {"idempotency_key": "cause-1"})
    fake.pay(intent.id)
    requests = [event["request"] for event in fake.events() if event["data"]["object"].get("id") == intent.id]
    assert intent.last_response is not None
    assert requests[0] == {"id": intent.last_response.request_id, "idempotency_key": "cause-1"}
    assert requests[-1] == {"id": None, "idempotency_key": None}


def test_the_account_and_its_balance(fake: FakeStripe, client: stripe.StripeClient) -> None:
    account = client.v1.accounts.retrieve_current()
    assert (account.country, account.default_currency) == ("JP", "jpy")
    before = client.v1.balance.retrieve().available[0].amount
    paid = pays(client, 10_000)
    fake.refund(paid.id, 1_000)
    assert client.v1.balance.retrieve().available[0].amount == before + 10_000 - 360 - 1_000


# Idempotency


def test_a_key_replays_the_first_answer(fake: FakeStripe, client: stripe.StripeClient) -> None:
    before = len(fake.payment_intents())
    first, again = create_with_key(client, "replay"), create_with_key(client, "replay")
    assert first.id == again.id
    assert first.last_response is not None
    assert again.last_response is not None
    assert "Idempotent-Replayed" not in first.last_response.headers
    assert again.last_response.headers["Idempotent-Replayed"] == "true"
    assert again.last_response.headers["Original-Request"] == first.last_response.request_id
    assert len(fake.payment_intents()) == before + 1


def test_a_key_replays_an_error_too(fake: FakeStripe, client: stripe.StripeClient) -> None:
    errors = [
        refusal(lambda: create_with_key(client, "declined", payment_method="pm_card_visa_chargeDeclined"), 402)
        for _ in range(2)
    ]
    assert errors[0] == errors[1]
    assert happened(fake, errors[0]["payment_intent"]["id"]).count("payment_intent.payment_failed") == 1


def test_a_key_belongs_to_its_parameters_and_its_endpoint(client: stripe.StripeClient) -> None:
    create_with_key(client, "bound")
    for call in (
        lambda: create_with_key(client, "bound", amount=2000),
        lambda: client.v1.customers.create({}, {"idempotency_key": "bound"}),
    ):
        with pytest.raises(stripe.IdempotencyError) as caught:
            call()
        assert caught.value.http_status == 400


def test_a_key_is_not_used_up_by_what_is_refused_before_it_is_tried(client: stripe.StripeClient) -> None:
    assert refusal(lambda: create_with_key(client, "fresh", amount=1))["code"] == "amount_too_small"
    assert create_with_key(client, "fresh").status == "succeeded"


def test_two_calls_with_a_key_at_once_are_a_conflict(fake: FakeStripe, client: stripe.StripeClient) -> None:
    with ThreadPoolExecutor(2) as pool:
        with fake.paused():
            calls = [pool.submit(create_with_key, client, "at once") for _ in range(2)]
            refused = next(as_completed(calls))
            error = refusal(refused.result, 409)
        assert error["code"] == "idempotency_key_in_use"
        [carried_out] = [call for call in calls if call is not refused]
        assert carried_out.result().status == "succeeded"


def test_a_key_is_forgotten_after_a_day() -> None:
    now = [1_800_000_000.0]
    with FakeStripe(clock=lambda: now[0]) as fake:
        client = client_of(fake.url)
        first = create_with_key(client, "daily")
        assert first.created == now[0]
        now[0] += 24 * 3600 - 1
        assert create_with_key(client, "daily").id == first.id
        now[0] += 1
        assert create_with_key(client, "daily").id != first.id
