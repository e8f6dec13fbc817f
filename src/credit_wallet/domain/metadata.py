"""A host's own words on what is kept here: a reference, its id of the thing, and metadata, pairs of texts."""

from __future__ import annotations

from typing import TypeAlias

Metadata: TypeAlias = tuple[tuple[str, str], ...]
"""Key and value of each pair, sorted by key."""

MAX_REFERENCE_LENGTH = 255

MAX_METADATA_PAIRS = 20

MAX_METADATA_KEY_LENGTH = 40

MAX_METADATA_VALUE_LENGTH = 500

MAX_METADATA_LENGTH = 2_000
"""Characters of all keys and values together, so that nobody makes the entries of a ledger large."""
