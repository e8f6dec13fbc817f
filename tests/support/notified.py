"""What tests of notices do with a wallet and its targets."""

from __future__ import annotations

import threading
from time import monotonic
from typing import Any

from clock import Clock

from credit_wallet import CreditWallet
from credit_wallet.delivery.factory import NotifySettings, open_notifier
from credit_wallet.delivery.notifier import Notifier
from credit_wallet.notices.targets import TargetSettings, TargetView, WantedTarget


def notifier_of(wallets: CreditWallet, mail_url: str | None = None) -> Notifier:
    opened = open_notifier(wallets, NotifySettings(mail_url, private=True))
    assert opened is not None
    return opened


def add(wallets: CreditWallet, wallet_id: int, url: str, **settings: Any) -> TargetView:
    return wallets.targets.add(wallet_id, TargetSettings(url=url, **settings), mail=True, private=True, confirmed=True)


def spend(wallets: CreditWallet, wallet_id: int, amount_yen: int, key: str = "spend") -> None:
    wallets.charge(wallet_id, amount_yen, idempotency_key=key)


def deliver_until_quiet(notifier: Notifier, clock: Clock, days: int = 4) -> None:
    """Let time pass in steps of a minute at first, of hours then, and deliver what falls due."""
    for step in [1] * 30 + [60] * 24 * days:
        notifier.deliver()
        clock.advance(minutes=step)
    notifier.deliver()


def event_ids(wallets: CreditWallet) -> list[int]:
    return sorted({each.event_id for each in wallets.deliveries.list(limit=1_000)})


def told_of_charges(wallets: CreditWallet, *urls: str, charges: int = 1) -> int:
    """A wallet with targets, and an event for each of up to ten charges."""
    wallet_id = wallets.create(monthly_budget_yen=1_000).wallet_id
    wallets.configure(wallet_id, alert_thresholds_pct=list(range(10, 10 * charges + 1, 10)))
    wallets.topup(wallet_id, 1_000, idempotency_key="topup")
    wallets.targets.set(wallet_id, [WantedTarget(url=url) for url in urls], private=True)
    for number in range(charges):
        wallets.charge(wallet_id, 100, idempotency_key=f"charge-{number}")
    return wallet_id


def within(seconds: float, holds: Any) -> float:
    """Wait until something holds; how long it took. Fails after ``seconds``."""
    began = monotonic()
    pause = threading.Event()
    while not holds():
        assert monotonic() - began < seconds, "it did not come in time"
        pause.wait(0.01)
    return monotonic() - began
