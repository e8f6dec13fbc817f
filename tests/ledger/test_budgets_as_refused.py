"""What a list of budgets says is what their refusals say: one is read, the other is decided in the transaction."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from clock import Clock
from databases import on_both_databases
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from width import examples

from credit_wallet import CreditWallet
from credit_wallet.domain.documents import document
from credit_wallet.errors import BudgetExhausted, WalletError

pytestmark = on_both_databases

NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)
NUMBERS = count(1)

windows = st.sampled_from(["minute", "hour", "day", "week", "month", "total", "rolling:1m", "rolling:2h", "rolling:7d"])
scopes = st.sampled_from([{}, {"run": "*"}, {"run": "a"}, {"tool": "x", "run": "*"}, {"group": "g"}, {"key_id": "*"}])
steps = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([0.4, 1, 30, 59.5, 60, 3_600, 7_199, 86_400, 7 * 86_400, -45, -7_200])),
    st.tuples(st.just("charge"), st.integers(1, 40_000_000), st.sampled_from("ab"), st.booleans()),
    st.tuples(st.just("hold"), st.integers(1, 20_000_000), st.sampled_from("ab"), st.booleans()),
    st.tuples(st.just("capture"), st.integers(1, 20_000_000)),
    st.tuples(st.just("release"), st.just(0)),
)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


def decimal(micros: int) -> str:
    return f"{micros // 1_000_000}.{micros % 1_000_000:06}"


class Agent:
    """Somebody who spends from a wallet of its own and ignores refusals."""

    def __init__(self, wallets: CreditWallet, clock: Clock) -> None:
        self.wallets, self.clock = wallets, clock
        self.wallet_id = wallets.create().wallet_id
        wallets.topup(self.wallet_id, 1_000_000, idempotency_key=f"credit {self.wallet_id}")
        self.key_id = wallets.keys.create(self.wallet_id, group="g/h").key_id
        self.holds: list[int] = []

    def take(self, step: tuple[Any, ...]) -> None:
        kind, size, *who = step
        try:
            if kind == "wait":
                self.clock.advance(seconds=size)
            elif kind in ("charge", "hold"):
                paid = getattr(self.wallets, kind)(self.wallet_id, decimal(size), **self.paying(*who))
                if kind == "hold":
                    self.holds.append(paid.hold_id)
            elif self.holds and kind == "capture":
                self.wallets.capture(self.holds.pop(0), decimal(size), idempotency_key=f"{next(NUMBERS)}")
            elif self.holds:
                self.wallets.release(self.holds.pop(0), idempotency_key=f"{next(NUMBERS)}")
        except WalletError:
            pass

    def paying(self, run: str, by_key: bool = True) -> dict[str, Any]:
        key_id = self.key_id if by_key else None
        return {"key_id": key_id, "facts": {"run": run, "tool": "x"}, "idempotency_key": f"{next(NUMBERS)}"}


@settings(max_examples=examples(60), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(windows, scopes, st.sampled_from(["Asia/Tokyo", "Europe/Berlin"]), st.lists(steps, max_size=25))
def test_a_list_says_what_the_refusal_says(
    wallets: CreditWallet,
    clock: Clock,
    window: str,
    scope: dict[str, str | int],
    time_zone: str,
    taken: list[tuple[Any, ...]],
) -> None:
    clock.set(NOON + timedelta(days=next(NUMBERS)))
    agent = Agent(wallets, clock)
    made = wallets.budgets.create(agent.wallet_id, limit_yen=100, window=window, scope=scope, time_zone=time_zone)
    for step in taken:
        agent.take(step)
    with pytest.raises(BudgetExhausted) as refused:
        wallets.charge(agent.wallet_id, 101, **agent.paying("a"))
    said: Any = refused.value.details["budget"]
    value = said["value"] or ""
    names = ("spent", "held", "left", "resets_at")
    if made.each_value:
        found = {each.value: document(each) for each in wallets.budgets.values(made.budget_id)}
        shown = found.get(value)
        if shown is None:
            assert (said["spent"], said["held"], said["left"]) == ("0", "0", "100")
            return
        least = min(found.values(), key=lambda each: each.left).left
        assert wallets.budgets.show(made.budget_id).left == least
        assert wallets.budgets.show(made.budget_id).values == len(found)
    else:
        shown = document(wallets.budgets.show(made.budget_id))
    assert {name: str(getattr(shown, name)) for name in names} == {name: str(said[name]) for name in names}
