"""Both clients have every call of the service, by a walk over its OpenAPI document, and everything a call takes."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any, get_type_hints

import httpx
import pytest
from openapi_document import document
from served import Served
from service import OPERATOR_KEY, new_app

from credit_wallet import CreditWallet, WalletError
from credit_wallet.client import AsyncWalletClient, Retries, WalletClient, calls
from credit_wallet.errors import SealNotFound, TargetNotFound
from credit_wallet.notices.targets import WantedTarget

DOCUMENT = document()
NOT_A_CALLERS = {("POST", "/webhooks/stripe")}
"""What only Stripe can send."""

ONCE = Retries(attempts=1)
NO_CALLS = {"close", "aclose", "with_token"}
SAMPLES: dict[Any, Any] = {int: 1, str: "x", bool: True}
NAMED_SAMPLES: dict[str, Any] = {"charges": [(1, 1, "k")], "wanted": []}
OTHER_WORDS = {"sha256": "sha256_hex", "notification_targets": "wanted"}
"""Fields of a body that a method calls otherwise."""

Operation = tuple[str, str]
OPERATIONS: dict[Operation, dict[str, Any]] = {
    (method.upper(), path): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def operation_at(method: str, path: str) -> Operation:
    """The operation of the document that a request is one of; addresses without parameters come first."""
    for known in sorted(OPERATIONS, key=lambda operation: operation[1].count("{")):
        if known[0] == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", known[1]), path):
            return known
    raise AssertionError(f"the service has no {method} {path}")


def methods_of(kind: type[Any]) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in dir(kind):
        if not name.startswith("_") and name not in NO_CALLS:
            yield name, inspect.unwrap(getattr(kind, name))


def sample(function: Callable[..., Any]) -> dict[str, Any]:
    """Something for every parameter that has to be given."""
    hints = get_type_hints(function)
    needed = [each for each in inspect.signature(function).parameters.values() if each.default is each.empty]
    names = [each.name for each in needed if each.name != "self"]
    return {name: NAMED_SAMPLES[name] if name in NAMED_SAMPLES else SAMPLES[hints[name]] for name in names}


def requests_of(kind: type[Any]) -> dict[str, Operation]:
    """What each method of a client sends, by the method's name."""
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(418)

    transport = httpx.MockTransport(answer)
    client = kind("http://wallet.test", "token", retries=ONCE, transport=transport)

    async def ask(name: str, given: dict[str, Any]) -> None:
        with suppress(WalletError):
            result = getattr(client, name)(**given)
            if inspect.isawaitable(result):
                await result

    found = {}
    for name, function in methods_of(kind):
        sent.clear()
        asyncio.run(ask(name, sample(function)))
        [request] = sent
        found[name] = operation_at(request.method, request.url.path)
    return found


@pytest.mark.parametrize("kind", [WalletClient, AsyncWalletClient])
def test_a_client_has_a_method_for_every_operation(kind: type[Any]) -> None:
    assert set(OPERATIONS) - NOT_A_CALLERS - set(requests_of(kind).values()) == set()


def test_both_clients_have_the_same_methods() -> None:
    assert requests_of(WalletClient) == requests_of(AsyncWalletClient)
    twins = zip(methods_of(WalletClient), methods_of(AsyncWalletClient), strict=True)
    for (name, here), (_, there) in twins:
        assert inspect.signature(here).parameters == inspect.signature(there).parameters, name


@pytest.mark.parametrize("operation", sorted(set(OPERATIONS) - NOT_A_CALLERS), ids=" ".join)
def test_a_method_takes_all_that_its_operation_takes(operation: Operation) -> None:
    described = OPERATIONS[operation]
    wanted = {each["name"] for each in described.get("parameters", ()) if each["in"] == "query"}
    if "requestBody" in described:
        [media] = described["requestBody"]["content"].values()
        schema = DOCUMENT["components"]["schemas"][media["schema"]["$ref"].rpartition("/")[2]]
        wanted |= schema["properties"].keys()
    names = [name for name, sends in requests_of(WalletClient).items() if sends == operation]
    taken = {each for name in names for each in inspect.signature(getattr(WalletClient, name)).parameters}
    assert {name for name in wanted if name not in taken and OTHER_WORDS.get(name, name) not in taken} == set()


def test_the_calls_that_were_missing_work(wallets: CreditWallet) -> None:
    owner = wallets.create()
    hook = WantedTarget(url="https://example.com/hook")
    with Served(new_app(wallets)) as service:
        with WalletClient(service.url, OPERATOR_KEY, retries=ONCE) as operator:
            assert (operator.alive().status, operator.ready().status) == ("ok", "ready")
            assert "credit_wallet_wallets 1.0" in operator.metrics()
            [target] = operator.set_operator_targets([hook])
            assert str(target.secret).startswith("whsec_")
            with pytest.raises(SealNotFound):
                operator.latest_seal()
            wallets.topup(owner.wallet_id, 5, idempotency_key="sealed")
            assert wallets.maintenance.seal()
            assert operator.latest_seal() == wallets.seals.latest()
            [again] = operator.operator_targets()
            assert (again.target_id, again.secret) == (target.target_id, None)
            assert (
                operator.set_operator_targets([WantedTarget(target_id=target.target_id, language="ja")])[0].language
                == "ja"
            )
            with pytest.raises(WalletError, match="Stripe"):
                operator.pay_back("tu_1", 10)
        with WalletClient(service.url, owner.owner_token, retries=ONCE) as client:
            changed = client.configure(low_balance_yen=7, alert_thresholds_pct=[25], notification_targets=[hook])
            target_id = changed.notification_targets[0].target_id
            assert client.ask_target_again(target_id) == client.confirm_target(target_id, "none is asked for")
            with pytest.raises(TargetNotFound):
                client.confirm_target(999, "2222-2222")
    assert (changed.low_balance_yen, list(changed.alert_thresholds_pct)) == (7, [25])
    assert [str(each.secret)[:6] for each in changed.notification_targets] == ["whsec_"]


def test_what_shows_a_secret_once_is_not_sent_again() -> None:
    hook = WantedTarget(url="https://example.com/hook")
    assert not calls.set_operator_targets([hook]).repeatable
    assert not calls.configure(notification_targets=[hook]).repeatable
    assert calls.configure(label="x").repeatable
