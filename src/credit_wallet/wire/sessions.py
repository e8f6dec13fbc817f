"""Sessions of people (stand-in, in memory)."""

from __future__ import annotations

import secrets
from typing import Any, NamedTuple

from credit_wallet.errors import Unauthorized
from credit_wallet.wire.auth import Authenticator, Caller


class OpenSession(NamedTuple):
    session_id: int
    csrf: str
    in_frame: bool = False
    language: str | None = None
    rotate_due: bool = False
    ends_at: str = ""
    by_link: bool = False
    path: str = ""


class Begun(NamedTuple):
    secret: str
    session: OpenSession


class Sessions:
    def __init__(self, wallets: Any, authenticator: Authenticator) -> None:
        self._authenticator = authenticator
        self._open: dict[str, tuple[OpenSession, str]] = {}

    async def sign_in(self, token: str, address: str) -> Begun:
        await self._authenticator.caller(f"Bearer {token}", None, address)
        secret = secrets.token_urlsafe(32)
        session = OpenSession(len(self._open) + 1, secrets.token_urlsafe(32))
        self._open[secret] = session, token
        return Begun(secret, session)

    async def enter(self, link: str, address: str, *, in_frame: bool) -> Begun:
        raise Unauthorized("no such link")

    async def open(self, secret: str) -> tuple[OpenSession, Caller]:
        if secret not in self._open:
            raise Unauthorized("the session has ended")
        session, token = self._open[secret]
        return session, await self._authenticator.caller(f"Bearer {token}", None, "")

    async def rotate(self, secret: str) -> str:
        return secret

    async def end(self, secret: str) -> None:
        self._open.pop(secret, None)
