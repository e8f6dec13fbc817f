"""Events: what others must learn of a movement, written to the outbox in the same transaction.

Every event is made here or by ``batch.emit``: its kind, its content, and the key by which the outbox recognises a
repeat. Imports only the standard library, so that the alert job can run on it.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from credit_wallet.domain.money import both, decimal_text


class Event(NamedTuple):
    """Something others must learn. An event whose ``dedupe_key`` is already in the wallet's outbox is not emitted
    again.
    """

    wallet_id: int
    kind: str
    payload: dict[str, Any]
    dedupe_key: str | None = None


def event(wallet_id: int, kind: str, payload: dict[str, Any], dedupe_key: str | None = None) -> Event:
    """An event of a wallet; ``dedupe_key`` distinguishes it from others of its ``kind``."""
    key = None if dedupe_key is None else f"{kind} {dedupe_key}"
    return Event(wallet_id, kind, {"wallet_id": wallet_id, **payload}, key)


def threshold_reached(
    wallet_id: int, threshold_pct: int, billing_cycle: str, spent_micros: int, budget_yen: int
) -> Event:
    """A share of the monthly budget was spent: emitted once for each cycle, budget and threshold.

    After the budget changes, a threshold that has fired in the cycle can fire again for the new budget.
    """
    spent = {**both(spent=spent_micros), "budget_yen": budget_yen, "budget_id": f"monthly-{wallet_id}"}
    payload = {"threshold_pct": threshold_pct, "billing_cycle": billing_cycle, **spent}
    return event(wallet_id, "budget.threshold_reached", payload, f"{billing_cycle} {budget_yen} {threshold_pct}")


def budget_threshold_reached(wallet_id: int, budget: dict[str, Any], threshold_pct: int, period: str) -> Event:
    """A share of a budget was spent: emitted once for each period, value, limit and share."""
    payload = {**budget, "threshold_pct": threshold_pct}
    return event(wallet_id, "budget.threshold_reached", payload, _once(budget, period, threshold_pct))


def budget_exhausted(wallet_id: int, budget: dict[str, Any], period: str) -> Event:
    """A budget refuses charges: emitted once for each period, value and limit.

    A limit of 0 refuses every value that an agent can think of, free of charge: there, once for each period.
    """
    if budget["limit"] == "0":
        return event(wallet_id, "budget.exhausted", budget, f"{budget['budget_id']} {period} 0")
    return event(wallet_id, "budget.exhausted", budget, _once(budget, period))


def budget_raised(
    wallet_id: int, budget: dict[str, Any], raised_limit_micros: int, raised_until: str, raised_by: str
) -> Event:
    """A budget has another limit until an instant: emitted each time, by somebody who may change it."""
    raised = {"raised_limit": decimal_text(raised_limit_micros), "raised_until": raised_until, "raised_by": raised_by}
    return event(wallet_id, "budget.raised", {**budget, **raised})


def budget_renewed(wallet_id: int, budget: dict[str, Any], window_start: str, window_end: str) -> Event:
    """A window began after one in which ``budget`` was used up or refused: emitted once for each window and value."""
    window = {"window_start": window_start, "window_end": window_end}
    dedupe_key = f"{budget['budget_id']} {window_start} {_values(budget)}"
    return event(wallet_id, "budget.renewed", {**budget, **window}, dedupe_key)


def _once(budget: dict[str, Any], period: str, *more: object) -> str:
    return " ".join(map(str, (budget["budget_id"], period, budget["limit"], *more, _values(budget))))


def _values(budget: dict[str, Any]) -> str:
    """The values of a counter, so that no two counters have the same; agents choose them."""
    return "\x1f".join(budget["values"].values())


def credit_expiring(
    wallet_id: int, lot_id: int, lot_kind: str, remaining_micros: int, expires_at: str | None, days: int
) -> Event:
    """Credit expires within a number of days: emitted once for each lot and number of days."""
    lot = {"lot_id": lot_id, "lot_kind": lot_kind, **both(remaining=remaining_micros), "expires_at": expires_at}
    return event(wallet_id, "credit.expiring", {**lot, "days": days}, f"{lot_id} {days}")


def spending_anomaly(wallet_id: int, hour: str, spent_micros: int, usual_micros: int) -> Event:
    """A wallet has spent far more in an hour (YYYY-MM-DDTHH, UTC) than usual: emitted once for each hour."""
    spent = both(spent=spent_micros, usual=usual_micros)
    return event(wallet_id, "spending.anomaly_detected", {"hour": hour, **spent}, hour)


def ledger_sealed(wallet_id: int, anchor: str, day: str) -> Event:
    """The whole ledger has a new seal: emitted once a day (YYYY-MM-DD, UTC), under one of its wallets."""
    return event(wallet_id, "ledger.sealed", {"anchor": anchor}, day)
