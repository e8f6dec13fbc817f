"""Charges that no rule has anything to say about are decided as by the rules, to the micro, the event and the byte.

Who would cheat it: an amount that lands on a limit, a share or a mark exactly, or one micro beside it; a wallet that
something else has touched between two charges, in this batch or the one before; two payers that share a budget; time.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from amounts import amounts, yen
from decisions import decide_twice
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import structs
from snapshots import new_snapshot

from credit_wallet.domain.budgets import CALL, Budget, Mode, Unit
from credit_wallet.domain.commands import Charge, Command, Configure, Freeze, Hold, Refund, Release, Topup
from credit_wallet.domain.names import Names
from credit_wallet.domain.outcomes import Charged
from credit_wallet.domain.prices import Price, PriceBook, Tier
from credit_wallet.domain.usage import Usage
from credit_wallet.rules.budgets import payment
from credit_wallet.rules.headroom import QuietCharges
from credit_wallet.rules.state import Counter, Lot, Snapshot

NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)
SEARCH = Usage("search", 1_000_000, (("tool", "search"),), (("run", "7"),))
READ = Usage("read", 2_500_000)
TIERED = Usage("tiered", 3_000_000)
FACTS = Usage(facts=(("tool", 'a "quoted" tool'),))
BOOK = PriceBook(
    3,
    [
        Price("search", 0, "", "", 1, yen("3.30")),
        Price("search", 1, "", "", 1, yen(3)),
        Price("read", 0, "", "", 1_000, yen("0.2")),
        Price("tiered", 0, "", "", 1, 0, (Tier(5_000_000, 0), Tier(None, yen(1)))),
    ],
)
USAGES = (None, SEARCH, READ, TIERED, FACTS, Usage("unpriced", 1_000_000))
KEYS = (None, 11, 12)


def counter(
    budget_id: int, unit: Unit, limit: int, mode: Mode, shares: tuple[int, ...], leaves_at: str = ""
) -> Counter:
    scale = CALL if unit == "calls" else yen(1)
    budget = Budget(
        budget_id, 1, None, unit, limit * scale, "day", (), mode, shares, "UTC", "monday", None, None, "2026-05-01"
    )
    return Counter(budget, "", "2026-05-15", "2026-05-16", limit * scale, leaves_at=leaves_at)


counters = st.lists(
    st.tuples(
        st.sampled_from(["yen", "calls"]),
        st.sampled_from([0, 3, 10, 50]),
        st.sampled_from(["cap", "alert", "shadow"]),
        st.sampled_from([(80, 100), (50,), (10, 150), (100,)]),
        st.sampled_from(["", "2026-05-16T12:00:01.000Z"]),
    ),
    max_size=3,
)
charges = st.builds(
    lambda amount, usage, key_id, actor, note, names: (
        0 if usage is not None and usage.item is not None else amount,
        usage,
        key_id,
        actor,
        note,
        names,
    ),
    amounts(12),
    st.sampled_from(USAGES),
    st.sampled_from(KEYS),
    st.sampled_from(["operator", "payer", "product", "seller:7"]),
    st.sampled_from([None, "a note"]),
    st.sampled_from([None, Names("req-1"), Names(reference="注文-1", metadata=(('a "quoted" key', "b"),))]),
)
others = st.sampled_from(
    [
        Topup(1, "t", yen(5)),
        Hold(1, "h", yen("2.5"), 60, None, 11),
        Refund(1, "r", 1, yen(1)),
        Release(1, "e", 1),
        Freeze(1, True),
        Freeze(1, False),
        Configure(1, low_balance_yen=40),
        Configure(1, monthly_budget_yen=30),
        Configure(1, alert_thresholds_pct=(33,)),
    ]
)


def a_wallet(lots: Sequence[int], settings: dict[str, object], given_counters: Sequence[Counter]) -> Snapshot:
    snapshot = new_snapshot()
    wallet = snapshot.wallets[1]
    wallet.lots = [Lot(place, "paid", micros, None) for place, micros in enumerate(lots)]
    wallet.balance_micros = sum(lots)
    wallet.auto_topup_threshold = wallet.auto_topup_amount = 0
    for name, value in settings.items():
        setattr(wallet, name, value)
    snapshot.prices = BOOK
    snapshot.keys[12] = structs.replace(snapshot.keys[11], key_id=12, monthly_cap_yen=0)
    if given_counters:
        wallet.budget_kinds = frozenset(("",))
        for key_id in KEYS:
            for usage in USAGES:  # the last one is not of the agent keys
                own = tuple(given_counters if key_id is None else given_counters[:-1] or given_counters)
                snapshot.matched[payment(1, key_id, usage)] = own
        snapshot.counters = {(each.budget.budget_id, each.value): each for each in given_counters}
    return snapshot


@given(
    lots=st.lists(amounts(60), max_size=3),
    settings=st.fixed_dictionaries(
        {
            "monthly_budget_yen": st.sampled_from([0, 20, 100]),
            "budget_mode": st.sampled_from(["alert", "cap"]),
            "thresholds_pct": st.sampled_from([(50, 80, 100), (10, 50, 80, 100)]),
            "alerted_pct": st.sampled_from([0, 50]),
            "cycle_spent_micros": st.sampled_from([0, yen("9.99"), yen(10)]),
            "auto_topup_threshold": st.sampled_from([10, 50]),
            "auto_topup_amount": st.sampled_from([0, 100]),
            "low_balance_yen": st.sampled_from([0, 7, 30]),
        }
    ),
    kinds=counters,
    batches=st.lists(st.lists(st.one_of(charges, charges, charges, others), min_size=1, max_size=12), max_size=3),
    seconds=st.sampled_from([0, 90]),
)
@example([yen(60)], {}, [("calls", 3, "cap", (100,), "")], [[(yen(1), None, 11, "payer", None, None)] * 6], 0)
def test_charges_are_decided_as_by_the_rules(
    lots: list[int],
    settings: dict[str, object],
    kinds: list[tuple[Unit, int, Mode, tuple[int, ...], str]],
    batches: list[list[Command | tuple[int, Usage | None, int | None, str, str | None, Names | None]]],
    seconds: int,
) -> None:
    snapshot = a_wallet(lots, settings, [counter(number, *kind) for number, kind in enumerate(kinds, start=1)])
    for number, batch in enumerate(batches):
        commands = [
            each
            if isinstance(each, Command)
            else Charge(1, f"{number}-{place}", each[0], each[4], each[2], each[1], actor=each[3], names=each[5])
            for place, each in enumerate(batch)
        ]
        decision = decide_twice(snapshot, commands, NOON + timedelta(seconds=seconds * number))
        snapshot.remembered |= decision.remembered
        snapshot.holds |= decision.touched_holds


def quietly(snapshot: Snapshot, commands: Sequence[Command], now: datetime = NOON) -> list[bool]:
    """Which charges took the short way."""
    ways = []
    charge = QuietCharges.charge

    def note(self: QuietCharges, command: Charge) -> Charged | None:
        outcome = charge(self, command)
        ways.append(outcome is not None)
        return outcome

    with patch.object(QuietCharges, "charge", note):
        decide_twice(snapshot, commands, now)
    return ways


@pytest.mark.parametrize(
    ("settings", "kinds", "payer", "expected"),
    [
        ({}, [], (None, None), [True, True, True, False]),
        ({"low_balance_yen": 20}, [], (None, None), [True, False, True, False]),
        ({"auto_topup_threshold": 25, "auto_topup_amount": 5}, [], (None, None), [False, True, True, False]),
        ({"monthly_budget_yen": 50}, [], (None, None), [True, True, False, False]),
        ({"monthly_budget_yen": 25, "budget_mode": "cap"}, [], (None, None), [True, False, False, False]),
        ({}, [("yen", 200, "cap", (50, 100), "")], (12, SEARCH), [False, True, True, True]),
        ({}, [("calls", 3, "cap", (100,), "")], (12, SEARCH), [False, True, False, False]),
        ({}, [("yen", 200, "cap", (50, 100), "2026-05-16T12:00:01.000Z")], (None, FACTS), [False, True, True, False]),
        ({}, [], (None, TIERED), [False, False, False, False]),
    ],
    ids=["lot", "mark", "topup", "share", "cap", "budget", "calls", "rolling", "tiers"],
)
def test_the_rules_are_asked_where_they_have_something_to_say_and_nowhere_else(
    settings: dict[str, object],
    kinds: list[tuple[Unit, int, Mode, tuple[int, ...], str]],
    payer: tuple[int | None, Usage | None],
    expected: list[bool],
) -> None:
    """¥34 in one lot, charges of ¥10 (an item of ¥3). A payer is looked at when it is charged again."""
    snapshot = a_wallet([yen(34)], settings, [counter(number, *kind) for number, kind in enumerate(kinds, start=1)])
    key_id, usage = payer
    amount = 0 if usage is not None and usage.item is not None else yen(10)
    assert quietly(snapshot, [Charge(1, str(n), amount, None, key_id, usage) for n in range(4)]) == expected


def test_what_was_seen_counts_until_the_rules_were_asked_or_something_is_due() -> None:
    snapshot = a_wallet([yen(100)], {}, [])
    assert quietly(snapshot, [Charge(1, "a", yen(1))]) == [True]
    snapshot.wallets[1].next_due_at = "2026-05-15T12:00:30.000Z"
    later = NOON + timedelta(minutes=1)
    assert quietly(snapshot, [Charge(1, "b", yen(1)), Charge(1, "c", yen(1))], later) == [False, True]
    assert quietly(snapshot, [Freeze(1, True), Charge(1, "d", yen(1))], later) == [False]
