"""Which function answers which address. A function is a page (``GET``) or an action of a page (``POST``)."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.cookies import FRAMED

if TYPE_CHECKING:
    from credit_wallet.pages.visit import Visit

PageFunction: TypeAlias = "Callable[[Visit], Awaitable[Reply]]"

Who: TypeAlias = Literal["anybody", "owner", "operator"]
"""Who has a page: anybody, whoever has a session of a wallet, an operator. What they may do is the API's to decide."""

OWNER, CONSOLE = "/wallet", "/console"
"""Where an owner's pages begin, and an operator's."""

ONE_WALLET = f"{CONSOLE}/wallets/{{wallet_id}}"
"""Where an operator sees what an owner sees."""

_PARAMETER = re.compile(r"\{([a-z_]+)\}")


class Route(NamedTuple):
    """An address with parameters in braces, and who answers it; ``page`` is shown again when an action is refused."""

    method: str
    path: str
    who: Who
    run: PageFunction
    page: PageFunction | None = None


async def _nothing(_: Visit) -> Reply:
    raise LookupError("no page stands there")


NOWHERE = Route("GET", "", "anybody", _nothing)
"""Of a visit to an address without a page."""


class Routes:
    """The pages by their addresses."""

    def __init__(self) -> None:
        self.all: list[Route] = []
        self._plain: dict[tuple[str, str], Route] = {}
        self._patterns: list[tuple[str, re.Pattern[str], Route]] = []

    def add(self, route: Route) -> None:
        """Take a page in."""
        self.all.append(route)
        if "{" not in route.path:
            self._plain[route.method, route.path] = route
            return
        pattern = _PARAMETER.sub(
            lambda found: f"(?P<{found[1]}>{_form_of(found[1])})",
            re.escape(route.path).replace(r"\{", "{").replace(r"\}", "}"),
        )
        self._patterns.append((route.method, re.compile(pattern), route))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """The page at an address and the parameters in it."""
        if plain := self._plain.get((method, path)):
            return plain, {}
        for its_method, pattern, route in self._patterns:
            if its_method == method and (found := pattern.fullmatch(path)):
                return route, found.groupdict()
        return None

    def page_of(self, route: Route, params: Mapping[str, str]) -> str:
        """The address of the page that ``route`` is, or that its form stands on."""
        room = route.path.split("{")[0].split("/")[1]
        shown = route.page or route.run
        pages = [each.path for each in self.all if each.method == "GET" and each.run is shown]
        ours = [path for path in pages if path.split("/")[1] == room]
        return _PARAMETER.sub(lambda found: params.get(found[1], ""), ours[0]) if ours else f"/{room}"

    def methods(self, path: str) -> list[str]:
        """The methods that an address takes."""
        return [method for method in ("GET", "POST") if self.find(method, path)]


def _form_of(parameter: str) -> str:
    return "[1-9][0-9]{0,17}" if parameter.endswith("_id") and parameter != "budget_id" else "[A-Za-z0-9_.~:-]{1,200}"


ROUTES = Routes()
"""Every page of the service."""


def page(path: str, who: Who) -> Callable[[PageFunction], PageFunction]:
    """Declare a page."""
    return _declare("GET", (path,), who, None)


def action(path: str, who: Who, shown: PageFunction | None = None) -> Callable[[PageFunction], PageFunction]:
    """Declare an action; ``shown`` is the page that its form is on."""
    return _declare("POST", (path,), who, shown)


def wallet_page(path: str) -> Callable[[PageFunction], PageFunction]:
    """Declare a page of one wallet: for its owner, in a frame, and for operators."""
    return _declare("GET", _of_wallet(path), None, None)


def wallet_action(path: str, shown: PageFunction) -> Callable[[PageFunction], PageFunction]:
    """Declare an action of one wallet, in the same three places."""
    return _declare("POST", _of_wallet(path), None, shown)


def _of_wallet(path: str) -> tuple[str, ...]:
    return f"{OWNER}{path}", f"{FRAMED}{path}", f"{ONE_WALLET}{path}"


def _declare(
    method: str, paths: Iterable[str], who: Who | None, shown: PageFunction | None
) -> Callable[[PageFunction], PageFunction]:
    def declare(function: PageFunction) -> PageFunction:
        for path in paths:
            its_who: Who = who or ("operator" if path.startswith(CONSOLE) else "owner")
            ROUTES.add(Route(method, path, its_who, function, shown))
        return function

    return declare


def is_below(path: str, room: str) -> bool:
    """Whether ``path`` is the address ``room`` or one below it."""
    return path == room or path.startswith(f"{room}/")
