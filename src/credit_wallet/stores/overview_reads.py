"""What needs a person, by indexes of it alone; the same on every database."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args

from credit_wallet.domain.ledger_overview import CaseKind, Cases, CaseView
from credit_wallet.stores import Source
from credit_wallet.stores.sql import statements
from credit_wallet.stores.views import micros

SQL = statements("overview.sql")

COUNTED = 1_000
"""Things of a kind that are counted."""

SHOWN = 5


def cases(source: Source, since: str) -> Iterator[Cases]:
    """Every kind of what needs a person, top-ups that failed ``since`` then."""
    named = {"since": since, "most": COUNTED + 1, "shown": SHOWN}
    for kind in get_args(CaseKind):
        [(count,)] = source.rows(SQL[f"count_{kind}"], named)
        rows = source.rows(SQL[kind], named) if count else []
        yield Cases(kind, min(count, COUNTED), count > COUNTED, [_case(*row) for row in rows])


def _case(
    case_id: str,
    wallet_id: int,
    label: str | None,
    yen: int | None,
    fraction: int | None,
    at: str | None,
    reason: str | None,
) -> CaseView:
    return CaseView(case_id, wallet_id, label, None if yen is None else micros(yen, fraction), at, reason)
