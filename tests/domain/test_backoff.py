"""Pauses between attempts: they double up to a bound and spread out, and ``Retry-After`` only makes them longer."""

from __future__ import annotations

from itertools import islice
from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_wallet.domain.backoff import Backoff, no_sooner_than_asked
from credit_wallet.domain.retry_after import whole_seconds

seconds = st.floats(0.001, 1_000)


def test_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(first_seconds=0.5, longest_seconds=3)
    assert list(islice(backoff.pauses(), 5)) == [0.5, 1, 2, 3, 3]
    assert [backoff.pause_seconds(attempt) for attempt in range(1, 6)] == [0.5, 1, 2, 3, 3]


def test_without_spread_a_pause_is_what_it_is() -> None:
    assert Backoff(1, 1).spread_out(0.7) == 0.7


@given(pause=seconds, spread=st.floats(0, 1))
def test_a_pause_is_only_ever_shortened_by_its_spread(pause: float, spread: float) -> None:
    spread_out = Backoff(1, 1, spread).spread_out(pause)
    assert pause * (1 - spread) - 1e-9 <= spread_out <= pause + 1e-9


@pytest.mark.parametrize(
    ("usual", "asked", "longest", "pause"),
    [(5, None, inf, 5), (5, 0, inf, 5), (5, 3, inf, 5), (5, 30, inf, 30), (5, 30, 20, 20), (5, 30, 1, 5)],
)
def test_what_is_asked_for_only_makes_a_pause_longer(
    usual: float, asked: float | None, longest: float, pause: float
) -> None:
    assert no_sooner_than_asked(usual, asked, longest) == pause


@pytest.mark.parametrize(("wait", "said"), [(-3, 1), (0, 1), (0.2, 1), (1, 1), (1.01, 2), (59.5, 60)])
def test_nobody_is_asked_to_come_too_soon(wait: float, said: int) -> None:
    assert whole_seconds(wait) == said
