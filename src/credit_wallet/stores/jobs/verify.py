"""Proving a ledger: everything that decides about money or access is derived again from the entries and other facts,
and compared.

Each invariant is a statement that must return no row (``proofs.invariants``); the details of entries, the sums by
billing cycle, the triggers that protect rows, and the seals are checked separately.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from credit_wallet.stores import Source
from credit_wallet.stores.jobs.proofs.budgets import broken_budgets
from credit_wallet.stores.jobs.proofs.cycles import broken_cycles
from credit_wallet.stores.jobs.proofs.details import proved_details
from credit_wallet.stores.jobs.proofs.invariants import broken, meanings
from credit_wallet.stores.jobs.proofs.protection import unprotected
from credit_wallet.stores.jobs.proofs.sealed import broken_anchors, broken_seals, missing_seals, unsealed
from credit_wallet.stores.jobs.proofs.usage import broken_usage
from credit_wallet.stores.jobs.proofs.violations import Violation
from credit_wallet.stores.jobs.seals import Anchor

__all__ = ["CHECKS", "Violation", "verify"]

CHECKS = (*meanings(), "protection", "seals", "unsealed", "anchors")
"""Names of the checks; ``docs/explanation/what-verify-proves.md`` says what each means."""


def verify(
    source: Source, now: datetime | None = None, anchors: Iterable[Anchor] = (), *, usage: bool = False
) -> list[Violation]:
    """Every violation in the ledger, of which ``source`` must be a snapshot.

    ``now`` dates entries without a seal; without it their age is not checked. ``anchors`` are seals that were recorded
    elsewhere, which the ledger must still have. ``usage`` counts usage again even if its sums tie.
    """
    details = proved_details(source)
    if not details.readable:
        return details.violations  # no sum that includes them is any
    in_whole_yen = not details.exist
    return [
        *details.violations,
        *broken(source, in_whole_yen=in_whole_yen),
        *broken_cycles(source, in_whole_yen=in_whole_yen),
        *broken_usage(source, in_whole_yen=in_whole_yen, counted_again=usage),
        *broken_budgets(source, now),
        *unprotected(source),
        *broken_seals(source),
        *missing_seals(source),
        *(unsealed(source, now) if now is not None else ()),
        *broken_anchors(source, anchors),
    ]
