"""What is counted is what the ledger's entries and the open holds come to, whoever writes and however clocks go."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

import pytest
from background import funded
from budgeted import NINE, change_key, delete, make
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.budgets import CALL, Mode, Unit, counted_as, labels_of
from credit_wallet.domain.cycle import parse_instant
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.windows import window_at
from credit_wallet.errors import WalletError
from credit_wallet.rules.details import exact_micros, parse_detail, usage_of
from credit_wallet.stores.budget_rows import BUDGET_COLUMNS, budget_of, parse_reserved

pytestmark = on_every_database

SCOPES = (
    (),
    (("run", "*"),),
    (("run", "r1"),),
    ((".group", "acme"),),
    ((".key_id", "*"), ("run", "*")),
    ((".group", "acme/search"), ("run", "r2")),
)
WINDOWS = ("minute", "hour", "day", "total", "rolling:5m", "rolling:1h")


class Play:
    """Random movements of two nodes on one wallet with many budgets."""

    def __init__(self, nodes: tuple[CreditWallet, CreditWallet], clock: Clock, seed: int) -> None:
        self.nodes, self.clock, self.random = nodes, clock, Random(seed)
        self.wallet_id = funded(nodes[0], 1_000_000)
        self.keys: list[int | None] = [nodes[0].keys.create(self.wallet_id).key_id for _ in range(2)]
        for key_id, group in zip(self.keys, ("acme", "acme/search"), strict=True):
            assert key_id is not None
            change_key(nodes[0], self.wallet_id, key_id, group=group)
        self.keys.append(None)
        self.holds: list[int] = []
        self.numbers = 0

    def make_budgets(self, each: int) -> None:
        for scope in SCOPES:
            for _ in range(each):
                mode: Mode = self.random.choice(("alert", "alert", "cap"))
                limit = self.random.choice((50, 500, 10**9))
                unit: Unit = self.random.choice(("yen", "calls"))
                window = self.random.choice(WINDOWS)
                make(self.node, self.wallet_id, limit, window=window, scope=scope, mode=mode, unit=unit)

    @property
    def node(self) -> CreditWallet:
        return self.random.choice(self.nodes)

    def step(self) -> None:
        self.numbers += 1
        random, key = self.random, str(self.numbers)
        if random.random() < 0.3:
            self.clock.advance(milliseconds=random.choice((-250_000, -1_500, 1, 999, 40_000, 200_000, 3_000_000)))
        amount = random.choice((1, 3, "0.5", "7.25"))
        facts = {"run": random.choice(("r1", "r2", "r3"))} if random.random() < 0.8 else None
        options: dict[str, Any] = {"idempotency_key": key, "facts": facts}
        try:
            match random.randrange(6):
                case 0 | 1 | 2:
                    self.node.charge(self.wallet_id, amount, key_id=random.choice(self.keys), **options)
                case 3:
                    held = self.node.hold(
                        self.wallet_id,
                        20,
                        key_id=random.choice(self.keys),
                        ttl_seconds=random.choice((60, 3_600)),
                        **options,
                    )
                    self.holds.append(held.hold_id or 0)
                case 4 if self.holds:
                    final = random.random() < 0.5
                    self.node.capture(random.choice(self.holds), amount, final=final, **options)
                case 5 if self.holds:
                    self.node.release(random.choice(self.holds), idempotency_key=key)
        except WalletError as error:
            assert error.code in {"budget_exhausted", "call_limit_reached", "hold_closed", "invalid_amount"}, error


def entries_of(ledger: PlainSql, wallet_id: int) -> list[tuple[Any, ...]]:
    rows = ledger.run(
        "SELECT txn_id, amount_yen, occurred_at, key_id, hold_id, detail FROM am_credit_transaction_log "
        "WHERE wallet_id = ? AND txn_type = 'charge' ORDER BY txn_id",
        wallet_id,
    )
    return [(*row[:5], parse_detail(row[5])) for row in rows]


def counted_again(ledger: PlainSql, wallet_id: int, groups: dict[int, str]) -> Counter[tuple[int, str, str]]:
    """What each budget has spent, by window and value; of rolling windows by the end of the second."""
    spent: Counter[tuple[int, str, str]] = Counter()
    rows = ledger.run(f"SELECT {BUDGET_COLUMNS}, after_txn_id FROM am_credit_budget WHERE deleted_at IS NULL")
    entries = entries_of(ledger, wallet_id)
    for *row, after in rows:
        budget = budget_of(row)
        seen: set[int] = set()
        for txn_id, amount_yen, at, key_id, hold_id, detail in entries:
            value = counted_as(budget.scope, labels_of(key_id, groups.get(key_id), usage_of(detail)))
            is_call = hold_id not in seen
            if hold_id is not None:
                seen.add(hold_id)
            if value is None or txn_id <= after:
                continue
            cost = -exact_micros(amount_yen, detail) if budget.unit == "yen" else CALL * is_call
            if budget.rolls is None:
                start = window_at(budget.window, parse_instant(at), budget.time_zone, budget.week_start).start
            else:
                moment = parse_instant(at)
                start = str(-(-moment.timestamp() // 1))
            spent[budget.budget_id, start, value] += cost
    return spent


_LIVE = "JOIN am_credit_budget b ON b.budget_id = s.budget_id AND b.deleted_at IS NULL"
_FIXED = f"""
SELECT s.budget_id, window_start, value, spent, spent_fraction FROM am_credit_budget_spent s {_LIVE}
WHERE counted_from IS NULL
"""
_STEPS = f"SELECT s.budget_id, at, value, spent, spent_fraction FROM am_credit_budget_step s {_LIVE}"
_NOT_ITS_STEPS = f"""
SELECT r.budget_id, r.value FROM am_credit_budget_spent r
WHERE counted_from IS NOT NULL AND r.spent * {MICROS} + r.spent_fraction <> (
    SELECT coalesce(sum(s.spent * {MICROS} + s.spent_fraction), 0) FROM am_credit_budget_step s
    WHERE s.wallet_id = r.wallet_id AND s.budget_id = r.budget_id AND s.value = r.value AND s.at > r.counted_from
)
"""
_HELD = f"SELECT s.budget_id, value, held, held_fraction FROM am_credit_budget_held s {_LIVE}"
_OPEN_HOLDS = """
SELECT amount_yen, captured_yen, captured_fraction, above_yen, reserved FROM am_credit_hold WHERE status = 'open'
"""


def counted(ledger: PlainSql) -> Counter[tuple[int, str, str]]:
    """What is stored, in the same form."""
    found: Counter[tuple[int, str, str]] = Counter()
    for budget_id, start, value, spent, fraction in ledger.run(_FIXED):
        found[budget_id, start, value] = spent * MICROS + fraction
    for budget_id, at, value, spent, fraction in ledger.run(_STEPS):
        found[budget_id, str(parse_instant(at).timestamp() // 1), value] += spent * MICROS + fraction
    return found


def reserved_again(ledger: PlainSql, units: dict[int, str]) -> Counter[tuple[int, str]]:
    """What open holds reserve, by budget and value."""
    held: Counter[tuple[int, str]] = Counter()
    for amount, captured, fraction, above, text in ledger.run(_OPEN_HOLDS):
        reserved, is_counted = parse_reserved(text)
        calls = CALL * (not (is_counted or captured or fraction or above))
        for each in reserved:
            if each.is_held and each.budget_id in units:
                yen = (amount - captured) * MICROS - fraction
                held[each.budget_id, each.value] += yen if units[each.budget_id] == "yen" else calls
    return held


@pytest.mark.parametrize("seed", range(3))
def test_counters_are_what_entries_and_holds_come_to(
    wallets: CreditWallet, db_url: str, clock: Clock, seed: int
) -> None:
    clock.set(NINE)
    with CreditWallet.open(db_url, clock=clock) as other:
        play = Play((wallets, other), clock, seed)
        play.make_budgets(2)
        for number in range(250):
            play.step()
            if number == 120:
                play.make_budgets(1)
                delete(wallets, play.wallet_id, 1)
        wallets.maintenance.expire_due()
    with PlainSql(db_url) as ledger:
        groups = dict(ledger.run("SELECT key_id, key_group FROM am_credit_key"))
        units = dict(ledger.run("SELECT budget_id, unit FROM am_credit_budget WHERE deleted_at IS NULL"))
        assert +counted(ledger) == +counted_again(ledger, play.wallet_id, groups)
        assert ledger.run(_NOT_ITS_STEPS) == []
        held = {(budget_id, value): whole * MICROS + more for budget_id, value, whole, more in ledger.run(_HELD)}
        assert held == +reserved_again(ledger, units)
        [(kinds,)] = ledger.run("SELECT budget_kinds FROM am_credit_wallet WHERE wallet_id = ?", play.wallet_id)
        assert sum(json.loads(kinds).values()) == len(units)
