"""Checks of references and metadata, the same for wallets, agent keys and movements. Runs in the caller."""

from __future__ import annotations

from collections.abc import Mapping

from credit_wallet.domain.metadata import (
    MAX_METADATA_KEY_LENGTH,
    MAX_METADATA_LENGTH,
    MAX_METADATA_PAIRS,
    MAX_METADATA_VALUE_LENGTH,
    MAX_REFERENCE_LENGTH,
    Metadata,
)
from credit_wallet.errors import InvalidRequest, WalletError


def checked_reference(value: object, field: str = "reference") -> str | None:
    """``value`` if it is None or a reference. Raises ``InvalidRequest`` naming ``field``."""
    if problem := malformed_reference(value, field):
        raise problem
    return value if isinstance(value, str) else None


def checked_metadata(value: object, field: str = "metadata") -> Metadata:
    """The pairs of a mapping, sorted by key; none for None. Raises ``InvalidRequest`` naming ``field``."""
    if value is None:
        return ()
    if not isinstance(value, Mapping):
        raise InvalidRequest(f"{field} must be a mapping of keys to texts", field=field)
    pairs = tuple(sorted(value.items(), key=lambda pair: str(pair[0])))
    if problem := malformed_metadata(pairs, field):
        raise problem
    return pairs


def malformed_reference(value: object, field: str = "reference") -> WalletError | None:
    """A reference is None or 1 to 255 printable characters."""
    if value is None or (isinstance(value, str) and 0 < len(value) <= MAX_REFERENCE_LENGTH and value.isprintable()):
        return None
    return InvalidRequest(f"{field} must be 1 to {MAX_REFERENCE_LENGTH} printable characters", field=field)


def malformed_metadata(pairs: Metadata, field: str = "metadata") -> WalletError | None:
    """Metadata are up to 20 pairs with different keys, and at most 2,000 characters in all."""
    if len(pairs) > MAX_METADATA_PAIRS:
        return InvalidRequest(f"{field} has at most {MAX_METADATA_PAIRS} pairs, not {len(pairs)}", field=field)
    for key, value in pairs:
        if not isinstance(key, str) or not 0 < len(key) <= MAX_METADATA_KEY_LENGTH or not key.isprintable():
            return InvalidRequest(
                f"a key of {field} must be 1 to {MAX_METADATA_KEY_LENGTH} printable characters", field=field
            )
        if not isinstance(value, str) or len(value) > MAX_METADATA_VALUE_LENGTH or not _is_storable(value):
            return InvalidRequest(
                f"{field} {key} must be text of at most {MAX_METADATA_VALUE_LENGTH} characters without NUL",
                field=f"{field}.{key}",
            )
    if len(dict(pairs)) < len(pairs):
        return InvalidRequest(f"{field} must have different keys", field=field)
    length = sum(len(key) + len(value) for key, value in pairs)
    if length > MAX_METADATA_LENGTH:
        return InvalidRequest(
            f"{field} must have at most {MAX_METADATA_LENGTH:,} characters in all, not {length:,}", field=field
        )
    return None


def _is_storable(text: str) -> bool:
    """Whether a database can store it: no NUL, no lone surrogate."""
    if "\0" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
