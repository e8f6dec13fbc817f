"""The end of a service: in time whatever hangs, with all that was acknowledged, and nothing begun any more."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from textwrap import dedent
from time import monotonic

import httpx
import psutil  # type: ignore[import-untyped]
import pytest
from plain_sql import PlainSql
from postgres import Server
from service import Service, credentials
from silent import Silent, due

from credit_wallet import CreditWallet
from credit_wallet.alerts.targets import TargetSettings
from credit_wallet.deadlines import STOP_SECONDS
from credit_wallet.stopping import ABANDONED

IMPATIENT = "import credit_wallet.deadlines as d; d.DRAIN_SECONDS = d.CLOSE_SECONDS = 1.0"

NO_NAME_SERVER = dedent("""
    import socket, threading
    _getaddrinfo = socket.getaddrinfo
    def getaddrinfo(host, *args, **kwargs):
        if host == "hooks.nowhere.test":
            threading.Event().wait()
        return _getaddrinfo(host, *args, **kwargs)
    socket.getaddrinfo = getaddrinfo
""")


@pytest.fixture
def silent() -> Iterator[Silent]:
    with Silent() as server:
        yield server


@contextmanager
def half_a_body(service: Service, token: str) -> Iterator[None]:
    """A client that begins a request and does not end it."""
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.sendall(
            f"POST /credit/charge HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\nAuthorization: Bearer {token}\r\n"
            'Idempotency-Key: half\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{"amount'.encode()
        )
        yield


@contextmanager
def answers_unread(service: Service) -> Iterator[None]:
    """A client that asks for more than the network takes, and reads nothing."""
    with socket.create_connection(("127.0.0.1", service.port)) as connection:
        connection.setblocking(False)
        request = f"GET /openapi.json HTTP/1.1\r\nHost: 127.0.0.1:{service.port}\r\n\r\n".encode() * 40
        while request:
            try:
                request = request[connection.send(request) :]
            except BlockingIOError:
                break
        yield


def charged(service: Service, token: str, key: str) -> None:
    answer = httpx.post(f"{service.url}/credit/charge", headers=credentials(token, key), json={"amount_yen": 3})
    assert answer.status_code == 200, answer.text


def ended(service: Service) -> tuple[int, float]:
    """Stop it: the exit status, and how many seconds it took."""
    began = monotonic()
    status = service.stop()
    return status, monotonic() - began


def test_it_ends_in_time_when_everybody_hangs(tmp_path: Path, silent: Silent) -> None:
    """A client in the middle of its request, one that does not read, a name server, a receiver, and Stripe."""
    url = f"sqlite:///{tmp_path / 'wallet.db'}"
    with CreditWallet.open(url) as wallets:
        wallet = due(wallets)
        for _ in range(5):
            due(wallets)
        for target in ("https://hooks.nowhere.test/", f"{silent.url}/hook"):
            wallets.add_target(wallet.wallet_id, TargetSettings(url=target), private=True)
        wallets.configure(wallet.wallet_id, low_balance_yen=150)
        payers = {each.wallet_id for each in wallets.wallets() if wallets.payer(each.wallet_id).payment_method}
        assert len(payers) == 6
    environment = {
        "CREDIT_WALLET_STRIPE_KEY": "sk_test_1",
        "CREDIT_WALLET_STRIPE_API_URL": silent.url,
        "CREDIT_WALLET_NOTIFY_PRIVATE": "on",
    }
    with Service(url, adjust=NO_NAME_SERVER, environment=environment) as service, ExitStack() as clients:
        charged(service, wallet.owner_token, "before")
        clients.enter_context(half_a_body(service, wallet.owner_token))
        clients.enter_context(answers_unread(service))
        assert silent.asked.wait(20)
        status, seconds = ended(service)
        assert seconds < STOP_SECONDS
        assert status == ABANDONED
        assert "stop_abandoned" in service.output().decode()
    with CreditWallet.open(url) as wallets:
        assert wallets.charge(wallet.wallet_id, 3, idempotency_key="before").replayed is False  # a room of its own
        assert [entry.amount_yen for entry in wallets.history(wallet.wallet_id)][:2] == [-3, -3]
        assert wallets.verify() == []


def test_it_ends_in_time_when_its_database_hangs() -> None:
    with Server() as server:
        with CreditWallet.open(server.url()) as wallets:
            wallet = wallets.create()
            wallets.topup(wallet.wallet_id, 100, idempotency_key="start")
        with Service(server.url(), adjust=IMPATIENT) as service:
            charged(service, wallet.owner_token, "before")
            postgres = psutil.Process(server._process.pid)  # type: ignore[union-attr]
            stopped = [postgres, *postgres.children(recursive=True)]
            for process in stopped:
                process.suspend()
            try:
                waiting = threading.Thread(target=_charge_in_vain, args=(service, wallet.owner_token), daemon=True)
                waiting.start()
                status, seconds = ended(service)
            finally:
                for process in stopped:
                    process.resume()
            assert seconds < STOP_SECONDS
            assert status in (0, ABANDONED)
        with CreditWallet.open(server.url()) as wallets:
            assert -3 in [entry.amount_yen for entry in wallets.history(wallet.wallet_id)]
            assert wallets.verify() == []


def _charge_in_vain(service: Service, token: str) -> None:
    try:
        charged(service, token, "in vain")
    except (httpx.HTTPError, AssertionError):
        return


def test_nothing_to_abandon_is_a_clean_end(tmp_path: Path) -> None:
    with Service(f"sqlite:///{tmp_path / 'wallet.db'}") as service:
        assert httpx.get(f"{service.url}/healthz").status_code == 200
        status, seconds = ended(service)
        assert status == 0
        assert seconds < STOP_SECONDS / 2
        assert "stop_abandoned" not in service.output().decode()


def test_no_card_is_charged_once_the_worker_was_told_to_stop(tmp_path: Path, silent: Silent) -> None:
    url = f"sqlite:///{tmp_path / 'wallet.db'}"
    with CreditWallet.open(url) as wallets:
        for _ in range(5):
            due(wallets)
    command = [sys.executable, "-m", "credit_wallet.cli", "--db", url, "worker"]
    environment = {"CREDIT_WALLET_STRIPE_KEY": "sk_test_1", "CREDIT_WALLET_STRIPE_API_URL": silent.url}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment}) as process:
        assert silent.asked.wait(20)
        heard = len(silent.heard)
        began = monotonic()
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=STOP_SECONDS)[1]
        assert monotonic() - began < STOP_SECONDS / 2
        assert process.returncode == ABANDONED
        assert "credit-wallet-worker-reconcile" in said
    assert len(silent.heard) == heard
    with PlainSql(url) as ledger:
        assert ledger.run("SELECT count(*) FROM am_credit_topup WHERE status = 'credited'") == [(5,)]
