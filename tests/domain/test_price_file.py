"""The price file: what it may say, and that every wrong field is named with what to write instead."""

from __future__ import annotations

import pytest

from credit_wallet.domain.price_file import parse_prices
from credit_wallet.domain.prices import MAX_PRICES, MAX_TIERS, Price, Tier
from credit_wallet.errors import InvalidRequest


def price_of(*lines: str) -> Price:
    [price] = parse_prices("\n".join(("[[price]]", *lines)))
    return price


def test_a_file_says_what_items_cost_for_whom_and_since_when() -> None:
    prices = parse_prices(
        """
        # the prices of a shop
        [[price]]
        item = "search"
        unit_price_yen = "3.30"

        [[price]]
        item = "search"
        unit_price_yen = 4
        valid_from = 2026-12-01T00:00:00+09:00

        [[price]]
        item = "tokens.input"
        unit_price_yen = "0.2"
        per = 1000
        group = "partners"

        [[price]]
        item = "tokens.input"
        wallet_id = 7
        tiers = [{up_to = 1000, unit_price_yen = "0"}, {up_to = "1500.5", unit_price_yen = 1}, {unit_price_yen = "0.5"}]
        """
    )
    assert prices == (
        Price("search", 0, "", "", 1, 3_300_000),
        Price("search", 0, "", "2026-11-30T15:00:00.000Z", 1, 4_000_000),
        Price("tokens.input", 0, "partners", "", 1_000, 200_000),
        Price(
            "tokens.input",
            7,
            "",
            "",
            1,
            0,
            (Tier(1_000_000_000, 0), Tier(1_500_500_000, 1_000_000), Tier(None, 500_000)),
        ),
    )


@pytest.mark.parametrize("text", ["", "# nothing is sold", "price = []"])
def test_a_file_may_sell_nothing(text: str) -> None:
    assert parse_prices(text) == ()


@pytest.mark.parametrize(
    "written", ['"2026-12-01T00:00:00+09:00"', '"2026-11-30T15:00:00Z"', "2026-11-30 15:00:00.000Z"]
)
def test_an_instant_may_be_written_with_or_without_quotes(written: str) -> None:
    price = price_of('item = "a"', "unit_price_yen = 1", f"valid_from = {written}")
    assert price.valid_from == "2026-11-30T15:00:00.000Z"


WRONG = [
    (("unit_price_yen = 1",), "price 1: item is missing"),
    (('item = "Search"', "unit_price_yen = 1"), "such as \"tokens.input\", not 'Search'"),
    (('item = "a."', "unit_price_yen = 1"), "not 'a.'"),
    (('item = "a\\n"', "unit_price_yen = 1"), "item must be a name"),
    (('item = "' + "a" * 65 + '"', "unit_price_yen = 1"), "item must be a name"),
    (("item = 3", "unit_price_yen = 1"), "item must be a name"),
    (("item = 3.5", "unit_price_yen = 1"), "not 3.5"),
    (('item = "a"',), "price 1: it must have either unit_price_yen or tiers"),
    (('item = "a"', "unit_price_yen = 1", "tiers = [{unit_price_yen = 1}]"), "either unit_price_yen or tiers"),
    (('item = "a"', "unit_price_yen = 3.30"), 'unit_price_yen must be exact: quote it, unit_price_yen = "3.30"'),
    (('item = "a"', "unit_price_yen = inf"), 'such as "3.30", or a whole number, from 0 to 1000000000000, not inf'),
    (('item = "a"', 'unit_price_yen = "3.3333333"'), 'up to 6 places, such as "3.30"'),
    (('item = "a"', 'unit_price_yen = "1e3"'), "unit_price_yen must be a decimal number of yen in quotes"),
    (('item = "a"', "unit_price_yen = 1e3"), "unit_price_yen must be a decimal number of yen in quotes"),
    (('item = "a"', "unit_price_yen = -1"), "from 0 to 1000000000000, not -1"),
    (('item = "a"', "unit_price_yen = 1000000000001"), "from 0 to 1000000000000"),
    (('item = "a"', "unit_price_yen = true"), "not true"),
    (('item = "a"', "unit_price_yen = 1", "per = 0"), "per must be a whole number from 1 to 1000000000000, not 0"),
    (('item = "a"', "unit_price_yen = 1", 'per = "2"'), "per must be a whole number"),
    (('item = "a"', "unit_price_yen = 1", "per = true"), "per must be a whole number"),
    (('item = "a"', "unit_price_yen = 1", "per = 1.0"), "not 1.0"),
    (('item = "a"', "unit_price_yen = 1", "wallet_id = 0"), "wallet_id must be the number of a wallet, not 0"),
    (('item = "a"', "unit_price_yen = 1", 'group = "Big Ones"'), "group must be a name"),
    (('item = "a"', "unit_price_yen = 1", 'group = ""'), "group must be a name"),
    (('item = "a"', "unit_price_yen = 1", "wallet_id = 1", 'group = "b"'), "wallet_id and group exclude each other"),
    (
        ('item = "a"', "unit_price_yen = 1", 'wallet_reference = "c"', "wallet_id = 1"),
        "wallet_id and wallet_reference exclude each other",
    ),
    (
        ('item = "a"', "unit_price_yen = 1", 'wallet_reference = "c"'),
        "wallet_reference must be the reference of a wallet, not 'c'",
    ),
    (('item = "a"', "unit_price = 1"), "unit_price is not a field; the fields are item, unit_price_yen, per"),
    (
        ('item = "a"', "unit_price_yen = 1", "valid_from = 2026-12-01"),
        "valid_from must be a date and time with an offset, such as 2026-12-01T00:00:00+09:00, not 2026-12-01",
    ),
    (
        ('item = "a"', "unit_price_yen = 1", "valid_from = 2026-12-01T00:00:00"),
        "valid_from must have an offset from UTC",
    ),
    (('item = "a"', "unit_price_yen = 1", 'valid_from = "2026-12-01T00:00:00"'), "valid_from must have an offset"),
    (('item = "a"', "unit_price_yen = 1", 'valid_from = "tomorrow"'), "not 'tomorrow'"),
    (('item = "a"', "unit_price_yen = 1", "valid_from = 2026"), "valid_from must be a date and time"),
    (('item = "a"', "unit_price_yen = 1", "valid_from = 0001-01-01T00:00:00Z"), "in the years 1001 to 9997"),
    (('item = "a"', "unit_price_yen = 1", "valid_from = 2026-12-01T00:00:00.0001Z"), "in whole milliseconds"),
    (('item = "a"', "tiers = []"), f"tiers must be a list of 1 to {MAX_TIERS} tiers"),
    (('item = "a"', "tiers = [1]"), "tiers must be a list"),
    (('item = "a"', "tiers = 1"), "tiers must be a list"),
    (('item = "a"', "tiers = [{up_to = 1}]"), "tier 1: unit_price_yen is missing"),
    (('item = "a"', "tiers = [{unit_price_yen = 0.5}]"), "tier 1: unit_price_yen must be exact: quote it"),
    (('item = "a"', "tiers = [{up_to = 1, unit_price_yen = 1}]"), "tier 1: the last tier must be without up_to"),
    (('item = "a"', "tiers = [{unit_price_yen = 1}, {unit_price_yen = 2}]"), "tier 1: up_to is missing"),
    (
        ('item = "a"', "tiers = [{up_to = 0, unit_price_yen = 1}, {unit_price_yen = 2}]"),
        "tier 1: up_to must be a whole",
    ),
    (
        ('item = "a"', 'tiers = [{up_to = "x", unit_price_yen = 1}, {unit_price_yen = 2}]'),
        "tier 1: up_to must be a whole",
    ),
    (('item = "a"', "tiers = [{up_to = 0.5, unit_price_yen = 1}, {unit_price_yen = 2}]"), 'quote it, up_to = "0.5"'),
    (
        (
            'item = "a"',
            "tiers = [{up_to = 2, unit_price_yen = 1}, {up_to = 2, unit_price_yen = 1}, {unit_price_yen = 2}]",
        ),
        "tier 2: up_to must be above that of the tier before",
    ),
    (('item = "a"', "tiers = [{unit_price_yen = 1, price = 2}]"), "tier 1: price is not a field"),
]


@pytest.mark.parametrize(("lines", "problem"), WRONG, ids=[problem[:60] for _, problem in WRONG])
def test_a_wrong_field_is_named_with_what_to_write(lines: tuple[str, ...], problem: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        price_of(*lines)
    assert problem in str(refusal.value)
    assert str(refusal.value).startswith("price 1: ")
    assert refusal.value.details["field"] == "prices"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[[price]", "the file is not TOML: "),
        ("[price]\nitem = 'a'", "price must be a list of tables: write [[price]], with two brackets"),
        ("prices = []", "prices does not belong in a price file"),
        ("price = [1]", "price 1: price must be a table: [[price]]"),
        ("#" * (4 * 1024 * 1024 + 1), "at most 4,194,304 bytes"),
        ("[[price]]\n" * (MAX_PRICES + 1), "at most 10,000 prices, not 10,001"),
    ],
)
def test_what_is_no_price_file_is_refused(text: str, problem: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^") as refusal:
        parse_prices(text)
    assert problem in str(refusal.value)


def test_all_that_is_wrong_is_reported_at_once() -> None:
    with pytest.raises(InvalidRequest) as refusal:
        parse_prices("[[price]]\nitem = 'a'\nunit_price_yen = -1\nper = 0\n\n[[price]]\nitem = 'B'\nunit_price_yen = 1")
    assert [problem[:16] for problem in refusal.value.details["problems"]] == [  # type: ignore[attr-defined]
        "price 1: per mus",
        "price 1: unit_pr",
        "price 2: item mu",
    ]
    with pytest.raises(InvalidRequest, match=r"; and 10 more$"):
        parse_prices("[[price]]\nitem = 'B'\nunit_price_yen = 1\n" * 30)


def test_two_prices_for_the_same_are_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"^price 2: it has the item, wallet_id, group and valid_from of price 1"):
        parse_prices("[[price]]\nitem = 'a'\nunit_price_yen = 1\n[[price]]\nitem = 'a'\nunit_price_yen = '2'")
