"""The way in and out: what this is, sign-in by token, a host's link, sign-out."""

from __future__ import annotations

import re

from credit_wallet.errors import Forbidden, Unauthorized
from credit_wallet.pages.answers import Answer, Reply, redirect
from credit_wallet.pages.cookies import FRAMED
from credit_wallet.pages.routes import CONSOLE, OWNER, action, is_below, page
from credit_wallet.pages.visit import LOOKS_ONLY, Visit
from credit_wallet.pages.words import text
from credit_wallet.wire.asgi import address_of

MAX_TOKEN_LENGTH = 512

_PLAIN = re.compile(r"[A-Za-z0-9/_.~%?=&:+-]{1,500}")


@page("/", "anybody")
async def welcome(visit: Visit) -> Reply:
    """What this is, and sign-in; whoever has a session goes to their own pages."""
    return visit.draw("welcome.html") if visit.caller is None else redirect(_home(visit))


@page("/dashboard", "anybody")
async def dashboard(visit: Visit) -> Reply:
    """The pages of whoever asks, by a name that is the same for all."""
    return await welcome(visit)


@page("/sign-in", "anybody")
async def show_sign_in(visit: Visit) -> Reply:
    """The form that takes a token."""
    if visit.caller is not None and visit.refused is None:
        return redirect(_home(visit))
    return visit.draw("sign-in.html", next=_next(visit.query.get("next", "")))


@action("/sign-in", "anybody", show_sign_in)
async def sign_in(visit: Visit) -> Reply:
    """Begin a session with a token."""
    token = visit.form.text("token")
    if not 0 < len(token) <= MAX_TOKEN_LENGTH:
        raise Unauthorized(text("enter the token that you were given"), field="token")
    try:
        begun = await visit.entrance.people.sign_in(token, address_of(visit.scope), earlier=visit.secret)
    except Unauthorized as refusal:
        raise Unauthorized(
            text("no token that is known here; check that you copied all of it"), field="token"
        ) from refusal
    visit.set_cookie(visit.entrance.cookies.set_session(begun.secret, in_frame=False))
    return redirect(_next(visit.form.text("next")) or "/")


@action("/sign-out", "anybody")
async def sign_out(visit: Visit) -> Reply:
    """End the session, here and in the ledger."""
    return await _end(visit)


@action(f"{FRAMED}/sign-out", "anybody")
async def sign_out_of_frame(visit: Visit) -> Reply:
    """The same in a frame."""
    return await _end(visit)


@page("/enter/{link}", "anybody")
async def enter(visit: Visit) -> Reply:
    """Begin a session with a host's link, which works once.

    Whoever is signed in is asked first: a link may come from somebody who wants them to pay into another wallet.
    """
    if visit.caller is None or visit.scope.get(LOOKS_ONLY):
        return await _enter(visit, OWNER)
    wallet_id = await visit.entrance.people.wallet_of_link(visit.params["link"])
    own = None if visit.caller.access is None else visit.caller.access.wallet_id
    return await _enter(visit, OWNER) if wallet_id in (None, own) else visit.draw("enter.html")


@action("/enter/{link}", "anybody", enter)
async def enter_instead(visit: Visit) -> Reply:
    """Begin it in place of the session until now."""
    return await _enter(visit, OWNER)


@page(f"{FRAMED}/enter/{{link}}", "anybody")
async def enter_frame(visit: Visit) -> Reply:
    """The same in a page of the host's, which alone decides whose wallet it shows there."""
    return await _enter(visit, FRAMED)


async def _enter(visit: Visit, base: str) -> Reply:
    in_frame = base == FRAMED
    if visit.scope.get(LOOKS_ONLY):
        return Answer(200)
    if b"prefetch" in dict(visit.scope["headers"]).get(b"sec-purpose", b""):
        return Answer(503)  # a browser that guesses where somebody will go asks again when they do
    try:
        begun = await visit.entrance.people.enter(
            visit.params["link"], address_of(visit.scope), embedded=in_frame, earlier=visit.secret
        )
    except (Unauthorized, Forbidden):
        return visit.draw("ended.html", status=401)
    visit.set_cookie(visit.entrance.cookies.set_session(begun.secret, in_frame=in_frame))
    return redirect(base + begun.path.removeprefix(OWNER))


async def _end(visit: Visit) -> Answer:
    secret = visit.secret
    if secret is not None:
        await visit.entrance.people.end(secret)
    visit.set_cookie(visit.entrance.cookies.end_session(in_frame=visit.place.in_frame))
    return redirect(f"{FRAMED}/ended" if visit.place.in_frame else "/")


@page(f"{FRAMED}/ended", "anybody")
async def ended(visit: Visit) -> Reply:
    """What is left in a frame after sign-out."""
    return visit.draw("ended.html")


def _home(visit: Visit) -> str:
    """Where whoever has signed in goes."""
    caller = visit.caller
    return CONSOLE if caller is not None and caller.operator is not None else OWNER


def _next(address: str) -> str:
    """A page of ours to go on at, else nothing: nobody is led elsewhere by an address that somebody else made up."""
    is_ours = is_below(address, OWNER) or is_below(address, CONSOLE)
    return address if is_ours and _PLAIN.fullmatch(address) else ""
