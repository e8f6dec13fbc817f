"""How payments are set up, and test money by the same settings."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest
from service import OPERATOR_KEY, Service, credentials

from credit_wallet import CreditWallet
from credit_wallet.errors import (
    InvalidRequest,
)
from credit_wallet.http.app_settings import own_address
from credit_wallet.payments import factory as opening
from credit_wallet.payments.settings import PaymentSettings, payment_settings

PAYING = "4242424242424242"
pytestmark = pytest.mark.usefixtures("no_pauses")


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("CREDIT_WALLET_TOPUP_MIN_YEN", "0"),
        ("CREDIT_WALLET_TOPUP_MIN_YEN", "fifty"),
        ("CREDIT_WALLET_TOPUP_MIN_YEN", "-1"),
        ("CREDIT_WALLET_TOPUP_MIN_YEN", "\u0665\u0660"),
        ("CREDIT_WALLET_TOPUP_MAX_YEN", "49"),
        ("CREDIT_WALLET_TOPUP_MAX_YEN", "100000000"),
        ("CREDIT_WALLET_AUTO_TOPUP_DAILY_YEN", "1.5"),
        ("CREDIT_WALLET_AUTO_TOPUP_DAILY_YEN", "-1"),
        ("CREDIT_WALLET_AUTO_TOPUP_MONTHLY_YEN", "-3000000"),
        ("CREDIT_WALLET_AUTO_TOPUP_MONTHLY_YEN", "¥5"),
        ("CREDIT_WALLET_PAY_BACK", "yes"),
    ],
)
def test_a_setting_that_makes_no_sense_is_named(variable: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match="CREDIT_WALLET_") as refusal:
        payment_settings({"CREDIT_WALLET_STRIPE_KEY": "sk_test_1", variable: value})
    assert variable in str(refusal.value)


@pytest.mark.parametrize(
    "variable",
    ["CREDIT_WALLET_TOPUP_MOST_YEN", "CREDIT_WALLET_TOPUP_MAXIMUM_YEN", "CREDIT_WALLET_AUTO_TOPUP_DAILY"],
)
def test_a_limit_that_nothing_reads_is_refused(variable: str) -> None:
    with pytest.raises(InvalidRequest, match=f"{variable} is not a setting; .* CREDIT_WALLET_TOPUP_MAX_YEN"):
        payment_settings({"CREDIT_WALLET_STRIPE_KEY": "sk_test_1", variable: "1000"})
    assert payment_settings({variable: "1000"}) is None


def test_settings_come_from_the_environment() -> None:
    assert payment_settings({}) is None
    assert payment_settings({"CREDIT_WALLET_STRIPE_KEY": "sk_1"}) == PaymentSettings(secret_key="sk_1")  # noqa: S106
    assert payment_settings(
        {
            "CREDIT_WALLET_STRIPE_KEY": "sk_1",
            "CREDIT_WALLET_STRIPE_WEBHOOK_SECRETS": "whsec_1, whsec_2,",
            "CREDIT_WALLET_STRIPE_API_URL": "http://127.0.0.1:1",
            "CREDIT_WALLET_PAYMENT_METHODS": "card,konbini",
            "CREDIT_WALLET_PUBLIC_URL": "https://Pay.example/",
            "CREDIT_WALLET_RETURN_URL": "https://wallet.test/?from=stripe",
            "CREDIT_WALLET_TOPUP_MIN_YEN": "100",
            "CREDIT_WALLET_TOPUP_MAX_YEN": "99999999",
            "CREDIT_WALLET_AUTO_TOPUP_DAILY_YEN": "0",
            "CREDIT_WALLET_AUTO_TOPUP_MONTHLY_YEN": "7",
            "CREDIT_WALLET_PAY_BACK": "on",
        }
    ) == PaymentSettings(
        secret_key="sk_1",  # noqa: S106
        webhook_secrets=("whsec_1", "whsec_2"),
        api_url="http://127.0.0.1:1",
        methods=("card", "konbini"),
        public_url="https://pay.example",
        return_url="https://wallet.test/?from=stripe",
        min_yen=100,
        max_yen=99_999_999,
        auto_daily_yen=0,
        auto_monthly_yen=7,
        pay_back=True,
    )


def test_test_money_goes_by_the_same_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_WALLET_PAYMENT_METHODS", "card,konbini,customer_balance")
    monkeypatch.setenv("CREDIT_WALLET_TOPUP_MAX_YEN", "5000")
    monkeypatch.setenv("CREDIT_WALLET_PAY_BACK", "on")
    monkeypatch.setenv("CREDIT_WALLET_STRIPE_WEBHOOK_SECRETS", "whsec_real")
    monkeypatch.setenv("CREDIT_WALLET_STRIPE_API_URL", "http://127.0.0.1:1")
    with opening.test_money("http://wallet.test") as settings:
        assert settings.methods == ("card", "konbini", "customer_balance")
        assert (settings.max_yen, settings.pay_back) == (5_000, True)
        assert settings.back_from_stripe("tu_1", paid=True) == "http://wallet.test/wallet/thank-you?topup_id=tu_1"
        assert settings.back_from_stripe("tu_1", paid=False) == "http://wallet.test/wallet/pay-in?topup_id=tu_1"
        assert settings.webhook_secrets != ("whsec_real",)
        assert settings.api_url != "http://127.0.0.1:1"
    monkeypatch.setenv("CREDIT_WALLET_RETURN_URL", "https://wallet.test/paid")
    with opening.test_money("http://wallet.test") as settings:
        for paid in (True, False):
            assert settings.back_from_stripe("tu_1", paid=paid) == "https://wallet.test/paid?topup_id=tu_1"
    monkeypatch.delenv("CREDIT_WALLET_RETURN_URL")
    monkeypatch.delenv("CREDIT_WALLET_PAYMENT_METHODS")
    monkeypatch.setenv("CREDIT_WALLET_PUBLIC_URL", "https://pay.example")
    with opening.test_money("http://wallet.test") as settings:
        assert settings.methods == opening.TEST_METHODS
        assert settings.back_from_stripe("tu_1", paid=True).startswith("https://pay.example/wallet/thank-you?")


@pytest.mark.parametrize(
    ("variable", "value"), [("CREDIT_WALLET_TOPUP_MAX_YEN", "much"), ("CREDIT_WALLET_PAYMENT_METHODS", "card,cheque")]
)
def test_a_setting_that_test_money_cannot_follow_is_named(
    monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidRequest, match=variable), opening.test_money("http://wallet.test"):
        pass


def test_the_documented_konbini_set_up_runs_with_test_money(tmp_path: Path) -> None:
    """``serve --test-payments`` with ``CREDIT_WALLET_PAYMENT_METHODS``: slip, transfer and card pay."""
    methods = {"CREDIT_WALLET_PAYMENT_METHODS": "card,konbini,customer_balance"}
    flag = "import sys; sys.argv.append('--test-payments')"
    with (
        Service(f"sqlite:///{tmp_path}/w.db", adjust=flag, environment=methods) as service,
        httpx.Client(base_url=service.url) as call,
    ):
        made = call.post("/operator/wallets", headers=credentials(OPERATOR_KEY, "wallet"), json={}).json()
        owner = made["owner_token"]
        for kind, later in (("konbini", True), ("customer_balance", True), (PAYING, False)):
            asked = {"amount_yen": 1_000, "checkout": True}
            topup = call.post("/credit/topup", headers=credentials(owner, kind), json=asked).json()
            page = call.get(topup["checkout_url"])
            assert f'value="{kind}"' in page.text
            slip = call.post(topup["checkout_url"], data={"with": kind})
            if later:
                waiting = call.get(f"/credit/topups/{topup['topup_id']}", headers=credentials(owner)).json()
                assert (slip.status_code, waiting["status"]) == (303, "requires_action")
                call.post(slip.headers["Location"], data={"do": "pay-voucher"})
            paid = call.get(f"/credit/topups/{topup['topup_id']}", headers=credentials(owner)).json()
            assert paid["status"] == "credited"
        wallet = call.get("/credit/wallet", headers=credentials(owner)).json()
        assert wallet["balance_yen"] == 3_000
    with CreditWallet.open(f"sqlite:///{tmp_path}/w.db") as wallets:
        assert wallets.topups.payer(made["wallet_id"]).payment_method is not None


def test_a_page_of_the_operators_keeps_its_own_query() -> None:
    settings = PaymentSettings(secret_key="sk_1", return_url="https://wallet.test/?from=stripe")  # noqa: S106
    assert settings.back_from_stripe("tu_1", paid=True) == "https://wallet.test/?from=stripe&topup_id=tu_1"


@pytest.mark.parametrize(
    ("host", "address"),
    [("127.0.0.1", "http://127.0.0.1:80"), ("0.0.0.0", "http://127.0.0.1:80"), ("::1", "http://[::1]:80")],  # noqa: S104
)
def test_where_a_service_is_reached_from_its_machine(host: str, address: str) -> None:
    assert own_address(host, 80) == address
