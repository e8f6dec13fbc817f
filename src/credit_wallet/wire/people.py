"""People who are signed in to the pages: by a token, or by an operator's link.

A session is believed for a second. What opened it is looked up with each request, in the memory that tokens have, so
that it ends as soon as a request with that token would be refused. Looking at a session that was never there counts
as a failure of its address, apart from bad tokens: whoever comes back with an old cookie can still sign in.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from typing import NamedTuple, ParamSpec, TypeVar

from cachetools import FIFOCache
from msgspec import structs

from credit_wallet.domain.links import Language
from credit_wallet.domain.sessions import BegunSession, OpenSession
from credit_wallet.errors import DatabaseError, Forbidden, RailBusy, ServiceBusy, ShareExceeded, Unauthorized
from credit_wallet.ledger.reading_lanes import AUTHENTICATION, OPERATORS, OWNERS
from credit_wallet.ledger.sessions import session_over
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.wire.auth import BELIEVED_SECONDS, Authenticator, Caller, token_digest
from credit_wallet.wire.failure_limit import FailureLimit

REMEMBERED_SESSIONS = 10_000

P = ParamSpec("P")
T = TypeVar("T")


class _Remembered(NamedTuple):
    """A session as it was found at ``since``."""

    since: float
    session: OpenSession


class People:
    """Signs people in and out, and says who asks by the secret of a session. For one event loop."""

    def __init__(self, wallets: CreditWallet, authenticator: Authenticator) -> None:
        self._wallets = wallets
        self._authenticator = authenticator
        self._remembered: FIFOCache[bytes, _Remembered] = FIFOCache(REMEMBERED_SESSIONS)
        self._changes_known = wallets.sessions.changes
        self._limit = FailureLimit()
        self._notes_use = False

    async def sign_in(
        self, token: str, address: str, *, language: Language | None = None, earlier: str | None = None
    ) -> BegunSession:
        """A session of whoever has a token: a wallet's owner, an agent key that may read, an operator who may view.

        ``earlier`` is the secret of the browser's session until now, which ends. Raises ``Unauthorized``,
        ``TooManyFailures``, and ``Forbidden`` for sellers, and for keys and roles that see nothing.
        """
        caller = await self._authenticator.signing_in(token, address)
        _require_something_to_see(caller)
        wallet_id = None if caller.access is None else caller.access.wallet_id
        begin = self._wallets.sessions.begin
        digest = caller.token_sha256 or ""
        begun = await self._write(wallet_id, begin, caller.name, digest, wallet_id, language=language, earlier=earlier)
        self._limit.remember(address, token_digest(begun.secret))
        return begun

    async def enter(
        self, link: str, address: str, *, embedded: bool = False, earlier: str | None = None
    ) -> BegunSession:
        """The session that a link is for, once.

        ``embedded`` says that a frame of another site shows the pages. Raises ``Unauthorized`` and ``TooManyFailures``.
        """
        self._limit.admit(address, token_digest(link))
        lanes, links = self._wallets.reading_lanes, self._wallets.links
        try:
            begun = await lanes.ask_for(0, OWNERS, links.take, link, embedded=embedded, earlier=earlier)
        except Unauthorized:
            await self._count_guess(links.is_known, link, address)
            raise
        self._limit.remember(address, token_digest(begun.secret))
        return begun

    async def wallet_of_link(self, link: str) -> int | None:
        """The wallet that a link opens; None for one that was never there. It is not used up."""
        return await self._wallets.reading_lanes.ask(AUTHENTICATION, self._wallets.links.wallet_of, link)

    async def session(self, secret: str, address: str, *, is_use: bool = True) -> tuple[OpenSession, Caller]:
        """The session of a secret, and who asks in it.

        ``is_use`` is False when nobody has asked, such as for a page that brings itself up to date: unused sessions end
        all the same. Raises ``Unauthorized`` and ``TooManyFailures``.
        """
        digest = token_digest(secret)
        self._limit.admit(address, digest)
        try:
            session = await self._opened(secret, digest)
        except Unauthorized:
            await self._count_guess(self._wallets.sessions.is_known, secret, address)
            raise
        self._limit.remember(address, digest)
        caller, ends_at = await self._caller_of(session)
        if is_use and session.use_is_due:
            await self._note_use(session, digest)
        return (session if ends_at is None else _until(session, ends_at)), caller

    async def rotate(self, secret: str, address: str) -> str | None:
        """Another secret of a session; None when another request was first, whose answer has it.

        The earlier one works for 60 seconds more. Raises ``Unauthorized``.
        """
        session = await self._opened(secret, token_digest(secret))
        new = await self._write(session.wallet_id, self._wallets.sessions.rotate, secret)
        if new is not None:
            self._limit.remember(address, token_digest(new))
        return new

    async def end(self, secret: str) -> None:
        """Sign out. Nothing happens when the session has ended."""
        with suppress(Unauthorized):
            session = await self._opened(secret, token_digest(secret))
            await self._write(session.wallet_id, self._wallets.sessions.end, secret)

    async def end_all(self, secret: str) -> int:
        """Sign out everywhere: end every session of the same owner, agent key or operator; returns how many."""
        session = await self._opened(secret, token_digest(secret))
        return await self._write(session.wallet_id, self._wallets.sessions.end_all, secret)

    async def _count_guess(self, is_known: Callable[[str], bool], secret: str, address: str) -> None:
        """Count what was never a secret; an old cookie or link keeps nobody out. Raises ``TooManyFailures``."""
        if not await self._wallets.reading_lanes.ask(AUTHENTICATION, is_known, secret):
            self._limit.failed(address, token_digest(secret), "unknown")

    async def _caller_of(self, session: OpenSession) -> tuple[Caller, str | None]:
        """Who asks in a session, and when what has opened it ends, if it does."""
        opener = None
        if session.token_sha256 is not None:
            opener = await self._authenticator.still_opened(session.token_sha256)
            if opener is None:
                raise session_over()
        if session.linked_by is None:
            if opener is None or opener.name != session.opened_by or _wallet_of(opener) != session.wallet_id:
                raise session_over()
            return opener, _end_of(opener)
        if (opener is not None and "support" not in opener.permissions) or session.wallet_id is None:
            raise session_over()
        caller = Caller.by_link(session.wallet_id, session.scopes or (), session.linked_by)
        return caller, None if opener is None else _end_of(opener)

    async def _opened(self, secret: str, digest: bytes) -> OpenSession:
        sessions, now = self._wallets.sessions, monotonic()
        if self._changes_known != sessions.changes:
            self._changes_known = sessions.changes
            self._remembered.clear()
        remembered = self._remembered.get(digest)
        if (
            remembered is not None
            and now < remembered.since + BELIEVED_SECONDS
            and not sessions.has_ended(remembered.session)
        ):
            return remembered.session
        known = self._changes_known
        session = await self._wallets.reading_lanes.ask(AUTHENTICATION, sessions.open, secret)
        if known == sessions.changes:  # else it may have ended while it was looked up
            self._remembered[digest] = _Remembered(now, session)
        return session

    async def _note_use(self, session: OpenSession, digest: bytes) -> None:
        """One at a time, so that a database that takes no writes now does not take the threads of those who read."""
        if self._notes_use:
            return
        self._notes_use = True
        try:
            with suppress(RailBusy, DatabaseError, ServiceBusy, ShareExceeded):  # the next request notes it
                await self._write(session.wallet_id, self._wallets.sessions.note_use, session)
                self._remembered.pop(digest, None)
        finally:
            self._notes_use = False

    async def _write(self, wallet_id: int | None, change: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> T:
        lane = OPERATORS if wallet_id is None else OWNERS
        return await self._wallets.reading_lanes.ask_for(wallet_id or 0, lane, change, *args, **kwargs)


def _require_something_to_see(caller: Caller) -> None:
    if caller.seller is not None:
        raise Forbidden("a seller's token opens no pages; sign in with an owner token, an agent key or an operator key")
    if not caller.permissions & {"read", "view"}:
        whose = "agent key" if caller.operator is None else "operator key"
        raise Forbidden(f"this {whose} may not see anything; sign in with one that may")


def _wallet_of(caller: Caller) -> int | None:
    return None if caller.access is None else caller.access.wallet_id


def _end_of(caller: Caller) -> str | None:
    opened = caller.operator or caller.access
    return None if opened is None else opened.ends_at


def _until(session: OpenSession, ends_at: str) -> OpenSession:
    return structs.replace(session, ends_at=min(session.ends_at, ends_at))
