"""Opening a ledger at a database."""

from __future__ import annotations

from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.clock import LedgerClock
from credit_wallet.ledger.lane_source import LaneSource
from credit_wallet.ledger.lanes import Lanes
from credit_wallet.ledger.ledger import Ledger, Now
from credit_wallet.ledger.rail import Observer
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.reads import Reader

MAX_LANES = 64
"""Each is a connection to the database."""


def open_ledger(
    url: str,
    *,
    max_batch: int,
    max_waiting: int,
    lanes: int | None,
    clock: Now,
    observe: Observer | None,
    create: bool,
) -> Ledger:
    """The ledger at ``url``. Raises ``InvalidRequest``, ``NoLedger``, ``DatabaseError`` and ``MigrationError``."""
    database = database_at(url)
    if not create:
        database.require_ledger()
    opened = Lanes(
        lambda: database.open_store(clock()),
        clock,
        _checked_lanes(lanes, database.lanes),
        max_batch=max_batch,
        max_waiting=max_waiting,
        observe=observe,
    )
    try:
        ledger = Ledger(opened, Reader(LaneSource(database.open_source)), clock)
    except BaseException:
        opened.close()
        raise
    LedgerClock(ledger).compare()
    return ledger


def _checked_lanes(given: int | None, usual: int) -> int:
    if given is None:
        return usual
    max_lanes = 1 if usual == 1 else MAX_LANES
    if type(given) is not int or not 1 <= given <= max_lanes:
        raise InvalidRequest(f"lanes must be 1 to {max_lanes} for this database, not {given!r}", field="lanes")
    return given
