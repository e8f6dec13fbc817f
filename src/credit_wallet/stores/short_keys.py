"""How idempotency keys stand in their table: a UUID at a key's end takes 23 characters instead of 36.

These are a byte that no caller's key has and the UUID's 16 bytes in base 64, in digits that sort as the bytes do. So
keys made one after the other still land on the same pages, in both databases. Only UUIDs as RFC 9562 writes them, in
small letters, are shortened; others are other keys. From before migration 305 there may be UUIDs in full.
"""

from __future__ import annotations

from binascii import a2b_base64, b2a_base64, unhexlify
from uuid import UUID

_MARK = b"\x04"
_UUID_LENGTH = 36
_DIGITS_LENGTH = 22

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_DIGITS = bytes(sorted(b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz-"))
_TO_DIGITS = bytes.maketrans(_BASE64, _DIGITS)
_FROM_DIGITS = bytes.maketrans(_DIGITS, _BASE64)
_ONLY_HEX = bytes(byte if byte in b"0123456789abcdef" else ord("x") for byte in range(256))

HAS_LONG_KEYS = "SELECT 1 FROM am_credit_counted WHERE counted > 'long_keys ' AND counted < 'long_keys!'"
"""Selects a row while there may be keys from before migration 305."""

DROP_LONG_KEYS = "DELETE FROM am_credit_counted WHERE counted > 'long_keys ' AND counted < 'long_keys ' || :before"
"""When all keys that were first used before the day ``before`` are gone."""


def short_forms(keys: list[str]) -> list[str]:
    """``keys`` as the table has them. All at once takes a quarter of the time of one by one."""
    ends = keys if set(map(len, keys)) == {_UUID_LENGTH} else [key[-_UUID_LENGTH:] for key in keys]
    if uuids := _uuids(ends):
        digits = bytearray(b2a_base64(uuids, newline=False).translate(_TO_DIGITS))
        digits[22::24] = b"\n" * len(keys)
        digits[23::24] = _MARK * len(keys)
        short = (_MARK + digits[:-2]).decode().split("\n")
        return short if ends is keys else [key[:-_UUID_LENGTH] + end for key, end in zip(keys, short, strict=True)]
    likely = [key for key in keys if key[-28:-12:5] == "----"]
    if len(likely) < len(keys):
        forms = dict(zip(likely, short_forms(likely), strict=True)) if likely else {}
        return [forms.get(key, key) for key in keys]
    middle = len(keys) // 2
    return short_forms(keys[:middle]) + short_forms(keys[middle:]) if middle else keys


def restored(column: str) -> str:
    """The key that the table has as ``column``."""
    if column[-_DIGITS_LENGTH - 1 : -_DIGITS_LENGTH] != _MARK.decode():
        return column
    uuid = a2b_base64(column[-_DIGITS_LENGTH:].encode().translate(_FROM_DIGITS) + b"==")
    return f"{column[: -_DIGITS_LENGTH - 1]}{UUID(bytes=uuid)}"


def _uuids(ends: list[str]) -> bytes:
    """The 16 bytes of each UUID, with two between them, which makes 24 digits a key; none if one is not a UUID."""
    text = "0000".join(ends)
    dashes = "-" * len(ends)
    if not (len(text) + 4 == 40 * len(ends) and text[8::40] == text[13::40] == text[18::40] == text[23::40] == dashes):
        return b""
    in_hex = text.encode().translate(_ONLY_HEX, b"-")
    try:
        return unhexlify(in_hex) if len(in_hex) + 4 == 36 * len(ends) else b""
    except ValueError:
        return b""
