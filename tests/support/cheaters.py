"""Buyers who cheat, for tests: a seller with several workers over one ledger, callers who do what they like, an audit.

Every worker has an event loop of its own, which runs only while the test says so. So a test can stop a request between
any two bytes, let another process work meanwhile, and end a worker as ``kill -9`` does: its loop just never runs again.
A caller is a pair of ASGI callables, so that it leaves at exactly the byte that the test names.

What the audit demands of each request (a key of a caller's is one request, however often it is sent):

- served (a byte of an answer that did not fail, or a whole answer without a body, left the gate): paid once, with what
  the balance lacked as a debt;
- not served: not paid;
- answered at most ``FREE_RETRIES`` times more than it was paid for;
- the ledger verifies.

An answer that broke off by the handler's own fault may be paid or not. So may one that left while the caller was gone
and the server had not said so yet, and one whose worker was killed before it could hand on that it had served.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import ExitStack, suppress
from time import sleep
from typing import Any, Literal, TypeAlias

import httpx
import pytest
from clock import Clock
from databases import Databases
from msgspec import Struct
from served import Served
from service import Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.client import AsyncWalletClient, Retries
from credit_wallet.gate import purchases
from credit_wallet.ledger.maintenance import ABANDONED_AFTER
from credit_wallet.middleware import CreditGate, GatedRequest, charge_for
from credit_wallet.wire.replies import Receive, Scope, Send

Where: TypeAlias = Literal["embedded", "remote"]

PRICES_YEN = {"/search": 100, "/small": 7}
CREDIT_YEN = 5_000
FREE_RETRIES = 2
HOLD_SECONDS = 600
LEASE_SECONDS = purchases.LEASE_SECONDS
ABANDONED_SECONDS = ABANDONED_AFTER.seconds

PATIENCE_SECONDS = 20.0
WAITING_SECONDS = 0.02
"""How long a request is given that may have to wait for another one with its key."""

IDLE_SECONDS = 0.0005

ATTEMPT = "cheaters.attempt"
OWN_NOTE = "the caller's own"
ALL = 1_000

_PAUSES = {
    "credit_wallet.ledger.rail.POSTED_SECONDS": 0.001,
    "credit_wallet.gate.purchases.FIRST_PAUSE_SECONDS": 0.002,
    "credit_wallet.gate.purchases.LONGEST_PAUSE_SECONDS": 0.01,
    "credit_wallet.gate.purchases.WAIT_SECONDS": 1.0,
    "credit_wallet.gate.compensations.FIRST_PAUSE_SECONDS": 0.002,
    "credit_wallet.gate.compensations.LONGEST_PAUSE_SECONDS": 0.2,
}
"""What waits for a moment waits for a shorter one."""

_QUICK = Retries(attempts=2, first_pause_seconds=0.0, total_seconds=1.0)


class Broken(Exception):
    """What a handler fails with."""


class Plan(Struct, frozen=True):
    """What the handler does with a request: a start, a message for each chunk (of so many bytes), then it returns.

    ``breaks_at`` is the number of the message in whose place it fails, ``captures_at`` the one before which it says
    what the call came to. An answer without chunks is a 204.
    """

    status: int = 200
    chunks: tuple[int, ...] = (3, 3)
    announced: bool = False
    ends_apart: bool = False
    heeds_leaving: bool = False
    breaks_at: int | None = None
    captures_yen: int | None = None
    captures_at: int = 0

    def messages(self) -> list[dict[str, Any]]:
        """What is sent, if all goes well."""
        status = self.status if self.chunks or self.status != 200 else 204
        headers = [(b"content-length", b"%d" % sum(self.chunks))] if self.announced and self.chunks else []
        bodies: list[dict[str, Any]] = [
            {"type": "http.response.body", "body": b"x" * size, "more_body": True} for size in self.chunks
        ]
        if self.ends_apart or not bodies:
            bodies.append({"type": "http.response.body", "body": b""})
        bodies[-1]["more_body"] = False
        return [{"type": "http.response.start", "status": status, "headers": headers}, *bodies]


class Request(Struct, frozen=True):
    """What a caller asks for. Equal requests with a key are one request; without a key each ``number`` is one.

    ``payer`` is the place of who pays among the buyers.
    """

    payer: int
    key: str | None = None
    path: str = "/search"
    body: bytes = b""
    number: int = 0
    proxied: bool = False
    """Whether it comes through a proxy that gives every request the same ``X-Request-Id``."""

    @property
    def label(self) -> str:
        """Its note in the ledger."""
        return f"{self.payer} {self.key or self.number} {self.path} {self.body.decode()}"

    @property
    def price_yen(self) -> int:
        return PRICES_YEN[self.path]


class Buyer(Struct):
    """A wallet's owner or one of its agents, with every token that it ever had."""

    wallet_id: int
    key_id: int | None
    tokens: list[str]


class Attempt:
    """One try of a request at one worker, and the caller who makes it."""

    def __init__(
        self, worker: Worker, request: Request, plan: Plan, token: str, *, leaves_after: int | None, slow: bool
    ) -> None:
        self.worker, self.request, self.plan = worker, request, plan
        self.task: asyncio.Task[None] | None = None
        self.sending = False
        """Whether a message is with the server, and the gate does not know yet that it is out."""
        self._token = token
        self._leaves_after = leaves_after
        """The caller leaves with that byte of the body; 0: with the answer's start."""
        self._slow = slow
        self.done = False
        self.status: int | None = None
        self.ran = 0
        self.got = 0
        self.whole = False
        self.broke = False
        self.sent_unseen = False
        """Whether bytes went out after the caller had left and before the server said so."""
        self.lost = False
        """Whether its worker was killed before it could hand on that it had served."""
        self.overran = False
        self.captured_yen: int | None = None
        self.told = False
        self.noted_down = False
        """Whether the ledger knows that it has served. What it hands over later changes nothing about that."""
        self.handed_on = False
        """Whether it has ended, and all that came of it is written."""
        self._permits = 0
        self._resting = False
        self._go = asyncio.Event()
        self._gone = asyncio.Event()
        self._listening = False
        self._unread = True

    @property
    def at_rest(self) -> bool:
        """Whether it goes on only when the test says so."""
        return self.done or (self._resting and not self._permits)

    @property
    def served(self) -> Literal["yes", "no", "perhaps"]:
        if not self.ran or self.plan.status >= 500:
            return "no"
        if not self.got and not self.whole:
            return "perhaps" if self.sent_unseen else "no"
        return "perhaps" if self.lost or (self.broke and not self.whole) else "yes"

    def due_yen(self, held: bool) -> tuple[int, int]:
        """What must be paid at least for an answer of this attempt, and may be at most."""
        price, captured = self.request.price_yen, self.captured_yen
        if not held or captured is None:
            return price, price
        return min(price, captured), max(price, captured)

    async def run(self, gate: Any) -> None:
        """Send the request."""
        headers = [(b"authorization", f"Bearer {self._token}".encode()), (b"x-label", self.request.label.encode())]
        if self.request.key is not None:
            headers.append((b"idempotency-key", self.request.key.encode()))
        if self.request.proxied:
            headers.append((b"x-request-id", b"proxy"))
        scope = {"type": "http", "method": "POST", "path": self.request.path, "query_string": b"", "headers": headers}
        try:
            with suppress(Exception, asyncio.CancelledError):  # what a server logs
                await gate({**scope, "client": ("192.0.2.1", 50_000), ATTEMPT: self}, self._receive, self._send)
        finally:
            self.done = True
            self.worker.changed.set()

    def go_on(self, steps: int) -> None:
        """Let handler and server take so many more steps."""
        self._permits += steps
        self._go.set()

    def written(self) -> None:
        """Its worker has nothing left to write."""
        self.handed_on = self.handed_on or self.done
        self.noted_down = self.noted_down or (not self.sending and (self.got > 0 or self.whole))

    def leave(self) -> None:
        """The caller hangs up, and the server says so to whoever listens."""
        self._gone.set()
        if self._listening:
            self.worker.until(lambda: self.told or self.done, PATIENCE_SECONDS)

    async def answer(self, scope: Scope, send: Send) -> None:
        """The handler."""
        self.ran += 1
        messages = self.plan.messages()
        for number, message in enumerate(messages):
            await self._rest()
            if self.plan.heeds_leaving and self.told:
                return
            self._do_books(scope, number)
            await send(message)
        await self._rest()
        self._do_books(scope, len(messages))

    def _do_books(self, scope: Scope, number: int) -> None:
        late = number == len(self.plan.messages())
        if self.plan.breaks_at == number:
            self.broke = True
            raise Broken
        if self.plan.captures_yen is not None and self.plan.captures_at == number:
            with suppress(*((RuntimeError, ValueError) if late else ())):
                charge_for(scope).capture(self.plan.captures_yen)
                self.captured_yen = self.plan.captures_yen

    async def _rest(self) -> None:
        while not self._permits:
            self._resting = True
            self.worker.changed.set()
            self._go.clear()
            await self._go.wait()
        self._resting = False
        self._permits -= 1

    async def _hang_up(self) -> None:
        """In the middle of an answer; the server has time to say so before the answer goes on."""
        self._gone.set()
        await turns(5)

    async def _receive(self) -> dict[str, Any]:
        if self._unread:
            self._unread = False
            return {"type": "http.request", "body": self.request.body, "more_body": False}
        self._listening = True
        await self._gone.wait()
        self.told = True
        self.worker.changed.set()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.sending = True
        try:
            await self._take(message)
        finally:
            self.sending = False

    async def _take(self, message: Any) -> None:
        body = message.get("body", b"")
        ours = body.startswith(b"x")
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if self._gone.is_set():
            whole = self.ran > 0 and (last or message.get("status") == 204)
            self.sent_unseen = self.sent_unseen or (not self.told and (ours or whole))
            return
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.whole = self.status == 204
            if self._leaves_after == 0:
                await self._hang_up()
        self.got += len(body) if ours else 0
        self.whole = self.whole or (last and self.got > 0)
        if ours and self._leaves_after is not None and self.got >= self._leaves_after:
            await self._hang_up()
        if self._slow and self.ran:
            await self._rest()


class _Transport(httpx.AsyncBaseTransport):
    """Counts the calls that are under way, and does not get through when a test says so."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport()
        self.under_way = 0
        self.failures_left = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if self.failures_left:
            self.failures_left -= 1
            raise httpx.ConnectError("the service is not there")
        self.under_way += 1
        try:
            return await self._inner.handle_async_request(request)
        finally:
            self.under_way -= 1

    async def aclose(self) -> None:
        await self._inner.aclose()


async def _application(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
    await scope[ATTEMPT].answer(scope, send)


def _price(request: GatedRequest) -> int:
    return PRICES_YEN[request.path]


def _label(request: GatedRequest) -> str:
    return request.headers["x-label"]


class Worker:
    """A process of the seller's: a gate, its wallets, and an event loop that stands still between two steps."""

    def __init__(self, ledger: Ledger, where: Where, held: bool, options: dict[str, Any]) -> None:
        self.changed = asyncio.Event()
        self.attempts: list[Attempt] = []
        self._loop = asyncio.new_event_loop()
        self._ledger = ledger
        self.transport = _Transport()
        self.wallets: CreditWallet | AsyncWalletClient = (
            ledger.take_wallets()
            if where == "embedded"
            else AsyncWalletClient(ledger.service_url(), ledger.seller_token, retries=_QUICK, transport=self.transport)
        )
        price = {"hold": _price, "hold_seconds": HOLD_SECONDS} if held else {"price_yen": _price}
        self._gate = CreditGate(
            _application, self.wallets, note=_label, free_retries=FREE_RETRIES, **{**price, **options}
        )

    def begin(self, attempt: Attempt) -> None:
        """Hand a request over; nothing happens to it before the loop runs."""
        self.attempts.append(attempt)
        attempt.task = self._loop.create_task(attempt.run(self._gate))

    def until(self, condition: Callable[[], bool], seconds: float) -> bool:
        """Run until a condition holds, or so long; whether it holds."""
        held: bool = self.run(self._until(condition, seconds))
        return held

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run this process until ``work`` is done."""
        return self._loop.run_until_complete(work)

    async def _until(self, condition: Callable[[], bool], seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                while not condition():
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            return False
        return True

    def give_turns(self, count: int) -> None:
        """Let the loop go round so many times."""
        self.run(turns(count))

    def hand_on(self) -> None:
        """Let what this process has begun to write be written, at the second or third try if need be.

        Without that (the service is not there for too long) nothing counts as handed on.
        """
        self.run(self._hand_on())

    async def _hand_on(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_SECONDS):
                while not await self._is_quiet():
                    await asyncio.sleep(IDLE_SECONDS)
                for attempt in self.attempts:  # before anybody else has a turn
                    attempt.written()

    async def _is_quiet(self) -> bool:
        for _ in range(3):
            await turns(10)
            if self.transport.under_way or self.queued or self.owed:
                return False
        return True

    @property
    def owed(self) -> int:
        """Movements that the gate has still to carry out."""
        return len(self._gate._till.arrears._owed)

    @property
    def queued(self) -> int:
        """Commands that this process has handed to its ledger and that are not carried out yet."""
        return self.wallets.maintenance.waiting() if isinstance(self.wallets, CreditWallet) else 0

    def cancel(self, attempt: Attempt) -> None:
        """The server gives a request up."""
        assert attempt.task is not None
        attempt.task.cancel()
        self.until(lambda: attempt.done, PATIENCE_SECONDS)

    def die(self) -> None:
        """The loop never runs again. The rail is a thread, and dies after what it was given."""
        if not isinstance(self.wallets, CreditWallet):
            return
        while self.queued:
            sleep(IDLE_SECONDS)
        if not self.owed:
            for attempt in self.attempts:
                attempt.written()

    def close(self) -> None:
        """Finish what gates finish when an application ends."""
        self.run(self._gate.aclose())
        self.hand_on()

    def bury(self) -> None:
        """Clear away what is left; what still wanted to move money cannot."""
        if isinstance(self.wallets, CreditWallet):
            self.wallets.close()
        self.run(_ended(asyncio.all_tasks(self._loop)))
        if isinstance(self.wallets, AsyncWalletClient):
            self.run(self.wallets.aclose())
        self._loop.close()


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def _ended(tasks: set[asyncio.Task[Any]]) -> None:
    while tasks:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        tasks = asyncio.all_tasks() - {asyncio.current_task()}


class Ledger:
    """A ledger that many examples use, each with wallets of its own. ``books`` looks on; the service serves it."""

    def __init__(self, databases: Databases, clock: Clock) -> None:
        self._open = ExitStack()
        patch = self._open.enter_context(pytest.MonkeyPatch.context())
        for name, seconds in _PAUSES.items():
            patch.setattr(name, seconds)
        self.clock = clock
        self.url = self._open.enter_context(databases.ledger())
        self.books = self._open.enter_context(CreditWallet.open(self.url, clock=clock))
        self.seller_token = self.books.sellers.create().token
        self._service = new_app(self.books)
        self.api = self._open.enter_context(Api(self._service))
        self._service_url: str | None = None
        self._idle: list[CreditWallet] = []

    def take_wallets(self) -> CreditWallet:
        """An open ledger for one process."""
        return self._idle.pop() if self._idle else CreditWallet.open(self.url, clock=self.clock)

    def give_back(self, wallets: CreditWallet) -> None:
        """For the next process."""
        self._idle.append(wallets)

    def service_url(self) -> str:
        """Where the service is, on a socket."""
        if self._service_url is None:
            self._service_url = self._open.enter_context(Served(self._service)).url
        return self._service_url

    def close(self) -> None:
        for wallets in self._idle:
            wallets.close()
        self._open.close()


class Market:
    """Workers of one seller over one ledger, buyers with ``CREDIT_YEN`` each, and all that they have asked for."""

    def __init__(self, ledger: Ledger, where: Where, *, held: bool = False, workers: int = 2, **options: Any) -> None:
        self.ledger, self.books, self.clock = ledger, ledger.books, ledger.clock
        self.where, self.held, self._options = where, held, options
        self.buyers = list(_buyers(self.books))
        self.workers = [self._worker() for _ in range(workers)]
        self.killed: list[Worker] = []
        self.attempts: list[Attempt] = []
        self.sound = True
        """Whether the ledger verified when it was looked at last."""
        self._topped_up = Counter(dict.fromkeys((buyer.wallet_id for buyer in self.buyers), CREDIT_YEN))
        self._numbers = 0

    def _worker(self) -> Worker:
        return Worker(self.ledger, self.where, self.held, self._options)

    def request(self, payer: int, key: str | None = None, **more: Any) -> Request:
        """A new request."""
        self._numbers += 1
        return Request(payer, key, number=0 if key else self._numbers, **more)

    def begin(
        self,
        request: Request,
        plan: Plan = Plan(),  # noqa: B008 - frozen
        *,
        at: int = 0,
        token: str | None = None,
        leaves_after: int | None = None,
        slow: bool = False,
    ) -> Attempt:
        """Send a request to worker ``at``, with the payer's newest token; it waits for its first step."""
        newest = self.buyers[request.payer].tokens[-1]
        attempt = Attempt(self.workers[at], request, plan, token or newest, leaves_after=leaves_after, slow=slow)
        self.attempts.append(attempt)
        attempt.worker.begin(attempt)
        return attempt

    def go_on(self, attempt: Attempt, steps: int = ALL) -> Attempt:
        """Let an attempt take steps until it rests, ends, or waits for another."""
        attempt.go_on(steps)
        attempt.worker.until(lambda: attempt.at_rest, self._patience(attempt))
        return attempt

    def ask(self, request: Request, plan: Plan = Plan(), **how: Any) -> Attempt:  # noqa: B008 - frozen
        """A whole exchange, and what its worker writes down after it."""
        attempt = self.go_on(self.begin(request, plan, **how))
        attempt.worker.hand_on()
        return attempt

    def _patience(self, attempt: Attempt) -> float:
        others = (each for each in self.attempts if each is not attempt and not each.done)
        same = any(each.request.key == attempt.request.key and attempt.request.key for each in others)
        return WAITING_SECONDS if same else PATIENCE_SECONDS

    def kill(self, at: int, *, at_once: bool = False) -> None:
        """End a worker as ``kill -9`` does and start another; ``at_once``: before it hands on what it has served."""
        worker = self.workers[at]
        if not at_once:
            worker.hand_on()
        worker.die()
        for attempt in worker.attempts:
            attempt.overran = attempt.overran or not attempt.done or not attempt.handed_on
            attempt.lost = attempt.lost or not attempt.noted_down
        self.killed.append(worker)
        self.workers[at] = self._worker()

    def pass_time(self, seconds: float, *, stalled: bool = False) -> None:
        """The clock goes on; what runs meanwhile may lose its lease. ``stalled``: no worker does anything meanwhile."""
        if not stalled:
            self.hand_on()
        self.clock.advance(seconds=seconds)
        for attempt in self.attempts:
            under_way = not attempt.done or not attempt.handed_on
            attempt.overran = attempt.overran or (under_way and seconds >= LEASE_SECONDS)

    def hand_on(self) -> None:
        """Let every worker write what it has begun to write."""
        for worker in self.workers:
            worker.hand_on()

    def keep_up(self) -> int:
        """The background jobs."""
        return self.books.maintenance.expire_due() + self.books.maintenance.undo_abandoned()

    def rotate(self, payer: int, overlap_seconds: int = 3_600) -> None:
        """A new token for a buyer; the ones before work for so long. Raises ``WalletError`` when too many still do."""
        buyer = self.buyers[payer]
        if buyer.key_id is None:
            made = self.books.rotate_owner_token(buyer.wallet_id, overlap_seconds=overlap_seconds)
            buyer.tokens.append(made.owner_token)
        else:
            buyer.tokens.append(self.books.keys.rotate(buyer.key_id, overlap_seconds=overlap_seconds).token)

    def top_up(self, payer: int, amount_yen: int) -> None:
        """More credit, from outside."""
        wallet_id = self.buyers[payer].wallet_id
        self._numbers += 1
        self.books.topup(wallet_id, amount_yen, idempotency_key=f"more {self._numbers}")
        self._topped_up[wallet_id] += amount_yen

    def post(self, payer: int, path: str, key: str | None, **body: object) -> httpx.Response:
        """A call of the service with the payer's own token."""
        return self.ledger.api.post(path, self.buyers[payer].tokens[-1], key=key, **body)

    def close_in_library(self, payer: int, act: str, hold_id: int, key: str) -> None:
        """Close a hold as a program would that has only what the payer may do. Raises ``WalletError``."""
        asking: dict[str, Any] = {"key_id": self.buyers[payer].key_id, "actor": "payer"}
        if act == "capture":
            self.books.capture(hold_id, 1, idempotency_key=key, **asking)
        elif act == "release":
            self.books.release(hold_id, idempotency_key=key, **asking)
        else:
            self.books.extend(hold_id, HOLD_SECONDS, **asking)

    def hold_ids(self, payer: int) -> list[int]:
        """Every hold of the payer's wallet."""
        wallet_id = self.buyers[payer].wallet_id
        rows = self.books._ledger.reader.source.rows(
            "SELECT hold_id FROM am_credit_hold WHERE wallet_id = :wallet_id ORDER BY hold_id", {"wallet_id": wallet_id}
        )
        return [hold_id for (hold_id,) in rows]

    def next_hold_id(self) -> int:
        """What the next hold will be called."""
        rows = self.books._ledger.reader.source.rows("SELECT COALESCE(MAX(hold_id), 0) + 1 FROM am_credit_hold", {})
        return int(rows[0][0])

    def known_keys(self, payer: int) -> list[str]:
        """Every idempotency key under which anything happened in the payer's wallet, without its room."""
        wallet_id = self.buyers[payer].wallet_id
        found = []
        for table, column in KEY_TABLES:
            rows = self.books._ledger.reader.source.rows(
                f"SELECT {column} FROM {table} WHERE wallet_id = :wallet_id ORDER BY 1", {"wallet_id": wallet_id}
            )
            found += [str(key).lstrip("\x01\x02\x03").rpartition("\x1f")[2] for (key,) in rows]
        return found

    # The end

    def end_everything(self) -> None:
        """Let every living request end, give background work its time, and let holds and leases run out."""
        for attempt in self.attempts:
            attempt.go_on(ALL)
        for round_number in range(3_000):
            waiting = [worker for worker in self.workers if not all(each.done for each in worker.attempts)]
            if not waiting:
                break
            for worker in waiting:
                worker.until(lambda w=worker: all(each.done for each in w.attempts), WAITING_SECONDS)  # type: ignore[misc]
            if round_number > 2:
                self.pass_time(LEASE_SECONDS + 1)
        assert all(attempt.done or attempt.worker in self.killed for attempt in self.attempts), "a request never ends"
        for worker in self.workers:
            worker.close()
        for _ in range(3):
            self.pass_time(2 * HOLD_SECONDS + ABANDONED_SECONDS)
            while self.keep_up():
                pass
        self.hand_on()

    def audit(self) -> list[str]:
        """What is wrong, once everything has ended."""
        violations = [str(violation) for violation in self.books.verify()]
        self.sound = not violations
        return [
            *violations,
            *(complaint for wallet_id in dict.fromkeys(self._topped_up) for complaint in self._audit(wallet_id)),
        ]

    def _audit(self, wallet_id: int) -> Iterator[str]:
        paid, own_yen = self._paid(wallet_id)
        view = self.books.show(wallet_id)
        lost_yen = self._topped_up[wallet_id] - view.balance_yen - view.held_yen + view.debt_yen
        unnamed_yen = lost_yen - own_yen - sum(paid.values())
        """Debts, and what was charged again under no request's name: it must be for requests that lack it."""
        min_yen = max_yen = 0
        for label, attempts in self._by_label(wallet_id).items():
            least, most = self._bounds(attempts)
            if paid[label] > most:
                yield f"{label}: paid {paid[label]}, at most {most} were due; {_story(attempts)}"
            min_yen += max(0, least - paid[label])
            max_yen += max(0, most - paid[label])
            answers = sum(each.served == "yes" and not self._is_given_away(each) for each in attempts)
            if answers > 1 + FREE_RETRIES + sum(each.overran for each in attempts):
                yield f"{label}: answered {answers} times; {_story(attempts)}"
            if least > paid[label] + max(0, unnamed_yen):
                yield f"{label}: paid {paid[label]} of {least}; {_story(attempts)}"
        if not min_yen <= unnamed_yen <= max_yen:
            yield f"wallet {wallet_id}: {unnamed_yen} were paid without a name, {min_yen} to {max_yen} are missing"

    def _paid(self, wallet_id: int) -> tuple[Counter[str], int]:
        """What each request has paid, by its label, and what the caller has spent by itself."""
        entries = self.books.history(wallet_id, limit=1_000)
        assert len(entries) < 1_000
        notes = {each.txn_id: each.note or "" for each in entries if each.txn_type == "charge"}
        paid: Counter[str] = Counter()
        for entry in entries:
            if entry.txn_type == "charge":
                paid[entry.note or ""] -= entry.amount_yen
            elif entry.txn_type == "refund" and entry.related_txn_id is not None:
                paid[notes[entry.related_txn_id]] -= entry.amount_yen
        known = set(self._by_label(wallet_id))
        own_yen = paid[OWN_NOTE]
        return Counter({label: yen for label, yen in paid.items() if label in known}), own_yen

    def _by_label(self, wallet_id: int) -> dict[str, list[Attempt]]:
        found: dict[str, list[Attempt]] = {}
        for attempt in self.attempts:
            if self.buyers[attempt.request.payer].wallet_id == wallet_id:
                found.setdefault(attempt.request.label, []).append(attempt)
        return found

    def _bounds(self, attempts: Sequence[Attempt]) -> tuple[int, int]:
        """What must have been paid for a request at least, and may have been at most."""
        served = [each for each in attempts if each.served != "no"]
        dues = [each.due_yen(self.held) for each in served]
        surely = any(each.served == "yes" for each in served)
        return (min(least for least, _ in dues) if surely else 0), max((most for _, most in dues), default=0)

    def _is_given_away(self, attempt: Attempt) -> bool:
        """Whether the handler said that the answer came to nothing, so that the next one is a purchase again."""
        return self.held and attempt.captured_yen == 0

    def close(self) -> None:
        """Clear the workers away."""
        for worker in self.workers:
            if isinstance(worker.wallets, CreditWallet):
                self.ledger.give_back(worker.wallets)
                worker.wallets = None  # type: ignore[assignment]
            worker.bury()
        for worker in self.killed:
            worker.bury()


KEY_TABLES = [("am_credit_idempotency", "idempotency_key"), ("am_credit_purchase", "purchase_key")]


def _buyers(books: CreditWallet) -> Iterator[Buyer]:
    """Two wallets: the first with its owner and two agents, the second an accomplice's."""
    for agents in (2, 0):
        wallet = books.create()
        books.topup(wallet.wallet_id, CREDIT_YEN, idempotency_key="start")
        yield Buyer(wallet.wallet_id, None, [wallet.owner_token])
        for _ in range(agents):
            made = books.keys.create(wallet.wallet_id)
            yield Buyer(wallet.wallet_id, made.key_id, [made.token])


def _story(attempts: Sequence[Attempt]) -> str:
    told = [
        f"{each.status} {each.served} got {each.got}{' whole' if each.whole else ''}"
        f"{'' if each.captured_yen is None else f' captured {each.captured_yen}'}{'' if each.done else ' killed'}"
        for each in attempts
    ]
    return "; ".join(told)
