"""A book to copy, and where to."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest
from budgeted import change_key, make
from clock import Clock
from copied_book import ODD_TEXTS, PAID, Answer, Book, Movement, Shell
from databases import Databases
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.cli import app as cli
from credit_wallet.domain.acts import OWNER, Author
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.domain.topups import PaymentFact
from credit_wallet.notices.targets import OPERATOR, TargetSettings
from credit_wallet.stores.jobs.notice_queue import Places

NEXT_YEAR = "2027-01-01T00:00:00.000Z"
ODD_FACTS = {"tool": 'say "hi" \\', "run": "🏃 {1}"}


class Writer:
    """Writes a book."""

    def __init__(self, path: Path) -> None:
        self.url = f"sqlite:///{path}"
        self.clock = Clock(datetime(2026, 2, 10, 9, tzinfo=UTC))
        self.wallets = CreditWallet.open(self.url, clock=self.clock)
        self.movements: list[Movement] = []

    def move(self, name: str, *arguments: Any, **options: Any) -> Outcome:
        outcome = attrgetter(name)(self.wallets)(*arguments, **options)
        assert isinstance(outcome, Outcome)
        self.movements.append(Movement(name, arguments, options, outcome))
        return outcome

    def month(self, wallet_ids: Sequence[int], key_ids: Sequence[int]) -> None:
        """What happens in a month; ends in the next one."""
        cycle = self.clock().isoformat()[:7]
        for number, wallet_id in enumerate(wallet_ids):
            name = f"{cycle} 🔑 '{number}' \\"
            paid = self.move("topup", wallet_id, 2_000, idempotency_key=f"{name} paid", note=ODD_TEXTS[number])
            expiry = (self.clock() + timedelta(days=9 + number)).isoformat()
            self.move(
                "topup", wallet_id, 300, idempotency_key=f"{name} promo", promo=True, expires_at=expiry, note="gift"
            )
            for turn, text in enumerate(ODD_TEXTS):
                self.move(
                    "charge", wallet_id, 40 + turn, idempotency_key=f"{name} {turn} {text.strip()[:9]!r}", note=text
                )
            spent = self.move("charge", wallet_id, "60.3", idempotency_key=f"{name} agent", key_id=key_ids[number])
            self.move("refund", spent.txn_id, "25.000001", idempotency_key=f"{name} refund", note="half")
            self.move(
                "refund",
                self.movements[-3].outcome.txn_id,
                idempotency_key=f"{name} 0199f3a2-7c1e-7000-8000-3b1d5f8e2a10",
            )
            held = self.move("hold", wallet_id, "90.5", idempotency_key=f"{name} hold", facts=ODD_FACTS)
            self.move("capture", held.hold_id, "55.25")
            names = {"request_id": f"req-{number}", "reference": "注文 1", "metadata": ODD_FACTS}
            self.move("charge", wallet_id, "0.000001", idempotency_key=f"{name} facts", facts=ODD_FACTS, **names)
            released = self.move("hold", wallet_id, 80, idempotency_key=f"{name} hold 2", key_id=key_ids[number])
            self.move("release", released.hold_id, idempotency_key=f"{name} release")
            self.move("topup", wallet_id, 33, idempotency_key=f"{name} lapses", expires_at=expiry, promo=True)
            self.move("hold", wallet_id, 70, idempotency_key=f"{name} expires", ttl_seconds=60, key_id=key_ids[number])
            self.purchases(wallet_id, name)
            self.move("reverse", paid.txn_id, "100.75", idempotency_key=f"{name} reverse", note="clawed back")
        self.clock.advance(days=15)
        self.wallets.maintenance.expire_due()
        self.wallets.alerts.run()
        self.wallets.maintenance.seal()
        self.clock.advance(days=16)

    def purchases(self, wallet_id: int, name: str) -> None:
        """One that is served, one that is given back, one that is under way; charged and held."""
        for number, hold_seconds in enumerate((None, 60)):
            for act in ("serve", "undo", "renew"):
                key = f"{name} {act} {number}"
                self.wallets.purchases.buy(wallet_id, "5.5", purchase_key=key, attempt="a", hold_seconds=hold_seconds)
                getattr(self.wallets.purchases, act)(wallet_id, key, attempt="a")


def give_access(wallets: CreditWallet, wallet_id: int) -> None:
    """Operators, of whom one is gone, a key of the host's that has leaked, and people in the pages."""
    wallets.links.take(wallets.links.create(wallet_id, scopes=["read"], language="ja").secret, embedded=True)
    for name in ("alice", "bob"):
        operator = wallets.operators.create(name, "support")
    wallets.operators.rotate(operator.operator_id)
    wallets.operators.revoke(operator.operator_id)
    wallets.secrets.register(wallet_id, sha256(b"leaked").hexdigest())
    wallets.tokens.revoke("leaked")
    left_id = wallets.create(label=ODD_TEXTS[0]).wallet_id
    wallets.close_wallet(left_id, note=ODD_TEXTS[1])
    wallets.erase_personal_data(left_id)


def write(path: Path) -> Book:
    writer = Writer(path)
    wallets, clock = writer.wallets, writer.clock
    wallet_ids = [
        wallets.create().wallet_id,
        wallets.create(
            label=ODD_TEXTS[0], monthly_budget_yen=600, time_zone="Asia/Tokyo", reference=ODD_TEXTS[1]
        ).wallet_id,
        wallets.create(label=ODD_TEXTS[1], auto_topup_threshold=2_200, auto_topup_amount=9_000).wallet_id,
    ]
    key_ids = [
        wallets.keys.create(wallet_id, label=ODD_TEXTS[2], monthly_cap_yen=150).key_id for wallet_id in wallet_ids
    ]
    wallets.configure(wallet_ids[1], alert_thresholds_pct=[10, 120], low_balance_yen=1_000)
    wallets.targets.add(wallet_ids[1], TargetSettings(url="https://example.com/hook", time_zone="Asia/Tokyo"))
    wallets.targets.add(OPERATOR, TargetSettings(url="https://example.com/all", kinds=("budget.threshold_reached",)))
    make(wallets, wallet_ids[0], 100, scope=(("run", "*"),), mode="alert", raised_micros=1, raised_until=NEXT_YEAR)
    make(wallets, wallet_ids[0], 1, unit="calls", window="rolling:30m", mode="shadow")
    make(wallets, wallet_ids[1], 10**12, window="total")
    change_key(wallets, wallet_ids[1], key_ids[1], group="acme/search")
    for _ in range(3):
        writer.month(wallet_ids, key_ids)
    wallets.targets.add(wallet_ids[1], TargetSettings(url="mailto:owner@example.com"), mail=True)
    wallets.notices.lease([Places("webhook", 0, 0, 10)])
    wallets.keys.revoke(key_ids[0])
    wallets.keys.rotate(key_ids[1])
    wallets.rotate_owner_token(wallet_ids[1])
    wallets.secrets.register(wallet_ids[2], sha256(b"host's own").hexdigest(), key_ids[2])
    for label in ODD_TEXTS[:2]:
        seller = wallets.sellers.create(label=label)
    wallets.sellers.revoke(seller.seller_id)
    wallets.keys.create(wallet_ids[2], expires_at="2027-01-01T00:00:00Z", scopes=["read"])
    give_access(wallets, wallet_ids[2])
    wallets.freeze(wallet_ids[2])

    odd = Author("operator", ODD_TEXTS[0])
    for price in ("0", "0.5"):
        tiers = f'[{{up_to = "3.5", unit_price_yen = "{price}"}}, {{unit_price_yen = 2}}]'
        wallets.acting(odd).prices.apply(f'[[price]]\nitem = "search"\ntiers = {tiers}\n')
        writer.move("charge", wallet_ids[0], item="search", quantity="2.25", idempotency_key=f"searches at {price}")
    wallets.configure(wallet_ids[0], price_group="partners")

    lapsing: tuple[Any, ...] = ("never", "next", 40)
    for number, lapses in enumerate(lapsing):
        start = clock() - timedelta(days=70 + number)
        wallets.grants.create(
            wallet_ids[number], "7.5", every="month", starts_at=start, lapses=lapses, note=ODD_TEXTS[0]
        )
    wallets.grants.cancel(wallets.grants.create(wallet_ids[0], 9, starts_at=clock() + timedelta(days=90)).grant_id)
    while wallets.maintenance.credit_grants():
        pass
    wallets.acting(OWNER).configure(wallet_ids[2], auto_topup_daily_yen=7, auto_topup_consent=ODD_TEXTS[1])

    poor_id = wallets.create().wallet_id
    clawed_back = writer.move("topup", poor_id, 500, idempotency_key="topup")
    writer.move("charge", poor_id, "450.4", idempotency_key="charge")
    writer.move("reverse", clawed_back.txn_id, 500, idempotency_key="reverse")
    assert wallets.balance(poor_id).debt == Decimal("450.4")

    wallets.transfers.create(wallet_ids[0], poor_id, "1.25", idempotency_key="moved", note=ODD_TEXTS[0])

    paying_id = wallets.create().wallet_id
    paid = writer.move("topups.request", paying_id, 1_000, idempotency_key="paid 🧾")
    wallets.topups.settle(paying_id, paid.topup_id or "", PAID)
    writer.move("topups.pay_back", paying_id, paid.topup_id, 200, idempotency_key="paid back")
    sold = writer.move("charge", paying_id, 5, idempotency_key="sold", actor="seller:1")
    writer.move("refund", sold.txn_id, idempotency_key="sold back", actor="seller:1")
    failed = writer.move("topups.request", paying_id, 70, idempotency_key="failed")
    wallets.topups.settle(
        paying_id, failed.topup_id or "", PaymentFact(observed_at=40, status="failed", reason=ODD_TEXTS[1])
    )
    writer.move("topups.request", paying_id, 500, idempotency_key="under way", flow="checkout")

    capped_id = wallets.create(monthly_budget_yen=1_000, budget_mode="cap").wallet_id
    key_id = wallets.keys.create(capped_id, monthly_cap_yen=500).key_id
    writer.move("topup", capped_id, 5_000, idempotency_key="topup")
    writer.move("charge", capped_id, 450, idempotency_key="agent", key_id=key_id)
    writer.move("charge", capped_id, 400, idempotency_key="owner")
    make(wallets, capped_id, 1_000, window="total")
    writer.move("hold", capped_id, 50, idempotency_key="open", ttl_seconds=9_999)

    with PlainSql(writer.url) as host:
        adopted_id = host.wallet(balance_yen=10)
        host.move(adopted_id, "topup", 90, clock().isoformat())
        wallets.alerts.run()
        while wallets.maintenance.count_usage():
            pass
        assert wallets.verify() == []
        writer.move("charge", adopted_id, 5, idempotency_key="backfills")
        wallets.maintenance.watch_spending()
        while wallets.maintenance.count_usage():
            pass
        while wallets.maintenance.count_totals():
            pass
        while wallets.maintenance.seal():
            pass
        wallets.close()
        plain_id = host.wallet(balance_yen=3, monthly_budget_yen=100)
        host.move(plain_id, "topup", 200, clock().isoformat())
        host.move(plain_id, "charge", -60, clock().isoformat())
        host.move(adopted_id, "charge", -7, clock().isoformat())
    return Book(path, clock(), writer.movements, capped_id, key_id, plain_id)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Book:
    return write(tmp_path_factory.mktemp("book") / "wallet.db")


@pytest.fixture
def book(written: Book, tmp_path: Path) -> Book:
    """A book of the test's own."""
    return written._replace(path=Path(shutil.copy(written.path, tmp_path)))


@pytest.fixture
def target(db_url: str) -> str:
    """An empty ledger."""
    return db_url


@pytest.fixture
def nothing(databases: Databases) -> Iterator[str]:
    """A database with nothing in it."""
    with databases.nothing() as url:
        yield url


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """Calls the command line in this process."""

    def run_here(*words: str) -> Answer:
        monkeypatch.setattr(sys, "argv", ["credit-wallet", *words])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Answer(ended.value.code, printed.out, printed.err)

    return run_here
