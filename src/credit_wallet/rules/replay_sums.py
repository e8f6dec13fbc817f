"""What a replay adds up. Its memory does not grow with the ledger: of values and keys, the first ``MAX_ROWS`` are told
apart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple, TypeVar

from msgspec import Struct

from credit_wallet.domain.replay_views import RefusedKey, RefusingBudget, Replayed, ReplayedRefusal, ReplayedWallet

MAX_ROWS = 10_000
"""Budgets, values of budgets, and agent keys, each."""

Name = TypeVar("Name")


class Refused(Struct):
    """Refusals of one budget, value or key, and what they come to."""

    refusals: int = 0
    micros: int = 0

    def add(self, micros: int) -> None:
        """One more."""
        self.refusals += 1
        self.micros += micros


class WalletSums(Struct):
    """What one wallet's entries add up to, as they were and under the plan."""

    entries: int = 0
    charges: int = 0
    refusals: int = 0
    refused_micros: int = 0
    earned_micros: int = 0
    planned_micros: int = 0


class _BudgetName(NamedTuple):
    budget_id: str
    label: str | None
    value: str | None
    shadow: bool


class Sums:
    """The sums of a replay, and its first ``limit`` refusals."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self.wallets: dict[int, WalletSums] = {}
        self.first_txn_id: int | None = None
        self.last_txn_id: int | None = None
        self.repriced = 0
        self._shadow_refusals = 0
        self._budgets: dict[_BudgetName, Refused] = {}
        self._values: dict[_BudgetName, Refused] = {}
        self._keys: dict[tuple[int, int | None], Refused] = {}
        self._first: list[ReplayedRefusal] = []
        self._last: ReplayedRefusal | None = None

    def of(self, wallet_id: int) -> WalletSums:
        """Those of a wallet."""
        sums = self.wallets.get(wallet_id)
        if sums is None:
            sums = self.wallets[wallet_id] = WalletSums()
        return sums

    def refuse(self, refusal: ReplayedRefusal) -> None:
        """Add a refusal; one by a shadow spends all the same."""
        if len(self._first) < self._limit:
            self._first.append(refusal)
        self._last = refusal
        micros = refusal.amount_micros
        budget_id, label, value, shadow = refusal.budget_id, refusal.label, refusal.value, refusal.shadow
        _add(self._budgets, _BudgetName(budget_id, label, None, shadow), micros)
        if value is not None:
            _add(self._values, _BudgetName(budget_id, label, value, shadow), micros)
        if shadow:
            self._shadow_refusals += 1
            return
        of_wallet = self.of(refusal.wallet_id)
        of_wallet.refusals += 1
        of_wallet.refused_micros += micros
        _add(self._keys, (refusal.wallet_id, refusal.key_id), micros)

    def view(self, wallet_id: int | None, since: str | None, until: str | None) -> Replayed:
        """As it is shown."""
        wallets = self.wallets.values()
        budgets, values = _budget_rows(self._budgets), _budget_rows(self._values)
        keys = [RefusedKey(*name, each.refusals, each.micros) for name, each in self._keys.items()]
        rows = [_wallet_row(number, sums) for number, sums in self.wallets.items()]
        refusals = sum(each.refusals for each in wallets)
        earned, planned = sum(each.earned_micros for each in wallets), sum(each.planned_micros for each in wallets)
        return Replayed(
            wallet_id=wallet_id,
            since=since,
            until=until,
            first_txn_id=self.first_txn_id,
            last_txn_id=self.last_txn_id,
            entries=sum(each.entries for each in wallets),
            charges=sum(each.charges for each in wallets),
            repriced=self.repriced,
            refusals=refusals,
            refused_micros=sum(each.refused_micros for each in wallets),
            shadow_refusals=self._shadow_refusals,
            earned_micros=earned,
            earned_planned_micros=planned,
            difference_micros=planned - earned,
            budgets=self._most(budgets, lambda each: each.refused_micros),
            values=self._most(values, lambda each: each.refused_micros),
            keys=self._most(keys, lambda each: each.refused_micros),
            wallets=self._most(rows, lambda each: each.refused_micros),
            first_refusals=self._first,
            last_refusal=self._last,
            more=max(refusals + self._shadow_refusals, len(budgets), len(values), len(keys), len(rows)) > self._limit,
        )

    def _most(self, rows: Iterable[Name], how_much: Callable[[Name], int]) -> list[Name]:
        return sorted(rows, key=how_much, reverse=True)[: self._limit]


def _add(to: dict[Name, Refused], name: Name, micros: int) -> None:
    """Add a refusal to what ``name`` has, if it is told apart."""
    refused = to.get(name)
    if refused is not None:
        refused.add(micros)
    elif len(to) < MAX_ROWS:
        to[name] = Refused(1, micros)


def _budget_rows(refused: Mapping[_BudgetName, Refused]) -> list[RefusingBudget]:
    return [
        RefusingBudget(name.budget_id, name.label, name.value, each.refusals, each.micros, name.shadow)
        for name, each in refused.items()
    ]


def _wallet_row(wallet_id: int, sums: WalletSums) -> ReplayedWallet:
    return ReplayedWallet(
        wallet_id,
        sums.entries,
        sums.charges,
        sums.refusals,
        sums.refused_micros,
        sums.earned_micros,
        sums.planned_micros,
        sums.planned_micros - sums.earned_micros,
    )
