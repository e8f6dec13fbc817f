"""``serve`` as people start it: what it prints, and where it sends those who are to pay."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from service import OPERATOR_KEY, Service, credentials

DEMO = ("--demo", "--test-payments")


def test_a_demo_says_where_to_look_and_where_to_pay(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/w.db"
    with Service(url, *DEMO) as service:
        service.stop()
        said = service.output().decode()
    assert f"dashboard at {service.url}/dashboard" in said
    assert f"Top it up: sign in with that token at {service.url}/wallet/pay-in" in said
    assert "TEST MONEY" in said
    with Service(url, *DEMO) as again:
        again.stop()
        said = again.output().decode()
    assert "New agent key" in said
    assert "pay-in" not in said  # an agent key does not pay


def test_a_refused_call_leads_to_a_page_where_it_is_paid(tmp_path: Path) -> None:
    with Service(f"sqlite:///{tmp_path}/w.db", "--test-payments") as service:
        owner, refused, topup = _too_poor(service)
        assert refused["topup_url"] == f"{service.url}/wallet/pay-in"
        left = httpx.get(topup["checkout_url"]).text
        assert f"{service.url}/wallet/pay-in?topup_id={topup['topup_id']}" in left
        back = httpx.post(topup["checkout_url"], data={"with": "4242424242424242"}).headers["Location"]
        assert back == f"{service.url}/wallet/thank-you?topup_id={topup['topup_id']}"
        charged = httpx.get(f"{service.url}/credit/topups/{topup['topup_id']}", headers=owner).json()
        assert (charged["status"], charged["credited_yen"]) == ("credited", 500)


@pytest.mark.parametrize(
    ("options", "pays_at"),
    [((), "https://pay.example/wallet/pay-in"), (("--topup-url", "https://shop.example/"), "https://shop.example/")],
)
def test_people_are_sent_to_the_address_that_they_reach(tmp_path: Path, options: tuple[str, ...], pays_at: str) -> None:
    public = {"CREDIT_WALLET_PUBLIC_URL": "https://pay.example"}
    with Service(f"sqlite:///{tmp_path}/w.db", "--test-payments", *options, environment=public) as service:
        owner, refused, topup = _too_poor(service)
        assert refused["topup_url"] == pays_at
        assert httpx.get(f"{service.url}/credit/wallet", headers=owner).json()["topup_url"] == pays_at
        back = httpx.post(topup["checkout_url"], data={"with": "4242424242424242"}).headers["Location"]
        assert re.fullmatch(r"https://pay\.example/wallet/thank-you\?topup_id=tu_\w+", back)


def _too_poor(service: Service) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
    """An owner's credentials, a charge that they could not pay, and a page on which they can."""
    with httpx.Client(base_url=service.url) as call:
        made = call.post("/operator/wallets", headers=credentials(OPERATOR_KEY, "wallet"), json={}).json()
        owner = made["owner_token"]
        refused = call.post("/credit/charge", headers=credentials(owner, "c"), json={"amount_yen": 500})
        assert refused.status_code == 402
        page = {"amount_yen": 500, "checkout": True}
        topup = call.post("/credit/topup", headers=credentials(owner, "t"), json=page).json()
        return credentials(owner), refused.json(), topup
