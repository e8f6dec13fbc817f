"""Summaries of statements: at once however many entries there are, and the figures those that the entries add up to."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import floor
from random import Random

import pytest
from clock import Clock
from databases import on_both_databases, on_every_database
from service import Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.cycle import format_instant
from credit_wallet.errors import WalletError
from credit_wallet.reports import cycle_walk, statement_counted
from credit_wallet.reports.statement import StatementHead
from credit_wallet.stores import usage_reads
from credit_wallet.worker import count_usage

PRICES = """
[[price]]
item = "search"
unit_price_yen = "3.30"

[[price]]
item = "image"
unit_price_yen = "12"
"""


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statement_counted, "MIN_CHARGES", 1)


def head_of(
    wallets: CreditWallet, wallet_id: int, cycle: str, viewer_key_id: int | None = None, *, is_summary: bool
) -> StatementHead:
    drawing = wallets.cycles.draw(wallet_id, cycle, viewer_key_id=viewer_key_id, is_summary=is_summary)
    try:
        while drawing.add_up():
            pass
        return drawing.head()
    finally:
        drawing.close()


def assert_same(summary: StatementHead, whole: StatementHead) -> None:
    """All that a summary says is as the entries say it, and what it does not say is named."""
    assert summary.left_out == ("spend_by_note", "prices", "kinds")
    assert (summary.opening, summary.closing) == (whole.opening, whole.closing)
    assert (summary.charges, summary.refunds, summary.topups) == (whole.charges, whole.refunds, whole.topups)
    assert summary.transferred_in == whole.transferred_in
    assert summary.other_yen == floor(summary.other)
    assert summary.other == whole.expired + whole.reversed + whole.transferred_out + whole.adjusted
    by_id = {line.key_id: line for line in whole.spend_by_key}
    assert {line.key_id: line for line in summary.spend_by_key} == by_id
    assert [line.spent for line in summary.spend_by_key] == [line.spent for line in whole.spend_by_key]
    items = [(each.item, each.charges, each.quantity, each.charged, each.refunded) for each in whole.spend_by_item]
    assert [
        (each.item, each.charges, each.quantity, each.charged, each.refunded) for each in summary.spend_by_item
    ] == (items)
    assert summary.spend_by_note == []
    assert (summary.alerts, summary.seal, summary.label) == (whole.alerts, whole.seal, whole.label)


class Traffic:
    """What moves a wallet in a month; what is refused moves nothing."""

    def __init__(self, wallets: CreditWallet, clock: Clock, seed: int) -> None:
        self.wallets, self.clock, self.random = wallets, clock, Random(seed)
        self.wallet_id = wallets.create(time_zone="Asia/Tokyo").wallet_id
        self.keys = [None, *(wallets.keys.create(self.wallet_id, label=f"agent {n}").key_id for n in range(2))]
        self.charges: list[int] = []
        self.moved = 0

    def move(self) -> None:
        self.moved += 1
        key = f"{self.wallet_id} {self.moved}"
        with suppress(WalletError):
            match self.random.randrange(8):
                case 0:
                    self._topup(key)
                case 1 if self.charges:
                    self.wallets.refund(self.random.choice(self.charges), Decimal("0.5"), idempotency_key=key)
                case 2:
                    self._adjust(key)
                case _:
                    self._charge(key)
        self.clock.advance(minutes=self.random.randint(1, 600))

    def _topup(self, key: str) -> None:
        end = format_instant(self.clock() + timedelta(days=2)) if self.random.random() < 0.5 else None
        self.wallets.topup(
            self.wallet_id, self.random.randint(1, 40), idempotency_key=key, promo=end is not None, expires_at=end
        )

    def _adjust(self, key: str) -> None:
        amount = Decimal(self.random.choice(("-1.5", "2.25")))
        self.wallets.adjust(self.wallet_id, amount, idempotency_key=key, reason="goodwill", note="so")

    def _charge(self, key: str) -> None:
        key_id = self.random.choice(self.keys)
        item = self.random.choice((None, "search", "image"))
        if item is None:
            made = self.wallets.charge(
                self.wallet_id, Decimal("1.000001"), idempotency_key=key, key_id=key_id, note=f"n{self.moved}"
            )
        else:
            made = self.wallets.charge(
                self.wallet_id, item=item, quantity=Decimal("1.5"), idempotency_key=key, key_id=key_id
            )
        self.charges.append(made.txn_id)


@on_every_database
@pytest.mark.parametrize("seed", range(2))
def test_it_says_what_the_entries_add_up_to_however_much_is_counted(
    wallets: CreditWallet, clock: Clock, seed: int
) -> None:
    wallets.prices.apply(PRICES)
    traffic = Traffic(wallets, clock, seed)
    wallets.topup(traffic.wallet_id, 300, idempotency_key="start")
    wallets.charge(traffic.wallet_id, 2, idempotency_key="before usage begins")
    for month in (5, 6):
        clock.set(datetime(2026, month, 20, tzinfo=UTC))
        for number in range(40):
            traffic.move()
            if number % 16 == 9:
                count_usage(wallets)
                traffic.move()
                traffic.move()
    wallets.maintenance.expire_due()
    for cycle in ("2026-05", "2026-06", "2026-07"):
        for viewer in traffic.keys:
            whole = head_of(wallets, traffic.wallet_id, cycle, viewer, is_summary=False)
            summary = head_of(wallets, traffic.wallet_id, cycle, viewer, is_summary=True)
            if whole.charges:
                assert_same(summary, whole)
            else:
                assert summary == whole


@on_both_databases
def test_what_does_not_tie_is_added_up_from_the_entries(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet_id = wallets.create().wallet_id
    key_id = wallets.keys.create(wallet_id, label="agent").key_id
    wallets.topup(wallet_id, 100, idempotency_key="start")
    whole = head_of(wallets, wallet_id, "2026-05", is_summary=False)
    assert head_of(wallets, wallet_id, "2026-05", is_summary=True) == whole, "nothing is counted yet"
    for number in range(6):
        wallets.charge(wallet_id, 1, idempotency_key=f"{number}", key_id=key_id, note="so")
    count_usage(wallets)
    assert head_of(wallets, wallet_id, "2026-05", is_summary=True).left_out
    wallets.charge(wallet_id, 1, idempotency_key="one more", key_id=key_id)
    assert head_of(wallets, wallet_id, "2026-05", is_summary=True).charges == Decimal(-7), "one is not counted yet"
    for name, value in (("MIN_CHARGES", 7), ("MAX_WALKED", 0)):
        with monkeypatch.context() as patched:
            patched.setattr(statement_counted, name, value)
            summary = head_of(wallets, wallet_id, "2026-05", is_summary=True)
            assert summary == head_of(wallets, wallet_id, "2026-05", is_summary=False)
            assert not summary.left_out
    monkeypatch.setattr(usage_reads, "charged_micros", lambda *_: 6_000_000)
    assert not head_of(wallets, wallet_id, "2026-05", is_summary=True).left_out


def test_none_of_the_counted_entries_is_walked_for_it(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> None:
    owner = wallets.create()
    key_id = wallets.keys.create(owner.wallet_id, label="agent").key_id
    wallets.topup(owner.wallet_id, 100, idempotency_key="start")
    for number in range(30):
        wallets.charge(owner.wallet_id, 1, idempotency_key=f"{number}", key_id=key_id, note="so")
    count_usage(wallets)

    def walked(*_: object) -> None:
        raise AssertionError("entries were walked")

    monkeypatch.setattr(cycle_walk.CycleWalk, "back", walked)
    with Api(new_app(wallets)) as api:
        summary = api.get("/credit/statement", owner.owner_token, entries="summary").json()
        text = api.get("/credit/statement", owner.owner_token, entries="summary", format="text").text
    assert (summary["charges"], summary["closing"], summary["entries"]) == ("-30", "70", [])
    assert summary["left_out"] == ["spend_by_note", "prices", "kinds"]
    assert summary["spend_by_key"][0]["label"] == "agent"
    assert "Lapsed, reversed" in text
