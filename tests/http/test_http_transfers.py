"""Transfers over HTTP: who may move what to whom, and what becomes of the tokens that prove it."""

from __future__ import annotations

import logging

import httpx
import pytest
from databases import on_both_databases
from http_answers import assert_problem
from service import OPERATOR_KEY, Api

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet

pytestmark = on_both_databases

MOVE = "/credit/transfers"
BETWEEN = "/operator/transfers"


@pytest.fixture
def team(wallets: CreditWallet) -> CreatedWallet:
    """Another wallet of the same owner, empty."""
    return wallets.create()


def test_who_has_both_owner_tokens_moves_credit(api: Api, wallet: CreatedWallet, team: CreatedWallet) -> None:
    asked = {"amount_yen": "1500.5", "to_owner_token": team.owner_token, "note": "for search"}
    moved = api.call("POST", MOVE, wallet.owner_token, key="k", json=asked)
    assert moved.status_code == 200, moved.text
    document = moved.json()
    assert {name: document[name] for name in ("wallet_id", "to_wallet_id", "amount", "amount_yen", "replayed")} == {
        "wallet_id": wallet.wallet_id,
        "to_wallet_id": team.wallet_id,
        "amount": "1500.5",
        "amount_yen": 1_500,
        "replayed": False,
    }
    assert (document["balance"], document["balance_yen"]) == ("8499.5", 8_499)
    assert (document["to_balance"], document["to_balance_yen"]) == ("1500.5", 1_500)
    assert (moved.headers["x-wallet-balance"], moved.headers["x-wallet-balance-exact"]) == ("8499", "8499.5")
    again = api.call("POST", MOVE, wallet.owner_token, key="k", json=asked)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.json() == {**document, "replayed": True}
    assert team.owner_token not in moved.text + again.text


def test_both_wallets_list_it(api: Api, wallet: CreatedWallet, team: CreatedWallet) -> None:
    ids = [
        api.post(MOVE, wallet.owner_token, key=f"{n}", amount_yen=10, to_owner_token=team.owner_token).json()[
            "transfer_id"
        ]
        for n in range(3)
    ]
    for owner, direction, other in ((wallet, "out", team), (team, "in", wallet)):
        listed = api.get(MOVE, owner.owner_token, limit=2).json()["transfers"]
        listed += api.get(MOVE, owner.owner_token, before=listed[-1]["transfer_id"]).json()["transfers"]
        assert sorted(each["transfer_id"] for each in listed) == sorted(ids)
        assert {(each["direction"], each["status"], each["other_wallet_id"]) for each in listed} == {
            (direction, "done", other.wallet_id)
        }
        shown = api.get(f"{MOVE}/{ids[0]}", owner.owner_token).json()
        assert shown in listed
        assert shown["lots"][0] == {
            "lot_id": shown["lots"][0]["lot_id"],
            "kind": "paid",
            "expires_at": None,
            "amount_yen": 10,
            "amount": "10",
        }


def test_a_stranger_sees_nothing_of_it(
    api: Api, wallet: CreatedWallet, team: CreatedWallet, stranger: CreatedWallet
) -> None:
    moved = api.post(MOVE, wallet.owner_token, key="k", amount_yen=10, to_owner_token=team.owner_token).json()
    name = moved["transfer_id"]
    assert_problem(api.get(f"{MOVE}/{name}", stranger.owner_token), 404, "transfer_not_found", transfer_id=name)
    assert_problem(api.get(MOVE, stranger.owner_token, before=name), 404, "transfer_not_found", transfer_id=name)
    assert api.get(MOVE, stranger.owner_token).json() == {"transfers": []}
    assert_problem(api.get(f"{MOVE}/tr_x", stranger.owner_token), 422, "invalid_request")


def test_an_agent_moves_nothing_and_proves_nothing(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet, team: CreatedWallet
) -> None:
    agent = wallets.keys.create(wallet.wallet_id).token
    other_agent = wallets.keys.create(team.wallet_id).token
    assert_problem(api.post(MOVE, agent, key="k", amount_yen=1, to_owner_token=team.owner_token), 403, "forbidden")
    refused = api.post(MOVE, wallet.owner_token, key="k", amount_yen=1, to_owner_token=other_agent)
    assert_problem(refused, 403, "forbidden", field="to_owner_token")
    assert other_agent not in refused.text
    assert_problem(api.get(MOVE, agent), 403, "forbidden")
    assert_problem(
        api.post(BETWEEN, agent, key="k", amount_yen=1, from_wallet_id=wallet.wallet_id, to_wallet_id=team.wallet_id),
        403,
        "forbidden",
    )
    assert wallets.balance(team.wallet_id) == 0


def test_a_token_that_proves_nothing_is_not_repeated_anywhere(
    api: Api,
    wallets: CreditWallet,
    wallet: CreatedWallet,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = [
        wallet.owner_token[:-1] + ("A" if wallet.owner_token[-1] != "A" else "B"),
        "cw_live_" + "7" * 49,
        wallets.sellers.create(label="shop").token,
        OPERATOR_KEY,
        "secret-of-somebody-else",
        "\ud800secret".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
    ]
    for token in wrong:
        refused = api.post(MOVE, wallet.owner_token, key="k", amount_yen=1, to_owner_token=token)
        assert_problem(refused, 403, "forbidden", field="to_owner_token")
        assert refused.json()["detail"].endswith("send the other wallet's owner token")
        assert token not in refused.text
    for token in ("", "x" * 513):
        refused = api.post(MOVE, wallet.owner_token, key="k", amount_yen=1, to_owner_token=token)
        assert_problem(refused, 422, "invalid_request", field="to_owner_token")
    said = caplog.text + "".join(capsys.readouterr())
    assert not any(token in said for token in wrong)
    assert wallets.balance(wallet.wallet_id) == 10_000


def test_a_rotated_token_still_names_the_same_wallet(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet, team: CreatedWallet
) -> None:
    first = api.post(MOVE, wallet.owner_token, key="k", amount_yen=10, to_owner_token=team.owner_token)
    rotated = wallets.rotate_owner_token(team.wallet_id, overlap_seconds=0).owner_token
    again = api.post(MOVE, wallet.owner_token, key="k", amount_yen=10, to_owner_token=rotated)
    assert again.json() == {**first.json(), "replayed": True}
    ended = api.post(MOVE, wallet.owner_token, key="k", amount_yen=10, to_owner_token=team.owner_token)
    assert_problem(ended, 403, "forbidden", field="to_owner_token")


def test_an_operator_names_both_wallets(api: Api, wallet: CreatedWallet, team: CreatedWallet) -> None:
    asked = {"from_wallet_id": wallet.wallet_id, "to_wallet_id": team.wallet_id, "amount_yen": 4_000}
    moved = api.call("POST", BETWEEN, OPERATOR_KEY, key="k", json=asked)
    assert (moved.json()["balance_yen"], moved.json()["to_balance_yen"]) == (6_000, 4_000)
    assert_problem(
        api.call("POST", BETWEEN, OPERATOR_KEY, key="k2", json={**asked, "to_wallet_id": 99}), 404, "wallet_not_found"
    )
    assert_problem(api.call("POST", BETWEEN, wallet.owner_token, key="k3", json=asked), 403, "forbidden")
    assert_problem(
        api.post(MOVE, OPERATOR_KEY, key="k", amount_yen=1, to_owner_token=team.owner_token), 403, "forbidden"
    )


def test_what_is_refused_says_why(api: Api, wallets: CreditWallet, wallet: CreatedWallet, team: CreatedWallet) -> None:
    def move(key: str | None, **asked: object) -> httpx.Response:
        return api.post(MOVE, wallet.owner_token, key=key, **{"to_owner_token": team.owner_token, **asked})

    assert_problem(move("a", amount_yen=10_001), 402, "insufficient_funds", missing_yen=1, balance_yen=10_000)
    assert_problem(move("b", amount_yen=0), 422, "invalid_amount", field="amount_yen")
    itself = move("c", amount_yen=1, to_owner_token=wallet.owner_token)
    assert_problem(itself, 409, "transfer_not_allowed", max_amount="0")
    assert_problem(move(None, amount_yen=1), 428, "idempotency_key_required")
    move("d", amount_yen=1)
    assert_problem(move("d", amount_yen=2), 409, "idempotency_conflict")
    wallets.configure(wallet.wallet_id, auto_topup_threshold=5_000, auto_topup_amount=1_000)
    assert_problem(move("e", amount_yen=5_000), 409, "transfer_not_allowed", max_amount_yen=4_999, max_amount="4999")
    wallets.freeze(wallet.wallet_id)
    assert_problem(move("f", amount_yen=1), 403, "wallet_disabled")
