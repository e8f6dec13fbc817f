"""Prices: which one counts, what it makes of a quantity, and what a new book changes."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_wallet.domain.price_file import parse_prices
from credit_wallet.domain.prices import NO_PRICES, Price, PriceBook, Tier, changes_between, price_view

UNIT = 1_000_000
DECEMBER = "2026-12-01T00:00:00.000Z"
JANUARY = "2027-01-01T00:00:00.000Z"
JUST_BEFORE = "2026-11-30T23:59:59.999Z"


def price(
    item: str = "search", yen: int = 1, *, wallet_id: int = 0, group: str = "", valid_from: str = "", per: int = 1
) -> Price:
    return Price(item, wallet_id, group, valid_from, per, yen * UNIT)


def counted(book: PriceBook, at: str = DECEMBER, *, wallet_id: int = 1, group: str | None = None) -> int | None:
    """The yen of the price that counts."""
    found = book.price("search", wallet_id, group, at)
    return None if found is None else found.unit_price_micros // UNIT


# Which price counts


def test_a_wallets_own_price_comes_before_its_groups_and_that_before_everybodys() -> None:
    book = PriceBook(1, (price(yen=3), price(yen=2, group="partners"), price(yen=1, wallet_id=1)))
    assert counted(book, wallet_id=1, group="partners") == 1
    assert counted(book, wallet_id=2, group="partners") == 2
    assert counted(book, wallet_id=2, group="others") == 3
    assert counted(book, wallet_id=2) == 3


def test_the_latest_price_that_is_valid_counts_from_its_very_instant_on() -> None:
    book = PriceBook(1, (price(yen=4, valid_from=DECEMBER), price(yen=3), price(yen=5, valid_from=JANUARY)))
    assert [counted(book, at) for at in (JUST_BEFORE, DECEMBER, "2026-12-31T23:59:59.999Z", JANUARY)] == [3, 4, 4, 5]


def test_a_price_of_its_own_that_is_to_come_leaves_the_wallet_with_the_general_one() -> None:
    book = PriceBook(1, (price(yen=3), price(yen=2, wallet_id=1, valid_from=DECEMBER)))
    assert (counted(book, JUST_BEFORE), counted(book, DECEMBER)) == (3, 2)


def test_a_general_price_that_is_newer_than_a_wallets_own_does_not_replace_it() -> None:
    book = PriceBook(1, (price(yen=2, wallet_id=1), price(yen=9, valid_from=DECEMBER)))
    assert counted(book, JANUARY) == 2


def test_an_item_without_a_valid_price_has_none() -> None:
    book = PriceBook(1, (price(yen=3, valid_from=DECEMBER), price("other", 1, wallet_id=2)))
    assert counted(book, JUST_BEFORE) is None
    assert book.first_instant("search", 1, None) == DECEMBER
    assert book.first_instant("other", 1, None) is None
    assert NO_PRICES.price("search", 1, None, DECEMBER) is None


def test_what_is_announced_is_what_will_count() -> None:
    book = PriceBook(
        1,
        (
            price(yen=3),
            price(yen=4, valid_from=DECEMBER),
            price(yen=5, valid_from=JANUARY),
            price(yen=2, group="partners", valid_from=JANUARY),
            price("other", 1),
        ),
    )
    assert [each.unit_price_micros // UNIT for each in book.announced(1, None, JUST_BEFORE)] == [4, 5]
    assert [each.unit_price_micros // UNIT for each in book.announced(1, "partners", JUST_BEFORE)] == [4, 2]
    assert [each.unit_price_micros // UNIT for each in book.announced(1, "partners", JANUARY)] == []
    assert [(each.item, each.unit_price_micros // UNIT) for each in book.prices_of(1, None, DECEMBER)] == [
        ("other", 1),
        ("search", 4),
    ]


# What a quantity costs


@pytest.mark.parametrize(
    ("unit_price", "per", "quantity", "cost"),
    [
        ("3.30", 1, "1", 3_300_000),
        ("0.2", 1_000, "1234", 246_800),
        ("0.0003", 1, "1", 300),
        ("0.000001", 2, "1", 1),  # half a micro is one
        ("0.000001", 2, "0.999999", 0),
        ("0.000001", 3, "1", 0),
        ("0.000001", 1, "1.5", 2),
        ("0", 1, "1000000", 0),
        ("1000000000000", 1, "1", 10**18),
    ],
)
def test_the_amount_is_rounded_half_up_to_the_micro(unit_price: str, per: int, quantity: str, cost: int) -> None:
    [found] = parse_prices(f'[[price]]\nitem = "a"\nunit_price_yen = "{unit_price}"\nper = {per}')
    assert found.cost_micros(int(Decimal(quantity) * UNIT), 0) == cost


@given(st.integers(1, 10**15), st.integers(0, 10**12), st.integers(1, 10**6))
def test_the_amount_is_what_exact_decimals_say(quantity: int, unit_price: int, per: int) -> None:
    exact = Decimal(quantity) * Decimal(unit_price) / (Decimal(per) * UNIT)
    wanted = int(exact.quantize(Decimal(1), ROUND_HALF_UP)) if exact < 10**20 else None
    if wanted is not None and abs(exact - exact.to_integral_value()) != Decimal("0.5"):
        assert Price("a", 0, "", "", per, unit_price).cost_micros(quantity, 0) == wanted


FREE_THEN_PAID = Price("a", 0, "", "", 1, 0, (Tier(1_000 * UNIT, 0), Tier(2_000 * UNIT, 200_000), Tier(None, 100_000)))


@pytest.mark.parametrize(
    ("used", "quantity", "cost"),
    [
        (0, 1_000, 0),
        (0, 1_001, 200_000),
        (999, 2, 200_000),
        (1_000, 1, 200_000),
        (1_999, 2, 300_000),
        (0, 3_000, 200_000_000 + 100_000_000),
        (5_000, 1, 100_000),
    ],
)
def test_each_part_of_a_quantity_costs_what_its_tier_says(used: int, quantity: int, cost: int) -> None:
    assert FREE_THEN_PAID.cost_micros(quantity * UNIT, used * UNIT) == cost


tiers = st.lists(st.tuples(st.integers(1, 50), st.integers(0, 1_000)), min_size=1, max_size=5).map(
    lambda parts: (
        *(
            Tier(sum(width for width, _ in parts[: number + 1]) * UNIT, yen * UNIT)
            for number, (_, yen) in enumerate(parts)
        ),
        Tier(None, parts[0][1] * UNIT),
    )
)


@given(tiers, st.lists(st.integers(1, 40 * UNIT), min_size=1, max_size=10), st.integers(0, 100 * UNIT))
def test_charges_that_add_up_cost_what_one_would(tiers: tuple[Tier, ...], parts: list[int], used: int) -> None:
    """Whole yen for a unit make whole micros of every quantity, so nothing is rounded."""
    tiered = Price("a", 0, "", "", 1, 0, tiers)
    steps = [used + sum(parts[:number]) for number in range(len(parts) + 1)]
    cost = sum(tiered.cost_micros(after - before, before) for before, after in pairwise(steps))
    assert cost == tiered.cost_micros(sum(parts), used)


@given(tiers, st.integers(1, 40 * UNIT), st.integers(1, 10**6))
def test_rounding_is_once_for_all_tiers(tiers: tuple[Tier, ...], quantity: int, per: int) -> None:
    exact = Price("a", 0, "", "", 1, 0, tiers).cost_micros(quantity, 0)
    assert Price("a", 0, "", "", per, 0, tiers).cost_micros(quantity, 0) == (2 * exact + per) // (2 * per)


# What is shown


def test_a_price_in_words() -> None:
    assert price(yen=1_234).words() == "¥1,234"
    assert Price("a", 0, "", "", 1_000, 200_000).words() == "¥0.2 per 1,000"
    assert FREE_THEN_PAID.words() == "¥0 up to 1,000, then ¥0.2 up to 2,000, then ¥0.1"
    halves = Price("a", 0, "", "", 2, 0, (Tier(500_000, 0), Tier(None, 1)))
    assert halves.words() == "¥0 up to 0.5, then ¥0.000001 per 2"
    tiered = Price("a", 0, "", "", 1_000, 0, (Tier(5_000_000_000, 1_000_000), Tier(None, 500_000)))
    assert tiered.words() == price_view(tiered, 1).words() == "¥1 per 1,000 up to 5,000, then ¥0.5 per 1,000"
    assert price_view(price(yen=3), 1).words() == "¥3"


def test_a_view_is_exact_and_says_none_for_what_is_not_limited() -> None:
    view = price_view(Price("a", 0, "", "", 1_000, 3_300_000), 4)
    assert (str(view.unit_price), view.per, view.tiers, view.valid_from) == ("3.3", 1_000, (), None)
    assert (view.wallet_id, view.group, view.version) == (None, None, 4)
    tiered = price_view(FREE_THEN_PAID, 4)
    assert tiered.unit_price is None
    assert [(tier.up_to, tier.unit_price) for tier in tiered.tiers] == [
        (Decimal(1_000), Decimal(0)),
        (Decimal(2_000), Decimal("0.2")),
        (None, Decimal("0.1")),
    ]


def test_the_changes_between_two_books() -> None:
    old = (price(yen=3), price("gone", 1), price("same", 7, valid_from=DECEMBER))
    new = (price(yen=4), price("new", 2, group="partners"), price("same", 7, valid_from=DECEMBER))
    assert [(each.change, each.item, each.group, each.before, each.after) for each in changes_between(old, new)] == [
        ("removed", "gone", None, "¥1", None),
        ("added", "new", "partners", None, "¥2"),
        ("changed", "search", None, "¥3", "¥4"),
    ]
    assert changes_between(old, reversed(old)) == ()
