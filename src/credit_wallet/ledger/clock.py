"""The clock of a ledger, which believes neither a machine's clock nor an entry's date alone."""

from __future__ import annotations

from contextlib import suppress

from credit_wallet.domain.cycle import parse_instant
from credit_wallet.errors import DatabaseCorrupt
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.runtime.steady_clock import SteadyClock
from credit_wallet.telemetry import Logger

_log = Logger("credit_wallet.ledger")


class LedgerClock:
    """``wallets.clock``: the time that the ledger goes by: the earlier one when clocks disagree."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def compare(self) -> None:
        """Have the clock take note of the newest entry, which may be dated after now."""
        clock = self._ledger.clock
        if isinstance(clock, SteadyClock):
            with suppress(DatabaseCorrupt, ValueError, OverflowError):  # plain SQL may write anything
                newest = self.newest_entry_at()
                clock.compare(None if newest is None else parse_instant(newest))

    def newest_entry_at(self) -> str | None:
        """When the newest entry of the whole ledger was written (ISO 8601, UTC); None for an empty one."""
        return self._ledger.reader.newest_entry_at()

    def ahead_seconds(self) -> float:
        """By how much the machine's clock is ahead of the time that is believed, negative when behind; else 0."""
        clock = self._ledger.clock
        return clock.ahead_seconds() if isinstance(clock, SteadyClock) else 0.0

    def problem(self) -> str | None:
        """What the clocks disagree about, for people; None when they agree."""
        clock = self._ledger.clock
        return clock.problem() if isinstance(clock, SteadyClock) else None

    def log_problem(self) -> None:
        """Log what the clocks disagree about, if anything; for a command that begins to run for long."""
        if (problem := self.problem()) is not None:
            _log.warning("clocks_disagree", problem=problem)
