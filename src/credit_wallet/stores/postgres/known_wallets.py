"""Wallets in a lane's memory between batches, each beside the version of its row: what nobody has written since is not
read again.

A row's version is PostgreSQL's own: ``xmin``, the id of the transaction that wrote it. It changes with every UPDATE,
whoever makes it, also plain SQL. Counters and definitions of budgets have no version of their own: whoever writes one
updates the wallet's row in the same transaction. A batch locks its wallets, compares versions, and reads what is new.

What a batch writes itself is known from then on, unless a host has triggers on tables of the ledger: they may have
written something else in the same transaction.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from time import monotonic
from typing import Any, NamedTuple

from psycopg import Cursor

from credit_wallet.rules.state import KeyState, WalletState
from credit_wallet.stores.known_budgets import KnownBudgets
from credit_wallet.stores.postgres.arrays import numbers, texts
from credit_wallet.stores.postgres.connection import Raw
from credit_wallet.stores.rows import MOVED_COLUMNS, RESTING_COLUMNS, WALLET_COLUMNS, moved_row, resting_row, wallet_of

MAX_WALLETS = 25_000
"""Wallets in a lane's memory; about 1.5 KB each."""

CLEARED_AFTER_SECONDS = 3_600.0
"""Everything is read afresh after that, long before four billion transactions have used up their ids."""

_VERSIONS = """
SELECT wallet_id, xmin FROM am_credit_wallet
WHERE wallet_id = ANY (%s::bigint[]) ORDER BY wallet_id FOR NO KEY UPDATE
"""
_WALLETS = f"""
SELECT xmin, {WALLET_COLUMNS} FROM am_credit_wallet
WHERE wallet_id = ANY (%s::bigint[]) ORDER BY wallet_id FOR NO KEY UPDATE
"""
_TYPES = {
    "balance_yen": "bigint",
    "balance_fraction": "int",
    "open_lots": "text",
    "held_yen": "bigint",
    "ledger_fraction": "int",
    "cycle_spent_yen": "bigint",
    "cycle_spent_fraction": "int",
    "last_txn_id": "bigint",
    "debt_yen": "bigint",
    "debt_fraction": "int",
    "current_cycle": "text",
    "alerted_pct": "int",
    "next_due_at": "text",
    "exhausted": "int",
    "recovery_due": "int",
}
_HOST_HAS_TRIGGERS = """
EXISTS (SELECT FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid
        WHERE NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgname NOT LIKE 'am\\_credit\\_%%'
          AND c.relname LIKE 'am\\_credit\\_%%')
"""


def _update(columns: Sequence[str]) -> str:
    """Updates wallets; returns their new version, and whether a host has triggers.

    Triggers can only be made or dropped before the batch's first write to their table, or after its commit.
    """
    arrays = ", ".join(f"unnest(%s::{_TYPES[name]}[]) AS {name}" for name in columns)
    return f"""
    WITH written AS (
        UPDATE am_credit_wallet w SET {", ".join(f"{name} = new.{name}" for name in columns)}, updated_at = %s
        FROM (SELECT unnest(%s::bigint[]) AS wallet_id, {arrays}) AS new
        WHERE w.wallet_id = new.wallet_id
        RETURNING w.xmin::text AS version
    )
    SELECT DISTINCT version, {_HOST_HAS_TRIGGERS} FROM written
    """


_STATE = (*MOVED_COLUMNS, *RESTING_COLUMNS)
_UPDATE_MOVED, _UPDATE_STATE = _update(MOVED_COLUMNS), _update(_STATE)

Row = tuple[Any, ...]


class Asked(NamedTuple):
    """What a batch has asked about its wallets: versions of all, or None, and rows of some, or None."""

    versions: Cursor[Row] | None
    rows: Cursor[Row] | None


class KnownWallets:
    """Wallets and their budgets as the database had them when the lane last read or wrote them."""

    def __init__(self) -> None:
        self.budgets = KnownBudgets()
        self.headrooms: dict[int, int] = {}
        """Of wallets in memory (``rules.headroom``)."""
        self._wallets: dict[int, WalletState] = {}
        self._versions: dict[int, str] = {}
        self._shared: set[int] = set()
        """Wallets that somebody else wrote when they were last needed: their rows are asked for at once."""
        self._groups: dict[int, str | None] = {}
        """Of the agent keys of charges whose budgets are known."""
        self._written: list[tuple[list[int], Cursor[Row]]] = []
        """Wallets that the batch has written, with the answer that says their version."""
        self._raw: Raw | None = None
        self._since = 0.0

    def clear(self) -> None:
        """Forget everything: a batch has failed, or the versions may be those of another history of the database."""
        for kept in (self._wallets, self._versions, self.headrooms, self._shared, self._groups):
            kept.clear()
        self.budgets.clear()

    def forget(self, wallet_ids: Iterable[int]) -> None:
        """Read wallets afresh from now on."""
        for wallet_id in wallet_ids:
            self._wallets.pop(wallet_id, None)
            self._versions.pop(wallet_id, None)
            self.headrooms.pop(wallet_id, None)
            self.budgets.forget(wallet_id)

    def ask(self, raw: Raw, wallet_ids: Collection[int]) -> Asked:
        """Lock wallets in order of their ids, and ask for what is not known of them; in pipeline mode."""
        self._begin(raw)
        unknown = [each for each in wallet_ids if each not in self._wallets or each in self._shared]
        if 2 * len(unknown) >= len(wallet_ids):
            return Asked(None, raw.execute(_WALLETS, [numbers(wallet_ids)]))
        versions = raw.execute(_VERSIONS, [numbers(wallet_ids)])
        return Asked(versions, raw.execute(_WALLETS, [numbers(unknown)]) if unknown else None)

    def answered(self, raw: Raw, asked: Asked) -> dict[int, WalletState]:
        """The wallets that exist, by id, as they are now."""
        rows = [] if asked.rows is None else asked.rows.fetchall()
        if asked.versions is None:
            found = [row[1] for row in rows]
        else:
            read, known = {row[1] for row in rows}, self._versions
            versions = asked.versions.fetchall()
            found = [wallet_id for wallet_id, _ in versions]
            changed = [each for each, version in versions if known.get(each) != version and each not in read]
            if changed:
                rows += raw.execute(_WALLETS, [numbers(changed)]).fetchall()
        self._note(rows)
        return {wallet_id: self._wallets[wallet_id] for wallet_id in found}

    def read_again(self, raw: Raw, wallet_ids: Collection[int]) -> dict[int, WalletState]:
        """Wallets that this transaction has changed."""
        self._note(raw.execute(_WALLETS, [numbers(wallet_ids)]).fetchall())
        return {wallet_id: self._wallets[wallet_id] for wallet_id in wallet_ids if wallet_id in self._wallets}

    def note_groups(self, keys: Iterable[KeyState]) -> None:
        """Forget which budgets charges match whose agent key is in another group now."""
        for key in keys:
            if self._groups.get(key.key_id, key.group) != key.group:
                self.budgets.forget(key.wallet_id)
            self._groups[key.key_id] = key.group

    def write(self, raw: Raw, moved: Mapping[int, WalletState], touched: Mapping[int, WalletState], at: str) -> None:
        """Write the rows of wallets, the last that a batch writes: ``MOVED_COLUMNS`` of those that were moved alone."""
        rows = {wallet_id: moved_row(wallet) for wallet_id, wallet in moved.items() if wallet_id not in touched}
        if rows:
            self._update(raw, _UPDATE_MOVED, MOVED_COLUMNS, rows, at)
        if touched:
            rows = {wallet_id: (*moved_row(wallet), *resting_row(wallet)) for wallet_id, wallet in touched.items()}
            self._update(raw, _UPDATE_STATE, _STATE, rows, at)

    def _update(self, raw: Raw, statement: str, columns: Sequence[str], rows: Mapping[int, Row], at: str) -> None:
        arrays = [
            texts(values) if _TYPES[column] == "text" else numbers(values)
            for column, values in zip(columns, zip(*rows.values(), strict=True), strict=True)
        ]
        self._written.append((list(rows), raw.execute(statement, [at, numbers(rows), *arrays])))

    def keep(self) -> None:
        """Remember what the batch has written; it is committed."""
        written, self._written = self._written, []
        for wallet_ids, answer in written:
            [(version, host_has_triggers)] = answer.fetchall()
            if host_has_triggers:
                self.forget(wallet_ids)
            else:
                self._versions.update((wallet_id, version) for wallet_id in wallet_ids)
        if len(self._wallets) > MAX_WALLETS:
            self.clear()
        self.budgets.bound()

    def _begin(self, raw: Raw) -> None:
        """Begin a batch: forget everything on a new connection, which may be to a promoted standby with another
        history, and behind a pooler, where each transaction may be on one.
        """
        self._written.clear()
        now = monotonic()
        if raw is not self._raw or raw.pooled or now >= self._since + CLEARED_AFTER_SECONDS:
            self.clear()
            self._raw, self._since = raw, now

    def _note(self, rows: Iterable[Row]) -> None:
        for version, *row in rows:
            wallet_id = row[0]
            before = self._versions.get(wallet_id)
            if before == version:
                self._shared.discard(wallet_id)
                continue
            if before is not None:
                self._shared.add(wallet_id)
            self.budgets.forget(wallet_id)
            self._versions[wallet_id] = version
            self._wallets[wallet_id] = wallet_of(tuple(row))
            self.headrooms.pop(wallet_id, None)
