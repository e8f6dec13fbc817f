"""Idempotency keys for callers that have no name of their own for a request."""

from __future__ import annotations

from os import urandom
from time import time_ns

_NS_A_MS = 1_000_000
_VERSION = 0x7000
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}


def new_idempotency_key() -> str:
    """A fresh UUIDv7 as text (RFC 9562, section 5.7), 36 characters.

    Keys grow with the clock, a quarter of a microsecond at a time (section 6.2, method 3), so that keys made one after
    the other land on the same pages of the database. Below that order 62 random bits tell them apart; nothing is shared
    between threads or processes.
    """
    now_ns = time_ns()
    milliseconds = now_ns // _NS_A_MS
    fraction = (now_ns - milliseconds * _NS_A_MS << 12) // _NS_A_MS
    time = f"{milliseconds << 16 | _VERSION | fraction:016x}"
    rest = urandom(8).hex()
    return f"{time[:8]}-{time[8:12]}-{time[12:]}-{_VARIANT[rest[0]]}{rest[1:4]}-{rest[4:]}"
