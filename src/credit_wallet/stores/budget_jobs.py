"""Budgets and agent keys are made, changed and deleted: jobs in separate transactions, the same on every database.

Each has the wallet for itself, so a charge comes either before or after a change. A job may be repeated when it is
unknown whether it was committed: it is given the same instant then, and finds what it did.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from msgspec import UNSET, Struct, structs

from credit_wallet.domain.acts import Act, Author, difference
from credit_wallet.domain.budget_settings import BudgetSettings, KeySettings, NewBudget, NewKey
from credit_wallet.domain.budgets import EACH, GROUP, Budget, anchor_of, kind_of
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.errors import BudgetNotFound, KeyNotFound, TooManyBudgets, WalletNotFound
from credit_wallet.rules.bounds import budget_id_text, key_cap_id, told_budget
from credit_wallet.rules.budgets import reserve_in_new
from credit_wallet.rules.decision import BudgetChange
from credit_wallet.rules.events import budget_raised
from credit_wallet.rules.state import HoldState
from credit_wallet.stores import Connection
from credit_wallet.stores.acts import record
from credit_wallet.stores.budget_rows import (
    CHANGE_COLUMNS,
    budget_of,
    budget_row,
    change_row,
    described,
    format_kinds,
    format_reserved,
    parse_kinds,
)
from credit_wallet.stores.movement_rows import hold_of
from credit_wallet.stores.outbox import put_event
from credit_wallet.stores.profile_rows import Names, names_of, rename_key
from credit_wallet.stores.sql import statements
from credit_wallet.stores.standing_rows import require_open

SQL = statements("budgets.sql")

MAX_BUDGETS = 1_000_000
"""Maximum live budgets of a wallet."""

MAX_AT_ANCHOR = 100
"""Maximum live budgets of a wallet that are found by the same condition: a charge looks at all of them."""

MAX_FOR_EACH = 10
"""Of them, those that are for each value: a new value makes a counter in every one."""

MAX_KINDS = 32
"""Maximum names of conditions by which budgets of a wallet are found."""

HOLDS_A_STEP = 1_000
ROWS_A_STATEMENT = 100


class _Locked(Struct):
    """A wallet that this transaction has for itself."""

    wallet_id: int
    kinds: dict[str, int]
    time_zone: str
    last_txn_id: int


# Budgets


def create_budget(connection: Connection, new: NewBudget, author: Author, now: datetime) -> int:
    """Make a budget, in which the wallet's open holds that match it reserve from now on; return its id.

    Raises ``WalletNotFound``, ``WalletClosed`` and ``TooManyBudgets``.
    """
    wallet = _lock(connection, new.wallet_id)
    budget = _made(new, wallet, now)
    anchor = anchor_of(budget.scope)
    beside = _at_anchor(connection, budget.wallet_id, anchor)
    for other in beside:
        if structs.replace(other, budget_id=0) == budget:
            return other.budget_id
    require_open(connection, budget.wallet_id)
    kind = kind_of(anchor)
    _require_room(wallet, kind, beside, budget)
    row = {**budget_row(budget), "anchor": anchor, "after_txn_id": wallet.last_txn_id}
    [(budget_id,)] = connection.execute(SQL["create_budget"], row).fetchall()
    budget = structs.replace(budget, budget_id=int(budget_id))
    _set_kinds(connection, wallet, kind, 1)
    _reserve(connection, budget)
    _record(connection, wallet, budget_id_text(budget.budget_id), author, None, described(budget), now)
    _emit_raised(connection, budget, author, now)
    return budget.budget_id


def configure_budget(
    connection: Connection, budget_id: int, changes: BudgetSettings, author: Author, now: datetime
) -> None:
    """Change a budget. Raises ``BudgetNotFound``."""
    wallet, budget, deleted_at = _lock_budget(connection, budget_id)
    if deleted_at is not None:
        raise _no_budget(budget_id)
    changed = structs.replace(budget, **_set(changes))
    if changed == budget:
        return
    connection.execute(SQL["configure_budget"], budget_row(changed))
    before, after = difference(described(budget), described(changed))
    _record(connection, wallet, budget_id_text(budget_id), author, before, after, now)
    if "raised_limit" in after or "raised_until" in after:
        _emit_raised(connection, changed, author, now)


def delete_budget(connection: Connection, budget_id: int, author: Author, now: datetime) -> str:
    """Delete a budget; return when. What holds reserve in it is forgotten. Raises ``BudgetNotFound``."""
    wallet, budget, deleted_at = _lock_budget(connection, budget_id)
    at = format_instant(now)
    if deleted_at is not None and deleted_at != at:
        raise _no_budget(budget_id)
    if deleted_at is None:
        named = {"budget_id": budget_id, "wallet_id": wallet.wallet_id, "now": at}
        connection.execute(SQL["delete_budget"], named)
        _set_kinds(connection, wallet, kind_of(anchor_of(budget.scope)), -1)
        _record(connection, wallet, budget_id_text(budget_id), author, described(budget), None, now)
    return at


# Agent keys


def configure_key(connection: Connection, key_id: int, changes: KeySettings, author: Author, now: datetime) -> None:
    """Change label, monthly cap or group of an agent key. Raises ``KeyNotFound``."""
    rows = connection.execute(SQL["wallet_of_key"], {"key_id": key_id}).fetchall()
    if not rows:
        raise KeyNotFound(f"there is no agent key {key_id}; check the id", key_id=key_id)
    wallet = _lock(connection, rows[0][0])
    named = {"key_id": key_id, "wallet_id": wallet.wallet_id}
    [(label, cap_yen, group)] = connection.execute(SQL["key"], named).fetchall()
    key = NewKey(label, cap_yen, group, *names_of(connection, wallet.wallet_id, key_id))
    changed = structs.replace(key, **_set(changes))
    if changed == key:
        return
    row = {"label": changed.label, "monthly_cap_yen": changed.monthly_cap_yen, "key_group": changed.group}
    connection.execute(SQL["configure_key"], {**named, **row})
    before, after = difference(_key_described(key), _key_described(changed))
    if after:
        _log(connection, wallet, key_cap_id(key_id), author, before, after, now)
    rename_key(connection, wallet.wallet_id, key_id, _names(key), _names(changed))
    changes_made = difference(key.described(), changed.described())
    record(connection, author, Act("key.configured", f"key:{key_id}", wallet.wallet_id, *changes_made), now)


def log_new_key(
    connection: Connection, wallet_id: int, key_id: int, settings: NewKey, author: Author, now: datetime
) -> None:
    """Log an agent key that was made with a cap or in a group, by a transaction that has the wallet for itself."""
    if settings.monthly_cap_yen or settings.group:
        wallet = _lock(connection, wallet_id)
        _log(connection, wallet, key_cap_id(key_id), author, None, _key_described(settings), now)


# Inside


def _lock(connection: Connection, wallet_id: int) -> _Locked:
    rows = connection.execute(SQL["lock_wallet"], {"wallet_id": wallet_id}).fetchall()
    if not rows:
        raise WalletNotFound(f"there is no wallet {wallet_id}; check the id", wallet_id=wallet_id)
    [(kinds, time_zone, last_txn_id)] = rows
    return _Locked(wallet_id, parse_kinds(kinds), time_zone, last_txn_id)


def _lock_budget(connection: Connection, budget_id: int) -> tuple[_Locked, Budget, str | None]:
    rows = connection.execute(SQL["wallet_of_budget"], {"budget_id": budget_id}).fetchall()
    if not rows:
        raise _no_budget(budget_id)
    wallet = _lock(connection, rows[0][0])
    named = {"budget_id": budget_id, "wallet_id": wallet.wallet_id}
    [(*row, deleted_at)] = connection.execute(SQL["budget"], named).fetchall()
    return wallet, budget_of(row), deleted_at


def _made(new: NewBudget, wallet: _Locked, now: datetime) -> Budget:
    return Budget(
        0,
        new.wallet_id,
        new.label,
        new.unit,
        new.limit_micros,
        new.window,
        tuple(sorted(new.scope)),
        new.mode,
        new.shares_pct,
        new.time_zone or wallet.time_zone,
        new.week_start,
        new.raised_micros,
        new.raised_until,
        format_instant(now),
    )


def _at_anchor(connection: Connection, wallet_id: int, anchor: str) -> list[Budget]:
    named = {"wallet_id": wallet_id, "anchor": anchor, "max": MAX_AT_ANCHOR}
    return [budget_of(row) for row in connection.execute(SQL["at_anchor"], named).fetchall()]


def _require_room(wallet: _Locked, kind: str, beside: Sequence[Budget], new: Budget) -> None:
    if sum(wallet.kinds.values()) >= MAX_BUDGETS:
        raise TooManyBudgets(
            f"wallet {wallet.wallet_id} has {MAX_BUDGETS:,} budgets, the maximum; delete one that is not needed",
            max=MAX_BUDGETS,
        )
    if len(beside) >= MAX_AT_ANCHOR:
        raise TooManyBudgets(
            f"{MAX_AT_ANCHOR} budgets of wallet {wallet.wallet_id} are for the same charges already, the maximum; "
            "delete one, or make one budget for each value of a fact",
            max=MAX_AT_ANCHOR,
        )
    if _is_for_each(new) and sum(map(_is_for_each, beside)) >= MAX_FOR_EACH:
        raise TooManyBudgets(
            f"{MAX_FOR_EACH} budgets of wallet {wallet.wallet_id} are for each value of the same charges already, the "
            "maximum; delete one",
            max=MAX_FOR_EACH,
        )
    if kind not in wallet.kinds and len(wallet.kinds) >= MAX_KINDS:
        raise TooManyBudgets(
            f"budgets of wallet {wallet.wallet_id} are for {MAX_KINDS} different facts already, the maximum; "
            "delete those of one, or use a fact that others have",
            max=MAX_KINDS,
        )


def _is_for_each(budget: Budget) -> bool:
    return any(value == EACH for _, value in budget.scope)


def _set_kinds(connection: Connection, wallet: _Locked, kind: str, change: int) -> None:
    wallet.kinds[kind] = wallet.kinds.get(kind, 0) + change
    named = {"wallet_id": wallet.wallet_id, "budget_kinds": format_kinds(wallet.kinds)}
    connection.execute(SQL["set_kinds"], named)


def _reserve(connection: Connection, budget: Budget) -> None:
    """Have the wallet's open holds reserve in a new budget."""
    groups: dict[int, str] = {}
    if any(name == GROUP for name, _ in budget.scope):
        groups = dict(connection.execute(SQL["groups"], {"wallet_id": budget.wallet_id}).fetchall())
    held: dict[str, int] = {}
    reserving = []
    for hold in _open_holds(connection, budget.wallet_id):
        group = None if hold.key_id is None else groups.get(hold.key_id)
        reserved = reserve_in_new(hold, budget, group)
        if reserved is None:
            continue
        value, cost_micros = reserved
        reserving.append((hold.hold_id, format_reserved(hold)))
        held[value] = held.get(value, 0) + cost_micros
    here = {"wallet_id": budget.wallet_id, "budget_id": budget.budget_id}
    _in_groups(connection, "set_reserved", "(CAST(:{0} AS BIGINT), :{1})", reserving, here)
    rows = [(value, *divmod(micros, MICROS)) for value, micros in held.items() if micros]
    _in_groups(connection, "put_held", "(:{0}, CAST(:{1} AS BIGINT), CAST(:{2} AS BIGINT))", rows, here)


def _in_groups(
    connection: Connection, name: str, row: str, rows: Sequence[tuple[Any, ...]], here: Mapping[str, Any]
) -> None:
    """Run a statement for rows, many at once; ``row`` is how it writes one of them."""
    done = 0
    while done < len(rows):
        size = ROWS_A_STATEMENT if len(rows) - done >= ROWS_A_STATEMENT else 1
        group = rows[done : done + size]
        names = [[f"p{number}_{column}" for column in range(len(group[0]))] for number in range(size)]
        values = ", ".join(row.format(*columns) for columns in names)
        named = dict(zip(chain(*names), chain(*group), strict=True))
        connection.execute(SQL[name].replace(":rows", values), {**here, **named})
        done += size


def _open_holds(connection: Connection, wallet_id: int) -> Iterator[HoldState]:
    after = {"expires_at": "", "hold_id": 0}
    while True:
        named = {"wallet_id": wallet_id, **after, "limit": HOLDS_A_STEP}
        holds = [hold_of(row) for row in connection.execute(SQL["open_holds"], named).fetchall()]
        yield from holds
        if len(holds) < HOLDS_A_STEP:
            return
        after = {"expires_at": holds[-1].expires_at, "hold_id": holds[-1].hold_id}


def _log(
    connection: Connection,
    wallet: _Locked,
    subject: str,
    author: Author,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    now: datetime,
) -> None:
    change = BudgetChange(wallet.wallet_id, subject, author.actor, before, after, wallet.last_txn_id)
    row = dict(zip(CHANGE_COLUMNS, change_row(change, format_instant(now)), strict=True))
    connection.execute(SQL["put_change"], row)


def _record(
    connection: Connection,
    wallet: _Locked,
    budget_id: str,
    author: Author,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    now: datetime,
) -> None:
    """Log a change to a budget, and the act."""
    _log(connection, wallet, budget_id, author, before, after, now)
    verb = "created" if before is None else "deleted" if after is None else "configured"
    act = Act(f"budget.{verb}", f"budget:{budget_id}", wallet.wallet_id, before, after)
    record(connection, author, act, now)


def _emit_raised(connection: Connection, budget: Budget, author: Author, now: datetime) -> None:
    """Emit that a budget was raised, unless a raise of it has ended."""
    if budget.raised_micros is not None and budget.raised_until is not None:
        raised = (told_budget(budget), budget.raised_micros, budget.raised_until, author.actor)
        put_event(connection, budget_raised(budget.wallet_id, *raised), format_instant(now))


def _set(changes: BudgetSettings | KeySettings) -> dict[str, Any]:
    return {name: value for name, value in structs.asdict(changes).items() if value is not UNSET}


def _key_described(key: NewKey) -> dict[str, Any]:
    return {"label": key.label, "limit": str(key.monthly_cap_yen), "group": key.group}


def _names(key: NewKey) -> Names:
    return Names(key.label, key.reference, key.metadata)


def _no_budget(budget_id: int) -> BudgetNotFound:
    text = budget_id_text(budget_id)
    return BudgetNotFound(f"there is no budget {text}; check the id", budget_id=text)
