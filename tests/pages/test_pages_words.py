"""Everything that pages say is said in Japanese too."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict

import pytest
from said import PAGES, codes_of_pages, placeholders, said_by_pages

from credit_wallet import errors
from credit_wallet.errors import WalletError
from credit_wallet.pages.words import RefusedText, Words, japanese
from credit_wallet.wire.problem_types import DEFECT, PROBLEM_TYPES

SAID = said_by_pages()
TRANSLATED = {english for english in japanese() if not english.startswith("problem ")}
PROBLEMS = {english.removeprefix("problem ") for english in japanese()} - TRANSLATED

SAME_IN_BOTH = {"ID", "Stripe"}
"""What is written in Latin letters in Japanese too."""

OF_ANY_PROBLEM = {"detail", "code", "title", "status"}


def _codes_of_errors() -> set[str]:
    """The code of every refusal that there is."""
    known, found = [WalletError], set()
    for error in known:
        known += error.__subclasses__()
        found.add(error.code)
    return found


def test_everything_is_said_in_japanese() -> None:
    missing = sorted({f"{each.english!r} ({each.where})" for each in SAID if each.needs_japanese} - _translated())
    assert missing == []


def _translated() -> set[str]:
    return {f"{each.english!r} ({each.where})" for each in SAID if each.english in TRANSLATED}


def test_nothing_is_translated_that_no_page_says() -> None:
    assert sorted(TRANSLATED - {each.english for each in SAID if each.needs_japanese}) == []


def test_japanese_has_the_placeholders_of_the_english() -> None:
    differing = {
        english: (sorted(placeholders(english)), sorted(placeholders(japanese()[english])))
        for english in TRANSLATED
        if placeholders(english) != placeholders(japanese()[english])
    }
    assert differing == {}


def test_every_placeholder_is_given_a_value() -> None:
    lacking = [
        (each.where, each.english, sorted(placeholders(each.english) - each.values))
        for each in SAID
        if each.values is not None and not placeholders(each.english) <= each.values
    ]
    assert lacking == []


def test_the_japanese_is_japanese() -> None:
    latin = [
        english
        for english in TRANSLATED
        if (said := re.sub(r"\{[a-z_]+\}", "", japanese()[english]).strip()) not in SAME_IN_BOTH
        and re.search(r"[A-Za-z]", said)
        and not re.search(r"[\u3040-\u30ff\u4e00-\u9fff]", said)
    ]
    assert latin == []


def test_each_text_has_one_translation() -> None:
    found = defaultdict(set)
    for file in PAGES.joinpath("words").glob("*.toml"):
        for english, said in tomllib.loads(file.read_text(encoding="utf-8")).items():
            found[english].add(said)
    assert {english: said for english, said in found.items() if len(said) > 1} == {}


def test_every_refusal_is_said_in_japanese() -> None:
    assert errors.__name__  # every module of refusals is loaded
    codes = _codes_of_errors() | set(PROBLEM_TYPES) | codes_of_pages() | {DEFECT}
    assert sorted(codes - PROBLEMS) == []
    assert sorted(PROBLEMS - codes) == []


def test_refusals_say_only_figures_that_they_have() -> None:
    unknown = {
        code: sorted(names)
        for code in PROBLEMS
        if (names := placeholders(japanese()[f"problem {code}"]) - _members_of(code))
    }
    assert unknown == {}


def _members_of(code: str) -> set[str]:
    """The members that every problem document of a code has."""
    return {*OF_ANY_PROBLEM, *(PROBLEM_TYPES[code].fields if code in PROBLEM_TYPES else ())}


@pytest.mark.parametrize(
    ("language", "code", "said"),
    [
        ("en", "too_many_changes", "in English"),
        ("ja", "too_many_changes", "変更の回数が上限に達しました。1,200秒後にもう一度お試しください。"),
        ("ja", "invalid_request", "入力内容をご確認ください（in English）。"),
        ("ja", "of_a_later_release", "in English"),
    ],
)
def test_a_refusal_is_said_in_the_language_of_the_page(language: str, code: str, said: str) -> None:
    words = Words("ja" if language == "ja" else "en")
    refused = words.refused(code, "in English", {"retry_after_seconds": 1200, "detail": "in English"})
    assert isinstance(refused, RefusedText)
    assert refused.detail == said
