"""What pages say, in English and Japanese.

Templates and modules say it in English; the Japanese stands beside it in ``words/*.toml``, by the English text.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from importlib.resources import files
from typing import Any, Final, Literal, NamedTuple, TypeAlias, get_args

from markupsafe import Markup, escape

Language: TypeAlias = Literal["en", "ja"]

LANGUAGES: Final[tuple[Language, ...]] = get_args(Language)

NAMES: Final[dict[Language, str]] = {"en": "English", "ja": "日本語"}
"""How each language calls itself."""


def text(english: str) -> str:
    """Marks a text that is said later, by a page that knows the language."""
    return english


class RefusedText(NamedTuple):
    """What was refused, and why."""

    title: Markup
    detail: str


class _Figures(dict[str, Any]):
    """The members of a problem document as texts have them: numbers with their thousands apart."""

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(
            {name: f"{value:,}" if type(value) is int else value for name, value in problem.items()},
        )

    def __missing__(self, name: str) -> str:
        return "–"


class Words:
    """Says texts in ``language``."""

    def __init__(self, language: Language) -> None:
        self.language = language
        self._known = {} if language == "en" else japanese()

    def say(self, english: str, /, **values: Any) -> Markup:
        """``english`` in the language, with ``{name}`` replaced by the values, which are escaped."""
        said = _escaped(self._known.get(english, english))
        return filled(said, values) if values else said

    def count(self, one: str, many: str, n: int, /, **values: Any) -> Markup:
        """``one`` or ``many`` by the number, which stands for ``{n}``; Japanese knows only ``many``."""
        return self.say(one if n == 1 and self.language == "en" else many, n=f"{n:,}", **values)

    def refused(self, code: str, detail: str, figures: Mapping[str, Any]) -> RefusedText:
        """What a refusal says: its ``detail``; in Japanese what we know of that or of its code, with its figures."""
        known = self._known.get(detail) or self._known.get(f"problem {code}")
        if known is None:
            return RefusedText(self.say("That did not work"), detail)
        return RefusedText(self.say("That did not work"), known.format_map(_Figures(figures)))


def filled(text: Markup, values: Mapping[str, Any]) -> Markup:
    """``text`` with ``{name}`` replaced by the values, which are escaped.

    The same as its own ``format``, in a tenth of the time: a page has some hundreds.
    """
    return Markup(str.format_map(text, {name: escape(value) for name, value in values.items()}))  # noqa: S704


@lru_cache(maxsize=4096)
def _escaped(text: str) -> Markup:
    return escape(text)


@cache
def japanese() -> dict[str, str]:
    """Every text in Japanese, by the English one."""
    found: dict[str, str] = {}
    for file in sorted(files("credit_wallet.pages").joinpath("words").iterdir(), key=lambda each: each.name):
        if file.name.endswith(".toml"):
            found.update(tomllib.loads(file.read_text(encoding="utf-8")))
    return found


def chosen(asked: str | None, accepted: str) -> Language:
    """The language that was ``asked`` for, or else the first of ``Accept-Language`` that we speak."""
    if asked in LANGUAGES:
        return asked
    ranked: list[tuple[float, int, Language]] = []
    for position, part in enumerate(accepted.split(",")[:20]):
        tag, _, quality = part.strip().partition(";q=")
        spoken = [language for language in LANGUAGES if tag.lower().split("-")[0] == language]
        ranked += [(-_quality(quality), position, language) for language in spoken]
    return min(ranked)[2] if ranked else "en"


def _quality(text: str) -> float:
    try:
        return float(text or 1)
    except ValueError:
        return 0.0
