"""Read-only queries on the ledger, apart from the rail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from msgspec import DecodeError, json

from credit_wallet.domain.actors import room
from credit_wallet.domain.causes import NOT_PAID_BACK, PAID_BACK, REINSTATED
from credit_wallet.domain.commands import Undo
from credit_wallet.domain.cycle import cycle_at, cycle_bounds, format_instant
from credit_wallet.domain.entry_search import EVERYTHING, EntryFilter, SearchStep
from credit_wallet.domain.money import micros_of, whole_yen
from credit_wallet.domain.outcomes import Alert
from credit_wallet.domain.topups import AFTER_ALL_TOPUPS
from credit_wallet.domain.views import (
    ExpiredLotView,
    HoldView,
    KeyView,
    LotView,
    Opening,
    PayerView,
    TopupStepView,
    TopupView,
    Totals,
    Transaction,
    TransactionView,
    WalletView,
)
from credit_wallet.errors import (
    DatabaseCorrupt,
    EntryNotFound,
    HoldNotFound,
    KeyNotFound,
    TopupNotFound,
    WalletNotFound,
)
from credit_wallet.stores import LedgerSource, entry_search
from credit_wallet.stores.entry_search import STEPS
from credit_wallet.stores.rows import parse_lots
from credit_wallet.stores.sql import rows_of, statements
from credit_wallet.stores.views import (
    CycleEntry,
    CycleSpan,
    WalletRow,
    entry_of,
    entry_view,
    hold_view,
    key_view,
    micros,
    topup_view,
    totals_of,
    wallet_view,
)

__all__ = ["CycleEntry", "CycleSpan", "Reader", "WalletRow"]

_SQL = statements("reads.sql")

NOT_ANSWERED = "the call was not answered"
"""The ledger's note for a purchase whose attempt was lost."""

ENTRIES_A_SUM = 100_000
"""Entries that one statement adds up: a longer read would delay checkpoints of the log."""


class Reader:
    """Runs queries; may be shared by threads."""

    def __init__(self, source: LedgerSource) -> None:
        self.source = source

    def close(self) -> None:
        self.source.close()

    def wallet(self, wallet_id: int) -> WalletRow:
        """Raises ``WalletNotFound``."""
        for row in self._rows("wallet", wallet_id=wallet_id):
            return WalletRow._make(row)
        raise WalletNotFound(f"there is no wallet {wallet_id}", wallet_id=wallet_id)

    def view(self, row: WalletRow, now: datetime) -> WalletView:
        """A wallet as its owner sees it, with the spending of the cycle that ``now`` is in."""
        return self.views([row], now)[0]

    def views(self, rows: Sequence[WalletRow], now: datetime) -> list[WalletView]:
        """The same of many."""
        cycles = {row.wallet_id: cycle_at(now, row.time_zone) for row in rows}
        spent = self._spent(rows, cycles)
        return [wallet_view(row, cycles[row.wallet_id], spent[row.wallet_id]) for row in rows]

    def wallets(self, now: datetime, *, after: int = 0, limit: int = 100) -> list[WalletView]:
        """Wallets with an id above ``after``, by id."""
        rows = self._rows("wallets", after=after, limit=limit)
        return self.views([WalletRow._make(row) for row in rows], now)

    def wallets_with(self, wallet_ids: Sequence[int]) -> list[WalletRow]:
        """The rows of some wallets, in their order."""
        statement = _SQL["wallet"].replace("w.wallet_id = :wallet_id", "w.wallet_id IN ({ids})")
        found = {row[0]: WalletRow._make(row) for row in rows_of(self.source, statement, wallet_ids)}
        return [found[wallet_id] for wallet_id in wallet_ids if wallet_id in found]

    def due_wallets(self, now: datetime, limit: int) -> list[int]:
        """Ids of wallets on which something is due, the longest overdue first."""
        return [wallet_id for (wallet_id,) in self._rows("due", at=format_instant(now), limit=limit)]

    def due_between(self, after: int, last: int, now: datetime) -> list[int]:
        """Ids of wallets above ``after`` and up to ``last`` on which something is due."""
        rows = self._rows("due_between", after=after, last=last, at=format_instant(now))
        return [wallet_id for (wallet_id,) in rows]

    def keys(
        self, wallet: WalletRow, now: datetime, *, after: int = 0, before: int | None = None, limit: int = 1_000
    ) -> list[KeyView]:
        """Up to ``limit`` of a wallet's agent keys above ``after`` by id, or with ``before`` from below that down."""
        asked = {
            "wallet_id": wallet.wallet_id,
            "cycle": cycle_at(now, wallet.time_zone),
            "after": after,
            "limit": limit,
        }
        rows = self._rows("keys", **asked) if before is None else self._rows("keys_before", before=before, **asked)
        return [key_view(row) for row in rows]

    def hold(self, hold_id: int) -> HoldView:
        """Raises ``HoldNotFound``."""
        for row in self._rows("hold", hold_id=hold_id):
            return hold_view(row)
        raise HoldNotFound(f"there is no hold {hold_id}; check the id", hold_id=hold_id)

    def wallet_of_entry(self, txn_id: int) -> int:
        """Raises ``EntryNotFound``."""
        for (wallet_id,) in self._rows("wallet_of_entry", txn_id=txn_id):
            return int(wallet_id)
        raise EntryNotFound(f"there is no ledger entry {txn_id}; check the id", txn_id=txn_id)

    def transaction(self, txn_id: int) -> TransactionView:
        """Raises ``EntryNotFound``."""
        for row in self._rows("transaction", txn_id=txn_id):
            return entry_view(row)
        raise EntryNotFound(f"there is no ledger entry {txn_id}; check the id", txn_id=txn_id)

    def history(
        self,
        wallet: WalletRow,
        *,
        limit: int = 50,
        before_txn_id: int | None = None,
        wanted: EntryFilter = EVERYTHING,
    ) -> list[Transaction]:
        """The wallet's entries that are ``wanted``, newest first, from the one before ``before_txn_id`` on."""
        if wanted == EVERYTHING:
            start = entry_search.start_of(self.source, wallet, before_txn_id)
            return entry_search.page(self.source, wallet.wallet_id, start, limit)
        found: list[Transaction] = []
        while len(found) < limit:
            step = self.search(wallet, wanted, limit - len(found), before_txn_id)
            found += step.entries
            before_txn_id = step.before_txn_id
            if before_txn_id is None:
                break
        return found

    def search(
        self, wallet: WalletRow, wanted: EntryFilter, limit: int, before_txn_id: int | None = None
    ) -> SearchStep:
        """One step of ``history`` that looks at ``STEPS`` entries at most."""
        return entry_search.step(self.source, wallet, wanted, limit, before_txn_id)

    def cycle(self, wallet_id: int, cycle: str) -> CycleSpan:
        """The opening balance and the entries of a billing cycle, as of now. Raises ``WalletNotFound``."""
        self.wallet(wallet_id)
        rows = self._rows("cycle_segments", wallet_id=wallet_id, cycle=cycle)
        (opening_yen, opening_fraction, *_), *_ = rows
        found = [row[2:] for row in rows if row[2] is not None]
        net_micros = sum(micros(yen, fraction) for _, _, yen, fraction in found)
        return CycleSpan(
            micros(opening_yen, opening_fraction), net_micros, [(last, after) for last, after, *_ in found]
        )

    def stretch(self, wallet_id: int, start: int, after: int, limit: int) -> tuple[list[CycleEntry], int | None]:
        """Up to ``limit`` entries from ``start`` back to the one after ``after``, oldest first.

        With them the ``start`` of what is before them, None when ``after`` is.
        """
        rows = self._rows("stretch", wallet_id=wallet_id, start=start, after=after, limit=limit)
        entries = [CycleEntry(entry_of(row[:12]), *row[13:]) for row in rows]
        before = rows[0][12] if rows else after
        return entries, None if before in (after, 0, None) else before

    def charges(self, wallet_id: int, txn_ids: Iterable[int]) -> list[Transaction]:
        """Those of the wallet's entries ``txn_ids`` that are charges."""
        rows = (row for txn_id in txn_ids for row in self._rows("transaction", txn_id=txn_id))
        entries = (entry_of(row[:-2]) for row in rows)
        return [entry for entry in entries if entry.wallet_id == wallet_id and entry.txn_type == "charge"]

    def funded_at(self, wallet: WalletRow, now: datetime) -> str:
        """When a wallet first had credit, at a cost that does not grow with its ledger.

        That is when its first credit came in. A wallet that plain SQL created with a balance has had it since its
        creation, or since its first entry of the cycle of ``now`` (of the last ``STEPS``) if that is dated earlier.
        """
        for (occurred_at,) in self._rows("first_credit", wallet_id=wallet.wallet_id):
            if occurred_at is not None:
                return str(occurred_at)
        start, _ = cycle_bounds(cycle_at(now, wallet.time_zone), wallet.time_zone)
        if wallet.created_at < start:
            return wallet.created_at
        walk = {"start": wallet.last_txn_id, "wallet_id": wallet.wallet_id, "steps": STEPS}
        [(oldest,)] = self._rows("oldest_of_cycle", cycle_start=start, **walk)
        return min(wallet.created_at, oldest or wallet.created_at)

    def totals(self) -> Totals:
        """Sums over all wallets; reads every wallet's row."""
        return totals_of(self._rows("totals")[0])

    def key(self, wallet: WalletRow, key_id: int, now: datetime) -> KeyView:
        """An agent key of a wallet. Raises ``KeyNotFound``."""
        cycle = cycle_at(now, wallet.time_zone)
        for row in self._rows("key", wallet_id=wallet.wallet_id, key_id=key_id, cycle=cycle):
            return key_view(row)
        raise KeyNotFound(f"there is no agent key {key_id}", key_id=key_id)

    def label_and_cap(self, key_id: int) -> tuple[str | None, int]:
        """Label and cap of an agent key; None and 0 when the key does not exist."""
        for label, cap_yen in self._rows("label_and_cap", key_id=key_id):
            return label, cap_yen
        return None, 0

    def owner_of_key(self, key_id: int) -> int:
        """Id of the wallet that an agent key belongs to. Raises ``KeyNotFound``."""
        for (wallet_id,) in self._rows("key_owner", key_id=key_id):
            return int(wallet_id)
        raise KeyNotFound(f"there is no agent key {key_id}; check the id", key_id=key_id)

    def openings(self) -> list[Opening]:
        """The yen of backfilled wallets that no entry explains."""
        return [Opening(*row) for row in self._rows("openings")]

    def newest_entry_at(self) -> str | None:
        """When the newest entry of the ledger was written."""
        for (occurred_at,) in self._rows("newest_entry_at"):
            return str(occurred_at)
        return None

    def alerts(self, wallet_id: int, cycle: str | None = None) -> list[Alert]:
        """The alerts that fired for a wallet, newest first."""
        return [Alert(*row) for row in self._rows("alerts", wallet_id=wallet_id, cycle=cycle)]

    def lots(self, wallet_id: int, now: datetime) -> list[LotView]:
        """The wallet's open lots in the order of spending."""
        rows = self._rows("lots", wallet_id=wallet_id)
        try:
            return [lot.view(now) for (text,) in rows for lot in parse_lots(text)]
        except (DecodeError, ValueError) as error:
            raise DatabaseCorrupt(
                f"the lots of wallet {wallet_id} are damaged ({error}); stop the wallet and restore a backup"
            ) from error

    def expired_lots(self, wallet_id: int, since: str, until: str, limit: int) -> list[ExpiredLotView]:
        """The wallet's lots that expired after ``since`` with something left, the latest first."""
        rows = self._rows("expired_lots", wallet_id=wallet_id, since=since, until=until, limit=limit)
        return [
            ExpiredLotView(lot_id, kind, _expired_micros(payload), expires_at)
            for lot_id, kind, expires_at, payload in rows
        ]

    def topup(self, topup_id: str) -> TopupView:
        """Raises ``TopupNotFound``."""
        for row in self._rows("topup", topup_id=topup_id):
            return topup_view(row)
        raise TopupNotFound(f"there is no top-up {topup_id}; check the id", topup_id=topup_id)

    def topups(
        self,
        wallet_id: int | None,
        limit: int,
        *,
        status: str | None = None,
        before: tuple[str, str] = AFTER_ALL_TOPUPS,
    ) -> list[TopupView]:
        """Top-ups of a wallet or of all, newest first, those before an instant and an id."""
        asked: dict[str, Any] = {"limit": limit, "created_at": before[0], "topup_id": before[1]}
        if wallet_id is not None:
            rows = self._rows("topups", wallet_id=wallet_id, status=status, **asked)
        elif status is not None:
            rows = self._rows("topups_with_status", status=status, **asked)
        else:
            rows = self._rows("topups_of_all", **asked)
        return [topup_view(row) for row in rows]

    def topup_steps(self, topup_id: str) -> list[TopupStepView]:
        """The history of a top-up's status, oldest first."""
        return [TopupStepView(*row) for row in self._rows("topup_steps", topup_id=topup_id)]

    def topup_of_payment(self, payment_intent: str) -> tuple[str, int] | None:
        """Id and wallet of the top-up that a payment belongs to."""
        for topup_id, wallet_id in self._rows("topup_of_payment", payment_intent=payment_intent):
            return topup_id, wallet_id
        return None

    def unsettled_topups(self, before: str, limit: int) -> list[TopupView]:
        """Open top-ups that have not changed since ``before``, the longest waiting first."""
        return [topup_view(row) for row in self._rows("unsettled_topups", before=before, limit=limit)]

    def issued_yen(self, start: str, end: str) -> int:
        """Paid credit that came in from ``start`` to before ``end``; reads the whole ledger."""
        return whole_yen(self._sum("issued", start=start, end=end, again=REINSTATED, unpaid=NOT_PAID_BACK))

    def unused_yen(self, end: str) -> int:
        """The unused credit of all wallets before ``end``; reads the whole ledger."""
        return int(self._rows("openings_total")[0][0]) + whole_yen(self._sum("unused", end=end))

    def paid_back_yen(self, start: str) -> int:
        """Credit that was taken out since ``start`` and paid back; reads the whole ledger."""
        [(yen, beyond)] = self._rows("paid_back", start=start)
        return whole_yen(micros(yen, beyond)) + self.paid_back_without_cause_yen(start)

    def paid_back_without_cause_yen(self, start: str) -> int:
        """The same by entries that name no cause; reads the whole ledger."""
        return whole_yen(self._sum("paid_back_without_cause", start=start, mark=PAID_BACK, unpaid=NOT_PAID_BACK))

    def _sum(self, name: str, **parameters: object) -> int:
        """A sum in micros over the whole ledger as it is now, ``ENTRIES_A_SUM`` at a time."""
        [(newest,)] = self._rows("last_txn_id")
        total = 0
        for after in range(0, newest, ENTRIES_A_SUM):
            last = min(after + ENTRIES_A_SUM, newest)
            total += micros(*self._rows(name, after=after, last=last, **parameters)[0])
        return total

    def abandoned_purchases(self, before: str, limit: int) -> list[Undo]:
        """The commands that undo purchases whose lease ended before ``before``, the longest waiting first."""
        return [
            Undo(wallet_id, key.removeprefix(room(actor)), attempt, NOT_ANSWERED, abandoned=True, actor=actor)
            for key, wallet_id, attempt, actor in self._rows("abandoned", before=before, limit=limit)
        ]

    def installation_id(self) -> str:
        """The random name of this ledger."""
        return str(self._rows("installation_id")[0][0])

    def payer(self, wallet_id: int) -> PayerView:
        """The saved payment method for the wallet's automatic top-ups."""
        for row in self._rows("payer", wallet_id=wallet_id):
            of_wallet, customer, payment_method, failures, retry_at, stopped, reason = row
            return PayerView(of_wallet, customer, payment_method, failures, retry_at, bool(stopped), reason)
        return PayerView(wallet_id, None, None, 0, None, False, None)

    def topups_due(self, now: datetime, after: int, limit: int) -> list[int]:
        """Ids of wallets above ``after`` that an automatic top-up is due for, by id."""
        rows = self._rows("topups_due", at=format_instant(now), after=after, limit=limit)
        return [wallet_id for (wallet_id,) in rows]

    def _rows(self, name: str, **parameters: object) -> list[tuple[Any, ...]]:
        return self.source.rows(_SQL[name], parameters)

    def _spent(self, wallets: Sequence[WalletRow], cycles: Mapping[int, str]) -> dict[int, int]:
        """Spending of wallets in a cycle of each: the row's when it is in that cycle, otherwise the recorded sum."""
        spent = {row.wallet_id: row.cycle_spent_micros for row in wallets}
        elsewhere = [row.wallet_id for row in wallets if row.current_cycle != cycles[row.wallet_id]]
        spent |= dict.fromkeys(elsewhere, 0)
        for cycle in sorted({cycles[wallet_id] for wallet_id in elsewhere}):
            of_cycle = [wallet_id for wallet_id in elsewhere if cycles[wallet_id] == cycle]
            rows = rows_of(self.source, _SQL["cycles_spent"], of_cycle, {"cycle": cycle})
            spent |= {wallet_id: micros(*amount) for wallet_id, *amount in rows}
        return spent


def _expired_micros(payload: str) -> int:
    """How much expired, from the event; those from before there were exact amounts have whole yen."""
    said = json.decode(payload, type=dict[str, Any])
    return micros_of(said.get("expired", said["expired_yen"]))
