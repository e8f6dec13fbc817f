"""What an agent sees of its wallet: not what other agents are called, may spend and have bought."""

from __future__ import annotations

from typing import TypeVar

from msgspec import structs

from credit_wallet.outcomes import Transaction

T = TypeVar("T", bound=Transaction)


def is_hidden(key_id: int | None, viewer_key_id: int | None) -> bool:
    """Whether what agent key ``key_id`` did (None: the owner) is another agent's affair to ``viewer_key_id``.

    The owner, whose ``viewer_key_id`` is None, sees everything.
    """
    return viewer_key_id is not None and key_id is not None and key_id != viewer_key_id


def as_seen(entry: T, viewer_key_id: int | None) -> T:
    """A ledger entry without its note where that is another agent's."""
    if entry.note is None or not is_hidden(entry.key_id, viewer_key_id):
        return entry
    return structs.replace(entry, note=None)
