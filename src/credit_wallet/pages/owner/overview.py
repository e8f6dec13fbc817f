"""The wallet at a glance."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from credit_wallet.pages.answers import Reply
from credit_wallet.pages.formats import Formats
from credit_wallet.pages.owner.budget_words import BudgetWords
from credit_wallet.pages.owner.entries import by_day
from credit_wallet.pages.owner.readings import if_allowed, keys_of, labels_of, usage_or_its_totals
from credit_wallet.pages.routes import wallet_page
from credit_wallet.pages.spend import folded, pace_of
from credit_wallet.pages.visit import Visit

BUDGETS_SHOWN = 4
ENTRIES_SHOWN = 8
LOTS_SHOWN = 6
SOON_DAYS = 14
"""Credit that ends within these is worth a notice."""

CHART_WIDTH, CHART_HEIGHT = 600, 180


@wallet_page("")
async def overview(visit: Visit) -> Reply:
    """What there is to spend, what is held, and where it goes."""
    wallet = await visit.wallet()
    forecast = await visit.get("/credit/forecast")
    report, _ = await usage_or_its_totals(visit, by="key", every="day")
    keys = await keys_of(visit)
    topups = await if_allowed(visit, "/credit/topups", limit=1)
    formats = Formats(visit.words.language, wallet["time_zone"])
    now = formats.local(visit.now)
    is_early = _is_early(wallet, formats, now)
    has_spent = _has_spent(wallet, report)
    budgets = _tightest(wallet["budgets"])
    since = formats.local(report["since"]).date()
    return await visit.show(
        "wallet/overview.html",
        forecast=forecast,
        pace=pace_of(report, forecast, now, _shares(wallet), CHART_WIDTH, CHART_HEIGHT, is_early=is_early),
        spend=folded(report["rows"], since, now.date(), "day"),
        keys=keys,
        labels=labels_of(keys),
        lots=lots_shown(wallet["lots"]),
        budgets=budgets,
        say=BudgetWords(visit, labels_of(keys), {budget["budget_id"]: budget for budget in budgets}),
        entries=bool(wallet["recent_transactions"]),
        days=by_day(wallet["recent_transactions"][:ENTRIES_SHOWN], formats),
        last_topup=topups["topups"][0] if topups and topups["topups"] else None,
        ends_soon=_ends_soon(wallet["next_expiring"]),
        is_early=is_early,
        is_counted=report["counted_from"] is not None,
        has_spent=has_spent,
        is_new=not has_spent and not Decimal(wallet["debt"]) and wallet["enabled"],
        width=CHART_WIDTH,
        height=CHART_HEIGHT,
    )


def lots_shown(lots: list[Any], limit: int = LOTS_SHOWN) -> list[Any]:
    """Lots in the order of spending; those that do not end are one of each kind."""
    shown: list[Any] = []
    for lot in lots:
        same = [each for each in shown if each["kind"] == lot["kind"] and each["expires_at"] is None]
        if lot["expires_at"] is None and same:
            same[0]["remaining"] = str(Decimal(same[0]["remaining"]) + Decimal(lot["remaining"]))
        else:
            shown.append({**lot})
    return shown[:limit]


def _is_early(wallet: Any, formats: Formats, now: datetime) -> bool:
    """Whether the cycle has been watched for less than a day, so that a pace would say little."""
    began = max(formats.local(f"{wallet['current_cycle']}-01"), formats.local(wallet["created_at"]))
    return now - began < timedelta(days=1)


def _shares(wallet: Any) -> list[int]:
    return sorted({50, 80, 100, *wallet["alert_thresholds_pct"]})


def _tightest(budgets: list[Any]) -> list[Any]:
    """The budgets of which most is used."""
    return sorted(budgets, key=lambda budget: -_used(budget))[:BUDGETS_SHOWN]


def _used(budget: Any) -> Decimal:
    limit = Decimal(budget["raised_limit"] or budget["limit"])
    return (Decimal(budget["spent"]) + Decimal(budget["held"])) / limit if limit else Decimal()


def _ends_soon(lot: Any) -> Any:
    return lot if lot is not None and lot["days_left"] <= SOON_DAYS else None


def _has_spent(wallet: Any, report: Any) -> bool:
    """Whether anything was ever charged, as far as this page can see."""
    return report["counted_from"] is not None or any(
        entry["txn_type"] == "charge" for entry in wallet["recent_transactions"]
    )
