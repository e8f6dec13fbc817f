"""Lots: which credit is spent, and where it goes back to."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from amounts import amounts, yen
from hypothesis import given
from hypothesis import strategies as st

from credit_wallet.rules import lots
from credit_wallet.rules.state import Allocation, Lot, LotOpening

SOON = "2026-05-15T12:00:30.000Z"

allocations = st.lists(st.tuples(st.integers(0, 50), amounts(1_000)), max_size=8, unique_by=lambda part: part[0])
open_lots = st.lists(
    st.builds(
        Lot,
        st.integers(1, 50),
        st.sampled_from(["paid", "promo"]),
        amounts(1_000),
        st.sampled_from([None, SOON]),
    ),
    max_size=8,
    unique_by=lambda lot: lot.lot_id,
).map(lambda each: sorted(each, key=lots.spending_order))


def remaining(each: Sequence[Lot]) -> dict[int, int]:
    return {lot.lot_id: lot.remaining_micros for lot in each}


@given(open_lots, amounts(5_000))
def test_spending_takes_the_amount_from_the_front(before: list[Lot], amount_micros: int) -> None:
    after = deepcopy(before)
    taken = lots.take(after, amount_micros)
    total_micros = sum(lot.remaining_micros for lot in before)
    assert lots.total_micros(taken) == min(amount_micros, total_micros)
    assert lots.total_micros(taken) + sum(lot.remaining_micros for lot in after) == total_micros
    assert [lot_id for lot_id, _ in taken] == [lot.lot_id for lot in before][: len(taken)]
    for lot_id, part_micros in taken[:-1]:
        assert part_micros == remaining(before)[lot_id]
    assert all(part_micros > 0 for _, part_micros in taken)
    assert all(lot.remaining_micros > 0 for lot in after)


@given(open_lots, st.integers(1, 50), amounts(5_000))
def test_taking_from_one_lot_takes_the_rest_in_order(before: list[Lot], lot_id: int, amount_micros: int) -> None:
    after = deepcopy(before)
    taken = lots.take_from(after, lot_id, amount_micros)
    named_micros = min(remaining(before).get(lot_id, 0), amount_micros)
    others = [lot for lot in deepcopy(before) if lot.lot_id != lot_id]
    rest = lots.take(others, amount_micros - named_micros) if amount_micros > named_micros else []
    assert taken == ([(lot_id, named_micros)] if named_micros else []) + rest


@given(open_lots, st.data())
def test_what_was_spent_goes_back_where_it_was(before: list[Lot], data: st.DataObject) -> None:
    after = deepcopy(before)
    taken = lots.take(after, data.draw(amounts(5_000)))
    openings = {lot.lot_id: LotOpening(1, lot.lot_id, lot.kind, lot.remaining_micros, lot.expires_at) for lot in before}
    for lot_id, part_micros in data.draw(st.permutations(taken)):
        lots.put(after, openings[lot_id], part_micros)
    assert after == before


@given(allocations, st.one_of(st.just(0), amounts(9_000)))
def test_a_split_loses_nothing_and_keeps_the_order(allocation: Allocation, amount_micros: int) -> None:
    first, rest = lots.split(allocation, amount_micros)
    assert lots.total_micros(first) == min(amount_micros, lots.total_micros(allocation))
    assert joined(first, rest) == allocation
    assert all(part_micros > 0 for _, part_micros in first + rest)


def joined(first: Allocation, rest: Allocation) -> Allocation:
    """``first`` and ``rest`` one after the other, a lot that is in both as one part."""
    if first and rest and first[-1][0] == rest[0][0]:
        return [*first[:-1], (first[-1][0], first[-1][1] + rest[0][1]), *rest[1:]]
    return first + rest


@given(allocations, st.lists(amounts(400), max_size=10))
def test_partial_refunds_give_back_each_micro_once_and_what_was_spent_last_first(
    allocation: Allocation, refunds_micros: list[int]
) -> None:
    returned_micros = 0
    order: list[int] = []
    back: dict[int, int] = {}
    for amount_micros in refunds_micros:
        part = lots.returned_part(allocation, returned_micros, amount_micros)
        left_micros = lots.total_micros(allocation) - returned_micros
        assert lots.total_micros(part) == min(amount_micros, left_micros)
        returned_micros += lots.total_micros(part)
        for lot_id, part_micros in part:
            order.append(lot_id)
            back[lot_id] = back.get(lot_id, 0) + part_micros
    spent = dict(allocation)
    assert all(back[lot_id] <= spent[lot_id] for lot_id in back)
    assert list(dict.fromkeys(order)) == [lot_id for lot_id, _ in allocation[::-1]][: len(back)]
    for lot_id in list(back)[:-1]:
        assert back[lot_id] == spent[lot_id]


@given(allocations)
def test_an_allocation_is_written_as_it_is_read(allocation: Allocation) -> None:
    assert lots.parse_allocation(lots.format_allocation(allocation)) == allocation
    assert " " not in lots.format_allocation(allocation)


def test_an_entry_adopted_without_lots_has_none() -> None:
    assert lots.parse_allocation(None) == []


def test_parts_of_whole_yen_are_written_as_before_there_were_micros() -> None:
    assert lots.format_allocation([(7, yen(3)), (8, yen(10**12))]) == "[[7,3],[8,1000000000000]]"
    assert lots.format_allocation([(7, yen("3.3")), (8, yen("0.000001"))]) == "[[7,3,300000],[8,0,1]]"
    assert lots.parse_allocation("[[7,3],[8,0,1]]") == [(7, yen(3)), (8, 1)]


@given(open_lots)
def test_what_is_free_takes_of_no_lot(before: list[Lot]) -> None:
    after = deepcopy(before)
    assert lots.take(after, 0) == []
    assert after == before
