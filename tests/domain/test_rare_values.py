"""Values that seldom come: odd times and zones, members twice, tokens that are none."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal, localcontext
from typing import Any

import pytest
from amounts import yen

from credit_wallet.domain.actors import is_actor, seller, seller_of
from credit_wallet.domain.cycle import cycle_at, cycle_bounds, end_of_day, parse_end
from credit_wallet.domain.distinct_members import (
    first_repeated,
    require_distinct_members,
    require_distinct_members_if_json,
)
from credit_wallet.domain.money import micros_of
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.tokens import (
    MAX_TOKEN_LENGTH,
    SELLER_PREFIX,
    is_token,
    looked_up,
    new_seller_token,
    token_hash,
)
from credit_wallet.domain.views import Balance
from credit_wallet.errors import InvalidJson


def test_a_seller_is_an_actor_with_an_id() -> None:
    assert (seller(7), seller_of(seller(7)), is_actor(seller(7))) == ("seller:7", 7, True)


# Amounts


@pytest.mark.parametrize("precision", [1, 6, 28])
def test_a_decimal_is_taken_by_its_digits_whatever_the_callers_precision(precision: int) -> None:
    with localcontext() as context:
        context.prec = precision
        assert micros_of(Decimal("1234567.890001")) == 1_234_567_890_001
        assert micros_of(Decimal("-3.30")) == -3_300_000
        assert (micros_of(Decimal("1E+12")), micros_of(Decimal("3.0000000")), micros_of(Decimal("0E-9"))) == (
            10**18,
            3_000_000,
            0,
        )
        for odd in ("123456789012.00000000000000000000001", "0.0000001", "NaN", "Infinity", "1E+19", "1E-41"):
            with pytest.raises(ValueError, match=r"exact amount|decimal places"):
                micros_of(Decimal(odd))


# Times


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("2026-05-15", datetime(2026, 5, 15, 15, tzinfo=UTC)),
        ("2026-05-15T12:00:00+09:00", datetime(2026, 5, 15, 3, tzinfo=UTC)),
        ("2026-05-15T12:00:00", datetime(2026, 5, 15, 12, tzinfo=UTC)),
    ],
)
def test_a_date_ends_at_the_midnight_after_it_and_a_time_at_itself(text: str, end: datetime) -> None:
    assert parse_end(text, lambda: "Asia/Tokyo") == end


@pytest.mark.parametrize("text", ["2026-W20", "2026W20", "0999-12-31", "9999-01-01", "tomorrow"])
def test_what_is_no_end_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"week|years|Invalid"):
        parse_end(text, lambda: "UTC")


def test_a_day_ends_where_clocks_skip_its_midnight() -> None:
    skipped = end_of_day(datetime(2018, 11, 3, tzinfo=UTC).date(), "America/Sao_Paulo")
    assert skipped == datetime(2018, 11, 4, 3, tzinfo=UTC)


def test_the_hour_that_clocks_repeat_after_a_month_has_ended_is_of_the_next_month() -> None:
    """Clocks of Newfoundland went back at one minute past midnight of 1 November 2009, to 23:01 of 31 October."""
    _, end = cycle_bounds("2009-10", "America/St_Johns")
    assert end == "2009-11-01T02:30:00"
    for instant, cycle in (("2009-11-01T02:29:59Z", "2009-10"), ("2009-11-01T02:45:00Z", "2009-11")):
        assert cycle_at(datetime.fromisoformat(instant), "America/St_Johns") == cycle


def test_a_zone_that_plain_sql_made_up_counts_as_utc() -> None:
    noon = datetime(2026, 5, 15, 12, tzinfo=UTC)
    assert cycle_at(noon, "Nowhere/Else") == cycle_at(noon, "\0") == "2026-05"


def test_a_cycle_that_is_none_has_no_bounds() -> None:
    with pytest.raises(ValueError, match="YYYY-MM"):
        cycle_bounds("2026-13")


# JSON


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": 1, "a": 2}',
        b'[{"a": 1, "b": {"c": 1, "c": 2}}]',
        b'{"a": ":", "b": 1, "b": 2}',
        b'{"a": [{"b":1,"b":1}]}',
    ],
)
def test_a_member_that_an_object_has_twice_is_refused_by_name(body: bytes) -> None:
    for check in (require_distinct_members, require_distinct_members_if_json):
        with pytest.raises(InvalidJson) as refusal:
            check(body)
        assert refusal.value.details["field"] in ("a", "b", "c")


@pytest.mark.parametrize(
    "body", [b'{"a": ":"}', b'{"a": 1}', b'[":", 1]', b"7", b'{"a": "::", "n": 12345678901234567890, "f": 1.5}']
)
def test_what_has_each_member_once_is_let_through(body: bytes) -> None:
    require_distinct_members(body)
    require_distinct_members_if_json(body)


def test_what_is_no_json_is_left_to_whoever_reads_it() -> None:
    require_distinct_members_if_json(b"{")
    assert first_repeated(["a", "b"]) is None
    assert first_repeated(["a", "b", "a"]) == "a"


# Outcomes and tokens


def test_a_balance_is_a_number_with_what_is_beside_it() -> None:
    balance = Balance(yen("5.9"), yen("3.25"), yen("0.000001"))
    assert (balance + 1, balance.balance_yen, balance.held_yen, balance.debt_yen) == (6, 5, 3, 1)
    assert [str(each) for each in (balance.balance, balance.held, balance.debt)] == ["5.9", "3.25", "0.000001"]
    assert not Outcome(1, yen(5), yen(5)).free


def test_a_sellers_token_is_one_of_ours() -> None:
    token = new_seller_token()
    assert is_token(token, SELLER_PREFIX)
    assert looked_up(token) == token_hash(token)


@pytest.mark.parametrize("token", ["", "x" * (MAX_TOKEN_LENGTH + 1), "\ud800"])
def test_what_is_no_text_of_a_token_is_not_looked_up(token: Any) -> None:
    assert looked_up(token) is None
