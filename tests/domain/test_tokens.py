"""Tokens: their form, their checksum, and that no two are alike."""

from __future__ import annotations

import re
import string
from hashlib import sha256
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from credit_wallet.domain.tokens import OPERATOR_PREFIX, is_token, new_operator_key, new_token, token_hash

DIGITS = string.digits + string.ascii_uppercase + string.ascii_lowercase
TOKEN = new_token()


def checksum(text: str) -> str:
    """CRC-32 in six base62 digits, the slow way."""
    number = crc32(text.encode())
    return "".join(DIGITS[number // 62**place % 62] for place in reversed(range(6)))


def test_a_token_is_its_prefix_43_digits_and_their_checksum() -> None:
    for token in (new_token() for _ in range(100)):
        assert re.fullmatch(r"cw_live_[0-9A-Za-z]{43}[0-9A-Za-z]{6}", token)
        assert token[-6:] == checksum(token[:-6])
        assert is_token(token)


def test_an_operator_key_is_no_wallets_token() -> None:
    key = new_operator_key()
    assert re.fullmatch(r"cw_operator_[0-9A-Za-z]{49}", key)
    assert is_token(key, OPERATOR_PREFIX)
    assert not is_token(key)


@pytest.mark.parametrize("new", [new_token, new_operator_key])
def test_no_two_are_alike(new: type[str]) -> None:
    assert len({new() for _ in range(5_000)}) == 5_000


def test_all_62_digits_turn_up_everywhere() -> None:
    bodies = [new_token()[8:51] for _ in range(5_000)]
    for place in range(1, 43):  # 256 bits do not fill the first digit
        assert {body[place] for body in bodies} == set(DIGITS)


def test_the_checksum_catches_every_change_of_one_character() -> None:
    for place, right in enumerate(TOKEN):
        for wrong in string.printable:
            if wrong != right:
                assert not is_token(TOKEN[:place] + wrong + TOKEN[place + 1 :])


@given(st.integers(0, len(TOKEN) - 1), st.characters())
def test_the_checksum_catches_any_character_of_unicode(place: int, character: str) -> None:
    changed = TOKEN[:place] + character + TOKEN[place + 1 :]
    assert is_token(changed) == (changed == TOKEN)


@given(st.integers(8, len(TOKEN) - 8), st.integers(1, 3), st.text(DIGITS, min_size=1, max_size=3))
def test_the_checksum_catches_a_burst_of_up_to_three_characters(place: int, length: int, burst: str) -> None:
    changed = TOKEN[:place] + burst[:length].ljust(length, "0") + TOKEN[place + length :]
    assert is_token(changed) == (changed == TOKEN)


def test_two_neighbours_swapped_are_caught() -> None:
    for place in range(len(TOKEN) - 1):
        swapped = TOKEN[:place] + TOKEN[place + 1] + TOKEN[place] + TOKEN[place + 2 :]
        assert is_token(swapped) == (swapped == TOKEN)


@given(st.text())
def test_no_other_text_is_a_token(text: str) -> None:
    assert not is_token(text)
    assert not is_token(TOKEN + (text or " "))
    assert not is_token((text or " ") + TOKEN)


@pytest.mark.parametrize("body", ["a" * 42, "a" * 44, "", "!" * 43, " " * 43, "a" * 42 + "\n", "a" * 42 + "é"])
def test_a_right_checksum_does_not_make_a_wrong_form_right(body: str) -> None:
    assert not is_token(f"cw_live_{body}{checksum(f'cw_live_{body}')}")


def test_only_the_hash_of_a_token_is_stored() -> None:
    assert token_hash("cw_live_example") == sha256(b"cw_live_example").hexdigest()
