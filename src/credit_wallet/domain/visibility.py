"""What an agent key sees of its wallet: the figures that limit its spending, and its own part of everything else."""

from __future__ import annotations


def is_hidden(key_id: int | None, viewer_key_id: int | None) -> bool:
    """Whether the actions of agent key ``key_id`` (None: the owner) are hidden from ``viewer_key_id``.

    The owner, whose ``viewer_key_id`` is None, sees everything.
    """
    return viewer_key_id is not None and key_id != viewer_key_id
