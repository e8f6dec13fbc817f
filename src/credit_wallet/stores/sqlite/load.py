"""Loading a batch's rows with as few statements as possible."""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import chain, count
from typing import Any

import apsw

from credit_wallet.domain.commands import Command, Movement
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.rules.state import MAX_DUE_HOLDS, Allocation, KeyState, Snapshot, WalletState
from credit_wallet.stores.affected import (
    behind_purchases,
    makes_holds,
    named_by,
    not_charges,
    note_later_cycles,
    purchases_of,
    roll,
    to_roll,
    wallets_with_caps,
)
from credit_wallet.stores.clawback_rows import load_clawbacks
from credit_wallet.stores.grant_rows import load_grants
from credit_wallet.stores.known_budgets import KnownBudgets
from credit_wallet.stores.movement_rows import (
    ENTRY_COLUMNS,
    HOLD_COLUMNS,
    PURCHASE_COLUMNS,
    entry_of,
    hold_of,
    purchase_of,
    remembered_of,
)
from credit_wallet.stores.price_rows import KnownBook, load_prices
from credit_wallet.stores.rows import (
    KEY_COLUMNS,
    LOT_COLUMNS,
    WALLET_COLUMNS,
    key_of,
    lot_opening_of,
    wallet_of,
)
from credit_wallet.stores.short_keys import HAS_LONG_KEYS, restored, short_forms
from credit_wallet.stores.sqlite.budgets import SqliteBudgets
from credit_wallet.stores.topup_rows import load_topups
from credit_wallet.stores.transfer_rows import load_transfers

CACHED_WALLETS = 50_000
"""Wallets kept in memory between batches; about 1 KB each."""

_KEYS_A_STATEMENT = (128, 64, 32, 16, 8, 4, 2, 1)

_WALLETS = f"SELECT {WALLET_COLUMNS} FROM carray(?) JOIN am_credit_wallet ON wallet_id = value"
_KEYS = f"SELECT {KEY_COLUMNS} FROM carray(?) JOIN am_credit_key ON key_id = value"
_HOLDS = f"SELECT {HOLD_COLUMNS} FROM carray(?) JOIN am_credit_hold ON hold_id = value"
_DUE_HOLDS = f"""
SELECT {HOLD_COLUMNS} FROM am_credit_hold
WHERE wallet_id = ? AND status = 'open' AND expires_at <= ? ORDER BY expires_at, hold_id
LIMIT {MAX_DUE_HOLDS + 1}
"""
_NEXT_HOLD_EXPIRY = """
SELECT min(expires_at) FROM am_credit_hold WHERE wallet_id = ? AND status = 'open' AND expires_at > ?
"""
_ENTRIES = f"""
SELECT {ENTRY_COLUMNS}
FROM carray(?) JOIN am_credit_transaction_log e ON e.txn_id = value
LEFT JOIN am_credit_returned r ON r.wallet_id = e.wallet_id AND r.txn_id = e.txn_id
"""
_LOT = f"SELECT {LOT_COLUMNS} FROM am_credit_lot WHERE wallet_id = ? AND lot_id = ?"
_REMEMBERED = {
    size: f"""
    WITH wanted (wanted_key, wanted_wallet_id) AS (VALUES {", ".join(["(?, ?)"] * size)})
    SELECT idempotency_key, wallet_id, fingerprint, txn_id, hold_id, amount_yen, balance_yen, detail
    FROM wanted CROSS JOIN am_credit_idempotency ON idempotency_key = wanted_key AND wallet_id = wanted_wallet_id
    """
    for size in _KEYS_A_STATEMENT
}
_CYCLE_SPENT = """
SELECT spent_yen, spent_fraction FROM am_credit_cycle_spend WHERE billing_cycle = ? AND wallet_id = ? AND key_id = ?
"""
_LATER_CYCLES = """
SELECT billing_cycle, s.wallet_id, key_id, spent_yen, spent_fraction
FROM am_credit_cycle_spend s JOIN carray(?) ON s.wallet_id = value WHERE billing_cycle > ?
"""
_ALERTED = """
SELECT max(coalesce((SELECT max(threshold_pct) FROM am_credit_spending_alert
                     WHERE wallet_id = ?1 AND billing_cycle = ?2), 0),
           coalesce((SELECT max(threshold_pct) FROM am_credit_threshold_alert
                     WHERE wallet_id = ?1 AND billing_cycle = ?2), 0))
"""
_LAST_ID = "SELECT coalesce(max(seq), 0) FROM sqlite_sequence WHERE name = ?"
_PURCHASE = f"SELECT {PURCHASE_COLUMNS} FROM am_credit_purchase WHERE purchase_key = ? AND wallet_id = ?"
_DATA_VERSION = "PRAGMA data_version"


class Loader:
    """Fills snapshots, from memory as long as nobody else has written."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._wallets: dict[int, WalletState] = {}
        self._headrooms: dict[int, int] = {}
        self._keys: dict[int, KeyState] = {}
        self._prices = KnownBook()
        self._known_budgets = KnownBudgets()
        self._with_budgets: set[int] = set()
        """Of the wallets in memory."""
        self._budgets = SqliteBudgets(connection)
        self._ids: tuple[Iterator[int], Iterator[int]] | None = None
        self._data_version: int | None = None
        self._seen_version: int | None = None
        self.writes_by_others = 0
        """How often others were found to have written."""
        self._emitted: set[tuple[int, str]] = set()
        self.short_keys: dict[str, str] = {}
        """The idempotency keys of the last batch as their table has them."""
        self._has_long_keys: bool | None = None

    def others_have_written(self) -> bool:
        """Whether another connection has written since the last call, or memory is empty for another reason."""
        data_version = self._connection.execute(_DATA_VERSION).get
        if data_version != self._seen_version:
            self._seen_version = data_version
            self.writes_by_others += 1
        if data_version == self._data_version:
            return False
        self.clear()
        self._data_version = data_version
        return True

    def clear(self) -> None:
        """Read everything afresh from now on."""
        self._clear_wallets()
        self._keys.clear()
        self._known_budgets.clear()
        self._emitted.clear()
        self._ids = None
        self._has_long_keys = None
        self._data_version = None

    def _clear_wallets(self) -> None:
        self._wallets.clear()
        self._headrooms.clear()
        self._with_budgets.clear()

    def keep(self, emitted: set[tuple[int, str]]) -> None:
        """Remember what a batch left for the next one, and what it has ``emitted``, as far as there is room."""
        self._emitted |= emitted
        if len(self._wallets) + len(self._keys) > CACHED_WALLETS:
            self._clear_wallets()
            self._keys.clear()
        self._known_budgets.bound()
        if len(self._emitted) > CACHED_WALLETS:
            self._emitted.clear()

    def load(self, commands: Sequence[Command], now: datetime) -> Snapshot:
        """Everything that ``commands`` may touch at ``now``, each wallet and key in its current cycle."""
        at = format_instant(now)
        wallet_ids = {command.wallet_id for command in commands}
        self._load_wallets(wallet_ids)
        if self._ids is None:
            self._ids = self._ids_after("am_credit_transaction_log"), self._ids_after("am_credit_hold")
        snapshot = Snapshot(
            wallets=self._wallets,
            keys=self._keys,
            holds={},
            entries={},
            lot_openings={},
            remembered={},
            due_holds={},
            next_hold_expiry={},
            left_cycles=[],
            txn_ids=self._ids[0],
            hold_ids=self._ids[1],
            emitted=self._emitted,
            headrooms=self._headrooms,
        )
        self._load_remembered(snapshot, commands)
        owing = self._load_due_holds(snapshot, wallet_ids, at)
        key_ids = self._load_named(snapshot, commands)
        others = not_charges(commands)
        if others or owing:
            self._load_lots_to_return(snapshot, others, owing, now)
        self._roll_cycles(snapshot, wallet_ids, key_ids, now)
        if makes_holds(others):
            self._load_later_cycles(snapshot, wallets_with_caps(snapshot, wallet_ids, key_ids))
        load_prices(self._connection, self._prices, snapshot, commands)
        if not self._with_budgets.isdisjoint(wallet_ids):
            self._known_budgets.load(self._budgets, snapshot, commands, now)
        return snapshot

    def _load_wallets(self, wallet_ids: set[int]) -> None:
        for row in self._by_id(_WALLETS, [wallet_id for wallet_id in wallet_ids if wallet_id not in self._wallets]):
            wallet = wallet_of(row)
            self._wallets[wallet.wallet_id] = wallet
            if wallet.budget_kinds:
                self._with_budgets.add(wallet.wallet_id)

    def _load_remembered(self, snapshot: Snapshot, commands: Sequence[Command]) -> None:
        movements = [command for command in commands if isinstance(command, Movement)]
        keys, wallet_ids = [each.stored_key for each in movements], [each.wallet_id for each in movements]
        short = short_forms(keys)
        self.short_keys = dict(zip(keys, short, strict=True))
        names = list(zip(short, wallet_ids, strict=True))
        if self._has_long_keys is None:
            self._has_long_keys = bool(self._connection.execute(HAS_LONG_KEYS).fetchall())
        if self._has_long_keys:
            names += set(zip(keys, wallet_ids, strict=True)).difference(names)
        done = 0
        for size, statement in _REMEMBERED.items():
            while len(names) - done >= size:
                bindings = tuple(chain.from_iterable(names[done : done + size]))
                for key, wallet_id, *row in self._connection.execute(statement, bindings):
                    snapshot.remembered[restored(key), wallet_id] = remembered_of(wallet_id, tuple(row))
                done += size

    def _load_due_holds(self, snapshot: Snapshot, wallet_ids: set[int], at: str) -> list[int]:
        """Load the expired holds; return the wallets in debt, which are seen on the way."""
        owing = []
        for wallet_id in wallet_ids:
            wallet = self._wallets.get(wallet_id)
            if wallet is None:
                continue
            if wallet.debt_micros:
                owing.append(wallet_id)
            if wallet.next_due_at is None or wallet.next_due_at > at:
                continue
            holds = [hold_of(row) for row in self._connection.execute(_DUE_HOLDS, (wallet_id, at))]
            snapshot.due_holds[wallet_id] = holds[:MAX_DUE_HOLDS]
            snapshot.holds.update((hold.hold_id, hold) for hold in holds)
            if len(holds) > MAX_DUE_HOLDS:
                snapshot.next_hold_expiry[wallet_id] = holds[-1].expires_at
                continue
            expiry = self._connection.execute(_NEXT_HOLD_EXPIRY, (wallet_id, at)).get
            if expiry is not None:
                snapshot.next_hold_expiry[wallet_id] = expiry
        return owing

    def _load_lots_to_return(
        self, snapshot: Snapshot, commands: Sequence[Command], owing: Sequence[int], now: datetime
    ) -> None:
        """Load top-ups, grants, transfers and clawbacks, and the lots that credit may return to."""
        load_topups(self._connection, snapshot, commands, now)
        load_grants(self._connection, snapshot, commands)
        returning = load_transfers(self._connection, snapshot, commands)
        for wallet_id, taken in [*returning, *load_clawbacks(self._connection, snapshot, commands, owing)]:
            self._load_lots(snapshot, wallet_id, taken)

    def _load_named(self, snapshot: Snapshot, commands: Sequence[Command]) -> set[int]:
        """Load the holds, entries, lots and agent keys that commands name, and those behind the holds.

        Returns the ids of the agent keys.
        """
        key_ids, hold_ids, txn_ids = named_by(commands)
        for name in purchases_of(commands):
            row = self._connection.execute(_PURCHASE, name).get
            if row is not None:
                snapshot.purchases[name] = purchase_of(row)
        if snapshot.purchases:
            for ids, more in zip((key_ids, hold_ids, txn_ids), behind_purchases(snapshot, commands), strict=True):
                ids |= more
        for row in self._by_id(_HOLDS, hold_ids - snapshot.holds.keys()):
            hold = hold_of(row)
            snapshot.holds[hold.hold_id] = hold
        for hold in snapshot.holds.values():
            self._load_lots(snapshot, hold.wallet_id, hold.allocation)
            if hold.key_id is not None:
                key_ids.add(hold.key_id)
        for row in self._by_id(_ENTRIES, txn_ids):
            entry = entry_of(row)
            snapshot.entries[entry.txn_id] = entry
            self._load_lots(snapshot, entry.wallet_id, entry.allocation)
        for row in self._by_id(_KEYS, [key_id for key_id in key_ids if key_id not in self._keys]):
            key = key_of(row)
            self._keys[key.key_id] = key
        return key_ids

    def _load_lots(self, snapshot: Snapshot, wallet_id: int, allocation: Allocation) -> None:
        for lot_id, _ in allocation:
            row = self._connection.execute(_LOT, (wallet_id, lot_id)).get
            if row is not None:
                snapshot.lot_openings[wallet_id, lot_id] = lot_opening_of(row)

    def _roll_cycles(self, snapshot: Snapshot, wallet_ids: set[int], key_ids: set[int], now: datetime) -> None:
        for rolling in to_roll(self._wallets, self._keys, wallet_ids, key_ids, now):
            wallet_id = rolling.spender.wallet_id
            spent = self._connection.execute(_CYCLE_SPENT, (rolling.cycle, wallet_id, rolling.key_id)).get
            spent_yen, spent_fraction = spent or (0, 0)
            alerted_pct = 0 if rolling.key_id else self._connection.execute(_ALERTED, (wallet_id, rolling.cycle)).get
            roll(snapshot, rolling, spent_yen * MICROS + spent_fraction, alerted_pct)

    def _load_later_cycles(self, snapshot: Snapshot, wallet_ids: list[int]) -> None:
        if wallet_ids:
            first = min(self._wallets[wallet_id].current_cycle for wallet_id in wallet_ids)
            rows = self._connection.execute(_LATER_CYCLES, (apsw.carray(array("q", wallet_ids)), first))
            note_later_cycles(snapshot, rows)

    def _ids_after(self, table: str) -> Iterator[int]:
        last_id: int = self._connection.execute(_LAST_ID, (table,)).get
        return count(last_id + 1)

    def _by_id(self, statement: str, ids: Iterable[int]) -> Iterable[tuple[Any, ...]]:
        wanted = array("q", sorted(ids))
        return self._connection.execute(statement, (apsw.carray(wanted),)) if wanted else ()
