"""Errors as RFC 9457 problem documents, each with the library's stable ``code``."""

from __future__ import annotations

import re
from typing import Any, ClassVar

from msgspec import DecodeError, ValidationError, json

from credit_wallet.domain.retry_after import SOON_SECONDS
from credit_wallet.errors import DatabaseError, InvalidAmount, InvalidJson, InvalidRequest, WalletError

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:agent-credit-wallet:"

STATUS_OF_CODE = {
    "ambiguous_request": 400,
    "invalid_json": 400,
    "invalid_event": 400,
    "invalid_signature": 400,
    "unauthorized": 401,
    "insufficient_funds": 402,
    "budget_exhausted": 402,
    "key_cap_exhausted": 402,
    "payment_required": 402,
    "payment_invalid": 402,
    "forbidden": 403,
    "origin_not_allowed": 403,
    "wallet_disabled": 403,
    "not_found": 404,
    "wallet_not_found": 404,
    "key_not_found": 404,
    "entry_not_found": 404,
    "hold_not_found": 404,
    "topup_not_found": 404,
    "purchase_not_found": 404,
    "seller_not_found": 404,
    "seal_not_found": 404,
    "secret_not_found": 404,
    "target_not_found": 404,
    "delivery_not_found": 404,
    "method_not_allowed": 405,
    "idempotency_conflict": 409,
    "hold_closed": 409,
    "refund_exceeds_charge": 409,
    "key_ended": 409,
    "secret_in_use": 409,
    "too_many_tokens": 409,
    "too_many_keys": 409,
    "topup_in_flight": 409,
    "topup_not_due": 409,
    "topup_limit_reached": 409,
    "topup_stopped": 409,
    "retries_exhausted": 409,
    "purchase_running": 409,
    "pay_back_not_allowed": 403,
    "body_too_large": 413,
    "host_not_allowed": 421,
    "wrong_confirmation_code": 422,
    "invalid_amount": 422,
    "invalid_request": 422,
    "idempotency_key_required": 428,
    "too_many_failures": 429,
    "too_many_confirmations": 429,
    "share_exceeded": 429,
    "payments_not_configured": 501,
    "mcp_not_installed": 501,
    "payment_provider_error": 502,
    "unexpected_answer": 502,
    "rail_busy": 503,
    "service_busy": 503,
    "service_unreachable": 503,
}
"""HTTP status of every code; a database error is 503, anything else a defect and 500."""


_UNAUTHORIZED = 401
_EXHAUSTED = ("insufficient_funds", "budget_exhausted", "key_cap_exhausted")
_PLACE = re.compile(r" - at `\$\.?([^`]*)`")
_NAMED = re.compile(r"field `([^`]+)`")


class HttpError(WalletError):
    """A refusal that only a caller over HTTP can get."""


class AmbiguousRequest(HttpError):
    """The request gives two values for what can have one: a header, a query parameter, a token."""

    code: ClassVar[str] = "ambiguous_request"


class NotFound(HttpError):
    """There is no such address."""

    code: ClassVar[str] = "not_found"


class MethodNotAllowed(HttpError):
    """The address exists and does not take this method."""

    code: ClassVar[str] = "method_not_allowed"


class BodyTooLarge(HttpError):
    """The body is longer than the address takes."""

    code: ClassVar[str] = "body_too_large"


class IdempotencyKeyRequired(HttpError):
    """A call that moves money came without an ``Idempotency-Key``."""

    code: ClassVar[str] = "idempotency_key_required"


class HostNotAllowed(HttpError):
    """MCP was asked for under a name that the service does not go by."""

    code: ClassVar[str] = "host_not_allowed"


class OriginNotAllowed(HttpError):
    """MCP was asked for by a page of another site."""

    code: ClassVar[str] = "origin_not_allowed"


class McpNotInstalled(HttpError):
    """The service runs without the ``mcp`` extra."""

    code: ClassVar[str] = "mcp_not_installed"


class TooManyFailures(HttpError):
    """Too many bad tokens came from this address lately."""

    code: ClassVar[str] = "too_many_failures"


def body_refused(error: DecodeError | UnicodeDecodeError | RecursionError) -> WalletError:
    """The refusal of a body or parameter that could not be decoded, naming the field where there is one."""
    if not isinstance(error, ValidationError):
        return InvalidJson(f"the body is not JSON: {error}")
    detail = str(error)
    parts = [match[1] for pattern in (_PLACE, _NAMED) if (match := pattern.search(detail)) and match[1]]
    field = ".".join(parts)
    kind = InvalidAmount if field.endswith("amount_yen") else InvalidRequest
    return kind(detail.replace("`$.", "`"), **({"field": field} if field else {}))


def status_of(error: Exception) -> int:
    """The HTTP status that ``error`` is answered with."""
    if isinstance(error, DatabaseError):
        return 503
    return STATUS_OF_CODE.get(error.code, 500) if isinstance(error, WalletError) else 500


def problem_of(error: Exception, topup_url: str | None) -> tuple[int, dict[str, Any]]:
    """Status and problem document of ``error``; one that is no refusal is told nothing of.

    Without a ``topup_url`` a 402 keeps the one that came with the error, if any.
    """
    status = status_of(error)
    if not isinstance(error, WalletError):
        detail = "the service failed; nothing is known to have moved, send it again with the same idempotency key"
        return status, _document("internal_error", status, detail)
    document = _document(error.code, status, str(error)) | error.details
    if error.code in _EXHAUSTED:
        document |= {"reason": "wallet_exhausted"} | ({} if topup_url is None else {"topup_url": topup_url})
    return status, document


def headers_of(error: Exception) -> dict[str, str]:
    """The headers that go with the problem document."""
    status = status_of(error)
    if status == _UNAUTHORIZED:
        return {"WWW-Authenticate": "Bearer"}
    seconds = error.details.get("retry_after_seconds") if isinstance(error, WalletError) else None
    if status in (429, 502, 503) or seconds is not None:
        return {"Retry-After": str(seconds or SOON_SECONDS)}
    return {}


def encode(document: dict[str, Any]) -> bytes:
    """A problem document as the bytes of a body."""
    return json.encode(document)


def _document(code: str, status: int, detail: str) -> dict[str, Any]:
    return {
        "type": TYPE_PREFIX + code,
        "title": code.replace("_", " ").capitalize().replace(" json", " JSON"),
        "status": status,
        "detail": detail,
        "code": code,
    }
