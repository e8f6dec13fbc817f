"""Proving the ledger's invariants: every statement of ``verify.sql`` must come back empty and every seal must match."""

from __future__ import annotations

import re

from msgspec import Struct

from credit_wallet.cycle import CYCLE_PATTERN, cycle_bounds
from credit_wallet.stores import Source
from credit_wallet.stores.seals import broken_seals
from credit_wallet.stores.sql import statements

_FILE = "verify.sql"
_BY_CYCLE = ("cycle_spend", "key_spend")
_CYCLES = "recorded_cycles"
CHECKS = (*(name for name in statements(_FILE) if name != _CYCLES), "seals")
"""Names of what is checked; the line above each statement says what it means."""


class Violation(Struct, frozen=True):
    """A broken invariant. ``wallet_id`` is None for a seal, which spans wallets."""

    check: str
    wallet_id: int | None
    message: str


def verify(source: Source) -> list[Violation]:
    """Every violation in the ledger."""
    sql = statements(_FILE, source.dialect)
    violations = []
    for name, statement in sql.items():
        if name in _BY_CYCLE or name == _CYCLES:
            continue
        violations += [_violation(name, *row) for row in source.rows(statement, {})]
    for time_zone, cycle in source.rows(sql[_CYCLES], {}):
        if not CYCLE_PATTERN.fullmatch(cycle):
            continue  # plain SQL wrote a time that is none
        start, end = cycle_bounds(cycle, time_zone)
        for name in _BY_CYCLE:
            parameters = {"time_zone": time_zone, "cycle": cycle, "cycle_start": start, "cycle_end": end}
            found = source.rows(sql[name], parameters)
            violations += [_violation(name, *row) for row in found]
    violations += [
        Violation("seals", None, f"seal {seal.seal_id}: entries {seal.first_txn_id} to {seal.last_txn_id} have changed")
        for seal in broken_seals(source)
    ]
    return violations


def _violation(check: str, wallet_id: int, expected: int, found: int) -> Violation:
    meaning = re.sub(r"^-- [a-z_]+: ", "", statements(_FILE)[check].splitlines()[0])
    return Violation(check, wallet_id, f"wallet {wallet_id}: {meaning} — expected {expected}, found {found}")
