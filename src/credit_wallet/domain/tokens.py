"""Bearer tokens: ``cw_live_<43 base62><6 checksum>`` of wallets, ``cw_seller_…`` of sellers, ``cw_operator_…``.

Secrets of sessions and links look the same (``cw_session_…``, ``cw_link_…``), but no call takes them as tokens.

The 43 digits carry 256 random bits; the checksum (CRC-32 of what stands before it, in base62) lets a typing error or a
scanner's false alarm be recognised without a database. Only a token's SHA-256 is stored, with its first characters for
people to recognise it by; a token is looked up by the hash whatever its form: hosts have keys of their own.
"""

from __future__ import annotations

import secrets
from hashlib import sha256
from typing import NamedTuple, Self
from zlib import crc32

PREFIX = "cw_live_"
SELLER_PREFIX = "cw_seller_"
OPERATOR_PREFIX = "cw_operator_"
SESSION_PREFIX = "cw_session_"
LINK_PREFIX = "cw_link_"

SHOWN_LENGTH = 12
"""Characters of a token that are stored and shown: ``cw_live_`` and four of its 43 random digits."""

_PREFIXES = (PREFIX, SELLER_PREFIX, OPERATOR_PREFIX)

MAX_TOKEN_LENGTH = 512
"""Maximum length of a token that is looked up."""

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY_LENGTH = 43
_CHECKSUM_LENGTH = 6
_SHOWN_DIGITS = 4


class NewToken(NamedTuple):
    """What the database stores of a token: its hash, and the beginning by which people recognise it."""

    hash: str
    prefix: str

    @classmethod
    def of(cls, token: str) -> Self:
        """Of a fresh token."""
        return cls(token_hash(token), token[:SHOWN_LENGTH])


def new_token() -> str:
    """A fresh token of a wallet; show it once and store ``token_hash`` of it."""
    return _new(PREFIX)


def new_seller_token() -> str:
    """A fresh token of a seller; likewise."""
    return _new(SELLER_PREFIX)


def new_operator_key() -> str:
    """A fresh operator key; likewise, unless the environment keeps it."""
    return _new(OPERATOR_PREFIX)


def new_session_secret() -> str:
    """A fresh secret of a session; likewise."""
    return _new(SESSION_PREFIX)


def new_link_secret() -> str:
    """A fresh secret of a link; likewise."""
    return _new(LINK_PREFIX)


def is_token(text: str, prefix: str = PREFIX) -> bool:
    """Whether ``text`` has the form and checksum of a token of ours that begins with ``prefix``."""
    body, checksum = text[:-_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    return (
        text.startswith(prefix)
        and len(body) == len(prefix) + _BODY_LENGTH
        and text.isascii()
        and text[len(prefix) :].isalnum()
        and secrets.compare_digest(_checksum(body), checksum)
    )


def is_mistyped(text: str) -> bool:
    """Whether ``text`` looks like a token of ours but is malformed."""
    return any(text.startswith(prefix) and not is_token(text, prefix) for prefix in _PREFIXES)


def shown_prefix(token: str) -> str:
    """The beginning of a token of ours, by which people tell it from others; it opens nothing."""
    return token[: token.rindex("_") + 1 + _SHOWN_DIGITS]


def token_hash(token: str) -> str:
    """SHA-256 of a token in UTF-8, 64 hex digits: all that the database stores of it.

    Bytes that were not UTF-8 are hashed as they came (``surrogateescape``). Raises ``UnicodeEncodeError`` for other
    halves of characters.
    """
    return sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def looked_up(token: str) -> str | None:
    """The hash by which ``token`` is looked up; None when it is not a text of 1 to ``MAX_TOKEN_LENGTH`` characters."""
    if not 0 < len(token) <= MAX_TOKEN_LENGTH:
        return None
    try:
        return token_hash(token)
    except UnicodeEncodeError:
        return None


def _new(prefix: str) -> str:
    body = prefix + _base62(secrets.randbits(256), _BODY_LENGTH)
    return body + _checksum(body)


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
