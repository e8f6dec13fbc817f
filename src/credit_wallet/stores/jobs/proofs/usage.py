"""Proofs of usage: where each wallet's begins, and that the sums are those of the entries that they cover.

The entries are counted again as the background job counts them, and compared with the sums without keeping either: each
row has a random number, and the rows' amounts times their numbers add up to the same for both, or a row differs.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from random import SystemRandom
from typing import Any, TypeAlias

from credit_wallet.domain.money import MICROS
from credit_wallet.domain.usage_periods import EVERY
from credit_wallet.stores import Source
from credit_wallet.stores.jobs.proofs.invariants import violation
from credit_wallet.stores.jobs.proofs.violations import Violation
from credit_wallet.stores.jobs.usage import (
    EVERYTHING,
    KEY,
    SEVERAL_ITEMS,
    SQL,
    WHOLE_WALLET,
    WRONG_BEGINNINGS,
    Sums,
    may_say,
    rollup_of,
)

ENTRIES_A_STEP = 20_000
SUMS_A_STEP = 10_000

_Exact: TypeAlias = tuple[int, int, int]
"""Charges, and the micros of what was charged and refunded."""

_MICROS = "CAST(e.detail ->> 'micros' AS BIGINT)"
_YEN = {True: "e.amount_yen", False: f"coalesce({_MICROS} / {MICROS}, e.amount_yen)"}
_FRACTION = {True: "0", False: f"coalesce({_MICROS} % {MICROS}, 0)"}
"""Whole yen and the micros beyond of an entry, by whether all are in whole yen."""

_BEFORE_ALL = {"wallet_id": -1, "every": "", "dimension": "", "key_id": -1, "period": "", "value": ""}
_KEY = tuple(_BEFORE_ALL)


def broken_usage(source: Source, *, in_whole_yen: bool, counted_again: bool) -> Iterator[Violation]:
    """Beginnings and sums that are not those of the entries.

    Unless they are to be ``counted_again``, that is done when the sums do not add up to the same, or not to what was
    charged and refunded. ``in_whole_yen`` says that no entry has a detail.
    """
    [(last,)] = source.rows(SQL["counted"], {})
    if counted_again or not _adds_up(source, last, in_whole_yen=in_whole_yen):
        yield from _counted_again(source, last)


def _adds_up(source: Source, last: int, *, in_whole_yen: bool) -> bool:
    """Whether each wallet's hours, days and months, the values of each dimension, and what its agent keys paid, add up
    to the same.
    """
    spent = SQL["spent"].replace("yen(e)", _YEN[in_whole_yen]).replace("fraction(e)", _FRACTION[in_whole_yen])
    expected = {wallet_id: _exact(*sums) for wallet_id, *sums in source.rows(spent, {"last": last})}
    lengths = 0
    of_dimension: dict[tuple[int, str, int], Counter[_Exact]] = defaultdict(Counter)
    paid_by_keys: dict[int, _Exact] = {}
    paid_by_each: dict[int, _Exact] = defaultdict(lambda: (0, 0, 0))
    for wallet_id, every, dimension, key_id, *sums in source.rows(SQL["added"], {}):
        of_all, of_values = _exact(*sums[:5]), _exact(*sums[5:])
        if (dimension, key_id) == (EVERYTHING, WHOLE_WALLET):
            lengths += 1
            if of_all != expected.get(wallet_id):
                return False
            continue
        if dimension != EVERYTHING and of_all != of_values:
            return False
        of_dimension[wallet_id, dimension, key_id][of_all] += 1
        if every == EVERY[0] and dimension == KEY:
            paid_by_keys[wallet_id] = of_all
        elif every == EVERY[0] and dimension == EVERYTHING:
            charges, charged, refunded = paid_by_each[wallet_id]
            paid_by_each[wallet_id] = (charges + of_all[0], charged + of_all[1], refunded + of_all[2])
    is_complete = lengths == len(EVERY) * len(expected) and paid_by_keys == paid_by_each
    return is_complete and all([*each.values()] == [len(EVERY)] for each in of_dimension.values())


def _exact(charges: int, yen: int, fraction: int, refunded_yen: int, refunded_fraction: int) -> _Exact:
    return int(charges), int(yen) * MICROS + int(fraction), int(refunded_yen) * MICROS + int(refunded_fraction)


def _counted_again(source: Source, last: int) -> Iterator[Violation]:
    for wallet_id, first_txn_id in source.rows(SQL["later_beginnings"], {"last": last}):
        yield violation("usage_start", wallet_id, f"one up to {last}", first_txn_id)
    balance = _Balance()
    for row in _sums(source):
        balance.take_row(row)
    for after in range(0, last, ENTRIES_A_STEP):
        span = {"after": after, "last": min(after + ENTRIES_A_STEP, last)}
        if not may_say(source, span):
            continue
        for wrong in source.rows(WRONG_BEGINNINGS, span):
            yield violation("usage_start", *wrong)
        for cell, sums in rollup_of(source.rows(SQL["moved"], span)).items():
            balance.add(cell, sums)
    for wallet_id in balance.unequal():
        yield violation("usage", wallet_id, "the sums of its entries", "others")


def _sums(source: Source) -> Iterator[tuple[Any, ...]]:
    after: dict[str, Any] = _BEFORE_ALL
    while rows := source.rows(SQL["sums"], {**after, "limit": SUMS_A_STEP}):
        yield from rows
        after = dict(zip(_KEY, rows[-1], strict=False))


class _Balance:
    """What is left, wallet by wallet, of the entries' sums without those on record; 0 when they are the same.

    A number for each row comes from the hash of its key, which differs from process to process.
    """

    def __init__(self) -> None:
        random = SystemRandom()
        self._weights = [random.getrandbits(61) for _ in range(5)]
        self._left: dict[int, int] = defaultdict(int)
        self._several: set[int] = set()
        """Rows of several items, whose quantities are not added up."""

    def take_row(self, row: tuple[Any, ...]) -> None:
        """Subtract a row on record."""
        cell, (charges, item, *amounts) = row[:6], row[6:]
        quantity, amount, refunded = (
            whole * MICROS + rest for whole, rest in zip(amounts[::2], amounts[1::2], strict=True)
        )
        if item == SEVERAL_ITEMS:
            self._several.add(hash(cell))
        self._add(cell, Sums(charges, item, quantity, amount, refunded), -1)

    def add(self, cell: tuple[Any, ...], sums: Sums) -> None:
        """Add sums of entries."""
        self._add(cell, sums, 1)

    def unequal(self) -> list[int]:
        """The wallets of which something is left."""
        return sorted(wallet_id for wallet_id, left in self._left.items() if left)

    def _add(self, cell: tuple[Any, ...], sums: Sums, sign: int) -> None:
        of_charges, of_amount, of_refunded, of_quantity, of_item = self._weights
        number = hash(cell)
        left = sums.charges * of_charges + sums.amount_micros * of_amount + sums.refunded_micros * of_refunded
        if number in self._several:
            left += sums.quantity_micros * of_quantity if sign < 0 else 0  # none is on record
        else:
            moved = sums.charges + sums.amount_micros + sums.refunded_micros
            left += sums.quantity_micros * of_quantity + moved * (hash(sums.item) * of_item)
        self._left[cell[0]] += sign * number * left
