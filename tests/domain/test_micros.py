"""Amounts of money: integers of micros inside, exact decimals and whole yen outside."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from credit_wallet.domain.money import (
    MAX_BALANCE_MICROS,
    MICROS,
    Exact,
    WholeYen,
    WholeYenUp,
    both,
    both_up,
    decimal_of,
    decimal_text,
    format_micros,
    format_yen,
    is_amount,
    micros_of,
    whole_yen,
    whole_yen_up,
)

some_micros = st.one_of(st.integers(-3 * MICROS, 3 * MICROS), st.integers(-MAX_BALANCE_MICROS, MAX_BALANCE_MICROS))


@pytest.mark.parametrize(
    ("given_value", "micros"),
    [
        (0, 0),
        (3, 3_000_000),
        (-3, -3_000_000),
        ("3", 3_000_000),
        ("3.30", 3_300_000),
        ("0.000001", 1),
        ("999999999999999999.999999", 10**24 - 1),
        (Decimal("3.30"), 3_300_000),
        (Decimal("1E+3"), 1_000_000_000),
        (Decimal("0.0000010"), 1),
        (Decimal("-0.5"), -500_000),
    ],
)
def test_what_is_exact_is_taken(given_value: object, micros: int) -> None:
    assert micros_of(given_value) == micros


@pytest.mark.parametrize(
    "value",
    [
        *[
            3.3,
            3.0,
            True,
            False,
            None,
            b"3",
            "",
            ".5",
            "3.",
            "03",
            "+3",
            "-3",
            " 3",
            "3 ",
            "3\n",
            "1e3",
            "1_0",
            "1,000",
        ],
        *["３", "٣", "0x10", "NaN", "Infinity", "0.0000001", "1" * 19],
        *[Decimal("NaN"), Decimal("Infinity"), Decimal("0.0000001"), Decimal("1E+19"), Decimal("1E-50")],
    ],
)
def test_what_is_no_exact_amount_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"exact amount|decimal"):
        micros_of(value)


@given(some_micros)
def test_micros_are_read_as_they_are_written(micros: int) -> None:
    text = decimal_text(micros)
    assert decimal_of(micros) == Decimal(text) == Decimal(micros) / MICROS
    assert str(decimal_of(micros)) == text
    assert not text.endswith("0") or "." not in text
    assert micros_of(decimal_of(micros)) == micros
    if micros >= 0:
        assert micros_of(text) == micros


@given(some_micros)
def test_whole_yen_are_rounded_down_and_what_is_to_be_paid_up(micros: int) -> None:
    assert whole_yen(micros) * MICROS <= micros < (whole_yen(micros) + 1) * MICROS
    assert (whole_yen_up(micros) - 1) * MICROS < micros <= whole_yen_up(micros) * MICROS


def test_amounts_are_shown_to_people_with_the_places_they_have() -> None:
    shown = [format_micros(micros) for micros in (0, 1, -1, 3_300_000, 10**12, -1_234_500_000)]
    assert shown == ["¥0", "¥0.000001", "-¥0.000001", "¥3.3", "¥1,000,000", "-¥1,234.5"]
    assert format_yen(-1_234) == "-¥1,234"


def test_a_movement_is_of_a_micro_at_least_and_of_a_trillion_yen_at_most() -> None:
    assert [is_amount(each) for each in (1, 10**18, 0, -1, 10**18 + 1, True, 1.0, "1")] == [True] * 2 + [False] * 6


class Owing(Struct):
    balance_micros: int
    debt_micros: int

    balance_yen = WholeYen()
    balance = Exact()
    debt_yen = WholeYenUp()
    debt = Exact()


def test_each_amount_is_said_exactly_and_in_whole_yen() -> None:
    owing = Owing(3_300_000, 3_300_000)
    assert (owing.balance_yen, owing.balance, owing.debt_yen, owing.debt) == (3, Decimal("3.3"), 4, Decimal("3.3"))
    assert both(balance=3_300_000) == {"balance_yen": 3, "balance": "3.3"}
    assert both_up(missing=3_300_000) == {"missing_yen": 4, "missing": "3.3"}
    assert isinstance(Owing.balance_yen, WholeYen)
    assert isinstance(Owing.debt_yen, WholeYenUp)
    assert isinstance(Owing.debt, Exact)
