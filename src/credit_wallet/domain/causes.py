"""Causes: why credit came in or went out, where the type of a ledger entry does not say (migration 294)."""

from __future__ import annotations

from typing import Final, Literal

Cause = Literal[
    "payment",
    "grant",
    "reinstatement",
    "pay_back_failed",
    "transfer_in",
    "transfer_returned",
    "adjustment",
    "clawback",
    "pay_back",
    "debt_repayment",
    "transfer_out",
]
"""The first six are of top-ups, an adjustment is of either, the others are of reversals. Charges, refunds and expiries
have none.

Entries from before migration 294 and those of plain SQL have no cause either; the beginning of their note says it.
"""

PAID_BACK: Final = "paid back of top-up"
"""Begins the note of an entry that took credit out to be paid back."""

NOT_PAID_BACK: Final = "not paid back of top-up"
"""Begins the note of an entry that restored such credit, since the provider did not pay it back."""

REINSTATED: Final = "given again of top-up"
"""Began the note of an entry that restored what a dispute or a refund took, before entries had a cause."""
