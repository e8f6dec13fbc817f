"""Figures of the ledger as a whole, counted behind the rail: what all wallets have, and what moved in each month.

Reading them costs the same however many wallets and entries there are. The same on every database.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, NamedTuple

from msgspec import Struct, json

from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.totals import LedgerTotals
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.rows import parse_lots
from credit_wallet.stores.sql import statements
from credit_wallet.stores.views import micros

SQL = statements("totals.sql")

ENTRIES_A_STEP = 100_000
WALLETS_A_STEP = 10_000

BETWEEN_WALLETS = ("transfer_in", "transfer_returned", "transfer_out")
"""Causes of entries by which nothing comes in or goes out."""

_LINES = {"topup": "credited", "charge": "charged", "refund": "refunded", "expire": "expired", "reversal": "taken_back"}


class WalletSums(Struct):
    """What wallets have together."""

    wallets: int = 0
    frozen: int = 0
    closed: int = 0
    in_debt: int = 0
    exhausted: int = 0
    balance_micros: int = 0
    paid_micros: int = 0
    promo_micros: int = 0
    held_micros: int = 0
    debt_micros: int = 0

    def add(self, enabled: int, closed_at: str | None, *amounts: int, open_lots: str) -> None:
        """Add a wallet, as the statement ``wallets`` has it."""
        balance, ledger, debt = (micros(*amounts[place : place + 2]) for place in (0, 2, 4))
        self.wallets += 1
        is_open = closed_at is None
        self.frozen += is_open and not enabled
        self.closed += not is_open
        self.in_debt += debt > 0
        self.exhausted += is_open and balance == 0
        self.balance_micros += balance
        self.held_micros += ledger - balance
        self.debt_micros += debt
        for lot in parse_lots(open_lots):
            if lot.kind == "paid":
                self.paid_micros += lot.remaining_micros
            else:
                self.promo_micros += lot.remaining_micros


class Month(NamedTuple):
    """Entries of a month that are alike, and what they moved."""

    month: str
    txn_type: str
    cause: str
    entries: int
    amount_micros: int


class Counted(NamedTuple):
    """The entries after ``after`` and up to ``last``, by month, type and cause."""

    after: int
    last: int
    months: list[Month]


def count_entries(source: Source, settled_txn_id: int) -> Counted | None:
    """Count the next entries up to ``settled_txn_id``, below which no entry will come; None when all are counted."""
    [(after,)] = source.rows(SQL["counted"], {})
    limits = {"after": after, "settled": settled_txn_id, "limit": ENTRIES_A_STEP}
    [(last,)] = source.rows(SQL["last_to_count"], limits)
    if last is None:
        return None
    rows = source.rows(SQL["moved"], {"after": after, "last": last})
    months = [
        Month(month, txn_type, cause, entries, micros(amount_yen, beyond))
        for month, txn_type, cause, entries, amount_yen, beyond in rows
    ]
    return Counted(after, last, months)


def add_entries(connection: Connection, counted: Counted) -> int:
    """Add what was counted; how many entries that were, 0 when another process has counted them."""
    if not connection.execute(SQL["count_up_to"], {"after": counted.after, "last": counted.last}).fetchall():
        return 0
    for each in counted.months:
        amount_yen, amount_fraction = divmod(each.amount_micros, MICROS)
        named = {"month": each.month, "txn_type": each.txn_type, "cause": each.cause, "entries": each.entries}
        connection.execute(SQL["add"], {**named, "amount_yen": amount_yen, "amount_fraction": amount_fraction})
    return sum(each.entries for each in counted.months)


def add_wallets(source: Source, sums: WalletSums, after: int) -> int | None:
    """Add the next wallets with an id above ``after``; the last of them, None when there are no more."""
    rows = source.rows(SQL["wallets"], {"after": after, "limit": WALLETS_A_STEP})
    for wallet_id, enabled, closed_at, *amounts, open_lots in rows:
        sums.add(enabled, closed_at, *amounts, open_lots=open_lots)
        after = wallet_id
    return after if rows else None


def keep(connection: Connection, sums: WalletSums, now: datetime) -> None:
    """Keep the sums of all wallets as the latest."""
    connection.execute(SQL["put_totals"], {"at": format_instant(now), "figures": json.encode(sums).decode()})


def latest(source: Source, now: datetime) -> LedgerTotals | None:
    """The figures as they were counted last; None before the first count."""
    rows = source.rows(SQL["totals"], {})
    if not rows:
        return None
    [(counted_at, figures)] = rows
    sums = json.decode(figures, type=WalletSums)
    month, moved = format_instant(now)[:7], dict.fromkeys(_LINES.values(), 0)
    for txn_type, cause, _, amount_yen, amount_fraction in source.rows(SQL["month"], {"month": month}):
        if cause not in BETWEEN_WALLETS:
            moved[_LINES[txn_type]] += abs(micros(amount_yen, amount_fraction))
    [(last,)] = source.rows(SQL["counted"], {})
    counted_to = next((at for (at,) in source.rows(SQL["counted_to"], {"txn_id": last})), None)
    figures_of_month: dict[str, Any] = {f"{line}_micros": amount for line, amount in moved.items()}
    return LedgerTotals(
        counted_at=counted_at,
        month=month,
        month_counted_to=counted_to,
        **{name: getattr(sums, name) for name in WalletSums.__struct_fields__},
        **figures_of_month,
    )
