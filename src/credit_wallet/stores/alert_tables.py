"""The table of an alert: one for the three default thresholds, another for a wallet's own.

An alert fires once for a cycle and a threshold. After a change of the budget, crossing a threshold of the new one only
emits an event, once for a cycle, a budget and a threshold.

Imports only the shares, so that the alert job can run on the standard library alone.
"""

from __future__ import annotations

from credit_wallet.domain.shares import ALERT_THRESHOLDS_PCT

ALERT_TABLES = ("am_credit_spending_alert", "am_credit_threshold_alert")


def alert_table(threshold_pct: int) -> str:
    """The table of the alert at ``threshold_pct``."""
    return ALERT_TABLES[threshold_pct not in ALERT_THRESHOLDS_PCT]
