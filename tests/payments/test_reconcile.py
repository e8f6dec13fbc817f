"""Reconciliation: what no webhook reported is found by asking Stripe."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest
from amounts import yen
from clock import Clock
from fake_stripe import FakeStripe, StripeFaults
from installation import (
    CHANNELS,
    DECLINED,
    Installation,
    Tell,
    intent_of,
    session_of,
)
from plain_sql import PlainSql
from service import free_port

from credit_wallet import CreditWallet
from credit_wallet.errors import (
    PaymentProviderError,
    WalletNotFound,
)

pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.mark.parametrize("days", [0.5, 3, 20])
def test_a_payment_is_credited_although_the_endpoint_was_down(installation: Installation, days: float) -> None:
    """People were charged and never credited while the webhook endpoint was down (recoupable #1858)."""
    wallet_id = installation.owner()
    paid, declined_first = installation.request(wallet_id), installation.request(wallet_id, 500, "other")
    installation.fake.pay(intent_of(declined_first), DECLINED)
    installation.hear()
    installation.clock.advance(hours=12)
    for topup in (paid, declined_first):
        installation.fake.pay(intent_of(topup))
    installation.fake.refund(intent_of(paid), 200)
    installation.clock.advance(days=days)
    assert installation.payments.reconcile().problems == []
    assert installation.wallets.balance(wallet_id) == 1_300
    assert installation.payments.reconcile().changed == 0
    installation.hear(order=Random(1))
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 1_300


def test_a_page_is_looked_up_as_well(installation: Installation) -> None:
    wallet_id = installation.owner()
    topup, left = (installation.request(wallet_id, key=key, flow="checkout") for key in ("paid", "left"))
    installation.fake.pay(session_of(installation, topup))
    installation.clock.advance(days=2)
    assert installation.payments.reconcile().problems == []
    assert installation.wallets.balance(wallet_id) == 1_000
    assert installation.wallets.topups.show(left.topup_id).status == "canceled"


def test_what_nobody_pays_is_given_up_after_a_day(installation: Installation) -> None:
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    installation.clock.advance(hours=23)
    installation.payments.reconcile()
    assert installation.wallets.topups.show(topup.topup_id).status == "pending"
    installation.clock.advance(hours=2)
    installation.payments.reconcile()
    assert installation.wallets.topups.show(topup.topup_id).status == "canceled"
    assert [payment.status for payment in installation.made(wallet_id)] == ["canceled"]


def test_a_slip_is_waited_for_as_long_as_it_can_be_paid(vouchers: Installation) -> None:
    wallet_id = vouchers.owner()
    topup = vouchers.request(wallet_id)
    vouchers.fake.pay(intent_of(topup), "konbini")
    vouchers.clock.advance(days=2)
    vouchers.payments.reconcile()
    assert vouchers.wallets.topups.show(topup.topup_id).status == "requires_action"
    vouchers.fake.pay_voucher(intent_of(topup))
    vouchers.clock.advance(days=5)
    vouchers.payments.reconcile()
    assert vouchers.wallets.balance(wallet_id) == 1_000


@pytest.mark.parametrize("tell", CHANNELS)
def test_a_payment_that_lost_its_row_is_credited_once(installation: Installation, host: PlainSql, tell: Tell) -> None:
    """As after a backup was restored, whose next top-ups may have the same names."""
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    installation.fake.pay(intent_of(topup))
    for table in ("am_credit_topup", "am_credit_topup_history", "am_credit_idempotency", "am_credit_payer"):
        host.run(f"DELETE FROM {table}")
    tell(installation)
    tell(installation)
    installation.payments.reconcile()
    [found] = installation.wallets.topups.list(wallet_id)
    assert (found.origin, found.status, found.payment_intent) == ("found", "credited", topup.payment_intent)
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 1_000
    assert installation.wallets.verify() == []


def test_a_payment_that_was_found_is_not_credited_again_when_its_owner_asks_again(
    installation: Installation, host: PlainSql
) -> None:
    """Stripe answers the same key with the same payment for a day."""
    wallet_id = installation.owner()
    before = installation.request(wallet_id)
    installation.fake.pay(intent_of(before))
    for table in ("am_credit_topup", "am_credit_topup_history", "am_credit_idempotency", "am_credit_payer"):
        host.run(f"DELETE FROM {table}")
    installation.hear()
    again = installation.request(wallet_id)
    assert (again.topup_id, again.status, again.reason) == (before.topup_id, "canceled", "paid_as_another")
    installation.clock.advance(minutes=11)
    installation.payments.reconcile()
    installation.hear(times=2)
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 1_000
    assert installation.wallets.verify() == []


def test_a_payment_whose_name_another_has_now_is_credited_beside_it(installation: Installation, host: PlainSql) -> None:
    wallet_id = installation.owner()
    before = installation.request(wallet_id)
    installation.fake.pay(intent_of(before))
    for table in ("am_credit_topup", "am_credit_topup_history", "am_credit_idempotency"):
        host.run(f"DELETE FROM {table}")
    installation.clock.advance(days=2)
    after = installation.request(wallet_id)
    assert (after.topup_id, after.payment_intent) != (before.topup_id, before.payment_intent)
    assert after.topup_id == before.topup_id
    installation.fake.pay(intent_of(after))
    installation.hear(order=Random(2), times=2)
    assert sorted(topup.origin for topup in installation.wallets.topups.list(wallet_id)) == ["found", "owner"]
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 2_000


def test_a_payment_for_a_wallet_that_is_gone_is_reported(
    installation: Installation, fake: FakeStripe, clock: Clock, tmp_path: Path
) -> None:
    """As after a backup was restored that is older than the wallet."""
    wallet_id = installation.owner()
    fake.pay(intent_of(installation.request(wallet_id)))
    path = tmp_path / "restored.db"
    with CreditWallet.open(f"sqlite:///{path}", clock=clock) as wallets, PlainSql(f"sqlite:///{path}") as host:
        host.run("UPDATE am_credit_installation SET installation_id = ?", installation.wallets.topups.installation_id())
        restored = Installation(wallets, fake, clock)
        with pytest.raises(WalletNotFound):
            restored.deliver(installation.news()[-1])
        [problem] = restored.payments.reconcile().problems
    assert f"no wallet {wallet_id}" in problem


def test_what_a_wallet_cannot_take_is_reported_until_it_can(
    installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet_id = installation.owner()
    topup = installation.request(wallet_id)
    monkeypatch.setattr("credit_wallet.rules.credit.MAX_BALANCE_MICROS", yen(999))
    installation.fake.pay(intent_of(topup))
    installation.hear()
    for _ in range(2):
        [problem] = installation.payments.reconcile().problems
        assert topup.topup_id in problem
        assert "paid and not credited" in problem
        installation.clock.advance(hours=1)
    monkeypatch.undo()
    assert installation.payments.reconcile().problems == []
    assert installation.kept(wallet_id) == installation.moved(wallet_id) == 1_000


def test_when_stripe_is_away_nothing_is_lost(wallets: CreditWallet, fake: FakeStripe, clock: Clock) -> None:
    away = Installation(wallets, fake, clock, api_url=f"http://127.0.0.1:{free_port()}")
    wallet_id = away.owner()
    with pytest.raises(PaymentProviderError):
        away.request(wallet_id)
    with pytest.raises(PaymentProviderError):
        away.payments.reconcile()
    back = Installation(wallets, fake, clock)
    back.pay(wallet_id, key="topup")
    assert back.kept(wallet_id) == back.moved(wallet_id) == 1_000


def test_one_top_up_out_of_order_keeps_no_other_from_being_looked_up(shaky: Installation, faults: StripeFaults) -> None:
    first, second = shaky.owner(), shaky.owner()
    for wallet_id in (first, second):
        shaky.fake.pay(intent_of(shaky.request(wallet_id)))
    shaky.clock.advance(hours=1)
    faults.error(500, method="GET", path=intent_of(shaky.wallets.topups.list(first)[0]), times=3)
    report = shaky.payments.reconcile()
    assert len(report.problems) == 1
    assert shaky.wallets.balance(second) == 1_000
    shaky.payments.reconcile()
    assert shaky.wallets.balance(first) == 1_000
