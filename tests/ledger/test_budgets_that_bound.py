"""What can be spent now by every limit that counts whatever a charge is for, and what a list of budgets costs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import pytest
from databases import on_both_databases

from credit_wallet import CreditWallet
from credit_wallet.stores import Source

pytestmark = on_both_databases


class CountingSource:
    """A source that counts the statements it is asked, by their names."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self.asked: Counter[str] = Counter()

    def rows(self, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        self.asked[statement.partition(":")[0].removeprefix("-- ")] += 1
        return self._source.rows(statement, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._source, name)


@pytest.fixture
def counting(wallets: CreditWallet) -> CountingSource:
    """The source of ``wallets``, counting from now on."""
    counted = CountingSource(wallets._ledger.reader.source)
    wallets._ledger.reader.source = counted
    return counted


def spendable(wallets: CreditWallet, wallet_id: int, key_id: int | None = None) -> int:
    return wallets.overview(wallet_id, key_id=key_id).spendable_micros // 1_000_000


def test_a_cap_for_everything_bounds_everybody(wallets: CreditWallet, payer: int) -> None:
    key_id = wallets.keys.create(payer).key_id
    assert (spendable(wallets, payer), spendable(wallets, payer, key_id)) == (1_000, 1_000)
    budget = wallets.budgets.create(payer, limit_yen=100, window="day")
    wallets.charge(payer, 30, idempotency_key="a")
    wallets.hold(payer, 20, key_id=key_id, idempotency_key="b")
    assert (spendable(wallets, payer), spendable(wallets, payer, key_id)) == (50, 50)
    wallets.budgets.configure(budget.budget_id, raised_limit_yen=80, raised_until="2026-12-31")
    assert spendable(wallets, payer) == 30
    wallets.budgets.configure(budget.budget_id, mode="shadow")
    assert spendable(wallets, payer) == 950
    wallets.budgets.delete(budget.budget_id)
    assert spendable(wallets, payer) == 950


def test_a_key_is_bounded_by_its_groups_and_by_its_own_counter(wallets: CreditWallet, payer: int) -> None:
    inside = wallets.keys.create(payer, group="acme/a").key_id
    beside = wallets.keys.create(payer, group="acme/b").key_id
    outside = wallets.keys.create(payer, group="other").key_id
    wallets.budgets.create(payer, limit_yen=300, window="month", scope={"group": "acme"})
    wallets.budgets.create(payer, limit_yen=200, window="day", scope={"key_id": "*"})
    wallets.budgets.create(payer, limit_yen=70, window="day", scope={"key_id": beside})
    wallets.charge(payer, 150, key_id=inside, idempotency_key="a")
    assert [spendable(wallets, payer, key_id) for key_id in (inside, beside, outside, None)] == [50, 70, 200, 850]
    wallets.keys.configure(outside, group="acme")
    wallets.charge(payer, 100, key_id=outside, idempotency_key="b")
    assert [spendable(wallets, payer, key_id) for key_id in (inside, outside)] == [50, 50]


def test_a_used_up_limit_on_calls_leaves_nothing(wallets: CreditWallet, payer: int) -> None:
    wallets.budgets.create(payer, limit_calls=1, window="total")
    assert spendable(wallets, payer) == 1_000
    wallets.charge(payer, 1, idempotency_key="a")
    assert spendable(wallets, payer) == 0


def test_what_a_charge_is_for_bounds_it_only_then(wallets: CreditWallet, payer: int) -> None:
    for scope in ({"tool": "search"}, {"run": "*"}, {"item": "search"}, {"item": "*"}):
        wallets.budgets.create(payer, limit_yen=1, window="day", scope=scope)
    assert spendable(wallets, payer) == 1_000


def test_a_wallet_without_budgets_asks_for_none(wallets: CreditWallet, payer: int, counting: CountingSource) -> None:
    wallets.overview(payer)
    wallets.budgets.list(payer)
    assert not {"budgets", "budgets_found", "used"} & {*counting.asked}


def test_a_page_of_budgets_is_read_at_once(wallets: CreditWallet, payer: int, counting: CountingSource) -> None:
    windows = ("minute", "day", "week", "month", "total", "rolling:1h")
    for number in range(24):
        scope = {"run": "*"} if number % 3 == 1 else {"run": f"r{number}"}
        zone = "Asia/Tokyo" if number % 2 else "Europe/Berlin"
        window = windows[number % len(windows)]
        wallets.budgets.create(payer, limit_yen=5, window=window, scope=scope, time_zone=zone, label=f"{number}")
    wallets.charge(payer, 1, facts={"run": "r0"}, idempotency_key="a")
    counting.asked.clear()
    listed = wallets.budgets.list(payer)
    assert len(listed) == 24
    assert counting.asked == {"wallet": 1, "caps": 1, "budgets": 1, "used": 1}
    assert [each.spent for each in listed] == [int(number % 3 == 1 or not number) for number in range(24)]
