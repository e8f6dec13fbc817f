"""Proving the ledger's invariants: every statement of ``verify.sql`` must come back empty and every seal must match."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from functools import partial

from msgspec import Struct

from credit_wallet.cycle import CYCLE_PATTERN, cycle_bounds, cycle_of
from credit_wallet.stores import Source
from credit_wallet.stores.seals import broken_seals
from credit_wallet.stores.segments import SQL as SEGMENTS
from credit_wallet.stores.segments import chain
from credit_wallet.stores.sql import statements

_FILE = "verify.sql"
_BY_CYCLE = ("cycle_spend", "key_spend", "cycles")
_MOVED = "moved_in_cycle"
_CYCLES = "recorded_cycles"
_SPENDING = "spending"
_NO_CHECKS = (_CYCLES, _MOVED, _SPENDING)
_ONE_SPELLING = "replace(occurred_at, ' ', 'T')"
CHECKS = (*(name for name in statements(_FILE) if name not in _NO_CHECKS), "seals")
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
        if name not in (*_BY_CYCLE, *_NO_CHECKS):
            violations += [_violation(name, *row) for row in source.rows(statement, {})]
    violations += _of_cycles(source)
    violations += [
        Violation("seals", None, f"seal {seal.seal_id}: entries {seal.first_txn_id} to {seal.last_txn_id} have changed")
        for seal in broken_seals(source)
    ]
    return violations


def _of_cycles(source: Source) -> Iterator[Violation]:
    """What is recorded by cycle against the dates of the entries, which are read once for each cycle."""
    sql = statements(_FILE, source.dialect)
    by_cycle = sql[_MOVED] + "\nUNION ALL\n".join(sql[name] for name in _BY_CYCLE)
    to_walk: set[int] = set()
    to_count: set[int] = set()
    for time_zone, cycle in source.rows(sql[_CYCLES], {}):
        if not CYCLE_PATTERN.fullmatch(cycle):
            continue  # plain SQL wrote a time that is none
        start, end = cycle_bounds(cycle, time_zone)
        # A bound that is a date sorts before that date in every spelling; to bring them to one takes a third longer.
        statement = by_cycle if "T" in start + end else by_cycle.replace(_ONE_SPELLING, "occurred_at")
        parameters = {"time_zone": time_zone, "cycle": cycle, "cycle_start": start, "cycle_end": end}
        for name, wallet_id, _, _ in source.rows(statement, parameters):
            (to_walk if name == "cycles" else to_count).add(wallet_id)
    for wallet_id in sorted(to_count):
        yield from _of_spending(source, wallet_id)
    for wallet_id in sorted(to_walk):
        yield from _of_chain(source, wallet_id)


def _of_spending(source: Source, wallet_id: int) -> Iterator[Violation]:
    """Where what is recorded as spent in a cycle is not the sum of its charges, dated as ``cycle_of`` reads them."""
    this = {"wallet_id": wallet_id}
    [(_, _, time_zone)] = source.rows(SEGMENTS["chain_end"], this)
    charged_yen: Counter[tuple[int, str]] = Counter()
    recorded_yen: dict[tuple[int, str], int] = {}
    for is_record, at, key_id, amount_yen in source.rows(statements(_FILE, source.dialect)[_SPENDING], this):
        if is_record:
            recorded_yen[key_id, at] = amount_yen
            continue
        cycle = cycle_of(at, time_zone)
        for payer in {0, key_id or 0}:
            charged_yen[payer, cycle] += amount_yen
    own_keys = {key_id for key_id, _ in recorded_yen}
    for key_id, cycle in sorted({*charged_yen, *recorded_yen}):
        expected, found = charged_yen[key_id, cycle], recorded_yen.get((key_id, cycle), 0)
        if expected != found and key_id in own_keys and CYCLE_PATTERN.fullmatch(cycle):
            yield _violation("key_spend" if key_id else "cycle_spend", wallet_id, expected, found)


def _of_chain(source: Source, wallet_id: int) -> Iterator[Violation]:
    """The first place in a wallet's chain, walked from its end, where its segments are not what its entries say."""
    this = {"wallet_id": wallet_id}
    [(last_txn_id, cycle, time_zone)] = source.rows(SEGMENTS["chain_end"], this)
    ends = source.rows(SEGMENTS["segments"], this)
    violation = partial(_violation, "cycles", wallet_id)
    for entry in chain(source.rows, wallet_id, last_txn_id):
        if ends and ends[-1][0] == entry.txn_id:
            _, cycle, closing_yen = ends.pop()
            if closing_yen != entry.ledger_balance_yen:
                yield violation(entry.ledger_balance_yen, closing_yen)
                return
        if (of_entry := cycle_of(entry.occurred_at, time_zone)) != cycle:
            yield violation(of_entry, cycle)
            return
    if ends:
        yield violation(0, ends[-1][0])


def _violation(check: str, wallet_id: int, expected: object, found: object) -> Violation:
    meaning = re.sub(r"^-- [a-z_]+: ", "", statements(_FILE)[check].splitlines()[0])
    return Violation(check, wallet_id, f"wallet {wallet_id}: {meaning} — expected {expected}, found {found}")
