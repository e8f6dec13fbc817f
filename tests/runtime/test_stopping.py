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
from credit_wallet.notices.targets import TargetSettings
from credit_wallet.runtime.deadlines import STOP_SECONDS
from credit_wallet.runtime.stopping import ABANDONED

IMPATIENT = dedent("""
    import credit_wallet.runtime.deadlines as d
    d.DRAIN_SECONDS = d.CLOSE_SECONDS = d.JOBS_END_SECONDS = 1.0
    d.LINGER_SECONDS = 0.5
""")
"""What waits is waited for as before, and for less time."""

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
            wallets.targets.add(wallet.wallet_id, TargetSettings(url=target), private=True)
        wallets.configure(wallet.wallet_id, low_balance_yen=150)
        payers = {each.wallet_id for each in wallets.list() if wallets.topups.payer(each.wallet_id).payment_method}
        assert len(payers) == 6
    environment = {
        "CREDIT_WALLET_STRIPE_KEY": "sk_test_1",
        "CREDIT_WALLET_STRIPE_API_URL": silent.url,
        "CREDIT_WALLET_NOTIFY_PRIVATE": "on",
    }
    with Service(url, adjust=IMPATIENT + NO_NAME_SERVER, environment=environment) as service, ExitStack() as clients:
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
    main = f"{IMPATIENT}\nfrom credit_wallet.cli.app import main; main()"
    command = [sys.executable, "-c", main, "--db", url, "worker"]
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


def run(program: str) -> tuple[int, str, float]:
    """Run a program until it says that it is ready, tell it to stop: its exit status, what it said, and how long."""
    command = [sys.executable, "-c", dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        began = monotonic()
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=20)[0]
    return process.returncode, said, monotonic() - began


def test_a_command_whose_main_thread_is_stuck_ends_and_lets_go_first() -> None:
    status, said, seconds = run("""
        import threading
        from credit_wallet.runtime.stopping import Stop
        with Stop(2.5) as stop:
            stop.last_resort(lambda: print("let go", flush=True))
            print("ready", flush=True)
            threading.Event().wait()
    """)
    assert status == ABANDONED
    assert "let go" in said
    assert "MainThread" in said
    assert seconds < 5


def test_a_thread_that_python_would_wait_for_is_abandoned() -> None:
    status, said, _ = run("""
        import threading
        from credit_wallet.runtime import stopping
        from credit_wallet.runtime.stopping import Stop
        stopping.LINGER_SECONDS = 0.1
        with Stop() as stop:
            threading.Thread(target=threading.Event().wait, name="executor-1").start()
            print("ready", flush=True)
            stop.asked.wait()
    """)
    assert status == ABANDONED
    assert "executor-1" in said


def test_what_is_closed_in_time_may_fail_or_hang() -> None:
    status, said, _ = run("""
        import threading
        from credit_wallet.runtime import stopping
        from credit_wallet.runtime.stopping import Stop, closing_in_time
        stopping.CLOSE_SECONDS = 0.1
        class Hangs:
            def close(self):
                threading.Event().wait()
        with Stop() as stop, closing_in_time(stop, Hangs()):
            print("ready", flush=True)
            stop.asked.wait()
    """)
    assert (status, "the ledger" in said) == (ABANDONED, True)
    status, said, _ = run("""
        from credit_wallet.runtime.stopping import Stop, closing_in_time
        class Fails:
            def close(self):
                raise ValueError("cannot close")
        with Stop() as stop, closing_in_time(stop, Fails()):
            print("ready", flush=True)
            stop.asked.wait()
    """)
    assert (status, "cannot close" in said) == (1, True)


def test_a_signal_that_comes_before_somebody_listens_is_heard_as_well() -> None:
    status, said, _ = run("""
        from credit_wallet.runtime.stopping import Stop
        with Stop() as stop:
            print("ready", flush=True)
            stop.asked.wait()
            stop.on_stop(lambda: print("heard", flush=True))
    """)
    assert (status, said) == (0, "heard\n")


def test_nobody_who_reads_the_log_is_waited_for() -> None:
    program = """
        import os
        from credit_wallet.runtime.stopping import Stop
        os.set_blocking(2, False)
        try:
            while True:
                os.write(2, b"x" * 4096)
        except BlockingIOError:
            os.set_blocking(2, True)
        with Stop() as stop:
            print("ready", flush=True)
            stop.asked.wait()
            stop.abandon("somebody")
    """
    command = [sys.executable, "-c", dedent(program)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == ABANDONED
