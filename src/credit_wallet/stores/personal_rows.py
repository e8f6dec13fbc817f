"""What a wallet's rows have of people: words that they wrote, and what names them; the same on every database."""

from __future__ import annotations

from typing import Any

from credit_wallet.domain.personal import PersonalItem
from credit_wallet.stores import Source
from credit_wallet.stores.profile_rows import parse_metadata
from credit_wallet.stores.sql import statements

SQL = statements("personal.sql")

FIELDS: dict[str, tuple[str, ...]] = {
    "key": ("label", "group", "reference", "metadata"),
    "target": ("address",),
    "consent": ("consented_by", "text"),
    "budget": ("label", "scope"),
    "grant": ("note",),
    "hold": ("note", "usage"),
    "payer": ("customer", "payment_method"),
}
"""What the statement of each kind reads after the id and the time."""


def personal_items(source: Source, kind: str, wallet_id: int, after: int, limit: int) -> list[PersonalItem]:
    """Up to ``limit`` things of a kind with an id above ``after``, by id."""
    rows = source.rows(SQL[kind], {"wallet_id": wallet_id, "after": after, "limit": limit})
    return [PersonalItem(kind, key, at, _named(kind, values)) for key, at, *values in rows]


def _named(kind: str, values: list[Any]) -> dict[str, Any]:
    named = zip(FIELDS[kind], values, strict=True)
    data = {name: value for name, value in named if value is not None}
    return {**data, "metadata": parse_metadata(data["metadata"])} if "metadata" in data else data
