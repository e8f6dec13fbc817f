"""Programs that fork while something of the wallet's is open, each for a process of its own.

``python forking.py PROGRAM DATABASE-URL`` prints what the program returns, as JSON. As a module that is imported it
opens the database of ``FORKING_URL`` at once: what an application does that ``gunicorn --preload`` imports, and the
server that ``multiprocessing`` forks from.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

from credit_wallet import CreditWallet
from credit_wallet.client import AsyncWalletClient, WalletClient
from credit_wallet.delivery.factory import open_notifier
from credit_wallet.domain.tokens import new_token
from credit_wallet.errors import WalletError
from credit_wallet.gate.options import X402
from credit_wallet.gate.x402_processor import X402Processor
from credit_wallet.ledger.reading_lanes import OWNERS
from credit_wallet.payments.gateway import StripeGateway
from credit_wallet.payments.settings import PaymentSettings
from credit_wallet.stores.sqlite import connection as sqlite_connection

PATIENCE_SECONDS = 60
AT_ONCE_SECONDS = 10.0
"""Less than any wait of ours, and much on a loaded machine."""

opened_at_import = CreditWallet.open(os.environ["FORKING_URL"]) if "FORKING_URL" in os.environ else None


class Child:
    """A child process that was forked to carry out ``work`` and tell what it returned."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self._answer, write_end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            try:
                answer = json.dumps(work())
            except BaseException as error:
                answer = json.dumps(f"{type(error).__name__}: {error}")
            os.write(write_end, answer.encode())
            os._exit(0)
        os.close(write_end)

    def answer(self) -> Any:
        """What it returned; it has ended then."""
        said = b""
        while select.select([self._answer], [], [], PATIENCE_SECONDS)[0]:
            part = os.read(self._answer, 65_536)
            if not part:
                os.waitpid(self.pid, 0)
                return json.loads(said)
            said += part
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        return "hung"


def told(use: Callable[[], object]) -> str:
    """The code of the refusal, or what was returned, and whether it took its time."""
    began = time.monotonic()
    try:
        answer = str(use())
    except WalletError as error:
        answer = error.code if "post_fork" in str(error) else str(error)
    return answer if time.monotonic() - began < AT_ONCE_SECONDS else f"{answer}, late"


def funded(wallets: CreditWallet) -> int:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="start")
    return wallet_id


def uses(wallets: CreditWallet) -> dict[str, str]:
    """What comes of using ``wallets`` in every way."""
    notifier = open_notifier(wallets)
    assert notifier is not None
    all_uses: dict[str, Callable[[], object]] = {
        "charge": lambda: wallets.charge(1, 1, idempotency_key="child"),
        "acharge": lambda: asyncio.run(_acharge(wallets)),
        "charge_many": lambda: wallets.charge_many([(1, 1, "child")]),
        "hold": lambda: wallets.hold(1, 1, idempotency_key="child"),
        "capture": lambda: wallets.capture(1, 1),
        "create": wallets.create,
        "balance": lambda: wallets.balance(1),
        "history": lambda: wallets.history(1),
        "ask": lambda: asyncio.run(_ask(wallets)),
        "totals": wallets.maintenance.totals,
        "authenticate": lambda: wallets.tokens.authenticate(new_token()),
        "verify": wallets.verify,
        "seal": wallets.maintenance.seal,
        "run_alerts": wallets.alerts.run,
        "expire_due": wallets.maintenance.expire_due,
        "check_ready": wallets.maintenance.check_ready,
        "notices": notifier.deliver,
        "targets": notifier.unreachable,
        "close": wallets.close,
        "charge after close": lambda: wallets.charge(1, 1, idempotency_key="child"),
    }
    return {name: told(use) for name, use in all_uses.items()}


async def _acharge(wallets: CreditWallet) -> object:
    return await wallets.acharge(1, 1, idempotency_key="child")


async def _ask(wallets: CreditWallet) -> object:
    return await wallets.reading_lanes.ask(OWNERS, wallets.balance, 1)


def sessions(wallets: CreditWallet) -> list[int]:
    """The server's processes behind the lanes."""
    return [rail.call(lambda store: store._link._raw.info.backend_pid) for rail in wallets._ledger.lanes._rails]  # type: ignore[attr-defined]


# Programs


def use_in_a_child(url: str) -> Any:
    """Every use in a child, a ledger of the child's own, and the parent's afterwards."""
    with CreditWallet.open(url) as wallets:
        funded(wallets)
        before = sessions(wallets) if url.startswith("postgres") else []

        def work() -> Any:
            said = uses(wallets)
            with CreditWallet.open(url) as own:
                said["own"] = str(own.charge(1, 10, idempotency_key="own").balance_yen)
            return said

        said = Child(work).answer()
        for number in range(3):
            wallets.charge(1, 1, idempotency_key=f"parent-{number}")
        after = sessions(wallets) if url.startswith("postgres") else []
        return {
            "child": said,
            "same sessions": before == after,
            "balance": int(wallets.balance(1)),
            "violations": len(wallets.verify()),
            "readable": wallets.maintenance.totals().wallets,
        }


def use_in_a_grandchild(url: str) -> Any:
    """A daemon forks twice."""
    with CreditWallet.open(url) as wallets:
        funded(wallets)
        return Child(lambda: Child(lambda: told(lambda: wallets.balance(1))).answer()).answer()


def fork_while_charging(url: str) -> Any:
    """Twenty forks beside four threads that charge and one that reads; each child charges on a ledger of its own."""
    with CreditWallet.open(url) as wallets:
        funded(wallets)
        stop = threading.Event()
        charged = [0] * 4

        def charge(thread: int) -> None:
            while not stop.is_set() and charged[thread] < 200:
                wallets.charge(1, 1, idempotency_key=f"{thread}-{charged[thread]}")
                charged[thread] += 1

        def read() -> None:
            while not stop.is_set():
                wallets.history(1)

        threads = [threading.Thread(target=charge, args=(number,)) for number in range(4)]
        threads.append(threading.Thread(target=read))
        for thread in threads:
            thread.start()

        def work(number: int) -> Any:
            refused = told(lambda: wallets.charge(1, 1, idempotency_key="child"))
            with CreditWallet.open(url) as own:
                own.charge(1, 1, idempotency_key=f"child-{number}")
            return refused

        answers = [Child(lambda number=number: work(number)).answer() for number in range(20)]  # type: ignore[misc]
        stop.set()
        for thread in threads:
            thread.join()
        return {
            "answers": sorted(set(map(str, answers))),
            "lost": 1_000 - sum(charged) - 20 - int(wallets.balance(1)),
            "violations": len(wallets.verify()),
        }


def outlive_the_parents_ledger(url: str) -> Any:
    """A child's own ledger is locked by the child: nobody else gets it for himself when the parent has closed."""
    wallets = CreditWallet.open(url)
    funded(wallets)
    ready, go_on = os.pipe(), os.pipe()

    def work() -> Any:
        with CreditWallet.open(url) as own:
            own.charge(1, 10, idempotency_key="first")
            os.write(ready[1], b"!")
            os.read(go_on[0], 1)
            own.charge(1, 10, idempotency_key="second")
            return len(own.verify())

    child = Child(work)
    os.read(ready[0], 1)
    wallets.close()
    alone = told(lambda: sqlite_connection.connect_alone(_path(url)))
    os.write(go_on[1], b"!")
    violations = child.answer()
    with CreditWallet.open(url) as again:
        return {"alone": alone, "violations": violations, "balance": int(again.balance(1))}


def lock_of_the_parent(url: str) -> Any:
    """What a child does to its copy of the parent's connections lets go of none of the parent's locks."""
    with CreditWallet.open(url) as wallets:
        funded(wallets)
        Child(wallets.close).answer()
        Child(lambda: None).answer()
        return multiprocessing.get_context("spawn").Pool(1).apply(_alone, (url,))


def _alone(url: str) -> str:
    return told(lambda: sqlite_connection.connect_alone(_path(url)))


def _path(url: str) -> Any:
    from credit_wallet.database_urls import sqlite_path

    return sqlite_path(url)


def fork_in_the_middle(url: str) -> Any:
    """A job does not come to its end in time: the child must not use SQLite any more, and says so."""
    sqlite_connection.PAUSE_SECONDS = 0.1
    with CreditWallet.open(url) as wallets:
        funded(wallets)
        working, done = threading.Event(), threading.Event()

        def job(connection: Any) -> None:
            connection.execute("SELECT 1").fetchall()
            working.set()
            done.wait(PATIENCE_SECONDS)

        thread = threading.Thread(target=lambda: wallets._ledger.maintain(job))
        thread.start()
        working.wait(PATIENCE_SECONDS)

        def work() -> Any:
            return [told(lambda: wallets.balance(1)), told(wallets.close), told(lambda: _open_own(url))]

        answer = Child(work).answer()
        done.set()
        thread.join()
        return {"child": answer, "later": Child(lambda: _open_own(url)).answer(), "balance": int(wallets.balance(1))}


def _open_own(url: str) -> int:
    with CreditWallet.open(url) as own:
        return int(own.balance(1))


def use_clients_in_a_child(_: str) -> Any:
    """Clients with a connection that is kept open; the server counts connections."""
    connections: list[Any] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            connections.append(self)

        def do_GET(self) -> None:
            body = b'{"wallet_id": 1}'
            self.send_response(404)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    loop = asyncio.new_event_loop()
    client, awaited = WalletClient(base, "token"), AsyncWalletClient(base, "token")
    twin, awaited_twin = client.with_token("other"), awaited.with_token("other")
    gateway = StripeGateway(PaymentSettings(secret_key="sk_test_1", api_url=base), "ledger", lambda: 0)  # noqa: S106
    processor = X402Processor(X402(pay_to="0x", network="eip155:1", asset="0x", units_per_yen=1, facilitator_url=base))

    def ask() -> list[str]:
        return [
            told(lambda: _not_found(client.wallet)),
            told(lambda: _not_found(twin.forecast)),
            told(lambda: loop.run_until_complete(_awaited(awaited.wallet))),
            told(lambda: loop.run_until_complete(_awaited(awaited_twin.wallet))),
        ]

    def work() -> Any:
        nonlocal loop
        loop = asyncio.new_event_loop()
        said = ask()
        said.append(told(lambda: gateway.new_customer(1)))
        said.append(told(lambda: loop.run_until_complete(_of_x402(processor))))
        said.append(told(client.close))
        said.append(told(lambda: loop.run_until_complete(awaited.aclose())))
        with closing(WalletClient(base, "token")) as own:
            said.append(told(lambda: _not_found(own.wallet)))
        return said

    before = ask()
    child = Child(work).answer()
    after = ask()
    return {"before": before, "child": child, "after": after, "connections": len(connections)}


def _not_found(ask: Callable[[], object]) -> str:
    try:
        ask()
    except WalletError as error:
        if "post_fork" in str(error):
            raise
        return "answered"
    return "answered"


async def _awaited(ask: Callable[[], Any]) -> str:
    try:
        await ask()
    except WalletError as error:
        if "post_fork" in str(error):
            raise
    return "answered"


async def _of_x402(processor: X402Processor) -> object:
    return await processor._facilitator.verify(None, None)  # type: ignore[arg-type]


def use_what_was_opened_at_import() -> Any:
    """In a process that multiprocessing has forked from one that had imported this module."""
    assert opened_at_import is not None
    said = [told(lambda: opened_at_import.balance(1)), told(opened_at_import.close)]
    with CreditWallet.open(os.environ["FORKING_URL"]) as own:
        said.append(str(own.charge(1, 1, idempotency_key=str(uuid4())).replayed))
    return said


def multiprocess(method: str) -> Any:
    context = multiprocessing.get_context(method)
    if method == "forkserver":
        context.set_forkserver_preload(["forking"])
    with context.Pool(2) as pool:
        return [pool.apply(use_what_was_opened_at_import) for _ in range(2)]


@contextmanager
def _quietly() -> Iterator[None]:
    """Whatever logs goes to stderr."""
    out = sys.stdout
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout = out


if __name__ == "__main__":
    with _quietly():
        import forking  # so that functions have a module that other processes can import

        answer = getattr(forking, sys.argv[1])(*sys.argv[2:])
    sys.stdout.write(json.dumps(answer))
