"""What is wrong with a field of a request, in words: from what the decoder says of types, bounds and patterns."""

from __future__ import annotations

import re

_PLACE = re.compile(r" - at `\$\.?([^`]*)`$")
_NAMED = re.compile(r"field `([^`]+)`$")
_EXPECTED = re.compile(r"Expected `([^`]+)`(?:(?: of length)? ([<>]=) (-?\d+)|, got `([^`]+)`)?$")
_VALUE = re.compile(r"Invalid enum value (.+)$")
_PATTERN = "matching regex"
_LENGTH = " of length "

_KINDS = {
    "int": "a whole number",
    "float": "a fraction",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "null",
}

_FORMS = {
    "attempt": "1 to 64 printable ASCII characters",
    "cursor": "the next_cursor of a page",
    "cycle": "YYYY-MM, such as 2026-12",
    "digest": "hourly, or a time such as 09:00",
    "idempotency_key": "1 to 255 printable ASCII characters",
    "note": "text without NUL characters",
    "purchase_key": "1 to 255 printable ASCII characters",
    "quiet_hours": "a range of hours such as 22:00-07:00",
    "sha256": "64 hexadecimal digits",
    "topup_id": "the id of a top-up, such as tu_1a2b",
}
"""What a text that a pattern refuses must be."""


def explained(message: str) -> tuple[str, str]:
    """The field that a decoder's ``message`` is about, empty when it is the whole body, and what is wrong with it."""
    place = _PLACE.search(message)
    problem = message[: place.start()] if place else message
    within = place[1] if place else ""
    if named := _NAMED.search(problem):
        field = f"{within}.{named[1]}" if within else named[1]
        is_missing = "missing" in problem
        return field, f"{field} is missing" if is_missing else f"{field} is not a field of this request"
    return within, f"{within or 'the body'} {_explained_value(within, problem)}"


def _explained_value(field: str, problem: str) -> str:
    if _PATTERN in problem:
        return f"must be {_FORMS[name]}" if (name := field.rpartition(".")[2]) in _FORMS else "has an invalid format"
    if found := _VALUE.match(problem):
        return f"must be one of the values in the API reference, not {found[1]}"
    if (found := _EXPECTED.match(problem)) is None:
        return f"is invalid: {problem}"
    kind, comparison, bound, got = found.groups()
    if comparison is None:
        return f"must be {_kind(kind)}" + (f", not {_kind(got)}" if got else "")
    bounds = f"{int(bound):,} or {'more' if comparison == '>=' else 'fewer' if _LENGTH in problem else 'less'}"
    if _LENGTH not in problem:
        return f"must be {_kind(kind)}, {bounds}"
    return f"must have {bounds} {'characters' if kind.startswith('str') else 'items'}"


def _kind(name: str) -> str:
    """``int | null`` in words."""
    return " or ".join(_KINDS.get(each, each) for each in name.split(" | "))
