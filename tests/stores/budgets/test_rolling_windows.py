"""Rolling windows: to the second, with a clock that goes back and forth."""

from __future__ import annotations

from datetime import timedelta
from random import Random

import pytest
from background import funded
from budgeted import NINE, make, named_by
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.errors import BudgetExhausted

pytestmark = on_every_database


def test_what_was_spent_leaves_after_the_window_to_the_second(wallets: CreditWallet, clock: Clock) -> None:
    clock.set(NINE + timedelta(milliseconds=1))
    wallet_id = funded(wallets)
    make(wallets, wallet_id, 10, window="rolling:24h")
    wallets.charge(wallet_id, 6, idempotency_key="a")
    clock.set(NINE + timedelta(hours=1))
    wallets.charge(wallet_id, 4, idempotency_key="b")
    with pytest.raises(BudgetExhausted) as refused:
        wallets.charge(wallet_id, 7, idempotency_key="c")
    assert refused.value.details["retry_at"] == "2026-05-16T10:00:00.000Z"
    assert named_by(refused)["resets_at"] == "2026-05-16T10:00:00.000Z"
    with pytest.raises(BudgetExhausted) as refused:
        wallets.charge(wallet_id, 6, idempotency_key="d")
    assert refused.value.details["retry_at"] == "2026-05-16T09:00:01.000Z"
    clock.set(NINE + timedelta(hours=24, milliseconds=999))
    with pytest.raises(BudgetExhausted):
        wallets.charge(wallet_id, 1, idempotency_key="e")
    clock.set(NINE + timedelta(hours=24, seconds=1))
    wallets.charge(wallet_id, 6, idempotency_key="f")


@pytest.mark.parametrize("held", [0, 30])
def test_a_charge_of_most_of_the_limit_waits_for_the_first_that_leaves(
    wallets: CreditWallet, clock: Clock, held: int
) -> None:
    clock.set(NINE)
    wallet_id = funded(wallets)
    make(wallets, wallet_id, 100, window="rolling:24h")
    if held:
        wallets.hold(wallet_id, held, ttl_seconds=86_400, idempotency_key="h")
    wallets.charge(wallet_id, 30, idempotency_key="a")
    clock.set(NINE + timedelta(hours=1))
    wallets.charge(wallet_id, 10, idempotency_key="b")
    clock.set(NINE + timedelta(hours=2))
    with pytest.raises(BudgetExhausted) as refused:
        wallets.charge(wallet_id, 80 - held, idempotency_key="c")
    assert refused.value.details["retry_at"] == "2026-05-16T09:00:00.000Z"


def test_every_moment_is_counted_exactly_whichever_way_the_clock_goes(
    wallets: CreditWallet, db_url: str, clock: Clock
) -> None:
    random = Random(7)
    clock.set(NINE)
    wallet_id = funded(wallets, 100_000)
    make(wallets, wallet_id, 40, window="rolling:10m")
    steps: list[tuple[int, int]] = []
    for number in range(150):
        moment = clock() + timedelta(milliseconds=random.choice((-400_000, -30_000, 1, 700, 20_000, 50_000, 300_000)))
        clock.set(moment)
        ms = round((moment - NINE).total_seconds() * 1000)
        inside = sum(yen for at, yen in steps if at * 1000 > ms - 600_000)
        yen = random.randint(1, 12)
        if inside + yen <= 40:
            wallets.charge(wallet_id, yen, idempotency_key=str(number))
            steps.append((-(-ms // 1000), yen))
        else:
            with pytest.raises(BudgetExhausted) as refused:
                wallets.charge(wallet_id, yen, idempotency_key=str(number))
            assert named_by(refused)["spent"] == str(inside)
            later = sorted({at + 600 for at, _ in steps if at * 1000 > ms - 600_000})
            passing = next(at for at in later if sum(y for s, y in steps if s > at - 600) + yen <= 40)
            expected = NINE + timedelta(seconds=passing)
            assert refused.value.details["retry_at"] == expected.strftime("%Y-%m-%dT%H:%M:%S.000Z")
    with PlainSql(db_url) as ledger:
        [(spent, since)] = ledger.run("SELECT spent, counted_from FROM am_credit_budget_spent")
        assert ledger.run("SELECT sum(spent) FROM am_credit_budget_step WHERE at > ?", since) == [(spent,)]


def test_a_new_node_counts_on(wallets: CreditWallet, db_url: str, clock: Clock) -> None:
    clock.set(NINE)
    wallet_id = funded(wallets)
    make(wallets, wallet_id, 10, window="rolling:1m")
    wallets.charge(wallet_id, 8, idempotency_key="a")
    with CreditWallet.open(db_url, clock=clock) as other:
        clock.advance(seconds=30)
        with pytest.raises(BudgetExhausted):
            other.charge(wallet_id, 3, idempotency_key="b")
        clock.advance(seconds=30)
        other.charge(wallet_id, 3, idempotency_key="c")
    with pytest.raises(BudgetExhausted):
        wallets.charge(wallet_id, 8, idempotency_key="d")
