"""One source for each lane of reading: a long question on one keeps no other waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from credit_wallet.ledger.reading_lanes import LANES, PROBES, riding
from credit_wallet.stores import Source


class LaneSource:
    """The sources of a database, of which each question takes that of its lane.

    What rides no lane, a caller of the library or a background job, has one of its own. A source that serves many at
    once is shared: it has a connection for each thread of the lanes.
    """

    def __init__(self, open_source: Callable[[], Source]) -> None:
        """Open them all: a file that is opened later could be another one. Raises ``DatabaseError``."""
        self._own = open_source()
        self._of: dict[str, Source] = {}
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
        """Run a statement with ``:name`` parameters on the source of the present lane. Raises ``DatabaseError``."""
        return self._of.get(riding.get(), self._own).rows(statement, parameters)

    @contextmanager
    def snapshot(self) -> Iterator[Source]:
        """The ledger as it is now, on a connection of its own. Raises ``DatabaseError``."""
        with self._of.get(riding.get(), self._own).snapshot() as source:
            yield source

    def close(self) -> None:
        """Let go of the database."""
        for source in (*self._of.values(), self._own):
            source.close()
