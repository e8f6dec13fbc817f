"""The SQLite store: one writer that turns a batch of commands into one durable transaction.

``execute`` is the hot path: load what the batch touches → ``decide`` → write → commit. Wallets and keys stay in memory
between batches, until another connection has written (``PRAGMA data_version``) or a batch has failed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Any, Concatenate, ParamSpec, TypeVar

from msgspec import json

from credit_wallet.domain.commands import Command
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.views import Upgrade
from credit_wallet.errors import WalletError
from credit_wallet.rules.decide import decide
from credit_wallet.rules.decision import ENTRY_COLUMNS, Decision
from credit_wallet.rules.validation import MAX_ID
from credit_wallet.stores import acts, migrations
from credit_wallet.stores.alert_tables import alert_table
from credit_wallet.stores.clawback_rows import write_clawbacks
from credit_wallet.stores.consent_rows import write_consents
from credit_wallet.stores.entry_names import ENTRY_NAME_COLUMNS, entry_name_columns
from credit_wallet.stores.grant_rows import write_grants
from credit_wallet.stores.jobs.backfill import backfill_all, backfill_pending
from credit_wallet.stores.jobs.books import make_books
from credit_wallet.stores.jobs.naming import name_all
from credit_wallet.stores.jobs.seals import Holder
from credit_wallet.stores.movement_rows import (
    HOLD_COLUMNS,
    PURCHASE_COLUMNS,
    REMEMBERED_COLUMNS,
    hold_row,
    purchase_row,
    remembered_columns,
    returned_row,
)
from credit_wallet.stores.price_rows import write_tier_usage
from credit_wallet.stores.profile_rows import write_names
from credit_wallet.stores.rows import (
    MOVED_COLUMNS,
    PUT_LOT,
    RESTING_COLUMNS,
    SETTINGS_COLUMNS,
    key_row,
    left_cycle_row,
    lot_row,
    moved_row,
    resting_row,
    settings_row,
)
from credit_wallet.stores.segments import closed_in, put_segments
from credit_wallet.stores.sqlite.budgets import SqliteBudgets
from credit_wallet.stores.sqlite.bulk import BulkInsert
from credit_wallet.stores.sqlite.connection import connect, naming_database_errors, rests_between
from credit_wallet.stores.sqlite.ledger import LedgerConnection, transaction
from credit_wallet.stores.sqlite.load import Loader
from credit_wallet.stores.sqlite.schema import SqliteSchema
from credit_wallet.stores.topup_rows import write_topups
from credit_wallet.stores.transfer_rows import write_transfers

P = ParamSpec("P")
T = TypeVar("T")

PROVEN_SECONDS = 5.0
"""How long a successful write proves that the database takes writes, unless one fails."""

_UPDATE_MOVED = f"""
UPDATE am_credit_wallet SET {", ".join(f"{column} = ?" for column in MOVED_COLUMNS)}, updated_at = ?
WHERE wallet_id = ?
"""
_UPDATE_WALLET = f"""
UPDATE am_credit_wallet
SET {", ".join(f"{column} = ?" for column in (*MOVED_COLUMNS, *RESTING_COLUMNS))}, updated_at = ?
WHERE wallet_id = ?
"""
_UPDATE_SETTINGS = f"""
UPDATE am_credit_wallet SET {", ".join(f"{column} = ?" for column in SETTINGS_COLUMNS)}, updated_at = ?
WHERE wallet_id = ?
"""
_UPDATE_KEY = """
UPDATE am_credit_key
SET current_cycle = ?, cycle_spent_yen = ?, cycle_spent_fraction = ?, held_yen = ?, held_fraction = ?
WHERE key_id = ?
"""
_PUT_HOLD = f"""
INSERT INTO am_credit_hold ({HOLD_COLUMNS})
VALUES ({", ".join("?" * (HOLD_COLUMNS.count(",") + 1))})
ON CONFLICT (hold_id) DO UPDATE
SET captured_yen = excluded.captured_yen, status = excluded.status, lots = excluded.lots,
    expires_at = excluded.expires_at, closed_at = excluded.closed_at, served = excluded.served,
    above_yen = excluded.above_yen, captured_fraction = excluded.captured_fraction,
    above_fraction = excluded.above_fraction, reserved = excluded.reserved
"""
_PUT_PURCHASE = f"""
INSERT INTO am_credit_purchase ({PURCHASE_COLUMNS}, changed_on)
VALUES ({", ".join("?" * (PURCHASE_COLUMNS.count(",") + 2))})
ON CONFLICT (purchase_key, wallet_id) DO UPDATE
SET attempt = excluded.attempt, status = excluded.status, txn_id = excluded.txn_id, hold_id = excluded.hold_id,
    undone_txn_id = excluded.undone_txn_id, free_used = excluded.free_used, lease_until = excluded.lease_until,
    amount_yen = excluded.amount_yen, amount_fraction = excluded.amount_fraction, usage = excluded.usage,
    changed_on = excluded.changed_on
"""
_DELETE_PURCHASE = "DELETE FROM am_credit_purchase WHERE purchase_key = ? AND wallet_id = ?"
_PUT_RETURNED = """
INSERT INTO am_credit_returned (wallet_id, txn_id, returned_yen, returned_fraction) VALUES (?, ?, ?, ?)
ON CONFLICT (wallet_id, txn_id)
DO UPDATE SET returned_yen = excluded.returned_yen, returned_fraction = excluded.returned_fraction
"""
_PUT_SALE = "INSERT INTO am_credit_sale (wallet_id, txn_id, seller_id) VALUES (?, ?, ?)"
_PUT_CYCLE_SPEND = """
INSERT INTO am_credit_cycle_spend (billing_cycle, wallet_id, key_id, spent_yen, spent_fraction) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (billing_cycle, wallet_id, key_id)
DO UPDATE SET spent_yen = excluded.spent_yen, spent_fraction = excluded.spent_fraction
"""
_PUT_ALERT = """
INSERT INTO {table} (wallet_id, threshold_pct, billing_cycle, fired_at, spent_yen, budget_yen)
VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (wallet_id, threshold_pct, billing_cycle) DO NOTHING
RETURNING alert_id
"""
_FIRED_FOR_ANOTHER_BUDGET = """
SELECT 1 FROM {table} WHERE wallet_id = ? AND threshold_pct = ? AND billing_cycle = ? AND budget_yen <> ?
"""
_PUT_EVENT = """
INSERT INTO am_credit_outbox (wallet_id, kind, payload, dedupe_key, occurred_at, handed_out) VALUES (?, ?, ?, ?, ?, 0)
ON CONFLICT DO NOTHING
"""

_append_entries = BulkInsert("am_credit_transaction_log", ENTRY_COLUMNS, ("txn_type", "occurred_at"))
_remember = BulkInsert("am_credit_idempotency", REMEMBERED_COLUMNS)
_put_names = BulkInsert("am_credit_entry_name", ENTRY_NAME_COLUMNS)


def bring_up_to_date(connection: LedgerConnection, path: Path, now: datetime) -> Upgrade:
    """Apply pending migrations, make the books of older entries, and backfill what plain SQL wrote."""
    applied = migrations.migrate(SqliteSchema(connection, path))
    with naming_database_errors(path):
        make_books(connection, transaction)
        name_all(connection, transaction)
        return Upgrade(applied, *backfill_all(connection, transaction, now))


class SqliteStore:
    """A ledger in one SQLite file. Not thread-safe: the rail runs it on a separate thread."""

    checks_apart = False

    def __init__(self, path: Path, now: datetime) -> None:
        """Open ``path``, bring its schema up to date and backfill what plain SQL wrote. Raises ``DatabaseError``."""
        self.path = path
        self._connection = connect(path)
        try:
            bring_up_to_date(self._connection, path, now)
        except BaseException:
            self._connection.close()
            raise
        self._loader = Loader(self._connection)
        self._budgets = SqliteBudgets(self._connection)
        self._proven_until = 0.0
        self._at_work = threading.Lock()
        rests_between(self._connection, self._at_work)

    @property
    def writes_by_others(self) -> int:
        """How often a batch has found that others had written."""
        return self._loader.writes_by_others

    def close(self) -> None:
        with self._at_work:
            self._connection.close()

    def execute(self, commands: Sequence[Command], clock: Callable[[], datetime]) -> list[Outcome | WalletError]:
        """Carry out ``commands`` in one durable transaction; one outcome or refusal per command, in order.

        They happen at what ``clock`` says behind the lock. Raises ``DatabaseError``, and then nothing moved.
        """
        return self._in_transaction(self._execute, commands, clock)

    def check_writable(self) -> None:
        """Raises ``DatabaseError`` when the database would not take a write, ``MigrationError`` when it is outdated.

        At most every ``PROVEN_SECONDS`` it makes a test write, and rolls it back.
        """
        self._in_transaction(lambda: None)
        with self._at_work:
            migrations.require_current(SqliteSchema(self._connection, self.path))
            if monotonic() >= self._proven_until:
                with naming_database_errors(self.path):
                    self._connection.prove_room()
                self._proven_until = monotonic() + PROVEN_SECONDS

    def settled_txn_id(self) -> int:
        """Any id: only one writer runs at a time, and ids follow the order of commits."""
        return MAX_ID

    settled_act_id = settled_txn_id
    """The same of acts."""

    def holding_back(self) -> list[Holder]:
        """Nobody."""
        return []

    def run(self, job: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``job(connection, …)`` in one write transaction of its own; for the background jobs.

        Wallets and keys are reloaded afterwards.
        """
        result = self._in_transaction(job, self._connection, *args, **kwargs)
        self._loader.clear()
        return result

    run_until_known = run
    """Like ``run``: the result of a commit is always known here."""

    def _in_transaction(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        try:
            with self._at_work, naming_database_errors(self.path), transaction(self._connection):
                return work(*args, **kwargs)
        except BaseException:
            self._loader.clear()
            self._proven_until = 0.0
            raise

    def _execute(self, commands: Sequence[Command], clock: Callable[[], datetime]) -> list[Outcome | WalletError]:
        now = clock()
        if self._loader.others_have_written():
            backfill_pending(self._connection, now)
        snapshot = self._loader.load(commands, now)
        decision = decide(snapshot, commands, now)
        if snapshot.left_cycles:
            self._connection.executemany(_PUT_CYCLE_SPEND, map(left_cycle_row, snapshot.left_cycles))
        if snapshot.closed_segments:
            put_segments(self._connection, closed_in(snapshot))
        self._write(decision, format_instant(now))
        self._loader.keep(decision.emitted)
        return decision.outcomes

    def _write(self, decision: Decision, at: str) -> None:
        self._append(decision, at)
        self._write_wallets(decision, at)
        if decision.configured:
            self._write_settings(decision, at)
        if decision.touched_keys:
            self._write_keys(decision)
        if decision.opened_lots or decision.touched_holds or decision.returned:
            self._write_lots_and_holds(decision)
        if decision.touched_topups or decision.touched_payers or decision.touched_grants:
            write_topups(self._connection, decision, at)
            write_grants(self._connection, decision)
        if decision.touched_clawbacks or decision.new_transfers or decision.touched_transfers:
            write_clawbacks(self._connection, decision.touched_clawbacks.values())
            write_transfers(self._connection, decision)
        if decision.touched_purchases or decision.dropped_purchases:
            self._write_purchases(decision, at[:10])
        if decision.sales:
            self._connection.executemany(_PUT_SALE, decision.sales)
        if decision.touched_tiers:
            write_tier_usage(self._connection, decision)
        self._budgets.write(decision, at)
        if decision.alerts or decision.events or decision.acts:
            acts.write_decided(self._connection, decision, at)
            self._write_outbox(decision, at)

    def _append(self, decision: Decision, at: str) -> None:
        execute = self._connection.execute
        for shared, columns in decision.entries.items():
            _append_entries.run(execute, columns, *shared)
        _remember.run(execute, remembered_columns(decision.remembered, self._loader.short_keys, at[:10]))
        if decision.named:
            _put_names.run(execute, entry_name_columns(decision.named))

    def _write_wallets(self, decision: Decision, at: str) -> None:
        """What charges leave out of most wallets' rows, the date among it by which those with something due are
        indexed, saves half of an update.
        """
        touched = decision.touched
        moved = [
            (*moved_row(wallet), at, wallet_id)
            for wallet_id, wallet in sorted(decision.moved.items())
            if wallet_id not in touched
        ]
        if moved:
            self._connection.executemany(_UPDATE_MOVED, moved)
        if touched:
            self._connection.executemany(
                _UPDATE_WALLET,
                [
                    (*moved_row(wallet), *resting_row(wallet), at, wallet_id)
                    for wallet_id, wallet in sorted(touched.items())
                ],
            )

    def _write_settings(self, decision: Decision, at: str) -> None:
        self._connection.executemany(
            _UPDATE_SETTINGS,
            [(*settings_row(wallet), at, wallet_id) for wallet_id, wallet in decision.configured.items()],
        )
        write_consents(self._connection, decision.consents)
        write_names(self._connection, decision, at)

    def _write_keys(self, decision: Decision) -> None:
        self._connection.executemany(
            _UPDATE_KEY,
            [(*key_row(key), key_id) for key_id, key in sorted(decision.touched_keys.items())],
        )

    def _write_lots_and_holds(self, decision: Decision) -> None:
        self._connection.executemany(PUT_LOT, [lot_row(opening) for opening in decision.opened_lots])
        self._connection.executemany(_PUT_HOLD, [hold_row(hold) for hold in decision.touched_holds.values()])
        self._connection.executemany(_PUT_RETURNED, [returned_row(entry) for entry in decision.returned.values()])

    def _write_purchases(self, decision: Decision, today: str) -> None:
        rows = [purchase_row(purchase, today) for _, purchase in sorted(decision.touched_purchases.items())]
        self._connection.executemany(_PUT_PURCHASE, rows)
        self._connection.executemany(_DELETE_PURCHASE, decision.dropped_purchases)

    def _write_outbox(self, decision: Decision, at: str) -> None:
        for alert, event in decision.alerts:
            name = (event.wallet_id, alert.threshold_pct, alert.billing_cycle)
            table = alert_table(alert.threshold_pct)
            row = (*name, at, alert.spent_yen, alert.budget_yen)
            fired = self._connection.execute(_PUT_ALERT.format(table=table), row).get
            if fired is None:
                statement = _FIRED_FOR_ANOTHER_BUDGET.format(table=table)
                fired = self._connection.execute(statement, (*name, alert.budget_yen)).get
            if fired is not None:
                decision.events.append(event)
        self._connection.executemany(
            _PUT_EVENT,
            [
                (event.wallet_id, event.kind, json.encode(event.payload).decode(), event.dedupe_key, at)
                for event in decision.events
            ],
        )
