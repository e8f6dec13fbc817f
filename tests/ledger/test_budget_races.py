"""64 callers on four nodes race for four nested caps: none is ever exceeded, and what fits all is never refused."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from budget_races import (
    CALLERS,
    GROUP_YEN,
    KEY_YEN,
    RUN_YEN,
    RUNS,
    WALLET_YEN,
    LateClock,
    Used,
    charge_what_fits,
    do_anything,
    open_late,
    open_nested,
    patiently,
    spend_the_rest,
    used_of,
    walk,
)
from databases import Databases, on_both_databases
from nodes import NODES, PATIENCE_SECONDS, Node, close_ledger
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.money import MICROS
from credit_wallet.errors import CallLimitReached

if TYPE_CHECKING:
    from multiprocessing.synchronize import Barrier

pytestmark = [on_both_databases, pytest.mark.slow]

EACH = KEY_YEN // CALLERS
STEPS = 20
RAISED_AFTER, WATCHED_UNTIL = 200, 500
"""Entries; there are some 800 in all."""

RAISED_YEN = WALLET_YEN + 20
CAPS = {"wallet": WALLET_YEN, "group": GROUP_YEN, "key": KEY_YEN, **{f"r{run}": RUN_YEN for run in range(RUNS)}}


class Race(NamedTuple):
    """A ledger that four nodes have open, and what of it a test looks at."""

    wallets: CreditWallet
    host: PlainSql
    nodes: list[Node]
    wallet_id: int
    keys: list[int]
    clock: Path

    def begin(self, work: object, *arguments: object) -> None:
        for number, node in enumerate(self.nodes):
            node.begin(work, number, self.wallet_id, *arguments)  # type: ignore[arg-type]

    def answers(self) -> list[str]:
        return [refusal for node in self.nodes for refusal in node.answer()]

    def used(self) -> list[Used]:
        """Today, at one moment; looked at again if the day ended meanwhile, when holds are of the next one."""
        while True:
            today = self._today()
            used = used_of(self.host, f"{today}T00:00:00.000Z")
            if self._today() == today:
                return used

    def _today(self) -> str:
        return f"{LateClock(self.clock)():%Y-%m-%d}"

    def watched(self, until_entries: int) -> list[Used]:
        """The caps of which more is used than they allow, looked at again and again."""
        wrong: list[Used] = []
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while self.host.run("SELECT count(*) FROM am_credit_transaction_log")[0][0] < until_entries:
            assert time.monotonic() < give_up_at
            wrong += [row for row in self.used() if row.used_micros > row.limit_micros]
        return wrong

    def spent(self) -> dict[str, int]:
        """Of each cap today, as the ledger says."""
        today = self._today()
        latest: dict[str, int] = dict.fromkeys(CAPS, 0)
        latest.update(
            {cap: micros for _, cap, day, micros in walk(self.host, self.wallet_id, self.keys) if day == today}
        )
        return latest


@pytest.fixture(scope="module")
def all_nodes() -> Iterator[list[Node]]:
    start: Barrier = multiprocessing.get_context("spawn").Barrier(NODES)
    made = [Node(start) for _ in range(NODES)]
    yield made
    for node in made:
        node.kill()


@pytest.fixture
def race(all_nodes: list[Node], databases: Databases, tmp_path: Path) -> Iterator[Race]:
    clock = tmp_path / "days"
    clock.write_text("0", encoding="ascii")
    with (
        databases.ledger() as url,
        CreditWallet.open(url, clock=LateClock(clock)) as wallets,
        PlainSql(url) as host,
    ):
        wallet_id, keys = open_nested(wallets)
        for node in all_nodes:
            node.call(open_late, url, clock)
        yield Race(wallets, host, all_nodes, wallet_id, keys, clock)
        for node in all_nodes:
            node.call(close_ledger)
        assert wallets.verify() == []


def test_what_fits_exactly_is_never_refused(race: Race) -> None:
    race.wallets.budgets.create(race.wallet_id, limit_calls=KEY_YEN, window="day")
    race.begin(charge_what_fits, race.keys[0], EACH)
    assert race.answers() == []
    full = {f"r{run}": RUN_YEN * MICROS for run in range(RUNS)}
    assert race.spent() == {"wallet": KEY_YEN * MICROS, "group": KEY_YEN * MICROS, "key": KEY_YEN * MICROS, **full}
    with pytest.raises(CallLimitReached) as refused:
        race.wallets.charge(race.wallet_id, "0.000001", idempotency_key="one more")
    assert refused.value.max_amount == 0


def test_no_cap_is_exceeded_at_any_commit_and_all_are_used_up(race: Race) -> None:
    """With holds, captures, releases and refunds, a raise in the middle, and a day that ends."""
    race.begin(do_anything, race.keys, STEPS, race.clock)
    wrong = race.watched(until_entries=RAISED_AFTER)
    patiently(lambda: race.wallets.budgets.configure("budget-1", limit_yen=RAISED_YEN))
    wrong += race.watched(until_entries=WATCHED_UNTIL)
    assert race.answers() == []
    assert wrong == []
    for key_id in (*race.keys, None):  # from the innermost cap to the outermost
        for yen in ("1", "0.25"):
            race.begin(spend_the_rest, key_id, yen)
            assert race.answers() == []
    assert [row for row in race.used() if row.used_micros != row.limit_micros] == []
    [raised] = [each for each in race.wallets.budgets.changes(race.wallet_id) if each.before]
    limits = {**CAPS, "wallet": RAISED_YEN}
    for txn_id, cap, _, micros in walk(race.host, race.wallet_id, race.keys):
        limit_yen = CAPS[cap] if txn_id <= raised.after_txn_id else limits[cap]
        assert micros <= limit_yen * MICROS, (txn_id, cap)
