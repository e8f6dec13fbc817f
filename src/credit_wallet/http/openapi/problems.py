"""One schema for each code of a problem, and what each operation can answer with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from litestar.handlers import HTTPRouteHandler

from credit_wallet.errors import DatabaseError, RefusingBudget
from credit_wallet.http.openapi.properties import about
from credit_wallet.http.routing import CODES, MONEY_SECURITY, NEEDS
from credit_wallet.wire.problem_types import DATABASE_ERROR, DEFECT, INTERNAL_ERROR, PROBLEM_TYPES, ProblemType
from credit_wallet.wire.problems import TYPE_PREFIX

_MEMBERS = ("type", "title", "status", "detail", "code")


def component_name(code: str) -> str:
    """The name of the schema of a code's problem document."""
    return "".join(word.capitalize() for word in code.split("_")) + "Problem"


def codes_of(handler: HTTPRouteHandler, path: str) -> list[str]:
    """Every code that an operation can answer with: its own, and those of its kind of call."""
    return [*dict.fromkeys((*handler.opt[CODES], *_common_codes(handler, path)))]


def problem_of_code(code: str) -> ProblemType:
    """Status, title and fields of ``code``."""
    if code == DatabaseError.code:
        return DATABASE_ERROR
    return INTERNAL_ERROR if code == DEFECT else PROBLEM_TYPES[code]


def problem_schemas() -> dict[str, Any]:
    """The schemas of all problem documents by name."""
    codes = (*PROBLEM_TYPES, DatabaseError.code, DEFECT)
    problems = {component_name(code): _schema(code, problem_of_code(code)) for code in codes}
    return problems | {RefusingBudget.__name__: _refusing_budget()}


def _common_codes(handler: HTTPRouteHandler, path: str) -> Iterator[str]:
    names = handler.parsed_fn_signature.parameters
    secured = bool(handler.security)
    yield from ("ambiguous_request", "invalid_request")
    if handler.parsed_data_field is not None:
        yield from ("invalid_json", "body_too_large")
    if "idempotency_key" in names:
        yield from ("idempotency_key_required", "idempotency_conflict")
    if any(_is_addressed(name, path) for name in names):
        yield "not_found"
    if "GET" not in handler.http_methods and handler.opt[NEEDS] in ("manage", "own", "support"):
        yield "wallet_closed"
        if handler.opt[NEEDS] != "support":
            yield "too_many_changes"
    if secured:
        yield from ("unauthorized", "too_many_failures")
    if secured and handler.security != MONEY_SECURITY:
        yield from ("forbidden", "share_exceeded")
    if path != "/healthz":
        yield from ("rail_busy", "service_busy", DatabaseError.code, DEFECT)


def _is_addressed(name: str, path: str) -> bool:
    return f"{{{name}}}" in path


def _schema(code: str, kind: ProblemType) -> dict[str, Any]:
    fields = (*kind.fields, *kind.optional)
    members = {name: about(name, ()).describe(_type_of(name)) for name in _MEMBERS}
    members["type"]["examples"] = [TYPE_PREFIX + code]
    members["title"]["examples"] = [kind.title]
    members["status"]["examples"] = [kind.status]
    members["code"] |= (
        {"enum": sorted(_database_codes()), "examples": [code]} if code == DatabaseError.code else {"const": code}
    )
    return {
        "type": "object",
        "description": kind.description,
        "properties": members
        | {name: about(name, fields, component_name(code)).describe(_type_of(name)) for name in fields},
        "required": [*_MEMBERS, *kind.fields],
    }


def _refusing_budget() -> dict[str, Any]:
    name, members = RefusingBudget.__name__, RefusingBudget._fields
    return {
        "type": "object",
        "description": "The budget that refused a movement, as it stood then.",
        "properties": {each: about(each, (), name).describe(_TYPES_OF_A_BUDGET[each]) for each in members},
        "required": [*members],
    }


def _type_of(field: str) -> dict[str, Any]:
    return _EXACT if field not in _TYPES and f"{field}_yen" in _TYPES else _TYPES[field]


def _database_codes() -> Iterable[str]:
    return {DatabaseError.code, *(each.code for each in DatabaseError.__subclasses__())}


_TEXT: dict[str, Any] = {"type": "string"}
_NUMBER: dict[str, Any] = {"type": "integer"}
_EXACT: dict[str, Any] = {"type": "string", "format": "decimal"}
_MAYBE_TEXT: dict[str, Any] = {"anyOf": [_TEXT, {"type": "null"}]}

_TYPES_OF_A_BUDGET: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("budget_id", "window"), _TEXT),
    "unit": {"type": "string", "enum": ["yen", "calls"]},
    **dict.fromkeys(("label", "value", "resets_at"), _MAYBE_TEXT),
    **dict.fromkeys(("limit", "spent", "held", "left"), _EXACT),
}

_TYPES: dict[str, dict[str, Any]] = {
    **dict.fromkeys(
        (
            "type",
            "title",
            "detail",
            "code",
            "field",
            "idempotency_key",
            "reason",
            "topup_url",
            "hold_status",
            "topup_id",
            "topup_status",
            "purchase_key",
            "budget_id",
            "setting",
            "value",
            "limit_per",
            "set_by",
            "item",
            "transfer_id",
            "reference",
            "blocked_by",
        ),
        _TEXT,
    ),
    "items": {"type": "array", "items": _TEXT},
    "hold_ids": {"type": "array", "items": _NUMBER},
    "topup_ids": {"type": "array", "items": _TEXT},
    "merged_into": {"anyOf": [_NUMBER, {"type": "null"}]},
    **dict.fromkeys(
        (
            "status",
            "held_yen",
            "seal_id",
            "target_id",
            "delivery_id",
            "key_id",
            "seller_id",
            "operator_id",
            "txn_id",
            "hold_id",
            "grant_id",
            "wallet_id",
            "retry_after_seconds",
            "max",
            "balance_yen",
            "missing_yen",
            "debt_yen",
            "monthly_budget_yen",
            "monthly_cap_yen",
            "refundable_yen",
            "free_retries",
            "left_yen",
            "max_amount_yen",
            "waiting",
            "purchases",
        ),
        _NUMBER,
    ),
    **dict.fromkeys(("action_url", "request_id", "retry_at"), _MAYBE_TEXT),
    "budget": {"$ref": f"#/components/schemas/{RefusingBudget.__name__}"},
}
"""The type of every field of a problem document."""
