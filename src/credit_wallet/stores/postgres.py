"""The PostgreSQL store: any number of nodes and lanes turn batches of commands into durable transactions.

``execute`` is the hot path, in two round trips: BEGIN and load with the wallets' rows locked → ``decide`` → write and
COMMIT. Nothing is kept between batches; the rows' locks are what makes nodes take turns on a wallet.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from time import monotonic, sleep
from typing import Any, Concatenate, ParamSpec, TypeVar

from msgspec import json, structs

from credit_wallet.commands import Command
from credit_wallet.cycle import format_instant
from credit_wallet.decide import decide
from credit_wallet.errors import DatabaseReadOnly, KeyNotFound, WalletError
from credit_wallet.outcomes import Alert, Outcome
from credit_wallet.state import Decision, Snapshot
from credit_wallet.stores import migrations
from credit_wallet.stores.alert_tables import ALERT_TABLES, alert_table
from credit_wallet.stores.postgres_arrays import numbers, texts
from credit_wallet.stores.postgres_connection import PostgresConnection, Raw
from credit_wallet.stores.postgres_link import Link
from credit_wallet.stores.postgres_load import load
from credit_wallet.stores.postgres_schema import PostgresSchema
from credit_wallet.stores.rows import alert_event, hold_row, own_thresholds, remembered_row, wallet_row
from credit_wallet.stores.topup_rows import write_topups

P = ParamSpec("P")
T = TypeVar("T")

SETTLE_SECONDS = 1.0
"""How long sealing waits for transactions that may still commit an entry of its range."""

SETTLE_STEP_SECONDS = 0.01

REMEMBERED_TOLD = 10_000
"""Events told once that a store remembers, so that a wallet that is refused again and again writes nothing."""

PLANS_OF_THE_RAIL = """
SELECT set_config('plan_cache_mode', 'force_generic_plan', false), set_config('enable_seqscan', 'off', false),
       set_config('enable_hashjoin', 'off', false), set_config('enable_mergejoin', 'off', false),
       set_config('jit', 'off', false)
"""
"""The rail reads a known few rows by their keys: planned once, and never by figures of a table that was empty then."""

_PLANS_OF_A_JOB = """
SELECT set_config('plan_cache_mode', 'auto', true), set_config('enable_seqscan', 'on', true),
       set_config('enable_hashjoin', 'on', true), set_config('enable_mergejoin', 'on', true)
"""
_APPEND_ENTRIES = """
INSERT INTO am_credit_transaction_log
       (txn_id, wallet_id, amount_yen, txn_type, occurred_at, note, prev_txn_id, ledger_balance_yen, lots, key_id,
        related_txn_id, hold_id)
SELECT txn_id, wallet_id, amount_yen, txn_type, %s, note, prev_txn_id, ledger_balance_yen, lots, key_id,
       related_txn_id, hold_id
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::bigint[], %s::text[],
            %s::bigint[], %s::bigint[], %s::bigint[])
     AS new (txn_id, wallet_id, amount_yen, txn_type, note, prev_txn_id, ledger_balance_yen, lots, key_id,
             related_txn_id, hold_id)
"""
_REMEMBER = """
INSERT INTO am_credit_idempotency
       (idempotency_key, wallet_id, fingerprint, txn_id, hold_id, amount_yen, balance_yen, detail, created_on)
SELECT idempotency_key, wallet_id, decode(fingerprint, 'hex'), txn_id, hold_id, amount_yen, balance_yen, detail, %s
FROM unnest(%s::text[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[])
     AS new (idempotency_key, wallet_id, fingerprint, txn_id, hold_id, amount_yen, balance_yen, detail)
"""
_UPDATE_WALLETS = """
UPDATE am_credit_wallet w
SET balance_yen = new.balance_yen, held_yen = new.held_yen, debt_yen = new.debt_yen, open_lots = new.open_lots,
    current_cycle = new.current_cycle, cycle_spent_yen = new.cycle_spent_yen, alerted_pct = new.alerted_pct,
    last_txn_id = new.last_txn_id, next_due_at = new.next_due_at, exhausted = new.exhausted, updated_at = %s
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::bigint[], %s::int[],
            %s::bigint[], %s::text[], %s::int[])
     AS new (wallet_id, balance_yen, held_yen, debt_yen, open_lots, current_cycle, cycle_spent_yen, alerted_pct,
             last_txn_id, next_due_at, exhausted)
WHERE w.wallet_id = new.wallet_id
"""
_UPDATE_SETTINGS = """
UPDATE am_credit_wallet
SET label = %s, enabled = %s, monthly_budget_yen = %s, budget_mode = %s, auto_topup_threshold = %s,
    auto_topup_amount = %s, low_balance_yen = %s, alert_thresholds = %s, updated_at = %s
WHERE wallet_id = %s
"""
_UPDATE_KEYS = """
UPDATE am_credit_key k
SET current_cycle = new.current_cycle, cycle_spent_yen = new.cycle_spent_yen, held_yen = new.held_yen
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::bigint[])
     AS new (wallet_id, key_id, current_cycle, cycle_spent_yen, held_yen)
WHERE k.wallet_id = new.wallet_id AND k.key_id = new.key_id
"""
_PUT_LOTS = """
INSERT INTO am_credit_lot (wallet_id, lot_id, kind, granted_yen, expires_at)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::text[])
"""
_PUT_HOLDS = """
INSERT INTO am_credit_hold (hold_id, wallet_id, key_id, amount_yen, captured_yen, status, lots, note, created_at,
                            expires_at, closed_at)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[],
                     %s::text[], %s::text[], %s::text[], %s::text[])
ON CONFLICT (hold_id, wallet_id) DO UPDATE
SET captured_yen = excluded.captured_yen, status = excluded.status, closed_at = excluded.closed_at
"""
_PUT_RETURNED = """
INSERT INTO am_credit_returned (wallet_id, txn_id, returned_yen)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[])
ON CONFLICT (wallet_id, txn_id) DO UPDATE SET returned_yen = excluded.returned_yen
"""
_PUT_CYCLE_SPEND = """
INSERT INTO am_credit_cycle_spend (billing_cycle, wallet_id, key_id, spent_yen)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[])
ON CONFLICT (billing_cycle, wallet_id, key_id) DO UPDATE SET spent_yen = excluded.spent_yen
"""
_PUT_ALERTS = """
WITH given AS (
    SELECT * FROM unnest(%s::bigint[], %s::int[], %s::text[], %s::bigint[], %s::bigint[], %s::text[])
                  AS given (wallet_id, threshold_pct, billing_cycle, spent_yen, budget_yen, payload)
), fired AS (
    INSERT INTO {table} (wallet_id, threshold_pct, billing_cycle, spent_yen, budget_yen, fired_at)
    SELECT wallet_id, threshold_pct, billing_cycle, spent_yen, budget_yen, %s FROM given
    ON CONFLICT (wallet_id, threshold_pct, billing_cycle) DO NOTHING
    RETURNING wallet_id, threshold_pct, billing_cycle
)
INSERT INTO am_credit_outbox (wallet_id, kind, payload, occurred_at, handed_out)
SELECT wallet_id, 'alert_fired', payload, %s, 0
FROM given JOIN fired USING (wallet_id, threshold_pct, billing_cycle)
"""
_PUT_EVENTS = """
INSERT INTO am_credit_outbox (wallet_id, kind, payload, dedupe_key, occurred_at, handed_out)
SELECT wallet_id, kind, payload, dedupe_key, %s, 0
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[]) AS new (wallet_id, kind, payload, dedupe_key)
ON CONFLICT DO NOTHING
"""
_CREATE_WALLET = """
INSERT INTO am_credit_wallet (owner_token_hash, label, auto_topup_threshold, auto_topup_amount, monthly_budget_yen,
                              budget_mode, time_zone, last_txn_id, created_at, updated_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, 0, %s, %s)
RETURNING wallet_id
"""
_CREATE_KEY = """
INSERT INTO am_credit_key (wallet_id, token_hash, label, monthly_cap_yen, created_at, expires_at)
VALUES (%s, %s, %s, %s, %s, %s)
RETURNING key_id
"""
_LOCK_WALLET_OF_KEY = """
SELECT wallet_id FROM am_credit_wallet
WHERE wallet_id = (SELECT wallet_id FROM am_credit_key WHERE key_id = %s) FOR NO KEY UPDATE
"""
_COPY_KEY = """
INSERT INTO am_credit_key (wallet_id, token_hash, label, monthly_cap_yen, created_at)
SELECT wallet_id, %s, label, monthly_cap_yen, %s FROM am_credit_key WHERE key_id = %s
RETURNING key_id
"""
_END_KEY = """
UPDATE am_credit_key SET expires_at = least(expires_at, %s) WHERE key_id = %s AND revoked_at IS NULL RETURNING key_id
"""
_REVOKE_KEY = """
UPDATE am_credit_key SET revoked_at = coalesce(revoked_at, %s) WHERE key_id = %s RETURNING revoked_at
"""
_IS_READ_ONLY = "SELECT current_setting('transaction_read_only') = 'on'"
_WRITE_NOTHING = "UPDATE am_credit_wallet SET wallet_id = wallet_id WHERE wallet_id = 0"
_LAST_ID_DRAWN = "SELECT last_value FROM am_credit_transaction_log_txn_id_seq"
_WRITERS = """
SELECT pg_current_xact_id()::text::bigint,
       array(SELECT virtualtransaction FROM pg_locks
             WHERE relation = 'am_credit_transaction_log'::regclass AND mode = 'RowExclusiveLock' AND granted)
"""
_WRITERS_LEFT = """
SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint < %s
       OR EXISTS (SELECT FROM pg_locks
                  WHERE relation = 'am_credit_transaction_log'::regclass AND mode = 'RowExclusiveLock' AND granted
                    AND virtualtransaction = ANY (%s::text[]))
"""


class PostgresStore:
    """A ledger in a PostgreSQL database. Not thread-safe: each lane of a rail has its own."""

    def __init__(self, url: str) -> None:
        """Connect to a database whose schema is up to date. Raises ``DatabaseError``."""
        self._link = Link(url, PLANS_OF_THE_RAIL)
        self._told: set[tuple[int, str]] = set()

    def close(self) -> None:
        self._link.close()

    def execute(self, commands: Sequence[Command], now: datetime) -> list[Outcome | WalletError]:
        """Carry out ``commands`` in one durable transaction; one outcome or refusal per command, in order.

        Raises ``DatabaseError``, and then nothing moved, except as ``DatabaseUnavailable`` may say.
        """
        sent: list[Decision] = []

        def attempt(raw: Raw) -> list[Outcome | WalletError]:
            with raw.pipeline():
                raw.execute("BEGIN")
                snapshot = load(raw, commands, now, self._told)
                decision = decide(snapshot, commands, now)
                _write(raw, snapshot, decision, format_instant(now))
                sent.append(decision)
                self._link.committing()
                raw.execute("COMMIT")
            if decision.told:
                self._told = decision.told | (self._told if len(self._told) < REMEMBERED_TOLD else set())
            return decision.outcomes

        outcomes = self._link.carry_out(attempt, repeatable=True)
        return _as_first_answered(outcomes, sent[:-1]) if len(sent) > 1 else outcomes

    def create_wallet(
        self,
        owner_token_hash: str,
        label: str | None,
        auto_topup: tuple[int, int],
        monthly_budget_yen: int,
        budget_mode: str,
        time_zone: str,
        now: datetime,
    ) -> int:
        """Insert a wallet and return its id; ``auto_topup`` is threshold and amount."""
        at = format_instant(now)
        row = (owner_token_hash, label, *auto_topup, monthly_budget_yen, budget_mode, time_zone, at, at)
        return int(self._in_transaction(lambda raw: _value(raw, _CREATE_WALLET, row)))

    def create_key(
        self,
        wallet_id: int,
        token_hash: str,
        label: str | None,
        monthly_cap_yen: int,
        expires_at: str | None,
        now: datetime,
    ) -> int:
        """Insert an agent key and return its id."""
        row = (wallet_id, token_hash, label, monthly_cap_yen, format_instant(now), expires_at)
        return int(self._in_transaction(lambda raw: _value(raw, _CREATE_KEY, row)))

    def revoke_key(self, key_id: int, now: datetime) -> str:
        """Revoke an agent key for good, effective at once; return when it was revoked first."""

        def revoke(raw: Raw) -> str:
            raw.execute(_LOCK_WALLET_OF_KEY, [key_id])  # whoever spends with the key has read it behind this lock
            revoked_at = _value(raw, _REVOKE_KEY, [format_instant(now), key_id])
            if revoked_at is None:
                raise KeyNotFound(f"there is no agent key {key_id}", key_id=key_id)
            return str(revoked_at)

        return self._in_transaction(revoke, repeatable=True)

    def replace_key(self, key_id: int, token_hash: str, old_expires_at: str, now: datetime) -> int:
        """Insert a key like ``key_id`` and let that one end at ``old_expires_at``; return the new one's id.

        Raises ``KeyNotFound`` when there is no such key or it is revoked.
        """

        def replace(raw: Raw) -> int:
            raw.execute(_LOCK_WALLET_OF_KEY, [key_id])
            if _value(raw, _END_KEY, [old_expires_at, key_id]) is None:
                raise KeyNotFound(f"there is no agent key {key_id} that works", key_id=key_id)
            return int(_value(raw, _COPY_KEY, [token_hash, format_instant(now), key_id]))

        return self._in_transaction(replace)

    def check_writable(self) -> None:
        """Raises ``DatabaseError`` when the database would not take a write, ``MigrationError`` when it is outdated."""

        def check(raw: Raw) -> None:
            if _value(raw, _IS_READ_ONLY, []):
                raise DatabaseReadOnly("the database takes no writes; give write access, or wait for a new leader")
            raw.execute(_WRITE_NOTHING)
            migrations.require_current(PostgresSchema(raw, self._link.url))

        self._in_transaction(check, repeatable=True)

    def settled_txn_id(self) -> int:
        """The last id drawn so far, once everybody who may have drawn an earlier one has committed or given up.

        The rail locks wallets, and so has a transaction id, before it draws; an INSERT of plain SQL locks the table
        before. 0 when they do not come to an end within ``SETTLE_SECONDS``.
        """
        return self._link.carry_out(_settled_txn_id, repeatable=True)

    def run(self, job: Callable[Concatenate[Any, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``job(connection, …)`` in one write transaction of its own; for the background jobs."""

        def work(raw: Raw) -> T:
            raw.execute(_PLANS_OF_A_JOB)
            return job(PostgresConnection(raw), *args, **kwargs)

        return self._in_transaction(work)

    def _in_transaction(self, work: Callable[[Raw], T], *, repeatable: bool = False) -> T:
        def attempt(raw: Raw) -> T:
            raw.execute("BEGIN")
            done = work(raw)
            self._link.committing()
            raw.execute("COMMIT")
            return done

        return self._link.carry_out(attempt, repeatable=repeatable)


def _value(raw: Raw, statement: str, parameters: Sequence[Any]) -> Any:
    row = raw.execute(statement, parameters).fetchone()
    return None if row is None else row[0]


def _as_first_answered(
    outcomes: list[Outcome | WalletError], earlier: Iterable[Decision]
) -> list[Outcome | WalletError]:
    """``outcomes`` of a batch that was sent before, where a replay of what was done then is no replay to the caller."""
    answers = list(outcomes)
    for decision in earlier:
        for position, (first, again) in enumerate(zip(decision.outcomes, answers, strict=True)):
            if isinstance(first, Outcome) and again == structs.replace(first, replayed=True):
                answers[position] = first
    return answers


def _settled_txn_id(raw: Raw) -> int:
    last_txn_id = int(_value(raw, _LAST_ID_DRAWN, []))
    [(own_xid, writers)] = raw.execute(_WRITERS).fetchall()
    give_up_at = monotonic() + SETTLE_SECONDS
    while _value(raw, _WRITERS_LEFT, [own_xid, writers]):
        if monotonic() > give_up_at:
            return 0
        sleep(SETTLE_STEP_SECONDS)
    return last_txn_id


def _write(raw: Raw, snapshot: Snapshot, decision: Decision, at: str) -> None:
    if decision.entries:
        _append_entries(raw, decision, at)
    if decision.remembered:
        _remember(raw, decision, at[:10])
    if decision.touched:
        _update_wallets(raw, decision, at)
    if decision.configured:
        _write_settings(raw, decision, at)
    if decision.touched_keys:
        _update_keys(raw, decision)
    if decision.opened_lots or decision.touched_holds or decision.returned:
        _write_lots_and_holds(raw, decision)
    if snapshot.left_cycles:
        cycles, wallet_ids, key_ids, spent_yen = zip(*sorted(snapshot.left_cycles), strict=True)
        raw.execute(_PUT_CYCLE_SPEND, [texts(cycles), numbers(wallet_ids), numbers(key_ids), numbers(spent_yen)])
    if decision.touched_topups or decision.touched_payers:
        write_topups(PostgresConnection(raw), decision, at)
    if decision.alerts or decision.events:
        _write_outbox(raw, decision, at)


def _append_entries(raw: Raw, decision: Decision, at: str) -> None:
    entries = decision.entries
    raw.execute(
        _APPEND_ENTRIES,
        [
            at,
            numbers([entry.txn_id for entry in entries]),
            numbers([entry.wallet_id for entry in entries]),
            numbers([entry.amount_yen for entry in entries]),
            texts([entry.txn_type for entry in entries]),
            texts([entry.note for entry in entries]),
            numbers([entry.prev_txn_id for entry in entries]),
            numbers([entry.ledger_balance_yen for entry in entries]),
            texts([entry.lots for entry in entries]),
            numbers([entry.key_id for entry in entries]),
            numbers([entry.related_txn_id for entry in entries]),
            numbers([entry.hold_id for entry in entries]),
        ],
    )


def _remember(raw: Raw, decision: Decision, today: str) -> None:
    rows = [remembered_row(*named, today) for named in sorted(decision.remembered)]
    keys, wallet_ids, fingerprints, txn_ids, hold_ids, amounts_yen, balances_yen, details, _ = zip(*rows, strict=True)
    raw.execute(
        _REMEMBER,
        [
            today,
            texts(keys),
            numbers(wallet_ids),
            texts([fingerprint.hex() for fingerprint in fingerprints]),
            numbers(txn_ids),
            numbers(hold_ids),
            numbers(amounts_yen),
            numbers(balances_yen),
            texts(details),
        ],
    )


def _update_wallets(raw: Raw, decision: Decision, at: str) -> None:
    columns = zip(*map(wallet_row, decision.touched.values()), strict=True)
    balance_yen, held_yen, debt_yen, lots, cycles, spent_yen, alerted_pct, last_txn_ids, due_at, exhausted = columns
    raw.execute(
        _UPDATE_WALLETS,
        [
            at,
            numbers(decision.touched),
            numbers(balance_yen),
            numbers(held_yen),
            numbers(debt_yen),
            texts(lots),
            texts(cycles),
            numbers(spent_yen),
            numbers(alerted_pct),
            numbers(last_txn_ids),
            texts(due_at),
            numbers(map(int, exhausted)),
        ],
    )


def _write_settings(raw: Raw, decision: Decision, at: str) -> None:
    for wallet_id, wallet in decision.configured.items():
        raw.execute(
            _UPDATE_SETTINGS,
            [
                wallet.label,
                int(wallet.enabled),
                wallet.monthly_budget_yen,
                wallet.budget_mode,
                wallet.auto_topup_threshold,
                wallet.auto_topup_amount,
                wallet.low_balance_yen,
                own_thresholds(wallet),
                at,
                wallet_id,
            ],
        )


def _update_keys(raw: Raw, decision: Decision) -> None:
    keys = decision.touched_keys.values()
    raw.execute(
        _UPDATE_KEYS,
        [
            numbers([key.wallet_id for key in keys]),
            numbers([key.key_id for key in keys]),
            texts([key.current_cycle for key in keys]),
            numbers([key.cycle_spent_yen for key in keys]),
            numbers([key.held_yen for key in keys]),
        ],
    )


def _write_lots_and_holds(raw: Raw, decision: Decision) -> None:
    if decision.opened_lots:
        wallet_ids, lot_ids, kinds, granted_yen, expiries = zip(
            *map(structs.astuple, decision.opened_lots), strict=True
        )
        raw.execute(
            _PUT_LOTS, [numbers(wallet_ids), numbers(lot_ids), texts(kinds), numbers(granted_yen), texts(expiries)]
        )
    if decision.touched_holds:
        columns = list(zip(*map(hold_row, decision.touched_holds.values()), strict=True))
        raw.execute(_PUT_HOLDS, [*map(numbers, columns[:5]), *map(texts, columns[5:])])
    if decision.returned:
        entries = decision.returned.values()
        raw.execute(
            _PUT_RETURNED,
            [
                numbers([entry.wallet_id for entry in entries]),
                numbers([entry.txn_id for entry in entries]),
                numbers([entry.returned_yen for entry in entries]),
            ],
        )


def _put_alerts(raw: Raw, table: str, fired: list[tuple[int, Alert]], at: str) -> None:
    payloads = [json.encode(alert_event(*each).payload).decode() for each in fired]
    raw.execute(
        _PUT_ALERTS.format(table=table),
        [
            numbers([wallet_id for wallet_id, _ in fired]),
            numbers([alert.threshold_pct for _, alert in fired]),
            texts([alert.billing_cycle for _, alert in fired]),
            numbers([alert.spent_yen for _, alert in fired]),
            numbers([alert.budget_yen for _, alert in fired]),
            texts(payloads),
            at,
            at,
        ],
    )


def _write_outbox(raw: Raw, decision: Decision, at: str) -> None:
    for table in ALERT_TABLES:
        fired = [
            (wallet_id, alert) for wallet_id, alert in decision.alerts if alert_table(alert.threshold_pct) == table
        ]
        if fired:
            _put_alerts(raw, table, fired, at)
    if decision.events:
        raw.execute(
            _PUT_EVENTS,
            [
                at,
                numbers([event.wallet_id for event in decision.events]),
                texts([event.kind for event in decision.events]),
                texts([json.encode(event.payload).decode() for event in decision.events]),
                texts([event.dedupe_key for event in decision.events]),
            ],
        )
