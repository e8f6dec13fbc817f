"""The ledgers that pages are looked at with are sound, and hold what they promise."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import large_ledger
import pytest
from clock import Clock
from fake_stripe import FakeStripe
from installation import Installation
from sample_ledgers import NOW, START, build
from site_of_pages import METHODS

from credit_wallet import CreditWallet


@pytest.fixture
def clock() -> Clock:
    return Clock(START)


@pytest.fixture
def own_fake(clock: Clock) -> Iterator[FakeStripe]:
    with FakeStripe(clock=lambda: clock().timestamp()) as running:
        yield running


def test_samples_have_something_of_everything(wallets: CreditWallet, clock: Clock, own_fake: FakeStripe) -> None:
    made = build(Installation(wallets, own_fake, clock, methods=METHODS))
    assert clock() == NOW
    lively = wallets.show(made.lively.wallet_id)
    assert 70 < 100 * lively.current_cycle_spent_yen / lively.monthly_budget_yen < 90
    assert {each.status for each in wallets.topups.list(lively.wallet_id)} == {"failed", "requires_action", "credited"}
    assert sum(each.expires_at is not None for each in wallets.lots.list(lively.wallet_id)) == 2
    assert {each.last_error is None for each in wallets.deliveries.list(limit=100)} == {True, False}
    assert wallets.show(made.in_debt.wallet_id).debt_yen == 4_800
    assert wallets.show(made.empty.wallet_id).balance_yen == 0
    assert wallets.verify() == []


def test_the_large_ledger_is_sound_and_built_once(tmp_path: Path) -> None:
    path = large_ledger.ledger(tmp_path, wallets=30, entries=2_500)
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        assert wallets.tokens.authenticate(large_ledger.OWNER_TOKEN).wallet_id == large_ledger.WALLET_ID
        assert sum(each.charges for each in wallets.usage(large_ledger.WALLET_ID, every="month").rows) == 2_500
        assert wallets.verify() == []
    written = path.stat().st_mtime_ns
    assert large_ledger.ledger(tmp_path, wallets=30, entries=2_500) == path
    assert path.stat().st_mtime_ns == written
