"""What charges were for: by day, week or month, and by key, item or fact."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any, Final, NamedTuple, get_args

from credit_wallet.pages.answers import Answer, Reply
from credit_wallet.pages.formats import Formats
from credit_wallet.pages.owner.readings import if_allowed, keys_of, labels_of, usage_or_its_totals
from credit_wallet.pages.routes import wallet_page
from credit_wallet.pages.spend import Step, begin_of, folded
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

STEPS: Final = {"day": text("Day"), "week": text("Week"), "month": text("Month")}
RANGES: Final = {"7d": 7, "30d": 30, "90d": 90, "12m": 365}
"""Days that the ranges have which are a click away; the last one has whole months."""
RANGE_NAMES: Final = {
    "7d": text("7 days"),
    "30d": text("30 days"),
    "90d": text("90 days"),
    "12m": text("12 months"),
}

FIRST_DAY: Final = date(2000, 1, 1)
"""Before any ledger."""

MAX_COLUMNS = 124
"""With more columns nobody sees one: longer periods are shown instead."""
ROWS_SHOWN = 50
FACTS_LOOKED_AT = 100
"""The latest charges, whose facts are offered to divide by."""


class Asked(NamedTuple):
    """What the page shows. ``shown`` is the range by its name, empty for one of the visitor's own."""

    by: str
    step: Step
    since: date
    until: date
    shown: str
    key_id: str

    def query(self, **changed: str) -> dict[str, str]:
        """What an address asks for to show it, with what is ``changed``."""
        span = {"range": self.shown} if self.shown else {"since": str(self.since), "until": str(self.until)}
        found = {"by": self.by, "every": self.step, "key_id": self.key_id, **span, **changed}
        return {name: value for name, value in found.items() if value}


@wallet_page("/spending")
async def show_spending(visit: Visit) -> Reply:
    """Charts and totals of a range of days."""
    wallet = await visit.wallet()
    formats = Formats(visit.words.language, wallet["time_zone"])
    asked = _asked(visit, formats.local(visit.now).date())
    report, is_divided = await _report(visit, asked)
    keys = await keys_of(visit)
    spend = folded(report["rows"], asked.since, asked.until, asked.step)
    return await visit.show(
        "wallet/spending.html",
        asked=asked,
        spend=spend,
        shown=spend.parts[:ROWS_SHOWN],
        is_divided=is_divided,
        by=asked.by if is_divided else "",
        report=report,
        keys=keys,
        labels=labels_of(keys),
        facts=await _facts(visit, asked.by),
        steps=STEPS,
        ranges=RANGE_NAMES,
    )


@wallet_page("/spending.csv")
async def download_spending(visit: Visit) -> Reply:
    """The same figures, a line for each period and value."""
    wallet = await visit.wallet()
    formats = Formats(visit.words.language, wallet["time_zone"])
    asked = _asked(visit, formats.local(visit.now).date())
    report, _ = await _report(visit, asked)
    labels = labels_of(await keys_of(visit)) if asked.by == "key" else {}
    name = f"spending-{wallet['wallet_id']}-{asked.since}-{asked.until}.csv"
    headers = [(b"content-disposition", f'attachment; filename="{name}"'.encode())]
    return Answer(200, _csv(report["rows"], asked.step, labels).encode("utf-8-sig"), "text/csv; charset=utf-8", headers)


def _csv(rows: Iterable[Any], step: Step, labels: dict[str, str]) -> str:
    out = StringIO()
    lines = csv.writer(out, lineterminator="\r\n")
    lines.writerow(("period", "value", "label", "item", "charges", "quantity", "amount", "refunded"))
    periods: dict[tuple[str, str | None], list[Any]] = {}
    for row in rows:
        period = row["period"] if step != "week" else str(begin_of(date.fromisoformat(row["period"]), step))
        periods.setdefault((period, row["value"]), []).append(row)
    for (period, value), its in periods.items():
        item = its[0]["item"] if len({row["item"] for row in its}) == 1 else None
        lines.writerow(
            (
                period,
                _inert(value or ""),
                _inert(labels.get(value or "", "")),
                item or "",
                sum(row["charges"] for row in its),
                sum(Decimal(row["quantity"]) for row in its) if item else "",
                sum(Decimal(row["amount"]) for row in its),
                sum(Decimal(row["refunded"]) for row in its),
            )
        )
    return out.getvalue()


def _inert(cell: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t", "\r") else cell


async def _report(visit: Visit, asked: Asked) -> tuple[Any, bool]:
    every = "month" if asked.step == "month" else "day"
    return await usage_or_its_totals(
        visit,
        by=asked.by or None,
        every=every,
        since=str(asked.since),
        until=str(asked.until),
        key_id=asked.key_id or None,
    )


def _asked(visit: Visit, today: date) -> Asked:
    """What the address asks for; what makes no sense there is left out."""
    query = visit.query
    shown = query.get("range", "")
    since, until = _date(query.get("since", "")), _date(query.get("until", ""))
    if shown in RANGES or (since is None and until is None):
        shown = shown if shown in RANGES else "30d"
        until = today
        since = _a_year_of_months(today) if shown == "12m" else today - timedelta(days=RANGES[shown] - 1)
    else:
        shown = ""
        until = min(max(until or today, FIRST_DAY), today)
        since = since or until - timedelta(days=RANGES["30d"] - 1)
    since, until = max(FIRST_DAY, min(since, until)), min(max(since, until), today)
    wanted = query.get("every", "")
    default = "month" if shown == "12m" else "week" if shown == "90d" else "day"
    step = _coarse_enough(wanted if wanted in get_args(Step) else default, (until - since).days)
    return Asked(query.get("by", "key"), step, begin_of(since, step), until, shown, query.get("key_id", ""))


def _a_year_of_months(today: date) -> date:
    """The first of the month after that of a year ago."""
    return date(today.year - 1, today.month + 1, 1) if today.month < 12 else date(today.year, 1, 1)


def _coarse_enough(step: str, days: int) -> Step:
    if step == "day" and days < MAX_COLUMNS:
        return "day"
    return "week" if step != "month" and days < MAX_COLUMNS * 7 else "month"


def _date(given: str) -> date | None:
    try:
        return date.fromisoformat(given)
    except ValueError:
        return None


async def _facts(visit: Visit, by: str) -> list[str]:
    """The facts that charges have had lately, and the one that is shown."""
    found = await if_allowed(visit, "/credit/transactions", type="charge", limit=FACTS_LOOKED_AT)
    entries = (found or {}).get("transactions", [])
    names = {name for entry in entries for name in (*entry["facts"], *entry["agent_facts"])}
    shown = {by} - {"", "key", "item"}
    return sorted({f"fact.{name}" if name in ("key", "item") else name for name in names} | shown)
