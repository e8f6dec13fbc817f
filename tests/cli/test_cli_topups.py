"""``credit-wallet topups``: payments through Stripe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from clock import Clock
from fake_stripe import FakeStripe
from shell import Shell, failed_check, in_a_process, without
from stand_in import StandIn

from credit_wallet import CreditWallet
from credit_wallet.payments import api, factory
from credit_wallet.payments.factory import open_payments
from credit_wallet.payments.replies import Reconciliation


@pytest.fixture(scope="module")
def stripe() -> Iterator[FakeStripe]:
    with FakeStripe() as running:
        yield running


@pytest.fixture
def paying(shell: Shell, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Wallet 1, to be topped up by ¥200 below ¥300, on an installation that takes payments."""
    monkeypatch.setenv("CREDIT_WALLET_STRIPE_KEY", "sk_test_of_the_tests")
    monkeypatch.setenv("CREDIT_WALLET_STRIPE_API_URL", stripe.url)
    shell("wallet", "create", "--auto-topup-threshold", 300, "--auto-topup-amount", 200)
    return shell


def pay_in(paying: Shell, stripe: FakeStripe, amount_yen: int) -> str:
    """The owner asks for a top-up and pays; nobody tells the ledger. The top-up's id."""
    with CreditWallet.open(paying.url) as wallets:
        payments = open_payments(wallets)
        assert payments is not None
        topup = payments.request(1, amount_yen, idempotency_key=f"pay {amount_yen}")
    stripe.pay(str(topup.payment_intent))
    return topup.topup_id


@pytest.mark.parametrize("words", [("run",), ("reconcile",), ("pay-back", "tu_1", 1, "--key", "k")])
def test_top_ups_without_payments_set_up_are_refused_and_an_empty_list(shell: Shell, words: tuple[object, ...]) -> None:
    shell("wallet", "create")
    code, message = shell.refused("topups", *words)
    assert code == "payments_not_configured"
    assert "CREDIT_WALLET_STRIPE_KEY" in message
    assert shell("topups", "list", 1) == "none\n"


def test_what_was_paid_while_nobody_listened_is_found(paying: Shell, stripe: FakeStripe) -> None:
    topup_id = pay_in(paying, stripe, 250)
    [listed] = paying.json("topups", "list", 1)
    assert (listed["topup_id"], listed["status"], listed["amount_yen"]) == (topup_id, "pending", 250)
    assert paying.json("topups", "reconcile") == {"asked": 1, "changed": 1, "problems": []}
    assert paying.fields("topups", "reconcile") == {"asked": "0", "changed": "0", "problems": "none"}
    assert paying.json("wallet", "show", 1)["balance_yen"] == 250
    assert paying.json("topups", "list", 1, "--limit", 1)[0]["status"] == "credited"


def test_what_a_person_must_look_at_makes_reconciling_fail(paying: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    payments = StandIn()
    payments.found = Reconciliation(asked=2, changed=1, problems=["tu_1: paid and not credited"])
    monkeypatch.setattr(factory, "require_payments", lambda _: payments)
    told = paying.run("--db", paying.url, "topups", "reconcile")
    assert (told.code, told.err) == (1, "")
    assert "tu_1: paid and not credited" in told.out


def test_automatic_top_ups_say_what_came_of_each(paying: Shell, stripe: FakeStripe) -> None:
    assert paying.json("topups", "run")[0]["status"] == "topup_stopped"
    pay_in(paying, stripe, 50)
    paying("topups", "reconcile")
    [topped_up] = paying.json("topups", "run")
    assert (topped_up["wallet_id"], topped_up["status"], topped_up["amount_yen"]) == (1, "credited", 400)
    assert paying("topups", "run") == "none\n"
    assert paying.json("wallet", "show", 1)["balance_yen"] == 450
    assert paying("verify").startswith("ok")


def test_unused_credit_is_paid_back_where_that_is_allowed(
    paying: Shell, stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock()
    clock.set(now.replace(month=1))  # before the last base date, 31 March
    paying("topup", 1, 1_000, "--key", "before")
    clock.set(now)
    topup_id = pay_in(paying, stripe, 250)
    paying("topups", "reconcile")
    back = ("topups", "pay-back", topup_id)
    assert paying.refused(*back, 10, "--key", "k")[0] == "pay_back_not_allowed"
    monkeypatch.setenv("CREDIT_WALLET_PAY_BACK", "on")
    assert paying.refused(*back, 201, "--key", "k") == (
        "pay_back_not_allowed",
        "¥200 may still be paid back in the period since 2026-03-31",
    )
    for _ in range(2):
        assert paying.json(*back, 10, "--key", "k")["topup_id"] == topup_id
    assert paying.json("wallet", "show", 1)["balance_yen"] == 1_240
    assert paying.json("topups", "list", 1)[0]["reversed_yen"] == 10
    assert stripe.payment_intent(paying.json("topups", "list", 1)[0]["payment_intent"]).refunded == 10


def test_a_stripe_that_cannot_be_reached_is_told(paying: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_WALLET_STRIPE_API_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(api, "RETRIES", 0)
    assert paying.refused("topups", "reconcile")[0] == "payment_provider_error"
    assert failed_check(paying, paying.url)["check"] == "payment_provider_error"


def test_a_check_up_asks_stripe(paying: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def of_payments() -> dict[str, Any]:
        found: dict[str, Any]
        [found] = [each for each in paying.json("doctor") if each["check"] == "payments"]
        return found

    found = of_payments()
    assert found["ok"]
    assert "test money; without a webhook secret" in found["detail"]
    monkeypatch.setenv("CREDIT_WALLET_STRIPE_WEBHOOK_SECRETS", "whsec_1")
    assert of_payments()["detail"] == "Stripe answers, with test money"
    monkeypatch.setenv("CREDIT_WALLET_STRIPE_KEY", "sk_live_1")
    told = paying.run("--db", paying.url, "--json", "doctor")
    assert "with live money Stripe returns people to https:// alone, not to http://127.0.0.1:8787" in told.out
    monkeypatch.setenv("CREDIT_WALLET_PUBLIC_URL", "https://wallet.example")
    assert failed_check(paying, paying.url)["check"] == "payment_provider_error"
    monkeypatch.setenv("CREDIT_WALLET_TOPUP_MAX_YEN", "much")
    assert failed_check(paying, paying.url)["check"] == "invalid_request"


def test_test_money_is_refused_where_money_is_real(tmp_path: Path) -> None:
    answer = in_a_process("serve", "--test-payments", cwd=tmp_path, CREDIT_WALLET_STRIPE_KEY="sk_test_1")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("invalid_request: CREDIT_WALLET_STRIPE_KEY is set")
    assert not list(tmp_path.iterdir())


def test_payments_without_their_extra_say_what_to_install(paying: Shell, tmp_path: Path) -> None:
    answer = without(["stripe"], "--db", paying.url, "topups", "run", cwd=tmp_path)
    told = "missing_extra: stripe is not installed; install it with: pip install 'agent-credit-wallet[stripe]'\n"
    assert answer == (1, "", told)
    assert without(["stripe"], "--db", paying.url, "topups", "list", "1", cwd=tmp_path) == (0, "none\n", "")


@pytest.mark.parametrize("missing", ["stripe", "fake_stripe", "aiohttp", "localstripe"])
def test_test_money_without_its_extra_says_what_to_install(tmp_path: Path, missing: str) -> None:
    answer = without([missing], "serve", "--test-payments", cwd=tmp_path)
    install = "install it with: pip install 'agent-credit-wallet[test-payments]'"
    assert answer == (1, "", f"missing_extra: {missing} is not installed; {install}\n")
