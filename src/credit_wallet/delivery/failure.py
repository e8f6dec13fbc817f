"""What keeps a notice from arriving."""

from __future__ import annotations


class NotDelivered(Exception):
    """An attempt that failed. ``gone`` says that the receiver wants no more of them."""

    def __init__(self, reason: str, *, retry_after_seconds: float = 0.0, gone: bool = False) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds
        self.gone = gone
