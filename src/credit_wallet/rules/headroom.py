"""Headroom: what a wallet can spend before any rule has something to say.

Most charges cross nothing: no limit, no share of one that somebody is told of, no lot's end. So what the rules look at
is looked at once for a run of charges by one payer for one purpose, and what they may spend until a rule has something
to say is one number. A charge within it takes one short function. Everything else takes the rules, which end the
wallet's runs; the next charge looks again.

The decision is the same with and without it.
"""

from __future__ import annotations

from msgspec import Struct

from credit_wallet.domain.actors import NO_SELLERS
from credit_wallet.domain.budgets import CALL
from credit_wallet.domain.commands import Charge
from credit_wallet.domain.money import MAX_AMOUNT_MICROS, MICROS
from credit_wallet.domain.outcomes import Charged
from credit_wallet.domain.prices import Price
from credit_wallet.domain.shares import WARN_PCTS, reached_pct, spent_pct, warn_pct
from credit_wallet.domain.usage import Usage
from credit_wallet.errors import WalletError
from credit_wallet.rules.batch import Batch
from credit_wallet.rules.budgets import Counters, matching, note_leaving, payment
from credit_wallet.rules.details import UsageForm, format_detail, usage_form
from credit_wallet.rules.idempotency import fingerprint
from credit_wallet.rules.limits import left_micros, paying_key
from credit_wallet.rules.spending import note_sale
from credit_wallet.rules.state import Counter, KeyState, Lot, Payment, Remembered, WalletState


class Headroom(Struct):
    """What a wallet can spend before a rule has something to say, and in how many charges; below 0 when a rule had."""

    micros: int
    calls: int


class Run(Struct):
    """Charges of one payer for one purpose, and what each of them changes."""

    headroom: Headroom
    wallet: WalletState
    front: Lot
    """The lot that they spend."""
    key: KeyState | None
    counters: Counters
    price: Price | None
    """Of the item that they name."""
    price_version: int | None
    form: UsageForm | None
    warn_pct: int


class QuietCharges:
    """The charges of a batch that no rule has anything to say about."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self._headrooms: dict[int, Headroom] = {}
        self._runs: dict[Payment, Run] = {}

    def end(self, wallet_id: int) -> None:
        """The rules will look at the wallet: what was looked at before counts no more."""
        headroom = self._headrooms.pop(wallet_id, None)
        if headroom is not None:
            headroom.micros = -1

    def charge(self, command: Charge) -> Charged | None:
        """Carry out a charge that no rule has anything to say about. None when one may have; then nothing was done."""
        batch, usage, wallet_id = self._batch, command.usage, command.wallet_id
        decision = batch.decision
        name = (command.stored_key, wallet_id)
        if name in decision.remembered or name in batch.snapshot.remembered:
            return None
        payer = payment(wallet_id, command.key_id, usage)
        run = self._runs.get(payer)
        if run is None or run.headroom.micros < 0:
            run = self._begin(command)
            if run is None:
                return None
            self._runs[payer] = run
        amount_micros = command.amount_micros
        if run.price is not None and usage is not None:
            amount_micros = run.price.cost_micros(usage.quantity_micros, 0)
        headroom, wallet, key = run.headroom, run.wallet, run.key
        if not 0 < amount_micros <= headroom.micros or headroom.calls < 1:
            return None

        headroom.micros -= amount_micros
        headroom.calls -= 1
        before_micros = wallet.balance_micros + wallet.held_micros
        wallet.balance_micros = balance_micros = wallet.balance_micros - amount_micros
        wallet.cycle_spent_micros += amount_micros
        run.front.remaining_micros -= amount_micros
        if key is not None:
            key.cycle_spent_micros += amount_micros
            decision.touched_keys[key.key_id] = key
        for counter in run.counters:
            _count(batch, counter, amount_micros)
        txn_id = _append(batch, run, command, before_micros, amount_micros)
        if command.actor not in NO_SELLERS:
            note_sale(batch, wallet, txn_id, command.actor)
        decision.moved[wallet_id] = wallet
        outcome = Charged(
            wallet_id,
            amount_micros,
            balance_micros,
            txn_id,
            None,
            False,
            (),
            run.warn_pct,
            None,
            None,
            run.price_version,
        )
        decision.remembered[name] = Remembered(fingerprint(command), outcome)
        return outcome

    def _begin(self, command: Charge) -> Run | None:
        """Look at all that the rules would look at; None when they have something to say about any such charge."""
        batch = self._batch
        wallet = batch.snapshot.wallets.get(command.wallet_id)
        if wallet is None or not wallet.enabled or not wallet.lots:
            return None
        if wallet.next_due_at is not None and wallet.next_due_at <= batch.at:
            return None
        key = None if command.key_id is None else paying_key(batch, wallet, command.key_id)
        if isinstance(key, WalletError):
            return None
        usage, book = command.usage, batch.snapshot.prices
        price: Price | None = None
        if usage is not None:
            if usage.item is not None:
                price = book.price(usage.item, wallet.wallet_id, wallet.price_group, batch.at)
            if not _is_plain(command, usage, price) or usage.item in book.tiered:
                return None
        version = None if price is None else book.version
        form = None if usage is None else usage_form(usage, version)
        counters = matching(batch, wallet, command.key_id, usage)
        headroom = self._headroom(wallet, key, counters)
        return Run(headroom, wallet, wallet.lots[0], key, counters, price, version, form, _warn_pct(wallet))

    def _headroom(self, wallet: WalletState, key: KeyState | None, counters: Counters) -> Headroom:
        """The headroom of the wallet, for another payer beside those that have runs already."""
        micros, calls = min(_room_of_wallet(wallet), _room_of_key(key)), MAX_AMOUNT_MICROS
        for counter in counters:
            room = _room_of_counter(counter)
            if counter.budget.unit == "yen":
                micros = min(micros, room)
            else:
                calls = min(calls, room // CALL)
        shared = self._headrooms.setdefault(wallet.wallet_id, Headroom(micros, calls))
        shared.micros, shared.calls = min(shared.micros, micros), min(shared.calls, calls)
        return shared


def _count(batch: Batch, counter: Counter, amount_micros: int) -> None:
    budget = counter.budget
    cost_micros = amount_micros if budget.unit == "yen" else CALL
    counter.spent_micros += cost_micros
    if counter.leaves_at:
        note_leaving(counter, cost_micros)
    batch.decision.spent_in[budget.budget_id, counter.value] = counter


def _append(batch: Batch, run: Run, command: Charge, before_micros: int, amount_micros: int) -> int:
    """What ``batch.append`` does, for an entry that takes from one lot and refers to nothing."""
    wallet, usage = run.wallet, command.usage
    before_yen, before_fraction = divmod(before_micros, MICROS)
    ledger_yen, fraction = divmod(before_micros - amount_micros, MICROS)
    if fraction == before_fraction:
        exact_micros, lots = None, f"[[{run.front.lot_id},{before_yen - ledger_yen}]]"
    else:
        yen, beyond = divmod(amount_micros, MICROS)
        exact_micros = -amount_micros
        lots = f"[[{run.front.lot_id},{yen},{beyond}]]" if beyond else f"[[{run.front.lot_id},{yen}]]"
    if usage is not None and run.form is not None:
        detail: str | None = run.form.text(exact_micros, fraction, usage.quantity_micros)
    else:
        detail = format_detail(exact_micros, fraction, None) if fraction or before_fraction else None
    txn_id = next(batch.snapshot.txn_ids)
    columns = batch.decision.entries.setdefault(("charge", batch.at), [])
    columns += (
        txn_id,
        wallet.wallet_id,
        ledger_yen - before_yen,
        command.note,
        wallet.last_txn_id,
        ledger_yen,
        lots,
        command.key_id,
        None,
        None,
        None,
        detail,
    )
    wallet.last_txn_id = txn_id
    return txn_id


# What a rule would say first


def _is_plain(command: Charge, usage: Usage, price: Price | None) -> bool:
    """Whether a charge names either an item that has a price or an amount, and what it was for."""
    if usage.item is None:
        return bool(usage.facts or usage.agent_facts) and usage.price_version is None
    return price is not None and not command.amount_micros


def _room_of_wallet(wallet: WalletState) -> int:
    """Until the front lot is used up, a mark is passed, or a share of the monthly budget is reached."""
    balance_micros = wallet.balance_micros
    room_micros = min(wallet.lots[0].remaining_micros - 1, balance_micros, MAX_AMOUNT_MICROS)
    if wallet.auto_topup_amount:
        room_micros = _above(wallet.auto_topup_threshold * MICROS, balance_micros, room_micros)
    if wallet.low_balance_yen:
        room_micros = _above(wallet.low_balance_yen * MICROS, balance_micros, room_micros)
    if not wallet.monthly_budget_yen:
        return room_micros
    budget_micros, spent_micros = wallet.monthly_budget_yen * MICROS, wallet.cycle_spent_micros
    if wallet.budget_mode == "cap":
        room_micros = min(room_micros, left_micros(budget_micros, spent_micros, wallet.held_micros))
    thresholds_pct = wallet.thresholds_pct
    share_pct = spent_pct(spent_micros, budget_micros)
    if share_pct >= thresholds_pct[0] and wallet.alerted_pct != reached_pct(thresholds_pct, share_pct):
        return 0
    room_micros = _below_next(WARN_PCTS, share_pct, budget_micros, spent_micros, room_micros)
    return _below_next(thresholds_pct, share_pct, budget_micros, spent_micros, room_micros)


def _warn_pct(wallet: WalletState) -> int:
    if not wallet.monthly_budget_yen:
        return 0
    return warn_pct(spent_pct(wallet.cycle_spent_micros, wallet.monthly_budget_yen * MICROS))


def _room_of_key(key: KeyState | None) -> int:
    """Until the key's cap or a warning share of it."""
    if key is None or not key.monthly_cap_yen:
        return MAX_AMOUNT_MICROS
    cap_micros, spent_micros = key.monthly_cap_yen * MICROS, key.cycle_spent_micros
    room_micros = left_micros(cap_micros, spent_micros, key.held_micros)
    return _below_next(WARN_PCTS, spent_pct(spent_micros, cap_micros), cap_micros, spent_micros, room_micros)


def _room_of_counter(counter: Counter) -> int:
    """Until a budget's limit or one of its shares, in its unit; nothing when it is used up, even if it only tells."""
    limit_micros, spent_micros, shares_pct = counter.limit_micros, counter.spent_micros, counter.budget.shares_pct
    if spent_micros >= limit_micros:
        return 0
    share_pct = spent_pct(spent_micros, limit_micros)
    if share_pct >= shares_pct[0] and counter.told_pct != reached_pct(shares_pct, share_pct):
        return 0
    room_micros = limit_micros - spent_micros - 1
    if counter.budget.mode != "alert":
        room_micros = min(room_micros, counter.left_micros)
    return _below_next(shares_pct, share_pct, limit_micros, spent_micros, room_micros)


def _above(mark_micros: int, balance_micros: int, room_micros: int) -> int:
    """``room_micros``, or what can be spent without falling below a mark, if the balance is not below it already."""
    return min(room_micros, balance_micros - mark_micros) if mark_micros <= balance_micros else room_micros


def _below_next(
    shares_pct: tuple[int, ...], share_pct: int, limit_micros: int, spent_micros: int, room_micros: int
) -> int:
    """``room_micros``, or what can be spent without reaching the next of ``shares_pct``."""
    for pct in shares_pct:
        if pct > share_pct:
            return min(room_micros, -(-limit_micros * pct // 100) - spent_micros - 1)
    return room_micros
