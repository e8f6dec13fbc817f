"""One operation of the document, from the function that carries it out."""

from __future__ import annotations

from typing import Any

from litestar.handlers import HTTPRouteHandler
from litestar.params import HeaderParameter, PathParameter, QueryParameter
from litestar.typing import FieldDefinition
from litestar.utils.helpers import unwrap_partial
from msgspec.json import schema

from credit_wallet.domain.commands import MAX_IDEMPOTENCY_KEY_LENGTH
from credit_wallet.http.openapi.callers import callers
from credit_wallet.http.openapi.responses import responses_of
from credit_wallet.http.openapi.schemas import Schemas, typed
from credit_wallet.http.routing import NEEDS, PAYER

_PARAMETERS = (PathParameter, QueryParameter, HeaderParameter)

_LIMITS = {
    "ge": "minimum",
    "le": "maximum",
    "min_length": "minLength",
    "max_length": "maxLength",
    "pattern": "pattern",
}

_PAYER_TOKEN: dict[str, Any] = {
    "name": "X-Payer-Token",
    "in": "header",
    "required": False,
    "description": "For sellers and operators: the token of the wallet that pays, instead of `wallet_id` in the body. "
    "With an agent's token, that agent's cap counts.",
    "schema": {"type": "string", "examples": ["cw_live_0000"]},
}


def operation_of(handler: HTTPRouteHandler, path: str, schemas: Schemas) -> dict[str, Any]:
    """The operation of ``handler`` at ``path``.

    The function's name is its id; the first line of its docstring is its summary, the rest its description.
    """
    function = unwrap_partial(handler.fn)
    summary, _, description = (function.__doc__ or "").partition("\n")
    operation: dict[str, Any] = {
        "operationId": _camel(function.__name__),
        "summary": summary,
        "description": " ".join((*description.split(), callers(handler))),
        "tags": list(handler.tags or ()),
        "security": list(handler.security or ()),
        "x-permission": handler.opt[NEEDS],
    }
    parameters = [
        _parameter(name, field, path)
        for name, field in handler.parsed_fn_signature.parameters.items()
        if isinstance(field.kwarg_definition, _PARAMETERS)
    ]
    if handler.opt[PAYER]:
        parameters.append(_PAYER_TOKEN)
    if parameters:
        operation["parameters"] = parameters
    if handler.parsed_data_field is not None:
        operation["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schemas.of(handler.parsed_data_field.annotation)}},
        }
    operation["responses"] = responses_of(handler, path, schemas)
    return operation


def _parameter(name: str, field: FieldDefinition, path: str) -> dict[str, Any]:
    given: Any = field.kwarg_definition
    examples = [example.value for example in given.examples or ()]
    about = _without_null(typed(schema(field.annotation)))
    about |= {limit: value for own, limit in _LIMITS.items() if (value := getattr(given, own)) is not None}
    if field.has_default and field.default is not None:
        about["default"] = field.default
    if isinstance(given, HeaderParameter):
        return _header(given, about, examples)
    is_in_path = f"{{{name}}}" in path
    return {
        "name": given.name or name,
        "in": "path" if is_in_path else "query",
        "required": is_in_path,
        "description": given.description,
        "schema": {**about, "examples": examples},
    }


def _header(given: Any, about: dict[str, Any], examples: list[Any]) -> dict[str, Any]:
    if given.name == "Idempotency-Key":
        about |= {"minLength": 1, "maxLength": MAX_IDEMPOTENCY_KEY_LENGTH, "pattern": "^[ -~]+$"}
    return {
        "name": given.name,
        "in": "header",
        "required": given.name in ("Idempotency-Key", "Stripe-Signature"),
        "description": given.description,
        "schema": {**about, "examples": examples},
    }


def _without_null(given: dict[str, Any]) -> dict[str, Any]:
    """A parameter is left out, never null."""
    if "anyOf" in given:
        return dict(next(each for each in given["anyOf"] if each != {"type": "null"}))
    if isinstance(given.get("type"), list):
        given = {**given, "type": next(kind for kind in given["type"] if kind != "null")}
    if "enum" in given:
        given = {**given, "enum": [value for value in given["enum"] if value is not None]}
    return given


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
