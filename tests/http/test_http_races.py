"""Many clients at once against a real service, which is stopped or killed and started again in the middle."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any, NamedTuple, Self

import httpx
import pytest
from databases import on_every_database
from msgspec import json
from service import OPERATOR_KEY, Service, credentials

from credit_wallet import CreditWallet

pytestmark = [on_every_database, pytest.mark.slow]

CLIENTS = 64
PRICE_YEN = 3
OK, PAYMENT_REQUIRED, UNAVAILABLE = 200, 402, 503
PLENTY_YEN = 3_000_000
ANSWERS_BEFORE_THE_END = 300
"""Acknowledged charges after which the service is stopped or killed."""


class Answer(NamedTuple):
    """What came back for one charge."""

    status: int
    head: bytes
    document: dict[str, Any]


class Customer:
    """One keep-alive connection that charges. Raises ``ConnectionError`` or ``EOFError`` when it is cut off."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def charge(self, key: str) -> Answer:
        body = b'{"amount_yen": %d}' % PRICE_YEN
        fields = "".join(f"{name}: {value}\r\n" for name, value in credentials(self._token, key).items())
        self._writer.write(
            b"POST /credit/charge HTTP/1.1\r\nHost: wallet.test\r\n%sContent-Length: %d\r\n\r\n%s"
            % (fields.encode(), len(body), body)
        )
        await self._writer.drain()
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"content-length: (\d+)", head)
        assert length is not None
        content = await self._reader.readexactly(int(length[1]))
        return Answer(int(head.split()[1]), head, json.decode(content))


class Customers:
    """``CLIENTS`` that charge one wallet, each with a new key a charge, and take note of every answer."""

    def __init__(self, port: int, token: str) -> None:
        self._port = port
        self._token = token
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.refused: list[Answer] = []
        self.unanswered: list[str] = []
        """Keys of requests that may have been carried out or not."""

    def charge_until_refused(self, after: Callable[[], None] | None = None) -> None:
        """Until every client was refused or cut off; ``after`` is called once ``ANSWERS_BEFORE_THE_END`` came."""
        asyncio.run(self._all(after))

    async def _all(self, after: Callable[[], None] | None) -> None:
        enough = asyncio.Event()
        async with asyncio.TaskGroup() as customers:
            for number in range(CLIENTS):
                customers.create_task(self._one(f"client-{number}", enough))
            if after is not None:
                await enough.wait()
                after()

    async def _one(self, name: str, enough: asyncio.Event) -> None:
        async with Customer(self._port, self._token) as customer:
            for number in count():
                key = f"{name}-{number}"
                try:
                    answer = await customer.charge(key)
                except (ConnectionError, EOFError):
                    self.unanswered.append(key)
                    return
                if answer.status != OK:
                    self.refused.append(answer)
                    return
                self.acknowledged[key] = answer.document
                if len(self.acknowledged) >= ANSWERS_BEFORE_THE_END:
                    enough.set()

    def send_again(self, keys: Sequence[str]) -> list[Answer]:
        """The answers to the charges with these keys, sent by all clients at once."""

        async def send(share: Sequence[str]) -> list[Answer]:
            async with Customer(self._port, self._token) as customer:
                return [await customer.charge(key) for key in share]

        async def send_all() -> list[Answer]:
            size = max(1, -(-len(keys) // CLIENTS))
            shares = [keys[start : start + size] for start in range(0, len(keys), size)]
            return [answer for answers in await asyncio.gather(*map(send, shares)) for answer in answers]

        return asyncio.run(send_all())


def funded(db_url: str, yen: int) -> str:
    """The owner token of wallet 1, which has ``yen``."""
    with CreditWallet.open(db_url) as wallets:
        token = wallets.create().owner_token
        wallets.topup(1, yen, idempotency_key="start")
        return token


def spent(db_url: str, yen: int) -> int:
    """How much of ``yen`` is gone, in a ledger that keeps its invariants."""
    with CreditWallet.open(db_url) as wallets:
        assert wallets.verify() == []
        return yen - wallets.balance(1)


def test_clients_that_race_a_wallet_get_exactly_what_it_pays_for(db_url: str) -> None:
    token = funded(db_url, 1_000 * PRICE_YEN)
    with Service(db_url) as service:
        customers = Customers(service.port, token)
        customers.charge_until_refused()
        assert len(customers.acknowledged) == 1_000
        assert sorted(each["balance_yen"] for each in customers.acknowledged.values()) == list(range(0, 3_000, 3))
        assert not customers.unanswered
        assert len(customers.refused) == CLIENTS
        for refusal in customers.refused:
            assert refusal.status == PAYMENT_REQUIRED
            assert (refusal.document["code"], refusal.document["balance_yen"]) == ("insufficient_funds", 0)
        assert service.stop() == 0
    assert spent(db_url, 3_000) == 3_000


def assert_nothing_was_lost_or_done_twice(customers: Customers) -> None:
    """What was acknowledged is answered the same again; what was not is carried out now, if it was not before."""
    replays = customers.send_again([*customers.acknowledged])
    for first, replay in zip(customers.acknowledged.values(), replays, strict=True):
        assert b"idempotent-replayed: true" in replay.head
        assert replay.document == first | {"replayed": True}
    retries = customers.send_again(customers.unanswered)
    assert {answer.status for answer in retries} <= {OK}
    again = customers.send_again(customers.unanswered)
    assert [each.document["txn_id"] for each in again] == [each.document["txn_id"] for each in retries]


def test_a_service_that_is_stopped_under_load_answers_all_that_it_carried_out(db_url: str) -> None:
    token = funded(db_url, PLENTY_YEN)
    with Service(db_url) as service:
        customers = Customers(service.port, token)
        customers.charge_until_refused(after=service.begin_stop)
        assert service.wait() == 0
        assert b"Traceback" not in service.output()
    assert len(customers.acknowledged) >= ANSWERS_BEFORE_THE_END
    assert spent(db_url, PLENTY_YEN) == len(customers.acknowledged) * PRICE_YEN
    assert {answer.status for answer in customers.refused} <= {UNAVAILABLE}
    with Service(db_url, port=service.port) as restarted:
        assert_nothing_was_lost_or_done_twice(customers)
        assert restarted.stop() == 0
    assert spent(db_url, PLENTY_YEN) == (len(customers.acknowledged) + len(customers.unanswered)) * PRICE_YEN


def test_a_service_that_is_killed_under_load_has_all_that_it_acknowledged(db_url: str) -> None:
    token = funded(db_url, PLENTY_YEN)
    with Service(db_url) as service:
        customers = Customers(service.port, token)
        customers.charge_until_refused(after=service.kill)
    assert len(customers.acknowledged) >= ANSWERS_BEFORE_THE_END
    assert not customers.refused
    assert len(customers.unanswered) == CLIENTS
    carried_out = spent(db_url, PLENTY_YEN) // PRICE_YEN
    assert len(customers.acknowledged) <= carried_out <= len(customers.acknowledged) + CLIENTS
    with Service(db_url, port=service.port) as restarted:
        assert_nothing_was_lost_or_done_twice(customers)
        figures = httpx.get(f"{restarted.url}/operator/wallets/1", headers=credentials(OPERATOR_KEY)).json()
        assert figures["balance_yen"] == PLENTY_YEN - (len(customers.acknowledged) + CLIENTS) * PRICE_YEN
        assert restarted.stop() == 0
    assert spent(db_url, PLENTY_YEN) == (len(customers.acknowledged) + CLIENTS) * PRICE_YEN
