"""The pages as an ASGI application."""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable, Mapping, MutableMapping
from datetime import datetime
from hashlib import sha256
from traceback import format_exc
from typing import Any, Final
from urllib.parse import quote, urlencode

from credit_wallet.domain.sessions import OpenSession
from credit_wallet.errors import Forbidden, Unauthorized, WalletError
from credit_wallet.pages.answers import Answer, Reply, page_headers, redirect
from credit_wallet.pages.api import Refused
from credit_wallet.pages.assets import assets
from credit_wallet.pages.cookies import FRAMED, Cookies, Taste, cookies_of
from credit_wallet.pages.formats import zones
from credit_wallet.pages.forms import Form, read_form
from credit_wallet.pages.live import Live
from credit_wallet.pages.routes import CONSOLE, OWNER, ROUTES, Route, is_below
from credit_wallet.pages.settings import PageSettings
from credit_wallet.pages.visit import LOOKS_ONLY, Entrance, Place, Visit
from credit_wallet.pages.words import LANGUAGES, Words, chosen, text
from credit_wallet.runtime.steady_clock import utc_now
from credit_wallet.telemetry import Logger
from credit_wallet.wire.ambiguity import (
    distinct_query,
    require_one_framing,
    require_only_spelling,
    require_single_headers,
)
from credit_wallet.wire.asgi import REFUSED, ROUTE, AsgiApp, RawHeaders, Receive, Scope, Send, address_of
from credit_wallet.wire.auth import Caller
from credit_wallet.wire.headers import request_id_of
from credit_wallet.wire.people import People
from credit_wallet.wire.problems import problem_of

UP_TO_DATE: Final = b"x-up-to-date"
"""The header of a request with which an open page brings itself up to date."""

LOOKS: Final = "looks"
"""How often a page without script has looked again."""

THEMES: Final = ("auto", "light", "dark")

_ASSETS = "/assets/"
_FOR_EVER: RawHeaders = [
    (b"cache-control", b"public, max-age=31536000, immutable"),
    (b"x-content-type-options", b"nosniff"),
]
_TOP = ("/", "/dashboard", "/sign-in", "/sign-out")
_ROOMS = (OWNER, FRAMED, CONSOLE, "/enter")


_log = Logger("credit_wallet.pages")


def is_page(path: str) -> bool:
    """Whether an address is one of the pages, or of a file that they load."""
    return path in _TOP or path.startswith(_ASSETS) or any(is_below(path, room) for room in _ROOMS)


class Pages:
    """Answers people, with what ``api`` answers."""

    def __init__(
        self,
        api: AsgiApp,
        people: People,
        settings: PageSettings,
        live: Live,
        now: Callable[[], datetime] = utc_now,
    ) -> None:
        self._api = api
        self._now = now
        self._people = people
        self._live = live
        self._settings = settings
        self._cookies = Cookies(https=settings.https)
        import_pages()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI's entry."""
        path: str = scope["path"]
        if path.startswith(_ASSETS):
            await _asset(scope).send([request_id_of(scope["headers"])], send, head=scope["method"] == "HEAD")
            return
        if head := scope["method"] == "HEAD":
            scope = {**scope, "method": "GET", LOOKS_ONLY: True}
        cookies: RawHeaders = []
        reply = await self._answer(scope, receive, cookies)
        origins = self._settings.frame_origins if is_below(path, FRAMED) else ()
        if isinstance(reply, Answer):
            reply = reply._replace(headers=[*cookies, *reply.headers])
            await reply.send(
                [*page_headers(origins, https=self._settings.https), request_id_of(scope["headers"])], send, head=head
            )
        else:
            await reply(scope, receive, _with_headers(cookies, send))

    async def not_found(self, scope: Scope, send: Send) -> None:
        """Answer a person who asks for an address that neither pages nor API have."""
        reply = self._refusal(self._stranger(scope), _not_found(scope["path"], "GET"))
        await reply.send([*page_headers((), https=self._settings.https), request_id_of(scope["headers"])], send)

    async def _answer(self, scope: Scope, receive: Receive, cookies: RawHeaders) -> Reply:
        """The answer, whatever happens; ``cookies`` are set with it, whatever it is."""
        visit = None
        try:
            _require_one_meaning(scope)
            visit = await self._visit(scope, cookies)
            return await self._run(visit, receive)
        except (WalletError, Refused) as error:
            return self._refusal(visit or self._stranger(scope), error)
        except Exception:
            _log.error("page_failed", path=scope["state"].get(ROUTE), exception=format_exc())
            return (visit or self._stranger(scope)).draw(
                "error.html", status=500, title=text("Something went wrong"), detail=""
            )

    async def _run(self, visit: Visit, receive: Receive) -> Reply:
        route = visit.route
        if route.who != "anybody":
            if visit.caller is None:
                return self._to_sign_in(visit)
            _require_kind(visit.caller, route)
        if route.method == "GET":
            if tasted := self._taste(visit):
                return tasted
            if visit.session is not None:
                visit.mark = await self._mark(visit)
            return await route.run(visit)
        return await self._act(visit, route, receive)

    async def _mark(self, visit: Visit) -> str:
        """What the page is as of, so that a change while it is made is not missed. Nothing when nobody can say."""
        try:
            return await self._live.mark(visit.watched)
        except WalletError:
            return ""

    async def _act(self, visit: Visit, route: Route, receive: Receive) -> Reply:
        """Carry out a form; one that is refused is shown again with what was sent, and why.

        Where there is no such page, the refusal of the form is the answer.
        """
        headers = dict(visit.scope["headers"])
        visit.form = Form(await read_form(receive, headers.get(b"content-type", b"").decode("latin-1")))
        self._require_own_origin(headers)
        try:
            _require_own_form(visit)
            return await route.run(visit)
        except (WalletError, Refused) as error:
            refused = _as_refused(error)
            has_ended = refused.status == 401 and route.who != "anybody"
            if has_ended or route.page is None:
                raise
            visit.refused = refused
            try:
                return await route.page(visit)
            except (WalletError, Refused):
                raise error from None

    def _require_own_origin(self, headers: Mapping[bytes, bytes]) -> None:
        """Refuse a form that another site has sent."""
        site = headers.get(b"sec-fetch-site", b"same-origin")
        origin = headers.get(b"origin")
        schemes = (b"https",) if self._settings.https else (b"http", b"https")
        ours = (
            self._settings.public_url.encode(),
            *(b"%s://%s" % (scheme, headers[b"host"]) for scheme in schemes if b"host" in headers),
        )
        if site != b"same-origin" or (origin is not None and origin not in ours):
            raise Forbidden(text("the form comes from elsewhere; open the page here and send it from there"))

    async def _visit(self, scope: Scope, set_cookies: RawHeaders) -> Visit:
        """Who asks for what."""
        path, method = scope["path"], scope["method"]
        found = ROUTES.find(method, path)
        if found is None:
            raise _not_found(path, method)
        route, params = found
        scope["state"][ROUTE] = route.path
        in_frame = is_below(path, FRAMED)
        cookies = cookies_of(scope["headers"])
        session, caller = await self._session(scope, cookies, set_cookies, in_frame=in_frame)
        csrf = self._csrf(session, cookies, set_cookies)
        scope["state"]["caller"] = caller
        visit = self._visit_of(scope, session, caller, csrf, _place(path, params), params, cookies)
        visit.route = route
        visit.set_cookies = set_cookies
        return visit

    async def _session(
        self, scope: Scope, cookies: dict[str, str], headers: RawHeaders, *, in_frame: bool
    ) -> tuple[OpenSession | None, Caller | None]:
        """The session that the cookie opens, if it does, given a new secret when that is due."""
        secret = self._cookies.session(cookies, in_frame=in_frame)
        if not secret:
            return None, None
        try:
            session, caller = await self._people.session(secret, address_of(scope), is_use=_is_use(scope))
            if session.embedded != in_frame:
                return None, None
            renews = session.rotate_due and scope["method"] == "GET" and _is_use(scope)
            if renews and (renewed := await self._people.rotate(secret, address_of(scope))):
                headers.append((b"set-cookie", self._cookies.set_session(renewed, in_frame=in_frame).encode()))
        except Unauthorized:
            headers.append((b"set-cookie", self._cookies.end_session(in_frame=in_frame).encode()))
            return None, None
        return session, caller

    def _csrf(self, session: OpenSession | None, cookies: dict[str, str], headers: RawHeaders) -> str:
        """What a form of this session has to bring, or one of this browser before anybody has signed in."""
        if session is not None:
            return session.csrf
        visitor = self._cookies.visitor(cookies)
        if not visitor or len(visitor) != 43:
            visitor = secrets.token_urlsafe(32)
            headers.append((b"set-cookie", self._cookies.set_visitor(visitor).encode()))
        return hmac.new(visitor.encode(), b"credit-wallet sign-in", sha256).hexdigest()

    def _stranger(self, scope: Scope) -> Visit:
        """A visit of somebody of whom nothing is known, for a page that says what is wrong."""
        return self._visit_of(scope, None, None, "", _place(scope["path"], {}), {}, cookies_of(scope["headers"]))

    def _visit_of(
        self,
        scope: Scope,
        session: OpenSession | None,
        caller: Caller | None,
        csrf: str,
        place: Place,
        params: Mapping[str, str],
        cookies: Mapping[str, str],
    ) -> Visit:
        tastes = _tastes(cookies)
        accepted = dict(scope["headers"]).get(b"accept-language", b"").decode("latin-1")
        asked = tastes.get("language") or (session.language if session is not None else None)
        query = _query(scope)
        return Visit(
            self._api,
            scope,
            self._settings,
            place,
            entrance=Entrance(self._people, self._cookies, self._live),
            words=Words(chosen(query.get("language") or asked, accepted)),
            tastes=tastes,
            query=query,
            params=params,
            session=session,
            caller=caller,
            csrf=csrf,
            now=self._now(),
        )

    def _taste(self, visit: Visit) -> Answer | None:
        """Remember what a person likes, and show the same page without saying so in its address."""
        liked = {
            name: visit.query[name]
            for name in _KNOWN_TASTES
            if name in visit.query and _is_taste(name, visit.query[name])
        }
        if not liked:
            return None
        rest = urlencode({name: value for name, value in visit.query.items() if name not in _KNOWN_TASTES})
        for name, value in liked.items():
            visit.set_cookie(self._cookies.set_taste(name, value))
        return redirect(f"{visit.path}?{rest}" if rest else visit.path)

    def _to_sign_in(self, visit: Visit) -> Answer:
        if b"text/event-stream" in dict(visit.scope["headers"]).get(b"accept", b""):
            return Answer(401)  # a script has asked, which can read no page
        if visit.place.in_frame:
            return visit.draw("ended.html", status=401)
        asked = urlencode(visit.query) if visit.scope["method"] == "GET" else ""
        address = f"{visit.page_address}?{asked}" if asked else visit.page_address
        return redirect(f"/sign-in?next={quote(address, safe='/')}")

    def _refusal(self, visit: Visit, error: Exception) -> Answer:
        """The page that says why."""
        refused = _as_refused(error)
        if refused.status == 401 and visit.session is not None:
            return self._to_sign_in(visit)
        visit.scope["state"][REFUSED] = refused.code
        visit.refused = None
        wait = refused.problem.get("retry_after_seconds")
        headers: RawHeaders = [] if wait is None else [(b"retry-after", b"%d" % max(1, round(float(wait))))]
        return visit.draw(
            "error.html",
            status=refused.status,
            title=_TITLES.get(refused.status, text("That did not work")),
            detail=visit.words.refused(refused.code, refused.detail, refused.problem).detail if refused.detail else "",
        )._replace(headers=headers)


_TITLES = {
    403: text("You may not do this"),
    404: text("There is nothing at this address"),
    429: text("Too many requests"),
    503: text("The service is busy"),
}

_KNOWN_TASTES: tuple[Taste, ...] = ("language", "theme", "zone")


def _with_headers(headers: RawHeaders, send: Send) -> Send:
    """``send`` for an answer that has these headers as well."""

    async def send_with_headers(message: MutableMapping[str, Any]) -> None:
        if headers and message["type"] == "http.response.start":
            message = {**message, "headers": [*headers, *message["headers"]]}
        await send(message)

    return send_with_headers


def import_pages() -> None:
    """Load every module that declares pages."""
    from credit_wallet.pages import console, entrance, owner  # noqa: F401 - each declares its pages


def _is_use(scope: Scope) -> bool:
    """Whether somebody has asked for it, not a page that keeps itself up to date."""
    by_itself = UP_TO_DATE in dict(scope["headers"]) or LOOKS in _query(scope)
    return not by_itself and not str(scope["path"]).endswith("/live")


def _require_one_meaning(scope: Scope) -> None:
    headers: RawHeaders = scope["headers"]
    require_single_headers(headers)
    require_one_framing(dict(headers), scope.get("http_version", "1.1"))
    require_only_spelling(scope)
    distinct_query(scope["query_string"])


def _require_own_form(visit: Visit) -> None:
    """Refuse a form that was not asked for in this session; it is shown again, to be sent from this one."""
    if not hmac.compare_digest(visit.form.text("csrf").encode(), visit.csrf.encode()):
        raise Forbidden(text("the form is of an earlier session; look it through and send it again"))


def _require_kind(caller: Caller, route: Route) -> None:
    if route.who == "operator" and caller.operator is None:
        raise Forbidden(text("these pages are for operators; sign in with an operator key"))
    if route.who == "owner" and caller.access is None:
        raise Forbidden(text("an operator has no wallet; open the customer's wallet in the console"))


def _place(path: str, params: Mapping[str, str]) -> Place:
    if is_below(path, CONSOLE):
        wallet = params.get("wallet_id")
        return Place(
            CONSOLE if wallet is None else f"{CONSOLE}/wallets/{wallet}", None if wallet is None else int(wallet)
        )
    return Place(FRAMED if is_below(path, FRAMED) else OWNER)


def _query(scope: Scope) -> dict[str, str]:
    try:
        return distinct_query(scope["query_string"])
    except WalletError:
        return {}


def _tastes(cookies: Mapping[str, str]) -> dict[Taste, str]:
    return {name: value for name in _KNOWN_TASTES if _is_taste(name, value := cookies.get(f"cw_{name}", "")) and value}


def _is_taste(name: Taste, value: str) -> bool:
    if name == "language":
        return value in LANGUAGES
    return value in THEMES if name == "theme" else (not value or value in zones())


def _as_refused(error: Exception) -> Refused:
    if isinstance(error, Refused):
        return error
    status, problem = problem_of(error, None)
    return Refused(status, problem)


def _not_found(path: str, method: str) -> Refused:
    if ROUTES.methods(path):
        return Refused(405, {"code": "method_not_allowed", "detail": f"this page does not take {method}"})
    return Refused(404, {"code": "not_found", "detail": ""})


def _asset(scope: Scope) -> Answer:
    found = assets().get(scope["path"].removeprefix(_ASSETS))
    if found is None:
        return Answer(404, b"no such file\n", "text/plain; charset=utf-8")
    accepted = dict(scope["headers"]).get(b"accept-encoding", b"").decode("latin-1")
    content, said = found.content.sent_to(accepted)
    return Answer(200, content, f"{found.media_type}; charset=utf-8", [*_FOR_EVER, *said])
