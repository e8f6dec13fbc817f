"""Which call does what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from fake_stripe import calls, session_calls
from fake_stripe.account import Account
from fake_stripe.parameters import ListParameters, MetadataUpdate, Parameters

Json = dict[str, Any]
P = TypeVar("P", bound=Parameters)
Action = Callable[[str, Any], Awaitable[Json]]


@dataclass(frozen=True)
class Route:
    """A call: what it knows, and what it does with the id in its path (or an empty one) and its parameters."""

    method: str
    path: str
    parameters: type[Parameters]
    action: Action


def routes(account: Account) -> list[Route]:
    """All calls."""
    return [
        *_customers(account),
        *_methods(account),
        *_intents(account),
        *_setups(account),
        *_charges(account),
        *_sessions(account),
        *_rest(account),
    ]


def _route(method: str, path: str, parameters: type[P], action: Callable[[str, P], Awaitable[Json]]) -> Route:
    return Route(method, path, parameters, action)


def _customers(account: Account) -> list[Route]:
    customers, methods = account.customers, account.methods

    async def create(_: str, given: calls.CustomerCreate) -> Json:
        return await customers.view(await account.create_customer(given))

    async def update(customer_id: str, given: calls.CustomerUpdate) -> Json:
        customer = customers.find(customer_id, "id", status=404)
        await account.update_customer(customer, given)
        return await customers.view(customer)

    async def methods_of(customer_id: str, given: calls.MethodList) -> Json:
        customers.find(customer_id, "id", status=404)
        given.customer = customer_id
        return await methods.list(given)

    async def cash_balance(customer_id: str, _: Parameters) -> Json:
        return customers.cash_balance(customers.find(customer_id, "id", status=404))

    return [
        _route("POST", "/v1/customers", calls.CustomerCreate, create),
        _route("GET", "/v1/customers", calls.CustomerList, lambda _, given: customers.list(given)),
        _route("GET", "/v1/customers/{id}", Parameters, lambda customer_id, _: customers.retrieve(customer_id)),
        _route("POST", "/v1/customers/{id}", calls.CustomerUpdate, update),
        _route(
            "DELETE",
            "/v1/customers/{id}",
            Parameters,
            lambda customer_id, _: customers.delete(customers.find(customer_id, "id", status=404)),
        ),
        _route("GET", "/v1/customers/{id}/payment_methods", calls.MethodList, methods_of),
        _route("GET", "/v1/customers/{id}/cash_balance", Parameters, cash_balance),
    ]


def _methods(account: Account) -> list[Route]:
    customers, methods = account.customers, account.methods

    async def create(_: str, given: calls.MethodCreate) -> Json:
        return await methods.view(await methods.create(given.data()))

    async def retrieve(method_id: str, _: Parameters) -> Json:
        return await methods.view(await methods.resolve(method_id, status=404))

    async def update(method_id: str, given: calls.MethodUpdate) -> Json:
        method = methods.find(method_id, status=404)
        await methods.update(method, given)
        return await methods.view(method)

    async def attach(method_id: str, given: calls.MethodAttach) -> Json:
        method = await methods.resolve(method_id, status=404)
        await methods.attach(method, customers.find(given.customer))
        return await methods.view(method)

    async def detach(method_id: str, _: Parameters) -> Json:
        method = methods.find(method_id, status=404)
        await methods.detach(method)
        return await methods.view(method)

    return [
        _route("POST", "/v1/payment_methods", calls.MethodCreate, create),
        _route("GET", "/v1/payment_methods", calls.MethodList, lambda _, given: methods.list(given)),
        _route("GET", "/v1/payment_methods/{id}", Parameters, retrieve),
        _route("POST", "/v1/payment_methods/{id}", calls.MethodUpdate, update),
        _route("POST", "/v1/payment_methods/{id}/attach", calls.MethodAttach, attach),
        _route("POST", "/v1/payment_methods/{id}/detach", Parameters, detach),
    ]


def _intents(account: Account) -> list[Route]:
    intents, paying = account.intents, account.paying

    async def create(_: str, given: calls.IntentCreate) -> Json:
        return await intents.view(await paying.create(given))

    async def retrieve(intent_id: str, _: Parameters) -> Json:
        return await intents.view(intents.find(intent_id, "intent", status=404))

    async def update(intent_id: str, given: calls.IntentUpdate) -> Json:
        intent = intents.find(intent_id, "intent", status=404)
        await intents.update(intent, given)
        return await intents.view(intent)

    async def confirm(intent_id: str, given: calls.Confirmation) -> Json:
        intent = intents.find(intent_id, "intent", status=404)
        await paying.confirm(intent, given)
        return await intents.view(intent)

    async def cancel(intent_id: str, given: calls.IntentCancel) -> Json:
        intent = intents.find(intent_id, "intent", status=404)
        await intents.cancel(intent, given)
        return await intents.view(intent)

    return [
        _route("POST", "/v1/payment_intents", calls.IntentCreate, create),
        _route("GET", "/v1/payment_intents", calls.IntentList, lambda _, given: intents.list(given)),
        _route("GET", "/v1/payment_intents/{id}", Parameters, retrieve),
        _route("POST", "/v1/payment_intents/{id}", calls.IntentUpdate, update),
        _route("POST", "/v1/payment_intents/{id}/confirm", calls.Confirmation, confirm),
        _route("POST", "/v1/payment_intents/{id}/cancel", calls.IntentCancel, cancel),
    ]


def _setups(account: Account) -> list[Route]:
    setups = account.setups

    async def create(_: str, given: calls.SetupCreate) -> Json:
        return await setups.view(await setups.create(given))

    async def confirm(setup_id: str, given: calls.SetupConfirmation) -> Json:
        setup = setups.find(setup_id)
        await setups.confirm(setup, given)
        return await setups.view(setup)

    async def cancel(setup_id: str, given: calls.SetupCancel) -> Json:
        setup = setups.find(setup_id)
        await setups.cancel(setup, given)
        return await setups.view(setup)

    return [
        _route("POST", "/v1/setup_intents", calls.SetupCreate, create),
        _route("GET", "/v1/setup_intents", calls.SetupList, lambda _, given: setups.list(given)),
        _route(
            "GET",
            "/v1/setup_intents/{id}",
            Parameters,
            lambda setup_id, _: setups.view(setups.find(setup_id)),
        ),
        _route("POST", "/v1/setup_intents/{id}/confirm", calls.SetupConfirmation, confirm),
        _route("POST", "/v1/setup_intents/{id}/cancel", calls.SetupCancel, cancel),
    ]


def _charges(account: Account) -> list[Route]:
    charges, refunds, disputes = account.charges, account.refunds, account.disputes

    async def refund(_: str, given: calls.RefundCreate) -> Json:
        return await refunds.view(await refunds.create(given))

    async def update_refund(refund_id: str, given: MetadataUpdate) -> Json:
        found = refunds.find(refund_id)
        await refunds.update(found, given)
        return await refunds.view(found)

    async def retrieve_dispute(dispute_id: str, _: Parameters) -> Json:
        return disputes.view(disputes.find(dispute_id))

    async def update_dispute(dispute_id: str, given: MetadataUpdate) -> Json:
        dispute = disputes.find(dispute_id)
        disputes.update(dispute, given)
        return disputes.view(dispute)

    async def close_dispute(dispute_id: str, _: Parameters) -> Json:
        dispute = disputes.find(dispute_id)
        disputes.close(dispute, won=False)
        return disputes.view(dispute)

    async def list_disputes(_: str, given: calls.DisputeList) -> Json:
        return disputes.list(given)

    return [
        _route("GET", "/v1/charges", calls.ChargeList, lambda _, given: charges.list(given)),
        _route(
            "GET",
            "/v1/charges/{id}",
            Parameters,
            lambda charge_id, _: charges.view(charges.find(charge_id, status=404)),
        ),
        _route("POST", "/v1/refunds", calls.RefundCreate, refund),
        _route("GET", "/v1/refunds", calls.RefundList, lambda _, given: refunds.list(given)),
        _route("GET", "/v1/refunds/{id}", Parameters, lambda refund_id, _: refunds.view(refunds.find(refund_id))),
        _route("POST", "/v1/refunds/{id}", MetadataUpdate, update_refund),
        _route("GET", "/v1/disputes", calls.DisputeList, list_disputes),
        _route("GET", "/v1/disputes/{id}", Parameters, retrieve_dispute),
        _route("POST", "/v1/disputes/{id}", MetadataUpdate, update_dispute),
        _route("POST", "/v1/disputes/{id}/close", Parameters, close_dispute),
    ]


def _sessions(account: Account) -> list[Route]:
    sessions = account.sessions

    async def create(_: str, given: session_calls.SessionCreate) -> Json:
        return sessions.view(await sessions.create(given))

    async def retrieve(session_id: str, _: Parameters) -> Json:
        return sessions.view(sessions.find(session_id))

    async def expire(session_id: str, _: Parameters) -> Json:
        session = sessions.find(session_id)
        await sessions.expire(session)
        return sessions.view(session)

    async def line_items(session_id: str, given: ListParameters) -> Json:
        return sessions.line_items(sessions.find(session_id), given)

    async def list_sessions(_: str, given: session_calls.SessionList) -> Json:
        return sessions.list(given)

    return [
        _route("POST", "/v1/checkout/sessions", session_calls.SessionCreate, create),
        _route("GET", "/v1/checkout/sessions", session_calls.SessionList, list_sessions),
        _route("GET", "/v1/checkout/sessions/{id}", Parameters, retrieve),
        _route("POST", "/v1/checkout/sessions/{id}/expire", Parameters, expire),
        _route("GET", "/v1/checkout/sessions/{id}/line_items", ListParameters, line_items),
    ]


def _rest(account: Account) -> list[Route]:
    async def list_events(_: str, given: calls.EventList) -> Json:
        return account.events.list(given)

    async def event(event_id: str, _: Parameters) -> Json:
        return account.events.retrieve(event_id)

    async def balance(_: str, _given: Parameters) -> Json:
        return account.charges.balance()

    async def describe(_: str, _given: Parameters) -> Json:
        return account.describe()

    return [
        _route("GET", "/v1/events", calls.EventList, list_events),
        _route("GET", "/v1/events/{id}", Parameters, event),
        _route("GET", "/v1/balance", Parameters, balance),
        _route("GET", "/v1/account", Parameters, describe),
        _route(
            "GET",
            "/v1/balance_transactions/{id}",
            Parameters,
            lambda transaction_id, _: account.charges.transaction(transaction_id),
        ),
    ]
