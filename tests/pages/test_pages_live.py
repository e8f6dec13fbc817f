"""Pages that bring themselves up to date: what a stream says, to whom, for how long, and how it ends."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from clock import Clock
from databases import on_both_databases
from service import OPERATOR_KEY, Api, Service, credentials, new_app
from visiting import FORM, Visitor, hidden_fields

from credit_wallet import CreditWallet
from credit_wallet.errors import ServiceBusy, Unauthorized, WalletNotFound
from credit_wallet.pages import live
from credit_wallet.pages.live import Live
from credit_wallet.runtime import deadlines


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "LOOK_SECONDS", 0.02)


class Watcher:
    """Watches one stream in this process, as a browser would."""

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self._gone = asyncio.Event()
        self._heard = asyncio.Event()
        self.status = 0
        self.said: list[str] = []
        self._task = asyncio.get_running_loop().create_task(stream({"state": {}}, self._receive, self._send))

    @property
    def has_ended(self) -> bool:
        return self._task.done()

    async def hears(self, text: str, seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while text not in "".join(self.said):
                self._heard.clear()
                await self._heard.wait()

    async def ends(self, seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            await self._task

    async def leave(self) -> None:
        self._gone.set()
        await self.ends()

    async def _receive(self) -> dict[str, str]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.status = self.status or message.get("status", 0)
        self.said.append(message.get("body", b"").decode())
        self._heard.set()


async def _open() -> None:
    """A session that goes on."""


Visit = Callable[[Live, Callable[..., Watcher]], Awaitable[None]]


def _watched(wallets: CreditWallet, visit: Visit, wallet_id: int | None) -> None:
    async def run() -> None:
        streams = Live(wallets)

        def watch(session_id: int = 1, since: str = "", still_open: Callable[[], Awaitable[object]] = _open) -> Watcher:
            return Watcher(streams.stream(wallet_id, session_id, since, still_open))

        await visit(streams, watch)
        streams.end()
        await asyncio.sleep(0.05)

    asyncio.run(run())


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    made = wallets.create().wallet_id
    wallets.topup(made, 1_000, idempotency_key="t")
    return made


@on_both_databases
def test_a_stream_says_that_something_changed_and_nothing_besides(wallets: CreditWallet, wallet_id: int) -> None:
    async def visit(streams: Live, watch: Callable[..., Watcher]) -> None:
        watcher = watch(since=await streams.mark(wallet_id))
        await watcher.hears("retry: 10000")
        await asyncio.sleep(0.1)
        assert "change" not in "".join(watcher.said)
        await wallets.acharge(wallet_id, 7, note="what for", idempotency_key="c")
        await watcher.hears("event: change")
        assert re.fullmatch(r"retry: 10000\n\nevent: change\ndata: [0-9a-f]{16}\n\n", "".join(watcher.said))
        await watcher.leave()

    _watched(wallets, visit, wallet_id)


def test_what_changed_while_the_page_was_made_is_said_at_once(wallets: CreditWallet, wallet_id: int) -> None:
    async def visit(streams: Live, watch: Callable[..., Watcher]) -> None:
        since = await streams.mark(wallet_id)
        await wallets.acharge(wallet_id, 7, idempotency_key="c")
        watcher = watch(since=since)
        await watcher.hears("event: change")
        await watcher.leave()

    _watched(wallets, visit, wallet_id)


def test_others_hear_nothing(wallets: CreditWallet, wallet_id: int) -> None:
    other = wallets.create().wallet_id
    wallets.topup(other, 100, idempotency_key="o")

    async def visit(streams: Live, watch: Callable[..., Watcher]) -> None:
        watcher = watch(since=await streams.mark(wallet_id))
        await wallets.acharge(other, 7, idempotency_key="c")
        await asyncio.sleep(0.2)
        assert "change" not in "".join(watcher.said)
        await watcher.leave()

    _watched(wallets, visit, wallet_id)


def test_an_operator_hears_of_all_wallets(wallets: CreditWallet, wallet_id: int) -> None:
    async def visit(streams: Live, watch: Callable[..., Watcher]) -> None:
        watcher = watch(since=await streams.mark(None))
        await wallets.acharge(wallet_id, 7, idempotency_key="c")
        await watcher.hears("event: change")
        await watcher.leave()

    _watched(wallets, visit, None)


def test_any_number_of_watchers_costs_one_look_each_time(
    wallets: CreditWallet, wallet_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0
    ask = Live.mark

    async def counted(self: Live, wallet_id: int | None) -> str:
        nonlocal looks
        looks += 1
        return await ask(self, wallet_id)

    monkeypatch.setattr(live, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(Live, "mark", counted)

    async def visit(_: Live, watch: Callable[..., Watcher]) -> None:
        watchers = [watch(session_id=number) for number in range(50)]
        for watcher in watchers:
            await watcher.hears("event: change")
        await asyncio.sleep(0.5)
        assert looks <= 10
        for watcher in watchers:
            await watcher.leave()
        before = looks
        await asyncio.sleep(0.5)
        assert looks <= before + 1, "somebody looks though nobody watches"

    _watched(wallets, visit, wallet_id)


def test_a_session_has_so_many_streams_and_the_oldest_gives_way(wallets: CreditWallet, wallet_id: int) -> None:
    async def visit(_: Live, watch: Callable[..., Watcher]) -> None:
        other = watch(session_id=2)
        await other.hears("retry")
        first = watch()
        await first.hears("retry")
        others = [watch() for _ in range(live.MAX_STREAMS_PER_SESSION)]
        await first.ends()
        for watcher in (*others, other):
            await watcher.hears("retry")
            assert not watcher.has_ended
            await watcher.leave()

    _watched(wallets, visit, wallet_id)


def test_a_process_has_so_many_streams_and_who_has_most_gives_way(
    wallets: CreditWallet, wallet_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "MAX_STREAMS", 3)
    others = [wallets.create().wallet_id for _ in range(3)]

    async def run() -> None:
        streams = Live(wallets)

        def watch(of: int) -> Watcher:
            return Watcher(streams.stream(of, of, "", _open))

        greedy = [watch(wallet_id) for _ in range(3)]
        for watcher in greedy:
            await watcher.hears("retry")
        first, second = watch(others[0]), watch(others[1])
        for watcher in (first, second):
            await watcher.hears("retry")
        for watcher in greedy[:2]:
            await watcher.ends()
        assert not greedy[2].has_ended
        with pytest.raises(ServiceBusy):
            watch(others[2])
        for watcher in (greedy[2], first, second):
            await watcher.leave()
        await watch(others[2]).leave()

    asyncio.run(run())


def test_a_wallet_has_so_many_streams(wallets: CreditWallet, wallet_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_STREAMS_PER_WALLET", 4)

    async def visit(_: Live, watch: Callable[..., Watcher]) -> None:
        watchers = [watch(session_id=number) for number in range(7)]
        for watcher in watchers[:3]:
            await watcher.ends()
        for watcher in watchers[3:]:
            await watcher.hears("retry")
            assert not watcher.has_ended
            await watcher.leave()

    _watched(wallets, visit, wallet_id)


def test_a_stream_ends_with_its_session(wallets: CreditWallet, wallet_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.05)
    over = False

    async def still_open() -> None:
        if over:
            raise Unauthorized("the session has ended")

    async def visit(streams: Live, watch: Callable[..., Watcher]) -> None:
        nonlocal over
        watcher = watch(since=await streams.mark(wallet_id), still_open=still_open)
        await watcher.hears(": here")
        over = True
        await watcher.ends()

    _watched(wallets, visit, wallet_id)


def test_no_stream_goes_on_for_ever(wallets: CreditWallet, wallet_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "HEARTBEAT_SECONDS", 0.02)
    monkeypatch.setattr(live, "LONGEST_SECONDS", 0.1)

    async def visit(streams: Live, watch: Callable[..., Watcher]) -> None:
        await watch(since=await streams.mark(wallet_id)).ends()

    _watched(wallets, visit, wallet_id)


def test_who_takes_nothing_is_given_up(wallets: CreditWallet, wallet_id: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "CLIENT_SECONDS", 0.05)

    async def visit(streams: Live, _: Callable[..., Watcher]) -> None:
        async def never(*_: Any) -> Any:
            await asyncio.Event().wait()

        stream: Any = streams.stream(wallet_id, 1, "", _open)
        async with asyncio.timeout(10):
            await stream({"state": {}}, never, never)

    _watched(wallets, visit, wallet_id)


def test_nothing_begins_when_the_service_stops(wallets: CreditWallet, wallet_id: int) -> None:
    async def visit(streams: Live, watch: Callable[..., Watcher]) -> None:
        watcher = watch()
        await watcher.hears("retry")
        await asyncio.to_thread(streams.end)
        await watcher.ends()
        with pytest.raises(ServiceBusy):
            watch()

    _watched(wallets, visit, wallet_id)


def test_a_wallet_that_is_not_there_is_not_watched(wallets: CreditWallet) -> None:
    with pytest.raises(WalletNotFound):
        asyncio.run(Live(wallets).mark(7))


@pytest.fixture
def api(wallets: CreditWallet) -> Iterator[Api]:
    with Api(new_app(wallets, public_url="http://wallet.test")) as opened:
        yield opened


def test_a_page_that_keeps_itself_up_to_date_keeps_no_session_open(
    api: Api, wallets: CreditWallet, clock: Clock
) -> None:
    visitor = Visitor(api).sign_in(wallets.create().owner_token)
    assert visitor.get("/wallet").status_code == 200
    for _ in range(4):
        clock.advance(minutes=9)
        answer = visitor.get("/wallet", x_up_to_date="1")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/sign-in")


def test_strangers_watch_nothing(api: Api, wallets: CreditWallet) -> None:
    wallets.create()
    for path in ("/wallet/live", "/console/live", "/console/wallets/1/live"):
        assert Visitor(api).get(path).status_code == 303
        assert Visitor(api).get(path, accept="text/event-stream").status_code == 401
    assert Visitor(api).get("/framed/live").status_code == 401
    owner = Visitor(api).sign_in(wallets.create().owner_token)
    assert owner.get("/console/live").status_code == 403
    assert owner.get("/console/wallets/1/live").status_code == 403


# The service as a process of its own


@contextmanager
def _signed_in(service: Service, token: str) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url, timeout=20) as client:
        fields = hidden_fields(client.get("/sign-in", headers={"accept": "text/html"}).text, "/sign-in")
        answer = client.post("/sign-in", data={**fields, "token": token}, headers={"content-type": FORM})
        assert answer.status_code == 303, answer.text
        yield client


def _until(lines: Iterator[str], text: str) -> None:
    for line in lines:
        if text in line:
            return
    raise AssertionError(f"the stream ended without {text}")


def test_a_service_with_watchers_stops_at_once_and_counts_them_when_they_come(tmp_path: Path) -> None:
    with Service(f"sqlite:///{tmp_path}/w.db") as service, ExitStack() as opened:
        operator = httpx.Client(base_url=service.url, headers=credentials(OPERATOR_KEY))
        opened.enter_context(operator)
        made = operator.post("/operator/wallets", json={}, headers={"Idempotency-Key": "w"}).json()
        client = opened.enter_context(_signed_in(service, made["owner_token"]))
        streams = [opened.enter_context(client.stream("GET", "/wallet/live?since=x")) for _ in range(5)]
        heard = [stream.iter_lines() for stream in streams]
        for lines in heard:
            _until(lines, "event: change")
        assert streams[0].headers["content-type"].startswith("text/event-stream")
        topup = {"wallet_id": made["wallet_id"], "amount_yen": 100}
        operator.post("/operator/topup", json=topup, headers={"Idempotency-Key": "t"}).raise_for_status()
        for lines in heard:
            _until(lines, "event: change")
        figures = operator.get("/metrics").text
        assert re.search(r'requests_total\{method="GET",route="/wallet/live",status="200"\} 5', figures), figures
        began = time.monotonic()
        service.begin_stop()
        for lines in heard:
            assert not [line for line in lines if line.startswith("event")]
        service.wait()
        assert "under way" not in service.output().decode()
        assert time.monotonic() - began < 15
