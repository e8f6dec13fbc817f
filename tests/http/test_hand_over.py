"""A movement call's body is asked for before the event loop hears of the request: whom could that help?

A caller that keeps its body back and has a bad token; one that sends byte by byte, or leaves at any byte; hundreds that
begin a body and say no more; one whose requests are under way when the service stops. Each is played against the real
server over a socket.
"""

from __future__ import annotations

import asyncio
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import ClassVar, NamedTuple

import httpx
import pytest
from granian.server.embed import Server
from service import Service, credentials

from credit_wallet import CreditWallet
from credit_wallet.http import hand_over
from credit_wallet.http.fast import CALLS
from credit_wallet.runtime.stopping import ABANDONED
from credit_wallet.wire.asgi import Receive, Scope, Send
from credit_wallet.wire.receiving import BODY_SECONDS

PATIENCE_SECONDS = 30
CREDIT_YEN = 1_000_000
BODY = b'{"amount_yen": 3}'


class Open(NamedTuple):
    """A service and a wallet with credit."""

    service: Service
    token: str
    url: str


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Open]:
    url = f"sqlite:///{tmp_path_factory.mktemp('hand-over') / 'wallet.db'}"
    token = funded(url)
    with Service(url) as service:
        yield Open(service, token, url)
        assert service.stop() == 0
        assert b"Traceback" not in service.output()
    with CreditWallet.open(url) as wallets:
        assert wallets.verify() == []


def funded(url: str) -> str:
    with CreditWallet.open(url) as wallets:
        created = wallets.create()
        wallets.topup(created.wallet_id, CREDIT_YEN, idempotency_key="start")
    return created.owner_token


def connected(service: Service) -> socket.socket:
    return socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_SECONDS)


def request(token: str, key: str, *lines: str, path: str = "/credit/charge", body: bytes = BODY) -> bytes:
    head = [f"POST {path} HTTP/1.1", "Host: x", f"Authorization: Bearer {token}", f"Idempotency-Key: {key}"]
    return "\r\n".join([*head, *lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


def answer_of(connection: socket.socket) -> bytes:
    """One answer, or as much of it as comes."""
    received = b""
    while True:
        head, end, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        if end and length and len(body) >= int(length[1]):
            return received
        if not (chunk := connection.recv(65_536)):
            return received
        received += chunk


def spent(opened: Open) -> int:
    shown = httpx.get(f"{opened.service.url}/credit/wallet", headers=credentials(opened.token)).json()
    return CREDIT_YEN - int(shown["balance_yen"])


@pytest.mark.parametrize("path", CALLS)
def test_whoever_sends_a_bad_token_hears_so_before_the_body_has_come(opened: Open, path: str) -> None:
    """Else anybody could have the service wait for bodies, ten seconds each."""
    whole = request("nobody's", "bad", path=path)
    for sent in (whole.removesuffix(BODY), whole.removesuffix(BODY[4:])):
        started = time.monotonic()
        with connected(opened.service) as connection:
            connection.sendall(sent)
            assert answer_of(connection).startswith(b"HTTP/1.1 401 ")
        assert time.monotonic() - started < BODY_SECONDS


def test_a_caller_that_waits_to_be_told_to_go_on_is_told(opened: Open) -> None:
    """``Expect: 100-continue`` (RFC 9110, section 10.1.1)."""
    before = spent(opened)
    with connected(opened.service) as connection:
        connection.sendall(request(opened.token, "expects", "Expect: 100-continue").removesuffix(BODY))
        assert connection.recv(65_536).startswith(b"HTTP/1.1 100 ")
        connection.sendall(BODY)
        assert answer_of(connection).startswith(b"HTTP/1.1 200 ")
    assert spent(opened) == before + 3


@pytest.mark.parametrize("wait", [0.0, 2 * hand_over.EARLY_SECONDS], ids=["at once", "later"])
def test_a_request_may_come_in_two_parts_wherever_it_is_cut(opened: Open, wait: float) -> None:
    before = spent(opened)
    whole = request(opened.token, "key-in-parts")
    cuts = range(1, len(whole)) if not wait else range(len(whole) - len(BODY) - 2, len(whole))
    with ExitStack() as stack:
        connections = [stack.enter_context(connected(opened.service)) for _ in cuts]
        for connection, cut in zip(connections, cuts, strict=True):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(whole.replace(b"key-in-parts", b"part-%05d-%d" % (cut, wait > 0))[:cut])
        threading.Event().wait(wait)
        for connection, cut in zip(connections, cuts, strict=True):
            connection.sendall(whole.replace(b"key-in-parts", b"part-%05d-%d" % (cut, wait > 0))[cut:])
        answers = [answer_of(connection) for connection in connections]
    assert {answer.partition(b"\r\n")[0] for answer in answers} == {b"HTTP/1.1 200 OK"}
    assert spent(opened) == before + 3 * len(cuts)


def test_a_caller_that_leaves_at_any_byte_is_charged_once_or_not_at_all(opened: Open) -> None:
    before = spent(opened)
    whole = request(opened.token, "key-and-gone")
    for cut in range(1, len(whole)):
        with connected(opened.service) as connection:
            connection.sendall(whole[:cut])
    assert spent(opened) == before
    with connected(opened.service) as connection:
        connection.sendall(whole)
    with connected(opened.service) as connection:
        connection.sendall(whole)
        assert answer_of(connection).startswith(b"HTTP/1.1 200 ")
    assert spent(opened) == before + 3


def test_a_body_that_says_its_end_and_goes_on_ends_where_it_said(opened: Open) -> None:
    """What comes after it is the next request, and is none."""
    before = spent(opened)
    with connected(opened.service) as connection:
        connection.sendall(request(opened.token, "longer") + b', "amount_yen": 900000}')
        assert answer_of(connection).startswith(b"HTTP/1.1 200 ")
    assert spent(opened) == before + 3


@pytest.mark.parametrize("chunks", [(BODY,), (BODY[:5], BODY[5:]), tuple(BODY[n : n + 1] for n in range(len(BODY)))])
def test_a_body_in_chunks_is_read_to_its_end(opened: Open, chunks: tuple[bytes, ...]) -> None:
    before = spent(opened)
    head = request(opened.token, f"chunks-{len(chunks)}").removesuffix(BODY)
    head = head.replace(b"Content-Length: 17", b"Transfer-Encoding: chunked")
    with connected(opened.service) as connection:
        connection.sendall(head)
        for chunk in chunks:
            connection.sendall(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        connection.sendall(b"0\r\n\r\n")
        assert answer_of(connection).startswith(b"HTTP/1.1 200 ")
    assert spent(opened) == before + 3


@pytest.mark.parametrize("body", [b"", b"{", b'{"amount_yen": -3}', b" " * 16_385])
def test_a_connection_goes_on_after_a_refusal(opened: Open, body: bytes) -> None:
    before = spent(opened)
    with connected(opened.service) as connection:
        connection.sendall(request(opened.token, f"refused-{len(body)}", body=body))
        assert answer_of(connection).startswith(b"HTTP/1.1 4")
        with suppress(ConnectionError):  # the server may close rather than read what is too long
            connection.sendall(request(opened.token, f"next-{len(body)}"))
            assert answer_of(connection)[:13] in (b"HTTP/1.1 200 ", b"")
    assert spent(opened) in (before, before + 3)


def test_hundreds_that_begin_a_body_and_say_no_more_keep_nobody_out(opened: Open) -> None:
    before = spent(opened)
    begun = request(opened.token, "begun").removesuffix(BODY[1:])
    with ExitStack() as stack:
        for _ in range(300):
            stack.enter_context(connected(opened.service)).sendall(begun)
        for number in range(20):
            with connected(opened.service) as connection:
                connection.sendall(request(opened.token, f"beside-{number}"))
                answer = answer_of(connection)
                assert answer.startswith(b"HTTP/1.1 200 ")
    left = re.search(rb"x-wallet-balance: (\d+)", answer)  # reading may be refused: so many of one address wait for it
    assert left is not None
    assert int(left[1]) == CREDIT_YEN - before - 60


@pytest.mark.parametrize("kept_back", [0, 1, len(BODY)], ids=["none", "a byte", "the body"])
def test_a_stop_in_the_middle_is_in_time_and_keeps_what_was_acknowledged(tmp_path: Path, kept_back: int) -> None:
    """Beside the requests under way there are some whose body never comes: they must not be waited for."""
    url = f"sqlite:///{tmp_path / 'wallet.db'}"
    token = funded(url)
    acknowledged: list[str] = []
    with Service(url) as service, ExitStack() as stack:
        for number in range(50):
            whole = request(token, f"kept-{number}")
            if kept_back:
                stack.enter_context(connected(service)).sendall(whole[: len(whole) - kept_back])

        def charge(caller: int) -> None:
            with suppress(OSError), connected(service) as connection:
                for number in range(10_000):
                    connection.sendall(request(token, f"{caller}-{number}"))
                    if not answer_of(connection).startswith(b"HTTP/1.1 200 "):
                        return
                    acknowledged.append(f"{caller}-{number}")

        callers = [threading.Thread(target=charge, args=(caller,)) for caller in range(8)]
        for caller in callers:
            caller.start()
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(acknowledged) < 50 and time.monotonic() < deadline:
            pass
        started = time.monotonic()
        service.begin_stop()
        for caller in callers:
            caller.join()
        status = service.wait()
        assert time.monotonic() - started < 20
        assert status in (0, ABANDONED), service.output()
    assert len(acknowledged) >= 50
    with CreditWallet.open(url) as wallets:
        assert wallets.verify() == []
        charged = wallets.balance(1)
        for key in acknowledged:
            assert wallets.charge(1, 3, idempotency_key=key, actor="payer").replayed
        assert wallets.balance(1) == charged


def test_a_granian_that_is_not_known_serves_in_its_own_way(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert hand_over.spawner() is not None

    async def spawn(worker_id: int, something: object) -> None:
        """As a later version may have it."""

    monkeypatch.setattr(Server, "_spawn_asgi_worker", staticmethod(spawn))
    assert hand_over.spawner() is None
    url = f"sqlite:///{tmp_path / 'wallet.db'}"
    token = funded(url)
    unknown = "from credit_wallet.http import hand_over; hand_over._KNOWN = ()"
    with Service(url, adjust=unknown) as service, connected(service) as connection:
        for number in range(3):
            connection.sendall(request(token, f"{number}"))
            assert answer_of(connection).startswith(b"HTTP/1.1 200 ")


class Stopped:
    """A request whose first part has been asked for when the thread that did is stopped for a while."""

    scope: ClassVar = {"type": "http", "method": "POST", "path": "/credit/charge", "query_string": b""}

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.proto = self
        self.parts: list[asyncio.Future[dict[str, object]]] = []
        self.answered = loop.create_future()
        self._loop = loop

    def receive(self) -> asyncio.Future[dict[str, object]]:
        part = self._loop.create_future()
        if not self.parts:
            part.set_result({"type": "http.request", "body": BODY})
        self.parts.append(part)
        if threading.current_thread() is not threading.main_thread():
            time.sleep(3 * hand_over.EARLY_SECONDS)
        return part

    def send(self, _: object) -> None:
        """Nobody answers."""

    taskref = send

    def err(self, error: BaseException) -> None:
        self.answered.set_exception(error)

    def done(self) -> None:
        self.answered.set_result(None)


def test_the_first_part_is_not_lost_when_a_busy_machine_stops_the_thread_that_asked_for_it() -> None:
    received = []

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        received.append((await asyncio.wait_for(receive(), PATIENCE_SECONDS))["body"])

    async def hand_it_over() -> None:
        loop = asyncio.get_running_loop()
        stopped = Stopped(loop)
        handing_over = hand_over.HandOver(loop, app)
        await asyncio.gather(asyncio.to_thread(handing_over.take, stopped), stopped.answered)

    asyncio.run(hand_it_over())
    assert received == [BODY]
