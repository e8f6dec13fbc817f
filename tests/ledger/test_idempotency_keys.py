"""Which idempotency keys are taken: over HTTP printable ASCII in every place, in the library every printable one."""

from __future__ import annotations

import httpx
import pytest
from gated import Application, gated
from http_answers import assert_problem, funded
from service import OPERATOR_KEY, Api, new_app
from stand_in import StandIn

from credit_wallet import CreditWallet
from credit_wallet.errors import InvalidRequest

OTHERS = {
    "UTF-8": "é".encode(),
    "Latin-1": b"\xe9",
    "no UTF-8": b"a\xff",
    "decomposed": "e\u0301".encode(),
    "Japanese": "鍵".encode(),
    "no-break space": b"a\xa0b",
    "tab": b"a\tb",
    "too long": b"x" * 256,
}
TAKEN = ["a", "x" * 255, "a b", "~!@#$%^&*()", "0199f3a2-7c1e-7000-8000-3b1d5f8e2a10"]

CALLS: dict[str, tuple[dict[str, object], bool]] = {
    "/credit/charge": ({"amount_yen": 1}, False),
    "/credit/hold": ({"amount_yen": 1}, False),
    "/credit/capture": ({"hold_id": 1, "amount_yen": 1}, False),
    "/credit/release": ({"hold_id": 1}, False),
    "/credit/topup": ({"amount_yen": 100}, False),
    "/credit/refund": ({"txn_id": 1}, True),
    "/credit/purchase": ({"amount_yen": 1, "attempt": "a", "wallet_id": 1}, True),
    "/operator/topup": ({"wallet_id": 1, "amount_yen": 1}, True),
    "/operator/topups/tu_x/pay-back": ({"amount_yen": 1}, True),
}


@pytest.mark.parametrize("lane", ["fast lane", "documented"])
@pytest.mark.parametrize("name", OTHERS)
def test_a_header_has_printable_ascii(wallets: CreditWallet, lane: str, name: str) -> None:
    wallet = funded(wallets)
    wallets.hold(wallet.wallet_id, 1, idempotency_key="hold")
    with Api(new_app(wallets, payments=StandIn(), fast_lane=lane == "fast lane")) as api:
        for path, (body, is_operators) in CALLS.items():
            token = OPERATOR_KEY if is_operators else wallet.owner_token
            answer = api.call("POST", path, token, json=body, headers={"Idempotency-Key": OTHERS[name]})
            assert_problem(answer, 422, "invalid_request", field="idempotency_key")
            assert "printable ASCII" in answer.json()["detail"]
    assert len(wallets.history(wallet.wallet_id)) == 1


@pytest.mark.parametrize("key", ["é", "鍵", "a\tb", "", "x" * 256])
def test_an_item_of_a_batch_likewise(wallets: CreditWallet, key: str) -> None:
    funded(wallets)
    body = {"charges": [{"wallet_id": 1, "amount_yen": 1, "idempotency_key": key}]}
    with Api(new_app(wallets)) as api:
        assert api.call("POST", "/credit/charge/batch", OPERATOR_KEY, json=body).status_code == 422
    assert len(wallets.history(1)) == 1


@pytest.mark.parametrize("name", OTHERS)
def test_a_gate_likewise(wallets: CreditWallet, name: str) -> None:
    wallet, app = funded(wallets), Application()
    if name == "too long":  # a gate names requests by a hash of the key
        return
    with gated(app, wallets, wallet, price_yen=3) as front, httpx.Client() as client:
        bearer = (b"Authorization", f"Bearer {wallet.owner_token}".encode())
        answer = client.get(front.url, headers=[bearer, (b"Idempotency-Key", OTHERS[name])])
    assert answer.status_code in (400, 422)
    assert app.ran == 0


@pytest.mark.parametrize("key", TAKEN)
def test_one_key_is_the_same_in_a_header_in_a_batch_and_in_the_library(wallets: CreditWallet, key: str) -> None:
    funded(wallets)
    item = {"wallet_id": 1, "amount_yen": 1}
    with Api(new_app(wallets)) as api:
        first = api.post("/credit/charge", OPERATOR_KEY, key=key, **item).json()
        body = {"charges": [{**item, "idempotency_key": key}]}
        [again] = api.call("POST", "/credit/charge/batch", OPERATOR_KEY, json=body).json()["outcomes"]
    assert again == {**first, "replayed": True}
    assert wallets.charge(1, 1, idempotency_key=key, actor="operator").replayed


def test_the_library_takes_every_printable_key_exactly_as_it_is(wallets: CreditWallet) -> None:
    funded(wallets)
    for key in ("鍵 1", "é", "e\u0301"):
        assert not wallets.charge(1, 1, idempotency_key=key).replayed
        assert wallets.charge(1, 1, idempotency_key=key).replayed
    with pytest.raises(InvalidRequest):
        wallets.charge(1, 1, idempotency_key="a\nb")
