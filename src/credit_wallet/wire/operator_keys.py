"""The keys that open everything: what makes a good one, and which the environment names.

Several keys, each with a name, let one take the place of another without a moment in which neither works. The name, and
never the key, says in the log who did what.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from hashlib import sha256
from itertools import pairwise
from secrets import compare_digest

from msgspec import Struct

from credit_wallet.config import METRICS_TOKEN, OPERATOR_KEY, OPERATOR_KEYS
from credit_wallet.domain.tokens import looked_up
from credit_wallet.errors import InvalidRequest

SHORTEST_KEY = 32
"""Characters; 32 hex digits are 128 random bits."""

LONGEST_KEY = 512
MAX_KEYS = 10

SOLE_NAME = "operator"
"""What the key of ``CREDIT_WALLET_OPERATOR_KEY`` is called in the log."""

HOW_TO_MAKE_ONE = "make one with: openssl rand -hex 32"

_FEWEST_DIFFERENT = 8
"""Different characters in a key; 32 random hex digits have fewer once in ten million times."""

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class OperatorKey(Struct, frozen=True):
    """A key as the service keeps it: its name, and the SHA-256 that tokens are compared with."""

    name: str
    digest: bytes


def operator_key(name: str, text: str, setting: str = "the operator key") -> OperatorKey:
    """``text`` as a key called ``name``. Raises ``InvalidRequest``, which names ``setting`` and not the key."""
    if problem := _weakness(text):
        raise InvalidRequest(f"{setting} {problem}; {HOW_TO_MAKE_ONE}", field=setting)
    return OperatorKey(name, sha256(text.encode()).digest())


def operator_keys(environment: Mapping[str, str] | None = None) -> tuple[OperatorKey, ...]:
    """The keys of ``CREDIT_WALLET_OPERATOR_KEY`` and ``CREDIT_WALLET_OPERATOR_KEYS``; none when neither is set.

    The second is ``name:key,name:key``. Raises ``InvalidRequest`` for a key that could be guessed, the empty text
    included, and for a name or a key that is there twice.
    """
    keys = []
    if (sole := OPERATOR_KEY.read(environment)) is not None:
        keys.append(operator_key(SOLE_NAME, sole, OPERATOR_KEY.name))
    if (several := OPERATOR_KEYS.read(environment)) is not None:
        keys += [_named(part) for part in several.split(",")]
    if len(keys) > MAX_KEYS:
        raise _wrong(f"has more than {MAX_KEYS} keys; remove those that are no longer used")
    for what, values in (("name", [key.name for key in keys]), ("key", [key.digest for key in keys])):
        if len({*values}) < len(keys):
            raise _wrong(f"has a {what} twice, or one that {OPERATOR_KEY.name} has; give each {what} once")
    return tuple(keys)


def require_not_of_environment(token: str, keys: Iterable[OperatorKey]) -> None:
    """Raises ``InvalidRequest`` for one of ``keys``: only the environment takes those back."""
    digest = bytes.fromhex(looked_up(token) or "")
    found = [key.name for key in keys if compare_digest(key.digest, digest)]
    if found:
        raise InvalidRequest(
            f"this is the environment's key {found[0]}; take it out of {OPERATOR_KEY.name} or {OPERATOR_KEYS.name} and "
            "start the service again",
            field="token",
        )


def metrics_key(environment: Mapping[str, str] | None = None) -> OperatorKey | None:
    """The token of ``CREDIT_WALLET_METRICS_TOKEN``, as good as an operator's; None when it is not set.

    Raises ``InvalidRequest`` for one that could be guessed, or that opens everything.
    """
    text = METRICS_TOKEN.read(environment)
    if text is None:
        return None
    key = operator_key("metrics", text, METRICS_TOKEN.name)
    if any(key.digest == operator.digest for operator in operator_keys(environment)):
        raise InvalidRequest(
            f"{METRICS_TOKEN.name} is an operator key, which opens everything; {HOW_TO_MAKE_ONE}",
            field=METRICS_TOKEN.name,
        )
    return key


def _named(part: str) -> OperatorKey:
    name, colon, text = part.strip().partition(":")
    if not colon or not _NAME.fullmatch(name) or name == SOLE_NAME:
        raise _wrong(
            "must be name:key,name:key, where a name is up to 32 lower-case letters, digits, - and _, begins with a "
            f"letter and is not {SOLE_NAME}"
        )
    return operator_key(name, text, f"{OPERATOR_KEYS.name} ({name})")


def _weakness(text: str) -> str | None:
    """Why ``text`` cannot be an operator key; None when it can."""
    if not text.strip():
        return "is empty; unset it to have a key made for one run"
    if not text.isascii() or not text.isprintable() or " " in text:
        return "must be printable ASCII without spaces"
    if not SHORTEST_KEY <= len(text) <= LONGEST_KEY:
        return f"must have {SHORTEST_KEY} to {LONGEST_KEY} characters, not {len(text)}"
    if len({*text}) < _FEWEST_DIFFERENT or _repeats(text) or _counts(text):
        return "must be random: it repeats or counts"
    return None


def _repeats(text: str) -> bool:
    """Whether a text is one part of it again and again, the last time cut off or not."""
    return any(text.startswith(text[length:]) for length in range(1, len(text) // 2 + 1))


def _counts(text: str) -> bool:
    """Whether most characters are next to the one before them, as in ``abcdefgh``."""
    near = sum(abs(ord(one) - ord(other)) <= 1 for one, other in pairwise(text))
    return near * 2 > len(text)


def _wrong(what: str) -> InvalidRequest:
    return InvalidRequest(f"{OPERATOR_KEYS.name} {what}", field=OPERATOR_KEYS.name)
