"""Loading a batch's rows: its wallets locked in order of their ids, and everything else behind the locks.

A usual batch is loaded in one round trip. Rows whose need shows only then (due holds and lots, the lots behind a hold,
the sums of another cycle) take a second one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from msgspec import json

from credit_wallet.domain.commands import Buy, Command, Hold, Movement
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.rules.state import MAX_DUE_HOLDS, Allocation, KeyState, Snapshot
from credit_wallet.stores.affected import (
    behind_purchases,
    makes_holds,
    named_by,
    note_later_cycles,
    purchases_of,
    roll,
    to_roll,
    wallets_with_caps,
)
from credit_wallet.stores.clawback_rows import load_clawbacks
from credit_wallet.stores.grant_rows import load_grants
from credit_wallet.stores.jobs.backfill import backfill
from credit_wallet.stores.movement_rows import (
    ENTRY_COLUMNS,
    HOLD_COLUMNS,
    PURCHASE_COLUMNS,
    entry_of,
    hold_of,
    purchase_of,
    remembered_of,
)
from credit_wallet.stores.postgres.arrays import numbers, texts
from credit_wallet.stores.postgres.budgets import PostgresBudgets
from credit_wallet.stores.postgres.connection import PostgresConnection, Raw
from credit_wallet.stores.postgres.known_wallets import KnownWallets
from credit_wallet.stores.price_rows import NEWEST, KnownBook, load_prices, names_item
from credit_wallet.stores.rows import KEY_COLUMNS, LOT_COLUMNS, key_of, lot_opening_of
from credit_wallet.stores.short_keys import HAS_LONG_KEYS, restored, short_forms
from credit_wallet.stores.topup_rows import load_topups
from credit_wallet.stores.transfer_rows import load_transfers

IDS_A_DRAW = 64
"""Entry ids drawn at once when a batch needs more than one per movement."""

_PENDING = """
SELECT DISTINCT wallet_id FROM am_credit_transaction_log
WHERE prev_txn_id IS NULL AND wallet_id = ANY (%s::bigint[])
"""
_IDS = """
SELECT (SELECT '[' || string_agg(nextval('am_credit_transaction_log_txn_id_seq')::text, ',') || ']'
        FROM generate_series(1, %s::int)),
       (SELECT '[' || string_agg(nextval('am_credit_hold_hold_id_seq')::text, ',') || ']'
        FROM generate_series(1, %s::int))
"""
_REMEMBERED = f"""
SELECT i.idempotency_key, i.wallet_id, fingerprint, txn_id, hold_id, amount_yen, balance_yen, detail
FROM unnest(%s::text[], %s::bigint[]) AS wanted (idempotency_key, wallet_id)
JOIN am_credit_idempotency i
  ON i.idempotency_key = wanted.idempotency_key AND i.wallet_id = wanted.wallet_id
UNION ALL
SELECT i.idempotency_key, i.wallet_id, fingerprint, txn_id, hold_id, amount_yen, balance_yen, detail
FROM unnest(%s::text[], %s::bigint[]) AS wanted (idempotency_key, wallet_id)
JOIN am_credit_idempotency i
  ON i.idempotency_key = wanted.idempotency_key AND i.wallet_id = wanted.wallet_id
WHERE EXISTS ({HAS_LONG_KEYS})
"""
_KEYS = f"SELECT {KEY_COLUMNS} FROM am_credit_key WHERE key_id = ANY (%s::bigint[])"
_HOLDS = f"SELECT {HOLD_COLUMNS} FROM am_credit_hold WHERE hold_id = ANY (%s::bigint[])"
_PURCHASES = f"""
SELECT {", ".join(f"p.{name}" for name in PURCHASE_COLUMNS.split(", "))}
FROM unnest(%s::text[], %s::bigint[]) AS wanted (purchase_key, wallet_id)
JOIN am_credit_purchase p ON p.purchase_key = wanted.purchase_key AND p.wallet_id = wanted.wallet_id
"""
_DUE_HOLDS = f"""
SELECT {HOLD_COLUMNS} FROM unnest(%s::bigint[]) AS due (owing_id)
CROSS JOIN LATERAL (
  SELECT * FROM am_credit_hold
  WHERE wallet_id = owing_id AND status = 'open' AND expires_at <= %s
  ORDER BY expires_at, hold_id
  LIMIT {MAX_DUE_HOLDS + 1}
) AS hold
ORDER BY expires_at, hold_id
"""
_NEXT_HOLD_EXPIRY = """
SELECT wallet_id, min(expires_at) FROM am_credit_hold
WHERE wallet_id = ANY (%s::bigint[]) AND status = 'open' AND expires_at > %s
GROUP BY wallet_id
"""
_ENTRIES = f"""
SELECT {ENTRY_COLUMNS}
FROM am_credit_transaction_log e
LEFT JOIN am_credit_returned r ON r.wallet_id = e.wallet_id AND r.txn_id = e.txn_id
WHERE e.txn_id = ANY (%s::bigint[])
"""
_LOTS = f"""
SELECT {LOT_COLUMNS}
FROM unnest(%s::bigint[], %s::bigint[]) AS wanted (wanted_wallet_id, wanted_lot_id)
JOIN am_credit_lot ON wallet_id = wanted_wallet_id AND lot_id = wanted_lot_id
"""
_LATER_CYCLES = """
SELECT billing_cycle, wallet_id, key_id, spent_yen, spent_fraction FROM am_credit_cycle_spend
WHERE billing_cycle > %s AND wallet_id = ANY (%s::bigint[])
"""
_CYCLES = """
SELECT coalesce(spent_yen, 0), coalesce(spent_fraction, 0),
       CASE WHEN wanted.key_id = 0
            THEN greatest((SELECT max(threshold_pct) FROM am_credit_spending_alert a
                           WHERE a.wallet_id = wanted.wallet_id AND a.billing_cycle = wanted.cycle),
                          (SELECT max(threshold_pct) FROM am_credit_threshold_alert a
                           WHERE a.wallet_id = wanted.wallet_id AND a.billing_cycle = wanted.cycle), 0)
            ELSE 0 END
FROM unnest(%s::text[], %s::bigint[], %s::bigint[]) WITH ORDINALITY AS wanted (cycle, wallet_id, key_id, position)
LEFT JOIN am_credit_cycle_spend s
       ON s.billing_cycle = wanted.cycle AND s.wallet_id = wanted.wallet_id AND s.key_id = wanted.key_id
ORDER BY position
"""


class _Ids:
    """Ids drawn from a sequence in advance, and more when they run out."""

    def __init__(self, raw: Raw, column: int, drawn: str | None) -> None:
        self._raw = raw
        self._column = column
        self._drawn = iter(_decoded(drawn))

    def __iter__(self) -> Iterator[int]:
        return self

    def __next__(self) -> int:
        drawn = next(self._drawn, None)
        if drawn is None:
            wanted = [0, 0]
            wanted[self._column] = IDS_A_DRAW
            self._drawn = iter(_decoded(self._raw.execute(_IDS, wanted).fetchall()[0][self._column]))
            drawn = next(self._drawn)
        return drawn


def _decoded(drawn: str | None) -> list[int]:
    return json.decode(drawn, type=list[int]) if drawn else []


def load(
    raw: Raw,
    commands: Sequence[Command],
    clock: Callable[[], datetime],
    emitted: Collection[tuple[int, str]],
    known_wallets: KnownWallets,
    known_book: KnownBook,
) -> tuple[Snapshot, datetime]:
    """Everything that ``commands`` may touch, each wallet and key in its current cycle, and the instant of that.

    Must be called in a transaction in pipeline mode. Ids are drawn and the clock is read behind the locks, so that ids
    and instants of a wallet's entries rise.
    """
    wallet_ids = {command.wallet_id for command in commands}
    movements = [command for command in commands if isinstance(command, Movement)]
    key_ids, hold_ids, txn_ids = named_by(commands)
    asked = known_wallets.ask(raw, wallet_ids)
    pending = raw.execute(_PENDING, [numbers(wallet_ids)])
    names = purchases_of(commands)
    ids = raw.execute(_IDS, [len(movements) + len(names), sum(isinstance(command, Hold | Buy) for command in commands)])
    purchases = (
        raw.execute(_PURCHASES, [texts([key for key, _ in names]), numbers([wallet_id for _, wallet_id in names])])
        if names
        else ()
    )
    remembered = raw.execute(_REMEMBERED, _names_of(movements))
    keys = raw.execute(_KEYS, [numbers(key_ids)]) if key_ids else ()
    holds = raw.execute(_HOLDS, [numbers(hold_ids)]) if hold_ids else ()
    entries = raw.execute(_ENTRIES, [numbers(txn_ids)]) if txn_ids else ()
    newest = raw.execute(NEWEST) if any(map(names_item, commands)) else None

    loaded = known_wallets.answered(raw, asked)
    now = clock()
    of_plain_sql = {wallet_id for (wallet_id,) in pending.fetchall()}
    of_plain_sql |= {wallet_id for wallet_id, wallet in loaded.items() if wallet.last_txn_id is None}
    if of_plain_sql:
        backfill(PostgresConnection(raw), sorted(of_plain_sql), now)
        loaded |= known_wallets.read_again(raw, of_plain_sql)
    [(drawn_txn_ids, drawn_hold_ids)] = ids.fetchall()
    snapshot = Snapshot(
        wallets=loaded,
        keys=_by_key_id(keys),
        holds={hold.hold_id: hold for hold in map(hold_of, holds)},
        entries={entry.txn_id: entry for entry in map(entry_of, entries)},
        lot_openings={},
        remembered={
            (restored(key), wallet_id): remembered_of(wallet_id, tuple(row))
            for key, wallet_id, *row in remembered.fetchall()
        },
        due_holds={},
        next_hold_expiry={},
        left_cycles=[],
        txn_ids=_Ids(raw, 0, drawn_txn_ids),
        hold_ids=_Ids(raw, 1, drawn_hold_ids),
        emitted=emitted,
        headrooms=known_wallets.headrooms,
        purchases={(each.purchase_key, each.wallet_id): each for each in map(purchase_of, purchases)},
    )
    _load_due_holds(raw, snapshot, format_instant(now))
    load_topups(PostgresConnection(raw), snapshot, commands, now)
    load_grants(PostgresConnection(raw), snapshot, commands)
    owing = [wallet_id for wallet_id, wallet in loaded.items() if wallet.debt_micros]
    returning = load_transfers(PostgresConnection(raw), snapshot, commands)
    taken_back = load_clawbacks(PostgresConnection(raw), snapshot, commands, owing)
    _load_behind(raw, snapshot, commands, [*returning, *taken_back])
    _roll_cycles(raw, snapshot, now)
    later_cycles = _ask_later_cycles(raw, snapshot) if makes_holds(commands) else None
    newest_version = None if newest is None else newest.fetchall()
    load_prices(PostgresConnection(raw), known_book, snapshot, commands, newest_version)
    if any(wallet.budget_kinds for wallet in loaded.values()):
        known_wallets.note_groups(snapshot.keys.values())
        known_wallets.budgets.load(PostgresBudgets(raw), snapshot, commands, now)
    if later_cycles is not None:
        note_later_cycles(snapshot, later_cycles.fetchall())
    return snapshot, now


def _names_of(movements: Sequence[Movement]) -> list[str]:
    """Keys and wallets as ``_REMEMBERED`` takes them: short, and those in full that were not shortened before."""
    keys, wallet_ids = [each.stored_key for each in movements], [each.wallet_id for each in movements]
    short = short_forms(keys)
    in_full = [place for place, key in enumerate(keys) if key != short[place]]
    return [
        texts(short),
        numbers(wallet_ids),
        texts([keys[place] for place in in_full]),
        numbers([wallet_ids[place] for place in in_full]),
    ]


def _by_key_id(rows: Iterable[tuple[Any, ...]]) -> dict[int, KeyState]:
    return {key.key_id: key for key in map(key_of, rows)}


def _load_due_holds(raw: Raw, snapshot: Snapshot, at: str) -> None:
    due = [
        wallet_id
        for wallet_id, wallet in snapshot.wallets.items()
        if wallet.next_due_at is not None and wallet.next_due_at <= at
    ]
    if not due:
        return
    holds = raw.execute(_DUE_HOLDS, [numbers(due), at])
    later = raw.execute(_NEXT_HOLD_EXPIRY, [numbers(due), at])
    snapshot.due_holds = {wallet_id: [] for wallet_id in due}
    for hold in map(hold_of, holds.fetchall()):
        hold = snapshot.holds.setdefault(hold.hold_id, hold)
        snapshot.due_holds[hold.wallet_id].append(hold)
    snapshot.next_hold_expiry.update(dict(later.fetchall()))
    for wallet_id, holds_due in snapshot.due_holds.items():
        if len(holds_due) > MAX_DUE_HOLDS:
            snapshot.next_hold_expiry[wallet_id] = holds_due.pop().expires_at


def _load_behind(
    raw: Raw, snapshot: Snapshot, commands: Sequence[Command], taken_back: Iterable[tuple[int, Allocation]]
) -> None:
    """Load what purchases name, lots of holds, entries and clawbacks, and the agent keys behind the holds."""
    purchase_keys = _load_behind_purchases(raw, snapshot, commands) if snapshot.purchases else set()
    named: list[tuple[int, Allocation]] = [
        *taken_back,
        *((hold.wallet_id, hold.allocation) for hold in snapshot.holds.values()),
        *((entry.wallet_id, entry.allocation) for entry in snapshot.entries.values()),
    ]
    wanted = sorted({(wallet_id, lot_id) for wallet_id, allocation in named for lot_id, _ in allocation})
    if wanted:
        lots = raw.execute(
            _LOTS, [numbers([wallet_id for wallet_id, _ in wanted]), numbers([lot_id for _, lot_id in wanted])]
        )
        for row in lots.fetchall():
            opening = lot_opening_of(row)
            snapshot.lot_openings[opening.wallet_id, opening.lot_id] = opening
    behind = purchase_keys | {hold.key_id for hold in snapshot.holds.values() if hold.key_id is not None}
    behind -= snapshot.keys.keys()
    if behind:
        snapshot.keys.update(_by_key_id(raw.execute(_KEYS, [numbers(behind)]).fetchall()))


def _load_behind_purchases(raw: Raw, snapshot: Snapshot, commands: Sequence[Command]) -> set[int]:
    """Load the holds and entries that purchases name; return the ids of their agent keys."""
    key_ids, hold_ids, txn_ids = behind_purchases(snapshot, commands)
    holds = raw.execute(_HOLDS, [numbers(hold_ids - snapshot.holds.keys())]) if hold_ids else ()
    entries = raw.execute(_ENTRIES, [numbers(txn_ids - snapshot.entries.keys())]) if txn_ids else ()
    snapshot.holds.update((hold.hold_id, hold) for hold in map(hold_of, holds))
    snapshot.entries.update((entry.txn_id, entry) for entry in map(entry_of, entries))
    return key_ids


def _ask_later_cycles(raw: Raw, snapshot: Snapshot) -> Any:
    """Ask for the later cycles of wallets with caps, for whoever fetches them."""
    wallet_ids = wallets_with_caps(snapshot, snapshot.wallets, snapshot.keys)
    if not wallet_ids:
        return None
    first = min(snapshot.wallets[wallet_id].current_cycle for wallet_id in wallet_ids)
    return raw.execute(_LATER_CYCLES, [first, numbers(wallet_ids)])


def _roll_cycles(raw: Raw, snapshot: Snapshot, now: datetime) -> None:
    rolling = list(to_roll(snapshot.wallets, snapshot.keys, snapshot.wallets, snapshot.keys, now))
    if not rolling:
        return
    figures = raw.execute(
        _CYCLES,
        [
            texts([each.cycle for each in rolling]),
            numbers([each.spender.wallet_id for each in rolling]),
            numbers([each.key_id for each in rolling]),
        ],
    )
    for each, (spent_yen, spent_fraction, alerted_pct) in zip(rolling, figures.fetchall(), strict=True):
        roll(snapshot, each, spent_yen * MICROS + spent_fraction, alerted_pct)
