"""A token that has leaked ends when somebody names it, whatever it is."""

from __future__ import annotations

from hashlib import sha256

import pytest
from clock import Clock
from databases import on_every_database
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.acts import Author
from credit_wallet.domain.tokens import new_token
from credit_wallet.errors import InvalidRequest, SecretNotFound, Unauthorized

pytestmark = on_every_database

SUPPORT = Author("operator", "operator:3")


def opens(wallets: CreditWallet, token: str) -> bool:
    try:
        wallets.tokens.identify(token)
    except Unauthorized:
        return False
    return True


def test_whatever_a_token_is_it_ends_and_the_answer_says_what_it_was(wallets: CreditWallet, clock: Clock) -> None:
    owner, other = wallets.create(), wallets.create()
    wallet_id = owner.wallet_id
    agent, turned = wallets.keys.create(wallet_id), wallets.keys.create(wallet_id)
    latest = wallets.keys.rotate(turned.key_id)
    current = wallets.rotate_owner_token(wallet_id)
    seller, operator = wallets.sellers.create(), wallets.operators.create("alice", "admin")
    second = wallets.operators.rotate(operator.operator_id)
    wallets.secrets.register(wallet_id, sha256(b"of the host").hexdigest(), turned.key_id)
    leaked = {
        agent.token: ("agent_key", wallet_id, agent.key_id, None, None),
        turned.token: ("earlier_token", wallet_id, turned.key_id, None, None),
        owner.owner_token: ("earlier_token", wallet_id, None, None, None),
        current.owner_token: ("owner_token", wallet_id, None, None, None),
        "of the host": ("registered_key", wallet_id, turned.key_id, None, None),
        seller.token: ("seller_token", None, None, seller.seller_id, None),
        operator.token: ("operator_key", None, None, None, operator.operator_id),
    }
    untouched = (latest.token, other.owner_token, second.token)
    by_support, answers = wallets.acting(SUPPORT), []
    before = len(wallets.log(limit=100))
    for token, was in leaked.items():
        assert opens(wallets, token)
        answer = by_support.tokens.revoke(token)
        assert (answer.kind, answer.wallet_id, answer.key_id, answer.seller_id, answer.operator_id) == was
        assert not opens(wallets, token), was
        answers.append(answer)
    clock.advance(days=1)
    assert [wallets.tokens.revoke(token) for token in leaked] == answers
    assert [opens(wallets, token) for token in untouched] == [True] * len(untouched)
    assert wallets.keys.show(agent.key_id).revoked_at == answers[0].revoked_at
    done = wallets.log(limit=100)
    assert len(done) - before == len(leaked)
    assert {act.by for act in done[: len(leaked)]} == {"operator:3"}
    assert not any(token in str(act) for act in done for token in leaked)
    assert opens(wallets, wallets.rotate_owner_token(wallet_id).owner_token)
    assert not opens(wallets, current.owner_token)
    assert wallets.verify() == []


def test_what_was_registered_anew_ends_again(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id, digest = wallets.create().wallet_id, sha256(b"of the host").hexdigest()
    revoked = []
    for _ in range(2):
        wallets.secrets.register(wallet_id, digest)
        assert opens(wallets, "of the host")
        revoked.append(wallets.tokens.revoke("of the host"))
        assert not opens(wallets, "of the host")
        clock.advance(seconds=1)
    assert revoked[0].revoked_at < revoked[1].revoked_at
    assert wallets.tokens.revoke("of the host") == revoked[1]


def test_what_is_no_token_is_said_to_be_none(wallets: CreditWallet) -> None:
    for token in (new_token(), "a", "\udcff"):
        with pytest.raises(SecretNotFound):
            wallets.tokens.revoke(token)
    for token in ("", "x" * 513, "\ud800"):
        with pytest.raises(InvalidRequest):
            wallets.tokens.revoke(token)


def test_support_revokes_over_http_and_the_environments_keys_stay(wallets: CreditWallet) -> None:
    agent = wallets.keys.create(wallets.create().wallet_id)
    support = wallets.operators.create("alice", "support").token
    with Api(new_app(wallets)) as api:
        assert api.get("/credit/wallet", agent.token).status_code == 200
        for _ in range(2):
            answer = api.call("POST", "/operator/tokens/revoke", support, json={"token": agent.token})
            assert (answer.status_code, answer.json()["kind"]) == (200, "agent_key")
            assert agent.token not in answer.text
        assert api.get("/credit/wallet", agent.token).status_code == 401
        refused = api.call("POST", "/operator/tokens/revoke", support, json={"token": OPERATOR_KEY})
        assert (refused.status_code, refused.json()["field"]) == (422, "token")
        assert OPERATOR_KEY not in refused.text
        own = api.call("POST", "/operator/tokens/revoke", support, json={"token": support})
        assert own.json()["kind"] == "operator_key"
        assert api.get("/operator/wallets", support).status_code == 401
