"""Where a wallet's spending is heading: arithmetic on the current cycle, nothing more."""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from credit_wallet.domain.cycle import cycle_bounds, format_instant, parse_instant
from credit_wallet.domain.money import MICROS, Exact, WholeYen
from credit_wallet.domain.views import WalletView

SHORTEST_OBSERVATION = timedelta(hours=1)
"""Spending in the first minutes is spread over an hour, so that it does not forecast a fortune."""

LONGEST_OUTLOOK = timedelta(days=366)


class Forecast(Struct, frozen=True):
    """Projected spending at the cycle's pace so far, and when balance and budget run out.

    The pace is measured from the start of the cycle, or from when the wallet first had credit if that was later. It and
    the projection are rounded down to the micro.
    """

    wallet_id: int
    billing_cycle: str
    spent_micros: int
    daily_pace_micros: int
    projected_cycle_spend_micros: int
    balance_micros: int
    balance_runs_out_at: str | None
    monthly_budget_yen: int
    budget_runs_out_at: str | None

    spent_yen = WholeYen()
    spent = Exact()
    daily_pace_yen = WholeYen()
    daily_pace = Exact()
    projected_cycle_spend_yen = WholeYen()
    projected_cycle_spend = Exact()
    balance_yen = WholeYen()
    balance = Exact()


def forecast(wallet: WalletView, now: datetime, funded_at: str | None = None) -> Forecast:
    """The forecast of a wallet as it stands at ``now`` (aware).

    ``funded_at`` is the instant at which it first had credit, by default its creation; before it there was no spending
    to observe.
    """
    start, end = (parse_instant(bound) for bound in cycle_bounds(wallet.current_cycle, wallet.time_zone))
    observed = max(now - max(start, _instant(funded_at or wallet.created_at, start)), SHORTEST_OBSERVATION)
    spent_micros = wallet.current_cycle_spent_micros
    budget_left_micros = wallet.monthly_budget_yen * MICROS - spent_micros
    budget_out = _reached(budget_left_micros, spent_micros, observed, now) if wallet.monthly_budget_yen else None
    balance_out = _reached(wallet.balance_micros, spent_micros, observed, now)
    return Forecast(
        wallet_id=wallet.wallet_id,
        billing_cycle=wallet.current_cycle,
        spent_micros=spent_micros,
        daily_pace_micros=_pace(spent_micros, observed, timedelta(days=1)),
        projected_cycle_spend_micros=spent_micros + _pace(spent_micros, observed, max(end - now, timedelta(0))),
        balance_micros=wallet.balance_micros,
        balance_runs_out_at=None if balance_out is None else format_instant(balance_out),
        monthly_budget_yen=wallet.monthly_budget_yen,
        budget_runs_out_at=None if budget_out is None or budget_out >= end else format_instant(budget_out),
    )


def _instant(text: str, otherwise: datetime) -> datetime:
    """An instant in whatever form plain SQL wrote it."""
    try:
        return parse_instant(text)
    except ValueError:
        return otherwise


def _pace(spent_micros: int, observed: timedelta, span: timedelta) -> int:
    """Micros spent in ``span`` when ``spent_micros`` were spent in ``observed``, rounded down."""
    return spent_micros * (span // timedelta(seconds=1)) // (observed // timedelta(seconds=1))


def _reached(left_micros: int, spent_micros: int, observed: timedelta, now: datetime) -> datetime | None:
    """When another ``left_micros`` will have been spent; now if nothing is left, None if not within a year."""
    if left_micros <= 0:
        return now
    if not spent_micros:
        return None
    seconds = left_micros * (observed // timedelta(seconds=1)) // spent_micros
    return now + timedelta(seconds=seconds) if seconds <= LONGEST_OUTLOOK.total_seconds() else None
