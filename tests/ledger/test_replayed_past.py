"""``wallets.budgets.replay`` on a ledger: what is read of it, and what is tried."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from clock import Clock
from databases import on_every_database

from credit_wallet import CreditWallet
from credit_wallet.errors import InvalidRequest, KeyNotFound, WalletNotFound
from credit_wallet.stores import replay_reads

pytestmark = on_every_database

TEN = {"limit_yen": "10", "window": "total"}


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    made = wallets.create(time_zone="Asia/Tokyo").wallet_id
    wallets.topup(made, 1_000, idempotency_key="first")
    return made


def charge(wallets: CreditWallet, wallet_id: int, key: str, yen: Any = 4, **said: Any) -> int:
    return wallets.charge(wallet_id, yen, idempotency_key=key, **said).txn_id


def refused(wallets: CreditWallet, **asked: Any) -> list[int]:
    return [each.txn_id for each in wallets.budgets.replay(**asked).first_refusals]


def test_all_wallets_or_one(wallets: CreditWallet, wallet_id: int) -> None:
    other = wallets.create().wallet_id
    wallets.topup(other, 1_000, idempotency_key="first")
    for each in (wallet_id, other):
        for number in range(3):
            charge(wallets, each, f"{each} {number}")
    tried = wallets.budgets.replay(budgets=[TEN])
    assert (tried.entries, tried.charges, tried.refusals, tried.difference) == (8, 6, 2, Decimal(-8))
    assert (tried.first_txn_id, tried.last_txn_id) == (1, 8)
    assert [each.wallet_id for each in tried.wallets] == [wallet_id, other]
    only = wallets.budgets.replay(budgets=[TEN], wallet_id=other)
    assert (only.wallet_id, only.entries, only.refusals) == (other, 4, 1)
    assert [each.wallet_id for each in only.wallets] == [other]
    assert wallets.show(wallet_id).balance_yen == 988, "nothing has changed"
    with pytest.raises(WalletNotFound):
        wallets.budgets.replay(budgets=[TEN], wallet_id=99)


@pytest.mark.parametrize(
    "asked",
    [
        {"key_caps_yen": {99: 5}},
        {"budgets": [{**TEN, "scope": {"key_id": 99}}]},
        {"budgets": [{**TEN, "wallet_id": 99}]},
    ],
)
def test_a_limit_of_nobody_is_refused(wallets: CreditWallet, wallet_id: int, asked: dict[str, Any]) -> None:
    charge(wallets, wallet_id, "k")
    with pytest.raises(WalletNotFound if "wallet_id" in str(asked) else KeyNotFound, match="99"):
        wallets.budgets.replay(**asked)


def test_pages_make_no_difference(wallets: CreditWallet, wallet_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(10):
        charge(wallets, wallet_id, str(number))
    whole = wallets.budgets.replay(budgets=[TEN])
    monkeypatch.setattr(replay_reads, "IDS_A_PAGE", 3)
    assert wallets.budgets.replay(budgets=[TEN]) == whole
    assert whole.refusals == 8


def test_days_and_months_are_the_wallets_or_in_utc(wallets: CreditWallet, wallet_id: int, clock: Clock) -> None:
    """Noon of 15 May in UTC is 21:00 in Tokyo."""
    first = charge(wallets, wallet_id, "a", 11)
    clock.advance(hours=3)
    second = charge(wallets, wallet_id, "b", 11)
    assert refused(wallets, budgets=[TEN], wallet_id=wallet_id, until="2026-05-15") == [first]
    assert refused(wallets, budgets=[TEN], wallet_id=wallet_id, since="2026-05-16") == [second]
    assert refused(wallets, budgets=[TEN], since="2026-05-15", until="2026-05") == [first, second]
    assert refused(wallets, budgets=[TEN], since="2026-05-15T12:00:01Z") == [second]
    tried = wallets.budgets.replay(budgets=[TEN], since="2026-05-16", until="2026-06")
    assert (tried.since, tried.until) == ("2026-05-16T00:00:00.000Z", "2026-07-01T00:00:00.000Z")
    assert (tried.entries, tried.first_txn_id, tried.last_refusal) == (0, None, None)
    with pytest.raises(InvalidRequest, match="since must be before until"):
        wallets.budgets.replay(budgets=[TEN], since="2026-06", until="2026-05")
    with pytest.raises(InvalidRequest, match="since must be a month"):
        wallets.budgets.replay(budgets=[TEN], since="June")


def test_an_empty_ledger_has_no_past(wallets: CreditWallet) -> None:
    assert wallets.budgets.replay(budgets=[TEN]).entries == 0


@pytest.mark.partitions
def test_what_counts_now_is_tried_only_if_it_is_kept(wallets: CreditWallet, wallet_id: int) -> None:
    key_id = wallets.keys.create(wallet_id).key_id
    charges = [charge(wallets, wallet_id, f"{number}", key_id=key_id) for number in range(3)]
    charge(wallets, wallet_id, "owner")
    budget = wallets.budgets.create(wallet_id, limit_yen=5, window="total", scope={"key_id": key_id})
    assert refused(wallets, budgets=[{"limit_yen": 10_000, "window": "day"}]) == []
    kept = wallets.budgets.replay(budgets=[{"limit_yen": 10_000, "window": "day"}], keep=True)
    assert [each.txn_id for each in kept.first_refusals] == charges[1:]
    assert {each.budget_id for each in kept.first_refusals} == {budget.budget_id}
    wallets.keys.configure(key_id, monthly_cap_yen=9)
    wallets.configure(wallet_id, monthly_budget_yen=7, budget_mode="cap")
    wallets.budgets.delete(budget.budget_id)
    kept = wallets.budgets.replay(keep=True)
    assert {each.budget_id for each in kept.first_refusals} == {f"monthly-{wallet_id}"}
    kept = wallets.budgets.replay(keep=True, monthly_budget_yen=10_000)
    assert {each.budget_id for each in kept.first_refusals} == {f"key-{key_id}"}
    kept = wallets.budgets.replay(keep=True, monthly_budget_yen=10_000, key_caps_yen={key_id: 10_000})
    assert kept.refusals == 0


def test_a_key_is_in_the_group_that_it_is_in_now(wallets: CreditWallet, wallet_id: int) -> None:
    key_id = wallets.keys.create(wallet_id, group="acme/search").key_id
    first = charge(wallets, wallet_id, "a", key_id=key_id)
    plan = '[[budget]]\nlimit_calls = 0\nwindow = "total"\nscope = { group = "acme" }\n'
    assert refused(wallets, text_or_path=plan) == [first]
    wallets.keys.configure(key_id, group="beta")
    assert refused(wallets, text_or_path=plan) == []


def test_captures_count_as_charges_and_released_holds_do_not(wallets: CreditWallet, wallet_id: int) -> None:
    parts = wallets.hold(wallet_id, 9, idempotency_key="parts").hold_id
    wallets.release(wallets.hold(wallet_id, 9, idempotency_key="none").hold_id)
    wallets.capture(parts, 2, final=False, idempotency_key="1")
    wallets.capture(parts, 3, final=False, idempotency_key="2")
    wallets.capture(parts, 1, idempotency_key="3")
    next_call = charge(wallets, wallet_id, "next")
    tried = wallets.budgets.replay(budgets=[{"limit_calls": 1, "window": "total"}])
    assert (tried.charges, [each.txn_id for each in tried.first_refusals]) == (4, [next_call])
    assert (tried.earned, tried.earned_planned) == (Decimal(10), Decimal(6))


def test_other_prices_for_a_group_of_wallets(wallets: CreditWallet, wallet_id: int) -> None:
    wallets.prices.apply('[[price]]\nitem = "search"\nunit_price_yen = "3.30"\n')
    wallets.charge(wallet_id, item="search", quantity=2, idempotency_key="a")
    charge(wallets, wallet_id, "b", 1)
    dearer = '[[price]]\nitem = "search"\nunit_price_yen = "4.40"\n'
    tried = wallets.budgets.replay(dearer)
    assert (tried.repriced, tried.earned, tried.earned_planned) == (1, Decimal("7.6"), Decimal("9.8"))
    for_partners = f'{dearer}group = "partners"\n'
    assert wallets.budgets.replay(for_partners).difference == 0
    wallets.configure(wallet_id, price_group="partners")
    assert wallets.budgets.replay(for_partners).difference == Decimal("2.2")


def test_charges_go_on_meanwhile(wallets: CreditWallet, wallet_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One is made between two pages; the replay, of a snapshot, does not see it."""
    for number in range(6):
        charge(wallets, wallet_id, str(number))
    read = replay_reads._logged
    made: list[int] = []

    def and_charge(row: tuple[Any, ...]) -> Any:
        if not made:
            charging = Thread(target=lambda: made.append(charge(wallets, wallet_id, "meanwhile")))
            charging.start()
            charging.join(10)
        return read(row)

    monkeypatch.setattr(replay_reads, "_logged", and_charge)
    monkeypatch.setattr(replay_reads, "IDS_A_PAGE", 2)
    tried = wallets.budgets.replay(budgets=[TEN])
    assert made
    assert tried.charges == 6


@pytest.mark.parametrize(
    ("asked", "problem"),
    [
        ({}, "there is nothing to try"),
        ({"text_or_path": "[[budget]]\n", "budgets": [TEN]}, "send either a plan or budgets"),
        ({"budgets": [TEN], "limit": 0}, "limit must be 1 to 1000"),
        ({"monthly_budget_yen": -1}, "monthly_budget_yen must be whole yen"),
        ({"key_caps_yen": {3: "1"}}, "key_caps_yen must be whole yen"),
        ({"key_caps_yen": {"x": 1}}, "key_id must be"),
        ({"budgets": [{"limit_yen": 1}]}, "budget 1: window must be"),
    ],
)
def test_what_cannot_be_tried_is_refused(wallets: CreditWallet, asked: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        wallets.budgets.replay(**asked)
    assert str(refusal.value).startswith(problem)


def test_a_plan_is_a_file_or_its_text(wallets: CreditWallet, wallet_id: int, tmp_path: Path) -> None:
    refusal = charge(wallets, wallet_id, "a", 11)
    path = tmp_path / "plan.toml"
    path.write_text('[[budget]]\nlimit_yen = 10\nwindow = "total"\n', encoding="utf-8")
    assert refused(wallets, text_or_path=path) == refused(wallets, text_or_path=path.read_text()) == [refusal]
    with pytest.raises(InvalidRequest, match=r"the plan .*gone\.toml cannot be read: No such file"):
        wallets.budgets.replay(tmp_path / "gone.toml")
