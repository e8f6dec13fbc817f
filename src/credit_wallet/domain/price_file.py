"""The price file: TOML with a table ``[[price]]`` for each price of the book.

Everything that is wrong with a file is reported at once, each with its price's number and its field.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime, time
from functools import partial
from typing import Any, TypeAlias

from credit_wallet.domain.cycle import FIRST_YEAR, LAST_YEAR, format_instant
from credit_wallet.domain.money import MAX_AMOUNT_YEN, MICROS, PLACES, micros_of
from credit_wallet.domain.prices import EVERYBODY, GROUP, MAX_PER, MAX_PRICES, MAX_TIERS, Name, Price, Tier
from credit_wallet.domain.usage import ITEM, MAX_ITEM_LENGTH, MAX_QUANTITY
from credit_wallet.errors import InvalidRequest

MAX_BYTES = 4 * 1024 * 1024
"""Size of a price file."""

MAX_PROBLEMS = 20
"""Problems of a file that are reported at once."""

_FIELDS = ("item", "unit_price_yen", "per", "valid_from", "wallet_id", "wallet_reference", "group", "tiers")
_TIER_FIELDS = ("up_to", "unit_price_yen")
_WHOSE = ("wallet_id", "wallet_reference", "group")

WalletOf: TypeAlias = Callable[[str], int | None]
"""The id of the wallet that has a reference, None when there is no such wallet."""

_AMOUNT = f'a decimal number of yen in quotes with up to {PLACES} places, such as "3.30", or a whole number'
_QUANTITY = f'a whole number above 0, or a decimal number in quotes with up to {PLACES} places, such as "0.5"'


class Inexact(str):
    """A number with a fraction, as the file writes it: a float would not be exact."""

    __slots__ = ()


class _Problem(ValueError):
    """What is wrong with a field of a price."""


def no_wallets(_reference: str) -> None:
    """No wallet has a reference."""


def parse_prices(text: str, wallet_of: WalletOf = no_wallets) -> tuple[Price, ...]:
    """The prices of a file, in its order. Raises ``InvalidRequest`` that names every field that is wrong."""
    content = tables_of(text, ("price",), "a price file", "prices")
    prices, problems = prices_of(content["price"], wallet_of)
    if problems:
        raise refused(problems, "prices")
    return prices


def prices_of(tables: list[Any], wallet_of: WalletOf) -> tuple[tuple[Price, ...], list[str]]:
    """The prices of the tables ``[[price]]`` of a file, in its order, and everything that is wrong with them."""
    if len(tables) > MAX_PRICES:
        return (), [f"a price file has at most {MAX_PRICES:,} prices, not {len(tables):,}"]
    prices, problems = [], []
    numbers: dict[Name, int] = {}
    for number, table in enumerate(tables, 1):
        found = [] if isinstance(table, Mapping) else ["price must be a table: [[price]]"]
        fields: dict[str, Any] = {} if found else _fields(table, wallet_of, found)
        problems += [f"price {number}: {problem}" for problem in found]
        if not found:
            price = Price(**fields)
            if (first := numbers.setdefault(price.name, number)) != number:
                problems.append(
                    f"price {number}: it has the item, wallet_id, group and valid_from of price {first}; remove one"
                )
            prices.append(price)
    return tuple(prices), problems


def tables_of(text: str, names: tuple[str, ...], what: str, field: str) -> dict[str, list[Any]]:
    """The lists of tables of ``what``, a TOML file that has no others than ``names``; numbers with a fraction are
    ``Inexact``. Raises ``InvalidRequest`` naming ``field``.
    """
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise refused([f"{what} has at most {MAX_BYTES:,} bytes"], field)
    try:
        content = tomllib.loads(text, parse_float=Inexact)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise refused([f"the file is not TOML: {error}"], field) from None
    known = " and ".join(f"[[{name}]]" for name in names)
    if unknown := sorted(content.keys() - {*names}):
        raise refused([f"{name} does not belong in {what}; its tables are {known}" for name in unknown], field)
    tables = {name: content.get(name, []) for name in names}
    for name, found in tables.items():
        if not isinstance(found, list):
            raise refused([f"{name} must be a list of tables: write [[{name}]], with two brackets"], field)
    return tables


def refused(problems: list[str], field: str) -> InvalidRequest:
    """The refusal of a file with ``problems``."""
    shown = problems[:MAX_PROBLEMS]
    more = f"; and {len(problems) - len(shown)} more" if len(problems) > len(shown) else ""
    return InvalidRequest("; ".join(shown) + more, field=field, problems=shown)


def _fields(table: Mapping[str, Any], wallet_of: WalletOf, problems: list[str]) -> dict[str, Any]:
    """The fields of a ``Price``; what is wrong is added to ``problems``."""
    problems += _unknown(table, _FIELDS)
    if len(whose := [name for name in _WHOSE if name in table]) > 1:
        problems.append(f"{' and '.join(whose)} exclude each other; write a price for each")
    if ("unit_price_yen" in table) == ("tiers" in table):
        problems.append("it must have either unit_price_yen or tiers")
    readers: dict[str, Callable[[object], Any]] = {
        "item": _item,
        "wallet_id": _wallet_id,
        "wallet_reference": partial(_wallet_of_reference, wallet_of),
        "group": _group,
        "valid_from": _valid_from,
        "per": _per,
        "unit_price_yen": _unit_price,
        "tiers": _tiers,
    }
    fields: dict[str, Any] = {"wallet_id": EVERYBODY, "group": "", "valid_from": "", "per": 1, "unit_price_micros": 0}
    for name, read in readers.items():
        if name in table or name == "item":
            try:
                fields[_NAMED.get(name, name)] = read(table.get(name))
            except _Problem as problem:
                problems.append(str(problem))
    return fields


_NAMED = {"unit_price_yen": "unit_price_micros", "wallet_reference": "wallet_id"}
"""Fields of a price that a file calls otherwise."""


def _unknown(table: Mapping[str, Any], known: tuple[str, ...]) -> Iterator[str]:
    for name in table:
        if name not in known:
            yield f"{name} is not a field; the fields are {', '.join(known)}"


def _item(value: object) -> str:
    if isinstance(value, str) and len(value) <= MAX_ITEM_LENGTH and ITEM.fullmatch(value):
        return value
    if value is None:
        raise _Problem("item is missing")
    raise _Problem(
        f'item must be a name of up to {MAX_ITEM_LENGTH} lower-case letters, digits, "_" and ".", such as '
        f'"tokens.input", not {_shown(value)}'
    )


def _wallet_id(value: object) -> int:
    if type(value) is int and 0 < value < 2**63:
        return value
    raise _Problem(f"wallet_id must be the number of a wallet, not {_shown(value)}")


def _wallet_of_reference(wallet_of: WalletOf, value: object) -> int:
    wallet_id = wallet_of(value) if isinstance(value, str) else None
    if wallet_id is None:
        raise _Problem(f"wallet_reference must be the reference of a wallet, not {_shown(value)}")
    return wallet_id


def _group(value: object) -> str:
    if isinstance(value, str) and GROUP.fullmatch(value):
        return value
    raise _Problem(
        f'group must be a name of up to 32 lower-case letters, digits and "_", such as "partners", not {_shown(value)}'
    )


def _per(value: object) -> int:
    if type(value) is int and 0 < value <= MAX_PER:
        return value
    raise _Problem(f"per must be a whole number from 1 to {MAX_PER}, not {_shown(value)}")


def _unit_price(value: object) -> int:
    micros = _exact("unit_price_yen", value)
    if micros is None or not 0 <= micros <= MAX_AMOUNT_YEN * MICROS:
        raise _Problem(f"unit_price_yen must be {_AMOUNT}, from 0 to {MAX_AMOUNT_YEN}, not {_shown(value)}")
    return micros


def _exact(field: str, value: object) -> int | None:
    """The micros of a number; None for what is not an exact number, in quotes or not."""
    try:
        micros = micros_of(str(value) if isinstance(value, Inexact) else value)
    except ValueError:
        return None
    if isinstance(value, Inexact):
        raise _Problem(f'{field} must be exact: quote it, {field} = "{value}"')
    return micros


def _valid_from(value: object) -> str:
    example = "such as 2026-12-01T00:00:00+09:00"
    moment = value
    if isinstance(value, str) and not isinstance(value, Inexact):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            moment = None
    if not isinstance(moment, datetime):
        raise _Problem(f"valid_from must be a date and time with an offset, {example}, not {_shown(value)}")
    if moment.utcoffset() is None:
        raise _Problem(f"valid_from must have an offset from UTC, {example}, not {_shown(value)}")
    if not FIRST_YEAR < moment.year < LAST_YEAR:
        raise _Problem(f"valid_from must be in the years {FIRST_YEAR + 1} to {LAST_YEAR - 1}, not {_shown(value)}")
    if moment.microsecond % 1000:
        raise _Problem(f"valid_from must be in whole milliseconds, not {_shown(value)}")
    return format_instant(moment)


def _tiers(value: object) -> tuple[Tier, ...]:
    if not isinstance(value, list) or not 0 < len(value) <= MAX_TIERS or not all(isinstance(e, dict) for e in value):
        raise _Problem(
            f'tiers must be a list of 1 to {MAX_TIERS} tiers, such as [{{up_to = 1000, unit_price_yen = "0"}}, '
            '{unit_price_yen = "0.2"}]'
        )
    tiers: list[Tier] = []
    for number, table in enumerate(value, 1):
        try:
            tiers.append(_tier(table, is_last=number == len(value)))
        except _Problem as problem:
            raise _Problem(f"tier {number}: {problem}") from None
        if len(tiers) > 1 and not _rises(tiers[-2].up_to_micros, tiers[-1].up_to_micros):
            raise _Problem(f"tier {number}: up_to must be above that of the tier before")
    return tuple(tiers)


def _tier(table: Mapping[str, Any], *, is_last: bool) -> Tier:
    for problem in _unknown(table, _TIER_FIELDS):
        raise _Problem(problem)
    if "unit_price_yen" not in table:
        raise _Problem("unit_price_yen is missing")
    price_micros = _unit_price(table["unit_price_yen"])
    if ("up_to" in table) is is_last:
        raise _Problem("the last tier must be without up_to" if is_last else "up_to is missing; only the last has none")
    return Tier(None if is_last else _up_to(table["up_to"]), price_micros)


def _up_to(value: object) -> int:
    micros = _exact("up_to", value)
    if micros is None or not 0 < micros <= MAX_QUANTITY * MICROS:
        raise _Problem(f"up_to must be {_QUANTITY}, up to {MAX_QUANTITY}, not {_shown(value)}")
    return micros


def _rises(before: int | None, after: int | None) -> bool:
    return before is not None and (after is None or after > before)


def _shown(value: object) -> str:
    """A value as the message shows it: as the file writes it, but not all of a long one."""
    if isinstance(value, bool):
        return str(value).lower()
    shown = str(value) if isinstance(value, Inexact | date | time) else repr(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
