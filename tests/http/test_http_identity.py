"""Tokens that rotate, keys of hosts and sellers' tokens over HTTP.

Siblings of "the identity of the secret is taken for that of the agent" (D3): a retry with another token of the same
identity is a replay for charges, holds, captures, refunds and purchases; for owners, agents and sellers. Siblings of "a
seller needs the operator's key" (A10): whatever a seller's token can reach, in ``test_http_access``; here, what it made
itself and what others made. Siblings of "what is remembered of a token": it ends, is rotated, removed or revoked, in
this process and in another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from time import monotonic
from typing import Any, NamedTuple

import httpx
import pytest
from clock import Clock
from databases import on_both_databases
from gated import Application, gated
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedKey, CreatedWallet
from credit_wallet.errors import Forbidden
from credit_wallet.ledger import rail
from credit_wallet.wire import auth, failure_limit

pytestmark = on_both_databases

CREDIT_YEN = 10_000


def digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


@pytest.fixture(params=[True, False], ids=["fast", "documented"])
def api(wallets: CreditWallet, request: pytest.FixtureRequest) -> Iterator[Api]:
    with Api(new_app(wallets, fast_lane=request.param)) as opened:
        yield opened


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    created = wallets.create()
    wallets.topup(created.wallet_id, CREDIT_YEN, idempotency_key="start")
    return created


@pytest.fixture
def agent(wallets: CreditWallet, wallet: CreatedWallet) -> CreatedKey:
    return wallets.keys.create(wallet.wallet_id, label="agent", monthly_cap_yen=500)


def refused(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def ok(answer: httpx.Response) -> dict[str, Any]:
    assert answer.is_success, answer.text
    body: dict[str, Any] = answer.json()
    return body


# Rotation


def test_a_retry_with_the_rotated_token_is_a_replay(api: Api, wallet: CreatedWallet, agent: CreatedKey) -> None:
    first = ok(api.post("/credit/charge", agent.token, key="k", amount_yen=3, note="search"))
    held = ok(api.post("/credit/hold", agent.token, key="h", amount_yen=5))
    captured = ok(api.post("/credit/capture", agent.token, key="c", hold_id=held["hold_id"], amount_yen=2))
    rotated = ok(api.post(f"/credit/keys/{agent.key_id}/rotate", wallet.owner_token, overlap_seconds=0))
    assert rotated == {"key_id": agent.key_id, "wallet_id": wallet.wallet_id, "token": rotated["token"]}
    token = str(rotated["token"])
    retries = (
        (api.post("/credit/charge", token, key="k", amount_yen=3, note="search"), first),
        (api.post("/credit/hold", token, key="h", amount_yen=5), held),
        (api.post("/credit/capture", token, key="c", hold_id=held["hold_id"], amount_yen=2), captured),
    )
    for answer, before in retries:
        assert ok(answer) == before | {"replayed": True}
        assert answer.headers["idempotent-replayed"] == "true"
    assert refused(api.post("/credit/charge", agent.token, key="k", amount_yen=3, note="search"))[0] == 401


def test_a_retry_of_the_owner_with_the_rotated_token_is_a_replay(api: Api, wallet: CreatedWallet) -> None:
    first = ok(api.post("/credit/charge", wallet.owner_token, key="k", amount_yen=3))
    rotated = ok(api.post("/credit/token/rotate", wallet.owner_token))
    for token in (wallet.owner_token, str(rotated["owner_token"])):
        assert ok(api.post("/credit/charge", token, key="k", amount_yen=3)) == first | {"replayed": True}


def test_a_retry_of_a_purchase_with_the_rotated_token_pays_nothing_again(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet, agent: CreatedKey
) -> None:
    seller = wallets.sellers.create()

    def buy(seller_token: str, payer_token: str) -> httpx.Response:
        body = {"amount_yen": 7, "attempt": "a", "free_retries": 3}
        headers = {"X-Payer-Token": payer_token}
        return api.call("POST", "/credit/purchase", seller_token, key="request", json=body, headers=headers)

    bought = ok(buy(seller.token, agent.token))
    newer = wallets.keys.rotate(agent.key_id, overlap_seconds=0).token
    rotated_seller = ok(api.post(f"/operator/sellers/{seller.seller_id}/rotate", OPERATOR_KEY, overlap_seconds=0))
    assert refused(buy(seller.token, newer)) == (401, "unauthorized")
    again = ok(buy(str(rotated_seller["token"]), newer))
    assert (again["txn_id"], again["replayed"]) == (bought["txn_id"], True)
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN - 7


def test_the_operator_replaces_a_leaked_owner_token_at_once_or_with_an_overlap(api: Api, wallet: CreatedWallet) -> None:
    assert ok(api.get("/credit/wallet", wallet.owner_token))  # the service remembers it now
    path = f"/operator/wallets/{wallet.wallet_id}/token/rotate"
    replaced = ok(api.post(path, OPERATOR_KEY))
    assert refused(api.get("/credit/wallet", wallet.owner_token)) == (401, "unauthorized")
    newer = ok(api.post(path, OPERATOR_KEY, overlap_seconds=60))
    for created in (replaced, newer):
        assert ok(api.get("/credit/wallet", str(created["owner_token"])))["wallet_id"] == wallet.wallet_id
    assert refused(api.post("/operator/wallets/999/token/rotate", OPERATOR_KEY)) == (404, "wallet_not_found")
    assert refused(api.post(path, OPERATOR_KEY, overlap_seconds=-1)) == (422, "invalid_request")


def test_a_key_that_is_revoked_or_has_ended_is_not_rotated(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet, clock: Clock
) -> None:
    ended = wallets.keys.create(wallet.wallet_id, expires_at="2026-05-15T12:00:01Z")
    revoked = wallets.keys.create(wallet.wallet_id)
    wallets.keys.revoke(revoked.key_id)
    clock.advance(seconds=1)
    for key in (ended, revoked):
        answer = api.post(f"/credit/keys/{key.key_id}/rotate", wallet.owner_token)
        assert refused(answer) == (409, "key_ended")


# What is remembered of tokens


def ended_by(node: CreditWallet, wallet: CreatedWallet, agent: CreatedKey) -> dict[str, Callable[[], object]]:
    """What ends a token, by what token it ends."""
    return {
        wallet.owner_token: lambda: node.rotate_owner_token(wallet.wallet_id, overlap_seconds=0),
        agent.token: lambda: node.keys.rotate(agent.key_id, overlap_seconds=0),
        "host's own": lambda: node.secrets.remove(digest("host's own")),
    }


@pytest.mark.parametrize("elsewhere", [False, True])
def test_what_ends_in_this_process_is_forgotten_at_once_and_what_ends_in_another_within_a_second(
    wallets: CreditWallet,
    wallet: CreatedWallet,
    agent: CreatedKey,
    db_url: str,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
    *,
    elsewhere: bool,
) -> None:
    now = monotonic()
    for clocked in (auth, rail):
        monkeypatch.setattr(clocked, "monotonic", lambda: now)
    wallets.secrets.register(wallet.wallet_id, digest("host's own"))
    seller = wallets.sellers.create()
    with Api(new_app(wallets)) as api, CreditWallet.open(db_url, clock=clock) as other:
        endings = ended_by(other if elsewhere else wallets, wallet, agent)
        node = other if elsewhere else wallets
        endings[seller.token] = lambda: node.sellers.revoke(seller.seller_id)
        for token, end in endings.items():
            assert api.get("/credit/whoami", token).status_code == 200
            end()
            assert api.get("/credit/whoami", token).status_code == (200 if elsewhere else 401)
            now += auth.BELIEVED_SECONDS
            assert api.get("/credit/whoami", token).status_code == 401


def test_a_token_that_comes_to_its_end_is_not_remembered_beyond_it(
    wallets: CreditWallet, wallet: CreatedWallet, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(auth, "monotonic", lambda: 0.0)
    wallets.rotate_owner_token(wallet.wallet_id, overlap_seconds=60)
    ending = wallets.keys.create(wallet.wallet_id, expires_at="2026-05-15T12:01:00Z")
    with Api(new_app(wallets)) as api:
        assert ok(api.get("/credit/whoami", wallet.owner_token))["ends_at"] == "2026-05-15T12:01:00.000Z"
        assert ok(api.get("/credit/whoami", ending.token))["ends_at"] == "2026-05-15T12:01:00.000Z"
        clock.advance(seconds=60)
        assert api.get("/credit/whoami", wallet.owner_token).status_code == 401
        assert api.get("/credit/whoami", ending.token).status_code == 401


def test_what_ends_while_it_is_looked_up_is_not_remembered(
    wallets: CreditWallet, wallet: CreatedWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    identify = wallets.tokens.identify

    def looked_up_slowly(token: str) -> object:
        access = identify(token)
        monkeypatch.setattr(wallets.tokens, "identify", identify)
        wallets.rotate_owner_token(wallet.wallet_id, overlap_seconds=0)
        return access

    monkeypatch.setattr(wallets.tokens, "identify", looked_up_slowly)
    with Api(new_app(wallets)) as api:
        assert api.get("/credit/whoami", wallet.owner_token).status_code == 200
        assert api.get("/credit/whoami", wallet.owner_token).status_code == 401


# Keys of hosts


@pytest.mark.parametrize("own", ["t1", "sk_test_4eC39HqLyjWDarjtT1zdp7dc", "tökén"])
def test_a_hosts_own_key_pays_under_any_form(api: Api, wallet: CreatedWallet, agent: CreatedKey, own: str) -> None:
    path = f"/operator/wallets/{wallet.wallet_id}/secrets"
    registered = ok(api.post(path, OPERATOR_KEY, sha256=digest(own), key_id=agent.key_id))
    assert registered["key_id"] == agent.key_id
    assert ok(api.post(path, OPERATOR_KEY, sha256=digest(own), key_id=agent.key_id)) == registered
    assert api.get(path, OPERATOR_KEY).json() == [registered]
    charged = api.post("/credit/charge", own, key="a", amount_yen=3)
    assert ok(charged)["balance_yen"] == CREDIT_YEN - 3
    headers: dict[str, str | bytes] = {"X-API-Key": own.encode(), "Idempotency-Key": "b"}
    assert api.call("POST", "/credit/charge", json={"amount_yen": 3}, headers=headers).status_code == 200
    assert refused(api.post("/credit/charge", own, key="c", amount_yen=495)) == (402, "key_cap_exhausted")
    assert refused(api.post(path, OPERATOR_KEY, sha256=digest(own))) == (409, "secret_in_use")
    assert ok(api.call("DELETE", f"/operator/secrets/{digest(own)}", OPERATOR_KEY)) == registered
    assert refused(api.post("/credit/charge", own, key="d", amount_yen=3)) == (401, "unauthorized")
    assert refused(api.call("DELETE", f"/operator/secrets/{digest(own)}", OPERATOR_KEY)) == (404, "secret_not_found")


@pytest.mark.parametrize("token", ["x" * 513, "\udcff\udcfe"])
def test_what_can_be_no_token_is_unauthorized(api: Api, wallet: CreatedWallet, token: str) -> None:
    del wallet
    sent = token.encode("utf-8", "surrogateescape")
    headers: dict[str, str | bytes] = {"X-API-Key": sent, "Idempotency-Key": "a"}
    answer = api.call("POST", "/credit/charge", json={"amount_yen": 3}, headers=headers)
    assert refused(answer) == (401, "unauthorized")


# Who is who


def test_everybody_can_ask_who_they_are(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet, agent: CreatedKey
) -> None:
    nothing = dict.fromkeys(
        ("wallet_id", "key_id", "seller_id", "ends_at", "scopes", "operator_id", "operator_name", "operator_role")
    )
    seller = wallets.sellers.create()
    expected: dict[str, dict[str, object]] = {
        wallet.owner_token: {"role": "owner", "wallet_id": wallet.wallet_id},
        agent.token: {
            "role": "agent",
            "wallet_id": wallet.wallet_id,
            "key_id": agent.key_id,
            "scopes": ["spend", "read"],
        },
        seller.token: {"role": "seller", "seller_id": seller.seller_id},
        OPERATOR_KEY: {"role": "operator", "operator_name": "operator", "operator_role": "admin"},
    }
    for token, identity in expected.items():
        assert api.get("/credit/whoami", token).json() == nothing | identity
    assert refused(api.get("/credit/whoami", OPERATOR_KEY[:-1])) == (401, "unauthorized")


# Sellers


class Market(NamedTuple):
    """Two sellers and a wallet with an agent, over HTTP and in the library."""

    api: Api
    wallets: CreditWallet
    wallet: CreatedWallet
    agent: CreatedKey
    seller: str
    rival: str

    def sell(
        self, path: str, token: str | None = None, *, key: str, payer: str | None = None, **body: Any
    ) -> httpx.Response:
        """A call of the seller's, or of another one with ``token``; for the wallet, or for the ``payer``'s token."""
        headers = {} if payer is None else {"X-Payer-Token": payer}
        if payer is None and path in ("/credit/charge", "/credit/hold", "/credit/purchase"):
            body["wallet_id"] = self.wallet.wallet_id
        return self.api.call("POST", path, token or self.seller, key=key, json=body, headers=headers)

    def balance(self) -> int:
        return int(self.wallets.balance(self.wallet.wallet_id))


@pytest.fixture
def market(api: Api, wallets: CreditWallet, wallet: CreatedWallet, agent: CreatedKey) -> Market:
    seller, rival = wallets.sellers.create(label="search"), wallets.sellers.create(label="rival")
    return Market(api, wallets, wallet, agent, seller.token, rival.token)


def test_a_seller_charges_any_wallet_and_gives_back_what_it_charged(market: Market) -> None:
    charged = ok(market.sell("/credit/charge", key="a", amount_yen=30))
    assert ok(market.api.get(f"/credit/transactions/{charged['txn_id']}", market.seller))["amount_yen"] == -30
    assert ok(market.sell("/credit/refund", key="b", txn_id=charged["txn_id"], amount_yen=10))["amount_yen"] == 10
    assert ok(market.sell("/credit/refund", key="c", txn_id=charged["txn_id"]))["amount_yen"] == 20
    assert market.balance() == CREDIT_YEN
    assert market.wallets.verify() == []


def test_a_seller_charges_whoever_sent_a_token_and_the_agents_cap_counts(market: Market) -> None:
    charged = ok(market.sell("/credit/charge", key="a", payer=market.agent.token, amount_yen=400))
    assert market.wallets.transactions.show(int(str(charged["txn_id"]))).key_id == market.agent.key_id
    refusal = market.sell("/credit/hold", key="b", payer=market.agent.token, amount_yen=101)
    assert refused(refusal) == (402, "key_cap_exhausted")
    assert ok(market.sell("/credit/hold", key="b", payer=market.wallet.owner_token, amount_yen=101))


def test_a_seller_names_who_pays_once(market: Market) -> None:
    other = market.wallets.create()
    body = {"amount_yen": 1, "wallet_id": other.wallet_id}
    headers = {"X-Payer-Token": market.agent.token}
    answer = market.api.call("POST", "/credit/charge", market.seller, key="a", json=body, headers=headers)
    assert refused(answer) == (403, "forbidden")
    answer = market.api.post("/credit/charge", market.seller, key="a", amount_yen=1)
    assert refused(answer) == (422, "invalid_request")
    assert answer.json()["field"] == "wallet_id"


def test_a_payers_bad_token_is_the_payers_failure_and_locks_no_seller_out(market: Market) -> None:
    bad = [market.agent.token[:-1] + "!", "unknown", OPERATOR_KEY, market.rival, market.seller]
    for number in range(failure_limit.FAILURES_ALLOWED + 5):
        answer = market.sell("/credit/charge", key=str(number), payer=bad[number % len(bad)], amount_yen=1)
        assert refused(answer) == (401, "unauthorized")
        assert answer.json()["field"] == "X-Payer-Token"
    assert ok(market.sell("/credit/charge", key="good", payer=market.agent.token, amount_yen=1))


def test_nobody_pays_for_somebody_else_with_a_wallets_token(market: Market) -> None:
    answer = market.sell("/credit/charge", market.wallet.owner_token, key="a", payer=market.agent.token, amount_yen=1)
    assert refused(answer) == (403, "forbidden")


def test_a_seller_holds_extends_captures_releases_and_gives_back(market: Market) -> None:
    hold_id = ok(market.sell("/credit/hold", key="a", payer=market.agent.token, amount_yen=100))["hold_id"]
    assert ok(market.api.get(f"/credit/holds/{hold_id}", market.seller))["status"] == "open"
    assert ok(market.sell("/credit/extend", key="b", hold_id=hold_id, ttl_seconds=3_600))
    captured = ok(market.sell("/credit/capture", key="c", hold_id=hold_id, amount_yen=60))
    assert market.balance() == CREDIT_YEN - 60
    assert ok(market.api.get(f"/credit/transactions/{captured['txn_id']}", market.seller))["hold_id"] == hold_id
    assert ok(market.sell("/credit/refund", key="d", txn_id=captured["txn_id"]))["amount_yen"] == 60
    second = ok(market.sell("/credit/hold", key="e", amount_yen=100))["hold_id"]
    assert ok(market.sell("/credit/release", key="f", hold_id=second))
    assert market.balance() == CREDIT_YEN
    assert market.wallets.verify() == []


def test_a_seller_sells_requests_and_gives_back_what_failed(market: Market) -> None:
    bought = ok(market.sell("/credit/purchase", key="r1", payer=market.agent.token, amount_yen=10, attempt="a"))
    named: dict[str, Any] = {
        "wallet_id": market.wallet.wallet_id,
        "purchase_key": bought["purchase_key"],
        "attempt": "a",
    }
    assert ok(market.sell("/credit/purchase/renew", key="-", **named))
    assert ok(market.sell("/credit/purchase/undo", key="-", **named))["amount_yen"] == 10
    again = ok(market.sell("/credit/purchase", key="r1", payer=market.agent.token, amount_yen=10, attempt="b"))
    assert ok(market.sell("/credit/purchase/serve", key="-", **{**named, "attempt": "b"}))
    refused_undo = ok(market.sell("/credit/purchase/undo", key="-", **{**named, "attempt": "b"}))
    assert (refused_undo["amount_yen"], market.balance()) == (0, CREDIT_YEN - 10)
    assert ok(market.sell("/credit/refund", key="goodwill", txn_id=again["txn_id"]))["amount_yen"] == 10


def made_by_others(market: Market) -> dict[str, tuple[object, object]]:
    """A hold and a charge of everybody but the seller, by whose they are."""
    wallets, wallet_id = market.wallets, market.wallet.wallet_id
    made: dict[str, tuple[object, object]] = {}
    for actor in ("operator", "product", "payer", "seller:2"):
        held = wallets.hold(wallet_id, 10, idempotency_key=f"hold {actor}", actor=actor)
        charged = wallets.charge(wallet_id, 10, idempotency_key=f"charge {actor}", actor=actor)
        made[actor] = (held.hold_id, charged.txn_id)
    return made


def test_a_seller_touches_and_sees_nothing_that_somebody_else_made(market: Market) -> None:
    made = made_by_others(market)
    for actor, (hold_id, txn_id) in made.items():
        calls = {
            "capture": market.sell("/credit/capture", key=f"c {actor}", hold_id=hold_id, amount_yen=1),
            "release": market.sell("/credit/release", key=f"r {actor}", hold_id=hold_id),
            "extend": market.sell("/credit/extend", key="-", hold_id=hold_id, ttl_seconds=10_000),
            "refund": market.sell("/credit/refund", key=f"b {actor}", txn_id=txn_id),
        }
        assert {name: refused(answer) for name, answer in calls.items()} == dict.fromkeys(calls, (403, "forbidden"))
        assert refused(market.api.get(f"/credit/holds/{hold_id}", market.seller)) == (404, "hold_not_found")
        assert refused(market.api.get(f"/credit/transactions/{txn_id}", market.seller)) == (404, "entry_not_found")
    captured = ok(market.sell("/credit/capture", market.rival, key="x", hold_id=made["seller:2"][0], amount_yen=10))
    assert refused(market.sell("/credit/refund", key="x", txn_id=captured["txn_id"])) == (403, "forbidden")
    topup = market.wallets.history(market.wallet.wallet_id, txn_type="topup")[0].txn_id
    assert refused(market.sell("/credit/refund", key="y", txn_id=topup)) == (403, "forbidden")
    assert refused(market.sell("/credit/refund", key="y", txn_id=999)) == (404, "entry_not_found")
    assert market.wallets.show(market.wallet.wallet_id).held_yen == 30


def test_two_sellers_use_the_same_key_without_knowing_of_each_other(market: Market) -> None:
    first = ok(market.sell("/credit/charge", key="a", amount_yen=3))
    second = ok(market.sell("/credit/charge", market.rival, key="a", amount_yen=5))
    assert first["txn_id"] != second["txn_id"]
    assert ok(market.sell("/credit/charge", key="a", amount_yen=3)) == first | {"replayed": True}
    assert refused(market.sell("/credit/charge", key="a", amount_yen=4)) == (409, "idempotency_conflict")


def test_what_a_seller_holds_is_not_the_payers_to_close_and_is_the_operators(market: Market) -> None:
    hold_id = ok(market.sell("/credit/hold", key="a", payer=market.agent.token, amount_yen=100))["hold_id"]
    for token in (market.agent.token, market.wallet.owner_token, market.rival):
        assert refused(market.sell("/credit/release", token, key="b", hold_id=hold_id)) == (403, "forbidden")
    assert ok(market.sell("/credit/release", OPERATOR_KEY, key="b", hold_id=hold_id))
    charged = ok(market.sell("/credit/charge", key="c", amount_yen=3))
    assert ok(market.sell("/credit/refund", OPERATOR_KEY, key="d", txn_id=charged["txn_id"]))


def test_the_library_keeps_sellers_apart_as_well(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    charged = wallets.charge(wallet.wallet_id, 3, idempotency_key="a", actor="seller:1")
    replayed = wallets.charge(wallet.wallet_id, 3, idempotency_key="a", actor="seller:1")
    assert (replayed.txn_id, replayed.replayed) == (charged.txn_id, True)
    assert charged.txn_id is not None
    with pytest.raises(Forbidden):
        wallets.refund(charged.txn_id, idempotency_key="b", actor="seller:2")
    assert wallets.refund(charged.txn_id, idempotency_key="b", actor="seller:1").amount_yen == 3


def test_a_revoked_seller_sells_nothing_more_and_its_hold_gives_back_in_time(market: Market, clock: Clock) -> None:
    ok(market.sell("/credit/hold", key="a", amount_yen=100, ttl_seconds=60))
    ok(market.api.call("DELETE", "/operator/sellers/1", OPERATOR_KEY))
    assert refused(market.sell("/credit/charge", key="b", amount_yen=1)) == (401, "unauthorized")
    clock.advance(seconds=61)
    assert market.balance() == CREDIT_YEN
    listed = market.api.get("/operator/sellers", OPERATOR_KEY).json()
    assert [(each["label"], each["revoked_at"] is None) for each in listed] == [("search", False), ("rival", True)]
    assert refused(market.api.post("/operator/sellers/1/rotate", OPERATOR_KEY)) == (409, "key_ended")
    assert refused(market.api.call("DELETE", "/operator/sellers/9", OPERATOR_KEY)) == (404, "seller_not_found")


@pytest.mark.parametrize("where", ["embedded", "remote"])
def test_a_gate_takes_a_hosts_own_key_and_a_rotated_token_and_no_seller(
    wallets: CreditWallet, wallet: CreatedWallet, agent: CreatedKey, where: str
) -> None:
    own = "sk_test_t1"
    wallets.secrets.register(wallet.wallet_id, digest(own), agent.key_id)
    seller = wallets.sellers.create()
    with gated(Application(), wallets, wallet, where, price_yen=3) as front:
        assert front.call(token=own).status_code == 200
        assert front.call(token=agent.token, key="retry").status_code == 200
        newer = wallets.keys.rotate(agent.key_id, overlap_seconds=0).token
        assert front.call(token=newer, key="retry").status_code == 200
        for refused_token in (seller.token, "x" * 513, OPERATOR_KEY):
            assert front.call(token=refused_token).status_code == 401
        assert front.balance_yen == CREDIT_YEN - 6
