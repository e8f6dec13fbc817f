"""Request bodies about budgets."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import UNSET, Meta, UnsetType

from credit_wallet.domain.budgets import (
    MAX_CONDITIONS,
    MAX_LIMIT,
    MAX_SHARE_PCT,
    MAX_SHARES,
    Mode,
)
from credit_wallet.domain.usage import MAX_FACT_LENGTH
from credit_wallet.domain.windows import WEEK_STARTS
from credit_wallet.wire.bodies import Body, End, Id, Note

LIMIT_PATTERN = r"^(0|[1-9][0-9]{0,12})(\.[0-9]{1,6})?$"
"""A decimal in plain digits, 0 included, with up to six places."""

WINDOW_PATTERN = r"^(minute|hour|day|week|month|total|rolling:[1-9][0-9]{0,4}[mhd])$"

LimitYen: TypeAlias = (
    Annotated[int, Meta(ge=0, le=MAX_LIMIT)]
    | Annotated[str, Meta(pattern=LIMIT_PATTERN, description="Decimal yen, in quotes.")]
)
LimitCalls = Annotated[int, Meta(ge=0, le=MAX_LIMIT)]
Shares = Annotated[
    list[Annotated[int, Meta(ge=1, le=MAX_SHARE_PCT)]],
    Meta(min_length=1, max_length=MAX_SHARES, extra_json_schema={"uniqueItems": True}),
]
Value: TypeAlias = Annotated[str, Meta(min_length=1, max_length=MAX_FACT_LENGTH * 2)] | Id
ScopeOf = Annotated[dict[str, Value], Meta(max_length=MAX_CONDITIONS)]
WeekStart = Annotated[str, Meta(extra_json_schema={"enum": list(WEEK_STARTS)})]


class CreateBudgetBody(Body, frozen=True, kw_only=True):
    """A new budget: a limit in yen or in calls, for a window and a scope."""

    limit_yen: LimitYen | UnsetType = UNSET
    limit_calls: LimitCalls | UnsetType = UNSET
    window: Annotated[str, Meta(pattern=WINDOW_PATTERN)]
    scope: ScopeOf | UnsetType = UNSET
    mode: Mode = "cap"
    label: Note | None = None
    shares_pct: Shares | UnsetType = UNSET
    time_zone: str | None = None
    week_start: WeekStart = "monday"
    raised_limit_yen: LimitYen | UnsetType | None = UNSET
    raised_limit_calls: LimitCalls | UnsetType | None = UNSET
    raised_until: End | UnsetType | None = UNSET


class ConfigureBudgetBody(Body, frozen=True, kw_only=True):
    """Changes to a budget; what is left out stays. ``raised_until`` null ends a raise."""

    limit_yen: LimitYen | UnsetType = UNSET
    limit_calls: LimitCalls | UnsetType = UNSET
    mode: Mode | UnsetType = UNSET
    label: Note | UnsetType | None = UNSET
    shares_pct: Shares | UnsetType = UNSET
    raised_limit_yen: LimitYen | UnsetType | None = UNSET
    raised_limit_calls: LimitCalls | UnsetType | None = UNSET
    raised_until: End | UnsetType | None = UNSET
