"""Corrections: why an operator changes what a wallet has, or whether it may be used."""

from __future__ import annotations

from typing import Final, Literal, get_args

CorrectionReason = Literal[
    "mistyped_topup",
    "goodwill",
    "service_failure",
    "duplicate_charge",
    "fraud",
    "leaked_token",
    "customer_request",
    "write_off",
    "merge",
    "closing",
    "other",
]
"""The codes that a correction can have; what happened is for its note to say."""

CORRECTION_REASONS: Final[tuple[str, ...]] = get_args(CorrectionReason)
