"""What callers call their requests over HTTP: which ids count, where they stand, and who finds what by them."""

from __future__ import annotations

from typing import Any

import pytest
from http_answers import assert_problem, funded
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet

METADATA = {"customer": "山田\u3000太郎", "<b>": "</script>"}
ID = "X-Request-Id"


@pytest.fixture(params=["fast", "documented"])
def both(request: pytest.FixtureRequest, wallets: CreditWallet) -> Api:
    return Api(new_app(wallets, fast_lane=request.param == "fast"))


def names_of(api: Api, token: str, txn_id: int) -> tuple[Any, ...]:
    entry = api.get(f"/credit/transactions/{txn_id}", token).json()
    return entry["request_id"], entry["reference"], entry["metadata"], entry["idempotency_key"]


def test_every_movement_carries_its_names(both: Api, token: str) -> None:
    with both as api:
        body = {"reference": "order-1", "metadata": METADATA}

        def move(path: str, key: str, who: str = token, **more: Any) -> dict[str, Any]:
            answer = api.call("POST", path, who, key=key, json={**body, **more}, headers={ID: f"req {key}"})
            assert answer.headers[ID] == f"req {key}"
            moved: dict[str, Any] = answer.json()
            return moved

        charged = move("/credit/charge", "charge", amount_yen="3.30")
        held = move("/credit/hold", "hold", amount_yen=10)
        captured = move("/credit/capture", "capture", hold_id=held["hold_id"], amount_yen=4)
        refunded = move("/credit/refund", "refund", OPERATOR_KEY, txn_id=charged["txn_id"])
        credited = move("/operator/topup", "topup", OPERATOR_KEY, wallet_id=1, amount_yen=5)
        bought = move("/credit/purchase", "buy", OPERATOR_KEY, wallet_id=1, amount_yen=5, attempt="a")
        for key, moved in (
            ("charge", charged),
            ("capture", captured),
            ("refund", refunded),
            ("topup", credited),
            ("buy", bought),
        ):
            kept = None if key == "buy" else key
            assert names_of(api, token, moved["txn_id"]) == (f"req {key}", "order-1", METADATA, kept)
        found = api.get("/operator/transactions", OPERATOR_KEY, reference="order-1", limit=3).json()
        more = api.get("/operator/transactions", OPERATOR_KEY, reference="order-1", cursor=found["next_cursor"]).json()
        ids = [each["txn_id"] for page in (found, more) for each in page["transactions"]]
        assert (len(ids), ids, more["next_cursor"]) == (5, sorted(ids, reverse=True), None)


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ([], None),
        (["req-1"], "req-1"),
        (["r" * 128], "r" * 128),
        (["r" * 129], None),
        ([b"caf\xe9"], None),
        ([b"\xe6\x97\xa5"], None),
        (["a\tb"], None),
        ([""], None),
        (["req-1", "req-1"], None),
    ],
)
def test_only_an_id_that_the_caller_sent_counts(both: Api, token: str, sent: list[Any], kept: str | None) -> None:
    with both as api:
        headers = [(ID, value) for value in sent]
        answer = api.call("POST", "/credit/charge", token, key="k", json={"amount_yen": 1}, headers=headers)
        assert (answer.headers[ID] == kept) == (kept is not None)
        assert names_of(api, token, answer.json()["txn_id"]) == (kept, None, {}, kept and "k")
        found = api.get("/credit/transactions", token, request_id=answer.headers[ID]).json()
        assert len(found["transactions"]) == (kept is not None)


def test_a_batch_has_the_id_of_its_request_and_items_may_have_others(api: Api, token: str) -> None:
    charges = [
        {"wallet_id": 1, "amount_yen": 1, "idempotency_key": "a"},
        {"wallet_id": 1, "amount_yen": 1, "idempotency_key": "b", "request_id": "mine", "reference": "order-1"},
    ]
    answer = api.call("POST", "/credit/charge/batch", OPERATOR_KEY, json={"charges": charges}, headers={ID: "all"})
    one, other = (each["txn_id"] for each in answer.json()["outcomes"])
    assert names_of(api, token, one) == ("all", None, {}, "a")
    assert names_of(api, token, other) == ("mine", "order-1", {}, "b")
    charges[1] |= {"idempotency_key": "c", "metadata": {"k": "v" * 500, "l": "v" * 500, "m": "v" * 500, "n": "v" * 500}}
    refused = api.post("/credit/charge/batch", OPERATOR_KEY, charges=charges)
    assert_problem(refused, 422, "invalid_request", field="charges[1].metadata")


def test_an_owner_finds_its_own_and_an_operator_what_everybody_did(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet, stranger: CreatedWallet
) -> None:
    txn_ids: dict[int, list[int]] = {}
    for owner in (wallet, stranger):
        for number in range(3):
            answer = api.call(
                "POST",
                "/credit/charge",
                owner.owner_token,
                key=f"same {number}",
                json={"amount_yen": 1},
                headers={ID: "shared"},
            )
            txn_ids.setdefault(owner.wallet_id, []).insert(0, answer.json()["txn_id"])
    for owner in (wallet, stranger):
        page = api.get("/credit/transactions", owner.owner_token, request_id="shared", limit=2).json()
        rest = api.get(
            "/credit/transactions", owner.owner_token, request_id="shared", cursor=page["next_cursor"]
        ).json()
        found = [each["txn_id"] for each in [*page["transactions"], *rest["transactions"]]]
        assert (found, rest["next_cursor"]) == (txn_ids[owner.wallet_id], None)
        mirrored = api.get(f"/operator/wallets/{owner.wallet_id}/transactions", OPERATOR_KEY, request_id="shared")
        assert [each["txn_id"] for each in mirrored.json()["transactions"]] == txn_ids[owner.wallet_id]
    everywhere = api.get("/operator/transactions", OPERATOR_KEY, idempotency_key="same 1").json()["transactions"]
    assert [each["wallet_id"] for each in everywhere] == [stranger.wallet_id, wallet.wallet_id]
    assert_problem(api.get("/operator/transactions", OPERATOR_KEY), 422, "invalid_request", field="request_id")
    assert_problem(
        api.get("/operator/transactions", OPERATOR_KEY, reference="x", cursor="7"),
        422,
        "invalid_request",
        field="cursor",
    )
    assert funded(wallets).wallet_id not in txn_ids


def test_a_retry_with_another_reference_is_a_conflict_and_with_another_id_a_replay(both: Api, token: str) -> None:
    with both as api:
        asked = {"amount_yen": 3, "reference": "order-1"}
        first = api.call("POST", "/credit/charge", token, key="k", json=asked, headers={ID: "one"})
        again = api.call("POST", "/credit/charge", token, key="k", json=asked, headers={ID: "two"})
        assert again.json() == {**first.json(), "replayed": True}
        assert names_of(api, token, first.json()["txn_id"])[0] == "one"
        other = api.post("/credit/charge", token, key="k", amount_yen=3, reference="order-2")
        assert_problem(other, 409, "idempotency_conflict")
