"""The ledger's past under other limits or prices: each charge decided anew, at its own instant.

A replay passes the entries of the ledger in its order, wallets mixed. A charge, and a capture at its time, is carried
out by ``decide`` on what the wallet would have by then; refused, it spends nothing and leaves its credit. Everything
else happens as it did, as far as there is credit for it: a refund of a charge that was refused does not happen, one of
a charge that cost something else returns the same share of it. Nothing here reads or writes.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from itertools import count

from msgspec import Struct, structs

from credit_wallet.domain.budgets import Budget, anchor_of, kind_of, labels_of
from credit_wallet.domain.commands import Charge, Refund
from credit_wallet.domain.cycle import cycle_at, format_instant, parse_instant
from credit_wallet.domain.prices import Price
from credit_wallet.domain.usage import Usage
from credit_wallet.errors import WalletError
from credit_wallet.rules import budgets
from credit_wallet.rules.decide import decide
from credit_wallet.rules.replay_entries import (
    EVERY_WALLET,
    NEVER_PCT,
    Logged,
    Plan,
    Refundable,
    move,
    refundable,
    refusal_by,
    refusal_of,
)
from credit_wallet.rules.replay_sums import Sums, WalletSums
from credit_wallet.rules.replay_windows import Place, Windows
from credit_wallet.rules.state import Counter, KeyState, Snapshot, WalletState

_KEY = "replay"
"""The idempotency key of every command; each is forgotten at once."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WRITTEN = format_instant(_EPOCH)


class _Payer(Struct):
    """A wallet in a replay, and its budgets by the label that they are found by."""

    wallet: WalletState
    budgets: dict[str, list[Budget]]
    sums: WalletSums
    now: datetime
    at: str
    was_refused: bool = False
    """Whether the charge before was."""


class _Captured(Struct):
    """What has passed of the captures of a hold, and whether one of them has counted as its call."""

    micros: int = 0
    is_counted: bool = False


class Replay:
    """Passes entries under a plan, and adds up what happens to them in ``sums``."""

    def __init__(self, plan: Plan, limit: int) -> None:
        """``limit`` is the length of lists."""
        self.sums = Sums(limit)
        self._plan = plan
        self._has_limits = bool(plan.monthly_caps_yen or plan.key_caps_yen)
        self._has_shadows = any(each.mode == "shadow" for each in plan.budgets)
        self._has_cycles = self._has_limits or bool(plan.prices.tiered)
        self._budgets: dict[int, list[Budget]] = {}
        for budget in plan.budgets:
            self._budgets.setdefault(budget.wallet_id, []).append(budget)
        self._payers: dict[int, _Payer] = {}
        self._windows = Windows()
        self._cycles: dict[tuple[int, int, str], int] = {}
        """What wallets (key 0) and agent keys have spent in cycles that they are not in."""
        self._tiers: dict[tuple[int, str, str], int] = {}
        self._refundable: dict[int, Refundable] = {}
        self._captured: dict[int, _Captured] = {}
        """Holds of which more will be captured."""
        self._snapshot = Snapshot({}, {}, {}, {}, {}, {}, {}, {}, [], count(1), count(1), prices=plan.prices)

    def take(self, entry: Logged) -> None:
        """Pass the next entry."""
        payer = self._payers.get(entry.wallet_id) or self._join(entry)
        sums = payer.sums
        self.sums.last_txn_id = entry.txn_id
        sums.entries += 1
        if (at := entry.occurred_at) != payer.at:
            with suppress(ValueError):  # plain SQL wrote a time that is none: it happened between its neighbours
                payer.now = parse_instant(at)
                payer.at = at if _is_written_so(at) else format_instant(payer.now)
        if entry.txn_type == "charge":
            sums.charges += 1
            sums.earned_micros -= entry.amount_micros
            sums.planned_micros += self._charge(payer, entry)
        elif entry.txn_type == "refund":
            sums.earned_micros -= entry.amount_micros
            sums.planned_micros -= self._refund(payer, entry)
        else:
            move(payer.wallet, entry.amount_micros)

    def _join(self, entry: Logged) -> _Payer:
        """The wallet of an entry, with what it had before it."""
        wallet_id, caps = entry.wallet_id, self._plan.monthly_caps_yen
        own = [
            structs.replace(each, wallet_id=wallet_id, time_zone=each.time_zone or entry.time_zone)
            for each in (*self._budgets.get(EVERY_WALLET, ()), *self._budgets.get(wallet_id, ()))
        ]
        found: dict[str, list[Budget]] = {}
        for budget in own:
            found.setdefault(anchor_of(budget.scope), []).append(budget)
        wallet = WalletState(
            wallet_id,
            balance_micros=0,
            held_micros=0,
            debt_micros=0,
            lots=[],
            current_cycle="",
            cycle_spent_micros=0,
            alerted_pct=0,
            last_txn_id=0,
            next_due_at=None,
            exhausted=True,
            enabled=True,
            label=None,
            monthly_budget_yen=caps.get(wallet_id, caps.get(EVERY_WALLET, 0)),
            budget_mode="cap",
            auto_topup_threshold=0,
            auto_topup_amount=0,
            time_zone=entry.time_zone,
            thresholds_pct=(NEVER_PCT,),
            price_group=entry.price_group,
            budget_kinds=frozenset(map(kind_of, found)),
        )
        move(wallet, entry.ledger_micros - entry.amount_micros)
        self._snapshot.wallets[wallet_id] = wallet
        payer = self._payers[wallet_id] = _Payer(wallet, found, self.sums.of(wallet_id), _EPOCH, _WRITTEN)
        if self.sums.first_txn_id is None:
            self.sums.first_txn_id = entry.txn_id
        return payer

    # Charges

    def _charge(self, payer: _Payer, entry: Logged) -> int:
        """Decide a charge anew; return what it spends under the plan."""
        wallet, at = payer.wallet, payer.at
        price, usage = self._price_of(wallet, entry.usage, at), None
        if price is not None and entry.usage is not None and price.item in self._plan.prices.tiered:
            usage = Usage(price.item, entry.usage.quantity_micros)  # which decide counts
        if entry.key_id is not None and entry.key_id not in self._snapshot.keys:
            self._snapshot.keys[entry.key_id] = self._key(entry.key_id, wallet.wallet_id)
        if self._has_cycles:
            self._enter_cycle(payer, entry.key_id, usage)
        places = self._places(payer, entry) if payer.budgets else ()
        counters = [place.counter_at(payer.now, at) for place in places]
        capture = self._captured.get(entry.hold_id) if entry.hold_id is not None else None
        if capture is not None and capture.is_counted:
            counters = [each for each in counters if each.budget.unit == "yen"]
        amount_micros = -entry.amount_micros if price is None else self._cost(wallet, price, entry.usage)
        spent_micros = self._spend(payer, entry, amount_micros, usage, counters)
        payer.was_refused = spent_micros is None
        self._windows.keep(places, payer.now)
        if entry.refunded_micros:
            version = self._plan.prices.version
            self._refundable[entry.txn_id] = refundable(entry, usage, spent_micros or 0, version, at)
        if entry.hold_id is not None and -entry.amount_micros < entry.held_micros:
            self._note_capture(entry.hold_id, entry, is_counted=spent_micros is not None)
        return spent_micros or 0

    def _note_capture(self, hold_id: int, entry: Logged, *, is_counted: bool) -> None:
        """A hold with all its captures is one call: note one of several, until the last."""
        capture = self._captured.setdefault(hold_id, _Captured())
        capture.micros -= entry.amount_micros
        capture.is_counted |= is_counted
        if capture.micros >= entry.held_micros:
            del self._captured[hold_id]

    def _spend(
        self, payer: _Payer, entry: Logged, amount_micros: int, usage: Usage | None, counters: list[Counter]
    ) -> int | None:
        """Decide a charge; return what it spends, None when it is refused."""
        if payer.was_refused and not self._has_limits:  # decide would say the same, in many words
            refusing = budgets.refusing(counters, amount_micros)
            if refusing is not None:
                self.sums.refuse(refusal_by(entry, refusing, amount_micros, payer.at))
                return None
        return self._decide(payer, entry, amount_micros, usage, counters)

    def _decide(
        self, payer: _Payer, entry: Logged, amount_micros: int, usage: Usage | None, counters: list[Counter]
    ) -> int | None:
        wallet, at = payer.wallet, payer.at
        self._snapshot.headrooms.clear()  # entries have moved wallets since
        shadows = (
            [(each, each.refusals) for each in counters if each.budget.mode == "shadow"] if self._has_shadows else ()
        )
        self._snapshot.matched = {budgets.payment(wallet.wallet_id, entry.key_id, usage): tuple(counters)}
        before_micros = wallet.balance_micros
        command = Charge(wallet.wallet_id, _KEY, amount_micros, None, entry.key_id, usage)
        decision = decide(self._snapshot, [command], payer.now)
        if decision.touched_tiers:
            self._tiers.update(decision.touched_tiers)
        spent_micros, outcome = before_micros - wallet.balance_micros, decision.outcomes[0]
        if isinstance(outcome, WalletError):
            self.sums.refuse(refusal_of(entry, outcome, amount_micros, at, before_micros))
            return None
        for shadow, refusals in shadows:
            if shadow.refusals > refusals:
                self.sums.refuse(refusal_by(entry, shadow, spent_micros, at))
        return spent_micros

    def _price_of(self, wallet: WalletState, usage: Usage | None, at: str) -> Price | None:
        """The plan's price for a charge; None for one that keeps its amount."""
        if usage is None or usage.item is None or not self._plan.prices.prices:
            return None
        price = self._plan.prices.price(usage.item, wallet.wallet_id, wallet.price_group, at)
        self.sums.repriced += price is not None
        return price

    def _cost(self, wallet: WalletState, price: Price, usage: Usage | None) -> int:
        used_micros = self._snapshot.tier_usage.get((wallet.wallet_id, price.item), 0)
        return price.cost_micros(0 if usage is None else usage.quantity_micros, used_micros)

    def _key(self, key_id: int, wallet_id: int) -> KeyState:
        """An agent key that works, as it did when it paid."""
        return KeyState(key_id, wallet_id, self._plan.key_caps_yen.get(key_id, 0), "", 0, 0, None, None)

    def _places(self, payer: _Payer, entry: Logged) -> list[Place]:
        """Where a charge counts, in the order of budgets."""
        name = budgets.payment(entry.wallet_id, entry.key_id, entry.usage)
        found = self._windows.known(name)
        if found is None:
            labels = labels_of(entry.key_id, entry.group, entry.usage)
            found = self._windows.matching(name, labels, payer.budgets, payer.now, payer.at)
        return found

    def _enter_cycle(self, payer: _Payer, key_id: int | None, usage: Usage | None) -> None:
        """Make the wallet, the key and the tiers those of the cycle of the charge."""
        wallet = payer.wallet
        cycle = cycle_at(payer.now, wallet.time_zone)
        self._move_to(cycle, wallet, 0)
        if key_id is not None:
            self._move_to(cycle, self._snapshot.keys[key_id], key_id)
        if usage is not None and usage.item in self._plan.prices.tiered:
            used_micros = self._tiers.get((wallet.wallet_id, usage.item, cycle), 0)
            self._snapshot.tier_usage = {(wallet.wallet_id, usage.item): used_micros}

    def _move_to(self, cycle: str, spender: WalletState | KeyState, key_id: int) -> None:
        if spender.current_cycle == cycle:
            return
        if spender.current_cycle:
            self._cycles[spender.wallet_id, key_id, spender.current_cycle] = spender.cycle_spent_micros
        spender.current_cycle = cycle
        spender.cycle_spent_micros = self._cycles.get((spender.wallet_id, key_id, cycle), 0)

    # Refunds

    def _refund(self, payer: _Payer, entry: Logged) -> int:
        """Carry a refund out; return what it gives back under the plan."""
        paid = self._refundable.get(entry.related_txn_id or 0)
        if paid is None:  # its charge was before all that is replayed
            move(payer.wallet, entry.amount_micros)
            return entry.amount_micros
        amount_micros = paid.next_part(entry.amount_micros)
        if not amount_micros:
            return 0
        if self._has_cycles:
            self._enter_cycle(payer, None, paid.record.usage)
        wallet, before_micros = payer.wallet, payer.wallet.balance_micros
        txn_id = paid.record.txn_id
        self._snapshot.entries = {txn_id: paid.record}
        decision = decide(self._snapshot, [Refund(wallet.wallet_id, _KEY, txn_id, amount_micros)], payer.now)
        self._tiers.update(decision.touched_tiers)
        if paid.is_done:
            del self._refundable[txn_id]
        return wallet.balance_micros - before_micros


def _is_written_so(at: str) -> bool:
    """Whether an instant is as the ledger writes it; plain SQL may have another spelling."""
    return len(at) == len(_WRITTEN) and at[10] == "T" and at[-1] == "Z"
