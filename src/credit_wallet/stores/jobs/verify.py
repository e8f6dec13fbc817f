"""Proving a ledger: everything that decides about money or access is derived again from the entries and other facts,
and compared.

Each invariant is a statement that must return no row (``proofs.invariants``); the details of entries, the sums by
billing cycle, the triggers that protect rows, and the seals are checked separately. All are made of parts that can be
proved apart from one another (``proofs.parts``), here one after another and in ``verify_processes`` side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import partial
from itertools import chain
from typing import Any, TypeAlias

from credit_wallet.stores import Source
from credit_wallet.stores.jobs.proofs import parts
from credit_wallet.stores.jobs.proofs.details import merged
from credit_wallet.stores.jobs.proofs.invariants import meanings
from credit_wallet.stores.jobs.proofs.parts import Asked, Part, proved
from credit_wallet.stores.jobs.proofs.violations import Violation
from credit_wallet.stores.jobs.seals import Anchor

__all__ = ["CHECKS", "Violation", "verify"]

CHECKS = (*meanings(), "protection", "seals", "unsealed", "anchors")
"""Names of the checks; ``docs/explanation/what-verify-proves.md`` says what each means."""

Prove: TypeAlias = Callable[[Sequence[Part], Asked], list[Any]]
"""Proves parts, in any order; their results in the order of the parts."""


def verify(
    source: Source,
    now: datetime | None = None,
    anchors: Iterable[Anchor] = (),
    *,
    usage: bool = False,
    prove: Prove | None = None,
    pieces: int = 1,
) -> list[Violation]:
    """Every violation in the ledger, of which ``source`` must be a snapshot.

    ``now`` dates entries without a seal; without it their age is not checked. ``anchors`` are seals that were recorded
    elsewhere, which the ledger must still have. ``usage`` counts usage again even if its sums tie. ``prove`` proves the
    parts at the same snapshot, by default here; what can be divided by ranges of ids is divided into about ``pieces``.
    The result does not depend on either.
    """
    prove = prove or partial(proved_here, source)
    asked = Asked(now, usage, tuple(anchors))
    details = merged(source, prove(parts.of_details(source, pieces), asked))
    if not details.readable:
        return details.violations  # no sum that includes them is any
    asked = asked.with_amounts(in_whole_yen=not details.exist)
    before, cycles, after = parts.of_invariants(), parts.of_cycles(source), parts.of_the_rest(source, pieces)
    found = prove([*before, *cycles, *after], asked)
    suspects = set[tuple[str, int]]().union(*found[len(before) : len(before) + len(cycles)])
    of_cycles = prove(parts.of_suspects(suspects, pieces), asked)
    violations = [*found[: len(before)], *of_cycles, *found[len(before) + len(cycles) :]]
    return [*details.violations, *chain.from_iterable(violations)]


def proved_here(source: Source, wanted: Sequence[Part], asked: Asked) -> list[Any]:
    """Prove parts one after another."""
    return [proved(source, part, asked) for part in wanted]
