"""What operators look for, and whether it may open something: then it is in no address, which browsers keep."""

from __future__ import annotations

import re
from typing import Final

_TOKEN = re.compile(r"cw_[a-z]+_[A-Za-z0-9]*|\b(?:sk|rk|whsec)[-_][A-Za-z0-9_-]+")
_BEARER = re.compile(r"\bbearer\b", re.IGNORECASE)
_BETWEEN_WORDS = re.compile(r"[\s\"'“”=:,;<>()]+")

MAX_NAME: Final = 23
"""Characters of a word that is surely no secret; the keys of hosts and operators are longer."""

_IDS = re.compile(r"(?:tu|tr|pi|ch|py|re|du|cus|in|evt|req)_[A-Za-z0-9_]+")
"""Ids of top-ups, of transfers and of Stripe's objects, which open nothing."""


def token_in(words: str) -> str | None:
    """The token in a text, whatever was copied around it: quotes, or a header."""
    found = _TOKEN.search(words)
    return None if found is None else found[0]


def may_open_something(words: str) -> bool:
    """Whether a text has a token, or a word that could be a key."""
    if token_in(words) or _BEARER.search(words):
        return True
    return any(len(word) > MAX_NAME and not _IDS.fullmatch(word) for word in _BETWEEN_WORDS.split(words))
