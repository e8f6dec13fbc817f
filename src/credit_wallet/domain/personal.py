"""Personal data: what people have written about themselves, or what names them, of one wallet."""

from __future__ import annotations

from typing import Any

from msgspec import Struct


class PersonalItem(Struct, frozen=True):
    """Something of a wallet that has words of people, or names one: ``kind`` and ``id`` say what it is."""

    kind: str
    id: int
    at: str | None
    """When it was made or written."""
    data: dict[str, Any]


class PersonalPage(Struct, frozen=True):
    """A page of a wallet's personal data. ``next_cursor`` is sent for the next page; null on the last one."""

    items: list[PersonalItem]
    next_cursor: str | None
