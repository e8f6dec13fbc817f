"""A budget that is changed within a month is watched anew.

The seed's table takes one alert a month and threshold. When a budget of which 100 % are spent is raised, crossing 50,
80 and 100 % of the new one is told by events alone, each once for a month, a budget and a threshold. Who may find it:

- the rail, at the moment of crossing (``decide``), for charges and for captures;
- the hourly job, for charges that plain SQL wrote, and for budgets that plain SQL set;
- what backfills such charges and what carries a wallet into another month, which read the alerts that fired again.

Tables, report and ``GET /credit/alerts`` have the first alert of a month and threshold, as before.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from itertools import count
from random import Random

import pytest
from clock import Clock
from databases import on_every_database_at_length
from msgspec import json
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.shares import ALERT_THRESHOLDS_PCT, spent_pct

pytestmark = on_every_database_at_length

_numbers = count()

BUDGET, SPEND = "budget", "spend"


@pytest.fixture
def host(db_url: str, wallets: CreditWallet) -> Iterator[PlainSql]:
    """The ledger's database, by plain SQL, once the wallet has made it."""
    assert not wallets.maintenance.waiting()
    with PlainSql(db_url) as opened:
        yield opened


class Rail:
    """Changes budgets and spends through the wallet."""

    def __init__(self, wallets: CreditWallet, host: PlainSql, clock: Clock, wallet_id: int) -> None:
        self.wallets, self.host, self.clock, self.wallet_id = wallets, host, clock, wallet_id

    def budget(self, yen: int) -> None:
        self.wallets.configure(self.wallet_id, monthly_budget_yen=yen)

    def spend(self, yen: int) -> None:
        self.wallets.charge(self.wallet_id, yen, idempotency_key=f"spend-{next(_numbers)}")


class Holds(Rail):
    """Spends what it held before."""

    def spend(self, yen: int) -> None:
        held = self.wallets.hold(self.wallet_id, yen + 1, idempotency_key=f"hold-{next(_numbers)}")
        assert held.hold_id is not None
        self.wallets.capture(held.hold_id, yen)


class SqlSpends(Rail):
    """Plain SQL spends, and the hourly job runs."""

    def budget(self, yen: int) -> None:
        super().budget(yen)
        self.wallets.alerts.run()

    def spend(self, yen: int) -> None:
        self.host.move(self.wallet_id, "charge", -yen, self.clock().isoformat())
        self.wallets.alerts.run()


class SqlAlone(SqlSpends):
    """Plain SQL sets the budget too."""

    def budget(self, yen: int) -> None:
        self.host.run("UPDATE am_credit_wallet SET monthly_budget_yen = ? WHERE wallet_id = ?", yen, self.wallet_id)
        self.wallets.alerts.run()


class InTurns(SqlSpends):
    """Plain SQL and the wallet spend in turns."""

    def spend(self, yen: int) -> None:
        (super().spend if next(_numbers) % 2 else lambda amount_yen: Rail.spend(self, amount_yen))(yen)


WAYS = [Rail, Holds, SqlSpends, SqlAlone, InTurns]

Steps = list[tuple[str, int]]


def told(host: PlainSql, wallet_id: int) -> list[tuple[int, int, int]]:
    """Threshold, budget and spending of what was told, in order."""
    rows = host.run(
        "SELECT payload FROM am_credit_outbox WHERE wallet_id = ? AND kind = 'budget.threshold_reached'"
        " ORDER BY event_id",
        wallet_id,
    )
    events = [json.decode(payload) for (payload,) in rows]
    return [(each["threshold_pct"], each["budget_yen"], each["spent_yen"]) for each in events]


def wallet_with(wallets: CreditWallet, *own_thresholds: int) -> int:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 10**6, idempotency_key="topup")
    if own_thresholds:
        wallets.configure(wallet_id, alert_thresholds_pct=list(own_thresholds))
    return wallet_id


USED_UP: Steps = [(BUDGET, 1_000), (SPEND, 500), (SPEND, 300), (SPEND, 200)]
THE_THREE = [(50, 1_000, 500), (80, 1_000, 800), (100, 1_000, 1_000)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("steps", "events"),
    [
        pytest.param([(SPEND, 50)], [], id="not changed"),
        pytest.param([(BUDGET, 4_000), (SPEND, 999)], [], id="raised, and little spent"),
        pytest.param(
            [(BUDGET, 4_000), (SPEND, 1_000), (SPEND, 1_200), (SPEND, 800), (SPEND, 500)],
            [(50, 4_000, 2_000), (80, 4_000, 3_200), (100, 4_000, 4_000)],
            id="raised",
        ),
        pytest.param(
            [(BUDGET, 4_000), (SPEND, 5_000)],
            [(50, 4_000, 6_000), (80, 4_000, 6_000), (100, 4_000, 6_000)],
            id="raised, and all spent at once",
        ),
        pytest.param(
            [(BUDGET, 2_000), (SPEND, 100), (SPEND, 500), (SPEND, 400)],
            [(80, 2_000, 1_600), (100, 2_000, 2_000)],
            id="raised to twice what is spent: half of it was known",
        ),
        pytest.param(
            [(BUDGET, 1_100), (SPEND, 50), (SPEND, 50)],
            [(100, 1_100, 1_100)],
            id="raised by a tenth: the rest is known",
        ),
        pytest.param(
            [(BUDGET, 2_000), (SPEND, 600), (BUDGET, 4_000), (SPEND, 400), (SPEND, 1_200)],
            [(80, 2_000, 1_600), (50, 4_000, 2_000), (80, 4_000, 3_200)],
            id="raised twice",
        ),
        pytest.param([(BUDGET, 1_000), (SPEND, 500)], [], id="the same value again"),
        pytest.param([(BUDGET, 2_000), (BUDGET, 1_000), (SPEND, 500)], [], id="raised and put back"),
        pytest.param(
            [(BUDGET, 2_000), (SPEND, 600), (BUDGET, 1_000), (SPEND, 10), (BUDGET, 2_000), (SPEND, 10), (SPEND, 380)],
            [(80, 2_000, 1_600), (100, 2_000, 2_000)],
            id="the same raise again",
        ),
        pytest.param([(BUDGET, 500), (SPEND, 10)], [], id="lowered: all of it was told"),
        pytest.param(
            [(BUDGET, 0), (SPEND, 1_000), (BUDGET, 5_000), (SPEND, 500), (SPEND, 1_500)],
            [(50, 5_000, 2_500), (80, 5_000, 4_000)],
            id="taken away, and another set",
        ),
    ],
)
def test_what_is_told_of_a_budget_that_was_used_up(
    wallets: CreditWallet,
    host: PlainSql,
    clock: Clock,
    way: type[Rail],
    steps: Steps,
    events: list[tuple[int, int, int]],
) -> None:
    wallet_id = wallet_with(wallets)
    spender = way(wallets, host, clock, wallet_id)
    for what, yen in [*USED_UP, *steps]:
        getattr(spender, what)(yen)
    assert told(host, wallet_id) == [*THE_THREE, *events]
    rows = "SELECT threshold_pct, budget_yen, spent_yen FROM am_credit_spending_alert ORDER BY alert_id"
    assert host.run(rows) == THE_THREE
    before = told(host, wallet_id)
    for _ in range(2):
        clock.advance(hours=1)
        assert wallets.alerts.run().alerts_fired == []
    assert told(host, wallet_id) == before
    assert wallets.verify() == []


@pytest.mark.parametrize("way", WAYS)
def test_a_budget_that_is_lowered_fires_what_has_not_fired(
    wallets: CreditWallet, host: PlainSql, clock: Clock, way: type[Rail]
) -> None:
    wallet_id = wallet_with(wallets)
    spender = way(wallets, host, clock, wallet_id)
    for what, yen in [(BUDGET, 2_000), (SPEND, 900), (SPEND, 100), (BUDGET, 1_200), (SPEND, 50), (SPEND, 200)]:
        getattr(spender, what)(yen)
    thresholds = [(pct, budget_yen) for pct, budget_yen, _ in told(host, wallet_id)]
    assert thresholds == [(50, 2_000), (80, 1_200), (100, 1_200)]


@pytest.mark.parametrize("way", WAYS)
def test_thresholds_of_a_wallets_own_fire_for_a_raised_budget_too(
    wallets: CreditWallet, host: PlainSql, clock: Clock, way: type[Rail]
) -> None:
    wallet_id = wallet_with(wallets, 25, 120)
    spender = way(wallets, host, clock, wallet_id)
    for what, yen in [
        (BUDGET, 1_000),
        (SPEND, 1_250),
        (BUDGET, 10_000),
        (SPEND, 1_250),
        (SPEND, 2_500),
        (SPEND, 9_000),
    ]:
        getattr(spender, what)(yen)
    first = [(pct, 1_000, 1_250) for pct in (25, 50, 80, 100, 120)]
    second = [(25, 10_000, 2_500), (50, 10_000, 5_000), *((pct, 10_000, 14_000) for pct in (80, 100, 120))]
    assert sorted(told(host, wallet_id)) == sorted([*first, *second])


def test_the_outcome_of_the_charge_and_a_replay_have_the_alert(wallets: CreditWallet) -> None:
    wallet_id = wallet_with(wallets)
    wallets.configure(wallet_id, monthly_budget_yen=1_000)
    wallets.charge(wallet_id, 1_000, idempotency_key="all")
    wallets.configure(wallet_id, monthly_budget_yen=4_000)
    for _ in range(2):
        outcome = wallets.charge(wallet_id, 1_000, idempotency_key="more")
        assert [(alert.threshold_pct, alert.budget_yen) for alert in outcome.alerts] == [(50, 4_000)]
    assert [alert.threshold_pct for alert in wallets.alerts.list(wallet_id)] == [100, 80, 50]


def test_raises_in_one_batch_are_told_each(wallets: CreditWallet, host: PlainSql) -> None:
    """One after the other on the rail, whose batches take what is waiting."""
    wallet_id = wallet_with(wallets)
    for budget_yen in (1_000, 4_000, 16_000):
        wallets.configure(wallet_id, monthly_budget_yen=budget_yen)
        wallets.charge_many([(wallet_id, budget_yen // 4, f"{budget_yen}-{number}") for number in range(3)])
    assert [(pct, budget_yen) for pct, budget_yen, _ in told(host, wallet_id)] == [
        (50, 1_000), (50, 4_000), (80, 4_000), (50, 16_000), (80, 16_000),
    ]  # fmt: skip


def test_a_new_month_begins_with_the_budget_as_it_is(wallets: CreditWallet, host: PlainSql, clock: Clock) -> None:
    wallet_id = wallet_with(wallets)
    spender = Rail(wallets, host, clock, wallet_id)
    for what, yen in [*USED_UP, (BUDGET, 2_000), (SPEND, 600)]:
        getattr(spender, what)(yen)
    clock.set(datetime.fromisoformat("2026-06-01T00:00:00Z"))
    spender.spend(1_600)
    clock.set(datetime.fromisoformat("2026-05-31T23:59:59Z"))  # another node's clock
    spender.spend(400)
    assert told(host, wallet_id)[3:] == [
        (80, 2_000, 1_600),
        (50, 2_000, 1_600),
        (80, 2_000, 1_600),
        (100, 2_000, 2_000),
    ]


def test_of_a_month_that_is_over_nothing_is_told_anew(wallets: CreditWallet, host: PlainSql, clock: Clock) -> None:
    wallet_id = wallet_with(wallets)
    spender = Rail(wallets, host, clock, wallet_id)
    for what, yen in USED_UP:
        getattr(spender, what)(yen)
    clock.advance(days=31)
    spender.spend(1)
    spender.budget(1_100)
    assert wallets.alerts.run("2026-05").alerts_fired == []
    assert told(host, wallet_id) == THE_THREE


def changes() -> list[Steps]:
    random = Random(12)
    return [
        [(random.choice([BUDGET, SPEND]), random.randrange(50, 2_000, 50)) for _ in range(random.randrange(5, 25))]
        for _ in range(40)
    ]


@pytest.mark.parametrize("steps", changes())
def test_whatever_is_done_no_threshold_of_a_budget_is_told_twice_or_missed(
    wallets: CreditWallet, host: PlainSql, clock: Clock, steps: Steps
) -> None:
    """Missed: reached by a charge, and neither told for this budget nor known since it was set."""
    wallet_id = wallets.create(monthly_budget_yen=500).wallet_id
    wallets.topup(wallet_id, 10**6, idempotency_key="topup")
    spender = Rail(wallets, host, clock, wallet_id)
    budget_yen, spent_yen, expected = 500, 0, set[tuple[int, int]]()
    fired: set[int] = set()
    for what, yen in steps:
        getattr(spender, what)(yen)
        if what == BUDGET:
            budget_yen = yen
            continue
        before_pct, spent_yen = spent_pct(spent_yen, budget_yen), spent_yen + yen
        for pct in ALERT_THRESHOLDS_PCT:
            if pct <= spent_pct(spent_yen, budget_yen) and (before_pct < pct or pct not in fired):
                expected.add((pct, budget_yen))
                fired.add(pct)
    events = [(pct, of_yen) for pct, of_yen, _ in told(host, wallet_id)]
    assert sorted(events) == sorted(expected)
