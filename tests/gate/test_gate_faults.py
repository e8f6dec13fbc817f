"""The ways that buyers found to be served for nothing or to pay twice, one by one, with their siblings.

Each is what is left when a failing course of ``test_gate_cheaters`` is cut down; the rules that find it stand in
brackets.

- A1: whoever repeats a paid request at another worker and leaves gets the money back (``ask``, ``ask_again``,
  ``leave``). Siblings: leaving before the start or with it, being given up by the server, the other worker failing, the
  first worker dead, held instead of charged.
- A2: the buyer closes the hold that pays (``close_every_hold``). Siblings: capture, release, extend; over HTTP and in
  the library; the owner, the agent whose hold it is, another agent.
- A3: a call that outlives its hold is free (``dawdle``, ``let_time_pass``). Siblings: before and after the first byte,
  with and without the jobs, with the credit spent elsewhere meanwhile, with another attempt meanwhile; a charge that
  outlives its lease.
- A4: a reader who hangs up before the last byte pays nothing (``ask`` with ``leaves_after``, ``leave``,
  ``server_gives_up``). Siblings: every byte, with and without Content-Length.
- A5: keys that the product makes can be written by callers (``meddle``). Siblings: the library, the service, the
  gate's own keys, guessed before and after.
- A6: a stream that outgrows its hold is free (``ask`` with ``captures_yen`` above the price). Siblings: before, amid
  and after the body.
- A7: ``priced`` takes a handler of a framework that it does not know for a tool. Not in the model, as A8 is not.
- A8: tools of a session are charged to, and refunded with, the request that opened it.
- D3: a retry with the rotated token is charged again (``meddle``, ``ask_again``). Siblings: the owner's token.
- F7: a proxy's constant ``X-Request-Id`` is taken for an idempotency key (``ask`` with ``proxied``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from cheaters import ABANDONED_SECONDS, CREDIT_YEN, OWN_NOTE, Market
from cheaters_attempts import HOLD_SECONDS, LEASE_SECONDS, Attempt, Plan
from cheaters_workers import Ledger
from clock import Clock
from databases import SqliteFiles
from gated import Application, answer, gated
from http_answers import funded

from credit_wallet import CreditWallet, WalletError
from credit_wallet.middleware import charge_for, priced
from credit_wallet.wire.asgi import Receive, Scope, Send

NONSENSE = "nonsense"
STREAM = Plan(chunks=(1, 1, 1, 1))


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ledger]:
    opened = Ledger(SqliteFiles(tmp_path_factory.mktemp("ledger")), Clock(datetime(2026, 1, 10, 12, tzinfo=UTC)))
    yield opened
    opened.close()


@pytest.fixture(params=["embedded", "remote"])
def where(request: pytest.FixtureRequest) -> Any:
    return request.param


@pytest.fixture(params=[False, True], ids=["charged", "held"])
def held(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@contextmanager
def open_market(ledger: Ledger, where: Any = "embedded", **how: Any) -> Iterator[Market]:
    """A market that is audited at the end."""
    market = Market(ledger, where, **how)
    try:
        yield market
        market.end_everything()
        assert market.audit() == []
    finally:
        market.close()


def paid_yen(market: Market, payer: int = 0) -> int:
    """What the payer's wallet is short of, at the end, debts included."""
    market.end_everything()
    view = market.books.show(market.buyers[payer].wallet_id)
    return CREDIT_YEN - view.balance_yen - view.held_yen + view.debt_yen


# A1


def leaves_at_once(_: Market, again: Attempt) -> None:
    again.leave()


def leaves_while_the_handler_works(market: Market, again: Attempt) -> None:
    market.go_on(again, 0)
    again.leave()
    market.go_on(again)


def is_given_up(market: Market, again: Attempt) -> None:
    market.go_on(again, 0)
    again.worker.cancel(again)


def goes_on(market: Market, again: Attempt) -> None:
    market.go_on(again)


@pytest.mark.parametrize("end", [leaves_at_once, leaves_while_the_handler_works, is_given_up, goes_on])
@pytest.mark.parametrize(
    "plan", [Plan(), Plan(status=500), Plan(breaks_at=0)], ids=["answers", "answers 500", "raises"]
)
def test_a1_a_retry_elsewhere_gives_nothing_back(ledger: Ledger, where: Any, held: bool, end: Any, plan: Plan) -> None:
    with open_market(ledger, where, held=held) as market:
        request = market.request(0, "k")
        assert market.ask(request).served == "yes"
        end(market, market.begin(request, plan, at=1))
        assert paid_yen(market) == request.price_yen


def test_a1_nor_does_one_after_the_first_worker_has_died(ledger: Ledger, where: Any, held: bool) -> None:
    with open_market(ledger, where, held=held) as market:
        request = market.request(0, "k")
        market.ask(request)
        market.kill(0)
        market.ask(request, at=0, leaves_after=0)
        assert paid_yen(market) == request.price_yen


# A2


@pytest.mark.parametrize("act", ["capture", "release", "extend"])
@pytest.mark.parametrize("over_http", [True, False], ids=["http", "library"])
@pytest.mark.parametrize("payer", [1, 0, 2], ids=["the agent", "the owner", "another agent"])
def test_a2_a_buyer_does_not_close_the_hold_that_pays(
    ledger: Ledger, where: Any, act: str, over_http: bool, payer: int
) -> None:
    with open_market(ledger, where, held=True) as market:
        request = market.request(1)
        attempt = market.go_on(market.begin(request), 0)
        [hold_id] = market.hold_ids(1)
        if over_http:
            body = {"capture": {"amount_yen": 1}, "extend": {"ttl_seconds": 900}}.get(act, {})
            assert market.post(payer, f"/credit/{act}", "own", hold_id=hold_id, **body).status_code in (403, 404)
        else:
            with pytest.raises(WalletError):
                market.close_in_library(payer, act, hold_id, "own")
        market.go_on(attempt)
        assert paid_yen(market, 1) == request.price_yen


# A3


@pytest.mark.parametrize("sent", [0, 2, 4])
@pytest.mark.parametrize("jobs", [False, True], ids=["no jobs", "jobs"])
@pytest.mark.parametrize("spent_elsewhere", [False, True])
def test_a3_a_call_that_outlives_its_hold_or_its_lease_is_paid(
    ledger: Ledger, where: Any, held: bool, sent: int, jobs: bool, spent_elsewhere: bool
) -> None:
    with open_market(ledger, where, held=held) as market:
        request = market.request(0, "k")
        attempt = market.go_on(market.begin(request, STREAM), sent)
        market.pass_time(HOLD_SECONDS + LEASE_SECONDS + ABANDONED_SECONDS + 1)
        if jobs:
            market.keep_up()
        if spent_elsewhere:
            balance_yen = market.books.balance(market.buyers[0].wallet_id)
            market.post(0, "/credit/charge", "own", amount_yen=balance_yen, note=OWN_NOTE)
        market.go_on(attempt)
        assert attempt.served == "yes"


@pytest.mark.parametrize("jobs", [False, True], ids=["no jobs", "jobs"])
def test_a3_two_attempts_after_the_first_hold_ended_pay_once(
    ledger: Ledger, where: Any, held: bool, jobs: bool
) -> None:
    """The second one bought again what the first was taken to have lost; then the first answers after all."""
    with open_market(ledger, where, held=held) as market:
        request = market.request(0, "k")
        first = market.go_on(market.begin(request), 0)
        market.pass_time(HOLD_SECONDS + 1)
        if jobs:
            market.keep_up()
        assert market.ask(request, at=1).served == "yes"
        market.go_on(first)
        assert paid_yen(market) == request.price_yen


def test_a3_what_is_owed_is_not_charged_again(ledger: Ledger, where: Any, held: bool) -> None:
    with open_market(ledger, where, held=held) as market:
        request = market.request(0, "k")
        attempt = market.go_on(market.begin(request), 0)
        market.pass_time(LEASE_SECONDS + ABANDONED_SECONDS + 1)
        market.keep_up()
        market.post(0, "/credit/charge", "own", amount_yen=CREDIT_YEN, note=OWN_NOTE)
        market.go_on(attempt)
        market.hand_on()
        market.top_up(0, 300)
        assert market.ask(request, at=1).served == "yes"


# A4


@pytest.mark.parametrize("byte", [1, 2, 3, 4])
@pytest.mark.parametrize("announced", [False, True], ids=["chunked", "content-length"])
def test_a4_a_reader_pays_from_the_first_byte_on(
    ledger: Ledger, where: Any, held: bool, byte: int, announced: bool
) -> None:
    with open_market(ledger, where, held=held) as market:
        request = market.request(0)
        plan = Plan(chunks=(1, 1, 1, 1), announced=announced, ends_apart=True, heeds_leaving=True)
        market.ask(request, plan, leaves_after=byte)
        assert paid_yen(market) == request.price_yen


def test_a4_a_reader_without_a_byte_pays_nothing(ledger: Ledger, where: Any, held: bool) -> None:
    with open_market(ledger, where, held=held) as market:
        attempt = market.go_on(market.begin(market.request(0), STREAM), 1)
        attempt.leave()
        market.go_on(attempt)
        assert paid_yen(market) == 0


def test_a4_one_whose_request_the_server_gives_up_pays_for_what_it_has(ledger: Ledger, held: bool) -> None:
    with open_market(ledger, held=held) as market:
        request = market.request(0)
        attempt = market.go_on(market.begin(request, STREAM), 2)
        attempt.worker.cancel(attempt)
        assert paid_yen(market) == request.price_yen


@pytest.mark.parametrize("plan", [Plan(chunks=(6,)), Plan(chunks=())], ids=["one chunk", "204"])
def test_a4_nor_does_it_help_to_read_so_slowly_that_the_server_gives_up(
    ledger: Ledger, where: Any, held: bool, plan: Plan
) -> None:
    with open_market(ledger, where, held=held) as market:
        request = market.request(0)
        attempt = market.begin(request, plan, slow=True)
        while not attempt.sending or (plan.chunks and not attempt.got):
            market.go_on(attempt, 1)
        attempt.worker.cancel(attempt)
        assert paid_yen(market) == request.price_yen


@pytest.mark.parametrize("plan", [STREAM, Plan(chunks=())], ids=["stream", "204"])
@pytest.mark.parametrize("given_up", [False, True], ids=["ends", "given up"])
def test_a4_nor_that_the_service_is_away_while_the_answer_goes_out(
    ledger: Ledger, held: bool, plan: Plan, given_up: bool
) -> None:
    with open_market(ledger, "remote", held=held) as market:
        request = market.request(0, "k")
        attempt = market.go_on(market.begin(request, plan), 0)
        attempt.worker.transport.failures_left = 5
        market.go_on(attempt, 2)
        if given_up:
            attempt.worker.cancel(attempt)
        market.go_on(attempt)
        market.kill(0)
        assert attempt.served == "yes"
        assert market.ask(request, at=1).served == "yes"
        assert paid_yen(market) == request.price_yen


def test_a4_what_is_written_down_outlives_its_worker(ledger: Ledger, where: Any, held: bool) -> None:
    with open_market(ledger, where, held=held) as market:
        request = market.request(0)
        attempt = market.go_on(market.begin(request, STREAM), 2)
        market.hand_on()
        market.go_on(attempt, 1)
        market.kill(0, at_once=True)
        assert attempt.served == "yes"
        assert paid_yen(market) == request.price_yen


def test_a4_only_what_a_dying_worker_has_not_written_down_may_be_lost(ledger: Ledger, where: Any) -> None:
    with open_market(ledger, where) as market:
        attempt = market.go_on(market.begin(market.request(0), STREAM), 1)
        market.hand_on()
        market.go_on(attempt)
        market.kill(0, at_once=True)
        assert attempt.served == ("yes" if where == "embedded" else "perhaps")


# A5


@pytest.mark.parametrize("suffix", ["", ":capture", ":release", ":refund", ":2"])
@pytest.mark.parametrize("plan", [Plan(), Plan(status=500)], ids=["answers", "fails"])
def test_a5_keys_that_callers_choose_are_never_the_products(
    ledger: Ledger, where: Any, held: bool, suffix: str, plan: Plan
) -> None:
    with open_market(ledger, where, held=held) as market:
        guesses = [f"{act}:{market.next_hold_id()}" for act in ("capture", "release", "refund", "undo")]
        request = market.request(0, "k")
        attempt = market.begin(request, plan)
        for guess in guesses:
            market.post(0, "/credit/charge", guess, amount_yen=1, note=OWN_NOTE)
        market.go_on(attempt, 1)
        for guess in market.known_keys(0):
            market.post(0, "/credit/charge", guess + suffix, amount_yen=1, note=OWN_NOTE)
        market.go_on(attempt)
        assert attempt.status == plan.status


def test_a5_nor_in_the_library(wallets: CreditWallet) -> None:
    wallet_id = funded(wallets).wallet_id
    for key in ("capture:1", "release:1", "capture:2", "release:2"):
        wallets.charge(wallet_id, 1, idempotency_key=key)
    holds = [wallets.hold(wallet_id, 100, idempotency_key=key).hold_id for key in ("a", "b")]
    assert holds == [1, 2]
    assert wallets.capture(1, 50).amount_yen == 50
    assert wallets.release(2).amount_yen == 100


# A6


@pytest.mark.parametrize("captures_at", [0, 1, 2])
@pytest.mark.parametrize("captures_yen", [101, 130, 1_000])
def test_a6_a_stream_that_outgrows_its_hold_pays_at_least_the_hold(
    ledger: Ledger, where: Any, captures_at: int, captures_yen: int
) -> None:
    with open_market(ledger, where, held=True) as market:
        plan = Plan(chunks=(3, 3), ends_apart=True, captures_yen=captures_yen, captures_at=captures_at + 1)
        attempt = market.ask(market.request(0), plan)
        if attempt.served == "yes":
            assert paid_yen(market) >= 100


def test_a6_what_is_captured_after_the_answer_is_refused(wallets: CreditWallet) -> None:
    wallet = funded(wallets)
    refused: list[bool] = []

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await answer(send)
        try:
            charge_for(scope).capture(4)
        except (RuntimeError, ValueError, WalletError):
            refused.append(True)

    with gated(Application(handler), wallets, wallet, hold=50) as front:
        front.call()
        front.stage.wait()
        assert refused
        assert front.balance_yen == 10_000 - 50


# A7


class Framework:
    """Calls a handler that returns a status and a body, and leaves nothing of itself in the scope."""

    def __init__(self, handler: Any) -> None:
        self._handler = handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        if scope["type"] == "lifespan":
            raise ValueError("no lifespan here")
        try:
            status, body = await self._handler(scope)
        except WalletError:
            status, body = 500, b"refused"
        await answer(send, status, body)


@pytest.mark.parametrize(("status", "paid"), [(200, 7), (503, 0)])
def test_a7_a_priced_handler_of_any_framework_pays_by_its_response(
    wallets: CreditWallet, status: int, paid: int
) -> None:
    @priced(yen=7)
    async def handler(scope: Scope) -> tuple[int, bytes]:  # noqa: ARG001
        return status, b"body"

    wallet = funded(wallets)
    with gated(Framework(handler), wallets, wallet) as front:
        assert front.call().status_code == status
        front.stage.wait()
        assert front.balance_yen == 10_000 - paid
        assert all(not str(note).startswith("tool") for _, _, note in front.entries())


def test_a7_and_captures_what_it_says(wallets: CreditWallet) -> None:
    @priced(hold=50)
    async def handler(scope: Scope) -> tuple[int, bytes]:
        charge_for(scope).capture(4)
        return 200, b"body"

    wallet = funded(wallets)
    with gated(Framework(handler), wallets, wallet) as front:
        front.call()
        front.stage.wait()
        assert front.balance_yen == 10_000 - 4


# A8


class Sessions:
    """Runs every call of a session in the context of the request that opened it, as MCP servers do on SDK 1.x."""

    def __init__(self, tool: Any) -> None:
        self._tool = tool
        self._calls: asyncio.Queue[tuple[Any, asyncio.Future[Any]]] | None = None
        self._runs: asyncio.Task[None] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        if scope["type"] == "lifespan":
            raise ValueError("no lifespan here")
        if self._calls is None:
            self._calls = asyncio.Queue()
            self._runs = asyncio.create_task(self._run(self._calls))
            await answer(send, body=b"opened")
            return
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        await self._calls.put((scope["path"], done))
        try:
            await answer(send, body=str(await done).encode())
        except Exception as error:
            await answer(send, body=f"refused: {error}".encode())

    async def _run(self, calls: Any) -> None:
        while True:
            argument, done = await calls.get()
            try:
                done.set_result(await self._tool(argument))
            except Exception as error:
                done.set_exception(error)


def test_a8_a_call_of_a_session_is_paid_by_its_own_request_or_refused(wallets: CreditWallet) -> None:
    @priced(yen=10)
    async def tool(argument: str) -> str:
        return f"answered {argument}"

    wallet = funded(wallets)
    with gated(Sessions(tool), wallets, wallet) as front:
        front.call("/open")
        answered = sum(front.call(f"/{number}").text.startswith("answered") for number in range(6))
        front.stage.wait(7)
        assert not front.call("/nonsense", token=NONSENSE).text.startswith("answered")
        front.stage.wait()
        assert front.balance_yen == 10_000 - 10 * answered


# D3


@pytest.mark.parametrize("at", [0, 1], ids=["the same worker", "another worker"])
def test_d3_a_retry_with_the_new_token_is_a_retry(ledger: Ledger, where: Any, held: bool, at: int) -> None:
    with open_market(ledger, where, held=held) as market:
        request = market.request(1, "k")
        market.ask(request)
        market.rotate(1)
        assert market.ask(request, at=at).status == 200
        assert market.ask(request, at=at, token=market.buyers[1].tokens[0]).status == 200
        assert paid_yen(market, 1) == request.price_yen


# F7


def test_f7_a_proxys_request_id_is_no_idempotency_key(ledger: Ledger, where: Any) -> None:
    with open_market(ledger, where) as market:
        answers = [market.ask(market.request(0, proxied=True)) for _ in range(5)]
        assert [each.status for each in answers] == [200] * 5
        assert paid_yen(market) == 500
