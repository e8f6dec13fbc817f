"""Cookies of the pages: the session, one apart for frames, and how a person likes pages to look."""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from credit_wallet.domain import links
from credit_wallet.wire.asgi import RawHeaders

FRAMED: Final = links.FRAMED
"""Below which pages may be shown in a frame: with a session of their own, which no other page reads."""

Taste: TypeAlias = Literal["language", "theme", "zone"]
"""What a person likes: it says nothing about who they are."""

_YEAR_SECONDS = 365 * 86_400


class Cookies:
    """Reads and writes cookies for a service that people reach over ``https`` or not."""

    def __init__(self, *, https: bool) -> None:
        self._https = https
        self._session = "__Host-cw_session" if https else "cw_session"
        self._visit = "__Host-cw_visit" if https else "cw_visit"
        self._frame = "__Host-cw_frame" if https else "cw_frame"

    def session(self, cookies: dict[str, str], *, in_frame: bool) -> str | None:
        """The secret of the session."""
        return cookies.get(self._frame if in_frame else self._session)

    def set_session(self, secret: str, *, in_frame: bool) -> str:
        """The header that sets a session. The browser drops it with its window."""
        if in_frame:  # shown inside another site, where only such a cookie is sent, and kept apart for each site
            return f"{self._frame}={secret}; Path=/; HttpOnly; Secure; SameSite=None; Partitioned"
        return f"{self._session}={secret}; Path=/; HttpOnly; SameSite=Lax{self._secure}"

    def end_session(self, *, in_frame: bool) -> str:
        """The header that takes it back."""
        return f"{self.set_session('', in_frame=in_frame)}; Max-Age=0"

    def visitor(self, cookies: dict[str, str]) -> str | None:
        """What ties a form to the browser that asked for it before anybody has signed in."""
        return cookies.get(self._visit)

    def set_visitor(self, secret: str) -> str:
        """The header that sets it."""
        return f"{self._visit}={secret}; Path=/; HttpOnly; SameSite=Strict{self._secure}"

    def set_taste(self, name: Taste, value: str) -> str:
        """The header that remembers what a person likes."""
        return f"cw_{name}={value}; Path=/; Max-Age={_YEAR_SECONDS}; HttpOnly; SameSite=Lax{self._secure}"

    @property
    def _secure(self) -> str:
        return "; Secure" if self._https else ""


def cookies_of(headers: RawHeaders) -> dict[str, str]:
    """The cookies of a request. A name that comes twice counts as not sent: somebody may have planted the other."""
    found: dict[str, str] = {}
    twice: set[str] = set()
    for name, value in headers:
        if name == b"cookie":
            for part in value.decode("latin-1").split(";"):
                key, _, held = part.strip().partition("=")
                if key in found:
                    twice.add(key)
                found[key] = held
    return {key: held for key, held in found.items() if key not in twice}
