"""When an answer counts as delivered: streams, callers that leave, servers that stop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from gated import Application, answer, gated
from http_answers import funded
from served import PATIENCE_SECONDS
from streaming import START, Caller, Signal, chunk

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.middleware import CreditGate, Purchase, charge_for, priced
from credit_wallet.wire.asgi import Receive, Scope, Send

CREDIT_YEN = 10_000


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return funded(wallets)


def test_a_stream_to_its_end_is_paid(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await send(START)
        for part in (b"a", b"b"):
            await send(chunk(part))
        await send(chunk(b"", more=False))

    with gated(Application(stream), wallets, wallet, price_yen=3) as front:
        assert front.call().text == "ab"
        front.stage.wait()
        assert front.balance_yen == CREDIT_YEN - 3


@pytest.mark.parametrize(
    ("sent", "options", "paid_yen"), [(0, {}, 0), (1, {}, 0), (2, {}, 3), (2, {"refund_cut_answers": True}, 0)]
)
def test_a_stream_that_breaks_is_paid_from_its_first_byte_on(
    wallets: CreditWallet, wallet: CreatedWallet, sent: int, options: dict[str, Any], paid_yen: int
) -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        for message in (START, chunk(b"a"))[:sent]:
            await send(message)
        raise RuntimeError("broken in the middle")

    with gated(Application(stream), wallets, wallet, price_yen=3, **options) as front:
        caller = Caller(front)
        front.stage.wait()
        caller.leave()
        assert front.balance_yen == CREDIT_YEN - paid_yen


@pytest.mark.parametrize("read", [20, 21])
@pytest.mark.parametrize("option", ["price_yen", "hold"])
def test_a_reader_that_hangs_up_before_the_last_byte_pays(
    wallets: CreditWallet, wallet: CreatedWallet, read: int, option: str
) -> None:
    """Twenty tokens and ``[DONE]``: what was delivered in part is paid."""

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await send(START)
        for number in range(20):
            await send(chunk(b"data: %d\n\n" % number))
        while (await receive())["type"] != "http.disconnect":
            if read > 20:
                await send(chunk(b"data: [DONE]\n\n"))

    options: dict[str, Any] = {option: 100}
    with gated(Application(stream), wallets, wallet, **options) as front:
        caller = Caller(front)
        caller.read_until(b"data: 19\n\n")
        caller.leave()
        front.stage.wait()
        assert front.balance_yen == CREDIT_YEN - 100


@pytest.mark.parametrize("events", [20, 21, 200])
@pytest.mark.parametrize("options", [{}, {"refund_cut_answers": True}])
def test_a_stream_that_outgrows_its_hold_takes_the_hold(
    wallets: CreditWallet, wallet: CreatedWallet, events: int, options: dict[str, Any]
) -> None:
    """The seller's mistake in counting, after everything was delivered, gives nothing away."""

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await send(START)
        for _ in range(events):
            await send(chunk(b"x"))
        charge_for(scope).capture(events)
        await send(chunk(b"", more=False))

    with gated(Application(stream), wallets, wallet, hold=20, **options) as front:
        caller = Caller(front)
        front.stage.wait()
        caller.leave()
        assert (front.balance_yen, wallets.show(wallet.wallet_id).held_yen) == (CREDIT_YEN - 20, 0)


def test_a_bookkeeping_error_after_the_first_byte_gives_nothing_away(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:
        charge_for(scope).capture(4)
        await send(START)
        await send(chunk(b"x"))
        charge_for(scope).capture({"path": receive}["path/"])  # type: ignore[arg-type]

    with gated(Application(stream), wallets, wallet, hold=20) as front:
        caller = Caller(front)
        front.stage.wait()
        caller.leave()
        assert front.balance_yen == CREDIT_YEN - 4


def test_capturing_after_the_delivery_raises(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    raised: list[Exception] = []

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await answer(send)
        try:
            charge_for(scope).capture(1)
        except RuntimeError as error:
            raised.append(error)

    with gated(Application(handler), wallets, wallet, hold=20) as front:
        front.call()
        front.stage.wait()
        assert "before the last of the answer" in str(raised[0])
        assert front.balance_yen == CREDIT_YEN - 20


def test_an_application_that_stops_early_is_given_back_if_the_gate_is_told_so(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await send(START)
        await send(chunk(b"a"))

    with gated(Application(stream), wallets, wallet, price_yen=3, refund_cut_answers=True) as front:
        caller = Caller(front)
        front.stage.wait()
        caller.leave()
        assert front.entries()[-1] == ("refund", 3, "the answer was not complete")


def test_a_caller_that_leaves_before_the_answer_gets_its_yen_back(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    signal = Signal()

    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await signal.meet()
        await answer(send)  # the handler never listens whether the caller is there

    with gated(Application(handler), wallets, wallet, price_yen=3) as front:
        caller = Caller(front)
        signal.wait()
        assert front.balance_yen == CREDIT_YEN - 3
        caller.leave()
        assert front.stage.left(PATIENCE_SECONDS)
        signal.go.set()
        front.stage.wait()
        assert front.entries()[-1] == ("refund", 3, "the caller left")


@pytest.mark.parametrize(("refund_cut_answers", "left_yen"), [(True, CREDIT_YEN), (False, CREDIT_YEN - 3)])
def test_a_caller_that_leaves_a_stream_pays_unless_the_gate_is_told_otherwise(
    wallets: CreditWallet, wallet: CreatedWallet, refund_cut_answers: bool, left_yen: int
) -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await send(START)
        await send(chunk(b"first"))
        while (await receive())["type"] != "http.disconnect":
            pass

    with gated(Application(stream), wallets, wallet, price_yen=3, refund_cut_answers=refund_cut_answers) as front:
        caller = Caller(front)
        caller.read_until(b"first")
        caller.leave()
        front.stage.wait()
        assert front.balance_yen == left_yen


def test_a_caller_that_leaves_before_the_first_byte_never_pays(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def stream(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await send(START)
        while (await receive())["type"] != "http.disconnect":
            pass

    with gated(Application(stream), wallets, wallet, price_yen=3, refund_cut_answers=False) as front:
        caller = Caller(front)
        caller.read_until(b"\r\n\r\n")
        caller.leave()
        front.stage.wait()
        assert front.balance_yen == CREDIT_YEN


def test_an_answer_of_known_length_is_complete_with_its_last_byte(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    """The caller has all of it and may hang up, though the application has still to say so."""

    async def stream(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await send({**START, "headers": [(b"content-length", b"4")]})
        await send(chunk(b"all!"))
        while (await receive())["type"] != "http.disconnect":
            pass

    with gated(Application(stream), wallets, wallet, price_yen=3) as front:
        caller = Caller(front)
        caller.read_until(b"all!")
        caller.leave()
        front.stage.wait()
        assert front.balance_yen == CREDIT_YEN - 3


def test_the_application_reads_what_the_caller_sends(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    """Body and disconnect arrive as without a gate, whether or not the gate read the body for a key."""

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        await answer(send, body=b"%d" % len(body))

    sent = b"x" * 900_000
    with gated(Application(echo), wallets, wallet, price_yen=3) as front:
        assert front.call(method="POST", content=sent).text == str(len(sent))
        assert front.call(method="POST", content=sent, key="a").text == str(len(sent))
        assert front.call(method="POST", key="b").text == "0"


def test_a_body_that_nobody_reads_is_not_taken_in(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(Application(), wallets, wallet, price_yen=3) as front:
        assert front.call(method="POST", content=b"x" * 5_000_000).status_code == 200


Gate = Callable[[], Coroutine[Any, Any, None]]


def requests_of(wallet: CreatedWallet, gate: CreditGate, key: bytes | None = None) -> Gate:
    """Requests as a server hands them over; nothing is sent and nobody leaves."""

    async def receive() -> Any:
        return waiting.pop() if waiting else await asyncio.get_running_loop().create_future()

    async def send(message: object) -> None:
        pass

    waiting = [{"type": "http.request", "body": b""}]
    token = [(b"authorization", f"Bearer {wallet.owner_token}".encode())]
    headers = token if key is None else [*token, (b"idempotency-key", key)]

    async def request() -> None:
        await gate({"type": "http", "method": "GET", "path": "/", "headers": headers}, receive, send)

    return request


@pytest.mark.parametrize("key", [None, b"a"])
def test_a_request_that_is_cancelled_is_given_back(
    wallets: CreditWallet, wallet: CreatedWallet, key: bytes | None
) -> None:
    """As a server does that gives up on a request, or stops."""

    async def run() -> None:
        begun, quick = asyncio.Event(), asyncio.Event()

        async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
            begun.set()
            await quick.wait()
            await answer(send)

        gate = CreditGate(handler, wallets, price_yen=3)
        request = asyncio.create_task(requests_of(wallet, gate, key)())
        await begun.wait()
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        quick.set()
        await asyncio.wait_for(requests_of(wallet, gate, key)(), PATIENCE_SECONDS)
        await gate.aclose()

    asyncio.run(run())
    assert [each.amount_yen for each in wallets.history(wallet.wallet_id)][:3] == [-3, 3, -3]
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN - 3


def test_a_request_that_is_cancelled_while_it_pays_is_given_back(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def run() -> None:
        app = Application()
        gate = CreditGate(app, wallets, price_yen=3)
        request = asyncio.create_task(requests_of(wallet, gate)())
        while not wallets.maintenance.waiting():
            await asyncio.sleep(0)
        request.cancel()
        with pytest.raises(asyncio.CancelledError):
            await request
        await gate.aclose()
        assert app.ran == 0

    asyncio.run(run())
    assert [each.amount_yen for each in wallets.history(wallet.wallet_id)][:2] == [3, -3]
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN


def test_the_body_is_whole_when_an_application_listens_while_the_gate_reads_it(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    """Quart listens in a task of its own. A server that queues its messages (Hypercorn, Daphne) gives each to one
    listener: neither the digest that tells retries apart nor the application may miss one.
    """

    async def requested(body: bytes) -> bytes:
        arriving: asyncio.Queue[Any] = asyncio.Queue()
        heard = b""
        end = asyncio.get_running_loop().create_future()

        async def listen(receive: Receive) -> None:
            nonlocal heard
            while (message := await receive())["type"] == "http.request":
                heard += message["body"]
                if not message["more_body"] and not end.done():
                    end.set_result(None)

        async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
            listening = asyncio.create_task(listen(receive))
            await asyncio.sleep(0)
            await priced(yen=3)()
            await end
            listening.cancel()
            await answer(send)

        async def send(message: object) -> None:
            pass

        fields = [(b"authorization", f"Bearer {wallet.owner_token}".encode()), (b"idempotency-key", b"a")]
        scope = {"type": "http", "method": "POST", "path": "/", "headers": fields}
        request = asyncio.create_task(CreditGate(handler, wallets)(scope, arriving.get, send))
        for position, byte in enumerate(body):
            await asyncio.sleep(0.005)
            arriving.put_nowait({"type": "http.request", "body": bytes([byte]), "more_body": position + 1 < len(body)})
        await asyncio.wait_for(request, PATIENCE_SECONDS)
        return heard

    async def run() -> list[bytes]:
        return [await requested(body) for body in (b"question", b"question", b"another?", b"questioN")]

    assert asyncio.run(run()) == [b"question", b"question", b"another?", b"questioN"]
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN - 9, "one retry, three requests"


@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("kind", ["pathsend", "zerocopysend"])
def test_an_answer_that_the_server_reads_from_a_file_is_paid(
    wallets: CreditWallet, wallet: CreatedWallet, kind: str, cut: bool
) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
        await send({"type": f"http.response.{kind}"})

    gate = CreditGate(handler, wallets, price_yen=3, refund_cut_answers=cut)
    asyncio.run(requests_of(wallet, gate)())
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN - 3


@pytest.mark.parametrize("spec_version", ["2.1", "2.3", "2.4"])
@pytest.mark.parametrize(
    ("leaves_at", "cut", "sent", "paid_yen"), [(0, False, 0, 0), (2, True, 2, 0), (2, False, 4, 3)]
)
@pytest.mark.parametrize("key", [None, b"a"])
def test_a_server_that_answers_whoever_has_left_gives_nothing_away(
    wallets: CreditWallet,
    wallet: CreatedWallet,
    key: bytes | None,
    leaves_at: int,
    cut: bool,
    sent: int,
    paid_yen: int,
    spec_version: str,
) -> None:
    """Hypercorn says that the caller left when it has closed its own half of the connection, and sends the answer all
    the same. What is not going to be paid stays here.
    """

    async def run() -> None:
        arriving: asyncio.Queue[Any] = asyncio.Queue()
        messages = []

        async def handler(scope: Scope, receive: Receive, send: Send) -> None:
            while (await receive()).get("more_body"):
                pass
            await asyncio.sleep(0.05)
            try:
                await send({"type": "http.response.start", "status": 200, "headers": []})
                for part in (b"a", b"b", b""):
                    await send(chunk(part, more=bool(part)))
                    await asyncio.sleep(0.05)
            except OSError:
                assert (sent, scope["asgi"]["spec_version"]) != (4, "2.4"), "what is paid goes to the server"

        async def send(message: object) -> None:
            messages.append(message)
            if len(messages) == leaves_at:
                arriving.put_nowait({"type": "http.disconnect"})

        arriving.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        if not leaves_at:
            arriving.put_nowait({"type": "http.disconnect"})
        fields = [(b"authorization", f"Bearer {wallet.owner_token}".encode())]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": spec_version},
            "method": "GET",
            "path": "/",
            "headers": fields if key is None else [*fields, (b"idempotency-key", key)],
        }
        gate = CreditGate(handler, wallets, price_yen=3, refund_cut_answers=cut)
        await gate(scope, arriving.get, send)
        await gate.aclose()
        assert len(messages) == sent

    asyncio.run(run())
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN - paid_yen


@pytest.mark.parametrize("key", [None, b"a"])
def test_a_request_that_is_priced_twice_at_once_is_sold_once(
    wallets: CreditWallet, wallet: CreatedWallet, key: bytes | None
) -> None:
    async def run() -> None:
        async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
            both: Any = await asyncio.gather(priced(yen=3)(), priced(yen=4)(), return_exceptions=True)
            first, second = both
            assert isinstance(first, Purchase)
            assert "paid for already" in str(second)
            await answer(send)

        gate = CreditGate(handler, wallets)
        await requests_of(wallet, gate, key)()
        await gate.aclose()

    asyncio.run(run())
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN - 3


@pytest.mark.parametrize("price", [priced(yen=3), priced(hold=3)])
@pytest.mark.parametrize("key", [None, b"a"])
def test_what_is_paid_while_the_answer_goes_out_is_given_back(
    wallets: CreditWallet, wallet: CreatedWallet, key: bytes | None, price: Any
) -> None:
    """Nobody is there any more to serve it or to give it back, and it must not be kept alive for ever."""

    async def run() -> None:
        late: list[asyncio.Task[Any]] = []

        async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
            late.append(asyncio.create_task(price()))
            await asyncio.sleep(0)
            await answer(send)

        gate = CreditGate(handler, wallets)
        await requests_of(wallet, gate, key)()
        with pytest.raises(RuntimeError, match="has been answered"):
            await asyncio.wait_for(late[0], PATIENCE_SECONDS)
        await gate.aclose()

    asyncio.run(run())
    view = wallets.show(wallet.wallet_id)
    assert (view.balance_yen, view.held_yen) == (CREDIT_YEN, 0)
