"""An agent that does what a refusal says is let through at its first retry: at every door, for every limit."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from clock import Clock
from limits import DOORS, LIMITS, PAID, Limit, Pay, instant

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedKey, CreatedWallet

SLOW = {"MCP 1": ("yen a day", "calls a minute", "balance")}
"""Limits at doors that take a process for every call."""

WITHOUT_KEY = ("batch",)
"""Doors that pay for the wallet, not for one of its agents."""

CASES = [
    (door, limit)
    for door in DOORS
    for limit in SLOW.get(door, LIMITS)
    if not (door in WITHOUT_KEY and limit == "key cap")
]


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return wallets.create()


@pytest.fixture
def key(wallets: CreditWallet, wallet: CreatedWallet) -> CreatedKey:
    return wallets.keys.create(wallet.wallet_id, label="agent", group="acme/research")


@pytest.mark.parametrize(("door", "limit"), CASES)
def test_what_a_refusal_says_is_so(
    wallets: CreditWallet, wallet: CreatedWallet, key: CreatedKey, clock: Clock, door: str, limit: str
) -> None:
    limited = LIMITS[limit]
    wallets.topup(wallet.wallet_id, limited.credit_yen, idempotency_key="start")
    limited.set_up(wallets, wallet.wallet_id, key.key_id)
    with DOORS[door](wallets, wallet, key) as pay:
        assert pay(8) == PAID
        holds = door == "hold"
        refused = pay(5)
        assert (refused.code, refused.max_amount) == (limited.code, Decimal(limited.left))
        assert refused.retry_at == (None if holds else limited.passes_at)
        if refused.budget is None:
            assert limited.code == "insufficient_funds"
        else:
            assert refused.budget["left"] == limited.left
            assert refused.budget["held" if holds else "spent"] == ("1" if refused.budget["unit"] == "calls" else "8")
        if refused.max_amount:
            assert pay(int(refused.max_amount)) == PAID
        if not holds:
            _wait_and_retry(wallets, wallet, clock, pay, limited)
    assert wallets.verify() == []


def _wait_and_retry(wallets: CreditWallet, wallet: CreatedWallet, clock: Clock, pay: Pay, limited: Limit) -> None:
    refused = pay(5)
    assert not refused.paid
    if refused.retry_at is None:
        assert limited.passes_at is None
        if limited.code == "insufficient_funds":
            wallets.topup(wallet.wallet_id, 5, idempotency_key="more")
            assert pay(5) == PAID
        return
    if refused.wait_seconds is not None:
        assert clock() + timedelta(seconds=refused.wait_seconds) == instant(refused.retry_at)
    clock.set(instant(refused.retry_at) - timedelta(milliseconds=1))
    assert not pay(5).paid
    clock.set(instant(refused.retry_at))
    assert pay(5) == PAID
