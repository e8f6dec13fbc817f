"""Notices about single values of budgets (``run=*``): how many go out in an hour, whatever values agents make up.

A job in the transaction that fans events out, the same on every database.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple

from msgspec import DecodeError, json

from credit_wallet.notices.recipients import VALUES_OF_A_BUDGET_AN_HOUR, VALUES_OF_A_WALLET_AN_HOUR
from credit_wallet.stores import Connection
from credit_wallet.stores.jobs.mailboxes import count_notices
from credit_wallet.stores.notification_rows import SQL


class _Crossing(NamedTuple):
    """An event about one value of a budget."""

    event_id: int
    wallet_id: int
    budget_id: str
    payload: dict[str, Any]


def hold_back(connection: Connection, events: Sequence[Any], now: datetime) -> frozenset[int]:
    """The events that no target gets, since enough of their kind went out in this hour. Counts those about values, and
    has the last one that goes out say that there may be others.
    """
    crossings = [crossing for event in sorted(events) if (crossing := _crossing(event)) is not None]
    if not crossings:
        return frozenset()
    passing = _first(connection, crossings, VALUES_OF_A_BUDGET_AN_HOUR, now, of_budget=True)
    passing = _first(connection, passing, VALUES_OF_A_WALLET_AN_HOUR, now, of_budget=False)
    return frozenset(each.event_id for each in crossings) - {each.event_id for each in passing}


def _crossing(event: Sequence[Any]) -> _Crossing | None:
    event_id, wallet_id, kind, _, payload = event
    if not kind.startswith("budget."):
        return None
    try:
        said = json.decode(payload, type=dict[str, Any])
    except DecodeError:  # damaged; it must not keep others from being fanned out
        return None
    budget_id = said.get("budget_id")
    return _Crossing(event_id, wallet_id, str(budget_id), said) if budget_id and said.get("values") else None


def _first(
    connection: Connection, crossings: Sequence[_Crossing], limit: int, now: datetime, *, of_budget: bool
) -> list[_Crossing]:
    """Those within the ``limit`` of an hour, of each budget or of each wallet."""
    groups: dict[tuple[int, str], list[_Crossing]] = {}
    for crossing in crossings:
        groups.setdefault((crossing.wallet_id, crossing.budget_id if of_budget else ""), []).append(crossing)
    within: list[_Crossing] = []
    for (wallet_id, budget_id), group in sorted(groups.items()):
        counted = count_notices(connection, wallet_id, len(group), now, f"values {budget_id}".rstrip())
        free = max(0, limit - (counted - len(group)))
        within += group[:free]
        if 0 < free <= len(group):
            _say_so(connection, group[free - 1])
    return sorted(within)


def _say_so(connection: Connection, last: _Crossing) -> None:
    payload = json.encode({**last.payload, "held_back": True}).decode()
    connection.execute(SQL["mark_event"], {"payload": payload, "event_id": last.event_id, "wallet_id": last.wallet_id})
