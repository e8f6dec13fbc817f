"""Agent keys over HTTP."""

from __future__ import annotations

import pytest
from clock import Clock
from databases import on_both_databases
from http_answers import CREDIT_YEN, assert_problem
from service import Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedKey, CreatedWallet

pytestmark = on_both_databases


def test_keys_are_created_listed_shown_and_revoked(api: Api, token: str) -> None:
    created = api.post("/credit/keys", token, label="crawler", monthly_cap_yen=100)
    assert created.status_code == 201
    key_id, agent = created.json()["key_id"], created.json()["token"]
    (listed,) = api.get("/credit/keys", token).json()
    assert listed == api.get(f"/credit/keys/{key_id}", token).json()
    assert (listed["label"], listed["monthly_cap_yen"], listed["revoked_at"]) == ("crawler", 100, None)
    assert agent not in api.get("/credit/keys", token).text
    revoked = api.call("DELETE", f"/credit/keys/{key_id}", token)
    assert (revoked.status_code, revoked.json()["revoked_at"]) == (200, "2026-05-15T12:00:00.000Z")
    assert api.call("DELETE", f"/credit/keys/{key_id}", token).json() == revoked.json()


def test_somebody_elses_key_does_not_exist(
    api: Api, token: str, stranger: CreatedWallet, wallets: CreditWallet
) -> None:
    theirs = wallets.keys.create(stranger.wallet_id)
    for method, path in (("GET", ""), ("DELETE", ""), ("POST", "/rotate")):
        answer = api.call(method, f"/credit/keys/{theirs.key_id}{path}", token, json={} if method == "POST" else None)
        assert_problem(answer, 404, "key_not_found", key_id=theirs.key_id)
    assert wallets.keys.show(theirs.key_id).revoked_at is None
    assert_problem(api.get("/credit/keys/999", token), 404, "key_not_found", key_id=999)


@pytest.fixture
def agent(wallets: CreditWallet, wallet: CreatedWallet) -> CreatedKey:
    return wallets.keys.create(wallet.wallet_id, label="agent")


@pytest.mark.parametrize("fast_lane", [True, False])
def test_a_revoked_key_stops_working_at_once(
    wallets: CreditWallet, wallet: CreatedWallet, agent: CreatedKey, *, fast_lane: bool
) -> None:
    with Api(new_app(wallets, fast_lane=fast_lane)) as api:
        assert api.post("/credit/charge", agent.token, key="a", amount_yen=3).status_code == 200
        hold_id = api.post("/credit/hold", agent.token, key="h", amount_yen=3).json()["hold_id"]
        api.call("DELETE", f"/credit/keys/{agent.key_id}", wallet.owner_token)
        attempts = [
            api.post("/credit/charge", agent.token, key="b", amount_yen=3),
            api.post("/credit/hold", agent.token, key="c", amount_yen=3),
            api.post("/credit/capture", agent.token, key="d", hold_id=hold_id, amount_yen=3),
            api.post("/credit/release", agent.token, key="e", hold_id=hold_id),
            api.get("/credit/wallet", agent.token),
        ]
        for attempt in attempts:
            assert_problem(attempt, 401, "unauthorized")
        assert wallets.balance(wallet.wallet_id) == CREDIT_YEN - 6


def test_a_key_revoked_behind_the_services_back_spends_nothing(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet, agent: CreatedKey, db_url: str, clock: Clock
) -> None:
    """The service remembers a token for a moment; the transaction that would move money does not."""
    assert api.post("/credit/charge", agent.token, key="a", amount_yen=3).status_code == 200
    with CreditWallet.open(db_url, clock=clock) as elsewhere:
        elsewhere.keys.revoke(agent.key_id)
    assert_problem(api.post("/credit/charge", agent.token, key="b", amount_yen=3), 401, "unauthorized")
    assert_problem(api.post("/credit/hold", agent.token, key="c", amount_yen=3), 401, "unauthorized")
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN - 3


def test_a_rotated_key_works_beside_the_new_one_for_the_overlap(
    wallets: CreditWallet, wallet: CreatedWallet, agent: CreatedKey, clock: Clock
) -> None:
    with Api(new_app(wallets)) as api:
        rotated = api.post(f"/credit/keys/{agent.key_id}/rotate", wallet.owner_token, overlap_seconds=60)
        assert rotated.status_code == 201
        new = rotated.json()["token"]
        assert api.post("/credit/charge", agent.token, key="a", amount_yen=3).status_code == 200
        assert api.post("/credit/charge", new, key="b", amount_yen=3).status_code == 200
        clock.advance(seconds=60)
        assert_problem(api.post("/credit/charge", agent.token, key="c", amount_yen=3), 401, "unauthorized")
        assert api.post("/credit/charge", new, key="d", amount_yen=3).status_code == 200


def test_a_rotation_without_overlap_ends_the_old_key_at_once(
    api: Api, wallet: CreatedWallet, agent: CreatedKey
) -> None:
    assert api.post("/credit/charge", agent.token, key="a", amount_yen=3).status_code == 200
    api.post(f"/credit/keys/{agent.key_id}/rotate", wallet.owner_token, overlap_seconds=0)
    assert_problem(api.post("/credit/charge", agent.token, key="b", amount_yen=3), 401, "unauthorized")
    assert_problem(api.get("/credit/wallet", agent.token), 401, "unauthorized")
