"""What a replay is made of: its plan, an entry as it is read, and what is noted of refusals and refunds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

from msgspec import Struct, structs

from credit_wallet.domain.budgets import Budget, shown_value
from credit_wallet.domain.money import decimal_of, decimal_text
from credit_wallet.domain.outcomes import EntryType
from credit_wallet.domain.prices import NO_PRICES, PriceBook
from credit_wallet.domain.replay_views import BALANCE, ReplayedRefusal
from credit_wallet.domain.usage import Usage
from credit_wallet.errors import InsufficientFunds, WalletError
from credit_wallet.rules.bounds import budget_id_text
from credit_wallet.rules.state import Counter, EntryRecord, Lot, WalletState

LOT = 0
"""All credit is one lot: what expired did so as it did."""

EVERY_WALLET = 0
"""The ``wallet_id`` of what is planned for every wallet."""

NEVER_PCT = 10**9
"""A share that is never reached: no event is emitted for what is only tried."""


class Plan(Struct, frozen=True):
    """What the past is tried under. ``budgets`` are of one wallet or of ``EVERY_WALLET``, in the wallet's time zone
    when they have none; those that the ledger does not have are numbered -1, -2 …
    """

    budgets: Sequence[Budget] = ()
    prices: PriceBook = NO_PRICES
    monthly_caps_yen: Mapping[int, int] = MappingProxyType({})
    """By wallet, or for ``EVERY_WALLET`` that has none of its own."""
    key_caps_yen: Mapping[int, int] = MappingProxyType({})


class Logged(NamedTuple):
    """An entry as the ledger has it. ``ledger_micros`` is the balance with holds after it, ``group`` the key's of now;
    ``refunded_micros`` is what was refunded of a charge, ever; ``held_micros`` what was captured of its hold, ever.
    """

    txn_id: int
    wallet_id: int
    txn_type: EntryType
    occurred_at: str
    amount_micros: int
    ledger_micros: int
    key_id: int | None
    related_txn_id: int | None
    usage: Usage | None
    refunded_micros: int
    hold_id: int | None
    held_micros: int
    time_zone: str
    price_group: str | None
    group: str | None


class Refundable(Struct):
    """A charge of which something will be refunded: what it was under the plan, and was in the ledger."""

    record: EntryRecord
    was_micros: int
    to_refund_micros: int
    refunded_micros: int = 0

    def next_part(self, micros: int) -> int:
        """What a refund of ``micros`` gives back under the plan: the same share, all of it in the end."""
        self.refunded_micros += micros
        spent_micros = -self.record.amount_micros
        share_micros = (2 * spent_micros * self.refunded_micros + self.was_micros) // (2 * self.was_micros)
        return min(share_micros, spent_micros) - self.record.returned_micros

    @property
    def is_done(self) -> bool:
        """Whether no other refund comes."""
        return self.refunded_micros >= self.to_refund_micros


def refundable(entry: Logged, usage: Usage | None, spent_micros: int, version: int, at: str) -> Refundable:
    priced = None if usage is None else structs.replace(usage, price_version=version)
    record = EntryRecord(entry.txn_id, entry.wallet_id, -spent_micros, "charge", [(LOT, spent_micros)], 0, priced, at)
    return Refundable(record, -entry.amount_micros, entry.refunded_micros)


def move(wallet: WalletState, amount_micros: int) -> None:
    """Add to a wallet's credit, or take from it as much as there is."""
    wallet.balance_micros = max(0, wallet.balance_micros + amount_micros)
    wallet.lots = [Lot(LOT, "paid", wallet.balance_micros, None)] if wallet.balance_micros else []


def refusal_of(entry: Logged, error: WalletError, amount_micros: int, at: str, balance_micros: int) -> ReplayedRefusal:
    shown: Any = error.details.get("budget") or {
        "budget_id": BALANCE if isinstance(error, InsufficientFunds) else error.code,
        "label": None,
        "value": None,
        "unit": "yen",
        "left": decimal_text(balance_micros),
    }
    return ReplayedRefusal(
        entry.wallet_id,
        entry.txn_id,
        at,
        entry.key_id,
        amount_micros,
        _planned_id(shown["budget_id"]),
        shown["label"],
        shown["value"],
        shown["unit"],
        Decimal(shown["left"]),
    )


def refusal_by(entry: Logged, counter: Counter, amount_micros: int, at: str) -> ReplayedRefusal:
    budget = counter.budget
    return ReplayedRefusal(
        entry.wallet_id,
        entry.txn_id,
        at,
        entry.key_id,
        amount_micros,
        _planned_id(budget_id_text(budget.budget_id)),
        budget.label,
        shown_value(counter.value) or None,
        budget.unit,
        decimal_of(max(0, counter.left_micros)),
        budget.mode == "shadow",
    )


def _planned_id(budget_id: str) -> str:
    """A budget's id as it is shown: ``plan-1`` is the plan's first."""
    return budget_id.replace("budget--", "plan-")
