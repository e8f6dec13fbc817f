"""Lanes: the rails of one node. A wallet always uses the same one, so that its commands stay in order.

SQLite has one writer and one lane. PostgreSQL has several, so that one batch is decided while another is being written,
and a separate rail for the background jobs, so that charges do not wait for them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from math import inf
from typing import TypeVar

from credit_wallet.domain.commands import Command
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import WalletError
from credit_wallet.ledger.rail import Observer, Outcomes, Rail
from credit_wallet.stores import Store

T = TypeVar("T")


class Lanes:
    """Rails, each with its own store."""

    def __init__(
        self,
        open_store: Callable[[], Store],
        clock: Callable[[], datetime],
        lanes: int,
        *,
        max_batch: int,
        max_waiting: int,
        observe: Observer | None = None,
    ) -> None:
        """Open ``lanes`` stores, each on its rail's thread; ``max_waiting`` applies to each lane.

        Raises what ``open_store`` raises.
        """
        self.max_batch = max_batch
        self._rails: list[Rail] = []
        try:
            for _ in range(lanes if lanes == 1 else lanes + 1):
                self._rails.append(
                    Rail(open_store, clock, max_batch=max_batch, max_waiting=max_waiting, observe=observe)
                )
        except BaseException:
            self.close()
            raise
        self._lanes = self._rails[:lanes]
        self.maintenance = self._rails[-1]
        """The rail of the background jobs."""

    def of(self, wallet_id: int) -> Rail:
        """The rail that a wallet uses."""
        return self._lanes[wallet_id % len(self._lanes)]

    def submit(self, commands: Sequence[Command]) -> Outcomes:
        """Carry out ``commands``, at most ``max_batch``, as one batch on the lane of the first one's wallet."""
        return self.of(commands[0].wallet_id).submit(commands)

    def asubmit(self, commands: Sequence[Command]) -> Awaitable[Outcomes]:
        """Like ``submit``, for asyncio callers."""
        return self.of(commands[0].wallet_id).asubmit(commands)

    def post(self, command: Command, failed: Callable[[Exception], None]) -> None:
        """Carry out ``command`` with the next batch of its wallet's lane, without waiting for it."""
        self.of(command.wallet_id).post(command, failed)

    def submit_by_lane(self, commands: Iterable[Command]) -> list[Outcome | WalletError]:
        """Carry out any number of ``commands``, each on its wallet's lane; their outcomes are in no special order."""
        outcomes: list[Outcome | WalletError] = []
        by_rail: dict[Rail, list[Command]] = {}
        for command in commands:
            by_rail.setdefault(self.of(command.wallet_id), []).append(command)
        for rail, own in by_rail.items():
            for start in range(0, len(own), self.max_batch):
                outcomes += rail.submit(own[start : start + self.max_batch])
        return outcomes

    def last_look(self) -> tuple[float, int | None]:
        """When the last batch looked whether others had written, and how often they had; None when nobody can tell."""
        return self._rails[0].last_look() if len(self._rails) == 1 else (-inf, None)

    def waiting(self) -> int:
        """Commands that are queued or being carried out."""
        return sum(rail.waiting() for rail in self._rails)

    def close(self) -> None:
        """Finish the waiting commands on every rail and close the stores."""
        for rail in self._rails:
            rail.close()
