"""What an exchange knows of how its request is paid for."""

from __future__ import annotations

from typing import Protocol

from credit_wallet.wire.replies import RawHeaders


class Sale(Protocol):
    """A request that is being paid for, from a wallet or by a payment of its own."""

    async def confirm(self) -> None:
        """The answer begins and is no failure. Raises what stands against sending it."""

    def begin(self) -> None:
        """The first byte of the answer's body left."""

    def serve(self) -> None:
        """The answer is paid from now on. Nobody waits for that to be written down."""

    async def deliver(self) -> None:
        """The answer is with the caller. Only the first of ``deliver``, ``cut`` and ``fail`` counts."""

    async def cut(self, reason: str) -> None:
        """The answer ended after its first byte and before its last, and that is paid."""

    async def fail(self, reason: str) -> None:
        """The caller got no answer: give back what was taken."""

    def headers(self) -> RawHeaders:
        """What the answer says about the payment."""

    def close(self) -> None:
        """Let go of what is held for this request."""
