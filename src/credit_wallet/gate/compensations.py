"""What must still be done to wallets: movements that failed for now, or that nobody waits for."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from itertools import chain, islice
from time import monotonic
from typing import Any, TypeAlias

from credit_wallet.domain.backoff import Backoff
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import (
    DatabaseError,
    RailBusy,
    ServiceFailed,
    ServiceUnreachable,
    UnexpectedResponse,
    WalletError,
)
from credit_wallet.telemetry import Logger
from credit_wallet.wire.problems import TooManyFailures

Movement: TypeAlias = Callable[[], Awaitable[Outcome | None]]

AT_ONCE_SECONDS = 2.0
"""How long an answer waits for a movement that gives back."""

BACKOFF = Backoff(first_seconds=0.1, longest_seconds=10.0)

ATTEMPTS = 100
"""With the pauses above, a quarter of an hour. Then a person must act."""

PASSING = (
    DatabaseError,
    RailBusy,
    ServiceFailed,
    ServiceUnreachable,
    TooManyFailures,
    UnexpectedResponse,
    TimeoutError,
)

_log = Logger("credit_wallet.gate")


class PendingCompensations:
    """Carries out movements, now or in the background. Each has its own idempotency key, so repeating it is safe."""

    def __init__(self) -> None:
        self._pending: set[asyncio.Task[None]] = set()

    async def now_or_later(self, movement: Movement, **about: object) -> Outcome | None:
        """The outcome; None if it must wait or is impossible, which is logged with ``about``."""
        try:
            async with asyncio.timeout(AT_ONCE_SECONDS):
                return await movement()
        except asyncio.CancelledError:
            self.later(movement, **about)
            raise
        except PASSING as error:
            _log.warning("gate_movement_waits", error=str(error), **about)
            self.later(movement, **about)
        except WalletError as error:
            _log.error("gate_movement_failed", code=error.code, error=str(error), **about)
        return None

    async def now_regardless(self, movement: Movement, **about: object) -> None:
        """Carry out a movement that goes on if the waiting is cancelled: servers cancel a streamed answer's handler as
        soon as its last byte is out, and what it costs must not wait for a later price.
        """
        task = self._begin(_until_done(movement, chain((0.0,), BACKOFF.pauses()), ATTEMPTS, about))
        done, _ = await asyncio.wait((task,), timeout=AT_ONCE_SECONDS)
        if done:
            await task  # what it raises is a defect, and not to be lost

    async def drain(self, within_seconds: float) -> int:
        """Wait for what is pending, and what it leads to. Returns how many movements are still pending afterwards."""
        ends = monotonic() + within_seconds
        while self._pending and (left := ends - monotonic()) > 0:
            await asyncio.wait(tuple(self._pending), timeout=left)
        return len(self._pending)

    def later(self, movement: Movement, **about: object) -> None:
        """Carry out a movement in the background, as soon as the wallet is available."""
        self._begin(_until_done(movement, BACKOFF.pauses(), ATTEMPTS, about))

    def at_once_or_later(self, movement: Movement, *, tries: int = ATTEMPTS, **about: object) -> asyncio.Task[None]:
        """The same, starting now. The task ends when the movement is done or impossible."""
        return self._begin(_until_done(movement, chain((0.0,), BACKOFF.pauses()), tries, about))

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._pending.add(task)
        task.add_done_callback(self._pending.discard)
        return task


async def _until_done(movement: Movement, pauses: Iterable[float], tries: int, about: dict[str, object]) -> None:
    for pause in islice(pauses, tries):
        await asyncio.sleep(pause)
        try:
            await movement()
        except PASSING:
            continue
        except WalletError as error:
            _log.error("gate_movement_failed", code=error.code, error=str(error), **about)
        return
    _log.error("gate_movement_failed", error=f"the wallet was unavailable for {tries} attempts", **about)
