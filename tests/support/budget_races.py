"""What a node of four does while 64 callers race for what is left of nested caps."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from random import Random
from threading import Barrier
from typing import Any, NamedTuple

from nodes import NODES, PATIENCE_SECONDS, Inside
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.errors import DatabaseLocked, RailBusy, WalletError
from credit_wallet.rules.details import exact_micros, parse_detail

CALLERS = 64
RUNS = 8
HOLD_SECONDS = 3 * 86_400
"""Longer than the day that ends."""

RUN_YEN, KEY_YEN, GROUP_YEN, WALLET_YEN = 40, 320, 480, 640

_USED = """
SELECT b.budget_id, counted.value, b.limit_whole * 1000000 + b.limit_fraction,
       coalesce(s.spent * 1000000 + s.spent_fraction, 0) + coalesce(h.held * 1000000 + h.held_fraction, 0)
FROM am_credit_budget b
JOIN (SELECT budget_id, value FROM am_credit_budget_spent UNION SELECT budget_id, value FROM am_credit_budget_held)
     counted ON counted.budget_id = b.budget_id
LEFT JOIN am_credit_budget_spent s
     ON s.budget_id = b.budget_id AND s.value = counted.value AND s.window_start = ?
LEFT JOIN am_credit_budget_held h ON h.budget_id = b.budget_id AND h.value = counted.value
WHERE b.deleted_at IS NULL
"""


_CHARGES = """
SELECT txn_id, amount_yen, CAST(detail AS TEXT), occurred_at, key_id FROM am_credit_transaction_log
WHERE wallet_id = ? AND txn_type = 'charge' ORDER BY txn_id
"""


class LateClock:
    """The time, moved on by the days that a file says: for every node at once."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __call__(self) -> datetime:
        return datetime.now(UTC) + timedelta(days=int(self._path.read_text(encoding="ascii")))


def open_nested(wallets: CreditWallet) -> tuple[int, list[int]]:
    """A wallet with a cap for the day, in it one of a group, in it one of a key, in it one of each run."""
    wallet_id = wallets.create(time_zone="UTC").wallet_id
    wallets.topup(wallet_id, 100_000, idempotency_key="start")
    keys = [wallets.keys.create(wallet_id, group=f"acme/agent-{number}").key_id for number in range(2)]
    make = wallets.budgets.create
    make(wallet_id, limit_yen=WALLET_YEN, window="day")
    make(wallet_id, limit_yen=GROUP_YEN, window="day", scope={"group": "acme"})
    make(wallet_id, limit_yen=KEY_YEN, window="day", scope={"key_id": keys[0]})
    make(wallet_id, limit_yen=RUN_YEN, window="day", scope={"key_id": keys[0], "run": "*"})
    return wallet_id, keys


def open_late(inside: Inside, url: str, clock: Path) -> None:
    inside.wallets = CreditWallet.open(url, clock=LateClock(clock))


def patiently(act: Callable[[], Any]) -> Any:
    """What a caller gets that tries again when a database is busy."""
    while True:
        try:
            return act()
        except (DatabaseLocked, RailBusy):
            continue


def charge_what_fits(inside: Inside, node: int, wallet_id: int, key_id: int, each: int) -> list[str]:
    """Each caller charges one yen so many times, for runs by turns; the refusals."""

    def call(caller: int) -> list[str]:
        refused = []
        for number in range(each):
            name = f"{node}-{caller}-{number}"
            facts = {"run": f"r{(caller + number) % RUNS}"}
            try:
                patiently(
                    partial(inside.wallets.charge, wallet_id, 1, idempotency_key=name, key_id=key_id, facts=facts)
                )
            except WalletError as refusal:
                refused.append(f"{refusal.code}: {refusal}")
        return refused

    return _by_threads(inside, call)


def do_anything(inside: Inside, node: int, wallet_id: int, keys: list[int], steps: int, clock: Path) -> list[str]:
    """Each caller charges, holds, captures, releases and refunds, half of it a day later; the refusals that are wrong.

    All nodes go to the next day together: one whose clock is late would hold against what was spent the day before.
    """

    def end_the_day() -> None:
        inside.meet()
        if not node:
            later = clock.with_name("later")
            later.write_text("1", encoding="ascii")
            later.replace(clock)
        inside.meet()

    day_ends = Barrier(CALLERS // NODES, end_the_day)

    def call(caller: int) -> list[str]:
        random = Random(node * 1_000 + caller)
        caller_of = _Caller(inside.wallets, wallet_id, keys, f"{node}-{caller}", random)
        for number in range(steps):
            if number == steps // 2:
                day_ends.wait(PATIENCE_SECONDS)
            caller_of.step(number)
        return caller_of.wrong

    return _by_threads(inside, call)


def spend_the_rest(inside: Inside, node: int, wallet_id: int, key_id: int | None, yen: str) -> list[str]:
    """Each caller charges for every run until everything is refused."""

    def call(caller: int) -> list[str]:
        number = 0
        for run in range(RUNS):
            while True:
                number += 1
                name = f"{node}-{caller}-{key_id}-{yen}-{number}"
                try:
                    patiently(
                        partial(
                            inside.wallets.charge,
                            wallet_id,
                            yen,
                            idempotency_key=name,
                            key_id=key_id,
                            facts={"run": f"r{(caller + run) % RUNS}"},
                        )
                    )
                except WalletError as refusal:
                    assert refusal.code == "budget_exhausted", refusal
                    break
        return []

    return _by_threads(inside, call)


def _by_threads(inside: Inside, call: Callable[[int], list[str]]) -> list[str]:
    callers = CALLERS // NODES
    inside.meet()
    with ThreadPoolExecutor(callers) as threads:
        return [each for refused in threads.map(call, range(callers)) for each in refused]


class _Caller:
    def __init__(self, wallets: CreditWallet, wallet_id: int, keys: list[int], name: str, random: Random) -> None:
        self._wallets, self._wallet_id, self._keys, self._name, self._random = wallets, wallet_id, keys, name, random
        self._holds: list[int] = []
        self._charges: list[int] = []
        self.wrong: list[str] = []

    def step(self, number: int) -> None:
        key = f"{self._name}-{number}"
        act = self._random.choice((self._charge, self._charge, self._hold, self._capture, self._release, self._refund))
        try:
            patiently(lambda: act(key))
        except WalletError as refusal:
            if refusal.code == "hold_closed":  # captured whole, or expired as the day ended
                self._holds.pop(0)
                return
            budget = refusal.details.get("budget")
            if refusal.code == "budget_exhausted" and isinstance(budget, dict):
                left = Decimal(budget["limit"]) - Decimal(budget["spent"]) - Decimal(budget["held"])
                if max(left, Decimal(0)) != Decimal(budget["left"]):
                    self.wrong.append(repr(refusal))
            else:
                self.wrong.append(repr(refusal))

    def _payer(self) -> dict[str, Any]:
        key_id = self._random.choice((self._keys[0], self._keys[0], self._keys[1], None))
        return {"key_id": key_id, "facts": {"run": self._random.choice(("r0", f"r{self._random.randrange(RUNS)}"))}}

    def _charge(self, key: str) -> None:
        amount = self._random.choice((1, 2, "0.25", "1.5"))
        charged = self._wallets.charge(self._wallet_id, amount, idempotency_key=key, **self._payer())
        self._charges.append(charged.txn_id or 0)

    def _hold(self, key: str) -> None:
        held = self._wallets.hold(
            self._wallet_id, self._random.choice((1, 3)), idempotency_key=key, ttl_seconds=HOLD_SECONDS, **self._payer()
        )
        self._holds.append(held.hold_id or 0)

    def _capture(self, key: str) -> None:
        if self._holds:
            is_final = self._random.random() < 0.5
            self._wallets.capture(self._holds[0], "0.5", idempotency_key=key, final=is_final)
            if is_final:
                self._holds.pop(0)

    def _release(self, key: str) -> None:
        if self._holds:
            self._wallets.release(self._holds[0], idempotency_key=key)
            self._holds.pop(0)

    def _refund(self, key: str) -> None:
        if self._charges:
            self._wallets.refund(self._charges.pop(), idempotency_key=key)


class Used(NamedTuple):
    """Of a cap, by a value."""

    budget_id: int
    value: str
    limit_micros: int
    used_micros: int
    """Spent, and held by open holds."""


def used_of(host: PlainSql, today: str) -> list[Used]:
    """Of every cap, at one moment."""
    return [Used(int(number), value, int(limit), int(used)) for number, value, limit, used in host.run(_USED, today)]


def walk(host: PlainSql, wallet_id: int, keys: list[int]) -> Iterator[tuple[int, str, str, int]]:
    """In the order of the ledger: entry, cap, its day, and what had been spent of it by then, in micros."""
    spent: Counter[tuple[str, str]] = Counter()
    for txn_id, yen, text, occurred_at, key_id in host.run(_CHARGES, wallet_id):
        detail = parse_detail(text)
        caps = ["wallet", *(["group"] if key_id is not None else [])]
        if key_id == keys[0]:
            caps += ["key", (detail.facts or {})["run"]]
        for cap in caps:
            spent[cap, occurred_at[:10]] -= exact_micros(yen, detail)
            yield txn_id, cap, occurred_at[:10], spent[cap, occurred_at[:10]]
