"""A wallet with credit, and what a problem document must look like."""

from __future__ import annotations

from typing import Any

import httpx

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet

CREDIT_YEN = 10_000


def funded(wallets: CreditWallet, **settings: Any) -> CreatedWallet:
    created: CreatedWallet = wallets.create(**settings)
    wallets.topup(created.wallet_id, CREDIT_YEN, idempotency_key="start")
    return created


def assert_problem(response: httpx.Response, status: int, code: str, **members: object) -> None:
    """A problem document (RFC 9457) of that status and code, with these members beside the usual ones."""
    assert (response.status_code, response.headers["content-type"]) == (status, "application/problem+json"), (
        response.text
    )
    document = response.json()
    assert document["type"] == f"urn:agent-credit-wallet:{code}"
    assert (document["status"], document["code"]) == (status, code)
    assert document["title"]
    assert document["detail"]
    assert {name: document.get(name) for name in members} == members
