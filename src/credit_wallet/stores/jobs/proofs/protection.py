"""The triggers that keep rows from being changed: each exists, is enabled, and is as the migrations made it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from credit_wallet.stores import Source, migrations
from credit_wallet.stores.jobs.proofs.violations import Violation

_FOLDERS = {"": "", "postgres": "postgres/"}
_TRIGGER = {
    "": re.compile(r"^CREATE TRIGGER (?P<name>\w+).*?^END;|^DROP TRIGGER (?P<dropped>\w+)", re.DOTALL | re.MULTILINE),
    "postgres": re.compile(r"^CREATE TRIGGER (?P<name>\w+)[^;]*;|^DROP TRIGGER (?P<dropped>\w+)", re.MULTILINE),
}
_FUNCTION = re.compile(
    r"^CREATE (?:OR REPLACE )?FUNCTION (?P<name>\w+)\(\).*?\$\$(?P<body>.*?)\$\$;", re.DOTALL | re.MULTILINE
)
_FOUND = {
    "": "SELECT name, sql, 1, '', '' FROM sqlite_schema WHERE type = 'trigger' AND name LIKE 'am_credit%'",
    "postgres": """
        SELECT t.tgname, pg_get_triggerdef(t.oid, true), CASE WHEN t.tgenabled IN ('O', 'A') THEN 1 ELSE 0 END,
               p.proname, p.prosrc
        FROM pg_trigger t JOIN pg_proc p ON p.oid = t.tgfoid JOIN pg_class c ON c.oid = t.tgrelid
        WHERE NOT t.tgisinternal AND c.oid = to_regclass(c.relname) AND c.relname LIKE 'am@_credit%' ESCAPE '@'
          AND t.tgparentid = 0
    """,
}
"""Name, text, whether it is enabled, and for PostgreSQL its function and the function's text."""

_ROWS_THAT_DIFFER = re.compile(r"\(([\w., \n]+)\)\s+IS DISTINCT FROM\s+\(([\w., \n]+)\)")

_Words = tuple[str, ...]


def unprotected(source: Source) -> Iterator[Violation]:
    """Triggers of the migrations that are missing or differ in the database."""
    expected, functions = _expected(source.dialect)
    found: dict[str, list[tuple[_Words, bool]]] = {}
    for name, text, is_on, function, body in source.rows(_FOUND[source.dialect], {}):
        works = bool(is_on) and _words(body) == functions.get(function, ())
        found.setdefault(name, []).append((_words(text), works))
    for name, words in expected.items():
        if name not in found:
            yield Violation("protection", None, f"trigger {name}, which protects the ledger, is gone")
        elif not all(works and _same(text, words) for text, works in found[name]):
            yield Violation(
                "protection", None, f"trigger {name}, which protects the ledger, is not what it was made as"
            )


def _same(text: _Words, words: _Words) -> bool:
    """Whether two texts say the same. A partition, whose name ends in _p and digits, has its own statement trigger."""
    return tuple(re.sub(r"_p\d+$", "", word) for word in text) == words


@cache
def _expected(dialect: str) -> tuple[dict[str, _Words], dict[str, _Words]]:
    """The triggers that are there once all migrations are applied, and the functions that they call."""
    triggers: dict[str, _Words] = {}
    functions: dict[str, _Words] = {"": ()}
    for script in migrations.scripts(_FOLDERS[dialect]):
        functions |= {found["name"]: _words(found["body"]) for found in _FUNCTION.finditer(script)}
        for found in _TRIGGER[dialect].finditer(script):
            if found["dropped"]:
                triggers.pop(found["dropped"], None)
            else:
                triggers[found["name"]] = _words(found[0].removesuffix(";"))
    return triggers, functions


def _words(text: str) -> _Words:
    """A statement without its layout, and without the parts that PostgreSQL rewrites."""
    plain = _ROWS_THAT_DIFFER.sub(_column_by_column, re.sub(r"--[^\n]*", "", text))
    words = re.findall(r"'[^']*'|[\w.]+|[<>=!]+", plain)
    return tuple(word if word[0] == "'" else word.lower() for word in words if word.lower() != "row")


def _column_by_column(rows: re.Match[str]) -> str:
    pairs = zip(rows[1].split(","), rows[2].split(","), strict=True)
    return " OR ".join(f"{new} IS DISTINCT FROM {old}" for new, old in pairs)
