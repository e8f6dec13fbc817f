"""The laws of the ledger, checked without a store: in micros, and in the whole yen that plain SQL adds up."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from json import loads
from operator import attrgetter

from decisions import decide_twice

from credit_wallet.domain.commands import Command
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import WalletError
from credit_wallet.rules import lots
from credit_wallet.rules.decision import Decision, Entry
from credit_wallet.rules.details import exact_micros, format_detail, names_of, parse_detail, usage_of
from credit_wallet.rules.state import EntryRecord, Snapshot, WalletState


def whole(micros: int) -> int:
    return micros // MICROS


class Books:
    """Carries commands out on a snapshot, keeps what a store would, and checks the laws after every batch."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self.entries: list[Entry] = []
        self.ledger: Counter[int] = Counter()
        self.whole: Counter[int] = Counter()
        self.lots: Counter[tuple[int, int]] = Counter()
        self.spent: Counter[int] = Counter()
        self.spent_by_keys: Counter[int] = Counter()

    def carry_out(self, commands: list[Command], now: datetime) -> list[Outcome | WalletError]:
        """The outcomes of a batch, once everything agrees."""
        self.load(now)
        decision = decide_twice(self.snapshot, commands, now)
        self.snapshot.remembered |= decision.remembered
        assert len(decision.outcomes) == len(commands)
        for entry in sorted(decision.appended(), key=attrgetter("txn_id")):
            self._keep(entry)
        for wallet in self.snapshot.wallets.values():
            self._check(wallet)
        self._check_keys()
        self._check_touched(decision)
        return decision.outcomes

    def load(self, now: datetime) -> None:
        """Load for a batch what a store does of holds: those that have expired, and when the next one will."""
        at = format_instant(now)
        self.snapshot.next_hold_expiry.clear()
        for wallet_id in self.snapshot.wallets:
            holds = [hold for hold in self.snapshot.holds.values() if hold.wallet_id == wallet_id]
            expiring = sorted((hold for hold in holds if hold.status == "open"), key=lambda hold: hold.expires_at)
            self.snapshot.due_holds[wallet_id] = [hold for hold in expiring if hold.expires_at <= at]
            if later := [hold.expires_at for hold in expiring if hold.expires_at > at]:
                self.snapshot.next_hold_expiry[wallet_id] = later[0]

    def _keep(self, entry: Entry) -> None:
        detail = parse_detail(entry.detail)
        micros = exact_micros(entry.amount_yen, detail)
        before, after = self.ledger[entry.wallet_id], self.ledger[entry.wallet_id] + micros
        self.entries.append(entry)
        self.ledger[entry.wallet_id] = after
        self.whole[entry.wallet_id] += entry.amount_yen
        assert (entry.ledger_balance_yen, detail.fraction) == divmod(after, MICROS)
        assert entry.amount_yen == whole(after) - whole(before)
        assert entry.amount_yen * micros >= 0, "the sign of the amount"
        assert entry.amount_yen or entry.detail is not None
        assert abs(entry.amount_yen * MICROS - micros) < MICROS
        _check_form(entry, micros, after % MICROS)
        self._keep_lots(entry, micros)
        self.snapshot.entries.setdefault(
            entry.txn_id,
            EntryRecord(
                entry.txn_id,
                entry.wallet_id,
                micros,
                entry.txn_type,
                lots.parse_allocation(entry.lots),
                0,
                usage_of(detail),
                entry.occurred_at,
                entry.cause,
            ),
        )
        if entry.txn_type == "charge":
            self.spent[entry.wallet_id] -= micros
            if entry.key_id is not None:
                self.spent_by_keys[entry.key_id] -= micros

    def _keep_lots(self, entry: Entry, micros: int) -> None:
        allocation = lots.parse_allocation(entry.lots)
        assert lots.format_allocation(allocation) == entry.lots
        assert lots.total_micros(allocation) == abs(micros)
        for lot_id, part_micros in allocation:
            assert part_micros > 0
            self.lots[entry.wallet_id, lot_id] += part_micros if micros > 0 else -part_micros

    def _check(self, wallet: WalletState) -> None:
        balance, held = wallet.balance_micros, wallet.held_micros
        holds = [hold for hold in self.snapshot.holds.values() if hold.wallet_id == wallet.wallet_id]
        open_holds = [hold for hold in holds if hold.status == "open"]
        assert self.ledger[wallet.wallet_id] == balance + held
        assert self.whole[wallet.wallet_id] == whole(balance) + (whole(balance + held) - whole(balance))
        assert balance >= 0
        assert held == sum(hold.left_micros for hold in open_holds) >= 0
        assert all(hold.left_micros == lots.total_micros(hold.allocation) for hold in open_holds)
        assert sum(lot.remaining_micros for lot in wallet.lots) == balance
        assert wallet.lots == sorted(wallet.lots, key=lots.spending_order)
        assert all(lot.remaining_micros > 0 for lot in wallet.lots)
        assert not wallet.debt_micros or not balance
        owed = [each.owed_micros for each in self.snapshot.clawbacks.get(wallet.wallet_id, {}).values()]
        assert wallet.debt_micros == sum(owed)
        assert all(each >= 0 for each in owed)
        assert wallet.cycle_spent_micros == self.spent[wallet.wallet_id]
        where = Counter({(wallet.wallet_id, lot.lot_id): lot.remaining_micros for lot in wallet.lots})
        for hold in open_holds:
            for lot_id, part_micros in hold.allocation:
                where[wallet.wallet_id, lot_id] += part_micros
        by_entries = {name: micros for name, micros in self.lots.items() if name[0] == wallet.wallet_id and micros}
        assert by_entries == {name: micros for name, micros in where.items() if micros}

    def _check_keys(self) -> None:
        open_holds = [hold for hold in self.snapshot.holds.values() if hold.status == "open"]
        for key in self.snapshot.keys.values():
            assert key.held_micros == sum(hold.left_micros for hold in open_holds if hold.key_id == key.key_id)
            assert key.cycle_spent_micros == self.spent_by_keys[key.key_id]

    def _check_touched(self, decision: Decision) -> None:
        """What a store writes is what has changed."""
        for record in decision.returned.values():
            assert 0 < record.returned_micros <= abs(record.amount_micros)
        assert {entry.wallet_id for entry in decision.appended()} <= decision.touched.keys() | decision.moved.keys()


def _check_form(entry: Entry, micros: int, fraction: int) -> None:
    """A detail says what the whole yen leave out, and nothing else; it is read as it was written."""
    said = {} if entry.detail is None else loads(entry.detail)
    assert ("reason" in said) == (entry.cause in ("adjustment", "closing"))
    exact_too = micros != entry.amount_yen * MICROS or not micros
    assert said.get("micros") == (micros if exact_too else None)
    assert said.get("fraction") == (fraction or None)
    assert ("micros" in said, "fraction" in said) == (exact_too, bool(fraction))
    assert (entry.detail is None) == (not said)
    if entry.detail is not None:
        detail = parse_detail(entry.detail)
        written = format_detail(detail.micros, detail.fraction, usage_of(detail), detail.reason, names_of(detail))
        assert written == entry.detail
        assert '": ' not in entry.detail
