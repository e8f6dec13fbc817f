"""Random charges, holds, captures, refunds and purchases by item while prices change, beside a plain account of them.

The account is kept in exact fractions by what the how-to says, and knows nothing of the product's arithmetic.
"""

from __future__ import annotations

import os
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from random import Random
from typing import NamedTuple

import pytest
from clock import Clock
from databases import on_every_database

from credit_wallet import CreditWallet
from credit_wallet.errors import ItemNotPriced

pytestmark = on_every_database

STEPS = int(os.environ.get("PRICED_STEPS", "120"))
MICRO = Fraction(1, 1_000_000)
START = datetime(2026, 11, 28, 12, tzinfo=UTC)


class Given(NamedTuple):
    """A price as the file has it; tiers end with the one without an end."""

    item: str
    wallet_id: int | None
    group: str | None
    valid_from: datetime | None
    per: int
    tiers: tuple[tuple[int | None, Fraction], ...]

    def toml(self) -> str:
        lines = ["[[price]]", f'item = "{self.item}"', f"per = {self.per}"]
        lines += [f"wallet_id = {self.wallet_id}"] if self.wallet_id else []
        lines += [f'group = "{self.group}"'] if self.group else []
        lines += [f"valid_from = {self.valid_from.isoformat()}"] if self.valid_from else []
        parts = [
            "{" + (f"up_to = {end}, " if end else "") + f'unit_price_yen = "{float(price):.6f}"' + "}"
            for end, price in self.tiers
        ]
        lines += [f"tiers = [{', '.join(parts)}]"] if len(parts) > 1 else [parts[0].strip("{}")]
        return "\n".join(lines) + "\n"

    def cost(self, used: Fraction, quantity: Fraction) -> Fraction:
        """Rounded half up to the micro."""
        exact, low = Fraction(0), Fraction(0)
        for end, price in self.tiers:
            high = used + quantity if end is None else Fraction(end)
            exact += max(Fraction(0), min(used + quantity, high) - max(used, low)) * price / self.per
            low = high
        return (exact / MICRO + Fraction(1, 2)).__floor__() * MICRO


class Account:
    """What a ledger should say."""

    def __init__(self) -> None:
        self.prices: list[Given] = []
        self.groups: dict[int, str | None] = {}
        self.used: dict[tuple[int, str, str], Fraction] = defaultdict(Fraction)

    def price(self, item: str, wallet_id: int, now: datetime) -> Given | None:
        mine = [
            each
            for each in self.prices
            if each.item == item and (each.valid_from or START.min.replace(tzinfo=UTC)) <= now
        ]
        for scope in ((wallet_id, None), (None, self.groups[wallet_id]), (None, None)):
            found = [each for each in mine if (each.wallet_id, each.group) == scope]
            if found:
                return max(found, key=lambda each: (each.valid_from is not None, each.valid_from))
        return None

    def count(self, wallet_id: int, item: str, cycle: str, quantity: Fraction) -> bool:
        """Whether the item has tiers now, so that it is counted."""
        is_counted = any(len(each.tiers) > 1 for each in self.prices if each.item == item)
        if is_counted:
            self.used[wallet_id, item, cycle] += quantity
            assert self.used[wallet_id, item, cycle] >= 0
        return is_counted


class Walk:
    """One random walk on one ledger."""

    def __init__(self, wallets: CreditWallet, clock: Clock, seed: int) -> None:
        self.wallets, self.clock, self.random, self.account = wallets, clock, Random(seed), Account()
        self.wallet_ids = [wallets.create().wallet_id for _ in range(3)]
        for wallet_id in self.wallet_ids:
            wallets.topup(wallet_id, 10**9, idempotency_key="credit")
            self.account.groups[wallet_id] = None
        self.charged: list[tuple[int, int, str, Fraction, str, Fraction]] = []
        self.number = 0

    def step(self) -> None:
        self.number += 1
        act = self.random.choices(
            [self.apply, self.move_on, self.regroup, self.charge, self.capture, self.refund, self.undo],
            [2, 2, 1, 8, 4, 3, 2],
        )[0]
        act()

    def apply(self) -> None:
        wanted: dict[object, Given] = {}
        for item in ("a", "b.c"):
            for _ in range(self.random.randint(0, 4)):
                scope = self.random.choice([(None, None), (None, "g"), (self.random.choice(self.wallet_ids), None)])
                begins = self.random.choice([None, self.clock() + timedelta(hours=self.random.randint(-50, 50))])
                ends = sorted(self.random.sample(range(1, 60), self.random.choice([0, 0, 1, 2])))
                tiers = tuple((end, Fraction(self.random.randrange(10**7), 10**6)) for end in (*ends, None))
                wanted[item, scope, begins] = Given(item, *scope, begins, self.random.choice([1, 3, 1000]), tiers)
        self.account.prices = [*wanted.values()]
        self.wallets.prices.apply("# all\n" + "".join(each.toml() for each in wanted.values()), allow_empty=True)

    def move_on(self) -> None:
        self.clock.advance(hours=self.random.randint(1, 40))

    def regroup(self) -> None:
        wallet_id, group = self.random.choice(self.wallet_ids), self.random.choice([None, "g", "other"])
        self.wallets.configure(wallet_id, price_group=group)
        self.account.groups[wallet_id] = group

    def bought(self) -> tuple[int, str, Fraction, str, Fraction | None]:
        """A wallet, an item, a quantity, as it is written, and its cost."""
        wallet_id, item = self.random.choice(self.wallet_ids), self.random.choice(["a", "b.c"])
        micros = self.random.choice([self.random.randint(1, 30 * 10**6), self.random.randint(1, 30) * 10**6])
        quantity = micros * MICRO
        price = self.account.price(item, wallet_id, self.clock())
        used = self.account.used[wallet_id, item, self.cycle()] if price and len(price.tiers) > 1 else Fraction(0)
        cost = None if price is None else price.cost(used, quantity)
        return wallet_id, item, quantity, f"{micros // 10**6}.{micros % 10**6:06}", cost

    def charge(self) -> None:
        wallet_id, item, quantity, written, cost = self.bought()
        if cost is None:
            with pytest.raises(ItemNotPriced):
                self.wallets.charge(wallet_id, item=item, quantity=written, idempotency_key=str(self.number))
            return
        charged = self.wallets.charge(wallet_id, item=item, quantity=written, idempotency_key=str(self.number))
        assert Fraction(charged.amount) == cost
        was_counted = self.account.count(wallet_id, item, self.cycle(), quantity)
        self.charged.append((charged.txn_id, wallet_id, item, quantity, self.cycle() if was_counted else "", cost))

    def capture(self) -> None:
        wallet_id, item, quantity, written, cost = self.bought()
        hold = self.wallets.hold(wallet_id, 1, idempotency_key=str(self.number))
        if cost is None:
            with pytest.raises(ItemNotPriced):
                self.wallets.capture(hold.hold_id, item=item, quantity=written)
            self.wallets.release(hold.hold_id)
            return
        captured = self.wallets.capture(hold.hold_id, item=item, quantity=written, above="up_to_balance")
        assert Fraction(captured.amount) == cost
        self.account.count(wallet_id, item, self.cycle(), quantity)

    def refund(self) -> None:
        if not self.charged:
            return
        txn_id, wallet_id, item, quantity, cycle, cost = self.charged.pop(self.random.randrange(len(self.charged)))
        if cost <= 1:
            return
        if self.random.random() < 0.3:
            self.wallets.refund(txn_id, 1, idempotency_key=f"{self.number} part")
        if self.random.random() < 0.7:
            self.wallets.refund(txn_id, idempotency_key=str(self.number))
            if cycle == self.cycle():
                self.account.count(wallet_id, item, cycle, -quantity)

    def undo(self) -> None:
        wallet_id, item, _, written, cost = self.bought()
        if cost is not None:
            buy = self.wallets.purchases.buy(
                wallet_id, item=item, quantity=written, purchase_key=str(self.number), attempt="a"
            )
            assert Fraction(buy.amount) == cost
            self.wallets.purchases.undo(wallet_id, str(self.number), attempt="a")

    def cycle(self) -> str:
        return f"{self.clock():%Y-%m}"


@pytest.mark.parametrize("seed", range(3))
def test_every_amount_is_what_the_price_file_says(db_url: str, seed: int) -> None:
    clock = Clock(START)
    with CreditWallet.open(db_url, clock=clock) as wallets:
        walk = Walk(wallets, clock, seed)
        for _ in range(STEPS):
            walk.step()
        assert wallets.verify() == []
