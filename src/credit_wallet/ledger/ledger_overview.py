"""The whole ledger at a glance, from what is counted in the background and from indexes alone."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from typing import NamedTuple

from credit_wallet.domain.cycle import end_of_day, format_instant, is_time_zone, zone_of
from credit_wallet.domain.ledger_overview import DayFigures, LedgerOverview
from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.ledger.totals import totals_of
from credit_wallet.stores import overview_reads
from credit_wallet.stores.jobs import quarters
from credit_wallet.stores.jobs.quarters import Quarter
from credit_wallet.stores.jobs.totals import BETWEEN_WALLETS

DAYS = 15

_CREDIT = ("", "payment", "grant")
"""Causes of top-ups by which new credit comes in; the others return some."""


class Span(NamedTuple):
    """A day, or the part of it from ``start`` to before ``end``."""

    day: date
    start: datetime
    end: datetime


def overview_of_ledger(ledger: Ledger, zone: str) -> LedgerOverview:
    """See ``CreditWallet.ledger_overview``."""
    if not isinstance(zone, str) or not is_time_zone(zone):
        raise InvalidRequest(f"zone must be an IANA time zone such as Asia/Tokyo, not {zone!r}", field="zone")
    totals, source, now = totals_of(ledger, anew=False), ledger.reader.source, ledger.clock()
    today = now.astimezone(zone_of(zone)).date()
    first = today - timedelta(days=DAYS - 1)
    counted = quarters.since(source, _start(first, zone))
    spans = [Span(day, _start(day, zone), end_of_day(day, zone)) for day in _days(first, today)]
    so_far = min(spans[-8].start + (now - spans[-1].start), spans[-8].end)
    return LedgerOverview(
        counted_at=totals.counted_at,
        counted_to=quarters.counted_to(source),
        time_zone=zone,
        wallets=totals.wallets,
        frozen=totals.frozen,
        closed=totals.closed,
        balance_micros=totals.balance_micros,
        paid_micros=totals.paid_micros,
        promo_micros=totals.promo_micros,
        held_micros=totals.held_micros,
        debt_micros=totals.debt_micros,
        days=_figures(spans, counted),
        last_week=_figures([Span(spans[-8].day, spans[-8].start, so_far)], counted)[0],
        cases=[*overview_reads.cases(source, format_instant(_start(first, zone)))],
    )


def _days(first: date, last: date) -> Iterable[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))


def _start(day: date, zone: str) -> datetime:
    return end_of_day(day - timedelta(days=1), zone)


def _figures(spans: Sequence[Span], counted: Iterable[Quarter]) -> list[DayFigures]:
    """The sums of the quarters that begin in each of some spans, which follow each other."""
    starts = [quarters.quarter_of(span.start) for span in spans]
    end = quarters.quarter_of(spans[-1].end)
    sums = [_Sums() for _ in spans]
    for each in counted:
        if starts[0] <= each.quarter < end and each.cause not in BETWEEN_WALLETS:
            sums[bisect_right(starts, each.quarter) - 1].add(each)
    return [
        DayFigures(
            span.day.isoformat(), format_instant(span.start), format_instant(span.end), each.charges, **each.figures()
        )
        for span, each in zip(spans, sums, strict=True)
    ]


class _Sums:
    def __init__(self) -> None:
        self.charges = 0
        self._micros = {"paid_in": 0, "given": 0, "spent": 0, "refunded": 0, "lapsed": 0, "taken_back": 0}

    def add(self, quarter: Quarter) -> None:
        amount_micros = quarter.amount_micros
        match quarter.txn_type:
            case "topup" if quarter.cause in _CREDIT:
                self._micros["given" if quarter.kind == "promo" else "paid_in"] += amount_micros
            case "charge":
                self._micros["spent"] -= amount_micros
                self.charges += quarter.entries
            case "refund":
                self._micros["refunded"] += amount_micros
            case "expire":
                self._micros["lapsed"] -= amount_micros
            case _:
                self._micros["taken_back"] -= amount_micros

    def figures(self) -> dict[str, int]:
        return {f"{line}_micros": amount for line, amount in self._micros.items()}
