"""The OpenAPI 3.1 document of the service."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, cast

from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from credit_wallet.http.openapi.operations import operation_of
from credit_wallet.http.openapi.problems import problem_schemas
from credit_wallet.http.openapi.responses import HEADERS, shared_responses
from credit_wallet.http.openapi.schemas import Schemas
from credit_wallet.version import __version__

TITLE = "Agent Credit Wallet"

_DESCRIPTION = """\
A prepaid wallet for APIs that are sold to AI agents: charge calls, hold and capture, top up through Stripe, and limit \
what each agent spends.

**Amounts** are sent as whole yen (`3`) or as decimals in quotes with up to six places (`"3.30"`), and answered twice: \
`amount_yen` in whole yen, rounded down, and `amount` exactly, as a decimal without trailing zeros. **Times** are ISO \
8601 in UTC.

**Idempotency.** Every call that moves money needs an `Idempotency-Key`. Send the same request with the same key when \
no answer came, or after 500, 502 or 503: nothing is done twice.

**Errors** are problem documents (RFC 9457). `code` is stable and says what happened; the fields beside it are the \
figures behind it. A status of 4xx means that nothing moved."""

_TAGS = {
    "Charges and holds": "Spend from a wallet: charge at once, or hold first and capture what a call cost.",
    "Purchases": "For gates that sell calls elsewhere: pay for one request of a buyer exactly once.",
    "Wallet": "What a wallet's owner and agents see of it, and what its owner sets.",
    "Top-ups": "Add credit through Stripe.",
    "Transfers": "Move credit between wallets of one owner.",
    "Budgets": "Limits on what the wallet and its agents may spend: by window, for all charges or for some.",
    "Agent keys": "One token per agent, each with its own cap; and who a token belongs to.",
    "Notification targets": "Where a wallet's notices go.",
    "Operator: wallets": "Create and manage wallets. For operator keys.",
    "Operator: all wallets": "Totals, payments that need help, and notices that did not arrive. For operator keys.",
    "Log of acts": "Who did what besides moving money, from where and why.",
    "Operator: one wallet": "What a wallet's owner sees and sets, at the wallet's address. For operator keys.",
    "Operator: corrections": "Put right what went wrong, each time with a reason. For operator keys.",
    "Operator: prices": "What is sold, and at what price. For operator keys.",
    "Operator: grants": "Credit that is due once or every month. For operator keys.",
    "Operator: access": "Lost owner tokens, keys that the host has issued, and sellers. For operator keys.",
    "Operator: operators": "People and programs of the host's, each with a name, a role and keys.",
    "Service": "Health, readiness and metrics of the service itself.",
}
"""In the order in which they are read."""

_METHODS = ("get", "post", "put", "patch", "delete")
"""In the order in which those of a path are read."""

_SECURITY_SCHEMES = {
    "token": {
        "type": "http",
        "scheme": "bearer",
        "description": "A wallet's owner token or an agent key (`cw_live_…`), a registered key of the host, a "
        "seller's token (`cw_seller_…`) or an operator key.",
    },
    "api_key": {
        "type": "apiKey",
        "in": "header",
        "name": "X-API-Key",
        "description": "The same tokens, in this header instead.",
    },
}


@cache
def document_of(app: Litestar) -> dict[str, Any]:
    """The document of the routes of ``app``."""
    schemas = Schemas(_types(handler for _, _, handler in _operations(app)))
    paths: dict[str, dict[str, Any]] = {}
    for path, method, handler in _operations(app):
        paths.setdefault(path, {})[method] = operation_of(handler, path, schemas)
    paths = {path: dict(sorted(item.items(), key=lambda each: _METHODS.index(each[0]))) for path, item in paths.items()}
    return {
        "openapi": "3.1.0",
        "info": {
            "title": TITLE,
            "version": __version__,
            "summary": "Prepaid credit for APIs that are sold to AI agents.",
            "description": _DESCRIPTION,
            "license": {"name": "Apache 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/", "description": "This service."}],
        "tags": [{"name": name, "description": description} for name, description in _TAGS.items()],
        "paths": {path: paths[path] for path in sorted(paths, key=lambda path: _place(paths[path]))},
        "components": {
            "schemas": dict(sorted((schemas.components | problem_schemas()).items())),
            "responses": shared_responses(),
            "headers": HEADERS,
            "securitySchemes": _SECURITY_SCHEMES,
        },
    }


def _operations(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    """Path, method and handler of each documented operation."""
    for route in app.routes:
        if not isinstance(route, HTTPRoute):
            continue
        for handler in route.route_handlers:
            for method in sorted(handler.http_methods):
                if handler.include_in_schema and handler.tags:
                    yield route.path_format, method.lower(), handler


def _types(handlers: Iterable[HTTPRouteHandler]) -> Iterator[Any]:
    """What goes into and comes out of ``handlers``."""
    for handler in handlers:
        if handler.parsed_data_field is not None:
            yield handler.parsed_data_field.annotation
        yield handler.parsed_return_field.annotation


def _place(item: dict[str, Any]) -> int:
    """Where the operations of a path are read: in the order of their tags."""
    first = cast(dict[str, Any], next(iter(item.values())))
    return [*_TAGS].index(first["tags"][0])
