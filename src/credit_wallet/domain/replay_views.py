"""What a replay of the ledger shows: what would have been refused under a plan, and what would have been earned."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct

from credit_wallet.domain.budgets import Unit
from credit_wallet.domain.money import Exact, WholeYen

BALANCE = "balance"
"""In the place of a budget's id: the wallet had not so much credit left."""


class ReplayedRefusal(Struct, frozen=True):
    """A charge of the ledger that the plan would have refused.

    ``amount`` is what it costs under the plan. ``budget_id`` is the budget that says no (``plan-1`` is the plan's
    first, ``balance`` stands for the wallet's credit), with what was ``left`` in it, in its ``unit``; ``value`` is
    which one of ``each value``. A ``shadow`` let it through.
    """

    wallet_id: int
    txn_id: int
    occurred_at: str
    key_id: int | None
    amount_micros: int
    budget_id: str
    label: str | None
    value: str | None
    unit: Unit
    left: Decimal
    shadow: bool = False

    amount_yen = WholeYen()
    amount = Exact()


class RefusingBudget(Struct, frozen=True):
    """How often a budget would have refused, and how much: in all, or one ``value`` of it."""

    budget_id: str
    label: str | None
    value: str | None
    refusals: int
    refused_micros: int
    shadow: bool = False

    refused_yen = WholeYen()
    refused = Exact()


class RefusedKey(Struct, frozen=True):
    """How often an agent key would have been refused, and how much; ``key_id`` is None for wallets' own charges."""

    wallet_id: int
    key_id: int | None
    refusals: int
    refused_micros: int

    refused_yen = WholeYen()
    refused = Exact()


class ReplayedWallet(Struct, frozen=True):
    """A wallet's past, and what a plan makes of it. ``earned`` is what was charged less what was refunded,
    ``difference`` what the plan earns more.
    """

    wallet_id: int
    entries: int
    charges: int
    refusals: int
    refused_micros: int
    earned_micros: int
    earned_planned_micros: int
    difference_micros: int

    refused_yen = WholeYen()
    refused = Exact()
    earned_yen = WholeYen()
    earned = Exact()
    earned_planned_yen = WholeYen()
    earned_planned = Exact()
    difference_yen = WholeYen()
    difference = Exact()


class Replayed(Struct, frozen=True):
    """The ledger's past under a plan, from its entry ``first_txn_id`` to ``last_txn_id``.

    ``charges`` are all that were replayed, captures among them; ``repriced`` of them have another price under the plan.
    ``refusals`` and ``refused`` are those that the plan stops, ``shadow_refusals`` what its shadows would. Lists have
    up to the limit asked for: budgets, their values, keys and wallets those with the most refused first,
    ``first_refusals`` in the ledger's order. ``more`` says that one of them is longer.
    """

    wallet_id: int | None
    since: str | None
    until: str | None
    first_txn_id: int | None
    last_txn_id: int | None
    entries: int
    charges: int
    repriced: int
    refusals: int
    refused_micros: int
    shadow_refusals: int
    earned_micros: int
    earned_planned_micros: int
    difference_micros: int
    budgets: list[RefusingBudget]
    values: list[RefusingBudget]
    keys: list[RefusedKey]
    wallets: list[ReplayedWallet]
    first_refusals: list[ReplayedRefusal]
    last_refusal: ReplayedRefusal | None
    more: bool

    refused_yen = WholeYen()
    refused = Exact()
    earned_yen = WholeYen()
    earned = Exact()
    earned_planned_yen = WholeYen()
    earned_planned = Exact()
    difference_yen = WholeYen()
    difference = Exact()
