"""Errors, in the form in which Stripe's API answers them."""

from __future__ import annotations

from typing import Any

Json = dict[str, Any]


class StripeFailure(Exception):
    """The error with which a request is answered; ``fields`` that are not None are added to its message and type."""

    def __init__(self, status: int, message: str, error_type: str = "invalid_request_error", **fields: Any) -> None:
        super().__init__(message)
        self.status = status
        self.error: Json = {"message": message, "type": error_type}
        self.error |= {name: value for name, value in fields.items() if value is not None}


def invalid(message: str, param: str | None = None, code: str | None = None, **fields: Any) -> StripeFailure:
    """The request cannot be carried out as it stands."""
    return StripeFailure(400, message, code=code, param=param, **fields)


def missing(kind: str, object_id: str, param: str = "id", *, status: int = 400) -> StripeFailure:
    """The object does not exist: 404 when the path names it, 400 when a parameter does."""
    return StripeFailure(status, f"No such {kind}: '{object_id}'", code="resource_missing", param=param)


def unexpected_state(message: str, code: str, **objects: Any) -> StripeFailure:
    """The object that the error carries is in a state in which this cannot be done with it."""
    return StripeFailure(400, message, code=code, **objects)
