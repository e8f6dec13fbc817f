"""Writing a decision: arrays through ``unnest``, one statement for each table, behind the wallets' locks."""

from __future__ import annotations

from itertools import chain
from typing import Any

from msgspec import json

from credit_wallet.domain.money import MICROS
from credit_wallet.domain.outcomes import Alert
from credit_wallet.rules.decision import ENTRY_COLUMNS, Decision
from credit_wallet.rules.events import Event
from credit_wallet.rules.state import Snapshot, WalletState
from credit_wallet.stores.acts import write_decided
from credit_wallet.stores.alert_tables import ALERT_TABLES, alert_table
from credit_wallet.stores.clawback_rows import write_clawbacks
from credit_wallet.stores.consent_rows import write_consents
from credit_wallet.stores.entry_names import ENTRY_NAME_COLUMNS, entry_name_columns
from credit_wallet.stores.grant_rows import write_grants
from credit_wallet.stores.movement_rows import (
    HOLD_COLUMNS,
    PURCHASE_COLUMNS,
    REMEMBERED_COLUMNS,
    hold_row,
    purchase_row,
    remembered_columns,
    returned_row,
)
from credit_wallet.stores.postgres.arrays import numbers, texts
from credit_wallet.stores.postgres.budgets import PostgresBudgets
from credit_wallet.stores.postgres.connection import PostgresConnection, Raw
from credit_wallet.stores.postgres.known_wallets import KnownWallets
from credit_wallet.stores.price_rows import write_tier_usage
from credit_wallet.stores.profile_rows import write_names
from credit_wallet.stores.rows import (
    LOT_COLUMNS,
    SETTINGS_COLUMNS,
    key_row,
    left_cycle_row,
    lot_row,
    settings_row,
)
from credit_wallet.stores.short_keys import short_forms
from credit_wallet.stores.topup_rows import write_topups
from credit_wallet.stores.transfer_rows import write_transfers

_APPEND_ENTRIES = f"""
INSERT INTO am_credit_transaction_log ({", ".join(ENTRY_COLUMNS)}, txn_type, occurred_at)
SELECT unnest(%s::bigint[]), unnest(%s::bigint[]), unnest(%s::bigint[]), unnest(%s::text[]), unnest(%s::bigint[]),
       unnest(%s::bigint[]), unnest(%s::text[]), unnest(%s::bigint[]), unnest(%s::bigint[]), unnest(%s::bigint[]),
       unnest(%s::text[]), unnest(%s::json[]), %s, %s
"""
"""Arrays side by side in a SELECT take less than in a FROM, where PostgreSQL first keeps each row of each."""

_TEXTS_OF_ENTRIES = frozenset(("note", "lots", "cause", "detail"))

_REMEMBER = """
INSERT INTO am_credit_idempotency
       (idempotency_key, wallet_id, fingerprint, txn_id, hold_id, amount_yen, balance_yen, detail, created_on)
SELECT unnest(%s::text[]), unnest(%s::bigint[]), decode(unnest(%s::text[]), 'hex'), unnest(%s::bigint[]),
       unnest(%s::bigint[]), unnest(%s::bigint[]), unnest(%s::bigint[]), unnest(%s::text[]), %s
"""


_UPDATE_SETTINGS = f"""
UPDATE am_credit_wallet SET {", ".join(f"{column} = %s" for column in SETTINGS_COLUMNS)}, updated_at = %s
WHERE wallet_id = %s
"""
_UPDATE_KEYS = """
UPDATE am_credit_key k
SET current_cycle = new.current_cycle, cycle_spent_yen = new.cycle_spent_yen,
    cycle_spent_fraction = new.cycle_spent_fraction, held_yen = new.held_yen, held_fraction = new.held_fraction
FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::int[], %s::bigint[], %s::int[])
     AS new (wallet_id, key_id, current_cycle, cycle_spent_yen, cycle_spent_fraction, held_yen, held_fraction)
WHERE k.wallet_id = new.wallet_id AND k.key_id = new.key_id
"""
_PUT_LOTS = f"""
INSERT INTO am_credit_lot ({LOT_COLUMNS})
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::text[], %s::int[])
"""
_PUT_HOLDS = f"""
INSERT INTO am_credit_hold ({HOLD_COLUMNS})
SELECT {HOLD_COLUMNS.replace("usage", "CAST(usage AS json)").strip()}
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[],
            %s::text[], %s::text[], %s::text[], %s::text[], %s::int[], %s::bigint[], %s::int[], %s::int[], %s::int[],
            %s::text[], %s::text[])
     AS new ({HOLD_COLUMNS})
ON CONFLICT (hold_id, wallet_id) DO UPDATE
SET captured_yen = excluded.captured_yen, status = excluded.status, lots = excluded.lots,
    expires_at = excluded.expires_at, closed_at = excluded.closed_at, served = excluded.served,
    above_yen = excluded.above_yen, captured_fraction = excluded.captured_fraction,
    above_fraction = excluded.above_fraction, reserved = excluded.reserved
"""
_PUT_PURCHASES = f"""
INSERT INTO am_credit_purchase ({PURCHASE_COLUMNS}, changed_on)
SELECT purchase_key, wallet_id, key_id, actor, decode(fingerprint, 'hex'), attempt, status, amount_yen, txn_id,
       hold_id, undone_txn_id, free_used, lease_until, amount_fraction, CAST(usage AS json), %s
FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::bigint[],
            %s::bigint[], %s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::int[], %s::text[])
     AS new ({PURCHASE_COLUMNS})
ON CONFLICT (purchase_key, wallet_id) DO UPDATE
SET attempt = excluded.attempt, status = excluded.status, txn_id = excluded.txn_id, hold_id = excluded.hold_id,
    undone_txn_id = excluded.undone_txn_id, free_used = excluded.free_used, lease_until = excluded.lease_until,
    amount_yen = excluded.amount_yen, amount_fraction = excluded.amount_fraction, usage = excluded.usage,
    changed_on = excluded.changed_on
"""
_PUT_NAMES = f"""
INSERT INTO am_credit_entry_name ({", ".join(ENTRY_NAME_COLUMNS)})
SELECT * FROM unnest(%s::text[], %s::text[], %s::bigint[], %s::bigint[])
"""
_DELETE_PURCHASES = """
DELETE FROM am_credit_purchase p
USING unnest(%s::text[], %s::bigint[]) AS old (purchase_key, wallet_id)
WHERE p.purchase_key = old.purchase_key AND p.wallet_id = old.wallet_id
"""
_PUT_RETURNED = """
INSERT INTO am_credit_returned (wallet_id, txn_id, returned_yen, returned_fraction)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::int[])
ON CONFLICT (wallet_id, txn_id)
DO UPDATE SET returned_yen = excluded.returned_yen, returned_fraction = excluded.returned_fraction
"""
_PUT_SALES = """
INSERT INTO am_credit_sale (wallet_id, txn_id, seller_id)
SELECT * FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[])
"""
_PUT_CYCLE_SPEND = """
INSERT INTO am_credit_cycle_spend (billing_cycle, wallet_id, key_id, spent_yen, spent_fraction)
SELECT * FROM unnest(%s::text[], %s::bigint[], %s::bigint[], %s::bigint[], %s::int[])
ON CONFLICT (billing_cycle, wallet_id, key_id)
DO UPDATE SET spent_yen = excluded.spent_yen, spent_fraction = excluded.spent_fraction
"""
_PUT_SEGMENTS = """
INSERT INTO am_credit_cycle_segment
       (wallet_id, segment_no, last_txn_id, billing_cycle, closing_yen, closing_fraction)
SELECT new.wallet_id, coalesce(latest.segment_no, 0) + new.position, new.last_txn_id, new.billing_cycle,
       new.closing_yen, new.closing_fraction
FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[], %s::text[], %s::bigint[], %s::int[])
     AS new (wallet_id, position, last_txn_id, billing_cycle, closing_yen, closing_fraction)
LEFT JOIN LATERAL (SELECT segment_no, last_txn_id FROM am_credit_cycle_segment s
                   WHERE s.wallet_id = new.wallet_id ORDER BY segment_no DESC LIMIT 1) AS latest ON true
WHERE latest.last_txn_id IS DISTINCT FROM new.last_txn_id
"""
_PUT_ALERTS = """
WITH given AS (
    SELECT * FROM unnest(%s::bigint[], %s::int[], %s::text[], %s::bigint[], %s::bigint[], %s::text[], %s::text[],
                         %s::text[])
                  AS given (wallet_id, threshold_pct, billing_cycle, spent_yen, budget_yen, kind, payload, dedupe_key)
), fired AS (
    INSERT INTO {table} (wallet_id, threshold_pct, billing_cycle, spent_yen, budget_yen, fired_at)
    SELECT wallet_id, threshold_pct, billing_cycle, spent_yen, budget_yen, %s FROM given
    ON CONFLICT (wallet_id, threshold_pct, billing_cycle) DO NOTHING
    RETURNING wallet_id, threshold_pct, billing_cycle
)
INSERT INTO am_credit_outbox (wallet_id, kind, payload, dedupe_key, occurred_at, handed_out)
SELECT wallet_id, kind, payload, dedupe_key, %s, 0
FROM given LEFT JOIN fired USING (wallet_id, threshold_pct, billing_cycle)
     LEFT JOIN {table} before USING (wallet_id, threshold_pct, billing_cycle)  -- as it was before this statement
WHERE fired.wallet_id IS NOT NULL OR before.budget_yen <> given.budget_yen
ON CONFLICT DO NOTHING
"""
_PUT_EVENTS = """
INSERT INTO am_credit_outbox (wallet_id, kind, payload, dedupe_key, occurred_at, handed_out)
SELECT wallet_id, kind, payload, dedupe_key, %s, 0
FROM unnest(%s::bigint[], %s::text[], %s::text[], %s::text[]) AS new (wallet_id, kind, payload, dedupe_key)
ON CONFLICT DO NOTHING
"""


def write(raw: Raw, snapshot: Snapshot, decision: Decision, known_wallets: KnownWallets, at: str) -> None:
    """Write ``decision`` and the cycles that ``snapshot`` has left, in the transaction that ``raw`` is in."""
    _append_entries(raw, decision)
    if decision.named:
        _put_names(raw, decision)
    if decision.remembered:
        _remember(raw, decision, at[:10])
    if decision.configured:
        _write_settings(raw, decision, at)
    if decision.touched_keys:
        _update_keys(raw, decision)
    if decision.opened_lots or decision.touched_holds or decision.returned:
        _write_lots_and_holds(raw, decision)
    if snapshot.left_cycles or snapshot.closed_segments:
        _write_cycles(raw, snapshot)
    if decision.touched_topups or decision.touched_payers or decision.touched_clawbacks or decision.touched_grants:
        connection = PostgresConnection(raw)
        write_topups(connection, decision, at)
        write_clawbacks(connection, decision.touched_clawbacks.values())
        write_grants(connection, decision)
    write_transfers(PostgresConnection(raw), decision)
    _write_purchases_and_sales(raw, decision, at[:10])
    PostgresBudgets(raw).write(decision, at)
    if decision.acts:
        write_decided(PostgresConnection(raw), decision, at)
    if decision.alerts or decision.events:
        _write_outbox(raw, decision, at)
    known_wallets.write(raw, decision.moved, _touched(snapshot, decision), at)


def _append_entries(raw: Raw, decision: Decision) -> None:
    for shared, values in decision.entries.items():
        columns = [values[place :: len(ENTRY_COLUMNS)] for place, _ in enumerate(ENTRY_COLUMNS)]
        raw.execute(_APPEND_ENTRIES, [*map(_array_of_entries, ENTRY_COLUMNS, columns), *shared])


def _put_names(raw: Raw, decision: Decision) -> None:
    values = entry_name_columns(decision.named)
    kinds, names, wallet_ids, txn_ids = [values[place :: len(ENTRY_NAME_COLUMNS)] for place in range(4)]
    raw.execute(_PUT_NAMES, [texts(kinds), texts(names), numbers(wallet_ids), numbers(txn_ids)])


def _array_of_entries(name: str, column: list[Any]) -> str:
    """A column without values is an empty array: the shorter ones are filled up with NULL."""
    if column.count(None) == len(column):
        return "{}"
    return texts(column) if name in _TEXTS_OF_ENTRIES else numbers(column)


def _write_cycles(raw: Raw, snapshot: Snapshot) -> None:
    if snapshot.left_cycles:
        cycles, *spent = zip(*map(left_cycle_row, sorted(snapshot.left_cycles)), strict=True)
        raw.execute(_PUT_CYCLE_SPEND, [texts(cycles), *map(numbers, spent)])
    closed = [
        (position, segment)
        for segments in snapshot.closed_segments.values()
        for position, segment in enumerate(segments, start=1)
    ]
    if closed:
        raw.execute(
            _PUT_SEGMENTS,
            [
                numbers([segment.wallet_id for _, segment in closed]),
                numbers([position for position, _ in closed]),
                numbers([segment.last_txn_id for _, segment in closed]),
                texts([segment.billing_cycle for _, segment in closed]),
                *map(numbers, zip(*[divmod(segment.closing_micros, MICROS) for _, segment in closed], strict=True)),
            ],
        )


def _remember(raw: Raw, decision: Decision, today: str) -> None:
    used = [key for key, _ in decision.remembered]
    columns = remembered_columns(decision.remembered, dict(zip(used, short_forms(used), strict=True)), today)
    keys, wallet_ids, fingerprints, txn_ids, hold_ids, amounts_yen, balances_yen, details, created_on = [
        columns[place :: len(REMEMBERED_COLUMNS)] for place, _ in enumerate(REMEMBERED_COLUMNS)
    ]
    raw.execute(
        _REMEMBER,
        [
            texts(keys),
            numbers(wallet_ids),
            texts([fingerprint.hex() for fingerprint in fingerprints]),
            numbers(txn_ids),
            numbers(hold_ids),
            numbers(amounts_yen),
            numbers(balances_yen),
            texts(details),
            created_on[0],
        ],
    )


def _touched(snapshot: Snapshot, decision: Decision) -> dict[int, WalletState]:
    """The wallets whose rows are written whole: those that were touched, and those of which only counters were."""
    counters = chain(decision.spent_in.values(), decision.held_in.values())
    only_counters = {counter.budget.wallet_id for counter in counters} - decision.touched.keys() - decision.moved.keys()
    return decision.touched | {wallet_id: snapshot.wallets[wallet_id] for wallet_id in only_counters}


def _write_settings(raw: Raw, decision: Decision, at: str) -> None:
    for wallet_id, wallet in decision.configured.items():
        raw.execute(_UPDATE_SETTINGS, [*settings_row(wallet), at, wallet_id])
    write_consents(PostgresConnection(raw), decision.consents)
    write_names(PostgresConnection(raw), decision, at)


def _update_keys(raw: Raw, decision: Decision) -> None:
    keys = decision.touched_keys.values()
    cycles, *amounts = zip(*map(key_row, keys), strict=True)
    wallet_ids, key_ids = [key.wallet_id for key in keys], [key.key_id for key in keys]
    raw.execute(_UPDATE_KEYS, [numbers(wallet_ids), numbers(key_ids), texts(cycles), *map(numbers, amounts)])


def _write_lots_and_holds(raw: Raw, decision: Decision) -> None:
    if decision.opened_lots:
        rows = [lot_row(opening).values() for opening in decision.opened_lots]
        wallet_ids, lot_ids, kinds, granted_yen, expiries, fractions = zip(*rows, strict=True)
        raw.execute(
            _PUT_LOTS,
            [
                numbers(wallet_ids),
                numbers(lot_ids),
                texts(kinds),
                numbers(granted_yen),
                texts(expiries),
                numbers(fractions),
            ],
        )
    if decision.touched_holds:
        columns = list(zip(*map(hold_row, decision.touched_holds.values()), strict=True))
        raw.execute(
            _PUT_HOLDS,
            [
                *map(numbers, columns[:5]),
                *map(texts, columns[5:12]),
                *map(numbers, columns[12:17]),
                *map(texts, columns[17:]),
            ],
        )
    if decision.returned:
        returned = zip(*map(returned_row, decision.returned.values()), strict=True)
        raw.execute(_PUT_RETURNED, list(map(numbers, returned)))


def _write_purchases_and_sales(raw: Raw, decision: Decision, today: str) -> None:
    if decision.touched_purchases:
        rows = [purchase_row(purchase, today) for _, purchase in sorted(decision.touched_purchases.items())]
        columns = list(zip(*rows, strict=True))
        raw.execute(
            _PUT_PURCHASES,
            [
                today,
                texts(columns[0]),
                *map(numbers, columns[1:3]),
                texts(columns[3]),
                texts([fingerprint.hex() for fingerprint in columns[4]]),
                *map(texts, columns[5:7]),
                *map(numbers, columns[7:12]),
                texts(columns[12]),
                numbers(columns[13]),
                texts(columns[14]),
            ],
        )
    if decision.dropped_purchases:
        keys, wallet_ids = zip(*sorted(decision.dropped_purchases), strict=True)
        raw.execute(_DELETE_PURCHASES, [texts(keys), numbers(wallet_ids)])
    if decision.sales:
        raw.execute(_PUT_SALES, list(map(numbers, zip(*decision.sales, strict=True))))
    if decision.touched_tiers:
        write_tier_usage(PostgresConnection(raw), decision)


def _put_alerts(raw: Raw, table: str, fired: list[tuple[Alert, Event]], at: str) -> None:
    raw.execute(
        _PUT_ALERTS.format(table=table),
        [
            numbers([event.wallet_id for _, event in fired]),
            numbers([alert.threshold_pct for alert, _ in fired]),
            texts([alert.billing_cycle for alert, _ in fired]),
            numbers([alert.spent_yen for alert, _ in fired]),
            numbers([alert.budget_yen for alert, _ in fired]),
            texts([event.kind for _, event in fired]),
            texts([json.encode(event.payload).decode() for _, event in fired]),
            texts([event.dedupe_key for _, event in fired]),
            at,
            at,
        ],
    )


def _write_outbox(raw: Raw, decision: Decision, at: str) -> None:
    for table in ALERT_TABLES:
        fired = [each for each in decision.alerts if alert_table(each[0].threshold_pct) == table]
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
