"""What sends notices, as those who have something to send know it; ``sender`` does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from credit_wallet.notices.targets import Target
from credit_wallet.notices.texts import Notice


class NotDelivered(Exception):
    """An attempt that failed. ``gone`` says that the receiver wants no more of them."""

    def __init__(self, reason: str, *, retry_after_seconds: float = 0.0, gone: bool = False) -> None:
        super().__init__(reason)
        self.retry_after_seconds = retry_after_seconds
        self.gone = gone


class Outbound(Protocol):
    """What sends from one event loop, and may be asked for many notices at once."""

    async def send(self, target: Target, notices: Sequence[Notice]) -> None:
        """Send ``notices`` to ``target`` in one message; a webhook takes one. Raises ``NotDelivered``."""

    async def ask(self, target: Target, code: str) -> None:
        """Ask a mailbox whether it wants notices. Raises ``NotDelivered``."""

    async def reach(self, target: Target) -> None:
        """Open and close a connection to a webhook or the mail server, and send nothing. Raises ``NotDelivered``.

        Other services are not asked: their addresses are their own.
        """
