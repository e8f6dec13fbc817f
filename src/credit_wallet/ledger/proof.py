"""The proof of a ledger: its invariants at one moment, regardless of concurrent writes."""

from __future__ import annotations

from collections.abc import Iterable

from credit_wallet.ledger.ledger import Ledger
from credit_wallet.stores.jobs.backfill import backfill_pending, is_backfilled
from credit_wallet.stores.jobs.seals import Anchor
from credit_wallet.stores.jobs.verify import Violation, verify

BACKFILLS_BEFORE_A_PROOF = 3
"""Plain SQL may write between a backfill and a proof; the backfill is repeated up to this many times."""


def prove(ledger: Ledger, anchors: Iterable[Anchor], *, usage: bool = False) -> list[Violation]:
    """The violations, after backfilling what plain SQL wrote."""
    attempts = BACKFILLS_BEFORE_A_PROOF
    while True:
        attempts -= 1
        ledger.maintain(backfill_pending, ledger.clock())
        with ledger.reader.source.snapshot() as snapshot:
            if is_backfilled(snapshot) or not attempts:
                return verify(snapshot, ledger.clock(), anchors, usage=usage)
