"""A month of agent traffic through the real rail: 20 agents on 5 wallets, hour by hour, everything that can happen.

Time is simulated, money is not: every call is a durable movement in a SQLite file in a temporary folder. The run is the
same every time.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from msgspec import Struct

from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import format_micros, format_yen
from credit_wallet.domain.outcomes import Charged
from credit_wallet.errors import WalletError
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.reports.statement import to_text

PRICES = """
[[price]]
item = "search"
unit_price_yen = "3.30"

[[price]]
item = "tokens"
unit_price_yen = "0.2"
per = 1000
"""
RAISED = PRICES.replace('"3.30"', '"3.85"')
"""What counts from ``RAISED_AFTER`` on."""

RAISED_AFTER = 20 * 24
HELD_YEN = 60
MONTH = datetime(2026, 10, 1, tzinfo=UTC)
HOURS = 31 * 24
AGENTS_A_WALLET = 4
SHOWN_ENTRIES = 12

Say = Callable[[str], object]


class Plan(Struct, frozen=True):
    """How one of the demo's wallets is set up and funded."""

    label: str
    topup_yen: int
    weekly_topup_yen: int = 0
    monthly_budget_yen: int = 0
    budget_mode: str = "alert"
    promo_yen: int = 0
    key_cap_yen: int = 0


PLANS = (
    Plan("search", 10_000, weekly_topup_yen=4_000, monthly_budget_yen=16_000),
    Plan("translation", 20_000, monthly_budget_yen=9_000, budget_mode="cap"),
    Plan("scraping (runs dry)", 4_000),
    Plan("summaries (promo lapses mid-month)", 15_000, promo_yen=15_000),
    Plan("research (capped agents)", 20_000, key_cap_yen=2_500, monthly_budget_yen=12_000),
)


class SimulatedClock:
    """Tells the time that the demo sets."""

    def __init__(self, moment: datetime) -> None:
        self.moment = moment

    def __call__(self) -> datetime:
        return self.moment


class Agent:
    """Pays for its calls: mostly charges, sometimes a hold, now and then a retry or a refund of a failed call."""

    def __init__(self, wallets: CreditWallet, wallet_id: int, key_id: int, seed: int) -> None:
        self._wallets = wallets
        self._wallet_id = wallet_id
        self._key_id = key_id
        self._random = Random(seed)  # noqa: S311 - the demo is the same every time
        self._calls = 0
        self.counts: Counter[str] = Counter()

    async def work_an_hour(self) -> None:
        """A few calls, more by day than by night."""
        for _ in range(self._random.randint(0, 3)):
            try:
                await self._call()
            except WalletError as refusal:
                self.counts[refusal.code] += 1

    async def _call(self) -> None:
        self._calls += 1
        key = f"agent-{self._key_id}-{self._calls:06d}"
        if self._random.random() < 0.1:
            await self._call_of_unknown_price(key)
            return
        charge = await self._search(key)
        self.counts["charge"] += 1
        if self._random.random() < 0.05:  # the answer got lost on the way: send the same again
            self.counts["retry (charged once)"] += (await self._search(key)).replayed
        if self._random.random() < 0.02:  # the call failed: give it back
            await self._wallets.arefund(charge.txn_id, idempotency_key=f"{key}-failed", note="call failed")
            self.counts["refund"] += 1

    async def _search(self, key: str) -> Charged:
        engine = "news" if self._calls % 3 == 0 else "web"
        return await self._wallets.acharge(
            self._wallet_id, item="search", facts={"tool": engine}, idempotency_key=key, key_id=self._key_id
        )

    async def _call_of_unknown_price(self, key: str) -> None:
        model = self._random.choice(("large", "small"))
        hold = await self._wallets.ahold(
            self._wallet_id,
            HELD_YEN,
            facts={"model": model, "tool": "summarize"},
            idempotency_key=key,
            ttl_seconds=1800,
            key_id=self._key_id,
        )
        self.counts["hold"] += 1
        fate = self._random.random()
        if fate < 0.1:
            self.counts["hold left to expire"] += 1
        elif fate < 0.2:
            await self._wallets.arelease(hold.hold_id)
            self.counts["release"] += 1
        else:
            tokens = self._random.randint(2_000, 200_000)
            await self._wallets.acapture(hold.hold_id, item="tokens", quantity=tokens)
            self.counts["capture"] += 1


def run_demo(say: Say) -> None:
    """Run the month and ``say`` what came of it, line by line."""
    with TemporaryDirectory(prefix="credit-wallet-demo-") as folder:
        clock = SimulatedClock(MONTH)
        with CreditWallet.open(f"sqlite:///{Path(folder) / 'demo.db'}", clock=clock) as wallets:
            wallet_ids, agents = _set_up(wallets)
            say(f"{len(agents)} agents on {len(wallet_ids)} wallets, {MONTH:%B %Y}; {_price_list(wallets)} …")
            asyncio.run(_live_through(wallets, wallet_ids, agents, clock))
            _report(wallets, wallet_ids, agents, say)


def _price_list(wallets: CreditWallet) -> str:
    """``search ¥3.3, tokens ¥0.2 per 1,000``."""
    return ", ".join(
        f"{price.item} ¥{price.unit_price}" + (f" per {price.per:,}" if price.per > 1 else "")
        for price in wallets.prices.list()
    )


def _set_up(wallets: CreditWallet) -> tuple[list[int], list[Agent]]:
    wallets.prices.apply(PRICES)
    wallet_ids, agents = [], []
    for plan in PLANS:
        wallet_id = wallets.create(
            label=plan.label, monthly_budget_yen=plan.monthly_budget_yen, budget_mode=plan.budget_mode
        ).wallet_id
        wallet_ids.append(wallet_id)
        wallets.topup(wallet_id, plan.topup_yen, idempotency_key="first-topup", note="card")
        if plan.promo_yen:
            wallets.topup(
                wallet_id,
                plan.promo_yen,
                idempotency_key="welcome",
                promo=True,
                expires_at=format_instant(MONTH + timedelta(days=14)),
                note="welcome gift",
            )
        for _ in range(AGENTS_A_WALLET):
            key_id = wallets.keys.create(wallet_id, monthly_cap_yen=plan.key_cap_yen).key_id
            agents.append(Agent(wallets, wallet_id, key_id, seed=key_id))
    return wallet_ids, agents


async def _live_through(
    wallets: CreditWallet, wallet_ids: list[int], agents: list[Agent], clock: SimulatedClock
) -> None:
    for hour in range(HOURS):
        clock.moment = MONTH + timedelta(hours=hour)
        wallets.maintenance.expire_due()
        if hour == RAISED_AFTER:
            wallets.prices.apply(RAISED)
        if hour and hour % (7 * 24) == 0:
            for wallet_id, plan in zip(wallet_ids, PLANS, strict=True):
                if plan.weekly_topup_yen:
                    wallets.topup(
                        wallet_id, plan.weekly_topup_yen, idempotency_key=f"week-{hour}", note="weekly transfer"
                    )
        await asyncio.gather(*(agent.work_an_hour() for agent in agents))
        wallets.alerts.run()
    wallets.maintenance.seal()


def _report(wallets: CreditWallet, wallet_ids: list[int], agents: list[Agent], say: Say) -> None:
    counts = sum((agent.counts for agent in agents), Counter[str]())
    say("")
    for what, count in counts.most_common():
        say(f"  {count:>7,}  {what}")
    say("")
    for wallet_id in wallet_ids:
        wallet = wallets.show(wallet_id)
        spent = f"{format_micros(wallet.current_cycle_spent_micros)} spent"
        budget = (
            f" of {format_yen(wallet.monthly_budget_yen)} ({wallet.budget_mode})" if wallet.monthly_budget_yen else ""
        )
        say(f"  wallet {wallet_id}  {format_micros(wallet.balance_micros):>12} left, {spent}{budget}  {wallet.label}")
        for alert in reversed(wallets.alerts.list(wallet_id)):
            say(f"            alert at {alert.threshold_pct} %: {format_yen(alert.spent_yen)} spent")
    say("")
    lines = to_text(wallets.statement(wallet_ids[3], f"{MONTH:%Y-%m}")).splitlines()
    head = next(number for number, line in enumerate(lines) if line.lstrip().startswith("Entry")) + 1
    for line in lines[: head + SHOWN_ENTRIES]:
        say(line)
    say(f"  … and {len(lines) - head - SHOWN_ENTRIES:,} more entries")
    say("")
    violations = wallets.verify()
    for violation in violations:
        say(violation.message)
    say("verify: every invariant holds" if not violations else f"verify: {len(violations)} violations")
