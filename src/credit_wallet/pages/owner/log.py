"""Who changed what of a wallet."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from credit_wallet.domain.cycle import format_instant
from credit_wallet.pages.acts import NOUNS, told
from credit_wallet.pages.answers import Reply
from credit_wallet.pages.formats import Formats
from credit_wallet.pages.routes import wallet_page
from credit_wallet.pages.visit import Visit

PAGE = 50


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
    formats = Formats(visit.words.language, zone)
    acts = [(act, told(act, visit.words, formats)) for act in page["acts"]]
    return await visit.show(
        "wallet/log.html",
        acts=acts,
        next_cursor=page["next_cursor"],
        named=[(noun, visit.words.say(name)) for noun, name in NOUNS.items()],
        is_filtered=any(visit.query.get(name) for name in ("kind", "subject", "since", "until")),
    )


def start_of_day(day: str, zone: str, *, days_later: int = 0) -> str | None:
    """When a day begins in a time zone, or the last moment before another; None for what is no day."""
    try:
        at = datetime.combine(date.fromisoformat(day) + timedelta(days=days_later), time(), ZoneInfo(zone))
        return format_instant(at - timedelta(milliseconds=1) if days_later else at)
    except (ValueError, OverflowError):
        return None
