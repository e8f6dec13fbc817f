"""Proofs of the sums by billing cycle from the dates of the entries, which are read once for each cycle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from functools import partial

from credit_wallet.domain.cycle import CYCLE_PATTERN, cycle_bounds, cycle_of
from credit_wallet.domain.money import MICROS
from credit_wallet.stores import Source
from credit_wallet.stores.jobs.proofs.invariants import BY_CYCLE, violation
from credit_wallet.stores.jobs.proofs.violations import Violation
from credit_wallet.stores.jobs.proofs.wording import worded
from credit_wallet.stores.segments import SQL as SEGMENTS
from credit_wallet.stores.segments import chain
from credit_wallet.stores.sql import statements

_FILE = "proofs/cycles.sql"
_ONE_SPELLING = "replace(occurred_at, ' ', 'T')"


def recorded_cycles(source: Source) -> list[tuple[str, str]]:
    """Time zones and cycles that anything is recorded for. Plain SQL may have written others, which are not months."""
    recorded = source.rows(statements(_FILE)["recorded_cycles"], {})
    return [(time_zone, cycle) for time_zone, cycle in recorded if CYCLE_PATTERN.fullmatch(cycle)]


def suspected(source: Source, time_zone: str, cycle: str, *, in_whole_yen: bool) -> set[tuple[str, int]]:
    """Wallets whose entries have to be read one by one to tell whether they match what is recorded of a cycle.

    Each with the invariant in question; most that are in order are not suspected.
    """
    sql = statements(_FILE)
    statement = worded(
        sql["moved_in_cycle"] + "\nUNION ALL\n".join(sql[name] for name in BY_CYCLE),
        source.dialect,
        in_whole_yen=in_whole_yen,
    )
    start, end = cycle_bounds(cycle, time_zone)
    if "T" not in start + end:
        # A bound that is a date sorts before that date in every spelling; to bring them to one takes a third longer.
        statement = statement.replace(_ONE_SPELLING, "occurred_at")
    parameters = {"time_zone": time_zone, "cycle": cycle, "cycle_start": start, "cycle_end": end}
    return {(name, wallet_id) for name, wallet_id in source.rows(statement, parameters)}


def broken_spending(source: Source, wallet_id: int, *, in_whole_yen: bool) -> Iterator[Violation]:
    """Recorded spending of a cycle that is not the sum of its charges, dated as ``cycle_of`` reads them."""
    this = {"wallet_id": wallet_id}
    [(_, _, time_zone)] = source.rows(SEGMENTS["chain_end"], this)
    charged: Counter[tuple[int, str]] = Counter()
    recorded: dict[tuple[int, str], int] = {}
    statement = worded(statements(_FILE)["spending"], source.dialect, in_whole_yen=in_whole_yen)
    for is_record, at, key_id, yen, beyond in source.rows(statement, this):
        amount_micros = yen * MICROS + beyond
        if is_record:
            recorded[key_id, at] = amount_micros
            continue
        cycle = cycle_of(at, time_zone)
        for payer in {0, key_id or 0}:
            charged[payer, cycle] += amount_micros
    own_keys = {key_id for key_id, _ in recorded}
    for key_id, cycle in sorted({*charged, *recorded}):
        expected, found = charged[key_id, cycle], recorded.get((key_id, cycle), 0)
        if expected != found and key_id in own_keys and CYCLE_PATTERN.fullmatch(cycle):
            yield violation("key_spend" if key_id else "cycle_spend", wallet_id, expected, found, "yen")


def broken_chain(source: Source, wallet_id: int) -> Iterator[Violation]:
    """The first place in a wallet's chain, walked from its end, where its segments do not match its entries."""
    this = {"wallet_id": wallet_id}
    [(last_txn_id, cycle, time_zone)] = source.rows(SEGMENTS["chain_end"], this)
    ends = source.rows(SEGMENTS["segments"], this)
    of_wallet = partial(violation, "cycles", wallet_id)
    for entry in chain(source.rows, wallet_id, last_txn_id):
        if ends and ends[-1][0] == entry.txn_id:
            _, cycle, closing_yen, closing_fraction = ends.pop()
            closing_micros = closing_yen * MICROS + closing_fraction
            if closing_micros != entry.ledger_balance_micros:
                yield of_wallet(entry.ledger_balance_micros, closing_micros, "yen")
                return
        if (of_entry := cycle_of(entry.occurred_at, time_zone)) != cycle:
            yield of_wallet(of_entry, cycle)
            return
    if ends:
        yield of_wallet(0, ends[-1][0])
