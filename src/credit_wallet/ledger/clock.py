"""The clock of a ledger, which trusts neither the machine's clock nor an entry's date alone."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime

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

    def now(self) -> datetime:
        """The time that the ledger goes by (UTC)."""
        return self._ledger.clock()

    def compare(self) -> None:
        """Show the clock the newest entry, which may be dated after now."""
        clock = self._ledger.clock
        if isinstance(clock, SteadyClock):
            with suppress(DatabaseCorrupt, ValueError, OverflowError):  # plain SQL may write anything
                newest = self.newest_entry_at()
                clock.compare(None if newest is None else parse_instant(newest))

    def newest_entry_at(self) -> str | None:
        """When the newest entry of the whole ledger was written (ISO 8601, UTC); None for an empty one."""
        return self._ledger.reader.newest_entry_at()

    def ahead_seconds(self) -> float:
        """Seconds that the machine's clock is ahead of the trusted time, negative when behind; 0 when they agree."""
        clock = self._ledger.clock
        return clock.ahead_seconds() if isinstance(clock, SteadyClock) else 0.0

    def problem(self) -> str | None:
        """How the clocks disagree, for people; None when they agree."""
        clock = self._ledger.clock
        return clock.problem() if isinstance(clock, SteadyClock) else None

    def log_problem(self) -> None:
        """Log how the clocks disagree, if they do; for the start of a long-running command."""
        if (problem := self.problem()) is not None:
            _log.warning("clocks_disagree", problem=problem)
