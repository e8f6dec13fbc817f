"""Idempotency keys that the wallet makes up: UUIDv7 (RFC 9562, section 5.7) that grow with the clock."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_wallet import idempotency_keys as keys
from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.rules.validation import is_idempotency_key


def key_at(monkeypatch: pytest.MonkeyPatch, nanoseconds: int) -> UUID:
    """A key made when the clock shows ``nanoseconds`` since 1970."""
    monkeypatch.setattr(keys, "time_ns", lambda: nanoseconds)
    return UUID(new_idempotency_key())


def test_a_key_is_a_uuid_of_version_7() -> None:
    for key in (new_idempotency_key() for _ in range(1_000)):
        uuid = UUID(key)
        assert str(uuid) == key
        assert (uuid.version, uuid.variant) == (7, RFC_4122)
        assert is_idempotency_key(key)


def test_a_key_begins_with_the_milliseconds_of_its_making() -> None:
    before = time.time_ns() // 1_000_000
    milliseconds = UUID(new_idempotency_key()).int >> 80
    assert before <= milliseconds <= time.time_ns() // 1_000_000


@pytest.mark.parametrize(
    ("nanoseconds", "milliseconds", "fraction"),
    [
        (0, 0, 0),
        (1_778_846_400_000_000_000, 1_778_846_400_000, 0),
        (1_778_846_400_000_500_000, 1_778_846_400_000, 2_048),
        (1_778_846_400_000_999_999, 1_778_846_400_000, 4_095),
        ((2**48 - 1) * 1_000_000, 2**48 - 1, 0),
    ],
)
def test_milliseconds_and_their_fraction_have_their_places(
    monkeypatch: pytest.MonkeyPatch, nanoseconds: int, milliseconds: int, fraction: int
) -> None:
    uuid = key_at(monkeypatch, nanoseconds)
    assert (uuid.int >> 80, uuid.int >> 64 & 0xFFF) == (milliseconds, fraction)
    assert (uuid.version, uuid.variant) == (7, RFC_4122)


@given(st.integers(0, 2**60), st.integers(245, 2**50))
def test_a_key_made_a_quarter_of_a_microsecond_later_sorts_later(earlier: int, gap: int) -> None:
    with pytest.MonkeyPatch.context() as monkeypatch:
        assert str(key_at(monkeypatch, earlier)) < str(key_at(monkeypatch, earlier + gap))


def test_keys_made_at_the_same_instant_differ(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len({key_at(monkeypatch, 1) for _ in range(10_000)}) == 10_000


def test_every_variant_of_the_random_part_turns_up() -> None:
    assert {new_idempotency_key()[19] for _ in range(500)} == set("89ab")


def test_threads_never_make_the_same_key() -> None:
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda _: [new_idempotency_key() for _ in range(1_000)], range(8)))
    assert len({key for each in made for key in each}) == 8_000
