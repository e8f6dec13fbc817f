"""The OpenAPI document reads like a reference: every operation, parameter and property says what it is."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path
from typing import Any

import pytest
from http_answers import assert_problem, funded
from jsonschema_rs import Draft202012Validator
from openapi_document import document
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.errors import DatabaseError, WalletError
from credit_wallet.http.openapi.examples import BODY_EXAMPLES
from credit_wallet.http.openapi.properties import PROPERTIES
from credit_wallet.http.openapi.properties_of_type import PROPERTIES_OF_TYPE
from credit_wallet.wire.problem_types import PROBLEM_TYPES

SOURCE = Path(__file__).parents[2] / "src" / "credit_wallet"
COMMITTED = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"

DOCUMENT = document()
SCHEMAS: dict[str, Any] = DOCUMENT["components"]["schemas"]
OPERATIONS: dict[str, Any] = {
    operation["operationId"]: operation for item in DOCUMENT["paths"].values() for operation in item.values()
}

DATABASE_ERRORS: list[type[WalletError]] = [DatabaseError, *DatabaseError.__subclasses__()]
ADDRESSES = {
    operation["operationId"]: (path, method.upper())
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
}
ONLY_OF_CLIENTS = {"service_unreachable", "unexpected_response", "payment_required", "price_missing"}
"""Codes that the service itself never answers with."""

TOKENLESS = {"getHealth", "getReadiness", "receiveStripeEvent"}


def resolved(given: dict[str, Any]) -> dict[str, Any]:
    """What a reference into the document refers to."""
    while "$ref" in given:
        found: Any = DOCUMENT
        for step in given["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        given = found
    return given


def schemas_within(given: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema in a part of the document that has examples or a type, with where it stands."""
    if isinstance(given, list):
        for place, each in enumerate(given):
            yield from schemas_within(each, f"{where}[{place}]")
    if isinstance(given, dict):
        yield where, given
        for name, each in given.items():
            if name not in ("examples", "example", "default", "const", "enum"):
                yield from schemas_within(each, f"{where}.{name}")


def test_the_committed_document_is_the_services() -> None:
    ours = json.dumps(DOCUMENT, indent=2, ensure_ascii=False).splitlines()
    committed = COMMITTED.read_text(encoding="utf-8").splitlines()
    difference = "\n".join(unified_diff(committed, ours, "docs/reference/openapi.json", "the service", lineterm=""))
    assert not difference, f"run `make openapi` when this change is meant:\n{difference[:5_000]}"


def test_operations_are_called_after_what_they_do() -> None:
    assert len(OPERATIONS) == sum(len(item) for item in DOCUMENT["paths"].values())
    assert {"charge", "hold", "capture", "release", "listTransactions", "createKey", "createTopup"} <= OPERATIONS.keys()
    assert all(name.isalnum() and name[0].islower() for name in OPERATIONS)


@pytest.mark.parametrize("name", sorted(OPERATIONS))
def test_an_operation_says_what_it_does(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["summary"]
    assert not operation["summary"].endswith(".")
    assert operation["description"].endswith(".")
    for parameter in operation.get("parameters", ()):
        assert parameter["description"].endswith("."), parameter["name"]
        assert parameter["schema"]["examples"], parameter["name"]
    for status, response in operation["responses"].items():
        assert resolved(response)["description"], status


def test_tags_are_described_and_used() -> None:
    tags = [tag["name"] for tag in DOCUMENT["tags"]]
    assert all(tag["description"] for tag in DOCUMENT["tags"])
    assert {tag for operation in OPERATIONS.values() for tag in operation["tags"]} == {*tags}


def test_open_operations_need_no_token_and_all_others_do() -> None:
    assert {name for name, operation in OPERATIONS.items() if operation["security"] == []} == TOKENLESS
    optional = {name for name, operation in OPERATIONS.items() if {} in operation["security"]}
    assert optional == {"getMetrics"}
    for operation in OPERATIONS.values():
        assert {scheme for each in operation["security"] for scheme in each} <= {"token", "api_key"}


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_property_is_described(name: str) -> None:
    assert SCHEMAS[name]["description"]
    for field, about in SCHEMAS[name]["properties"].items():
        assert about.get("description"), field


def test_nothing_is_described_that_is_not_there() -> None:
    fields = {field for schema in SCHEMAS.values() for field in schema["properties"]}
    exact = {f"{name}.{field}" for name, schema in SCHEMAS.items() for field in schema["properties"]}
    assert PROPERTIES.keys() <= fields
    assert PROPERTIES_OF_TYPE.keys() <= exact
    assert BODY_EXAMPLES.keys() <= SCHEMAS.keys()


def test_every_request_body_has_an_example() -> None:
    bodies = {
        operation["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for operation in OPERATIONS.values()
        if "requestBody" in operation
    }
    assert bodies == BODY_EXAMPLES.keys()


def test_every_example_fits_its_schema() -> None:
    found = 0
    components = {"components": DOCUMENT["components"]}
    for where, schema in schemas_within({"paths": DOCUMENT["paths"], **components}, ""):
        if not (examples := schema.get("examples")):
            continue
        refers = "$ref" in str(schema)  # the validator reads all components anew, so only where they are needed
        validator = Draft202012Validator({**schema, **(components if refers else {})})
        for example in examples:
            found += 1
            assert [error.message for error in validator.iter_errors(example)] == [], (where, example)
    assert found > 300


def test_each_code_has_its_problem_and_says_what_comes_with_it() -> None:
    for code, kind in PROBLEM_TYPES.items():
        schema = SCHEMAS["".join(word.capitalize() for word in code.split("_")) + "Problem"]
        assert schema["properties"]["code"]["const"] == code
        assert {*kind.fields} <= {*schema["required"]} <= {*schema["properties"]}
    exhausted = SCHEMAS["InsufficientFundsProblem"]
    assert {"balance_yen", "missing_yen", "topup_url", "debt_yen"} <= {*exhausted["required"]}
    codes = SCHEMAS["DatabaseErrorProblem"]["properties"]["code"]["enum"]
    assert {*codes} == {each.code for each in DATABASE_ERRORS}


def test_problems_have_titles_for_people_and_say_what_to_do_next() -> None:
    titles = [kind.title for kind in PROBLEM_TYPES.values()]
    assert len({*titles}) == len(titles)
    for code, kind in PROBLEM_TYPES.items():
        assert kind.title[0].isupper(), code
        assert kind.description.endswith("."), code


def test_problems_of_an_operation_are_enumerated() -> None:
    responses = {status: resolved(each) for status, each in OPERATIONS["charge"]["responses"].items()}
    assert {*responses} == {"200", "400", "401", "402", "403", "404", "409", "413", "422", "428", "429", "500", "503"}
    assert problems_of(responses["402"]) == {
        "InsufficientFundsProblem",
        "BudgetExhaustedProblem",
        "KeyCapExhaustedProblem",
    }
    assert problems_of(responses["428"]) == {"IdempotencyKeyRequiredProblem"}


def problems_of(response: dict[str, Any]) -> set[str]:
    schema = response["content"]["application/problem+json"]["schema"]
    return {each["$ref"].rpartition("/")[2] for each in schema.get("oneOf", [schema])}


def test_every_refusal_has_a_problem_of_its_own_or_never_leaves_the_process() -> None:
    kept = {
        "wallet_error",
        "backup_refused",
        "copy_refused",
        "migration_error",
        "used_after_fork",
        "missing_extra",
        "internal_error",
    }
    kept |= {"verify_interrupted"}  # like a copy, it is asked for on the command line or in the host's process
    missing = {each.code for each in _subclasses(WalletError)} - PROBLEM_TYPES.keys() - kept
    assert missing == {each.code for each in DATABASE_ERRORS}


def _subclasses(kind: type[WalletError]) -> Iterator[type[WalletError]]:
    for each in kind.__subclasses__():
        yield each
        yield from _subclasses(each)


WHOLE = {
    "Alert.spent_yen",
    "monthly_budget_yen",
    "monthly_cap_yen",
    "low_balance_yen",
    "budget_yen",
    "left_yen",
    "auto_topup_daily_yen",
    "auto_topup_monthly_yen",
    "MethodOption.min_yen",
    "MethodOption.max_yen",
    "TopupOptions.min_yen",
    "TopupOptions.max_yen",
}
"""Whole yen without an exact twin: settings, limits of payments, and what a spending alert found."""


@pytest.mark.parametrize("name", sorted(SCHEMAS))
def test_every_amount_that_may_have_a_fraction_is_there_exactly(name: str) -> None:
    schema = SCHEMAS[name]
    assert not [field for field in schema["properties"] if field.endswith("_micros")]
    if name in BODY_EXAMPLES or name in ("BatchItem", "RaiseBody"):
        return
    for field in schema["properties"]:
        exact = field.removesuffix("_yen")
        if exact == field or field in WHOLE or f"{name}.{field}" in WHOLE:
            continue
        assert schema["properties"][exact]["description"] == f"`{field}` exactly: a decimal without trailing zeros."
        assert (exact in schema["required"]) == (field in schema["required"])
        assert "decimal" in json.dumps(schema["properties"][exact])


def test_there_is_no_construct_that_generators_refuse() -> None:
    for where, schema in schemas_within(DOCUMENT["components"]["schemas"], ""):
        assert "prefixItems" not in schema, where
        assert "enum" not in schema or "type" in schema, where


def refusals_in(path: Path) -> Iterator[tuple[str, ast.Call]]:
    """The refusals that a file makes, each with its code."""
    classes = {each.__name__: each.code for each in _subclasses(WalletError)}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in classes:
            yield classes[node.func.id], node


def figures_of(call: ast.Call) -> Iterator[str]:
    """The figures that a refusal is made with; ``**both(…)`` gives each of its amounts twice."""
    for keyword in call.keywords:
        if keyword.arg is not None:
            yield keyword.arg
        elif isinstance(keyword.value, ast.Call) and ast.unparse(keyword.value.func) in ("both", "both_up"):
            for amount in keyword.value.keywords:
                yield from (f"{amount.arg}_yen", f"{amount.arg}")


def test_the_figures_of_a_refusal_are_those_of_its_problem() -> None:
    for path in SOURCE.rglob("*.py"):
        if path.name == "price_file.py":  # a file is read by the library and the command line alone
            continue
        for code, call in refusals_in(path):
            if code in PROBLEM_TYPES and code not in ONLY_OF_CLIENTS:
                given = {*figures_of(call)}
                known = {*PROBLEM_TYPES[code].fields, *PROBLEM_TYPES[code].optional}
                assert given <= known, (path.name, call.lineno, code)


def test_an_operation_refuses_what_its_parameters_do_not_allow(wallets: CreditWallet) -> None:
    tokens = {"/credit": funded(wallets).owner_token, "/operator": OPERATOR_KEY}
    with Api(new_app(wallets)) as api:
        for name, operation in OPERATIONS.items():
            for parameter in operation.get("parameters", ()):
                if parameter["in"] != "query":
                    continue
                path, method = ADDRESSES[name]
                path = path.format(**{each["name"]: each["schema"]["examples"][0] for each in operation["parameters"]})
                token = next(token for prefix, token in tokens.items() if path.startswith(prefix))
                answer = api.call(method, path, token, params={parameter["name"]: "\x00"})
                assert "422" in operation["responses"], name
                assert_problem(answer, 422, "invalid_request", field=parameter["name"])


def test_descriptions_are_for_people_and_speak_no_python() -> None:
    for name, component in DOCUMENT["components"]["schemas"].items():
        described = [component["description"], *(each["description"] for each in component["properties"].values())]
        for text in described:
            assert "``" not in text, name
            assert "None" not in text, name
