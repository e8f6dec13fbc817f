"""Notices of credit that is about to expire: a job in separate transactions, the same on every database.

The register of lots counts the notices emitted for each lot, and an index finds those whose next one is due. When
credit expires, ``credit.expire_lots`` emits the event in the transaction that burns it.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import DecodeError

from credit_wallet.domain.cycle import format_instant, parse_instant
from credit_wallet.rules.events import credit_expiring
from credit_wallet.rules.state import Lot
from credit_wallet.stores import Connection
from credit_wallet.stores.outbox import put_event
from credit_wallet.stores.rows import parse_lots
from credit_wallet.stores.sql import statements

SQL = statements("lots.sql")

NOTICE_DAYS = (30, 7)
"""How many days before the end of a lot its owner gets a notice, in order."""

LOTS_A_STEP = 200
"""Of each notice."""


def due(now: datetime) -> list[dict[str, object]]:
    """For each notice, the parameters of ``notice_due`` and ``notices_due``."""
    return [
        {"emitted": emitted, "until": format_instant(now + timedelta(days=days)), "limit": LOTS_A_STEP}
        for emitted, days in enumerate(NOTICE_DAYS)
    ]


def emit(connection: Connection, now: datetime) -> int:
    """Emit the notices that are due, up to ``LOTS_A_STEP`` of each; return how many lots were looked at.

    A lot that comes in with less than 30 days left gets its notice at once, an empty lot gets none. Of two due notices,
    the later one is emitted. Wallets are locked in order of their ids, as everywhere.
    """
    lots = [lot for each in due(now) for lot in connection.execute(SQL["notices_due"], each).fetchall()]
    open_lots: dict[int, dict[int, Lot]] = {}
    for wallet_id, lot_id, emitted, expires_at in sorted(lots):
        days_left = (parse_instant(expires_at) - now) / timedelta(days=1)
        passed = sum(days_left <= days for days in NOTICE_DAYS)
        row = {"wallet_id": wallet_id, "lot_id": lot_id, "emitted": emitted, "passed": passed}
        if not connection.execute(SQL["note_notice"], row).fetchall() or days_left <= 0:
            continue
        if wallet_id not in open_lots:
            open_lots[wallet_id] = _open_lots(connection, wallet_id)
        lot = open_lots[wallet_id].get(lot_id)
        if lot is not None:
            days = NOTICE_DAYS[passed - 1]
            event = credit_expiring(wallet_id, lot_id, lot.kind, lot.remaining_micros, lot.expires_at, days)
            put_event(connection, event, format_instant(now))
    return len(lots)


def _open_lots(connection: Connection, wallet_id: int) -> dict[int, Lot]:
    """A wallet's open lots, by id. A damaged list is left for ``verify`` to report, without delaying other notices."""
    [(text,)] = connection.execute(SQL["open_lots"], {"wallet_id": wallet_id}).fetchall()
    try:
        return {lot.lot_id: lot for lot in parse_lots(text)}
    except DecodeError:
        return {}
