"""A statement's lines by item: item × quantity @ price, and the cycle's charges to the micro."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from credit_wallet.domain.money import MICROS, format_micros
from credit_wallet.domain.outcomes import EntryType
from credit_wallet.domain.views import Transaction
from credit_wallet.reports.items import ItemTotals

MAY, JUNE = "2026-05-01T00:00:00.000Z", "2026-06-01T00:00:00.000Z"


class Flat(Struct, frozen=True):
    unit_price_micros: int
    valid_from: str = ""
    per: int = 1
    tiers: tuple[int, ...] = ()

    def cost_micros(self, quantity_micros: int, used_micros: int) -> int:
        assert used_micros == 0
        cost, divisor = quantity_micros * self.unit_price_micros, self.per * MICROS
        return (2 * cost + divisor) // (2 * divisor)

    def words(self) -> str:
        return f"tiers {self.tiers}" if self.tiers else format_micros(self.unit_price_micros)


class Walked(NamedTuple):
    entry: Transaction
    paid_by: int | None = None
    paid_item: str | None = None


BOOK = {
    (1, "search"): [Flat(3_300_000)],
    (2, "search"): [Flat(3_300_000), Flat(4_000_000, JUNE)],
    (1, "tokens.input"): [Flat(200_000, "", 1_000)],
    (1, "graduated"): [Flat(0, "", 1, (1, 2))],
}


def prices_of(version: int, item: str) -> list[Flat]:
    return BOOK.get((version, item), [])


def entry(
    amount_micros: int,
    item: str | None = None,
    quantity: int = 0,
    version: int | None = None,
    txn_type: EntryType = "charge",
    at: str = "2026-05-15T12:00:00.000Z",
) -> Transaction:
    return Transaction(
        txn_id=1,
        wallet_id=1,
        amount_yen=amount_micros // MICROS,
        amount_micros=amount_micros,
        txn_type=txn_type,
        occurred_at=at,
        note=None,
        ledger_balance_micros=None,
        key_id=None,
        related_txn_id=None,
        hold_id=None,
        item=item,
        quantity_micros=quantity * MICROS,
        price_version=version,
    )


def test_an_item_has_a_line_for_each_of_its_prices() -> None:
    totals = ItemTotals(prices_of)
    totals.add([Walked(entry(-3_300_000, "search", 1, 1)), Walked(entry(-6_600_000, "search", 2, 1))])
    totals.add([Walked(entry(-4_000_000, "search", 1, 2, at=JUNE)), Walked(entry(-246_800, "tokens.input", 1234, 1))])

    search, tokens = totals.shown()

    assert (search.item, search.charges, search.quantity, search.charged) == ("search", 3, Decimal(4), Decimal("13.9"))
    lines = [(line.price_version, line.unit_price, line.per, line.quantity, line.charged) for line in search.prices]
    assert lines == [
        (1, Decimal("3.3"), 1, Decimal(3), Decimal("9.9")),
        (2, Decimal(4), 1, Decimal(1), Decimal(4)),
    ]
    [line] = tokens.prices
    assert (line.unit_price, line.per, line.quantity, line.charged) == (
        Decimal("0.2"),
        1_000,
        Decimal(1234),
        Decimal("0.2468"),
    )


def test_the_price_that_was_valid_then_is_named() -> None:
    totals = ItemTotals(prices_of)
    totals.add([Walked(entry(-3_300_000, "search", 1, 2, at=MAY)), Walked(entry(-4_000_000, "search", 1, 2, at=JUNE))])

    [search] = totals.shown()

    assert [line.unit_price for line in search.prices] == [Decimal("3.3"), 4]


def test_graduated_prices_and_named_amounts_have_no_unit_price() -> None:
    totals = ItemTotals(prices_of)
    totals.add([Walked(entry(-1_500_000, "graduated", 7, 1)), Walked(entry(-1, "search", 1, 1))])

    lines = [line for each in totals.shown() for line in each.prices]

    assert [(line.unit_price, line.price) for line in lines] == [(None, "tiers (1, 2)"), (None, None)]


def test_a_refund_counts_against_the_item_of_its_charge() -> None:
    totals = ItemTotals(prices_of)
    totals.add([Walked(entry(-3_300_000, "search", 1, 1)), Walked(entry(1_100_000, txn_type="refund"), None, "search")])
    totals.add([Walked(entry(500_000, txn_type="refund"))])

    search, nothing = totals.shown()

    assert (search.refunded, search.spent) == (Decimal("1.1"), Decimal("2.2"))
    assert (nothing.item, nothing.charges, nothing.spent, nothing.prices) == (None, 0, Decimal("-0.5"), ())


def test_an_agent_sees_its_own_spending_alone() -> None:
    totals = ItemTotals(prices_of, 7)
    totals.add([Walked(entry(-3_300_000, "search", 1, 1), 7), Walked(entry(-3_300_000, "search", 1, 1), 8)])

    assert [each.charges for each in totals.shown()] == [1]


CHARGES = st.tuples(
    st.integers(1, 10**9), st.sampled_from([None, "search", "graduated"]), st.integers(0, 99), st.sampled_from([1, 2])
)


@given(st.lists(CHARGES))
def test_all_lines_together_are_the_charges_to_the_micro(charges: list[tuple[int, str | None, int, int]]) -> None:
    totals = ItemTotals(prices_of)
    totals.add(Walked(entry(-micros, item, quantity, version)) for micros, item, quantity, version in charges)

    shown = totals.shown()

    assert sum(line.charged_micros for each in shown for line in each.prices) == sum(each[0] for each in charges)
    assert sum(each.charged_micros for each in shown) == sum(each[0] for each in charges)
