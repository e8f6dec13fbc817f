"""Stripe that takes calls and does not answer them holds up nobody but who asks it, and those for a bounded time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from time import monotonic

import pytest
import stripe
from clock import Clock
from silent import Silent, due
from structlog.testing import capture_logs

from credit_wallet import CreditWallet
from credit_wallet.payments import bounded_client
from credit_wallet.payments.api import StripeSilent
from credit_wallet.payments.service import StripePayments
from credit_wallet.payments.settings import PaymentSettings
from credit_wallet.worker import workers

NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)
TEST_KEY = "sk_test_1"
HEADER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100000\r\n\r\n"


@pytest.fixture
def clock() -> Clock:
    return Clock(NOON)


@pytest.fixture(autouse=True)
def in_haste(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded_client, "STRIPE_ANSWER_SECONDS", 0.3)
    monkeypatch.setattr(bounded_client, "STRIPE_CALL_SECONDS", 0.6)
    monkeypatch.setattr(stripe.HTTPClient, "INITIAL_DELAY", 0)
    monkeypatch.setattr(stripe.HTTPClient, "MAX_DELAY", 0)


def payments_at(wallets: CreditWallet, url: str) -> StripePayments:
    return StripePayments(wallets, PaymentSettings(secret_key=TEST_KEY, api_url=url), lambda: NOON)


@pytest.mark.parametrize(
    "trickle",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(HEADER[:20] + b"x" * 1_000, id="a head without end"),
        pytest.param(HEADER + b" " * 1_000, id="a body without end"),
        pytest.param(HEADER[:-2] + b"Connection: close\r\n\r\n" + b" " * 1_000, id="a last body without end"),
    ],
)
def test_an_answer_takes_so_long_and_no_longer(wallets: CreditWallet, trickle: bytes) -> None:
    with Silent(trickle) as silent:
        payments = payments_at(wallets, silent.url)
        for _ in range(2):  # a line that was cut is not used again
            began = monotonic()
            with pytest.raises(StripeSilent):
                payments.check()
            assert monotonic() - began < 5.0


def test_a_round_of_automatic_top_ups_ends_when_nobody_answers(wallets: CreditWallet) -> None:
    for _ in range(20):
        due(wallets)
    with Silent() as silent:
        payments = payments_at(wallets, silent.url)
        assert [each.status for each in payments.run_automatic()] == ["payment_provider_error"] * 2
        payments.end_jobs()
        heard = len(silent.heard)
        assert payments.run_automatic() == []
        assert payments.reconcile().asked == 0
        assert len(silent.heard) == heard


def test_maintenance_is_on_time_while_stripe_hangs(
    wallets: CreditWallet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    for bound in ("STRIPE_ANSWER_SECONDS", "STRIPE_CALL_SECONDS"):
        monkeypatch.setattr(bounded_client, bound, 60.0)
    for _ in range(20):
        due(wallets)
    wallet_id = wallets.create(monthly_budget_yen=100).wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="start")
    wallets.topup(wallet_id, 50, idempotency_key="gift", promo=True, expires_at="2026-05-15T12:10:00Z")
    wallets.hold(wallet_id, 600, idempotency_key="hold", ttl_seconds=60)
    with Silent() as silent:
        jobs = workers(wallets, payments_at(wallets, silent.url), None)
        with capture_logs() as logs:
            jobs.start()
            assert silent.asked.wait(10)
            clock.advance(minutes=15)
            until(lambda: {"expire", "seal"} <= {log.get("job") for log in logs})
            jobs.stop()
            hung = jobs.join(0.5)
    assert set(hung) <= {"credit-wallet-worker-reconcile", "credit-wallet-worker-topups"}
    assert hung
    assert wallets.balance(wallet_id).held_yen == 0
    assert wallets.balance(wallet_id) == 1_000


def until(condition: Callable[[], bool]) -> None:
    pause = threading.Event()
    ends = monotonic() + 15
    while not condition():
        assert monotonic() < ends
        pause.wait(0.02)
