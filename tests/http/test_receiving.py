"""Long bodies on their way: what callers who begin one and do not end it can take together."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest
from http_answers import assert_problem, funded
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.errors import InvalidJson, ServiceBusy
from credit_wallet.wire import receiving
from credit_wallet.wire.receiving import SHORT_BODY_BYTES, Room, read_body

LONG_BYTES = 100_000
MAX_BYTES = 1 << 20


class Caller:
    """Sends a piece of a body; then nothing more, or ends it."""

    def __init__(self, length: int, *, ends: bool) -> None:
        self._pieces = [b"x" * length]
        self._ends = ends
        self.waits = asyncio.Event()

    async def receive(self) -> MutableMapping[str, Any]:
        if self._pieces:
            return {"type": "http.request", "body": self._pieces.pop(), "more_body": not self._ends}
        self.waits.set()
        await asyncio.Event().wait()
        raise AssertionError


def test_long_bodies_have_room_together_and_short_ones_always() -> None:
    asyncio.run(_long_and_short())


async def _long_and_short() -> None:
    room = Room(2 * LONG_BYTES)
    begun = [Caller(LONG_BYTES, ends=False) for _ in range(2)]
    reading = [asyncio.create_task(read_body(each.receive, MAX_BYTES, room)) for each in begun]
    await asyncio.gather(*(each.waits.wait() for each in begun))
    with pytest.raises(ServiceBusy):
        await read_body(Caller(LONG_BYTES, ends=True).receive, MAX_BYTES, room)
    assert len(await read_body(Caller(SHORT_BODY_BYTES, ends=True).receive, MAX_BYTES, room)) == SHORT_BODY_BYTES
    for task in reading:
        task.cancel()
    await asyncio.gather(*reading, return_exceptions=True)
    assert len(await read_body(Caller(LONG_BYTES, ends=True).receive, MAX_BYTES, room)) == LONG_BYTES


def test_room_is_given_back_when_a_body_does_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(receiving, "BODY_SECONDS", 0.01)
    room = Room(LONG_BYTES)
    for _ in range(3):
        with pytest.raises(InvalidJson, match="did not arrive"):
            asyncio.run(read_body(Caller(LONG_BYTES, ends=False).receive, MAX_BYTES, room))


class Server:
    """Gives the first part of a body as a future that is done, as the hand-over does, and nothing more."""

    def __init__(self, body: bytes, *, more_body: bool) -> None:
        self._body, self._more_body = body, more_body
        self.asked = 0

    def receive(self) -> asyncio.Future[MutableMapping[str, Any]]:
        self.asked += 1
        future: asyncio.Future[MutableMapping[str, Any]] = asyncio.get_running_loop().create_future()
        if self.asked == 1:
            future.set_result({"type": "http.request", "body": self._body, "more_body": self._more_body})
        return future


@pytest.mark.parametrize(("declared", "more_body"), [(b"7", True), (b"7", False), (None, False)])
def test_nobody_is_asked_for_more_than_was_announced(declared: bytes | None, *, more_body: bool) -> None:
    async def read() -> tuple[bytes, int]:
        server = Server(b"x" * 7, more_body=more_body)
        return await read_body(server.receive, MAX_BYTES, declared=declared), server.asked

    assert asyncio.run(read()) == (b"x" * 7, 1)


@pytest.mark.parametrize("declared", [None, b"8", b"6", b"07", b"+7", b"x", b""])
def test_the_rest_of_a_body_whose_first_part_has_come_has_a_clock(
    monkeypatch: pytest.MonkeyPatch, declared: bytes | None
) -> None:
    """Also when the length that was announced is none, or another one."""
    monkeypatch.setattr(receiving, "BODY_SECONDS", 0.01)
    server = Server(b"x" * 7, more_body=True)

    async def read() -> None:
        await read_body(server.receive, MAX_BYTES, declared=declared)

    with pytest.raises(InvalidJson, match="did not arrive"):
        asyncio.run(read())
    assert server.asked == 2


def test_nobodys_long_bodies_keep_out_the_operators(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("credit_wallet.http.decoding.CALLERS_ROOM", Room(0))
    owner = funded(wallets)
    charges = [{"wallet_id": owner.wallet_id, "amount_yen": 1, "idempotency_key": f"{n:0100}"} for n in range(200)]
    long_label = {"label": "x" * len(str(charges))}
    with Api(new_app(wallets)) as api:
        refused = api.call("PATCH", "/credit/wallet", owner.owner_token, json=long_label)
        assert_problem(refused, 503, "service_busy")
        assert refused.headers["Retry-After"] == "1"
        assert api.call("POST", "/credit/charge/batch", OPERATOR_KEY, json={"charges": charges}).status_code == 200
