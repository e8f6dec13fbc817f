"""A plan on the past, entry by entry, without a ledger."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.prices import PriceBook
from credit_wallet.domain.replay_views import BALANCE, Replayed
from credit_wallet.domain.usage import Usage
from credit_wallet.rules import replay_sums, replay_windows
from credit_wallet.rules.replay import Replay
from credit_wallet.rules.replay_entries import EVERY_WALLET, Logged, Plan
from credit_wallet.rules.replay_plan import parse_plan, planned_budgets

NINE = datetime(2026, 5, 15, 9, tzinfo=UTC)


class Log:
    """Entries of wallet 7, which has ¥1,000 at first, a second apart."""

    def __init__(self, plan: Plan, limit: int = 100) -> None:
        self.replay = Replay(plan, limit)
        self.txn_id, self.ledger_micros, self.now = 0, 1_000 * MICROS, NINE

    def add(self, txn_type: Any, yen: str, **said: Any) -> int:
        """The entry's id."""
        micros = int(Decimal(yen) * MICROS)
        self.txn_id += 1
        self.ledger_micros += micros
        self.now += said.pop("wait", timedelta(seconds=1))
        at = said.pop("at", format_instant(self.now))
        known: dict[str, Any] = {
            "wallet_id": 7,
            "key_id": None,
            "related_txn_id": None,
            "usage": None,
            "refunded_micros": 0,
            "hold_id": None,
            "held_micros": 0,
            "time_zone": "UTC",
            "price_group": None,
            "group": None,
        }
        fields = {**known, **said}
        self.replay.take(
            Logged(
                txn_id=self.txn_id,
                txn_type=txn_type,
                occurred_at=at,
                amount_micros=micros,
                ledger_micros=self.ledger_micros,
                **fields,
            )
        )
        return self.txn_id

    def charge(self, yen: str, **said: Any) -> int:
        return self.add("charge", f"-{yen}", **said)

    @property
    def seen(self) -> Replayed:
        return self.replay.sums.view(None, None, None)

    @property
    def refused(self) -> list[int]:
        return [each.txn_id for each in self.seen.first_refusals]


def budget(**given: Any) -> Plan:
    return Plan(planned_budgets([{"window": "total", **given}]))


def prices(text: str) -> Plan:
    return Plan((), PriceBook(1, parse_plan(text)[1]))


SEARCH = '[[price]]\nitem = "search"\nunit_price_yen = "{}"\n'


def search(quantity: int = 1) -> Usage:
    return Usage("search", quantity * MICROS)


def test_what_is_refused_leaves_its_credit_and_what_was_left_is_said() -> None:
    log = Log(budget(limit_yen="10", label="ten"))
    log.charge("4")
    second = log.charge("7", key_id=3)
    log.charge("6")
    last = log.charge("0.5")
    assert log.refused == [second, last]
    [first, _] = log.seen.first_refusals
    assert (first.budget_id, first.label, first.key_id) == ("plan-1", "ten", 3)
    assert (first.left, first.amount) == (Decimal(6), Decimal(7))
    assert log.seen.last_refusal is not None
    assert log.seen.last_refusal.txn_id == last
    assert (log.seen.earned, log.seen.earned_planned, log.seen.difference) == (
        Decimal("17.5"),
        Decimal(10),
        Decimal("-7.5"),
    )
    assert (log.seen.earned_yen, log.seen.earned_planned_yen, log.seen.difference_yen) == (17, 10, -8), "rounded down"
    assert log.seen.refused_yen == 7
    assert [(each.key_id, each.refusals, each.refused) for each in log.seen.keys] == [
        (3, 1, Decimal(7)),
        (None, 1, Decimal("0.5")),
    ]
    assert [(each.budget_id, each.refusals) for each in log.seen.budgets] == [("plan-1", 2)]
    [wallet] = log.seen.wallets
    assert (wallet.wallet_id, wallet.entries, wallet.charges, wallet.refusals) == (7, 4, 4, 2)


def test_a_refund_of_what_was_refused_does_not_happen() -> None:
    log = Log(budget(limit_yen="10"))
    passed = log.charge("8", refunded_micros=8 * MICROS)
    refused = log.charge("5", refunded_micros=5 * MICROS)
    log.add("refund", "5", related_txn_id=refused)
    log.add("refund", "3", related_txn_id=passed)
    log.add("refund", "5", related_txn_id=passed)
    assert (log.seen.earned, log.seen.earned_planned) == (Decimal(0), Decimal(0))
    assert log.refused == [refused]


def test_a_refund_of_what_was_charged_before_happens_as_it_did() -> None:
    log = Log(budget(limit_yen="10"))
    log.add("refund", "5", related_txn_id=99)
    assert (log.seen.earned, log.seen.earned_planned) == (Decimal(-5), Decimal(-5))


def test_a_refund_under_another_price_gives_the_same_share_back_and_all_of_it_in_the_end() -> None:
    log = Log(prices(SEARCH.format("10")))
    charge = log.charge("3", usage=search(), refunded_micros=3 * MICROS)
    log.add("refund", "1", related_txn_id=charge)
    assert log.seen.earned_planned == 10 - Decimal("3.333333")
    log.add("refund", "2", related_txn_id=charge)
    assert log.seen.earned_planned == 0
    assert log.seen.repriced == 1


def test_a_refund_makes_room_in_tiers_again() -> None:
    tiers = '[[price]]\nitem = "search"\ntiers = [{up_to = 1, unit_price_yen = "0"}, {unit_price_yen = "5"}]\n'
    log = Log(prices(tiers))
    log.charge("3", usage=search())
    second = log.charge("3", usage=search(), refunded_micros=3 * MICROS)
    log.add("refund", "3", related_txn_id=second)
    log.charge("3", usage=search())
    assert log.seen.earned_planned == 5
    log.charge("3", usage=search(), wait=timedelta(days=30))
    assert log.seen.earned_planned == 5, "a new cycle begins with the first tier"


def test_credit_can_run_out_under_higher_prices() -> None:
    log = Log(prices(SEARCH.format("600")))
    log.charge("1", usage=search())
    short = log.charge("1", usage=search())
    log.add("topup", "200")
    log.charge("1", usage=search())
    [refusal] = log.seen.first_refusals
    assert (refusal.txn_id, refusal.budget_id) == (short, BALANCE)
    assert (refusal.left, refusal.amount) == (Decimal(400), Decimal(600))
    assert log.seen.earned_planned == 1_200


def test_a_price_above_what_can_be_moved_is_refused_too() -> None:
    log = Log(prices(SEARCH.format("1000000000000")))
    log.charge("1", usage=search(2))
    assert [each.budget_id for each in log.seen.first_refusals] == [BALANCE]


def test_items_without_a_price_of_the_plan_keep_their_amount() -> None:
    log = Log(prices(SEARCH.format("5") + 'valid_from = "2026-06-01T00:00:00Z"\n'))
    log.charge("1", usage=search())
    log.charge("1", usage=Usage("fetch", MICROS))
    log.charge("0", usage=Usage("fetch", MICROS))
    log.charge("1", usage=search(), wait=timedelta(days=20))
    assert (log.seen.earned_planned, log.seen.repriced) == (Decimal(7), 1)


def test_credit_that_lapsed_or_was_taken_goes_as_far_as_there_is_any() -> None:
    log = Log(prices(SEARCH.format("900")))
    log.charge("1", usage=search())
    log.add("expire", "-500")
    short = log.charge("1")
    assert log.refused == [short]


def test_captures_of_one_hold_are_one_call() -> None:
    log = Log(budget(limit_calls=2))
    log.charge("1", hold_id=5, held_micros=3 * MICROS)
    log.charge("1", hold_id=5, held_micros=3 * MICROS)
    log.charge("1", hold_id=5, held_micros=3 * MICROS)
    log.charge("1", hold_id=6, held_micros=MICROS)
    refused = log.charge("1", hold_id=8, held_micros=2 * MICROS)
    again = log.charge("1", hold_id=8, held_micros=2 * MICROS)
    assert log.refused == [refused, again]


def test_monthly_budgets_and_caps_of_keys_are_tried_by_cycle() -> None:
    log = Log(Plan(monthly_caps_yen={EVERY_WALLET: 10}, key_caps_yen={3: 4}))
    log.charge("4", key_id=3)
    of_key = log.charge("1", key_id=3)
    log.charge("6", key_id=4)
    of_wallet = log.charge("1")
    log.charge("4", key_id=3, wait=timedelta(days=20))
    late = log.charge("1", at="2026-05-31T23:59:59.000Z")
    log.charge("5", key_id=4)
    assert log.refused == [of_key, of_wallet, late]
    assert [each.budget_id for each in log.seen.first_refusals] == ["key-3", "monthly-7", "monthly-7"]


def test_a_shadow_lets_through_and_counts_what_a_cap_would_have() -> None:
    log = Log(budget(limit_yen="10", mode="shadow", label="try"))
    for yen in ("8", "4", "2", "1"):
        log.charge(yen)
    assert log.refused == [2, 4]
    assert (log.seen.refusals, log.seen.shadow_refusals, log.seen.difference) == (0, 2, Decimal(0))
    assert [(each.shadow, each.refused) for each in log.seen.budgets] == [(True, Decimal(5))]
    assert all(each.shadow for each in log.seen.first_refusals)


def test_each_value_has_its_own_and_groups_match_those_below() -> None:
    plan = Plan(planned_budgets([{"limit_calls": 1, "window": "day", "scope": {"group": "acme", "run": "*"}}]))
    log = Log(plan)
    runs = [Usage(None, 0, (("run", run),), ()) for run in ("a", "b", "a")]
    for usage in runs:
        log.charge("1", key_id=3, group="acme/search", usage=usage)
    log.charge("1", key_id=4, group="beta", usage=runs[0])
    log.charge("1", usage=runs[0])
    assert log.refused == [3]
    assert [(each.value, each.refusals) for each in log.seen.values] == [("a", 1)]


def test_all_conditions_of_a_scope_must_be_met() -> None:
    log = Log(budget(limit_calls=0, scope={"run": "a", "tool": "x"}))
    log.charge("1", usage=Usage(None, 0, (("run", "a"), ("tool", "y")), ()))
    both = log.charge("1", usage=Usage(None, 0, (("run", "a"), ("tool", "x")), ()), wait=timedelta(0))
    assert log.refused == [both]


def test_budgets_of_one_wallet_are_asked_of_no_other() -> None:
    log = Log(budget(limit_yen="1", wallet_id=8))
    log.charge("5")
    log.charge("5", wallet_id=8)
    assert [each.wallet_id for each in log.seen.first_refusals] == [8]


def test_a_clock_that_steps_back_finds_the_window_that_it_left() -> None:
    log = Log(Plan(planned_budgets([{"limit_yen": "5", "window": "minute"}])))
    log.charge("4", at="2026-05-15T09:00:59.000Z")
    log.charge("4", at="2026-05-15T09:01:00.000Z")
    back = log.charge("4", at="2026-05-15T09:00:58.000Z")
    log.charge("1", at="2026-05-15T09:01:01.000Z")
    forth = log.charge("1", at="2026-05-15T09:01:02.000Z")
    assert log.refused == [back, forth]


def test_an_unreadable_time_is_that_of_the_entry_before() -> None:
    log = Log(Plan(planned_budgets([{"limit_yen": "5", "window": "minute"}])))
    log.charge("4")
    refused = log.charge("4", at="yesterday")
    log.charge("4", at="2026-05-15 09:05:00")
    assert log.refused == [refused]


def test_lists_are_as_long_as_asked_and_say_that_there_is_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_sums, "MAX_ROWS", 3)
    log = Log(Plan(planned_budgets([{"limit_yen": "1", "window": "total", "scope": {"key_id": "*"}}])), limit=2)
    for key_id in range(1, 7):
        log.charge(str(key_id + 1), key_id=key_id)
    seen = log.seen
    assert (len(seen.first_refusals), len(seen.keys), len(seen.values), seen.refusals) == (2, 2, 2, 6)
    assert [each.key_id for each in seen.keys] == [3, 2], "those told apart, the most refused first"
    assert seen.more


def test_windows_that_are_over_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replay_windows, "MIN_SWEPT", 50)
    monkeypatch.setattr(replay_windows, "MAX_MATCHES", 20)
    every_run = {"scope": {"run": "*"}, "limit_calls": 1}
    log = Log(Plan(planned_budgets([{**every_run, "window": "minute"}, {**every_run, "window": "rolling:1m"}])))
    for number in range(1_000):
        usage = Usage(None, 0, (("run", f"r{number}"),), ())
        log.charge("0.001", usage=usage, wait=timedelta(minutes=5))
    assert len(log.replay._windows) < 300
    assert log.refused == []


def test_a_rolling_window_of_years_keeps_what_it_needs() -> None:
    log = Log(Plan(planned_budgets([{"limit_calls": 10**9, "window": "rolling:1m"}])))
    for _ in range(5_000):
        log.charge("0.001")
    [place] = log.replay._windows._places.values()
    assert place.steps is not None
    assert len(place.steps._at) < 2_500
