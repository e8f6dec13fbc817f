"""A host's link lets its customer in: once, for a while, and not whoever only looks at it."""

from __future__ import annotations

from clock import Clock
from service import OPERATOR_KEY, Api, new_app
from visiting import Visitor

from credit_wallet import CreditWallet


def test_a_link_works_once_and_not_for_long(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create().wallet_id
    with Api(new_app(wallets, public_url="http://wallet.test")) as api:
        path = f"/operator/wallets/{wallet_id}/link"
        first = api.post(path, OPERATOR_KEY, path="/wallet/keys").json()["url"].removeprefix("http://wallet.test")
        late = api.post(path, OPERATOR_KEY, expires_in_seconds=30).json()["url"].removeprefix("http://wallet.test")
        customer = Visitor(api)
        answer = customer.get(first)
        assert (answer.status_code, answer.headers["location"]) == (303, "/wallet/keys")
        assert customer.get("/wallet/keys").status_code == 200
        again = Visitor(api).get(first)
        assert (again.status_code, "The link or the session has ended" in again.text) == (401, True)
        clock.advance(seconds=31)
        assert Visitor(api).get(late).status_code == 401
        assert Visitor(api).get("/enter/cw_link_nonsense").status_code == 401


def test_whoever_looks_at_a_link_without_opening_it_does_not_use_it_up(wallets: CreditWallet) -> None:
    """Mail servers and chats look at links with HEAD."""
    wallet_id = wallets.create().wallet_id
    with Api(new_app(wallets, public_url="http://wallet.test")) as api:
        answer = api.post(f"/operator/wallets/{wallet_id}/link", OPERATOR_KEY)
        link = answer.json()["url"].removeprefix("http://wallet.test")
        assert api.call("HEAD", link).status_code == 200
        assert Visitor(api).get(link).status_code == 303


def test_whoever_is_signed_in_is_asked_before_a_link_takes_their_place(
    wallets: CreditWallet,
) -> None:
    """An attacker sends a link of the own wallet, so that the victim pays into it."""
    victim, attacker = wallets.create(label="victim"), wallets.create(label="attacker")
    with Api(new_app(wallets, public_url="http://wallet.test")) as api:
        made = api.post(f"/operator/wallets/{attacker.wallet_id}/link", OPERATOR_KEY).json()
        link = made["url"].removeprefix("http://wallet.test")
        visitor = Visitor(api).sign_in(victim.owner_token)
        asked = visitor.get(link)
        assert (asked.status_code, "Open another wallet?" in asked.text) == (200, True)
        assert "victim" in visitor.get("/wallet").text
        assert visitor.send(link, {}).status_code == 403
        assert visitor.fill(link, link).headers["location"] == "/wallet"
        assert "attacker" in visitor.get("/wallet").text


def test_a_browser_that_guesses_does_not_use_a_link_up(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    with Api(new_app(wallets, public_url="http://wallet.test")) as api:
        made = api.post(f"/operator/wallets/{wallet_id}/link", OPERATOR_KEY).json()
        link = made["url"].removeprefix("http://wallet.test")
        assert Visitor(api).get(link, sec_purpose="prefetch;prerender").status_code == 503
        assert Visitor(api).get(link).status_code == 303
