"""The standing of a wallet: whether it is frozen, being closed, or closed for good."""

from __future__ import annotations

from typing import Final

from msgspec import Struct


class Standing(Struct, frozen=True, gc=False):
    """Since when a wallet is frozen, being closed or closed, and why; instants are as ``cycle`` writes them.

    ``merged_into`` is the wallet that the credit of one that is being closed goes to, or that of a closed one went to.
    """

    frozen_at: str | None = None
    frozen_reason: str | None = None
    frozen_note: str | None = None
    closing_at: str | None = None
    closed_at: str | None = None
    merged_into: int | None = None


OPEN: Final = Standing()
COLUMNS: Final = Standing.__struct_fields__
"""Of ``am_credit_wallet``."""
