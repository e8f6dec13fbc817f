"""The proof of a ledger: its invariants at one moment, regardless of concurrent writes."""

from __future__ import annotations

from collections.abc import Iterable

from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.stores.jobs.backfill import backfill_pending, is_backfilled
from credit_wallet.stores.jobs.seals import Anchor
from credit_wallet.stores.jobs.verify import Violation, verify
from credit_wallet.stores.jobs.verify_processes import (
    MAX_PROCESSES,
    Provers,
    provers,
    sensible_processes,
)

BACKFILLS_BEFORE_A_PROOF = 3
"""Plain SQL may write between a backfill and a proof; the backfill is repeated up to this many times."""


def prove(ledger: Ledger, anchors: Iterable[Anchor], *, usage: bool, processes: int | None) -> list[Violation]:
    """The violations, after backfilling what plain SQL wrote.

    Raises ``InvalidRequest``, ``DatabaseError`` and ``VerifyInterrupted``.
    """
    size = _checked(processes) or sensible_processes(ledger.reader.source)
    with provers(size) as proving:
        return _proved(ledger, proving, [*anchors], usage=usage)


def _proved(ledger: Ledger, proving: Provers, anchors: list[Anchor], *, usage: bool) -> list[Violation]:
    attempts = BACKFILLS_BEFORE_A_PROOF
    while True:
        attempts -= 1
        ledger.maintain(backfill_pending, ledger.clock())
        with proving.at(ledger.reader.source) as (snapshot, proved):
            if is_backfilled(snapshot) or not attempts:
                now = ledger.clock()
                return verify(snapshot, now, anchors, usage=usage, prove=proved, pieces=proving.pieces)


def _checked(processes: int | None) -> int | None:
    if processes is not None and (type(processes) is not int or not 1 <= processes <= MAX_PROCESSES):
        raise InvalidRequest(f"processes must be 1 to {MAX_PROCESSES}, not {processes!r}", field="processes")
    return processes
