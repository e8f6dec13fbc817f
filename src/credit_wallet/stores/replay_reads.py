"""Reading the ledger in its order, for a replay: page by page, and never more than one page at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from msgspec import structs

from credit_wallet.domain.budgets import Budget
from credit_wallet.domain.money import MICROS
from credit_wallet.rules.details import exact_micros, parse_detail, usage_of
from credit_wallet.rules.replay_entries import NEVER_PCT, Logged
from credit_wallet.stores import Source
from credit_wallet.stores.budget_rows import budget_of
from credit_wallet.stores.sql import statements

IDS_A_PAGE = 5_000
"""A statement takes some ten milliseconds."""

_SQL = statements("replay.sql")


def logged(source: Source, wallet_id: int | None, since: str, until: str) -> Iterator[Logged]:
    """The entries of a wallet, or of all, from ``since`` to before ``until``, in the order of the ledger."""
    [(first, newest)] = source.rows(_SQL["span"], {})
    if first is None:
        return
    asked = {"wallet_id": wallet_id or 0, "since": since, "until": until}
    for after in range(first - 1, newest, IDS_A_PAGE):
        page = source.rows(_SQL["entries"], {"after": after, "last": after + IDS_A_PAGE, **asked})
        yield from map(_logged, page)


def _logged(row: tuple[Any, ...]) -> Logged:
    txn_id, wallet_id, txn_type, at, yen, ledger_yen, key_id, related_txn_id, text, *others = row
    refunded_yen, refunded_fraction, hold_id, held_yen, held_fraction, time_zone, price_group, group = others
    detail = parse_detail(text)
    return Logged(
        txn_id,
        wallet_id,
        txn_type,
        at,
        exact_micros(yen, detail),
        (ledger_yen or 0) * MICROS + detail.fraction,
        key_id,
        related_txn_id,
        usage_of(detail),
        0 if refunded_yen is None else refunded_yen * MICROS + refunded_fraction,
        hold_id,
        0 if held_yen is None else held_yen * MICROS + held_fraction,
        time_zone,
        price_group,
        group,
    )


def monthly_limits(source: Source) -> tuple[dict[int, int], dict[int, int]]:
    """The monthly budgets that stop spending now, by wallet, and the caps of agent keys."""
    return dict(source.rows(_SQL["monthly"], {})), dict(source.rows(_SQL["caps"], {}))


def live_budgets(source: Source, wallet_id: int | None) -> list[Budget]:
    """The budgets that count now, of a wallet or of all, by id; each with its usual limit, and telling nobody."""
    rows = source.rows(_SQL["budgets"], {"wallet_id": wallet_id or 0})
    untold = {"shares_pct": (NEVER_PCT,), "raised_micros": None, "raised_until": None}
    return [structs.replace(budget_of(row), **untold) for row in rows]
