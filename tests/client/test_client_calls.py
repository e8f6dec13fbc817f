"""The clients are at par with the service: a walk over its OpenAPI document finds a method for every operation.

The walk calls each method of each client and looks at the request that it sends. It fails when the service has an
operation without a method, or when a parameter or a field of a body has no argument.
"""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any, get_type_hints

import httpx
import pytest
from msgspec import structs
from openapi_document import document
from served import Served
from service import OPERATOR_KEY, new_app

from credit_wallet import CreditWallet, WalletError
from credit_wallet.client import AsyncWalletClient, Retries, WalletClient
from credit_wallet.errors import SealNotFound, ServiceUnreachable, TargetNotFound
from credit_wallet.notices.targets import WantedTarget

ROOT = Path(__file__).resolve().parents[2]
HOW_TO = (ROOT / "docs" / "how-to" / "call-the-service-from-python.md").read_text(encoding="utf-8")

DOCUMENT = document()
SENT_BY_STRIPE = {("POST", "/webhooks/stripe")}

ONCE = Retries(attempts=1)
NO_CALLS = {"close", "aclose", "with_token", "on"}
ON = "on(1)."
"""What a method that an operator calls on behalf of a wallet's owner begins with."""
SAMPLES: dict[Any, Any] = {int: 1, str: "x", str | None: None, bool: True, Mapping[str, str]: {"x": "y"}}
NAMED_SAMPLES: dict[str, Any] = {
    "reason": "other",
    "role": "viewer",
    "amount_yen": 1,
    "charges": [(1, 1, "k")],
    "notification_targets": [],
}
HEADERS = {"Idempotency-Key": "idempotency_key", "X-Payer-Token": "payer_token"}
"""The arguments for headers."""

Address = tuple[str, str]
OPERATIONS: dict[str, Address] = {
    operation["operationId"]: (method.upper(), path)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
    if (method.upper(), path) not in SENT_BY_STRIPE
}


def operation_of(request: httpx.Request) -> str:
    """The operation that a request is one of; addresses without parameters come first."""
    for operation, (method, path) in sorted(OPERATIONS.items(), key=lambda each: each[1][1].count("{")):
        pattern = re.sub(r"\{\w+\}", "[^/]+", path)
        if method == request.method and re.fullmatch(pattern, request.url.path):
            return operation
    raise AssertionError(f"the service has no {request.method} {request.url.path}")


def methods_of(kind: type[Any], noun: str = "") -> Iterator[tuple[str, Callable[..., Any]]]:
    """The methods of a client by their names, such as ``charge``, ``keys.create`` and ``on(1).keys.create``."""
    if "on" in vars(kind):
        yield from methods_of(get_type_hints(kind.on)["return"], ON)
    for name, member in inspect.getmembers(kind):
        if name.startswith("_") or name in NO_CALLS:
            continue
        if isinstance(member, property):
            yield from methods_of(get_type_hints(member.fget)["return"], f"{noun}{name}.")
        else:
            yield f"{noun}{name}", member


def sample(function: Callable[..., Any]) -> dict[str, Any]:
    """Something for every argument that is required."""
    hints = get_type_hints(function)
    needed = [each for each in inspect.signature(function).parameters.values() if each.default is each.empty]
    names = [each.name for each in needed if each.name != "self"] + ["amount_yen"] * ("quantity" in hints)
    return {name: NAMED_SAMPLES[name] if name in NAMED_SAMPLES else SAMPLES[hints[name]] for name in names}


def operations_of(kind: type[Any]) -> dict[str, str]:
    """The operation that each method of a client calls, by the method's name."""
    sent: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(418)

    client = kind("http://wallet.test", "token", retries=ONCE, transport=httpx.MockTransport(answer))

    async def ask(name: str, given: dict[str, Any]) -> None:
        with suppress(WalletError):
            on, where = (client.on(1), name.removeprefix(ON)) if name.startswith(ON) else (client, name)
            result = attrgetter(where)(on)(**given)
            if inspect.isawaitable(result):
                await result

    found = {}
    for name, function in methods_of(kind):
        sent.clear()
        asyncio.run(ask(name, sample(function)))
        [request] = sent
        found[name] = operation_of(request)
    return found


CALLED = {kind: operations_of(kind) for kind in (WalletClient, AsyncWalletClient)}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema without references to others at its top."""
    while "$ref" in schema:
        schema = DOCUMENT["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def body_of(operation: dict[str, Any]) -> dict[str, Any]:
    """The properties of an operation's body."""
    content = operation.get("requestBody", {}).get("content", {})
    return {name: each for media in content.values() for name, each in resolved(media["schema"])["properties"].items()}


def arguments_of(operation_id: str) -> set[str]:
    """The arguments that an operation needs, in the words of the client."""
    method, path = OPERATIONS[operation_id]
    operation = DOCUMENT["paths"][path][method.lower()]
    names = {each["name"] for each in operation.get("parameters", ())} | body_of(operation).keys()
    return {HEADERS.get(name, name) for name in names}


@pytest.mark.parametrize("operation_id", sorted(OPERATIONS))
@pytest.mark.parametrize("kind", [WalletClient, AsyncWalletClient])
def test_a_client_has_a_method_for_every_operation(kind: type[Any], operation_id: str) -> None:
    assert operation_id in CALLED[kind].values()


@pytest.mark.parametrize("operation_id", sorted(OPERATIONS))
def test_a_method_takes_everything_that_its_operation_takes(operation_id: str) -> None:
    methods = dict(methods_of(WalletClient))
    names = [name for name, called in CALLED[WalletClient].items() if called == operation_id]
    taken = {argument for name in names for argument in inspect.signature(methods[name]).parameters}
    taken |= {"wallet_id"} if any(name.startswith(ON) for name in names) else set()
    assert arguments_of(operation_id) - taken == set()


def test_a_notification_target_takes_every_field() -> None:
    method, path = OPERATIONS[CALLED[WalletClient]["targets.replace"]]
    target = resolved(body_of(DOCUMENT["paths"][path][method.lower()])["notification_targets"])["items"]
    assert resolved(target)["properties"].keys() == {field.name for field in structs.fields(WantedTarget)}


def test_both_clients_have_the_same_methods() -> None:
    assert CALLED[WalletClient] == CALLED[AsyncWalletClient]
    twins = zip(methods_of(WalletClient), methods_of(AsyncWalletClient), strict=True)
    for (name, here), (_, there) in twins:
        assert inspect.signature(here).parameters == inspect.signature(there).parameters, name
        assert get_type_hints(here) == get_type_hints(there), name
        assert inspect.getdoc(here) == inspect.getdoc(there), name


def test_the_blocking_client_is_written_from_the_one_for_asyncio() -> None:
    spec = importlib.util.spec_from_file_location("blocking_client", ROOT / "scripts" / "blocking_client.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    stale = [path.name for path, content in script.files().items() if path.read_text("utf-8") != content]
    assert stale == [], "run scripts/blocking_client.py"


def test_the_how_to_names_every_method() -> None:
    named = {name: name.removeprefix(ON) for name in CALLED[WalletClient]}
    assert [name for name, written in named.items() if f"`{written}(" not in HOW_TO] == []
    assert "`client.on(wallet_id)`" in HOW_TO


def test_calls_of_the_operator_and_about_targets_work(wallets: CreditWallet) -> None:
    owner = wallets.create()
    hook = WantedTarget(url="https://example.com/hook")
    with Served(new_app(wallets)) as service:
        with WalletClient(service.url, OPERATOR_KEY, retries=ONCE) as operator:
            assert (operator.alive().status, operator.ready().status) == ("ok", "ready")
            assert "credit_wallet_wallets 1.0" in operator.metrics()
            [target] = operator.targets.replace([hook])
            assert str(target.secret).startswith("whsec_")
            with pytest.raises(SealNotFound):
                operator.latest_seal()
            wallets.topup(owner.wallet_id, 5, idempotency_key="sealed")
            assert wallets.maintenance.seal()
            assert operator.latest_seal() == wallets.seals.latest()
            wallets.totals(anew=True)
            today = operator.overview(zone="Asia/Tokyo").days[-1]
            assert (today.paid_in_yen, today.given_yen, today.lapsed_yen) == (5, 0, 0)
            health = operator.service_health()
            assert (health.ok, health.database.kind, health.rail.waiting) == (True, "sqlite", 0)
            [again] = operator.targets.list()
            assert (again.target_id, again.secret) == (target.target_id, None)
            assert (
                operator.targets.replace([WantedTarget(target_id=target.target_id, language="ja")])[0].language == "ja"
            )
            with pytest.raises(WalletError, match="Stripe"):
                operator.topups.pay_back("tu_1", 10)
        with WalletClient(service.url, owner.owner_token, retries=ONCE) as client:
            changed = client.configure(low_balance_yen=7, alert_thresholds_pct=[25], notification_targets=[hook])
            target_id = changed.notification_targets[0].target_id
            assert client.targets.resend_code(target_id) == client.targets.confirm(target_id, "none is asked for")
            with pytest.raises(TargetNotFound):
                client.targets.confirm(999, "2222-2222")
    assert (changed.low_balance_yen, list(changed.alert_thresholds_pct)) == (7, [25])
    assert [str(each.secret)[:6] for each in changed.notification_targets] == ["whsec_"]


def test_what_shows_a_secret_once_is_not_sent_again() -> None:
    sent: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request.method)
        raise httpx.ReadError("cut", request=request)

    hook = WantedTarget(url="https://example.com/hook")
    retries = Retries(attempts=2, first_pause_seconds=0)
    with WalletClient("http://wallet.test", "token", retries=retries, transport=httpx.MockTransport(answer)) as client:
        for call, attempts in (
            (lambda: client.targets.replace([hook]), ["PUT"]),
            (lambda: client.configure(notification_targets=[hook]), ["PATCH"]),
            (lambda: client.configure(label="x"), ["PATCH", "PATCH"]),
        ):
            sent.clear()
            with pytest.raises(ServiceUnreachable):
                call()
            assert sent == attempts
