"""Wallets as customers have them, for screenshots and for tests of pages: always the same, built through the library.

Each builder takes an ``Installation`` (its fake of Stripe takes the payments, and nothing is waited for) and moves its
clock on. ``build`` makes all of them in one ledger, in the month that ends at ``NOW``.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from random import Random
from typing import NamedTuple

from clock import Clock
from fake_stripe import StripeFailure
from installation import DECLINED, Installation, intent_of
from notified import notifier_of

from credit_wallet import BudgetExhausted, CallLimitReached, CreditWallet, KeyCapExhausted
from credit_wallet.domain.acts import Author
from credit_wallet.domain.views import ReferencedWallet
from credit_wallet.notices.targets import TargetSettings

NOW = datetime(2027, 3, 24, 6, 20, tzinfo=UTC)
"""15:20 of a Wednesday in Tokyo, with a week of the month to come; later than deliveries that are refused as old."""

START = NOW - timedelta(days=33)
ZONE = "Asia/Tokyo"
MARKUP = '<script>alert("x")</script><b>bold</b> & "quoted" {{ 7 * 7 }}'
"""What strangers write where a page shows a text of theirs."""

LONG = "とても長い名前の" * 12
NOBODY = "http://127.0.0.1:9/wallet"
"""Where notices cannot be delivered."""

PRICES = """
[[price]]
item = "search"
unit_price_yen = "3.30"

[[price]]
item = "tokens.input"
unit_price_yen = "0.4"
per = 1000

[[price]]
item = "tokens.output"
unit_price_yen = "1.6"
per = 1000

[[price]]
item = "image"
unit_price_yen = "12"

[[price]]
item = "pages"
tiers = [{up_to = 1000, unit_price_yen = "0"}, {unit_price_yen = "0.5"}]
"""
DEARER = PRICES.replace('"3.30"', '"3.63"').replace('"12"', '"11"')


class Samples(NamedTuple):
    """The wallets that pages are looked at with."""

    lively: ReferencedWallet
    empty: ReferencedWallet
    in_debt: ReferencedWallet
    strange: ReferencedWallet


def build(installation: Installation) -> Samples:
    """All of them, some thirty other customers, operators, and a price book with a history."""
    wallets, clock = installation.wallets, installation.clock
    clock.set(START)
    staff = Author("operator", "operator:1", "198.51.100.7", "sample-ledger")
    by_staff = wallets.acting(staff)
    for name, role in (("akari", "admin"), ("ben", "support"), ("chie", "finance"), ("watch", "viewer")):
        by_staff.operators.create(name, role)  # type: ignore[arg-type]
    by_staff.prices.apply(PRICES)
    _others(by_staff, clock)
    debt = in_debt(installation)
    odd = strange(installation)
    made = lively(installation, by_staff)
    clock.set(NOW)
    wallets.maintenance.expire_due()
    wallets.alerts.run()
    wallets.maintenance.seal()
    wallets.totals(anew=True)
    while wallets.maintenance.count_usage():
        pass
    return Samples(made, empty(installation), debt, odd)


def empty(installation: Installation) -> ReferencedWallet:
    """A wallet in which nothing has happened."""
    made: ReferencedWallet = installation.wallets.create(label="New customer", time_zone=ZONE, reference="cust_new")
    return made


def lively(installation: Installation, wallets: CreditWallet) -> ReferencedWallet:
    """A month of traffic: agents with caps, items and facts, budgets near 80 %, lots with ends, and payments."""
    clock = installation.clock
    made: ReferencedWallet = wallets.create(
        label="青空旅行株式会社", time_zone=ZONE, reference="cust_aozora", metadata={"plan": "business", "担当": "田中"}
    )
    wallet_id = made.wallet_id
    owner = wallets.acting(Author("payer", "owner", "203.0.113.20"))
    keys = _agents(owner, wallet_id)
    _settings(owner, wallet_id, keys)
    installation.pay(wallet_id, 40_000, "march")
    wallets.topup(wallet_id, 1_500, idempotency_key="gift", promo=True, expires_at=_day(27), note="Welcome credit")
    wallets.topup(wallet_id, 600, idempotency_key="spring", promo=True, expires_at=_day(50), note="春のキャンペーン")
    wallets.topup(wallet_id, 90, idempotency_key="lapses", promo=True, expires_at=_day(12))
    wallets.grants.create(
        wallet_id, 500, starts_at="2027-03-01", every="month", note="月例ボーナス", idempotency_key="monthly"
    )
    _traffic(wallets, clock, wallet_id, keys, Random(19))
    clock.set(NOW - timedelta(minutes=20))
    wallets.prices.apply(DEARER)
    _money(installation, wallets, wallet_id)
    return made


def in_debt(installation: Installation) -> ReferencedWallet:
    """A wallet whose payment was taken back by its bank after it was spent."""
    wallets, clock = installation.wallets, installation.clock
    made: ReferencedWallet = wallets.create(label="Harbor Analytics", time_zone=ZONE, reference="cust_harbor")
    topup = installation.pay(made.wallet_id, 5_000, "harbor")
    for number in range(12):
        clock.advance(hours=2)
        wallets.charge(made.wallet_id, 400, idempotency_key=f"harbor {number}", note="Nightly crawl")
    clock.advance(hours=20)
    installation.fake.dispute(intent_of(topup))
    installation.hear()
    return made


def strange(installation: Installation) -> ReferencedWallet:
    """A wallet in which every text that somebody else can set is markup, or very long."""
    wallets = installation.wallets
    made: ReferencedWallet = wallets.create(
        label=MARKUP,
        time_zone=ZONE,
        reference=MARKUP[:60],
        metadata={"note": MARKUP, "名前": LONG},
        monthly_budget_yen=300,
    )
    wallet_id = made.wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="odd", note=MARKUP, reference=MARKUP[:60], metadata={"a": MARKUP})
    key = wallets.keys.create(wallet_id, label=MARKUP, monthly_cap_yen=200, group="a").key_id
    wallets.keys.create(wallet_id, label=LONG[:100])
    wallets.budgets.create(wallet_id, limit_yen=100, window="day", scope={"tool": "*"}, label=MARKUP)
    for number, text in enumerate((MARKUP, LONG, "'\"><img src=x onerror=alert(1)>", "javascript:alert(1)")):
        facts = {"tool": text[:60], "user": "><svg/onload=alert(1)>"}
        wallets.charge(
            wallet_id,
            11,
            idempotency_key=f"odd {number} {MARKUP[:20]}",
            note=text,
            key_id=key,
            facts=facts,
            reference=text[:60],
        )
    wallets.freeze(wallet_id, reason="fraud", note=MARKUP)
    wallets.unfreeze(wallet_id, note=LONG)
    return made


def _agents(wallets: CreditWallet, wallet_id: int) -> list[int]:
    """Three that work, one that ends soon, and one that was revoked."""
    named = (("予約エージェント", 5_800), ("Research bot", 3_200), ("Nightly report", 0))
    keys = [wallets.keys.create(wallet_id, label=label, monthly_cap_yen=cap).key_id for label, cap in named]
    wallets.keys.create(wallet_id, label="Trial of the new agent", monthly_cap_yen=500, expires_at=_day(33))
    wallets.keys.revoke(wallets.keys.create(wallet_id, label="Old laptop").key_id)
    return keys


def _settings(wallets: CreditWallet, wallet_id: int, keys: list[int]) -> None:
    wallets.configure(
        wallet_id,
        monthly_budget_yen=11_000,
        low_balance_yen=3_000,
        auto_topup_threshold=2_000,
        auto_topup_amount=10_000,
        auto_topup_daily_yen=20_000,
        auto_topup_monthly_yen=60_000,
        auto_topup_consent_language="ja",
    )
    wallets.budgets.create(wallet_id, limit_yen=500, window="day", label="一日の上限", scope=None)
    wallets.budgets.create(wallet_id, limit_yen=2_300, window="month", label="Images", scope={"item": "image"})
    wallets.budgets.create(wallet_id, limit_yen=900, window="week", label="Per tool", scope={"tool": "*"}, mode="alert")
    wallets.budgets.create(
        wallet_id, limit_calls=8, window="rolling:24h", label="Research", scope={"key_id": str(keys[1])}
    )
    wallets.budgets.create(
        wallet_id, limit_yen=2_000, window="month", label="What if", scope={"tool": "translate"}, mode="shadow"
    )
    wallets.targets.add(wallet_id, TargetSettings(url=NOBODY), private=True)


def _traffic(wallets: CreditWallet, clock: Clock, wallet_id: int, keys: list[int], dice: Random) -> None:
    """Charges of every day, most of them by day and fewer on weekends."""
    for number, at in enumerate(_moments(clock(), dice)):
        clock.set(at)
        key = dice.choices(keys, (5, 3, 2))[0]
        tool, item, quantity = dice.choice(_CALLS)
        with suppress(BudgetExhausted, KeyCapExhausted, CallLimitReached):  # some budgets refuse, as they do
            wallets.charge(
                wallet_id,
                item=item,
                quantity=quantity * dice.randint(1, 4),
                facts={"tool": tool, "model": dice.choice(("large", "small"))},
                agent_facts={"run": f"run-{at:%m%d}"},
                note=dice.choice(_NOTES),
                idempotency_key=f"call {number}",
                key_id=key,
                request_id=f"req-{number}",
            )


_CALLS = (
    ("search", "search", 4),
    ("search", "search", 2),
    ("translate", "tokens.output", 9_000),
    ("plan", "tokens.input", 40_000),
    ("plan", "tokens.output", 6_000),
    ("draw", "image", 1),
)
_NOTES = (None, None, "京都の宿を3件", "Flights to Sapporo", "週末の天気", "Compare train passes", "請求書の要約")


def _moments(since: datetime, dice: Random) -> Iterator[datetime]:
    day = since.replace(hour=0, minute=0)
    while (day := day + timedelta(days=1)) < NOW:
        calls = dice.randint(12, 20) if day.weekday() < 5 else dice.randint(3, 7)
        moments = sorted(
            day + timedelta(minutes=dice.randint(0, 1_439), seconds=dice.randint(0, 59)) for _ in range(calls)
        )
        yield from (each for each in moments if since < each < NOW - timedelta(minutes=30))


def _money(installation: Installation, wallets: CreditWallet, wallet_id: int) -> None:
    """Credit with ends, payments that failed and that wait, a refund, a correction, notices that did not arrive."""
    charges = [each for each in wallets.history(wallet_id, limit=20) if each.txn_type == "charge"]
    wallets.refund(charges[0].txn_id, idempotency_key="refund", note="Asked for twice")
    wallets.adjust(wallet_id, 120, reason="goodwill", note="Outage of 21 March", idempotency_key="sorry")
    wallets.topup(wallet_id, 800, idempotency_key="soon", promo=True, expires_at="2027-03-29", note="Spring campaign")
    wallets.topup(
        wallet_id, 1_200, idempotency_key="later", promo=True, expires_at="2027-05-10", note="春のキャンペーン"
    )
    declined = installation.request(wallet_id, 3_000, "declined")
    with suppress(StripeFailure):
        installation.fake.pay(intent_of(declined), DECLINED)
    installation.hear()
    waiting = installation.request(wallet_id, 2_000, "waiting")
    installation.fake.pay(intent_of(waiting), "konbini")
    installation.hear()
    wallets.hold(wallet_id, 240, idempotency_key="open hold", note="Booking 4711", ttl_seconds=7_200)
    wallets.alerts.run()
    with ThreadPoolExecutor(1) as apart:  # from the event loop that a browser has under way in this thread
        apart.submit(notifier_of(wallets).deliver).result()
    wallets.targets.add(wallet_id, TargetSettings(url="https://hooks.aozora.example/wallet"))
    wallets.targets.add(wallet_id, TargetSettings(url="mailto:keiri@aozora.example"), mail=True)


def _others(wallets: CreditWallet, clock: Clock) -> None:
    """Thirty customers, some of whom have used up what they had."""
    dice = Random(7)
    for number, name in enumerate(_CUSTOMERS):
        clock.advance(minutes=7)
        made = wallets.create(
            label=name, reference=f"cust_{number + 100}", time_zone=ZONE, monthly_budget_yen=dice.choice((0, 5_000))
        )
        given = dice.randint(1, 40) * 500
        wallets.topup(made.wallet_id, given, idempotency_key=f"{number} topup")
        for call in range(dice.randint(1, 6)):
            wallets.charge(made.wallet_id, given // 10, idempotency_key=f"{number} {call}", note="API calls")
        if number % 9 == 0:
            wallets.charge(
                made.wallet_id, wallets.balance(made.wallet_id).balance_yen, idempotency_key=f"{number} rest"
            )
        if number % 13 == 5:
            wallets.freeze(made.wallet_id, reason="customer_request", note="Asked for by phone, ticket 4711")


_CUSTOMERS = (
    *(
        "Acme Robotics",
        "Globex",
        "Initech",
        "東京データ研究所",
        "株式会社みらい商事",
        "Umbrella Travel",
        "Hooli",
        "山田会計事務所",
    ),
    *(
        "Stark Legal",
        "北海道農業AI",
        "Wayne Logistics",
        "Soylent Foods",
        "ひかり出版",
        "Cyberdyne",
        "Tyrell Design",
        "Oscorp",
    ),
    *(
        "九州医療サービス",
        "Massive Dynamic",
        "Pied Piper",
        "Aperture Labs",
        "さくら不動産",
        "Vandelay Imports",
        "Nakatomi Trading",
    ),
    *("Gringotts", "大和運輸システム", "Monarch Studio", "Wonka Sweets", "Duff", "銀座翻訳", "Zorin"),
)


def _day(number: int) -> str:
    """The date so many days after the beginning."""
    return f"{START + timedelta(days=number):%Y-%m-%d}"
