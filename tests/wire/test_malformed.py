"""What a decoder says of a malformed field, in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from msgspec import Meta, Struct, ValidationError, json

from credit_wallet.wire.bodies import Facts, Quantity, Sold
from credit_wallet.wire.malformed import explained

OPENAPI = Path(__file__).parents[2] / "docs" / "reference" / "openapi.json"


class Item(Struct):
    amount_yen: int


class Body(Struct, forbid_unknown_fields=True):
    amount_yen: Annotated[int, Meta(ge=1, le=1_000)]
    label: Annotated[str, Meta(min_length=1, max_length=3)] = "x"
    state: Literal["alert", "cap"] = "alert"
    cycle: Annotated[str, Meta(pattern="^a+$")] | None = None
    other: Annotated[str, Meta(pattern="^a+$")] | None = None
    targets: Annotated[list[int], Meta(max_length=2)] | None = None
    final: bool = False
    items: list[Item] | None = None
    quantity: Quantity | None = None
    facts: Facts | None = None
    sold: list[Sold] | None = None


@pytest.mark.parametrize(
    ("body", "field", "problem"),
    [
        ('{"amount_yen": 0}', "amount_yen", "must be a whole number, 1 or more"),
        ('{"amount_yen": 1001}', "amount_yen", "must be a whole number, 1,000 or less"),
        ('{"amount_yen": 1.5}', "amount_yen", "must be a whole number, not a fraction"),
        ('{"amount_yen": "3"}', "amount_yen", "must be a whole number, not text"),
        ("{}", "amount_yen", "is missing"),
        ('{"amount_yen": 1, "amount": 3}', "amount", "is not a field of this request"),
        ('{"amount_yen": 1, "label": ""}', "label", "must have 1 or more characters"),
        ('{"amount_yen": 1, "label": "abcd"}', "label", "must have 3 or fewer characters"),
        ('{"amount_yen": 1, "state": "off"}', "state", "must be one of the values in the API reference, not 'off'"),
        ('{"amount_yen": 1, "cycle": "b"}', "cycle", "must be YYYY-MM, such as 2026-12"),
        ('{"amount_yen": 1, "cycle": 3}', "cycle", "must be text or null, not a whole number"),
        ('{"amount_yen": 1, "other": "b"}', "other", "has an invalid format"),
        ('{"amount_yen": 1, "targets": [1, 2, 3]}', "targets", "must have 2 or fewer items"),
        ('{"amount_yen": 1, "final": 1}', "final", "must be true or false, not a whole number"),
        ('{"amount_yen": 1, "items": [{}]}', "items[0].amount_yen", "is missing"),
        (
            '{"amount_yen": 1, "items": [{"amount_yen": []}]}',
            "items[0].amount_yen",
            "must be a whole number, not a list",
        ),
    ],
)
def test_a_malformed_field_is_explained_in_words(body: str, field: str, problem: str) -> None:
    with pytest.raises(ValidationError) as error:
        json.decode(body, type=Body)
    assert explained(str(error.value)) == (field, f"{field} {problem}")


def test_a_body_of_another_type_has_no_field() -> None:
    with pytest.raises(ValidationError) as error:
        json.decode("[]", type=Body)
    assert explained(str(error.value)) == ("", "the body must be an object, not a list")


def test_what_else_the_decoder_says_is_kept() -> None:
    assert explained("Something new - at `$.cycle`") == ("cycle", "cycle is invalid: Something new")


QUOTE = 'must not be a number with a fraction or an exponent; put decimals in quotes: "amount_yen": "3.30"'
NOT_A_NUMBER = 'must be a whole number or a decimal in quotes ("amount_yen": "3.30"), not '
NO_DECIMAL = 'must be a decimal above 0 in plain digits with up to six places, such as "3.30"'


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ("3.3", QUOTE),
        ("3.0", QUOTE),
        ("1e3", QUOTE),
        ("true", NOT_A_NUMBER + "true or false"),
        ("null", NOT_A_NUMBER + "null"),
        ("[]", NOT_A_NUMBER + "a list"),
        ('"3.3000001"', NO_DECIMAL),
        ('"1e3"', NO_DECIMAL),
        ('"-3"', NO_DECIMAL),
        ('"+3"', NO_DECIMAL),
        ('" 3"', NO_DECIMAL),
        ('"3."', NO_DECIMAL),
        ('".3"', NO_DECIMAL),
        ('"03"', NO_DECIMAL),
        ('"1_0"', NO_DECIMAL),
        ('"NaN"', NO_DECIMAL),
        ('""', NO_DECIMAL),
        ('"0.000000"', NO_DECIMAL),
        ("0", "must be a whole number, 1 or more"),
        ("1000000000001", "must be a whole number, 1,000,000,000,000 or less"),
    ],
)
def test_what_is_no_exact_amount_is_told_how_to_send_it(given: str, problem: str) -> None:
    with pytest.raises(ValidationError) as error:
        json.decode(f'{{"amount_yen": 1, "sold": [{{"amount_yen": {given}}}]}}', type=Body)
    assert explained(str(error.value)) == ("sold[0].amount_yen", f"sold[0].amount_yen {problem}")


@pytest.mark.parametrize(
    ("given", "field", "problem"),
    [
        ('"quantity": 0.5', "quantity", "quantity must not be a number with a fraction or an exponent; put decimals in "
         'quotes: "quantity": "0.5"'),
        ('"quantity": "x"', "quantity", "quantity must be a decimal above 0 in plain digits with up to six places, "
         'such as "0.5"'),
        ('"facts": {"Tool": "a"}', "facts", "facts must be keys of up to 32 of a-z, 0-9 and _, the first a letter, "
         "with texts of up to 64 characters"),
        ('"facts": {"tool": 1}', "facts", "a value of facts must be text, not a whole number"),
        ('"facts": {"tool": ""}', "facts", "a value of facts must have 1 or more characters"),
        ('"facts": []', "facts", "facts must be an object or null, not a list"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_quantity_and_facts(given: str, field: str, problem: str) -> None:
    with pytest.raises(ValidationError) as error:
        json.decode(f'{{"amount_yen": 1, {given}}}', type=Body)
    assert explained(str(error.value)) == (field, problem)


def test_a_fraction_of_a_raised_limit_is_told_to_be_quoted() -> None:
    field, problem = explained("Expected `int | str | null`, got `float` - at `$.raised_limit_yen`")
    assert (field, problem.rpartition("; ")[2]) == (
        "raised_limit_yen",
        'put decimals in quotes: "raised_limit_yen": "3.30"',
    )


def found(schema: Any, member: str, name: str = "") -> Iterator[tuple[str, Any]]:
    """The fields and parameters of the service whose schema has this member, and its value."""
    if isinstance(schema, list):
        for each in schema:
            yield from found(each, member, name)
    elif isinstance(schema, dict) and schema.get("in") != "header":  # the idempotency key has a refusal of its own
        if isinstance(schema.get(member), str | list):
            yield name, schema[member]
        for key, value in schema.items():
            in_properties = key == "properties" and isinstance(value, dict)
            for field, each in value.items() if in_properties else [(schema.get("name", name), value)]:
                yield from found(each, member, str(field))


def asked(member: str) -> list[tuple[str, Any]]:
    document = json.decode(OPENAPI.read_bytes())
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    parts = [operation.get(part) for operation in operations for part in ("parameters", "requestBody")]
    bodies = [each for name, each in document["components"]["schemas"].items() if name.endswith("Body")]
    return [*found(parts, member), *found(bodies, member)]


def test_every_text_that_must_match_a_pattern_is_explained() -> None:
    names = {name for name, _ in asked("pattern")}
    assert {"by", "price_group", "cycle"} <= names
    for name in names:
        assert "invalid format" not in explained(f"Expected `str` matching regex '^x$' - at `$.{name}`")[1], name


def test_a_value_that_is_not_in_a_list_is_told_what_is() -> None:
    lists = [(name, values) for name, values in asked("enum") if name != "kinds"]  # of notices, which are many
    assert {"every", "lapses", "language", "format"} <= {name for name, _ in lists}
    for name, values in lists:
        _, problem = explained(f"Invalid enum value 'x' - at `$.{name}`")
        assert all(value in problem for value in values), problem
