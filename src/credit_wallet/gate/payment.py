"""What an exchange knows of how its request is paid for."""

from __future__ import annotations

from types import TracebackType
from typing import Protocol

from credit_wallet.wire.asgi import RawHeaders


class Payment(Protocol):
    """A request that is being paid for, from a wallet or with x402.

    It is an async context manager, entered as soon as it is made: leaving the block without ``deliver`` undoes it,
    unless ``serve`` was called before; then it is paid. Leaving twice changes nothing.
    """

    undo_reason: str
    """Why it is undone, if it is."""

    async def __aenter__(self) -> object: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

    async def confirm(self) -> None:
        """The answer begins and is not a failure. Raises the reason if it must not be sent."""

    def begin(self) -> None:
        """The first byte of the answer's body left."""

    def serve(self) -> None:
        """The answer is paid from now on. Nobody waits for that to be recorded."""

    async def deliver(self) -> None:
        """The caller has the answer. Only the first of ``deliver`` and ``undo`` counts."""

    async def undo(self, reason: str) -> None:
        """The caller got no answer: give back what was paid."""

    def headers(self) -> RawHeaders:
        """What the answer says about the payment."""
