"""Checks of budgets as callers ask for them. Runs in the caller, before anything is queued or locked.

Every check raises ``InvalidRequest`` that names the field and says what it should be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Literal, NamedTuple, TypeAlias, TypeVar, cast, get_args

from msgspec import UNSET, UnsetType

from credit_wallet.domain.budget_settings import BudgetSettings, NewBudget
from credit_wallet.domain.budgets import (
    CALL,
    MAX_LIMIT,
    MAX_SHARE_PCT,
    MAX_SHARES,
    Mode,
    Unit,
)
from credit_wallet.domain.money import MICROS, PLACES, micros_of
from credit_wallet.domain.windows import FIXED_WINDOWS, WEEK_STARTS, is_window
from credit_wallet.errors import InvalidRequest
from credit_wallet.rules.budget_scopes import checked_scope, cut
from credit_wallet.rules.validation import MAX_ID, check_time_zone, malformed_text

T = TypeVar("T")

Limit: TypeAlias = int | Decimal | str
"""Yen of a limit as callers give them."""

Kind: TypeAlias = Literal["budget", "monthly", "key"]
"""What an id names: a budget, a wallet's monthly budget, or an agent key's cap."""

_MONTHLY_MODES = ("alert", "cap")
_MAKE_ANOTHER = "a budget with window month can have it"
_ELSEWHERE = {
    "label": "it is labelled as the wallet or the agent key is (wallets.configure, wallets.keys.configure)",
    "shares_pct": "the wallet has alert_thresholds_pct for it (wallets.configure), a key's cap tells at 80 and 100 %",
}
"""Where the settings of monthly budgets and caps are changed that are not their limits."""

_ID = re.compile(r"(budget|monthly|key)-([1-9][0-9]{0,18})", re.ASCII)


class BudgetName(NamedTuple):
    """What a ``budget_id`` names, with the number of the budget, the wallet or the key."""

    kind: Kind
    number: int


class Raise(NamedTuple):
    """A limit that counts until an instant, or None for both."""

    micros: int | None
    until: str | None


Ends: TypeAlias = Callable[[str, str | None], str | None]
"""Checks an instant in the future, given its field."""


def checked_budget_id(value: object) -> BudgetName:
    """What ``budget-12``, ``monthly-7`` or ``key-3`` names."""
    match = _ID.fullmatch(value) if isinstance(value, str) else None
    if match is None or int(match[2]) > MAX_ID:
        raise InvalidRequest(
            f"budget_id must be as in the list of budgets, such as budget-12, monthly-7 or key-3, not {cut(value)}",
            field="budget_id",
        )
    return BudgetName(cast(Kind, match[1]), int(match[2]))


def checked_budget(
    wallet_id: int,
    *,
    limit_yen: Limit | None,
    limit_calls: int | None,
    window: str,
    scope: Mapping[str, str | int] | None,
    mode: str,
    label: str | None,
    shares_pct: Sequence[int],
    time_zone: str | None,
    week_start: str,
    raised: tuple[Limit | None, int | None, str | None],
    ends: Ends,
) -> NewBudget:
    """A budget to make. ``raised`` is a limit in yen, one in calls, and until when; two are None, or all."""
    if (limit_yen is None) == (limit_calls is None):
        raise InvalidRequest(
            "send either limit_yen or limit_calls: a budget counts yen, or calls",
            field="limit_yen" if limit_calls is None else "limit_calls",
        )
    unit: Unit = "calls" if limit_yen is None else "yen"
    limit_micros = (
        checked_yen("limit_yen", limit_yen) if limit_calls is None else checked_calls("limit_calls", limit_calls)
    )
    if time_zone is not None:
        check_time_zone(time_zone)
    until = None if raised[2] is None else ends("raised_until", raised[2])
    raise_ = checked_raise(unit, raised[0], raised[1], until)
    return NewBudget(
        wallet_id,
        checked_label(label),
        unit,
        limit_micros,
        checked_window(window),
        checked_scope(scope),
        checked_mode(mode),
        checked_shares(shares_pct),
        time_zone,
        checked_week_start(week_start),
        raise_.micros,
        raise_.until,
    )


def checked_settings(
    budget_id: str,
    unit: Unit,
    *,
    limit_yen: Limit | UnsetType,
    limit_calls: int | UnsetType,
    label: str | UnsetType | None,
    mode: str | UnsetType,
    shares_pct: Sequence[int] | UnsetType,
    raised: tuple[Limit | UnsetType | None, int | UnsetType | None, str | UnsetType | None],
    known_raise: Raise,
    ends: Ends,
) -> BudgetSettings:
    """Changes to a budget that counts ``unit`` and has ``known_raise`` now."""
    given = {"yen": limit_yen, "calls": limit_calls}
    _check_unit(budget_id, unit, UNSET, limit_yen=limit_yen, limit_calls=limit_calls)
    _check_unit(budget_id, unit, None, raised_limit_yen=raised[0], raised_limit_calls=raised[1])
    raise_ = _changed_raise(unit, raised, known_raise, ends)
    return BudgetSettings(
        _unless_unset(label, checked_label),
        _unless_unset(given[unit], _limit_of(unit)),
        _unless_unset(mode, checked_mode),
        _unless_unset(shares_pct, checked_shares),
        UNSET if raise_ is None else raise_.micros,
        UNSET if raise_ is None else raise_.until,
    )


class MonthlyLimit(NamedTuple):
    """Changes to a monthly budget or a key's cap."""

    limit_yen: int | UnsetType
    mode: str | UnsetType


def checked_monthly(
    budget_id: str, kind: Kind, limit_yen: Limit | UnsetType, mode: str | UnsetType, others: Mapping[str, object]
) -> MonthlyLimit:
    """Changes to a monthly budget or a key's cap, which have a limit in whole yen; ``others`` are refused if set."""
    for field, value in others.items():
        if value is not UNSET:
            raise InvalidRequest(
                f"{field} of {budget_id} cannot be changed here; {_ELSEWHERE.get(field, _MAKE_ANOTHER)}", field=field
            )
    if mode is not UNSET and kind == "key":
        raise InvalidRequest(f"{budget_id} is always a cap; to have no cap, set limit_yen to 0", field="mode")
    if mode is not UNSET and mode not in _MONTHLY_MODES:
        raise InvalidRequest(
            f"mode of {budget_id} must be alert or cap, not {cut(mode)}; {_MAKE_ANOTHER}", field="mode"
        )
    if isinstance(limit_yen, UnsetType):
        return MonthlyLimit(UNSET, mode)
    whole, fraction = divmod(checked_yen("limit_yen", limit_yen), MICROS)
    if fraction:
        raise InvalidRequest(
            f"limit_yen of {budget_id} must be whole yen, not {cut(limit_yen)}; {_MAKE_ANOTHER}", field="limit_yen"
        )
    return MonthlyLimit(whole, mode)


# Limits


def checked_yen(field: str, value: object) -> int:
    """Micros of a limit in yen, which may be 0."""
    try:
        micros = micros_of(value)
    except ValueError:
        micros = -1
    if 0 <= micros <= MAX_LIMIT * MICROS:
        return micros
    quote = '; a float is not exact: write it as a string, as "3.30"' if isinstance(value, float) else ""
    raise InvalidRequest(
        f"{field} must be yen from 0 to {MAX_LIMIT}, a whole number or an exact decimal with up to {PLACES} places "
        f'such as "3.30", not {cut(value)}{quote}',
        field=field,
    )


def checked_calls(field: str, value: object) -> int:
    """Micros of a limit in calls, which may be 0."""
    if type(value) is int and 0 <= value <= MAX_LIMIT:
        return value * CALL
    raise InvalidRequest(
        f"{field} must be a whole number of calls from 0 to {MAX_LIMIT}, not {cut(value)}", field=field
    )


def checked_raise(unit: Unit, limit_yen: Limit | None, limit_calls: int | None, until: str | None) -> Raise:
    """A raise of a budget that counts ``unit``, until a checked instant; with none of them, none."""
    limit, other = (limit_yen, limit_calls) if unit == "yen" else (limit_calls, limit_yen)
    if other is not None:
        field = "raised_limit_calls" if unit == "yen" else "raised_limit_yen"
        raise InvalidRequest(f"the budget counts {unit}; send raised_limit_{unit} instead of {field}", field=field)
    if limit is None and until is None:
        return Raise(None, None)
    field = f"raised_limit_{unit}"
    if limit is None:
        raise InvalidRequest(f"{field} is missing: a raise is a limit and until when it counts", field=field)
    if until is None:
        raise InvalidRequest(
            f"raised_until is missing: send until when {field} counts, or change limit_{unit} for good",
            field="raised_until",
        )
    return Raise(_limit_of(unit)(limit, field), until)


def _changed_raise(
    unit: Unit,
    raised: tuple[Limit | UnsetType | None, int | UnsetType | None, str | UnsetType | None],
    known: Raise,
    ends: Ends,
) -> Raise | None:
    """The raise from now on; None when it stays. Either half may be changed alone, and None without another ends it."""
    limit, until = raised[0] if unit == "yen" else raised[1], raised[2]
    if all(each is UNSET for each in raised):
        return None
    if all(each is UNSET or each is None for each in raised):
        return Raise(None, None)
    new_until = known.until if until is UNSET else (None if until is None else ends("raised_until", until))
    if limit is UNSET and known.micros is not None and new_until is not None:
        return Raise(known.micros, new_until)
    given = None if limit is UNSET else cast(Any, limit)
    return checked_raise(unit, given if unit == "yen" else None, given if unit == "calls" else None, new_until)


def _check_unit(budget_id: str, unit: Unit, nothing: UnsetType | None, **limits: object) -> None:
    """Refuse a limit of the other unit, unless it is unset or ``nothing``."""
    for field, value in limits.items():
        right = f"{field.rpartition('_')[0]}_{unit}"
        if field != right and value is not UNSET and value is not nothing:
            raise InvalidRequest(f"{budget_id} counts {unit}; send {right} instead of {field}", field=field)


def _limit_of(unit: Unit) -> Callable[..., int]:
    def checked(value: object, field: str = f"limit_{unit}") -> int:
        return checked_yen(field, value) if unit == "yen" else checked_calls(field, value)

    return checked


# Windows, modes, shares


def checked_window(value: object) -> str:
    """``minute`` to ``total``, or ``rolling:24h``."""
    if isinstance(value, str) and is_window(value):
        return value
    raise InvalidRequest(
        f"window must be {', '.join(FIXED_WINDOWS)}, or rolling: with minutes, hours or days from 1m to 31d such as "
        f"rolling:24h, not {cut(value)}",
        field="window",
    )


def checked_week_start(value: object) -> str:
    """A day of the week."""
    if value in WEEK_STARTS:
        return value
    raise InvalidRequest(f"week_start must be {' or '.join(WEEK_STARTS)}, not {cut(value)}", field="week_start")


def checked_mode(value: object) -> Mode:
    """``alert``, ``cap`` or ``shadow``."""
    if value in get_args(Mode):
        return cast(Mode, value)
    raise InvalidRequest(
        f"mode must be alert (notify), cap (refuse) or shadow (record what a cap would refuse), not {cut(value)}",
        field="mode",
    )


def checked_shares(values: object) -> tuple[int, ...]:
    """Shares of the limit, in percent."""
    if isinstance(values, list | tuple) and 1 <= len(values) <= MAX_SHARES:
        is_share = all(type(value) is int and 0 < value <= MAX_SHARE_PCT for value in values)
        if is_share and [*values] == sorted(set(values)):
            return tuple(values)
    raise InvalidRequest(
        f"shares_pct must be 1 to {MAX_SHARES} different whole percents from 1 to {MAX_SHARE_PCT}, ascending, such as "
        f"80, 100, not {cut(values)}",
        field="shares_pct",
    )


def checked_label(value: object) -> str | None:
    """A label, or None."""
    if problem := malformed_text("label", value):
        raise problem
    return cast("str | None", value)


# Inside


def _unless_unset(value: object, check: Callable[[Any], T]) -> T | UnsetType:
    return UNSET if isinstance(value, UnsetType) else check(value)
