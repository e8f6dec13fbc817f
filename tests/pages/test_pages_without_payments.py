"""Pages of payments where the service takes none, or the provider cannot be asked: what is known is shown."""

from __future__ import annotations

import pytest
from clock import Clock
from service import Api, new_app
from stand_in import StandIn
from visiting import Visitor

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.errors import PaymentProviderError

UNREACHABLE = PaymentProviderError("Stripe could not be reached")


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return wallets.create(label="shop")


def begun(wallets: CreditWallet, wallet: CreatedWallet) -> str:
    topup_id: str = wallets.topups.request(wallet.wallet_id, 1_000, idempotency_key="before").topup_id
    return topup_id


def test_a_service_that_takes_no_payments_says_so_and_shows_those_there_were(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    topup_id = begun(wallets, wallet)
    with Api(new_app(wallets, public_url="http://wallet.test")) as api:
        owner = Visitor(api).sign_in(wallet.owner_token)
        page = owner.get("/wallet/pay-in")
        assert page.status_code == 200
        assert "This service takes no payments itself" in page.text
        assert 'action="/wallet/pay-in"' not in page.text
        assert f"/wallet/topups/{topup_id}" in owner.get("/wallet/topups").text
        assert "Payment of ¥1,000" in owner.get(f"/wallet/topups/{topup_id}").text


def test_where_the_provider_cannot_be_asked_a_payment_stands_as_it_was(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    topup_id = begun(wallets, wallet)
    with Api(new_app(wallets, payments=StandIn(UNREACHABLE), public_url="http://wallet.test")) as api:
        owner = Visitor(api).sign_in(wallet.owner_token)
        for path in (f"/wallet/topups/{topup_id}", f"/wallet/thank-you?topup_id={topup_id}"):
            page = owner.get(path)
            assert page.status_code == 200, path
            assert "Stripe cannot be asked right now." in page.text


def test_a_viewer_among_operators_sees_a_payment_without_what_pays_it(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    topup_id = begun(wallets, wallet)
    with Api(new_app(wallets, payments=StandIn(UNREACHABLE), public_url="http://wallet.test")) as api:
        viewer = Visitor(api).sign_in(wallets.operators.create("vic", "viewer").token)
        page = viewer.get(f"/console/wallets/{wallet.wallet_id}/topups/{topup_id}")
        assert page.status_code == 200
        assert "Give this payment up" not in page.text


def test_there_is_no_receipt_of_what_is_not_paid_and_no_payment_by_another_name(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    topup_id = begun(wallets, wallet)
    with Api(new_app(wallets, payments=StandIn(UNREACHABLE), public_url="http://wallet.test")) as api:
        owner = Visitor(api).sign_in(wallet.owner_token)
        for path in (f"{topup_id}/receipt", "options", "consents", "tu_", "..%2fwallet"):
            assert owner.get(f"/wallet/topups/{path}").status_code in (400, 404), path
        stranger = Visitor(api).sign_in(wallets.create().owner_token)
        assert stranger.get(f"/wallet/topups/{topup_id}").status_code == 404
        csrf = stranger.csrf("/wallet/keys")
        assert stranger.send(f"/wallet/topups/{topup_id}/cancel", {"csrf": csrf}).status_code == 404


def test_without_script_a_page_looks_again_a_while_and_does_not_keep_the_session_open(
    wallets: CreditWallet, wallet: CreatedWallet, clock: Clock
) -> None:
    topup_id = begun(wallets, wallet)
    with Api(new_app(wallets, payments=StandIn(UNREACHABLE), public_url="http://wallet.test")) as api:
        owner = Visitor(api).sign_in(wallet.owner_token)
        path = f"/wallet/topups/{topup_id}"
        assert 'content="15; url=?looks=1"' in owner.get(path).text
        assert 'content="15; url=?looks=40"' in owner.get(f"{path}?looks=39").text
        assert 'http-equiv="refresh"' not in owner.get(f"{path}?looks=40").text
        for _ in range(4):
            clock.advance(minutes=9)
            answer = owner.get(f"{path}?looks=3")
        assert answer.status_code == 303
