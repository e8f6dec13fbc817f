"""Which table an alert is written to: the seed's takes its own three thresholds, and a wallet's own are beside it.

An alert fires once for a cycle and a threshold. When the budget was changed meanwhile, an event alone says that a
threshold of the new one was crossed, once for a cycle, a budget and a threshold.

Imports nothing but the shares, so that the alert job can run on the standard library alone.
"""

from __future__ import annotations

from credit_wallet.domain.budget import ALERT_THRESHOLDS_PCT

ALERT_TABLES = ("am_credit_spending_alert", "am_credit_threshold_alert")


def alert_table(threshold_pct: int) -> str:
    """The table of the alert at ``threshold_pct``."""
    return ALERT_TABLES[threshold_pct not in ALERT_THRESHOLDS_PCT]
