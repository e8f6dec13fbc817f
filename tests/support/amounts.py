"""Amounts as the rules take them, and random ones: whole yen, prices below a yen, single micros."""

from __future__ import annotations

from hypothesis import strategies as st

from credit_wallet.domain.money import MICROS, micros_of


def yen(amount: int | str) -> int:
    """The micros of an amount in yen: ``yen("3.30")``."""
    return micros_of(amount)


PRICES = [yen(price) for price in ("0.000001", "0.0002", "0.1", "0.2", "0.999999", "1.000001", "3.30", "11.55")]


def amounts(max_yen: int) -> st.SearchStrategy[int]:
    """Micros of up to about ``max_yen``: half of them whole yen, the others with a fraction."""
    whole = st.integers(1, max_yen).map(lambda amount_yen: amount_yen * MICROS)
    return st.one_of(whole, whole, st.sampled_from(PRICES), st.integers(1, max_yen * MICROS))
