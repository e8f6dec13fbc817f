"""What an agent key sees of its wallet: the figures that say what it can spend, and of everything else its own part."""

from __future__ import annotations


def is_hidden(key_id: int | None, viewer_key_id: int | None) -> bool:
    """Whether what agent key ``key_id`` did (None: the owner) is somebody else's affair to ``viewer_key_id``.

    The owner, whose ``viewer_key_id`` is None, sees everything.
    """
    return viewer_key_id is not None and key_id != viewer_key_id
