"""Segments as rows: written when they end, and derived from a chain.

See ``credit_wallet.rules.segments`` for what they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

from credit_wallet.domain.cycle import CYCLE_PATTERN, cycle_bounds, cycle_of
from credit_wallet.domain.money import MICROS
from credit_wallet.rules.details import exact_micros, parse_detail
from credit_wallet.rules.state import ClosedSegment, Snapshot
from credit_wallet.stores import Connection
from credit_wallet.stores.sql import statements

SQL = statements("segments.sql")

STEPS = 10_000
"""Entries of a chain that are read at once."""

Rows: TypeAlias = Callable[[str, dict[str, Any]], list[tuple[Any, ...]]]
"""Runs a statement with ``:name`` parameters."""


class ChainEntry(NamedTuple):
    """An entry of a chain; ``lots`` are present when it took back or reinstated credit."""

    txn_id: int
    prev_txn_id: int | None
    occurred_at: str
    ledger_balance_yen: int | None
    amount_yen: int
    txn_type: str
    related_txn_id: int | None
    lots: str | None
    detail: str | None = None

    @property
    def amount_micros(self) -> int:
        """Its exact amount."""
        return exact_micros(self.amount_yen, parse_detail(self.detail))

    @property
    def ledger_balance_micros(self) -> int:
        """The exact balance with open holds after it."""
        return (self.ledger_balance_yen or 0) * MICROS + parse_detail(self.detail).fraction


def chain(rows: Rows, wallet_id: int, last_txn_id: int | None) -> Iterator[ChainEntry]:
    """A wallet's entries from ``last_txn_id`` back, newest first."""
    start = last_txn_id
    while start:
        found = rows(SQL["chain"], {"wallet_id": wallet_id, "start": start, "steps": STEPS})
        yield from map(ChainEntry._make, found)
        start = found[-1][1] if len(found) == STEPS else None


def segments_of(
    entries: Iterable[ChainEntry], wallet_id: int, current_cycle: str, time_zone: str
) -> Iterator[ClosedSegment]:
    """The closed segments of a chain that is passed newest first, newest first. The open one is of ``current_cycle``.

    Most entries are of the cycle of the one before, which comparing their texts with its bounds shows.
    """
    cycle, (start, end) = current_cycle, _bounds(current_cycle, time_zone)
    for entry in entries:
        at = entry.occurred_at
        if at[10:11] == "T" and at[-1:] == "Z" and start <= at < end:
            continue
        found = cycle_of(at, time_zone)
        if found != cycle:
            cycle, (start, end) = found, _bounds(found, time_zone)
            yield ClosedSegment(wallet_id, entry.txn_id, cycle, entry.ledger_balance_micros)


def _bounds(cycle: str, time_zone: str) -> tuple[str, str]:
    """Instants between these bounds (exclusive), as the wallet writes them, belong to ``cycle``."""
    return cycle_bounds(cycle, time_zone) if CYCLE_PATTERN.fullmatch(cycle) else ("", "")


def put_segments(connection: Connection, segments: Iterable[ClosedSegment]) -> None:
    """Write closed segments, each wallet's in the order of its chain, behind its lock."""
    for segment in segments:
        closing_yen, closing_fraction = divmod(segment.closing_micros, MICROS)
        connection.execute(
            SQL["put_segment"],
            {
                "wallet_id": segment.wallet_id,
                "last_txn_id": segment.last_txn_id,
                "billing_cycle": segment.billing_cycle,
                "closing_yen": closing_yen,
                "closing_fraction": closing_fraction,
            },
        )


def closed_in(snapshot: Snapshot) -> list[ClosedSegment]:
    """The segments that a batch has closed, in the order to be written in."""
    return [segment for _, segments in sorted(snapshot.closed_segments.items()) for segment in segments]
