"""Amounts of money: integers of micros (10⁻⁶ yen) inside, whole yen and exact decimals outside.

A name that ends in ``_micros`` is exact; one that ends in ``_yen`` is whole yen. Imports only the standard library, so
that the alert job can run on it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

MICROS = 1_000_000
"""Micros of a yen, as in Google's APIs."""

PLACES = 6
"""Decimal places of an exact amount in yen."""

MAX_AMOUNT_YEN = 10**12
"""Maximum yen of one movement."""

MAX_BALANCE_YEN = 9 * 10**12
"""Maximum yen of a wallet, balance and open holds together: its micros fit into 64 bits."""

MAX_AMOUNT_MICROS = MAX_AMOUNT_YEN * MICROS
MAX_BALANCE_MICROS = MAX_BALANCE_YEN * MICROS

_DECIMAL = re.compile(r"(0|[1-9][0-9]{0,17})(?:\.([0-9]{1,6}))?", re.ASCII)


def is_amount(micros: object) -> bool:
    """Whether ``micros`` is a movement's amount: an ``int`` (no bool), 1 to ``MAX_AMOUNT_MICROS``."""
    return type(micros) is int and 0 < micros <= MAX_AMOUNT_MICROS


def micros_of(value: object) -> int:
    """The micros of yen that were given as an ``int``, a ``Decimal``, or a string like "3.30".

    A string has up to 18 digits before the point and up to six after it, no sign, exponent, blank or separator. Raises
    ``ValueError`` for anything else, a float or a bool among them.
    """
    if type(value) is int:
        return value * MICROS
    if isinstance(value, str):
        return _micros_of_text(value)
    if isinstance(value, Decimal):
        return _micros_of_decimal(value)
    raise ValueError(f"{value!r} is not an exact amount")


def _micros_of_text(text: str) -> int:
    match = _DECIMAL.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is not a decimal number of up to {PLACES} places")
    whole, places = match.groups()
    return int(whole) * MICROS + (int(places.ljust(PLACES, "0")) if places else 0)


def _micros_of_decimal(value: Decimal) -> int:
    """By its digits: arithmetic of ``decimal`` rounds to the precision of the caller's context."""
    sign, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int) or value.adjusted() > 18 or exponent < -40:
        raise ValueError(f"{value!r} is not an exact amount")
    number = int("".join(map(str, digits)))
    scale: int = 10 ** abs(exponent + PLACES)
    micros, beyond = (number * scale, 0) if exponent >= -PLACES else divmod(number, scale)
    if beyond:
        raise ValueError(f"{value} has more than {PLACES} decimal places")
    return -micros if sign else micros


def decimal_of(micros: int) -> Decimal:
    """The exact yen, without trailing zeros."""
    return Decimal(decimal_text(micros)) if micros % MICROS else Decimal(micros // MICROS)


def decimal_text(micros: int) -> str:
    """The exact yen as a decimal string without trailing zeros: "3.3", "-0.000001", "10000"."""
    whole, fraction = divmod(abs(micros), MICROS)
    sign = "-" if micros < 0 else ""
    return f"{sign}{whole}.{fraction:06d}".rstrip("0") if fraction else f"{sign}{whole}"


def whole_yen(micros: int) -> int:
    """Whole yen, rounded down."""
    return micros // MICROS


def whole_yen_up(micros: int) -> int:
    """Whole yen, rounded up: what suffices to pay it."""
    return -(-micros // MICROS)


def both(**micros: int) -> dict[str, Any]:
    """Each amount twice, as events and error details say it: ``both(balance=3_300_000)`` is
    ``{"balance_yen": 3, "balance": "3.3"}``.
    """
    return _said_twice(micros, whole_yen)


def both_up(**micros: int) -> dict[str, Any]:
    """Like ``both``, for what has to be paid: its whole yen are rounded up."""
    return _said_twice(micros, whole_yen_up)


def _said_twice(micros: Mapping[str, int], whole: Callable[[int], int]) -> dict[str, Any]:
    said: dict[str, Any] = {}
    for name, amount_micros in micros.items():
        said[f"{name}_yen"] = whole(amount_micros)
        said[name] = decimal_text(amount_micros)
    return said


def format_yen(amount_yen: int) -> str:
    """Whole yen for people: ``-1234`` as ``-¥1,234``."""
    return format_micros(amount_yen * MICROS)


def format_micros(micros: int) -> str:
    """An exact amount for people: ``-1_234_500_000`` as ``-¥1,234.5``."""
    whole, fraction = divmod(abs(micros), MICROS)
    sign = "-" if micros < 0 else ""
    places = f".{fraction:06d}".rstrip("0") if fraction else ""
    return f"{sign}¥{whole:,}{places}"


class WholeYen:
    """``balance_yen = WholeYen()`` in a class with the field ``balance_micros``: its whole yen, rounded down."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._field = f"{name.removesuffix('_yen')}_micros"

    def __get__(self, view: object, owner: type) -> int:
        if view is None:
            return self  # type: ignore[return-value]  # on the class: the descriptor itself, for documentation
        micros: int | None = getattr(view, self._field)
        return None if micros is None else micros // MICROS  # type: ignore[return-value]  # None where the field is


class WholeYenUp(WholeYen):
    """Like ``WholeYen``, rounded up: for what has to be paid."""

    def __get__(self, view: object, owner: type) -> int:
        if view is None:
            return self  # type: ignore[return-value]
        micros: int | None = getattr(view, self._field)
        return None if micros is None else whole_yen_up(micros)  # type: ignore[return-value]


class Exact:
    """``balance = Exact()`` in a class with the field ``balance_micros``: the exact yen."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._field = f"{name}_micros"

    def __get__(self, view: object, owner: type) -> Decimal:
        if view is None:
            return self  # type: ignore[return-value]
        micros: int | None = getattr(view, self._field)
        return None if micros is None else decimal_of(micros)  # type: ignore[return-value]


class ExactOfUnit(Exact):
    """Like ``Exact``, of an amount whose unit another field says: it has no whole yen, as it may be of calls."""
