"""Who changed what of a wallet."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from credit_wallet.domain.cycle import format_instant
from credit_wallet.pages.answers import Reply
from credit_wallet.pages.routes import wallet_page
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

PAGE = 50

NOUNS = {
    "": text("Everything"),
    "wallet": text("The wallet"),
    "key": text("Keys"),
    "budget": text("Budgets"),
    "topup": text("Payments"),
    "auto_topup": text("Automatic top-up"),
    "charge": text("Refunds"),
    "transfer": text("Transfers"),
    "target": text("Notification targets"),
    "grant": text("Grants"),
    "link": text("Sign-in links"),
}
"""What the log can be filtered by."""


@wallet_page("/log")
async def show_log(visit: Visit) -> Reply:
    """What was done besides moving money, newest first."""
    wallet = await visit.wallet()
    zone = wallet["time_zone"]
    page = await visit.get(
        "/credit/log",
        limit=PAGE,
        cursor=visit.query.get("cursor") or None,
        kind=visit.query.get("kind") or None,
        subject=visit.query.get("subject") or None,
        since=start_of_day(visit.query.get("since", ""), zone),
        until=start_of_day(visit.query.get("until", ""), zone, days_later=1),
    )
    return await visit.show(
        "wallet/log.html",
        page=page,
        nouns=NOUNS,
        is_filtered=any(visit.query.get(name) for name in ("kind", "subject", "since", "until")),
    )


def start_of_day(day: str, zone: str, *, days_later: int = 0) -> str | None:
    """When a day begins in a time zone, or the last moment before another; None for what is not a day."""
    try:
        at = datetime.combine(date.fromisoformat(day) + timedelta(days=days_later), time(), ZoneInfo(zone))
        return format_instant(at - timedelta(milliseconds=1) if days_later else at)
    except (ValueError, OverflowError):
        return None
