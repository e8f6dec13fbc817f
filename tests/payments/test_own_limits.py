"""Owners' own limits on automatic top-ups, where the worker charges cards."""

from __future__ import annotations

import pytest
from installation import Installation, emitted
from plain_sql import PlainSql

from credit_wallet.domain.acts import OWNER

pytestmark = pytest.mark.usefixtures("no_pauses")


def spend(installation: Installation, wallet_id: int, key: str) -> None:
    installation.wallets.charge(wallet_id, int(installation.wallets.balance(wallet_id)), idempotency_key=key)


def test_no_card_is_charged_beyond_what_its_owner_allows(installation: Installation, host: PlainSql) -> None:
    wallets = installation.wallets
    wallet_id = installation.payer(threshold=500, step=500)
    wallets.acting(OWNER).configure(wallet_id, auto_topup_daily_yen=1_200)
    for key in ("one", "two"):
        spend(installation, wallet_id, key)
        assert [done.status for done in installation.payments.run_automatic()] == ["credited"]
    spend(installation, wallet_id, "three")
    for _ in range(3):
        [done] = installation.payments.run_automatic()
        assert done.status == "topup_limit_reached"
        assert "¥200 left of the limit a day that the owner has set" in str(done.detail)
    assert [payment.amount for payment in installation.made(wallet_id)] == [50, 500, 500]
    [event] = emitted(host, "auto_topup.limit_reached")
    assert (event["set_by"], event["limit_per"], event["left_yen"]) == ("owner", "day", 200)
    wallets.configure(wallet_id, auto_topup_daily_yen=1_500)
    assert [done.status for done in installation.payments.run_automatic()] == ["credited"]
    assert [each.auto_topup_daily_yen for each in wallets.topups.consents(wallet_id)][:2] == [1_500, 1_200]
    installation.clock.advance(days=1)
    spend(installation, wallet_id, "four")
    assert [done.status for done in installation.payments.run_automatic()] == ["credited"]
    assert wallets.verify() == []
