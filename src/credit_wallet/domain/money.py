"""Yen: integers only, bounded, and printed one way."""

from __future__ import annotations

MAX_AMOUNT_YEN = 10**12
"""Maximum yen of one movement."""

MAX_BALANCE_YEN = 10**15
"""Maximum yen of a wallet, balance and open holds together."""


def is_amount(value: object) -> bool:
    """Whether ``value`` is a movement's amount: an ``int`` (no bool, no float), 1 to ``MAX_AMOUNT_YEN``."""
    return type(value) is int and 0 < value <= MAX_AMOUNT_YEN


def format_yen(amount_yen: int) -> str:
    """``-1234`` as ``-¥1,234``."""
    sign = "-" if amount_yen < 0 else ""
    return f"{sign}¥{abs(amount_yen):,}"
