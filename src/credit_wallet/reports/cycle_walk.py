"""Walking the entries of a billing cycle in bounded steps.

The ledger chains a wallet's entries backwards. So a walk goes back once, recording where each step began, and can then
go forward by the same steps. Entries appended meanwhile are not part of it: a walk is pinned to the entries at its
beginning, and agrees with the cycle's opening balance at that moment.
"""

from __future__ import annotations

from collections.abc import Iterator

from credit_wallet.stores.reads import CycleEntry, Reader

ENTRIES_A_STEP = 500
"""A step takes milliseconds, so it delays others only briefly."""


class CycleWalk:
    """The entries of a cycle, step by step. It keeps one number for each step."""

    def __init__(self, reader: Reader, wallet_id: int, cycle: str) -> None:
        """Raises ``WalletNotFound``."""
        self._reader = reader
        self._wallet_id = wallet_id
        span = reader.cycle(wallet_id, cycle)
        self.opening_micros = span.opening_micros
        self._to_walk = list(span.segments)
        self._steps: list[tuple[int, int]] = []

    def back(self) -> list[CycleEntry] | None:
        """The entries before those of the last step, oldest first; None when there are no more."""
        if not self._to_walk:
            return None
        start, after = self._to_walk.pop()
        entries, before = self._reader.stretch(self._wallet_id, start, after, ENTRIES_A_STEP)
        self._steps.append((start, after))
        if before is not None:
            self._to_walk.append((before, after))
        return entries

    def steps(self) -> Iterator[tuple[int, int]]:
        """The steps of the walk back, the oldest entries first, for ``at``."""
        return reversed(self._steps)

    def at(self, step: tuple[int, int]) -> list[CycleEntry]:
        """The entries of a step, oldest first."""
        return self._reader.stretch(self._wallet_id, *step, ENTRIES_A_STEP)[0]
