"""One setting from outside: an environment variable, what it means, and how its text is read."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from math import isfinite
from typing import Generic, TypeVar
from urllib.parse import urlsplit

from credit_wallet.errors import InvalidRequest

T_co = TypeVar("T_co", covariant=True)
D_co = TypeVar("D_co", covariant=True)

_HOST = re.compile(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


class Setting(Generic[T_co, D_co]):
    """An environment variable: what it means, what it may be, and what holds without it.

    ``parse`` makes a value of its text, or raises ``ValueError``. An empty variable is like none, unless
    ``empty_counts``.
    """

    def __init__(
        self,
        name: str,
        meaning: str,
        *,
        allowed: str,
        parse: Callable[[str], T_co],
        default: D_co,
        default_text: str,
        secret: bool = False,
        empty_counts: bool = False,
    ) -> None:
        self.name = name
        self.meaning = meaning
        self.allowed = allowed
        self.default = default
        self.default_text = default_text
        self.secret = secret
        self._parse = parse
        self._empty_counts = empty_counts

    def read(self, environment: Mapping[str, str] | None = None) -> T_co | D_co:
        """Its value. Raises ``InvalidRequest`` with the variable, its text if not secret, and what is allowed."""
        text = (os.environ if environment is None else environment).get(self.name)
        if text is None or not (text or self._empty_counts):
            return self.default
        try:
            return self._parse(text)
        except ValueError:
            raise self.refused(text) from None

    def row(self) -> str:
        """Its row in the tables of ``docs/reference/settings.md``."""
        return f"| `{self.name}` | {self.meaning} | {self.allowed} | {self.default_text} |"

    def refused(self, text: str) -> InvalidRequest:
        """The refusal of ``text``."""
        shown = "" if self.secret else f", not {text!r}"
        return InvalidRequest(f"{self.name} must be {self.allowed}{shown}", field=self.name)


def text_of(text: str) -> str:
    """Any text, as it is."""
    return text


def switch(text: str) -> bool:
    """``on`` or ``off``. Raises ``ValueError`` for others."""
    if text not in ("on", "off"):
        raise ValueError
    return text == "on"


def one_of(*allowed: str) -> Callable[[str], str]:
    """One of some texts. The parser raises ``ValueError`` for others."""

    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError
        return text

    return parse


def share(text: str) -> float:
    """A share of a whole, 0 to 1. Raises ``ValueError`` for others."""
    found = float(text)
    if not 0 <= found <= 1:
        raise ValueError
    return found


def words(text: str) -> tuple[str, ...]:
    """A list between commas; empty parts are left out."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def whole(low: int, high: int) -> Callable[[str], int]:
    """A whole number in plain digits, both bounds included. The parser raises ``ValueError`` for others."""

    def parse(text: str) -> int:
        if not _WHOLE_NUMBER.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return parse


def seconds(low: float, high: float) -> Callable[[str], float | None]:
    """Seconds, both bounds included; none for an empty text. The parser raises ``ValueError`` for others."""

    def parse(text: str) -> float | None:
        if not text.strip():
            return None
        found = float(text)
        if not (isfinite(found) and low <= found <= high):
            raise ValueError
        return found

    return parse


def mail_server(text: str) -> str:
    """The URL of a mail server. Raises ``ValueError`` for others."""
    if not text.startswith(("mailto://", "mailtos://")):
        raise ValueError
    return text


def origin(text: str) -> str:
    """The origin of a site, as a browser writes it: ``https://example.com:8443``. Raises ``ValueError`` for others."""
    parts = urlsplit(text.strip())
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.path.strip("/"):
        raise ValueError
    if parts.username or parts.password or parts.query or parts.fragment or not _HOST.fullmatch(parts.netloc):
        raise ValueError
    _ = parts.port  # raises for a number beyond those of ports
    return f"{parts.scheme}://{parts.netloc.lower()}"


def origins(text: str) -> tuple[str, ...]:
    """A list of origins between commas. Raises ``ValueError`` for others."""
    return tuple(origin(word) for word in words(text))
