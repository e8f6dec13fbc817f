"""Sums by name are exact, and the most expensive names come first to the micro."""

from __future__ import annotations

from collections import defaultdict
from contextlib import closing

from hypothesis import given
from hypothesis import strategies as st

from credit_wallet.stores.tallies import Tallies, Tally

MICROS = 1_000_000

amounts = st.one_of(st.integers(0, 3 * MICROS), st.integers(0, 9 * 10**18))


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3), amounts, amounts)), st.integers(1, 30))
def test_tallies_are_what_adding_up_gives(moves: list[tuple[int, int, int, int]], together: int) -> None:
    sums: dict[int, list[int]] = defaultdict(lambda: [0, 0, 0])
    first: dict[int, int] = {}
    with closing(Tallies()) as tallies:
        numbered = [Tally(name, number, *figures) for number, (name, *figures) in enumerate(moves)]
        for start in range(0, len(numbered), together):
            tallies.add(numbered[start : start + together])
        for number, (name, *figures) in enumerate(moves):
            first.setdefault(name, number)
            sums[name] = [before + more for before, more in zip(sums[name], figures, strict=True)]
        dearest = sorted(sums, key=lambda name: (sums[name][2] - sums[name][1], first[name]))
        assert tallies.dearest() == [(name, *sums[name]) for name in dearest]
        total = [sum(figures) for figures in zip(*sums.values(), strict=True)] or [0, 0, 0]
        assert tallies.total() == (len(sums), *total)
