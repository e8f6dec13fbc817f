"""Errors as RFC 9457 problem documents, each with the library's stable ``code``."""

from __future__ import annotations

from typing import Any, ClassVar

from msgspec import DecodeError, ValidationError, json

from credit_wallet.domain.retry_after import SOON_SECONDS
from credit_wallet.errors import (
    CallLimitReached,
    DatabaseError,
    InvalidAmount,
    InvalidJson,
    InvalidRequest,
    WalletError,
)
from credit_wallet.wire.asgi import RawHeaders
from credit_wallet.wire.headers import STANDING_HEADERS
from credit_wallet.wire.malformed import explained
from credit_wallet.wire.problem_types import DATABASE_ERROR, DEFECT, INTERNAL_ERROR, PROBLEM_TYPES, ProblemType

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:agent-credit-wallet:"

MAX_DETAIL_LENGTH = 1_000
MAX_FIELD_LENGTH = 200
"""Characters of a problem's ``detail`` and ``field``, which may repeat what the caller sent."""

_UNAUTHORIZED = 401
_EXHAUSTED = ("insufficient_funds", "budget_exhausted", "key_cap_exhausted")


class HttpError(WalletError):
    """A refusal that only a caller over HTTP can get."""


class AmbiguousRequest(HttpError):
    """The request has two values for what may have one: a header, a query parameter, a token."""

    code: ClassVar[str] = "ambiguous_request"


class NotFound(HttpError):
    """No such endpoint."""

    code: ClassVar[str] = "not_found"


class MethodNotAllowed(HttpError):
    """The endpoint does not support this method."""

    code: ClassVar[str] = "method_not_allowed"


class BodyTooLarge(HttpError):
    """The body is larger than the endpoint accepts."""

    code: ClassVar[str] = "body_too_large"


class IdempotencyKeyRequired(HttpError):
    """A call that moves money was sent without an ``Idempotency-Key``."""

    code: ClassVar[str] = "idempotency_key_required"


class HostNotAllowed(HttpError):
    """MCP was called under a host name that the operator did not configure."""

    code: ClassVar[str] = "host_not_allowed"


class OriginNotAllowed(HttpError):
    """MCP was called by a page of another site."""

    code: ClassVar[str] = "origin_not_allowed"


class McpNotInstalled(HttpError):
    """The ``mcp`` extra is not installed."""

    code: ClassVar[str] = "mcp_not_installed"


class TooManyFailures(HttpError):
    """Too many invalid tokens came from this address recently."""

    code: ClassVar[str] = "too_many_failures"


def body_refused(error: DecodeError | UnicodeDecodeError | RecursionError) -> WalletError:
    """The refusal of a body or parameter that could not be decoded; it names the field if there is one."""
    if not isinstance(error, ValidationError):
        return InvalidJson(f"the body is not JSON: {error}")
    field, detail = explained(str(error))
    kind = InvalidAmount if field.endswith("amount_yen") else InvalidRequest
    return kind(detail, **({"field": field} if field else {}))


def type_of(error: Exception) -> ProblemType:
    """Status and title that ``error`` is answered with. Anything without a type of its own is a defect."""
    if isinstance(error, DatabaseError):
        return DATABASE_ERROR
    return PROBLEM_TYPES.get(error.code, INTERNAL_ERROR) if isinstance(error, WalletError) else INTERNAL_ERROR


def code_of(error: Exception) -> str:
    """The code that ``error`` is answered with."""
    return error.code if isinstance(error, WalletError) else DEFECT


def problem_of(error: Exception, topup_url: str | None) -> tuple[int, dict[str, Any]]:
    """Status and problem document of ``error``. Of a defect the document says nothing but that there is one.

    Without a ``topup_url`` a 402 keeps the one that came with the error, if any.
    """
    kind = type_of(error)
    if not isinstance(error, WalletError):
        detail = "the service failed; nothing is known to have moved, send it again with the same idempotency key"
        return kind.status, _document(code_of(error), kind, detail)
    members = _document(error.code, kind, shortened(str(error), MAX_DETAIL_LENGTH))
    document = {**members, **error.details, **members}  # RFC 9457's members come first, and are never overwritten
    if isinstance(field := document.get("field"), str):
        document["field"] = shortened(field)
    if error.code in _EXHAUSTED:
        document |= {"reason": "wallet_exhausted"} | ({} if topup_url is None else {"topup_url": topup_url})
    return kind.status, document


def headers_of(error: Exception) -> dict[str, str]:
    """The headers that go with the problem document."""
    status = type_of(error).status
    if status == _UNAUTHORIZED:
        return {"WWW-Authenticate": "Bearer"}
    seconds = error.details.get("retry_after_seconds") if isinstance(error, WalletError) else None
    passes = status in (429, 502, 503) and not isinstance(error, CallLimitReached)  # which may last
    if passes or seconds is not None:
        return {"Retry-After": str(seconds or SOON_SECONDS)}
    return {}


def refusal(error: Exception, topup_url: str | None) -> tuple[int, RawHeaders, bytes]:
    """Status, headers and body of the response to ``error``."""
    status, document = problem_of(error, topup_url)
    content = json.encode(document)
    headers = [
        (b"content-type", CONTENT_TYPE.encode()),
        (b"content-length", b"%d" % len(content)),
        *((name.lower().encode(), value.encode()) for name, value in headers_of(error).items()),
        *STANDING_HEADERS,
    ]
    return status, headers, content


def shortened(text: str, length: int = MAX_FIELD_LENGTH) -> str:
    """``text``, or both its ends when it is longer than ``length``: a response does not grow with what was sent."""
    if len(text) <= length:
        return text
    half = length // 2
    return f"{text[:half]}…{text[-half:]}"


def _document(code: str, kind: ProblemType, detail: str) -> dict[str, Any]:
    return {"type": TYPE_PREFIX + code, "title": kind.title, "status": kind.status, "detail": detail, "code": code}
