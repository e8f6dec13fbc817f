"""Bearer tokens: ``cw_live_<43 base62><6 checksum>``.

The 43 digits carry 256 random bits; the checksum (CRC-32 of what stands before it, in base62) lets a typing error or a
scanner's false alarm be told without a database. Only a token's SHA-256 is stored.
"""

from __future__ import annotations

import secrets
from hashlib import sha256
from zlib import crc32

PREFIX = "cw_live_"
OPERATOR_PREFIX = "cw_operator_"

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BODY_LENGTH = 43
_CHECKSUM_LENGTH = 6


def new_token() -> str:
    """A fresh token; show it once and store ``token_hash`` of it."""
    body = PREFIX + _base62(secrets.randbits(256), _BODY_LENGTH)
    return body + _checksum(body)


def new_operator_key() -> str:
    """A fresh operator key; kept by the operator, never in the database."""
    return OPERATOR_PREFIX + _base62(secrets.randbits(256), _BODY_LENGTH)


def is_token(text: str) -> bool:
    """Whether ``text`` has a token's form and checksum."""
    body, checksum = text[:-_CHECKSUM_LENGTH], text[-_CHECKSUM_LENGTH:]
    return (
        text.startswith(PREFIX)
        and len(body) == len(PREFIX) + _BODY_LENGTH
        and text.isascii()
        and text[len(PREFIX) :].isalnum()
        and secrets.compare_digest(_checksum(body), checksum)
    )


def token_hash(token: str) -> str:
    """SHA-256 of a token, 64 hex digits: what the database knows of it."""
    return sha256(token.encode()).hexdigest()


def _checksum(body: str) -> str:
    return _base62(crc32(body.encode()), _CHECKSUM_LENGTH)


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))
