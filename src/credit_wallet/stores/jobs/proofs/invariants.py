"""The invariants as SQL: each statement of ``sql/proofs`` returns the violations of one, and must return no row.

A statement proves what its heading says, and its rows are ``wallet_id, what should be, what is``. One that passes the
ledger for several proofs at once lists them below its heading, and its rows begin with the name of the one.

The statements are the same for every database but for one function: where SQLite has ``json_each``, which makes a row
of each element of an array, PostgreSQL has another.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

from credit_wallet.stores import Source
from credit_wallet.stores.jobs.proofs.violations import Violation
from credit_wallet.stores.sql import statements

FILES = ("ledger", "lots", "holds", "payments", "identities", "cycles")

BY_CYCLE = ("cycle_spend", "key_spend", "cycles")
"""Those that are asked for each cycle: see ``cycles``."""

NO_INVARIANTS = ("recorded_cycles", "spending", "moved_in_cycle")

_HEADING = re.compile(r"^-- ([a-z_]+): (.*)$", re.MULTILINE)
_PART = re.compile(r"^--   ([a-z_]+): (.*)$", re.MULTILINE)
_JSON_EACH = re.compile(r"json_each\(([a-z_.]+)\) ([a-z_]+)")


class _Proof(NamedTuple):
    statement: str
    meanings: dict[str, str]
    """The meanings of the invariants that the statement proves, by name."""


@cache
def proofs() -> dict[str, _Proof]:
    """Every statement that proves something, by name, in the order of the files."""
    found = {}
    for file in FILES:
        for name, statement in statements(f"proofs/{file}.sql").items():
            if name not in NO_INVARIANTS:
                meanings = dict(_PART.findall(statement) or _HEADING.findall(statement)[:1])
                found[name] = _Proof(statement, meanings)
    return found


@cache
def meanings() -> dict[str, str]:
    """The meaning of each invariant, by name."""
    return {name: meaning for proof in proofs().values() for name, meaning in proof.meanings.items()}


def in_dialect(statement: str, source: Source) -> str:
    """The statement in the dialect of ``source``."""
    return _JSON_EACH.sub(_elements, statement) if source.dialect else statement


def _elements(each: re.Match[str]) -> str:
    """PostgreSQL's ``json_each``: ``value``, and ``key`` where a statement asks for the place."""
    array, name = each.groups()
    ordered = f"{name}.key" in each.string
    elements = f"jsonb_array_elements(CAST({array} AS JSONB))"
    return f"{elements} WITH ORDINALITY {name} (value, key)" if ordered else f"{elements} {name} (value)"


def broken(source: Source) -> Iterator[Violation]:
    """Violations of the invariants that do not depend on a cycle."""
    for name, proof in proofs().items():
        if name in BY_CYCLE:
            continue
        for row in source.rows(in_dialect(proof.statement, source), {}):
            yield violation(*row) if len(proof.meanings) > 1 else violation(name, *row)


def violation(check: str, wallet_id: int | None, expected: object, found: object) -> Violation:
    """The message that ``check`` is violated."""
    who = "the ledger" if wallet_id is None else f"wallet {wallet_id}"
    return Violation(check, wallet_id, f"{who}: {meanings()[check]} — expected {expected}, found {found}")
