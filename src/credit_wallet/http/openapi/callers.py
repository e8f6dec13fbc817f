"""Who may make each call, in words and as tables: read off the routes and the table of permissions.

``python -m credit_wallet.http.openapi.callers`` prints the tables of ``docs/reference/access.md``.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from litestar.handlers import HTTPRouteHandler

from credit_wallet.domain.permissions import KINDS, PERMISSIONS, Kind, Permission
from credit_wallet.http.routing import MONEY_SECURITY, NEEDS

_KEY, _OPERATOR = "key:", "operator:"

_COLUMNS: Final[dict[Kind, str]] = {
    kind: kind.replace(_KEY, "key ").replace(_OPERATOR, "") if kind != "operator:seller" else "operator seller"
    for kind in KINDS
}

_TYPE_OF_PARAMETER = re.compile(r":[a-z]+\}")


def callers(handler: HTTPRouteHandler) -> str:
    """A sentence that says who may make a call."""
    needs: Permission | None = handler.opt[NEEDS]
    if needs is None or handler.security == MONEY_SECURITY:
        return "Needs no token."
    kinds = PERMISSIONS[needs].kinds
    if kinds == frozenset(KINDS):
        return "For everybody with a token."
    named = [
        *(["owners"] if "owner" in kinds else []),
        *_among("agent keys with", _KEY, kinds),
        *(["sellers"] if "seller" in kinds else []),
        *_among("operators with the role", _OPERATOR, kinds),
    ]
    return f"For {_listed(named, 'and')}."


def tables(routes: Iterable[HTTPRouteHandler]) -> str:
    """What each kind of caller may do, and what each call needs, in Markdown."""
    return "\n".join((*_permission_rows(), "", *_call_rows(routes)))


def _permission_rows() -> Iterator[str]:
    yield _row(("permission", "allows", *_COLUMNS.values()))
    yield _row("---" for _ in range(len(KINDS) + 2))
    for permission, grant in PERMISSIONS.items():
        yield _row((f"`{permission}`", grant.allows, *("yes" if kind in grant.kinds else "" for kind in KINDS)))


def _call_rows(routes: Iterable[HTTPRouteHandler]) -> Iterator[str]:
    calls = sorted(
        (_TYPE_OF_PARAMETER.sub("}", path), method, _needed(each))
        for each in routes
        for path in each.paths
        for method in each.http_methods
    )
    yield _row(("call", "needs"))
    yield _row(("---", "---"))
    for path, method, needs in calls:
        yield _row((f"`{method} {path}`", needs))


def _needed(handler: HTTPRouteHandler) -> str:
    needs: Permission | None = handler.opt[NEEDS]
    if needs is None:
        return "no token"
    return f"no token; for figures of money `{needs}`" if handler.security == MONEY_SECURITY else f"`{needs}`"


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _among(what: str, prefix: str, kinds: Collection[Kind]) -> list[str]:
    names = [f"`{kind.removeprefix(prefix)}`" for kind in KINDS if kind in kinds and kind.startswith(prefix)]
    return [f"{what} {_listed(names, 'or')}"] if names else []


def _listed(words: Sequence[str], joint: str) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} {joint} {words[-1]}"


if __name__ == "__main__":
    from credit_wallet.http.app import ROUTES

    sys.stdout.write(tables(ROUTES) + "\n")
