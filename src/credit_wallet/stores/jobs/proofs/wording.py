"""The statements of ``sql/proofs`` in the words of a database.

They are the same for every database but for these functions, which stand for longer expressions:

- ``json_each(array) name`` makes a row of each element of an array, its ``value`` and, if asked for, its place ``key``;
- ``micros(part)`` are the micros of a part ``[lot, yen]`` or ``[lot, yen, micros]`` of such an array beyond its yen;
- ``member(text, name)`` is a member of a JSON object that is stored as text;
- ``exact(yen, fraction)`` are whole yen and the micros beyond them as one number of micros, which never overflows;
- ``beyond(entry)`` are the micros by which an entry's exact amount exceeds its ``amount_yen``, less than a yen;
- ``fraction(entry)`` are the micros of the ledger balance after an entry beyond ``ledger_balance_yen``.

Where no entry has a detail the last two are 0, and cost nothing.
"""

from __future__ import annotations

import re
from functools import cache

_JSON_EACH = re.compile(r"json_each\(([a-z_.]+)\) ([a-z_]+)")
_MICROS = re.compile(r"\bmicros\((\w+)\)")
_MEMBER = re.compile(r"\bmember\(([a-z_.]+), ([a-z_]+)\)")
_BEYOND = re.compile(r"\bbeyond\((\w+)\)")
_FRACTION = re.compile(r"\bfraction\((\w+)\)")
_EXACT = re.compile(r"\bexact\(")


@cache  # writing all of them takes a third of the proof of a small ledger
def worded(statement: str, dialect: str, *, in_whole_yen: bool) -> str:
    """The statement for the database of ``dialect``; ``in_whole_yen`` says that no entry has a detail."""
    if in_whole_yen:
        statement = _FRACTION.sub("0", _BEYOND.sub("0", statement))
    else:
        statement = _BEYOND.sub(
            r"CASE WHEN \1.detail IS NULL THEN 0"
            r" ELSE coalesce(CAST(\1.detail ->> 'micros' AS BIGINT) - \1.amount_yen * 1000000, 0) END",
            statement,
        )
        statement = _FRACTION.sub(
            r"CASE WHEN \1.detail IS NULL THEN 0 ELSE coalesce(CAST(\1.detail ->> 'fraction' AS BIGINT), 0) END",
            statement,
        )
    statement = _with_exact_amounts(statement)
    if not dialect:  # most parts have none, which their text says sooner than their JSON
        statement = _MICROS.sub(
            r"CASE WHEN \1.value LIKE '%,%,%' THEN coalesce(CAST(\1.value ->> 2 AS BIGINT), 0) ELSE 0 END", statement
        )
        return _MEMBER.sub(r"(\1 ->> '\2')", statement)
    statement = _MICROS.sub(r"coalesce(CAST(\1.value ->> 2 AS BIGINT), 0)", statement)
    return _JSON_EACH.sub(_elements, _MEMBER.sub(r"(CAST(\1 AS JSON) ->> '\2')", statement))


def _with_exact_amounts(statement: str) -> str:
    """In PostgreSQL a NUMERIC has any length. In SQLite an integer stays what it is, or becomes a float where it is too
    long for any amount.
    """
    parts = []
    after = 0
    for call in _EXACT.finditer(statement):
        if call.start() < after:
            continue
        yen, fraction, end = _arguments(statement, call.end())
        parts += [statement[after : call.start()], f"(CAST({yen} AS NUMERIC) * 1000000 + ({fraction}))"]
        after = end
    return "".join([*parts, statement[after:]])


def _arguments(statement: str, start: int) -> tuple[str, str, int]:
    """The two arguments of a call that begin at ``start``, and where it ends."""
    depth, comma = 0, start
    for place in range(start, len(statement)):
        character = statement[place]
        if character == "(":
            depth += 1
        elif character == ")" and depth:
            depth -= 1
        elif character == ")":
            return statement[start:comma], statement[comma + 1 : place].strip(), place + 1
        elif character == "," and not depth:
            comma = place
    raise ValueError(statement[start - 20 :])


def _elements(each: re.Match[str]) -> str:
    """PostgreSQL's ``json_each``: ``value``, and ``key`` where a statement asks for the place."""
    array, name = each.groups()
    ordered = f"{name}.key" in each.string
    elements = f"jsonb_array_elements(CAST({array} AS JSONB))"
    return f"{elements} WITH ORDINALITY {name} (value, key)" if ordered else f"{elements} {name} (value)"
