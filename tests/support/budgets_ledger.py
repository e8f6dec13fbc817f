"""A ledger with budgets of every kind: used, reserved in, raised, made a cap, deleted; for changes by SQL."""

from __future__ import annotations

from datetime import timedelta

from clock import Clock

from credit_wallet import CreditWallet
from credit_wallet.domain.cycle import format_instant


def fill(wallets: CreditWallet, clock: Clock) -> None:
    """Budgets 1 to 8 are of wallet 1: a day, each run, a group, 24 hours, calls, a shadow, one that was raised, and one
    that is gone; 9 is of wallet 2.
    """
    one, other = (wallets.create(time_zone="Europe/Berlin").wallet_id for _ in range(2))
    for wallet_id in (one, other):
        wallets.topup(wallet_id, 1_000, idempotency_key="paid in")
    key_id = wallets.keys.create(one, monthly_cap_yen=500, group="acme/research").key_id
    wallets.charge(one, 40, idempotency_key="before any budget", facts={"run": "r1"}, key_id=key_id)
    wallets.hold(one, 20, idempotency_key="held before", facts={"run": "r1"}, ttl_seconds=30 * 86_400)
    make = wallets.budgets.create
    make(one, limit_yen=300, window="day", label="days")
    make(one, limit_yen="100.5", window="total", scope={"run": "*"})
    make(one, limit_yen=200, window="month", scope={"group": "acme", "run": "*"}, time_zone="UTC")
    make(one, limit_yen=250, window="rolling:24h")
    make(one, limit_calls=20, window="hour", scope={"run": "r1"})
    make(one, limit_yen=10, window="week", mode="shadow", week_start="sunday")
    raised = make(one, limit_yen=5, window="day", scope={"tool": "search"})
    gone = make(one, limit_yen=1, window="total", scope={"tool": "search"}, mode="alert")
    make(other, limit_yen=100, window="rolling:90m", scope={"item": "*"})
    until = format_instant(clock() + timedelta(days=3))
    wallets.budgets.configure(raised.budget_id, raised_limit_yen=50, raised_until=until)
    wallets.charge(one, "12.25", idempotency_key="a", facts={"run": "r1", "tool": "search"}, key_id=key_id)
    wallets.keys.configure(key_id, group="other")
    wallets.charge(one, 7, idempotency_key="b", facts={"run": "r2"}, key_id=key_id)
    wallets.keys.configure(key_id, group="acme")
    clock.advance(hours=2)
    wallets.charge(one, 9, idempotency_key="c", facts={"run": "r2"}, key_id=key_id)
    wallets.budgets.delete(gone.budget_id)
    held = wallets.hold(one, 30, idempotency_key="d", facts={"run": "r1"}, key_id=key_id, ttl_seconds=30 * 86_400)
    assert held.hold_id is not None
    wallets.capture(held.hold_id, "10.5", idempotency_key="e", final=False)
    wallets.charge(other, 3, idempotency_key="f", facts={"run": "r1"})
    clock.advance(days=1)
    wallets.charge(one, 11, idempotency_key="g", facts={"run": "r1"})
    while wallets.maintenance.seal():
        pass
