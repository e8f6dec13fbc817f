"""The invariants as SQL: each statement of ``sql/proofs`` returns the violations of one, and must return no row.

A statement proves what its heading says, and its rows are ``wallet_id, what should be, what is``, and 'yen' when both
are amounts in micros. One that passes the ledger for several proofs at once lists them below its heading, and its rows
begin with the name of the one.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Any, NamedTuple

from credit_wallet.domain.money import decimal_text
from credit_wallet.stores import Source
from credit_wallet.stores.jobs.proofs.violations import Violation
from credit_wallet.stores.jobs.proofs.wording import worded
from credit_wallet.stores.sql import statements

FILES = (
    *("ledger", "names", "returns", "lots", "holds", "purchases", "payments", "transfers", "identities", "cycles"),
    *("grants", "erasures"),
)

BY_CYCLE = ("cycle_spend", "key_spend", "cycles")
"""Those that are asked for each cycle: see ``cycles``."""

NO_INVARIANTS = ("recorded_cycles", "spending", "moved_in_cycle")

DETAILS = "what an entry says beyond its whole yen, and what it or a hold is for, is well formed and says nothing twice"
"""The invariant ``details``, which is proved by reading them: see ``details``."""

PRICES = "what was priced names a version of the price book that there was"

USAGE = {
    "usage_start": "a wallet's usage begins with its first entry that says who paid or what for",
    "usage": "what is added up by hour, day and month is what the entries up to the one counted say",
}
"""Those of usage, which is counted again: see ``usage``."""

BUDGETS = {
    "budgets": "a budget is where charges that it matches find it, and its wallet knows how many are found by what",
    "budget_changes": "a budget is what the log of its changes leads to, from the first to the last",
    "budget_held": "what is reserved in a budget is what the open holds that reserve in it have left",
    "budget_reserves": "an open hold reserves in all budgets that it matches, and knows if it was captured",
    "budget_steps": "what is spent in a rolling window is the sum of its seconds, each of which has its charges",
    "budget_spent": "what is spent of a budget in a window is what the charges that match it have added up to",
}
"""Those of budgets, in which charges are counted again: see ``budgets``."""

_HEADING = re.compile(r"^-- ([a-z_]+): (.*)$", re.MULTILINE)
_PART = re.compile(r"^--   ([a-z_]+): (.*)$", re.MULTILINE)


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
    in_sql = {name: meaning for proof in proofs().values() for name, meaning in proof.meanings.items()}
    return {"details": DETAILS, "prices": PRICES, **in_sql, **USAGE, **BUDGETS}


def broken(source: Source, name: str, *, in_whole_yen: bool) -> Iterator[Violation]:
    """What a statement that depends on no cycle finds; ``in_whole_yen`` says that no entry has a detail."""
    proof = proofs()[name]
    for row in source.rows(worded(proof.statement, source.dialect, in_whole_yen=in_whole_yen), {}):
        yield violation(*row) if len(proof.meanings) > 1 else violation(name, *row)


def violation(check: str, wallet_id: int | None, expected: Any, found: Any, unit: str = "") -> Violation:
    """The message that ``check`` is violated; ``unit`` 'yen' means that both are micros."""
    who = "the ledger" if wallet_id is None else f"wallet {wallet_id}"
    if unit == "yen":
        expected, found = _amount(expected), _amount(found)
    return Violation(check, wallet_id, f"{who}: {meanings()[check]} — expected {expected}, found {found}")


def _amount(micros: Any) -> str:
    return "nothing" if micros is None else decimal_text(int(micros))
