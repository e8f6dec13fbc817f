"""The bodies of an operator's corrections: each says why, by a code and in words."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from msgspec import UNSET, Meta, UnsetType

from credit_wallet.domain.commands import MAX_NOTE_LENGTH
from credit_wallet.domain.corrections import CorrectionReason
from credit_wallet.domain.money import MAX_AMOUNT_YEN
from credit_wallet.domain.outcomes import LotKind
from credit_wallet.wire.bodies import Amount, Body, End, Id, Note
from credit_wallet.wire.names import Metadata, Reference

CHANGE_PATTERN = r"^(?=.*[1-9])-?(0|[1-9][0-9]{0,12})(\.[0-9]{1,6})?$"
"""A decimal other than 0, with up to six places, below zero or above."""

Change: TypeAlias = (
    Annotated[int, Meta(ge=-MAX_AMOUNT_YEN, le=MAX_AMOUNT_YEN)]
    | Annotated[str, Meta(pattern=CHANGE_PATTERN, description="Decimal yen, in quotes.")]
)
"""Yen to add, or below zero to take."""

Why = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_NOTE_LENGTH,
        pattern="^[^\\x00]*[^\\x00\\s][^\\x00]*$",
        description="What happened: text without NUL.",
    ),
]


class AdjustBody(Body, frozen=True):
    """How a balance is corrected."""

    amount_yen: Change
    reason: CorrectionReason
    note: Why
    kind: LotKind | None = None
    expires_at: End | None = None
    allow_debt: bool = False
    reference: Reference | None = None
    metadata: Metadata | None = None


class TakeBackBody(Body, frozen=True):
    """The manual top-up that is taken back, in full or in part."""

    txn_id: Id
    note: Why
    reason: CorrectionReason = "mistyped_topup"
    amount_yen: Amount | None = None
    allow_debt: bool = False
    reference: Reference | None = None
    metadata: Metadata | None = None


class FreezeBody(Body, frozen=True):
    """Whether a wallet is frozen, and why."""

    frozen: bool
    reason: CorrectionReason
    note: Note | None = None


class CloseBody(Body, frozen=True):
    """Why a wallet is closed, and what happens to what is left in it."""

    note: Why
    reason: CorrectionReason = "closing"
    unused: Literal["pay_back", "write_off"] = "pay_back"
    release_holds: bool = False
    write_off_debt: bool = False


class MergeBody(Body, frozen=True):
    """The wallet of the same customer that all credit goes to."""

    into_wallet_id: Id
    note: Why
    reason: CorrectionReason = "merge"


class EraseBody(Body, frozen=True):
    """Why a wallet's personal data is erased."""

    reason: CorrectionReason = "customer_request"
    note: Why | None = None


class HandOverBody(Body, frozen=True):
    """The customer that a wallet is attached to."""

    reference: Reference | None
    metadata: Metadata | UnsetType = UNSET
    rotate_token: bool = False
    reason: CorrectionReason = "other"
    note: Note | None = None
