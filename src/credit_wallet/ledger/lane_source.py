"""One source for each lane of reading, so that a long query on one does not delay another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from credit_wallet.ledger.reading_lanes import LANES, PROBES, riding
from credit_wallet.stores import LedgerSource, Shared, Source


class LaneSource:
    """The sources of a database; each query uses that of its lane.

    Queries on no lane, from library callers or background jobs, have a separate source. A source that serves many at
    once is shared: it has a connection for each thread of the lanes.
    """

    def __init__(self, open_source: Callable[[], LedgerSource]) -> None:
        """Open them all now: a file that is opened later could be a different one. Raises ``DatabaseError``."""
        self._own = open_source()
        self._of: dict[str, LedgerSource] = {}
        self.dialect, self.in_process = self._own.dialect, self._own.in_process
        self.serves_many = True
        if self._own.serves_many:
            return
        try:
            for lane in LANES:
                if lane is PROBES:
                    continue
                self._of[lane.name] = open_source()
        except BaseException:
            self.close()
            raise

    def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Run a statement with ``:name`` parameters on the source of the current lane. Raises ``DatabaseError``."""
        return self._of.get(riding.get(), self._own).rows(statement, parameters)

    @contextmanager
    def snapshot(self) -> Iterator[Source]:
        """A snapshot of the ledger, on a separate connection. Raises ``DatabaseError``."""
        with self._of.get(riding.get(), self._own).snapshot() as source:
            yield source

    @contextmanager
    def shared(self) -> Iterator[Shared]:
        """Likewise, one that other processes can read as well."""
        with self._of.get(riding.get(), self._own).shared() as shared:
            yield shared

    def close(self) -> None:
        """Close the connections to the database."""
        for source in (*self._of.values(), self._own):
            source.close()
