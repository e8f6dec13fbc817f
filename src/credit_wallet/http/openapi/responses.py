"""The responses of an operation: what it answers when it succeeds, its problems, and the headers of both."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from litestar.handlers import HTTPRouteHandler

from credit_wallet.errors import CallLimitReached, DatabaseError
from credit_wallet.http.openapi.problems import codes_of, component_name, problem_of_code
from credit_wallet.http.openapi.schemas import REF, Schemas
from credit_wallet.http.routing import ALSO
from credit_wallet.wire.problem_types import DEFECT
from credit_wallet.wire.problems import CONTENT_TYPE

_JSON = "application/json"
_TEXT: dict[str, Any] = {"schema": {"type": "string"}}

HEADERS: dict[str, Any] = {
    "X-Request-Id": {
        "description": "Identifies this request; the caller's own `X-Request-Id` when it sent one.",
        "schema": {"type": "string", "examples": ["496109e0033d-2"]},
    },
    "X-Wallet-Balance": {
        "description": "What the wallet can spend now, in whole yen (rounded down). Sent when the call is about one "
        "wallet.",
        "schema": {"type": "integer", "examples": [9997]},
    },
    "X-Wallet-Balance-Exact": {
        "description": "The same, exactly: a decimal without trailing zeros.",
        "schema": {"type": "string", "format": "decimal", "examples": ["9996.7"]},
    },
    "X-Wallet-Warn": {
        "description": "80 or 100 when that percentage of the monthly budget is spent.",
        "schema": {"type": "integer", "enum": [80, 100]},
    },
    "Idempotent-Replayed": {
        "description": "`true` when this repeats the response to an earlier request with the same idempotency key.",
        "schema": {"type": "string", "enum": ["true"]},
    },
    "Retry-After": {
        "description": "Seconds to wait before the next attempt.",
        "schema": {"type": "integer", "examples": [1]},
    },
    "WWW-Authenticate": {
        "description": "`Bearer`: send a token.",
        "schema": {"type": "string", "examples": ["Bearer"]},
    },
}

_WITHOUT_BALANCE = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)
"""Statuses that say nothing of a wallet, unless it is one of its budgets that refuses."""

_SHARED = {
    "Unauthorized": ("unauthorized",),
    "InvalidRequest": ("invalid_request",),
    "BodyTooLarge": ("body_too_large",),
    "IdempotencyKeyRequired": ("idempotency_key_required",),
    "TooManyRequests": ("too_many_failures", "share_exceeded"),
    "InternalError": (DEFECT,),
    "Unavailable": ("rail_busy", "service_busy", DatabaseError.code),
}
"""Responses that many operations have, each with its codes: the document describes them once."""

_SHARED_NAMES = {codes: name for name, codes in _SHARED.items()}


def shared_responses() -> dict[str, Any]:
    """The responses that operations refer to by name."""
    return {name: _problem(problem_of_code(codes[0]).status, codes, owned=True) for name, codes in _SHARED.items()}


def responses_of(handler: HTTPRouteHandler, path: str, schemas: Schemas) -> dict[str, Any]:
    """Every response of an operation by status."""
    secured = bool(handler.security)
    moves = "idempotency_key" in handler.parsed_fn_signature.parameters
    by_status: dict[int, list[str]] = {}
    for code in codes_of(handler, path):
        by_status.setdefault(problem_of_code(code).status, []).append(code)
    responses = {
        str(status): {
            "description": "Created." if status == HTTPStatus.CREATED else "Success.",
            "headers": _headers(status, owned=secured, moves=moves),
            "content": _content(handler, path, schemas),
        }
        for status in sorted({handler.status_code, handler.opt.get(ALSO) or handler.status_code})
    }
    for status in sorted(by_status):
        codes = tuple(by_status[status])
        shared = _SHARED_NAMES.get(codes) if secured else None
        responses[str(status)] = (
            _problem(status, codes, owned=secured) if shared is None else {"$ref": f"#/components/responses/{shared}"}
        )
    return responses


def _content(handler: HTTPRouteHandler, path: str, schemas: Schemas) -> dict[str, Any]:
    if path == "/metrics":
        return {str(handler.media_type): _TEXT}
    content = {_JSON: {"schema": schemas.of(handler.parsed_return_field.annotation)}}
    if path.endswith("/statement"):
        content |= {"text/csv": _TEXT, "text/plain": _TEXT}
    return content


def _problem(status: int, codes: Sequence[str], *, owned: bool) -> dict[str, Any]:
    references = [{"$ref": REF.format(name=component_name(code))} for code in codes]
    retried = any("retry_after_seconds" in problem_of_code(code).fields for code in codes)
    owned = owned and (status not in _WITHOUT_BALANCE or CallLimitReached.code in codes)
    return {
        "description": "\n".join(f"- `{code}`: {problem_of_code(code).description}" for code in codes),
        "headers": _headers(status, owned=owned, retried=retried),
        "content": {CONTENT_TYPE: {"schema": references[0] if len(references) == 1 else {"oneOf": references}}},
    }


def _headers(status: int, *, owned: bool, moves: bool = False, retried: bool = False) -> dict[str, Any]:
    names = ["X-Request-Id"]
    if owned:
        names += ["X-Wallet-Balance", "X-Wallet-Balance-Exact", "X-Wallet-Warn"]
    if moves:
        names.append("Idempotent-Replayed")
    if retried or status in (429, 502, 503):
        names.append("Retry-After")
    if status == HTTPStatus.UNAUTHORIZED:
        names.append("WWW-Authenticate")
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}
