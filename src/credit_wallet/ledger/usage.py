"""Usage: what a wallet's charges were for, by period and by key, item or fact, from the sums of a background job."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from typing import NamedTuple, get_args

from credit_wallet.domain.cycle import (
    CYCLE_PATTERN,
    FIRST_YEAR,
    LAST_YEAR,
    cycle_at,
    cycle_bounds,
    format_instant,
    parse_end,
    parse_instant,
)
from credit_wallet.domain.usage import FACT_KEY
from credit_wallet.domain.usage_periods import Every, day_start, period_at, period_label, period_start
from credit_wallet.domain.usage_views import UsageReport, UsageRow
from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.ledger import Ledger, checked_page
from credit_wallet.rules.validation import checked_id
from credit_wallet.stores import usage_reads
from credit_wallet.stores.jobs.usage import ALL_VALUES, ITEM, KEY
from credit_wallet.stores.usage_reads import Asked, Part, Place

_NO_DIMENSION = "."
"""Nothing has it: all charges are in one row of each period."""

_BY = {None: _NO_DIMENSION, "key": KEY, "item": ITEM}
_FACT = "fact."
"""Before a fact's key, for facts that are called key or item."""

_PERIOD = re.compile(r"[0-9]{4}-[0-9]{2}(-[0-9]{2}(T[0-9]{2}(:[0-9]{2}){0,2})?)?")
_KEY_ID = re.compile(r"[1-9][0-9]{0,17}")
_SINCE_HOURS, _SINCE_DAYS, _SINCE_MONTHS = 24, 31, 12
"""Periods that are shown unless ``since`` is given, the current one included."""

_MILLISECOND = timedelta(milliseconds=1)


class _Span(NamedTuple):
    """From the first instant to before the last."""

    since: datetime
    until: datetime


def usage_of(
    ledger: Ledger,
    wallet_id: int,
    *,
    by: str | None,
    every: Every,
    since: str | None,
    until: str | None,
    key_id: int | None,
    limit: int,
    cursor: str | None,
) -> UsageReport:
    """See ``CreditWallet.usage``."""
    wallet = ledger.reader.wallet(checked_id("wallet_id", wallet_id))
    zone = wallet.time_zone
    if every not in get_args(Every):
        raise InvalidRequest(f"every must be one of {', '.join(get_args(Every))}", field="every")
    dimension = _dimension(by)
    span = _span(since, until, every, zone, ledger.clock())
    first, last = (period_at(moment, zone, every) for moment in (span.since, span.until - _MILLISECOND))
    start = Place(first) if cursor is None else max(Place(first), _place(cursor, dimension))
    is_by_own_key = key_id is not None and dimension == KEY
    asked = Asked(
        wallet_id=wallet_id,
        key_id=None if key_id is None else checked_id("key_id", key_id),
        dimension=_NO_DIMENSION if is_by_own_key else dimension,
        every=every,
        start=start,
        last=last,
        limit=checked_page(limit),
    )
    counted = usage_reads.counted_to(ledger.reader.source, wallet_id)
    parts, goes_on = usage_reads.page(ledger.reader.source, asked)
    return UsageReport(
        wallet_id=wallet_id,
        by=by,
        every=every,
        time_zone=zone,
        since=period_start(first, zone),
        until=format_instant(span.until),
        rows=[_row(part, zone, str(key_id) if is_by_own_key else part.value) for part in parts],
        next_cursor=None if goes_on is None else "~".join(goes_on),
        counted_from=counted.first_at,
        counted_to_txn_id=counted.txn_id,
        counted_to=counted.occurred_at,
        is_current=(counted.last_txn_id or 0) <= counted.txn_id,
    )


def _row(part: Part, time_zone: str, value: str) -> UsageRow:
    return UsageRow(
        period=period_label(part.period, time_zone),
        starts_at=period_start(part.period, time_zone),
        value=None if value == ALL_VALUES else value,
        charges=part.charges,
        amount_micros=part.amount_micros,
        refunded_micros=part.refunded_micros,
        item=part.one_item,
        quantity_micros=None if part.one_item is None else part.quantity_micros,
    )


def _dimension(by: str | None) -> str:
    if by in _BY:
        return _BY[by]
    if isinstance(by, str) and FACT_KEY.fullmatch(fact := by.removeprefix(_FACT)):
        return fact
    raise InvalidRequest("by must be key, item, or the key of a fact, such as tool", field="by")


def _place(cursor: str, dimension: str) -> Place:
    period, separator, value = cursor.partition("~") if isinstance(cursor, str) else ("", "", "")
    is_value = dimension != KEY or not value or _KEY_ID.fullmatch(value)
    if not separator or not _PERIOD.fullmatch(period) or not is_value:
        raise InvalidRequest(f"cursor must be the next_cursor of a page, not {cursor!r}", field="cursor")
    return Place(period, value)


def _span(since: str | None, until: str | None, every: Every, zone: str, now: datetime) -> _Span:
    end = now + _MILLISECOND if until is None else end_of("until", until, zone)
    start = _default_start(end - _MILLISECOND, every, zone) if since is None else start_of("since", since, zone)
    if start >= end:
        raise InvalidRequest("since must be before until", field="since")
    return _Span(start, end)


def _default_start(moment: datetime, every: Every, zone: str) -> datetime:
    if every == "hour":
        return moment - timedelta(hours=_SINCE_HOURS - 1)
    if every == "day":
        return moment - timedelta(days=_SINCE_DAYS - 1)
    year, month = map(int, cycle_at(moment, zone).split("-"))
    months = max(year * 12 + month - _SINCE_MONTHS, FIRST_YEAR * 12)
    return parse_instant(cycle_bounds(f"{months // 12:04d}-{months % 12 + 1:02d}", zone)[0])


def start_of(field: str, text: str, zone: str) -> datetime:
    """The first instant of a month or a day in ``zone``, or an instant."""
    try:
        if CYCLE_PATTERN.fullmatch(text):
            return parse_instant(cycle_bounds(text, zone)[0])
        moment = parse_end(text, lambda: zone)  # refuses what is neither a day nor an instant
        return day_start(date.fromisoformat(text), zone) if _is_day(text) else moment
    except (ValueError, TypeError):
        raise _no_time(field, text) from None


def end_of(field: str, text: str, zone: str) -> datetime:
    """The end of a month or a day in ``zone``, or an instant."""
    try:
        return (
            parse_instant(cycle_bounds(text, zone)[1])
            if CYCLE_PATTERN.fullmatch(text)
            else parse_end(text, lambda: zone)
        )
    except (ValueError, TypeError):
        raise _no_time(field, text) from None


def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def _no_time(field: str, text: object) -> InvalidRequest:
    return InvalidRequest(
        f"{field} must be a month (2026-05), a day (2026-05-15) or an ISO 8601 time, in the years {FIRST_YEAR} to "
        f"{LAST_YEAR}, not {text!r}",
        field=field,
    )
