"""What a charge or a hold is for: an item of the price book in a quantity, and facts about the call."""

from __future__ import annotations

import re
from typing import TypeAlias

from msgspec import Struct

Facts: TypeAlias = tuple[tuple[str, str], ...]
"""Key and value of each fact, sorted by key."""

MAX_FACTS = 8
"""Facts of one charge, those of the seller and of the agent together."""

MAX_FACT_LENGTH = 64
"""Characters of a fact's value."""

MAX_ITEM_LENGTH = 64

MAX_QUANTITY = 10**12
"""Units of an item that one charge can be for."""

QUANTITY_UNIT = 1_000_000
"""Quantities are integers of millionths of a unit, as amounts are of a yen."""

FACT_KEY = re.compile(r"[a-z][a-z0-9_]{0,31}", re.ASCII)
ITEM = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*", re.ASCII)


class Usage(Struct, frozen=True, array_like=True, gc=False):
    """``quantity_micros`` of ``item`` (millionths of a unit; 0 without an item), and facts about the call.

    ``facts`` were set by the seller or operator, ``agent_facts`` by the payer. Where both set a key, figures by that
    fact go by the seller's.
    """

    item: str | None = None
    quantity_micros: int = 0
    facts: Facts = ()
    agent_facts: Facts = ()
    price_version: int | None = None
    """Set when it is priced: the version of the price book. Not part of a request."""
