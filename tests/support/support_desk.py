"""The desk of a service's support: operators of every role, who know nothing but HTTP."""

from __future__ import annotations

from typing import Any

import httpx
from service import OPERATOR_KEY

ROLES = ("viewer", "support", "finance", "seller", "admin")


class Desk:
    """Calls a service as operators, owners and agents."""

    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=url, timeout=30)
        self._tokens: dict[str, str] = {}
        for role in ROLES:
            made = self.asked("POST", "/operator/operators", OPERATOR_KEY, {"name": f"{role}-desk", "role": role})
            self._tokens[role] = made["token"]

    def call(
        self, method: str, path: str, who: str, body: dict[str, Any] | None = None, *, key: str = "", **headers: str
    ) -> httpx.Response:
        """The answer to a call of ``who``: a role, or a token."""
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        sent |= {"Idempotency-Key": key} if key else {}
        token = self._tokens.get(who, who)
        return self._http.request(method, path, json=body, headers={"Authorization": f"Bearer {token}", **sent})

    def asked(
        self, method: str, path: str, who: str, body: dict[str, Any] | None = None, *, key: str = "", **headers: str
    ) -> Any:
        """What a call that succeeds answers."""
        answer = self.call(method, path, who, body, key=key, **headers)
        assert answer.is_success, answer.text
        return answer.json()

    def refused(self, method: str, path: str, who: str, body: dict[str, Any] | None = None, *, key: str = "") -> str:
        """The code with which a call is refused."""
        answer = self.call(method, path, who, body, key=key)
        assert answer.is_client_error, answer.text
        return str(answer.json()["code"])

    def registered(self, yen: int = 1_000, **settings: Any) -> tuple[int, str]:
        """A customer's wallet with credit, and its owner token."""
        wallet = self.asked("POST", "/operator/wallets", "support", settings)
        if yen:
            body = {"wallet_id": wallet["wallet_id"], "amount_yen": yen}
            self.asked("POST", "/operator/topup", "finance", body, key=f"start {wallet['wallet_id']}")
        return wallet["wallet_id"], wallet["owner_token"]

    def close(self) -> None:
        self._http.close()
