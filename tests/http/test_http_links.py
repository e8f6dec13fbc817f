"""Links over HTTP: what an operator's server asks for to let a customer in, and what is refused."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from clock import Clock
from databases import on_both_databases
from http_answers import assert_problem
from msgspec import convert
from service import OPERATOR_KEY, Api

from credit_wallet import CreditWallet
from credit_wallet.delivery.factory import NotifySettings
from credit_wallet.domain.links import LINK_SECONDS
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.errors import Unauthorized
from credit_wallet.http.app import create_app
from credit_wallet.http.app_settings import ServiceSettings
from credit_wallet.http.metrics import Metrics
from credit_wallet.wire.auth import Authenticator
from credit_wallet.wire.link_bodies import WalletLink
from credit_wallet.wire.operator_keys import operator_key
from credit_wallet.wire.people import People

pytestmark = on_both_databases

PUBLIC = "https://pay.example.com"


def served(wallets: CreditWallet, *frame_origins: str) -> Api:
    settings = ServiceSettings(
        (operator_key("operator", OPERATOR_KEY),),
        f"{PUBLIC}/topup",
        NotifySettings(),
        public_url=PUBLIC,
        frame_origins=frame_origins,
    )
    return Api(create_app(wallets, settings, Metrics()))


def at(wallet: CreatedWallet) -> str:
    return f"/operator/wallets/{wallet.wallet_id}/link"


def test_a_link_leads_to_where_people_reach_the_service_and_lets_one_in(
    wallets: CreditWallet, wallet: CreatedWallet, clock: Clock
) -> None:
    with served(wallets) as api:
        answer = api.post(at(wallet), OPERATOR_KEY, language="ja")
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    link = answer.json()
    assert (link["wallet_id"], link["frame_url"]) == (wallet.wallet_id, None)
    clock.advance(seconds=LINK_SECONDS - 1)
    assert link["expires_at"] > clock().isoformat()
    begun = wallets.links.take(link["url"].removeprefix(f"{PUBLIC}/enter/"))
    assert (begun.path, begun.language) == ("/wallet", "ja")
    session = wallets.sessions.open(begun.secret)
    assert (session.linked_by, session.scopes) == ("operator:operator", ("read", "manage"))


def test_an_allowed_origin_gets_the_same_link_for_its_frames(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with served(wallets, "https://app.example.com") as api:
        link = convert(api.post(at(wallet), OPERATOR_KEY).json(), WalletLink)
    secret = link.url.removeprefix(f"{PUBLIC}/enter/")
    assert link.frame_url == f"{PUBLIC}/framed/enter/{secret}"


def test_the_session_ends_with_the_key_that_asked_for_the_link(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    operator = wallets.operators.create("alice", "support")
    second = wallets.operators.rotate(operator.operator_id)
    begun = [
        wallets.links.take(api.post(at(wallet), token).json()["url"].rpartition("/")[2])
        for token in (operator.token, second.token)
    ]
    people = People(wallets, Authenticator(wallets))
    wallets.operators.revoke_key(operator.operator_id, operator.operator_key_id)
    with asyncio.Runner() as loop:
        with pytest.raises(Unauthorized):
            loop.run(people.session(begun[0].secret, "192.0.2.1"))
        session, caller = loop.run(people.session(begun[1].secret, "192.0.2.1"))
    assert (session.opened_by, caller.name) == ("link:operator:1", "link:operator:1")


@pytest.mark.parametrize(
    "body",
    [
        {"expires_in_seconds": 29},
        {"expires_in_seconds": 3_601},
        {"scopes": []},
        {"scopes": ["spend"]},
        {"path": "https://elsewhere.example/wallet"},
        {"path": "//elsewhere.example"},
        {"path": "/console"},
        {"language": "fr"},
        {"url": PUBLIC},
    ],
    ids=str,
)
def test_what_a_link_may_not_be_is_refused(api: Api, wallet: CreatedWallet, body: dict[str, Any]) -> None:
    assert_problem(api.call("POST", at(wallet), OPERATOR_KEY, json=body), 422, "invalid_request")


def test_nobody_is_let_in_to_a_wallet_that_is_closed_or_not_there(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    wallets.close_wallet(wallet.wallet_id, note="leaves", unused="write_off")
    assert_problem(api.post(at(wallet), OPERATOR_KEY), 409, "wallet_closed")
    assert_problem(api.post("/operator/wallets/99/link", OPERATOR_KEY), 404, "wallet_not_found")


def test_a_wallet_is_handed_over_under_the_name_that_says_so(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    begun = wallets.links.take(wallets.links.create(wallet.wallet_id).secret)
    answer = api.post(f"/operator/wallets/{wallet.wallet_id}/hand-over", OPERATOR_KEY, reference="cust_2")
    assert answer.json() == {"wallet_id": wallet.wallet_id, "reference": "cust_2", "owner_token": None}
    with pytest.raises(Unauthorized):
        wallets.sessions.open(begun.secret)
    assert wallets.tokens.authenticate(wallet.owner_token).wallet_id == wallet.wallet_id
