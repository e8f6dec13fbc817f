"""Proving a ledger: what decides about money or access is derived from the entries and other facts, and compared.

Each invariant is a statement that must come back empty (``proofs.invariants``); what is recorded by billing cycle, the
triggers that protect rows, and the seals are looked at beside these.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from credit_wallet.stores import Source
from credit_wallet.stores.jobs.proofs.cycles import broken_cycles
from credit_wallet.stores.jobs.proofs.invariants import broken, meanings
from credit_wallet.stores.jobs.proofs.protection import unprotected
from credit_wallet.stores.jobs.proofs.sealed import broken_anchors, broken_seals, missing_seals, unsealed
from credit_wallet.stores.jobs.proofs.violations import Violation
from credit_wallet.stores.jobs.seals import Anchor

__all__ = ["CHECKS", "Violation", "verify"]

CHECKS = (*meanings(), "protection", "seals", "unsealed", "anchors")
"""Names of what is checked; ``docs/explanation/what-verify-proves.md`` says what each means."""


def verify(source: Source, now: datetime | None = None, anchors: Iterable[Anchor] = ()) -> list[Violation]:
    """Every violation in the ledger, which ``source`` must show as it was at one moment.

    ``now`` tells how old entries without a seal are; without it nobody asks. ``anchors`` are seals as they were noted
    elsewhere, which the ledger must still have.
    """
    return [
        *broken(source),
        *broken_cycles(source),
        *unprotected(source),
        *broken_seals(source),
        *missing_seals(source),
        *(unsealed(source, now) if now is not None else ()),
        *broken_anchors(source, anchors),
    ]
