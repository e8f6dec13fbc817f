"""A host that knows its own ids alone: it registers, finds and addresses wallets by reference."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from http_answers import assert_problem
from service import OPERATOR_KEY, Api

from credit_wallet import CreditWallet


def test_a_wallet_is_registered_once_however_often_it_is_asked_for(api: Api) -> None:
    first = api.post("/operator/wallets", OPERATOR_KEY, reference="cust_1", metadata={"plan": "pro"}, label="acme")
    again = api.post("/operator/wallets", OPERATOR_KEY, reference="cust_1", label="another")
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["created"] is True
    assert again.json() == {"wallet_id": first.json()["wallet_id"], "owner_token": None, "created": False}
    shown = api.get("/credit/wallet", first.json()["owner_token"]).json()
    assert (shown["label"], shown["reference"], shown["metadata"]) == ("acme", "cust_1", {"plan": "pro"})
    found = api.get("/operator/wallets", OPERATOR_KEY, reference="cust_1").json()["wallets"]
    assert [each["wallet_id"] for each in found] == [first.json()["wallet_id"]]


@pytest.mark.parametrize("reference", ["cust_1", "a/b", "a b?c#d", "東京 1", "..", "100%", "ref:1", "x" * 255])
def test_every_address_of_a_wallet_takes_its_reference(api: Api, wallets: CreditWallet, reference: str) -> None:
    wallets.create()
    wallet_id = wallets.create(reference=reference).wallet_id
    at = f"/operator/wallets/ref:{quote(reference, safe='')}"
    assert api.get(at, OPERATOR_KEY).json()["wallet_id"] == wallet_id
    assert api.post(f"{at}/metadata", OPERATOR_KEY, metadata={"a": "b"}).json()["metadata"] == {"a": "b"}
    key = api.post(f"{at}/keys", OPERATOR_KEY, label="bot").json()
    assert (key["wallet_id"], wallets.keys.show(key["key_id"]).label) == (wallet_id, "bot")
    assert api.post(f"{at}/freeze", OPERATOR_KEY, frozen=True, reason="fraud").json()["enabled"] is False
    assert wallets.show(1).enabled


def test_who_may_not_look_learns_nothing_about_references(api: Api, wallets: CreditWallet) -> None:
    owner = wallets.create(reference="cust_1")
    for reference in ("cust_1", "cust_2"):
        at = f"/operator/wallets/ref:{reference}"
        assert api.get(at, str(owner.owner_token)).status_code == 403
        assert api.get(at, "cw_live_wrong").status_code == 401
    assert_problem(api.get("/operator/wallets/ref:cust_2", OPERATOR_KEY), 404, "wallet_not_found", reference="cust_2")
    assert api.get("/operator/wallets/ref:", OPERATOR_KEY).status_code == 422
    assert api.get("/operator/wallets/ref:cust_1/nowhere", OPERATOR_KEY).status_code == 404
    assert api.get("/operator/wallets/ref:%ff", OPERATOR_KEY).status_code == 404
