"""What one tenant can do at its worst to a service, and what another tenant notices of it.

``python tests/support/neighbours.py`` runs the long campaign and prints the table of figures (``make drill``).
"""

from __future__ import annotations

import argparse
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPConnection, HTTPException
from itertools import count
from pathlib import Path
from typing import NamedTuple, TypeAlias

from service import Service

from credit_wallet import CreditWallet
from credit_wallet.domain.commands import Charge

BATCH = 1_000
NOTES = 50_000
"""Different notes that the big wallet's charges have."""


class Tenants(NamedTuple):
    """Two wallets of one ledger: one with many entries and keys, whose agent has a hold, and a quiet one."""

    loud: str
    loud_agent: str
    hold_id: int
    quiet: str


def populate(url: str, entries: int, keys: int) -> Tenants:
    """Make the two wallets, the first with ``entries`` charges and ``keys`` agent keys."""
    with CreditWallet.open(url) as wallets:
        loud, quiet = wallets.create(), wallets.create()
        for wallet in (loud, quiet):
            wallets.topup(wallet.wallet_id, 10**9, idempotency_key="start")
        agent = wallets.keys.create(loud.wallet_id)
        for start in range(0, entries, BATCH):
            numbers = range(start, min(start + BATCH, entries))
            wallets.charge_many(
                Charge(loud.wallet_id, f"e{number}", 1, f"GET /{number % NOTES}", agent.key_id) for number in numbers
            )
        for _ in range(keys - 1):
            wallets.keys.create(loud.wallet_id)
        hold_id = wallets.hold(loud.wallet_id, 5, idempotency_key="hold", actor="operator").hold_id
    assert hold_id is not None
    return Tenants(loud.owner_token, agent.token, hold_id, quiet.owner_token)


# What the loud tenant does, again and again until it is told to stop

Turn: TypeAlias = Callable[[threading.Event], None]


def _asks(service: Service, method: str, path: str, tokens: Callable[[], str], body: str = "") -> Turn:
    keys = count()

    def ask(stopping: threading.Event) -> None:
        connection = HTTPConnection("127.0.0.1", service.port, timeout=30)
        headers = {"Authorization": f"Bearer {tokens()}", "Idempotency-Key": f"{path}{next(keys)}"}
        connection.request(method, path, body.encode() or None, headers)
        answer = connection.getresponse()
        while not stopping.is_set() and answer.read(1 << 16):
            pass
        connection.close()

    return ask


def _reads_nothing(service: Service, token: str) -> Turn:
    def ask(stopping: threading.Event) -> None:
        with socket.create_connection(("127.0.0.1", service.port)) as client:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            client.sendall(
                f"GET /credit/statement HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
            )
            stopping.wait(0.5)

    return ask


def _connects(service: Service) -> Turn:
    def ask(stopping: threading.Event) -> None:
        with ExitStack() as clients:
            for _ in range(50):
                clients.enter_context(socket.create_connection(("127.0.0.1", service.port), timeout=5))
            stopping.wait(0.2)

    return ask


def nuisances(service: Service, tenants: Tenants) -> dict[str, Turn]:
    """By name, one turn of each."""
    guesses = (f"guess-{number}" for number in count())
    owner, agent = lambda: tenants.loud, lambda: tenants.loud_agent
    free = '{"amount_yen": 1000000000000}'
    return {
        "statements": _asks(service, "GET", "/credit/statement", owner),
        "statements as csv": _asks(service, "GET", "/credit/statement?format=csv", owner),
        "searches for what is not there": _asks(service, "GET", "/credit/transactions?note=none", owner),
        "lists of keys": _asks(service, "GET", "/credit/keys", owner),
        "refused captures": _asks(
            service, "POST", "/credit/capture", agent, f'{{"hold_id": {tenants.hold_id}, "amount_yen": 9}}'
        ),
        "guesses of tokens": _asks(service, "GET", "/credit/wallet", lambda: next(guesses)),
        "connections that say nothing": _connects(service),
        "clients that do not read": _reads_nothing(service, tenants.loud),
        "charges that are refused": _asks(service, "POST", "/credit/charge", owner, free),
        "figures": _asks(service, "GET", "/metrics", owner),
    }


@contextmanager
def going_on(turn: Turn, threads: int) -> Iterator[None]:
    """While the block runs, ``threads`` take turns as fast as they can."""
    stopping = threading.Event()

    def run() -> None:
        while not stopping.is_set():
            with suppress(OSError, HTTPException):
                turn(stopping)

    crew = [threading.Thread(target=run, daemon=True) for _ in range(threads)]
    for thread in crew:
        thread.start()
    try:
        yield
    finally:
        stopping.set()
        for thread in crew:
            thread.join(40)


# What the quiet one notices


class Noticed(NamedTuple):
    """Milliseconds that the quiet wallet's charges took, of many the fastest half and nearly all."""

    charges: int
    median_ms: float
    p99_ms: float


class Quiet:
    """The quiet tenant."""

    def __init__(self, service: Service, token: str) -> None:
        self._service = service
        self._token = token
        self._keys = count()

    def charges(self, seconds: float, pause: float = 0.002) -> Noticed:
        """Charge ¥1 again and again on one connection, and measure each."""
        connection = HTTPConnection("127.0.0.1", self._service.port, timeout=30)
        took = []
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            headers = {"Authorization": f"Bearer {self._token}", "Idempotency-Key": f"q{next(self._keys)}"}
            started = time.perf_counter()
            connection.request("POST", "/credit/charge", b'{"amount_yen": 1}', headers)
            answer = connection.getresponse()
            answer.read()
            took.append((time.perf_counter() - started) * 1_000)
            assert answer.status == 200
            time.sleep(pause)
        connection.close()
        took.sort()
        return Noticed(len(took), took[len(took) // 2], took[int(len(took) * 0.99)])


def memory_mb(service: Service) -> float:
    """What the service's process has in memory."""
    pages = int(Path(f"/proc/{service.pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * 4_096 / 1e6


def main(argv: Sequence[str]) -> int:
    """Run every nuisance for some seconds each and print what the other tenant noticed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=500_000)
    parser.add_argument("--keys", type=int, default=1_000)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--threads", type=int, default=4)
    parser.add_argument("--only", default="")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/wallet.db"
        tenants = populate(url, options.entries, options.keys)
        with Service(url) as service:
            quiet = Quiet(service, tenants.quiet)
            quiet.charges(1)
            _show(f"{'':<34}{'charges':>8}{'median ms':>11}{'p99 ms':>9}{'memory MB':>11}")
            _print("idle", quiet.charges(options.seconds), memory_mb(service))
            for name, turn in nuisances(service, tenants).items():
                if options.only in name:
                    with going_on(turn, options.threads):
                        noticed = quiet.charges(options.seconds)
                        _print(name, noticed, memory_mb(service))
            service.stop()
    return 0


def _print(name: str, noticed: Noticed, memory: float) -> None:
    _show(f"{name:<34}{noticed.charges:>8}{noticed.median_ms:>11.1f}{noticed.p99_ms:>9.1f}{memory:>11.0f}")


def _show(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
