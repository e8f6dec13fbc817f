"""Schemas of what is sent and answered, made from the types and completed with what ``properties`` says of each field.

Every schema is one that code generators take: enumerations have a type, and there are no tuples.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, get_args, get_origin

from litestar import Response
from msgspec import Struct
from msgspec.json import schema, schema_components

from credit_wallet.domain.documents import document_type
from credit_wallet.http.openapi.examples import BODY_EXAMPLES
from credit_wallet.http.openapi.problems import component_name
from credit_wallet.http.openapi.properties import about
from credit_wallet.wire.replies import BatchReply, MovementReply

REF = "#/components/schemas/{name}"

_TYPES_OF_VALUES = {str: "string", int: "integer", bool: "boolean"}

_OUTCOMES_OF_A_BATCH = (
    "insufficient_funds",
    "budget_exhausted",
    "call_limit_reached",
    "wallet_disabled",
    "wallet_closed",
    "wallet_not_found",
    "idempotency_conflict",
    "invalid_amount",
    "rail_busy",
)


class Schemas:
    """The components of all ``types``, and references to them."""

    def __init__(self, types: Iterable[Any]) -> None:
        found = {struct.__name__: document_type(struct) for each in types for struct in _structs(each)}
        _, components = schema_components(found.values(), ref_template=REF)
        self.components: dict[str, Any] = {
            name: _completed(name, component) for name, component in sorted(components.items())
        }
        _describe_batch(self.components)

    def of(self, annotation: Any) -> dict[str, Any]:
        """The schema of a value of that type; of a response, that of its content."""
        if get_origin(annotation) is Response:
            (annotation,) = get_args(annotation)
        if get_origin(annotation) is list:
            (item,) = get_args(annotation)
            return {"type": "array", "items": self.of(item)}
        if isinstance(annotation, type) and issubclass(annotation, Struct):
            return {"$ref": REF.format(name=annotation.__name__)}
        return dict(typed(schema(annotation)))


def typed(given: Any) -> Any:
    """A schema with the type that an enumeration's values have."""
    if isinstance(given, list):
        return [typed(each) for each in given]
    if not isinstance(given, dict):
        return given
    if "enum" in given and "type" not in given:
        values = given["enum"]
        kind = _TYPES_OF_VALUES[type(values[0])]
        given = {"type": [kind, "null"] if None in values else kind, **given}
    return {name: value if name in ("enum", "examples", "default") else typed(value) for name, value in given.items()}


def _structs(annotation: Any) -> Iterator[type[Struct]]:
    if isinstance(annotation, type) and issubclass(annotation, Struct):
        yield annotation
    for argument in get_args(annotation):
        yield from _structs(argument)


def _completed(name: str, component: dict[str, Any]) -> dict[str, Any]:
    component = typed(component)
    component.pop("title", None)
    component["description"] = " ".join(component["description"].split()).replace("``", "`")
    if not component.get("required"):
        component.pop("required", None)
    for field, given in component["properties"].items():
        component["properties"][field] = about(field, component["properties"], name).describe(given)
    if name in BODY_EXAMPLES:
        component["examples"] = [BODY_EXAMPLES[name]]
    return component


def _describe_batch(components: dict[str, Any]) -> None:
    """Each outcome of a batch is a movement or a problem, which the types cannot say."""
    if (batch := components.get(BatchReply.__name__)) is not None:
        batch["properties"]["outcomes"]["items"] = {
            "anyOf": [
                {"$ref": REF.format(name=MovementReply.__name__)},
                *({"$ref": REF.format(name=component_name(code))} for code in _OUTCOMES_OF_A_BATCH),
                {"$ref": REF.format(name=component_name("database_error"))},
                {"$ref": REF.format(name=component_name("internal_error"))},
            ]
        }
