"""Whole numbers in paths and queries, as strict as those in bodies: not ``1_0``, ``+3``, ``3.0`` or ``1e1``."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from litestar import Request
from litestar.handlers import HTTPRouteHandler

from credit_wallet.domain.whole_numbers import whole_number
from credit_wallet.errors import InvalidRequest
from credit_wallet.wire.problems import NotFound


def require_plain_numbers(request: Request[Any, Any, Any], query: Mapping[str, str]) -> None:
    """Raise ``InvalidRequest`` (query) or ``NotFound`` (path) for a number that is not written in plain digits."""
    segments = request.scope["path"].split("/")
    for value in request.path_params.values():
        if isinstance(value, int) and str(value) not in segments:
            raise NotFound("no such endpoint; write ids in plain digits, such as 10")
    for name in _whole_numbers(request.route_handler):
        try:
            whole_number(query.get(name, "0"))
        except ValueError:
            raise InvalidRequest(f"{name} must be a whole number such as 10, not {query[name]!r}", field=name) from None


@lru_cache(maxsize=256)
def _whole_numbers(handler: HTTPRouteHandler) -> tuple[str, ...]:
    """The parameters of a route that are whole numbers, those of its path included."""
    parameters = handler.parsed_fn_signature.parameters.items()
    return tuple(name for name, field in parameters if field.has_inner_subclass_of(int) or field.is_subclass_of(int))
