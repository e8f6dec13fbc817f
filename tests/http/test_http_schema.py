"""The service does what its OpenAPI document says, and refuses what the document does not allow."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fake_stripe import FakeStripe
from hypothesis import HealthCheck, settings
from openapi_document import document
from schemathesis.checks import CheckFunction
from schemathesis.config import SchemathesisConfig
from schemathesis.generation.hypothesis.builder import HypothesisTestConfig, HypothesisTestMode, create_test
from schemathesis.schemas import BaseSchema
from schemathesis.specs.openapi.checks import ignored_auth, positive_data_acceptance
from service import OPERATOR_KEY, credentials, new_app
from width import WIDE, examples

from credit_wallet import CreditWallet
from credit_wallet.http.mirrored_routes import TAG
from credit_wallet.payments.factory import open_payments
from credit_wallet.payments.settings import PaymentSettings
from credit_wallet.wire.asgi import AsgiApp

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("many_bad_tokens_are_allowed")]

EXAMPLES = examples(5)
"""Generated requests per operation, beside those that the document's limits lead to."""

WITHOUT_TOKENS = 5
"""Requests per operation that are sent again without a token and with a bad one; in a wide run all are."""

WEBHOOK = "/webhooks/stripe"
"""Takes what only Stripe can sign."""

NAMING_A_WALLET = ("/credit/charge", "/credit/hold", "/credit/purchase")
SELLING = (*NAMING_A_WALLET, "/credit/capture")

CHECKS = {
    # All that the document asks for is there: it is done, or refused for what the wallet is like at that moment.
    "positive_data_acceptance": {"expected-statuses": ["2xx", "402", "403", "404", "409"]},
    "missing_required_header": {"expected-statuses": ["400", "401", "403", "404", "428"]},
}

bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=list(HealthCheck),
)


def test_every_answer_that_asks_to_come_again_says_when_and_all_name_the_request() -> None:
    found = document()
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            for status, answer in operation["responses"].items():
                name = answer.get("$ref", "").rpartition("/")[2]
                resolved = found["components"]["responses"][name] if name else answer
                headers = {"X-Request-Id", *(("Retry-After",) if status in ("429", "502", "503") else ())}
                assert headers <= resolved["headers"].keys(), (method, path, status)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[CreditWallet, AsgiApp]]:
    """One for all operations, so that they find what the others made, and its application."""
    path: Path = tmp_path_factory.mktemp("schema") / "wallet.db"
    with FakeStripe() as stripe, CreditWallet.open(f"sqlite:///{path}") as wallets:
        settings = PaymentSettings(secret_key="sk_test_1", webhook_secrets=("whsec_1",), api_url=stripe.url)  # noqa: S106
        yield wallets, new_app(wallets, payments=open_payments(wallets, settings))
        assert wallets.verify() == []


@pytest.fixture(scope="module")
def schema(ledger: tuple[CreditWallet, AsgiApp]) -> BaseSchema:
    config = SchemathesisConfig.from_dict({"checks": CHECKS, "generation": {"with-security-parameters": False}})
    found = schemathesis.openapi.from_dict(deepcopy(document()), config=config)
    found.app = ledger[1]
    return found


@pytest.fixture(scope="module")
def owner_token(ledger: tuple[CreditWallet, AsgiApp]) -> str:
    wallets = ledger[0]
    created = wallets.create()
    wallets.topup(created.wallet_id, 1_000_000, idempotency_key="start")
    return created.owner_token


# What JSON Schema cannot say: 3.0 is no amount, times, zones and addresses must exist, a webhook has no digest, a
# target has an address or an id, quiet hours begin and end at two times, auto-topup fields go together, a way to pay is
# one that is offered, and a price file is TOML with a price.
VALID: dict[str, Any] = {
    "expires_at": "9998-12-31T15:00:00Z",
    "ends_at": "9998-12-31T15:00:00Z",
    "time_zone": "Asia/Tokyo",
    "auto_topup_threshold": 1_000,
    "auto_topup_amount": 5_000,
    "url": "https://example.com/hook",
    "digest": None,
    "quiet_hours": "22:00-07:00",
    "shares_pct": [80, 100],
    "method": "card",
    "prices": '[[price]]\nitem = "search"\nunit_price_yen = "3.30"\n',
}


def valid(value: Any) -> Any:
    """``value``, which fits the document, as a body that also fits the rules beyond it."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [valid(each) for each in value]
    if not isinstance(value, dict):
        return value
    corrected = {name: VALID.get(name, valid(each)) for name, each in value.items()}
    if "notification_targets" in corrected:
        corrected["notification_targets"] = [
            {**each, "url": VALID["url"]} for each in corrected["notification_targets"]
        ]
    if any(name.startswith("auto_topup") for name in corrected):
        corrected |= {name: each for name, each in VALID.items() if name.startswith("auto_topup")}
    return corrected


def priced(body: Any) -> Any:
    """The same body with a price that there is: it may name an amount or an item that is priced, and not both."""
    of_a_sale = ("item", "quantity", "facts", "agent_facts")
    rest = {name: each for name, each in body.items() if name not in of_a_sale}
    return {"amount_yen": 3, "facts": {"tool": "search"}, **rest}


def limited(body: dict[str, Any]) -> dict[str, Any]:
    """The same body of a budget: it has one limit, and no raise, since that ends in the future."""
    rest = {name: each for name, each in body.items() if not name.startswith(("limit_", "raised_"))}
    return {**rest, "limit_yen": 100, **({"scope": {"tool": "search"}} if "scope" in body else {})}


def within_rules(path: str, body: Any) -> Any:
    """A body of an operation that has rules beyond its schema."""
    if path in SELLING:
        return priced(body)
    if path.endswith("/adjust") and isinstance(body, dict):  # what is added makes no debt, and what is taken has no end
        return {**{name: each for name, each in body.items() if name != "allow_debt"}, "amount_yen": 3}
    if path.endswith("/merge") and isinstance(body, dict):
        return {**body, "into_wallet_id": 2**62}  # another wallet
    return limited(body) if path.startswith("/credit/budgets") and isinstance(body, dict) else body


def with_valid_body(case: schemathesis.Case[Any]) -> None:
    body: Any = valid(case.body)
    if case.path == "/credit/topup":
        body["amount_yen"] = 50 + body["amount_yen"] % 1_000  # Stripe's least, and not more than one may pay
    body = within_rules(case.path, body)
    if case.path == "/operator/grants" and case.method == "POST":  # what lapses with the next has one, and times exist
        body |= {"every": "month", "starts_at": None, "until": None}
    if case.path == "/credit/capture":
        body["above"] = "up_to_balance"  # the hold keeps what another call, if any, has made it for
    if case.path == "/credit/charge/batch":
        body["charges"] = [priced(each) for each in body["charges"]]
    if case.path == "/credit/token/rotate":
        body["overlap_seconds"] = 3600  # the other calls come with the token that there was before
    case.body = body


def with_valid_query(case: schemathesis.Case[Any]) -> None:
    if case.path.endswith(("/usage", "/log", "/transactions")):  # times exist, and a page is the next of one
        case.query = {name: each for name, each in case.query.items() if name not in ("since", "until", "cursor")}
    if case.path == "/operator/wallets":  # a page is the next of one that was sorted alike, and few are sorted by yen
        case.query = {"status": "low"} | {name: each for name, each in case.query.items() if name != "cursor"}
    if case.path == "/operator/overview" and "zone" in case.query:  # zones exist
        case.query = {**case.query, "zone": VALID["time_zone"]}
    if case.path == "/operator/transactions":  # one of its names is looked for
        case.query = {"reference": "order_1", **case.query}


def call(case: schemathesis.Case[Any], token: str, *excluded_checks: CheckFunction) -> None:
    if case.meta is not None and case.meta.generation.mode is schemathesis.GenerationMode.POSITIVE:
        with_valid_body(case)
        if case.method == "GET":
            with_valid_query(case)
    if token == OPERATOR_KEY and case.path in NAMING_A_WALLET and isinstance(case.body, dict):
        case.body |= {"wallet_id": 1} if case.body.get("wallet_id") is None else {}  # an operator has to name one
    case.headers.pop("X-Payer-Token", None)  # there is no wallet for what would be generated
    if "null" in str(case.query):
        return  # a query's null counts as left out
    excluded = [*excluded_checks, *([positive_data_acceptance] if case.path == WEBHOOK else [])]
    case.call_and_validate(headers=credentials(token), excluded_checks=excluded)


SAMPLED = ("/operator/wallets/{wallet_id}", "/operator/wallets/{wallet_id}/keys/{key_id}")
"""Of the owner's routes that operators have as well: ``test_http_mirrored`` compares all of them with the owner's."""

OPERATIONS = [
    (method, path)
    for path, methods in document()["paths"].items()
    for method, operation in methods.items()
    if path in SAMPLED or TAG not in operation["tags"]
]
OF_THE_OPERATOR = [each for each in OPERATIONS if each[1].startswith("/operator")]
OF_OWNERS = [each for each in OPERATIONS if each not in OF_THE_OPERATOR]
"""Who calls an operation here; in ``make wide`` the owner and the operator call all."""


def play(schema: BaseSchema, method: str, path: str, token: str) -> None:
    """Every case of an operation, made now: hundreds for each take too long for when tests are collected."""
    numbers = count()

    @bounded
    def each(case: schemathesis.Case[Any]) -> None:
        call(case, token, *([] if WIDE or next(numbers) < WITHOUT_TOKENS else [ignored_auth]))

    config = HypothesisTestConfig(project=schema.config, modes=list(HypothesisTestMode))
    create_test(operation=schema[path][method], test_func=each, config=config)()


@pytest.mark.parametrize(("method", "path"), OPERATIONS if WIDE else OF_OWNERS)
def test_an_owner_is_answered_as_documented(schema: BaseSchema, method: str, path: str, owner_token: str) -> None:
    play(schema, method, path, owner_token)


@pytest.mark.parametrize(("method", "path"), OPERATIONS if WIDE else OF_THE_OPERATOR)
def test_the_operator_is_answered_as_documented(schema: BaseSchema, method: str, path: str) -> None:
    play(schema, method, path, OPERATOR_KEY)
