"""Tokens are shown once and never written down: not in the database, not in its log, not in the service's output.

Nor are the secrets that the service shares with Stripe.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from fake_stripe import FakeStripe
from service import OPERATOR_KEY, Api, Service, credentials, new_app

from credit_wallet import CreditWallet
from credit_wallet.cli import app as cli
from credit_wallet.domain.tokens import new_operator_key, new_token, token_hash

BROKEN = """
from credit_wallet.http import movements
from credit_wallet.ledger.wallet import CreditWallet
CreditWallet.forecast = None
movements._own_wallet = None
"""
"""Makes the forecast and every release fail with a traceback."""


class Session:
    """Traffic of all kinds with a real service, and every token that was in it."""

    def __init__(self, service: Service) -> None:
        self._client = httpx.Client(base_url=service.url)
        self.stored: list[str] = []
        """Tokens whose hash the database has."""
        self.others: list[str] = [OPERATOR_KEY, new_token(), new_operator_key(), "cw_live_" + "x" * 30]

    def run(self) -> None:
        with self._client:
            created = self._call("POST", "/operator/wallets", OPERATOR_KEY, json={"label": "one"}, expect=201).json()
            owner = self._keep(created["owner_token"])
            credit = {"wallet_id": created["wallet_id"], "amount_yen": 100}
            self._call("POST", "/operator/topup", OPERATOR_KEY, json=credit)
            key = self._call("POST", "/credit/keys", owner, json={"label": "agent"}, expect=201).json()
            agent = self._keep(key["token"])
            rotated = self._call("POST", f"/credit/keys/{key['key_id']}/rotate", owner, json={}, expect=201).json()
            self._keep(rotated["token"])
            for token in (owner, agent, rotated["token"]):
                self._use(token)
            self._call("DELETE", f"/credit/keys/{key['key_id']}", owner)
            self._call("POST", "/credit/charge", agent, json={"amount_yen": 1}, expect=401)
            for token in self.others[1:]:
                self._call("GET", "/credit/wallet", token, expect=401)
                self._call("POST", "/credit/charge", token, json={"amount_yen": 1}, expect=401)
            self._call("GET", f"/credit/transactions?token={owner}", owner, expect=422)
            self._call("GET", f"/nowhere/{owner}", owner, expect=404)
            self._call("GET", "/metrics", owner)

    def _use(self, token: str) -> None:
        self._call("GET", "/credit/wallet", token)
        self._call("POST", "/credit/charge", token, json={"amount_yen": 3})
        self._call("POST", "/credit/charge", token, json={"amount_yen": 3_000}, expect=402)
        self._call("POST", "/credit/charge", token, json={"amount_yen": -1}, expect=422)
        self._call("POST", "/credit/release", token, json={"hold_id": 1}, expect=500)
        self._call("GET", "/credit/forecast", token, expect=500)

    def _keep(self, token: str) -> str:
        self.stored.append(token)
        return token

    def _call(self, method: str, path: str, token: str, json: object = None, expect: int = 200) -> httpx.Response:
        answer = self._client.request(method, path, headers=credentials(token, secrets.token_hex(8)), json=json)
        assert answer.status_code == expect, answer.text
        self._client.request(method, path, headers={"X-API-Key": token}, json=json)
        return answer


def contents(folder: Path) -> Iterator[bytes]:
    for file in folder.rglob("*"):
        if file.is_file():
            yield file.read_bytes()


def test_no_token_is_written_anywhere(tmp_path: Path) -> None:
    with Service(f"sqlite:///{tmp_path / 'wallet.db'}", adjust=BROKEN) as service:
        session = Session(service)
        session.run()
        while_running = list(contents(tmp_path))
        service.kill()  # so that the write-ahead log stays beside the database
        written = [*while_running, *contents(tmp_path), service.output()]
    assert any(b"call_failed" in each for each in written)
    for token in session.stored:
        assert any(token_hash(token).encode() in each for each in written)
    for token in (*session.stored, *session.others):
        secret = token[len("cw_live_") :].encode()
        assert not any(token.encode() in each or secret in each for each in written)


class Payments:
    """Payments of all kinds with a real service, and every answer that came."""

    def __init__(self, service: Service, stripe: FakeStripe) -> None:
        self._service = service
        self._stripe = stripe
        self.answers: list[bytes] = []

    def run(self) -> None:
        """Pay, be told, be refused, and let Stripe fail."""
        created = self._call("POST", "/operator/wallets", OPERATOR_KEY, {}, 201)
        owner = created["owner_token"]
        for number, checkout in enumerate((False, True)):
            body = {"amount_yen": 500, "checkout": checkout}
            topup = self._call("POST", "/credit/topup", owner, body, 201, key=f"topup {number}")
            shown = self._call("GET", f"/credit/topups/{topup['topup_id']}", owner)
            [listed] = [
                each
                for each in self._call("GET", "/credit/topups", owner)["topups"]
                if each["topup_id"] == topup["topup_id"]
            ]
            self._stripe.pay(shown["payment_intent"] or listed["checkout_session"])
        self._stripe.wait_delivered()
        assert self._call("GET", "/credit/wallet", owner)["balance_yen"] == 1_000
        self._call("POST", "/credit/topup", owner, {"amount_yen": 1}, 422, key="too little")
        back = f"/operator/topups/{topup['topup_id']}/pay-back"
        self._call("POST", back, OPERATOR_KEY, {"amount_yen": 1}, 403, key="back")
        self._call("POST", "/webhooks/stripe", None, {"type": "forged"}, 400)
        self._stripe.close()
        self._call("POST", "/credit/topup", owner, {"amount_yen": 500}, 502, key="unreachable")

    def _call(
        self, method: str, path: str, token: str | None, body: object = None, expect: int = 200, *, key: str = ""
    ) -> Any:
        headers = credentials(token, key or None)
        answer = httpx.request(method, f"{self._service.url}{path}", headers=headers, json=body, timeout=60)
        assert answer.status_code == expect, answer.text
        self.answers.append(answer.content + repr(answer.headers).encode())
        return answer.json()


def test_stripes_key_and_the_webhook_secrets_are_written_nowhere(tmp_path: Path) -> None:
    key, old, new = (prefix + secrets.token_hex(12) for prefix in ("sk_test_", "whsec_", "whsec_"))
    url = f"sqlite:///{tmp_path / 'wallet.db'}"
    with FakeStripe() as stripe:
        environment = {
            "CREDIT_WALLET_STRIPE_KEY": key,
            "CREDIT_WALLET_STRIPE_WEBHOOK_SECRETS": f"{old}, {new}",
            "CREDIT_WALLET_STRIPE_API_URL": stripe.url,
        }
        with Service(url, environment=environment) as service:
            stripe.send_webhooks_to(f"{service.url}/webhooks/stripe", new)
            payments = Payments(service, stripe)
            payments.run()
            while_running = list(contents(tmp_path))
            service.kill()
            written = [*while_running, *contents(tmp_path), service.output(), *payments.answers]
    command = [sys.executable, "-m", "credit_wallet.cli.app", "--db", url]
    for words in (["doctor"], ["--json", "doctor"], ["topups", "reconcile"], ["topups", "run"]):
        done = subprocess.run([*command, *words], env={**os.environ, **environment}, capture_output=True, check=False)
        written.append(done.stdout + done.stderr)
    assert any(b"payment_provider_error" in each for each in written[-4:])
    for secret in (key, old, new):
        plain = secret.rpartition("_")[2].encode()
        assert not any(plain in each for each in written)


def test_the_operator_key_is_compared_in_constant_time(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[object, object]] = []
    compare = secrets.compare_digest

    def spy(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(secrets, "compare_digest", spy)
    right = sha256(OPERATOR_KEY.encode()).digest()
    nearly = OPERATOR_KEY[:-1] + ("0" if OPERATOR_KEY[-1] != "0" else "1")
    with Api(new_app(wallets)) as api:
        for key, status in ((OPERATOR_KEY, 200), (nearly, 401)):
            assert api.get("/operator/wallets", key).status_code == status
            assert (sha256(key.encode()).digest(), right) in compared


@pytest.mark.parametrize(
    ("words", "warned"),
    [
        (["--db", "postgresql://u:hunter2@127.0.0.1:1/w", "wallet", "list"], True),
        (["--db", "postgresql://u@127.0.0.1:1/w?password=hunter2", "wallet", "list"], True),
        (["--db", "postgresql://u@127.0.0.1:1/w", "wallet", "list"], False),
        (["--db", "sqlite:///w.db", "wallet", "list"], False),
        (["copy", "sqlite:///w.db", "postgresql://u:hunter2@127.0.0.1:1/w"], True),
    ],
)
def test_a_password_on_the_command_line_is_warned_of_and_one_in_the_environment_is_not(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
    *,
    warned: bool,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CREDIT_WALLET_DATABASE_URL", "postgresql://u:hunter2@127.0.0.1:1/w")
    for arguments, says in ((words, warned), (["wallet", "list"], False)):
        monkeypatch.setattr(sys, "argv", ["credit-wallet", *arguments])
        with pytest.raises(SystemExit):
            cli.main()
        said = capsys.readouterr().err
        assert ("command line" in said) == says
        assert "hunter2" not in said
