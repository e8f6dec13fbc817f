"""Headroom: what a wallet can spend before any rule has something to say.

Most charges cross nothing: no limit, no share of one at which an event is emitted, no lot's end. So what the rules look
at is looked at once, and what charges may spend until a rule has something to say is one number: of the wallet, and one
of each of its payers' budgets. A charge within them takes one short function. Everything else takes the rules; after
that the wallet is looked at anew.

The decision is the same with and without it.
"""

from __future__ import annotations

from msgspec import Struct, structs

from credit_wallet.domain.actors import NO_SELLERS, OPERATOR
from credit_wallet.domain.budgets import CALL
from credit_wallet.domain.commands import Charge
from credit_wallet.domain.money import MAX_AMOUNT_MICROS, MAX_BALANCE_MICROS, MICROS
from credit_wallet.domain.names import Names
from credit_wallet.domain.outcomes import Charged
from credit_wallet.domain.prices import Price
from credit_wallet.domain.shares import WARN_PCTS, reached_pct, spent_pct, warn_pct
from credit_wallet.domain.usage import Usage
from credit_wallet.errors import WalletError
from credit_wallet.rules.batch import Batch
from credit_wallet.rules.budgets import matching, note_leaving, payment
from credit_wallet.rules.details import UsageForm, format_detail, usage_form, with_names
from credit_wallet.rules.idempotency import fingerprint
from credit_wallet.rules.limits import left_micros, paying_key
from credit_wallet.rules.lots import format_allocation
from credit_wallet.rules.spending import note_sale
from credit_wallet.rules.state import Counter, KeyState, Lot, Payment, Remembered, WalletState


class Payer(Struct):
    """What else a charge of a wallet's payer changes, for one purpose. No rule has anything to say while what the key
    has spent is at most ``most_by_key`` afterwards, and what is spent in each counter at most the number beside it.
    """

    key: KeyState | None
    most_by_key: int
    counters: list[tuple[Counter, int]]
    price: Price | None
    """Of the item that is named."""
    price_version: int | None
    form: UsageForm | None
    is_noted: bool = False
    """Whether its key and counters are among those to be written."""

    def cost_of(self, command: Charge) -> int:
        """The amount, or the price of the item in its quantity."""
        if self.price is None or command.usage is None:
            return command.amount_micros
        return self.price.cost_micros(command.usage.quantity_micros, 0)

    def has_room(self, amount_micros: int) -> bool:
        """Whether key and budgets have nothing to say about it."""
        key = self.key
        if key is not None and key.cycle_spent_micros + amount_micros > self.most_by_key:
            return False
        for counter, most_micros in self.counters:
            if counter.spent_micros + (amount_micros if counter.budget.unit == "yen" else CALL) > most_micros:
                return False
        return True


class QuietCharges:
    """The charges of a batch that no rule has anything to say about."""

    __slots__ = (
        "_batch",
        "_charged",
        "_entries",
        "_headrooms",
        "_loaded",
        "_moved",
        "_payers",
        "_remembered",
        "_txn_ids",
        "_wallets",
    )

    def __init__(self, batch: Batch) -> None:
        snapshot, decision = batch.snapshot, batch.decision
        self._batch = batch
        self._wallets, self._headrooms, self._txn_ids = snapshot.wallets, snapshot.headrooms, snapshot.txn_ids
        self._loaded, self._remembered, self._moved = snapshot.remembered, decision.remembered, decision.moved
        self._entries: list[object] = []
        self._payers: dict[int, dict[Payment, Payer]] = {}
        """By wallet."""
        self._charged: set[Payment] = set()
        """Who has been charged in this batch, for what: to look at a payer costs more than to ask the rules once."""

    def end(self, wallet_id: int) -> None:
        """The rules will look at the wallet: what was seen of it before counts no more."""
        self._headrooms.pop(wallet_id, None)
        self._payers.pop(wallet_id, None)

    def charge(self, command: Charge) -> Charged | None:
        """Carry out a charge that no rule has anything to say about. None when one may have; then nothing was done."""
        wallet_id, amount_micros, usage = command.wallet_id, command.amount_micros, command.usage
        name = (command.idempotency_key if command.actor == OPERATOR else command.stored_key, wallet_id)
        wallet, payer = self._wallets.get(wallet_id), None
        if wallet is None or name in self._remembered or name in self._loaded:
            return None
        if wallet.next_due_at is not None and wallet.next_due_at <= self._batch.at:
            return None
        if usage is not None or command.key_id is not None or wallet.budget_kinds:
            payer = self._payer(wallet, command)
            if payer is None:
                return None
            amount_micros = payer.cost_of(command)
            if not payer.has_room(amount_micros):
                return None
        headroom_micros = self._headrooms.get(wallet_id)
        if headroom_micros is None:
            headroom_micros = _headroom_of(wallet)
        if not 0 < amount_micros <= headroom_micros:
            return None
        self._headrooms[wallet_id] = headroom_micros - amount_micros
        charged = self._carry_out(command, wallet, payer, amount_micros)
        self._remembered[name] = Remembered(fingerprint(command), charged)
        return charged

    def _carry_out(self, command: Charge, wallet: WalletState, payer: Payer | None, amount_micros: int) -> Charged:
        """What ``spending.charge`` does when nothing is refused, told or used up. Each step costs every charge."""
        front, version = wallet.lots[0], None
        front.remaining_micros -= amount_micros
        before_micros = wallet.balance_micros + wallet.held_micros
        wallet.balance_micros = balance_micros = wallet.balance_micros - amount_micros
        warned_pct = _warned_pct(wallet) if wallet.monthly_budget_yen else 0
        wallet.cycle_spent_micros += amount_micros
        if payer is not None:
            _count(self._batch, payer, amount_micros)
            version = payer.price_version
        before_yen, before_fraction = divmod(before_micros, MICROS)
        ledger_yen, fraction = divmod(before_micros - amount_micros, MICROS)
        is_whole = fraction == before_fraction
        if fraction or before_fraction or command.usage is not None:
            detail = _detail(payer, None if is_whole else -amount_micros, fraction, command.usage)
        else:
            detail = None
        txn_id = next(self._txn_ids)
        if command.names is not None:
            detail = self._named(command, command.names, txn_id, detail)
        entries = self._entries or self._begin_entries()
        entries += (
            txn_id,
            wallet.wallet_id,
            ledger_yen - before_yen,
            command.note,
            wallet.last_txn_id,
            ledger_yen,
            f"[[{front.lot_id},{before_yen - ledger_yen}]]" if is_whole else _allocation(front, amount_micros),
            command.key_id,
            None,
            None,
            None,
            detail,
        )
        wallet.last_txn_id = txn_id
        self._moved[wallet.wallet_id] = wallet
        if command.actor not in NO_SELLERS:
            note_sale(self._batch, wallet, txn_id, command.actor)
        return Charged(
            wallet.wallet_id, amount_micros, balance_micros, txn_id, None, False, (), warned_pct, None, None, version
        )

    def _named(self, command: Charge, names: Names, txn_id: int, detail: str | None) -> str:
        """The detail of a charge's entry with its names."""
        names = structs.replace(names, idempotency_key=command.idempotency_key)
        self._batch.decision.named.append((command.wallet_id, txn_id, names))
        return with_names(detail or "{}", names)

    def _begin_entries(self) -> list[object]:
        """Where the entries of the batch's charges go, once there is one."""
        self._entries = self._batch.decision.entries.setdefault(("charge", self._batch.at), [])
        return self._entries

    def _payer(self, wallet: WalletState, command: Charge) -> Payer | None:
        """The payer of a charge, once it is charged again."""
        name = payment(wallet.wallet_id, command.key_id, command.usage)
        known = self._payers.setdefault(wallet.wallet_id, {})
        payer = known.get(name)
        if payer is not None:
            return payer
        if name not in self._charged:
            self._charged.add(name)
            return None
        payer = self._look_at_payer(wallet, command)
        if payer is not None:
            known[name] = payer
        return payer

    def _look_at_payer(self, wallet: WalletState, command: Charge) -> Payer | None:
        """Look at all that the rules look at in a payer; None when they have something to say about any charge."""
        batch, usage = self._batch, command.usage
        key = None if command.key_id is None else paying_key(batch, wallet, command.key_id)
        if isinstance(key, WalletError):
            return None
        price, version, book = None, None, batch.snapshot.prices
        if usage is not None and usage.item is not None:
            price, version = book.price(usage.item, wallet.wallet_id, wallet.price_group, batch.at), book.version
            if price is None or usage.item in book.tiered:
                return None
        if usage is not None and not _is_plain(command, usage):
            return None
        return Payer(
            key,
            _most_by(key),
            [(counter, _most_in(counter)) for counter in matching(batch, wallet, command.key_id, usage)],
            price,
            version,
            None if usage is None else usage_form(usage, version),
        )


def _is_plain(command: Charge, usage: Usage) -> bool:
    """Whether a charge names either an item or an amount, and what it was for."""
    if usage.item is None:
        return bool(usage.facts or usage.agent_facts) and usage.price_version is None
    return not command.amount_micros


def _count(batch: Batch, payer: Payer, amount_micros: int) -> None:
    if payer.key is not None:
        payer.key.cycle_spent_micros += amount_micros
    for counter, _ in payer.counters:
        cost_micros = amount_micros if counter.budget.unit == "yen" else CALL
        counter.spent_micros += cost_micros
        if counter.leaves_at:
            note_leaving(counter, cost_micros)
    if not payer.is_noted:
        _note(batch, payer)


def _note(batch: Batch, payer: Payer) -> None:
    if payer.key is not None:
        batch.decision.touched_keys[payer.key.key_id] = payer.key
    for counter, _ in payer.counters:
        batch.decision.spent_in[counter.budget.budget_id, counter.value] = counter
    payer.is_noted = True


def _detail(payer: Payer | None, exact_micros: int | None, fraction: int, usage: Usage | None) -> str:
    if usage is None or payer is None or payer.form is None:
        return format_detail(exact_micros, fraction, None)
    return payer.form.text(exact_micros, fraction, usage.quantity_micros)


def _allocation(front: Lot, amount_micros: int) -> str:
    return format_allocation([(front.lot_id, amount_micros)])


# What a rule would say first


def _headroom_of(wallet: WalletState) -> int:
    """What can be spent before the front lot is used up, a mark passed, or a share of the monthly budget reached."""
    if not wallet.enabled or not wallet.lots:
        return 0
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


def _warned_pct(wallet: WalletState) -> int:
    return warn_pct(spent_pct(wallet.cycle_spent_micros, wallet.monthly_budget_yen * MICROS))


def _most_by(key: KeyState | None) -> int:
    """What an agent key may have spent, before its cap or a warning share of it."""
    if key is None or not key.monthly_cap_yen:
        return MAX_BALANCE_MICROS
    cap_micros, spent_micros = key.monthly_cap_yen * MICROS, key.cycle_spent_micros
    room_micros = left_micros(cap_micros, spent_micros, key.held_micros)
    share_pct = spent_pct(spent_micros, cap_micros)
    return spent_micros + _below_next(WARN_PCTS, share_pct, cap_micros, spent_micros, room_micros)


def _most_in(counter: Counter) -> int:
    """What may be spent in a counter before its limit or a share of it; 0 when it is used up, even if it only tells."""
    limit_micros, spent_micros, shares_pct = counter.limit_micros, counter.spent_micros, counter.budget.shares_pct
    if spent_micros >= limit_micros:
        return 0
    share_pct = spent_pct(spent_micros, limit_micros)
    if share_pct >= shares_pct[0] and counter.told_pct != reached_pct(shares_pct, share_pct):
        return 0
    room_micros = limit_micros - spent_micros - 1
    if counter.budget.mode != "alert":
        room_micros = min(room_micros, counter.left_micros)
    return spent_micros + _below_next(shares_pct, share_pct, limit_micros, spent_micros, room_micros)


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
