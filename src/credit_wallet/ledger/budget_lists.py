"""What ``wallets.budgets`` shows: a wallet's monthly budget, its keys' caps and its budgets in one list."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from msgspec import json

from credit_wallet.domain.budget_views import BudgetChangeView, BudgetValueView, BudgetView
from credit_wallet.domain.budgets import EACH, KEY, Budget, Mode, Scope, shown_scope, shown_value
from credit_wallet.domain.cycle import cycle_bounds, format_instant, parse_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.shares import WARN_PCTS, thresholds_pct
from credit_wallet.domain.views import KeyView, WalletView
from credit_wallet.errors import KeyNotFound
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.rules.bounds import budget_id_text, key_cap_id, monthly_budget_id
from credit_wallet.rules.budget_requests import BudgetName
from credit_wallet.rules.counters import opened
from credit_wallet.rules.state import Counter
from credit_wallet.stores import budget_reads
from credit_wallet.stores.budget_reads import Cap, Change, Used
from credit_wallet.stores.reads import WalletRow

MAX_LIMITING = 20
"""How many budgets are shown beside a wallet."""


def page(ledger: Ledger, wallet_id: int, key_id: int | None, start: BudgetName | None, limit: int) -> list[BudgetView]:
    """Up to ``limit`` budgets after ``start``. Raises ``WalletNotFound`` and ``KeyNotFound``."""
    row, now = ledger.row(wallet_id), ledger.clock()
    key = None if key_id is None else ledger.reader.key(row, key_id, now)
    views: list[BudgetView] = []
    if start is None or start.kind != "budget":
        views += _monthly_limits(ledger, row, key, start, now, limit)
    if len(views) < limit and row.budget_kinds:
        after = start.number if start is not None and start.kind == "budget" else 0
        found = budget_reads.budgets(ledger.reader.source, wallet_id, after, limit - len(views), key)
        views += views_of(ledger, wallet_id, found, now, key)
    return views


def views_of(
    ledger: Ledger, wallet_id: int, budgets: Sequence[Budget], now: datetime, key: KeyView | None = None
) -> list[BudgetView]:
    """Budgets of a wallet with what is used of them, or as ``key`` sees them: of those for each key its own value,
    of those for each value of anything else the limit alone, since what is used may be other keys' doing.
    """
    if key is None:
        return [_view(each, now) for each in budget_reads.used_of(ledger.reader.source, wallet_id, budgets, now)]
    own = {each.budget_id: str(key.key_id) for each in budgets if _is_for_each_key(each.scope)}
    open_to_it = [each for each in budgets if each.budget_id in own or not _is_for_each(each.scope)]
    used = budget_reads.used_of(ledger.reader.source, wallet_id, open_to_it, now, own)
    seen = {each.counter.budget.budget_id: each for each in used}
    return [_view(seen.get(each.budget_id) or Used(opened(each, "", now)), now) for each in budgets]


def limiting(
    ledger: Ledger, row: WalletRow, wallet: WalletView, key: KeyView | None, counters: Sequence[Counter], now: datetime
) -> list[BudgetView]:
    """The first ``MAX_LIMITING`` budgets that can bound a key, or the owner: monthly limits first, then those of
    ``counters``, which bound every charge, then others by id.
    """
    views = [monthly(wallet)] if wallet.monthly_budget_yen else []
    if key is not None and key.monthly_cap_yen:
        views.append(cap_of(wallet, cap_in(key)))
    if not row.budget_kinds:
        return views
    views += [_view(Used(each), now) for each in sorted(counters, key=lambda counter: counter.budget.budget_id)]
    named = {each.budget.budget_id for each in counters}
    found = budget_reads.budgets(ledger.reader.source, row.wallet_id, 0, MAX_LIMITING, key)
    others = [each for each in found if each.budget_id not in named]
    return [*views, *views_of(ledger, row.wallet_id, others, now, key)][:MAX_LIMITING]


def values_of(ledger: Ledger, budget: Budget, after: str, limit: int) -> list[BudgetValueView]:
    """A page of what each value has used of a budget; nothing for a budget that is not for each value."""
    if not _is_for_each(budget.scope):
        return []
    return [
        BudgetValueView(
            shown_value(each.value),
            each.spent_micros,
            each.held_micros,
            max(0, each.left_micros),
            each.resets_at or each.empty_at or None,
            each.refused_micros,
            each.refusals,
        )
        for each in budget_reads.values(ledger.reader.source, budget, ledger.clock(), after, limit)
    ]


def monthly(wallet: WalletView) -> BudgetView:
    """A wallet's monthly budget, with a limit of 0 if it has none."""
    return _monthly_view(
        wallet,
        monthly_budget_id(wallet.wallet_id),
        None,
        {},
        wallet.budget_mode,
        thresholds_pct(wallet.alert_thresholds_pct),
        (wallet.monthly_budget_yen * MICROS, wallet.current_cycle_spent_micros, wallet.held_micros),
    )


def cap_of(wallet: WalletView, cap: Cap) -> BudgetView:
    """The monthly cap of an agent key, with a limit of 0 if it has none."""
    used = (cap.cap_yen * MICROS, cap.spent_micros, cap.held_micros)
    return _monthly_view(wallet, key_cap_id(cap.key_id), cap.label, {"key_id": str(cap.key_id)}, "cap", WARN_PCTS, used)


def cap_in(key: KeyView) -> Cap:
    """The cap of a key that was read already."""
    return Cap(key.key_id, key.label, key.monthly_cap_yen, key.current_cycle_spent_micros, key.held_micros)


def change_view(change: Change) -> BudgetChangeView:
    """A change as it is shown."""
    before, after = (None if text is None else _outside(json.decode(text)) for text in (change.before, change.after))
    return BudgetChangeView(
        change.change_id,
        change.budget_id,
        change.changed_by,
        change.changed_at,
        before,
        after,
        change.after_txn_id,
    )


def check_key_of(ledger: Ledger, wallet_id: int, scope: Scope) -> None:
    """Raise ``WalletNotFound``, or ``KeyNotFound`` if a scope names an agent key that is not the wallet's."""
    ledger.reader.wallet(wallet_id)
    for name, value in scope:
        if name == KEY and value != EACH and ledger.reader.owner_of_key(int(value)) != wallet_id:
            raise KeyNotFound(f"wallet {wallet_id} has no agent key {value}; check the id", key_id=int(value))


# Inside


def _monthly_limits(
    ledger: Ledger, row: WalletRow, key: KeyView | None, start: BudgetName | None, now: datetime, limit: int
) -> list[BudgetView]:
    """The monthly budget, and the caps of keys that work, or that of ``key``; of which that is 0 is none."""
    wallet = ledger.reader.view(row, now)
    views = [monthly(wallet)] if start is None and wallet.monthly_budget_yen else []
    after = start.number if start is not None and start.kind == "key" else 0
    if key is None:
        caps = budget_reads.caps(
            ledger.reader.source, row.wallet_id, wallet.current_cycle, now, after, limit - len(views)
        )
    else:
        caps = [cap_in(key)] if key.monthly_cap_yen and key.key_id > after else []
    return [*views, *(cap_of(wallet, cap) for cap in caps)][:limit]


def _monthly_view(
    wallet: WalletView,
    budget_id: str,
    label: str | None,
    scope: dict[str, str],
    mode: Mode,
    shares_pct: tuple[int, ...],
    used: tuple[int, int, int],
) -> BudgetView:
    limit_micros, spent_micros, held_micros = used
    _, end = cycle_bounds(wallet.current_cycle, wallet.time_zone)
    return BudgetView(
        budget_id=budget_id,
        wallet_id=wallet.wallet_id,
        label=label,
        unit="yen",
        window="month",
        scope=scope,
        mode=mode,
        shares_pct=shares_pct,
        time_zone=wallet.time_zone,
        week_start="monday",
        limit_micros=limit_micros,
        spent_micros=spent_micros,
        held_micros=held_micros,
        left_micros=max(0, limit_micros - spent_micros - held_micros),
        resets_at=format_instant(parse_instant(end)),
        raised_limit_micros=None,
        raised_until=None,
        refused_micros=0,
        refusals=0,
        each_value=False,
        values=0,
        value=None,
        created_at=None,
    )


def _view(used: Used, now: datetime) -> BudgetView:
    counter, budget = used.counter, used.counter.budget
    is_raised = budget.raised_until is not None and format_instant(now) < budget.raised_until
    is_for_each = _is_for_each(budget.scope)
    return BudgetView(
        budget_id=budget_id_text(budget.budget_id),
        wallet_id=budget.wallet_id,
        label=budget.label,
        unit=budget.unit,
        window=budget.window,
        scope=shown_scope(budget.scope),
        mode=budget.mode,
        shares_pct=budget.shares_pct,
        time_zone=budget.time_zone,
        week_start=budget.week_start,
        limit_micros=budget.limit_micros,
        spent_micros=counter.spent_micros,
        held_micros=counter.held_micros,
        left_micros=max(0, counter.left_micros),
        resets_at=counter.resets_at or counter.empty_at or None,
        raised_limit_micros=budget.raised_micros if is_raised else None,
        raised_until=budget.raised_until if is_raised else None,
        refused_micros=used.refused_micros,
        refusals=used.refusals,
        each_value=is_for_each,
        values=used.values if is_for_each else 0,
        value=shown_value(counter.value) or None,
        created_at=budget.created_at,
    )


def _is_for_each(scope: Scope) -> bool:
    return any(value == EACH for _, value in scope)


def _is_for_each_key(scope: Scope) -> bool:
    """Whether a budget is for each key, and not for each value of anything else."""
    return [name for name, value in scope if value == EACH] == [KEY]


def _outside(described: dict[str, Any]) -> dict[str, Any]:
    """What the log says of a budget, its scope as everybody sees it."""
    if "scope" in described:
        return {**described, "scope": shown_scope(tuple(described["scope"].items()))}
    return described
