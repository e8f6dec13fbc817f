"""Query parameters: an endpoint takes those that its route declares, and refuses every other by name.

A parameter that is ignored is a filter that its sender believes in: ``?walletid=7`` would list everybody's.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from litestar.handlers import BaseRouteHandler
from litestar.params import QueryParameter

from credit_wallet.errors import InvalidRequest
from credit_wallet.wire.problems import shortened


def require_known_parameters(handler: BaseRouteHandler, names: Iterable[str]) -> None:
    """Raise ``InvalidRequest`` for the first of ``names`` that the route does not take, and say which it takes."""
    known = _parameters(handler)
    for name in names:
        if name not in known:
            taken = f"takes {', '.join(known)}" if known else "takes none"
            raise InvalidRequest(f"{shortened(name)} is not a parameter of this endpoint, which {taken}", field=name)


@lru_cache(maxsize=256)
def _parameters(handler: BaseRouteHandler) -> tuple[str, ...]:
    fields = handler.parsed_fn_signature.parameters.items()
    return tuple(
        field.kwarg_definition.name or name
        for name, field in fields
        if isinstance(field.kwarg_definition, QueryParameter)
    )
