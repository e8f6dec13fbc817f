"""The proof of a ledger: its invariants at one moment, whoever writes meanwhile."""

from __future__ import annotations

from collections.abc import Iterable

from credit_wallet.ledger.ledger import Ledger
from credit_wallet.stores.jobs.backfill import adopt_unadopted, is_adopted
from credit_wallet.stores.jobs.seals import Anchor
from credit_wallet.stores.jobs.verify import Violation, verify

ADOPTIONS_BEFORE_A_PROOF = 3
"""Plain SQL may write between an adoption and a proof; that often, it is adopted anew."""


def prove(ledger: Ledger, anchors: Iterable[Anchor]) -> list[Violation]:
    """What breaks an invariant, once what plain SQL wrote is adopted."""
    attempts = ADOPTIONS_BEFORE_A_PROOF
    while True:
        attempts -= 1
        ledger.maintain(adopt_unadopted, ledger.clock())
        with ledger.reader.source.snapshot() as snapshot:
            if is_adopted(snapshot) or not attempts:
                return verify(snapshot, ledger.clock(), anchors)
