"""Credit moves between the wallets of one owner, who proves it by the other's token; no page shows that again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from service import Api, new_app
from visiting import Visitor

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet

PATH = "/wallet/transfers"


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    made = wallets.create(label="shop")
    wallets.topup(made.wallet_id, 1_000, idempotency_key="paid")
    return made


@pytest.fixture
def other(wallets: CreditWallet) -> CreatedWallet:
    return wallets.create(label="second")


@pytest.fixture
def api(wallets: CreditWallet) -> Iterator[Api]:
    with Api(new_app(wallets, public_url="http://wallet.test")) as opened:
        yield opened


@pytest.fixture
def owner(api: Api, wallet: CreatedWallet) -> Visitor:
    return Visitor(api).sign_in(wallet.owner_token)


def test_the_owner_of_both_moves_credit_once(
    owner: Visitor, wallets: CreditWallet, wallet: CreatedWallet, other: CreatedWallet
) -> None:
    fields = {**owner.form(owner.get(PATH).text, PATH), "amount_yen": "¥400", "to_owner_token": other.owner_token}
    for _ in range(2):
        answer = owner.send(PATH, fields)
        assert answer.headers["location"] == f"{PATH}?done=moved"
    assert wallets.show(wallet.wallet_id).balance_yen == 600
    assert wallets.show(other.wallet_id).balance_yen == 400
    page = owner.get(answer.headers["location"]).text
    assert "The credit is in the other wallet." in page
    assert f"to wallet {other.wallet_id}" in page
    assert "−¥400" in page


@pytest.mark.parametrize("token", ["cw_live_0000", "<script>", ""])
def test_a_token_that_opens_nothing_moves_nothing_and_is_not_shown(
    owner: Visitor, wallets: CreditWallet, wallet: CreatedWallet, token: str
) -> None:
    answer = owner.fill(PATH, PATH, amount_yen="400", to_owner_token=token)
    assert answer.status_code in (403, 422)
    assert 'name="to_owner_token" type="password" value=""' in answer.text
    assert 'value="400"' in answer.text
    assert wallets.show(wallet.wallet_id).balance_yen == 1_000


def test_a_form_that_is_sent_again_with_something_else_says_so_and_can_be_sent_then(
    owner: Visitor, wallets: CreditWallet, wallet: CreatedWallet, other: CreatedWallet
) -> None:
    fields = {**owner.form(owner.get(PATH).text, PATH), "to_owner_token": other.owner_token}
    owner.send(PATH, {**fields, "amount_yen": "400"})
    answer = owner.send(PATH, {**fields, "amount_yen": "500"})
    assert answer.status_code == 409
    assert "This form was sent before with other contents" in answer.text
    assert wallets.show(wallet.wallet_id).balance_yen == 600
    again = {**owner.form(answer.text, PATH), "to_owner_token": other.owner_token, "amount_yen": "500"}
    assert owner.send(PATH, again).status_code == 303
    assert wallets.show(wallet.wallet_id).balance_yen == 100


def test_more_than_there_is_moves_nothing(owner: Visitor, wallets: CreditWallet, other: CreatedWallet) -> None:
    answer = owner.fill(PATH, PATH, amount_yen="1001", to_owner_token=other.owner_token)
    assert answer.status_code == 402
    assert wallets.show(other.wallet_id).balance_yen == 0


def test_neither_operators_nor_managing_keys_nor_links_have_the_form(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    key = wallets.keys.create(wallet.wallet_id, scopes=["read", "manage"]).token
    assert "to_owner_token" not in Visitor(api).sign_in(key).get(PATH).text
    operator = Visitor(api).sign_in(wallets.operators.create("ann", "admin").token)
    page = operator.get(f"/console/wallets/{wallet.wallet_id}/transfers")
    assert page.status_code == 200
    assert "to_owner_token" not in page.text
