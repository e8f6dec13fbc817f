"""Erasure: what a closed wallet has of people is emptied; what it was charged and paid stays."""

from __future__ import annotations

from typing import Final

from msgspec import Struct

BEGUN: Final = "erasure.begun"
SEALED: Final = "erasure.sealed"
ENDED: Final = "erasure.ended"

KINDS: Final = (BEGUN, SEALED, ENDED)
"""Acts of an erasure, which no erasure empties: that it began, the hash of a sealed range after it, and its end."""


class Erasure(Struct, frozen=True):
    """A wallet whose personal data is erased."""

    wallet_id: int
    begun_at: str
    erased_at: str
    """When it was found to have none for the first time."""
