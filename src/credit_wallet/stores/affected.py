"""Rows that a batch touches besides its wallets: those its commands name, and those that enter a new cycle."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import chain
from typing import Any

from msgspec import Struct

from credit_wallet.domain.budgets import Labels, labels_of
from credit_wallet.domain.commands import (
    Adjust,
    Buy,
    Capture,
    Charge,
    Command,
    Extend,
    Hold,
    PurchaseCommand,
    Refund,
    Release,
    Renew,
    Reverse,
    Undo,
)
from credit_wallet.domain.cycle import cycle_at, cycle_bounds, format_instant, parse_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.usage import Usage
from credit_wallet.rules.budgets import payment
from credit_wallet.rules.holds import captured_usage
from credit_wallet.rules.segments import close_open_segment
from credit_wallet.rules.state import KeyState, Payment, Snapshot, WalletState

_ON_PURCHASES = frozenset(PurchaseCommand.__subclasses__())
_ON_HOLDS = frozenset((Hold, Extend, Buy, Renew))


def not_charges(commands: Sequence[Command]) -> list[Command]:
    """The commands that need more than a wallet, an agent key and prices: few, most of the time none."""
    return [command for command in commands if type(command) is not Charge]


def named_by(commands: Sequence[Command]) -> tuple[set[int], set[int], set[int]]:
    """Ids of the agent keys, the holds and the ledger entries that commands name."""
    key_ids = {command.key_id for command in commands if type(command) is Charge and command.key_id is not None}
    hold_ids: set[int] = set()
    txn_ids: set[int] = set()
    for command in not_charges(commands):
        match command:
            case Hold() | Buy():
                if command.key_id is not None:
                    key_ids.add(command.key_id)
            case Capture() | Release() | Extend():
                hold_ids.add(command.hold_id)
                if command.key_id is not None:
                    key_ids.add(command.key_id)
            case Refund() | Reverse():
                txn_ids.add(command.txn_id)
            case Adjust(txn_id=int(txn_id)):
                txn_ids.add(txn_id)
    return key_ids, hold_ids, txn_ids


def purchases_of(commands: Sequence[Command]) -> list[tuple[str, int]]:
    """Stored key and wallet of the purchases that commands name."""
    if _ON_PURCHASES.isdisjoint(map(type, commands)):
        return []
    return [(command.stored_key, command.wallet_id) for command in commands if isinstance(command, PurchaseCommand)]


def makes_holds(commands: Sequence[Command]) -> bool:
    """Whether commands can make or extend a hold."""
    return not _ON_HOLDS.isdisjoint(map(type, commands)) and any(
        command.hold_seconds is not None if isinstance(command, Buy) else isinstance(command, Hold | Extend | Renew)
        for command in commands
    )


def wallets_with_caps(snapshot: Snapshot, wallet_ids: Iterable[int], key_ids: Iterable[int]) -> list[int]:
    """Those with a monthly budget that is a cap, and those of the agent keys with a cap."""
    wallets = [snapshot.wallets.get(wallet_id) for wallet_id in wallet_ids]
    keys = [snapshot.keys.get(key_id) for key_id in key_ids]
    capped = {each.wallet_id for each in wallets if each and each.monthly_budget_yen and each.budget_mode == "cap"}
    capped |= {each.wallet_id for each in keys if each and each.monthly_cap_yen and each.wallet_id in snapshot.wallets}
    return sorted(capped)


def note_later_cycles(snapshot: Snapshot, rows: Iterable[tuple[Any, ...]]) -> None:
    """Note what was spent in cycles later than those that wallets are in, with what the batch has just left of them.

    ``rows`` have cycle, wallet, agent key, whole yen and micros beyond them.
    """
    later: dict[tuple[int, int], dict[str, int]] = {}
    stored = ((*name, spent_yen * MICROS + fraction) for *name, spent_yen, fraction in rows)
    for cycle, wallet_id, key_id, spent_micros in chain(stored, snapshot.left_cycles):
        wallet = snapshot.wallets.get(wallet_id)
        if wallet is not None and cycle > wallet.current_cycle:
            start = format_instant(parse_instant(cycle_bounds(cycle, wallet.time_zone)[0]))
            later.setdefault((wallet_id, key_id), {})[start] = spent_micros
    snapshot.later_cycles = {name: sorted(spent.items()) for name, spent in later.items()}


def behind_purchases(snapshot: Snapshot, commands: Sequence[Command]) -> tuple[set[int], set[int], set[int]]:
    """Ids of the agent keys and the holds that loaded purchases name, and of the charges that may be refunded."""
    purchases = snapshot.purchases.values()
    asked = {(command.stored_key, command.wallet_id) for command in commands if isinstance(command, Buy | Undo)}
    return (
        {purchase.key_id for purchase in purchases if purchase.key_id is not None},
        {purchase.hold_id for purchase in purchases if purchase.hold_id is not None},
        {
            purchase.txn_id
            for name, purchase in snapshot.purchases.items()
            if purchase.txn_id is not None and name in asked
        },
    )


def payments_in(snapshot: Snapshot, commands: Sequence[Command]) -> set[Payment]:
    """Every charge that ``commands`` can make in wallets with budgets; after all else is loaded."""
    payments: set[Payment] = set()

    def note(wallet_id: int, key_id: int | None, usage: Usage | None) -> None:
        wallet = snapshot.wallets.get(wallet_id)
        if wallet is not None and wallet.budget_kinds:
            payments.add(payment(wallet_id, key_id, usage))

    for hold in snapshot.holds.values():
        for whole in (False, True):
            note(hold.wallet_id, hold.key_id, captured_usage(hold, None, whole=whole))
    for purchase in snapshot.purchases.values():
        note(purchase.wallet_id, purchase.key_id, purchase.usage)
    for command in commands:
        if isinstance(command, Charge | Hold | Buy):
            note(command.wallet_id, command.key_id, command.usage)
        elif isinstance(command, Capture) and (captured := snapshot.holds.get(command.hold_id)) is not None:
            for whole in (False, True):
                usage = captured_usage(captured, command.usage, whole=whole)
                note(captured.wallet_id, captured.key_id, usage)
    return payments


def labels_in(snapshot: Snapshot, name: Payment) -> dict[str, str]:
    """The labels of a charge."""
    _, key_id, item, facts, agent_facts = name
    key = None if key_id is None else snapshot.keys.get(key_id)
    return labels_of(key_id, None if key is None else key.group, Usage(item, facts=facts, agent_facts=agent_facts))


def payments_of(snapshot: Snapshot, commands: Sequence[Command]) -> dict[Payment, Labels]:
    """Every charge that ``commands`` can make in wallets with budgets, with its labels."""
    return {name: labels_in(snapshot, name) for name in payments_in(snapshot, commands)}


class Rolling(Struct, frozen=True):
    """A wallet (``key_id`` 0) or an agent key whose row moves to ``cycle``."""

    spender: WalletState | KeyState
    key_id: int
    cycle: str


def to_roll(
    wallets: Mapping[int, WalletState],
    keys: Mapping[int, KeyState],
    wallet_ids: Iterable[int],
    key_ids: Iterable[int],
    now: datetime,
) -> Iterator[Rolling]:
    """The rows that are not in their current cycle; the clock may have gone either way."""
    cycles: dict[str, str] = {}
    for wallet_id in wallet_ids:
        wallet = wallets.get(wallet_id)
        if wallet is None:
            continue
        cycle = cycles.get(wallet.time_zone) or cycles.setdefault(wallet.time_zone, cycle_at(now, wallet.time_zone))
        if wallet.current_cycle != cycle:
            yield Rolling(wallet, 0, cycle)
    for key_id in key_ids:
        key = keys.get(key_id)
        payer = None if key is None else wallets.get(key.wallet_id)
        if key is not None and payer is not None:
            cycle = cycles.get(payer.time_zone) or cycle_at(now, payer.time_zone)
            if key.current_cycle != cycle:
                yield Rolling(key, key_id, cycle)


def roll(snapshot: Snapshot, rolling: Rolling, spent_micros: int, alerted_pct: int) -> None:
    """Move a row to its cycle, in which ``spent_micros`` was spent and ``alerted_pct`` fired before."""
    spender = rolling.spender
    if isinstance(spender, WalletState):
        close_open_segment(snapshot, spender)
        snapshot.rolled[spender.wallet_id] = spender
        snapshot.headrooms.pop(spender.wallet_id, None)
    if spender.current_cycle and spender.cycle_spent_micros:
        left = (spender.current_cycle, spender.wallet_id, rolling.key_id, spender.cycle_spent_micros)
        snapshot.left_cycles.append(left)
    spender.current_cycle = rolling.cycle
    spender.cycle_spent_micros = spent_micros
    if isinstance(spender, WalletState):
        spender.alerted_pct = alerted_pct
