"""What is open when a process forks is the parent's: a child is told so at once, and the parent goes on working.

The kind of fault: use after fork. A fork copies memory and not threads, so that a rail is waited for that nobody drives
(the noticed one: ``gunicorn --preload`` with a ledger that is opened at module level). Where else it is: the readers'
pool of PostgreSQL and its connections, SQLite's locks, which it knows by process and file, HTTP connections of the
clients, of Stripe's SDK and of an x402 facilitator, locks that were held when the fork happened, closing in the child,
grandchildren, ``multiprocessing`` by fork and by fork server.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from databases import on_every_database_at_length, on_sqlite
from service import free_port

from credit_wallet import CreditWallet

HERE = Path(__file__).parents[1] / "support"
PATIENCE_SECONDS = 180

REFUSED = "used_after_fork"


def run(program: str, *arguments: str, **environment: str) -> Any:
    done = subprocess.run(
        [sys.executable, "forking.py", program, *arguments],
        cwd=HERE,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@on_every_database_at_length
def test_every_use_in_a_child_is_refused_at_once_and_the_parent_goes_on(db_url: str) -> None:
    told = run("use_in_a_child", db_url)
    own = told["child"].pop("own")
    assert told["child"].pop("close") == "None"
    assert told["child"] == dict.fromkeys(told["child"], REFUSED)
    assert len(told["child"]) == 19
    assert own == "990"
    assert told["same sessions"]
    assert (told["balance"], told["violations"], told["readable"]) == (987, 0, 1)


@on_every_database_at_length
def test_a_grandchild_is_refused_too(db_url: str) -> None:
    assert run("use_in_a_grandchild", db_url) == REFUSED


@on_every_database_at_length
def test_forks_beside_a_busy_ledger_lose_nothing_and_hang_nobody(db_url: str) -> None:
    told = run("fork_while_charging", db_url)
    assert told == {"answers": [REFUSED], "lost": 0, "violations": 0}


@on_sqlite
def test_a_childs_own_ledger_has_locks_of_its_own(db_url: str) -> None:
    """SQLite would take the parent's locks for the child's."""
    told = run("outlive_the_parents_ledger", db_url)
    assert "keeps" in told["alone"]
    assert (told["violations"], told["balance"]) == (0, 980)


@on_sqlite
def test_the_parents_locks_stay(db_url: str) -> None:
    assert "keeps" in run("lock_of_the_parent", db_url)


@on_sqlite
def test_a_fork_in_the_middle_of_sqlites_work_is_told_in_the_child(db_url: str) -> None:
    told = run("fork_in_the_middle", db_url)
    assert told == {"child": [REFUSED, "None", REFUSED], "later": 1_000, "balance": 1_000}


def test_clients_and_payments_in_a_child_are_refused_and_the_parents_connections_stay() -> None:
    told = run("use_clients_in_a_child", "")
    assert told["before"] == told["after"] == ["answered"] * 4
    assert told["child"] == [*[REFUSED] * 6, "None", "None", "answered"]
    assert told["connections"] == 3  # one of each of the parent's clients, one of the child's own


@on_every_database_at_length
@pytest.mark.parametrize("method", ["fork", "forkserver"])
def test_multiprocessing(db_url: str, method: str) -> None:
    with CreditWallet.open(db_url) as wallets:
        wallets.topup(wallets.create().wallet_id, 1_000, idempotency_key="start")
    assert run("multiprocess", method, FORKING_URL=db_url) == [[REFUSED, "None", "False"]] * 2
    with CreditWallet.open(db_url) as wallets:
        assert wallets.verify() == []


# gunicorn


class Site(NamedTuple):
    """An application under gunicorn."""

    url: str
    log: Path


APP = """
import os
from credit_wallet import CreditWallet
from credit_wallet.middleware import CreditGate

async def answer(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"served"})

def opened():
    return CreditWallet.open(os.environ["URL"])
"""
AT_MODULE_LEVEL = """
app = CreditGate(answer, opened(), price_yen=3)
"""
IN_THE_LIFESPAN = """
gate = None

async def app(scope, receive, send):
    global gate
    if scope["type"] != "lifespan":
        return await gate(scope, receive, send)
    await receive()
    wallets = opened()
    gate = CreditGate(answer, wallets, price_yen=3)
    await send({"type": "lifespan.startup.complete"})
    await receive()
    wallets.close()
    await send({"type": "lifespan.shutdown.complete"})
"""
AT_BOTH = f"""
left_over = opened()
left_over.maintenance.totals()
{IN_THE_LIFESPAN}"""
AFTER_THE_FORK = """
gate = None

async def app(scope, receive, send):
    await gate(scope, receive, send)
"""
POST_FORK = """
def post_fork(server, worker):
    import site_app
    site_app.gate = site_app.CreditGate(site_app.answer, site_app.opened(), price_yen=3)
"""


@contextmanager
def gunicorn(folder: Path, db_url: str, program: str, settings: str = "") -> Iterator[Site]:
    (folder / "site_app.py").write_text(APP + program)
    (folder / "gunicorn.conf.py").write_text(settings)
    port, log = free_port(), folder / "log"
    command = ["-m", "gunicorn", "--preload", "-w", "2", "-k", "uvicorn.workers.UvicornWorker"]
    with log.open("wb") as output:
        process = subprocess.Popen(
            [sys.executable, *command, "-b", f"127.0.0.1:{port}", "site_app:app"],
            cwd=folder,
            env={**os.environ, "URL": db_url},
            stdout=output,
            stderr=output,
        )
    try:
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while log.read_text().count("Application startup complete") < 2:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < give_up_at, log.read_text()
            time.sleep(0.05)
        yield Site(f"http://127.0.0.1:{port}", log)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0, log.read_text()


def paid_requests(site: Site, token: str) -> list[httpx.Response]:
    """Ten of them, each on a connection of its own, so that both workers have some."""
    headers = {"Authorization": f"Bearer {token}"}
    return [httpx.get(f"{site.url}/q", headers=headers, timeout=10) for _ in range(10)]


@on_every_database_at_length
def test_gunicorn_with_a_ledger_opened_at_module_level_says_what_to_do(db_url: str, tmp_path: Path) -> None:
    with CreditWallet.open(db_url) as wallets:
        wallet = wallets.create()
        wallets.topup(wallet.wallet_id, 1_000, idempotency_key="start")
    with gunicorn(tmp_path, db_url, AT_MODULE_LEVEL) as site:
        for answer in paid_requests(site, wallet.owner_token):
            assert answer.status_code == 500
            assert answer.json()["code"] == REFUSED
            assert "post_fork" in answer.json()["detail"]
    assert "used_after_fork" in site.log.read_text()
    with CreditWallet.open(db_url) as wallets:
        assert wallets.balance(wallet.wallet_id) == 1_000


@on_every_database_at_length
@pytest.mark.parametrize(
    ("program", "settings"),
    [(IN_THE_LIFESPAN, ""), (AT_BOTH, ""), (AFTER_THE_FORK, POST_FORK)],
    ids=["in-the-lifespan", "at-both", "post-fork"],
)
def test_gunicorn_with_a_ledger_opened_after_the_fork_sells(
    db_url: str, tmp_path: Path, program: str, settings: str
) -> None:
    with CreditWallet.open(db_url) as wallets:
        wallet = wallets.create()
        wallets.topup(wallet.wallet_id, 1_000, idempotency_key="start")
    with gunicorn(tmp_path, db_url, program, settings) as site:
        assert [(answer.status_code, answer.text) for answer in paid_requests(site, wallet.owner_token)] == [
            (200, "served")
        ] * 10
    with CreditWallet.open(db_url) as wallets:
        assert wallets.balance(wallet.wallet_id) == 970
        assert wallets.verify() == []
