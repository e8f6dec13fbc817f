"""JSON whose objects name each member once. Of duplicates, one parser takes the first value and another the last."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import msgspec

from credit_wallet.errors import InvalidJson

_decoded = msgspec.json.Decoder().decode


def require_distinct_members(body: bytes) -> None:
    """Raise ``InvalidJson`` when an object in ``body`` has a member twice (RFC 8259, section 4; RFC 7493 forbids it).

    ``body`` must be JSON. Every member has a colon, so if there are no more colons than decoded members, none was lost.
    That costs less than a microsecond; only a body with a colon inside a string is parsed again, pair by pair.
    """
    colons, value = body.count(b":"), _decoded(body)
    if isinstance(value, dict) and len(value) == colons:
        return
    if _members(value) != colons:
        json.loads(body, object_pairs_hook=_distinct, parse_int=_not_needed, parse_float=_not_needed)


def require_distinct_members_if_json(body: bytes) -> None:
    """``require_distinct_members`` for a body that others parse, who report invalid JSON in their own way."""
    with suppress(msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        require_distinct_members(body)


def _members(value: object) -> int:
    """How many members the objects in ``value`` have."""
    if isinstance(value, dict):
        return len(value) + sum(_members(each) for each in value.values() if isinstance(each, dict | list))
    return sum(_members(each) for each in value) if isinstance(value, list) else 0


def _distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        name = first_repeated(name for name, _ in pairs)
        raise InvalidJson(f"the body has the member {name!r} twice in one object; give it once", field=name)
    return found


def _not_needed(_: str) -> None:
    """Numbers can be longer than Python converts."""


def first_repeated(names: Iterable[str]) -> str | None:
    """The first name that is repeated."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None
