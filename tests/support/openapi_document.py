"""The OpenAPI document as the service gives it."""

from __future__ import annotations

from functools import cache
from tempfile import TemporaryDirectory
from typing import Any

from service import Api, new_app

from credit_wallet import CreditWallet


@cache
def document() -> dict[str, Any]:
    """The service's own; it is needed before the tests are collected."""
    with TemporaryDirectory() as folder, CreditWallet.open(f"sqlite:///{folder}/wallet.db") as wallets:
        found: dict[str, Any] = Api(new_app(wallets)).get("/openapi.json").json()
        return found
