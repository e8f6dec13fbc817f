"""One request of a person: who they are, what they ask for, and how they like to read it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from markupsafe import Markup

from credit_wallet.domain.permissions import Permission
from credit_wallet.domain.sessions import OpenSession
from credit_wallet.errors import Forbidden
from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.pages.answers import Answer, Reply, page_headers, redirect
from credit_wallet.pages.api import Api, Refused
from credit_wallet.pages.cookies import FRAMED, Cookies, Taste, cookies_of
from credit_wallet.pages.done import DONE
from credit_wallet.pages.field_texts import CODE_TEXTS, FIELD_TEXTS, MALFORMED
from credit_wallet.pages.formats import Formats
from credit_wallet.pages.forms import WAS, Form
from credit_wallet.pages.live import Live
from credit_wallet.pages.navigation import navigation
from credit_wallet.pages.rendering import render
from credit_wallet.pages.routes import CONSOLE, NOWHERE, OWNER, ROUTES
from credit_wallet.pages.settings import PageSettings
from credit_wallet.pages.words import RefusedText, Words, text
from credit_wallet.wire.asgi import AsgiApp, RawHeaders, Receive, Scope, Send, address_of
from credit_wallet.wire.auth import Caller
from credit_wallet.wire.mirrored import mirrored
from credit_wallet.wire.people import People

LOOKS_ONLY = "credit_wallet.looks_only"
"""In the scope of a request for the headers alone, such as one of a chat that looks at a link in a message."""


class Place(NamedTuple):
    """Where a page stands: the address of the wallet's pages, and whose wallet an operator looks at."""

    base: str
    wallet_id: int | None = None

    @property
    def in_frame(self) -> bool:
        """Whether it is shown in a page of somebody else's."""
        return self.base == FRAMED

    @property
    def of_operator(self) -> bool:
        """Whether an operator looks."""
        return self.base.startswith(CONSOLE)

    def api(self, path: str) -> str:
        """The API's address of what the wallet's owner has at ``path``."""
        return path if self.wallet_id is None else mirrored(path, self.wallet_id)


class Entrance(NamedTuple):
    """What sign-in and sign-out need: sessions, and the cookies that carry them."""

    people: People
    cookies: Cookies
    live: Live


class Visit:
    """A request; page functions read and act through it, and show templates with it."""

    def __init__(
        self,
        app: AsgiApp,
        scope: Scope,
        settings: PageSettings,
        place: Place,
        *,
        entrance: Entrance,
        words: Words,
        tastes: Mapping[Taste, str],
        query: Mapping[str, str],
        params: Mapping[str, str],
        session: OpenSession | None,
        caller: Caller | None,
        csrf: str,
        now: datetime,
    ) -> None:
        self.now = now
        self.mark = ""
        self.scope = scope
        self.settings = settings
        self.place = place
        self.entrance = entrance
        self.words = words
        self.query = query
        self.params = params
        self.session = session
        self.caller = caller
        self.form = Form({})
        self.refused: Refused | None = None
        self.refusal_is_said = False
        self.route = NOWHERE
        self.set_cookies: RawHeaders = []
        """Headers that the answer has, whatever it is."""
        self._tastes = tastes
        self.csrf = csrf
        self._api = Api(app, scope, caller)
        self._wallet: Any = None

    @property
    def path(self) -> str:
        """The address that was asked for."""
        return str(self.scope["path"])

    @property
    def page_address(self) -> str:
        """The address of what is shown, to ask for it again."""
        return self.path if self.route.method == "GET" else ROUTES.page_of(self.route, self.params)

    def id(self, name: str) -> int:
        """A parameter of the address that is an id."""
        return int(self.params[name])

    @property
    def zone(self) -> str:
        """The time zone of pages that are of no wallet: the visitor's own, where it is known."""
        return self._tastes.get("zone") or "UTC"

    def allows(self, permission: str) -> bool:
        """Whether to offer what needs ``permission``; the API decides whether it may be done."""
        return self.caller is not None and permission in self.caller.permissions

    @property
    def may_change(self) -> bool:
        """Whether to offer changes to the wallet."""
        return self.allows(self.changing)

    @property
    def changing(self) -> Permission:
        """The permission that changes to the wallet need here."""
        return "support" if self.place.of_operator else "manage"

    def require(self, permission: Permission) -> None:
        """Raises ``Forbidden`` unless the visitor may do what needs ``permission``, where the API is not asked."""
        if self.caller is None:
            raise Forbidden("nobody is signed in; sign in first")
        self.caller.require(permission)

    async def get(self, path: str, **query: Any) -> Any:
        """What the API answers to ``GET``; an owner's address is that of the wallet looked at. Raises ``Refused``."""
        return await self._api.ask("GET", self.place.api(path), query)

    async def send(
        self, method: str, path: str, body: Any = None, *, idempotency_key: str | None = None, **query: Any
    ) -> Any:
        """Have the API do something, with the reason that the form has in ``act_note``. Raises ``Refused``."""
        headers = {} if idempotency_key is None else {"Idempotency-Key": idempotency_key}
        if note := self.form.optional("act_note"):
            headers["X-Act-Note"] = note
        return await self._api.ask(method, self.place.api(path), query, body, headers)

    def download(self, path: str, name: str, **query: Any) -> AsgiApp:
        """What the API answers, passed on as it comes, to be kept as a file called ``name``."""
        kept = (b"content-disposition", f'attachment; filename="{name}"'.encode("ascii"))

        async def answer(_scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await self._api.hand_on(self.place.api(path), query, receive, send, [kept])
            except Refused as refusal:
                page = self.draw(
                    "error.html", status=refusal.status, title=text("That did not work"), detail=refusal.detail
                )
                await page.send(page_headers(self.settings.frame_origins if self.place.in_frame else ()), send)

        return answer

    async def wallet(self) -> Any:
        """The wallet looked at, asked for once."""
        if self._wallet is None:
            self._wallet = await self.get("/credit/wallet")
        return self._wallet

    @property
    def has_wallet(self) -> bool:
        """Whether the page is one of a wallet."""
        is_own = self.place.base in (OWNER, FRAMED) and self.caller is not None and self.caller.access is not None
        return self.session is not None and (is_own or self.place.wallet_id is not None)

    async def show(self, template: str, *, status: int = 200, zone: str | None = None, **values: Any) -> Reply:
        """The page ``template``. Instants are in the wallet's time zone, or in ``zone``."""
        wallet = await self.wallet() if self.has_wallet else None
        return self.draw(
            template, status=status, zone=zone or (wallet and wallet["time_zone"]), wallet=wallet, **values
        )

    def draw(
        self, template: str, *, status: int = 200, zone: str | None = None, wallet: Any = None, **values: Any
    ) -> Answer:
        """The same for a page that needs nothing of the API."""
        formats = Formats(self.words.language, zone or self.zone, self.now)
        context = {
            **formats.functions(),
            "formats": formats,
            "words": self.words,
            "visit": self,
            "wallet": wallet,
            "theme": self._tastes.get("theme", "auto"),
            "csrf": self.csrf,
            "refused": self.refused,
            "navigation": navigation(self, of_wallet=wallet is not None),
            **values,
        }
        if self.refused is not None and status == 200:
            status = self.refused.status
        return Answer(status, render(template, context))

    @property
    def watched(self) -> int | None:
        """The wallet that a page is about, None for one about all."""
        if self.place.of_operator or self.caller is None or self.caller.access is None:
            return self.place.wallet_id
        return self.caller.access.wallet_id

    def watch(self) -> Reply:
        """An answer that goes on, and says when what the visitor looks at has changed."""
        if self.session is None or self.secret is None:
            raise LookupError("only who is signed in can watch")
        if self.scope.get(LOOKS_ONLY):
            return Answer(204)
        people, secret, address = self.entrance.people, self.secret, address_of(self.scope)
        return self.entrance.live.stream(
            self.watched,
            self.session.session_id,
            self.query.get("since", ""),
            lambda: people.session(secret, address, is_use=False),
        )

    def set_cookie(self, cookie: str) -> None:
        """Have the answer set ``cookie``."""
        self.set_cookies.append((b"set-cookie", cookie.encode()))

    def go(self, path: str = "", *, done: str | None = None) -> Answer:
        """Go on at a page of the wallet, which says that something is ``done``."""
        return self.leave(f"{self.place.base}{path}", done=done)

    def leave(self, address: str, *, done: str | None = None) -> Answer:
        """Go on at any page of ours."""
        mark = "" if done is None else f"{'&' if '?' in address else '?'}done={done}"
        return redirect(f"{address}{mark}")

    @property
    def secret(self) -> str | None:
        """The secret of the session, from its cookie."""
        return self.entrance.cookies.session(cookies_of(self.scope["headers"]), in_frame=self.place.in_frame)

    @property
    def done_text(self) -> Markup | None:
        """What the page before has done, said once."""
        came_from_us = dict(self.scope["headers"]).get(b"sec-fetch-site", b"same-origin") == b"same-origin"
        said = DONE.get(self.query.get("done", "")) if came_from_us else None
        return None if said is None else self.words.say(said)

    def says_refusal(self) -> str:
        """A mark of the place that says what was refused; a page where no form does says it at its top."""
        self.refusal_is_said = True
        return ""

    @property
    def refused_text(self) -> RefusedText:
        """What was refused and why, in the language of the page where we have it."""
        if self.refused is None:
            raise LookupError("nothing was refused")
        refused = self.refused
        if refused.code in MALFORMED and refused.field in FIELD_TEXTS:
            return RefusedText(self.words.say("That did not work"), self.words.say(FIELD_TEXTS[refused.field]))
        if refused.code in CODE_TEXTS:
            return RefusedText(self.words.say("That did not work"), self.words.say(CODE_TEXTS[refused.code]))
        return self.words.refused(refused.code, refused.detail, refused.problem)

    def key_in(self, form: str) -> str:
        """The idempotency key of a form: the one that was sent when that was refused, unless it stands for another."""
        if self.refused is not None and self.refused.code == "idempotency_conflict":
            return new_idempotency_key()
        return str(self.old_in(form, "idempotency_key", "")) or new_idempotency_key()

    def old_in(self, form: str, name: str, value: Any = "") -> Any:
        """What a field of a form shows: what was sent when that form was refused, else ``value``."""
        if not self._was_sent(form, name) or not self.form.is_touched(name):
            return "" if value is None else value
        return self.form.fields[name][0]

    def was_in(self, form: str, name: str, value: Any) -> Any:
        """What a field of a form says that it has shown: ``value``, or what it said before the form was refused.

        Only who was shown somebody else's change has seen it.
        """
        if not self._was_sent(form, WAS + name) or not self.form.is_touched(name) or self.is_taken(name):
            return "" if value is None else value
        return self.form.fields[WAS + name][0]

    def _was_sent(self, form: str, name: str) -> bool:
        return self.refused is not None and self.path == form and name in self.form.fields

    def is_taken(self, name: str) -> bool:
        """Whether a form was refused because somebody else has changed this field."""
        return self.refused is not None and name in self.refused.problem.get("changed", ())

    def is_wrong(self, form: str, name: str) -> bool:
        """Whether a form was refused because of this field."""
        blamed = self.refused is not None and (self.refused.field == name or self.is_taken(name))
        return blamed and self.path == form

    def ticked_in(self, form: str, name: str, value: str, checked: bool) -> bool:
        """Whether a box of a form is ticked, in the same way."""
        if self.refused is None or self.path != form or not self.form.is_touched(name):
            return checked
        return value in self.form.fields.get(name, [])

    def asked_with(self, name: str, value: Any) -> str:
        """The query of this page with another value of ``name``, as it stands in an address."""
        return self.asked_for(**{name: value})

    def asked_for(self, **values: Any) -> str:
        """The query of this page with other ``values``, without those that are None or empty."""
        kept = {name: held for name, held in self.query.items() if name != "done"}
        return urlencode({name: held for name, held in {**kept, **values}.items() if held not in (None, "")})
