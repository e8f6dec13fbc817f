"""Words by which wallets are found: how a text is folded, and which of its parts a query can begin with.

Case and width do not matter: ``ＡＣＭＥ`` and ``acme`` are one word, and so are ``ｱｸﾒ`` and ``アクメ``. Words are what
stands between spaces, and what stands between other signs in them. Scripts that are written without spaces are found
from each of their characters on, so ``研究`` finds ``東京研究所``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from unicodedata import normalize

TERM_LENGTH = 48
"""Characters of a word that count."""

SEARCHED_LENGTH = 100
"""Characters of a text that are searched."""

MAX_TERMS = 1_000
"""Terms of a wallet's own texts, and of each of its agent keys."""

MAX_QUERY_LENGTH = 300

MAX_QUERY_WORDS = 8

_PART = re.compile(r"[^\W_]+")
_WITHOUT_SPACES = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u31f0-\u31ff\u3400-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]"
)
"""Thai, Lao, Burmese, Khmer, kana, Han and Hangul."""


def folded(text: str) -> str:
    """``text`` without differences of case and width (NFKC, casefold)."""
    if text.isascii():
        return text.lower()
    return normalize("NFKC", normalize("NFKC", text).casefold())


def sorted_form(label: str | None) -> str:
    """A label as wallets are sorted by it."""
    return " ".join(folded((label or "")[:SEARCHED_LENGTH]).split())[:TERM_LENGTH]


def terms_of(texts: Iterable[str]) -> set[str]:
    """The terms of a wallet's or an agent key's texts, the most important text first, up to ``MAX_TERMS``."""
    found: dict[str, None] = {}
    for text in texts:
        for word in folded(text[:SEARCHED_LENGTH]).split():
            for start in _starts(word):
                found[word[start : start + TERM_LENGTH]] = None
                if len(found) == MAX_TERMS:
                    return set(found)
    return set(found)


def query_words(query: str) -> list[str]:
    """The different words of a query, the longest first, as far as they count."""
    words = {word[:TERM_LENGTH] for word in folded(query).split()}
    return sorted(words, key=lambda word: (-len(word), word))


def terms_of_names(label: str | None, reference: str, token_prefix: str, metadata: Mapping[str, str]) -> set[str]:
    """The terms by which a wallet or an agent key is found."""
    terms = terms_of((label or "", reference, *metadata.values()))
    return terms | {folded(token_prefix)} if token_prefix else terms


def _starts(word: str) -> list[int]:
    """Where in a word a query may begin."""
    starts = {0, *(part.start() for part in _PART.finditer(word))}
    starts.update(found.start() for found in _WITHOUT_SPACES.finditer(word))
    return sorted(starts)
