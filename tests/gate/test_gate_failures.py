"""What a gate does while the wallet is away, and that nobody loses a yen by it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, closing
from pathlib import Path

import apsw
import httpx
import pytest
from gated import Application, Front, Stage, answer, gated
from http_answers import assert_problem, funded
from served import PATIENCE_SECONDS, Served
from service import OPERATOR_KEY, credentials, free_port, new_app
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from structlog.testing import capture_logs
from weather import Fault, Weather, answering, bad_gateway, lost_answer

from credit_wallet import CreditWallet
from credit_wallet.client import AsyncWalletClient, Retries
from credit_wallet.database_urls import sqlite_path
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.middleware import CreditGate
from credit_wallet.stores.sqlite import connection
from credit_wallet.wire.asgi import AsgiApp, Receive, Scope, Send

CREDIT_YEN = 10_000
ONCE = Retries(attempts=1)


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return funded(wallets)


class Distant:
    """A gate whose wallets are behind a service that meets the faults it is told."""

    def __init__(self, application: Application, wallets: CreditWallet, operator_key: str = OPERATOR_KEY) -> None:
        self.weather = Weather(new_app(wallets))
        self._application, self._operator_key = application, operator_key

    def front(self, service: Served) -> Stage:
        operator = AsyncWalletClient(service.url, self._operator_key, retries=ONCE)
        return Stage(CreditGate(self._application, operator, price_yen=3))


def test_a_service_that_is_not_there_is_503(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    app = Application()
    operator = AsyncWalletClient(f"http://127.0.0.1:{free_port()}", OPERATOR_KEY, retries=ONCE)
    stage = Stage(CreditGate(app, operator, price_yen=3))
    with Served(stage) as served:
        refused = Front(served.url, stage, wallets, wallet).call()
    assert_problem(refused, 503, "service_unreachable", sent=False)
    assert refused.headers["retry-after"] == "1"
    assert app.ran == 0


def test_a_charge_whose_answer_was_lost_is_free_for_the_retry(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    app = Application()
    distant = Distant(app, wallets)
    with Served(distant.weather) as service:
        stage = distant.front(service)
        with Served(stage) as served:
            front = Front(served.url, stage, wallets, wallet)
            distant.weather.faults = [lost_answer]
            assert_problem(front.call(key="a"), 503, "service_unreachable", sent=True)
            assert front.call(key="a").status_code == 200
    assert app.ran == 1
    assert front.balance_yen == CREDIT_YEN - 3


@pytest.mark.parametrize("fault", [lost_answer, bad_gateway])
def test_a_charge_that_nobody_was_told_of_is_given_back(
    wallets: CreditWallet, wallet: CreatedWallet, fault: Fault
) -> None:
    """Without a key the caller cannot ask for it again."""
    app = Application()
    distant = Distant(app, wallets)
    with Served(distant.weather) as service:
        stage = distant.front(service)
        with Served(stage) as served:
            distant.weather.faults = [fault, answering(503), fault, lost_answer]
            assert Front(served.url, stage, wallets, wallet).call().status_code in (502, 503)
    assert app.ran == 0
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN
    assert wallets.verify() == []


def test_a_charge_that_was_never_made_is_not_made_to_be_given_back(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    async def empty_then_break(behind: AsgiApp, scope: Scope, receive: Receive, send: Send) -> None:
        wallets.charge(wallet.wallet_id, CREDIT_YEN, idempotency_key="all of it")
        await answering(500)(behind, scope, receive, send)

    distant = Distant(Application(), wallets)
    with capture_logs() as logs, Served(distant.weather) as service:
        stage = distant.front(service)
        with Served(stage) as served:
            distant.weather.faults = [empty_then_break]
            Front(served.url, stage, wallets, wallet).call()
    assert [each.amount_yen for each in wallets.history(wallet.wallet_id)] == [-CREDIT_YEN, CREDIT_YEN]
    assert "gate_movement_failed" not in [line["event"] for line in logs]


def test_a_refund_that_must_wait_is_made_up_for_before_the_gate_ends(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        distant.weather.faults = [answering(503), lost_answer, answering(500)]
        await answer(send, 500)

    distant = Distant(Application(handler), wallets)
    with Served(distant.weather) as service:
        stage = distant.front(service)
        with Served(stage) as served:
            front = Front(served.url, stage, wallets, wallet)
            failed = front.call()
            assert (failed.status_code, failed.headers["x-wallet-balance"]) == (500, "9997")
    assert [yen for _, yen, _ in front.entries()] == [-3, 3]
    assert wallets.verify() == []


def test_what_is_owed_is_given_back_before_the_application_closes_its_wallets(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    weather = Weather(new_app(wallets))

    async def fail(_: Request) -> Response:
        weather.faults = [answering(503), answering(503)]
        return Response(status_code=500)

    with Served(weather) as service:
        operator = AsyncWalletClient(service.url, OPERATOR_KEY, retries=ONCE)

        @asynccontextmanager
        async def lifespan(_: Starlette) -> AsyncIterator[None]:
            yield
            await operator.aclose()

        stage = Stage(CreditGate(Starlette(routes=[Route("/", fail)], lifespan=lifespan), operator, price_yen=3))
        with Served(stage) as served:
            assert Front(served.url, stage, wallets, wallet).call().status_code == 500
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN


@pytest.mark.parametrize("key", ["cw_operator_wrong", "owner", "agent"])
def test_a_gate_with_a_key_that_may_not_sell_does_not_start(
    wallets: CreditWallet, wallet: CreatedWallet, key: str
) -> None:
    """It would sell, and could capture and give back nothing."""
    keys = {"owner": wallet.owner_token, "agent": wallets.keys.create(wallet.wallet_id).token}
    distant = Distant(Application(), wallets, operator_key=keys.get(key, key))
    with (
        Served(distant.weather) as service,
        capture_logs() as logs,
        pytest.raises(RuntimeError, match="did not start"),
        Served(distant.front(service)),
    ):
        pass
    [told] = [line for line in logs if line["event"] == "gate_may_not_sell"]
    assert "a seller's token or the operator key" in told["error"]


def test_a_gate_without_a_lifespan_is_checked_by_its_first_request(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    app = Application()
    with Served(new_app(wallets)) as service:
        for key, status in ((wallet.owner_token, 503), (wallets.sellers.create(label="shop").token, 200)):
            gate = CreditGate(app, AsyncWalletClient(service.url, key, retries=ONCE), price_yen=3)

            async def call(gate: CreditGate = gate) -> httpx.Response:
                transport = httpx.ASGITransport(gate)
                async with httpx.AsyncClient(transport=transport, base_url="http://shop.test") as client:
                    answered = await client.get("/", headers=credentials(wallet.owner_token))
                await gate.aclose()
                return answered

            assert asyncio.run(call()).status_code == status
    assert app.ran == 1
    assert wallets.balance(wallet.wallet_id) == CREDIT_YEN - 3


def test_a_key_that_is_revoked_later_sells_nothing(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    seller = wallets.sellers.create(label="shop")
    app = Application()
    distant = Distant(app, wallets, operator_key=seller.token)
    with Served(distant.weather) as service:
        stage = distant.front(service)
        with Served(stage) as served:
            front = Front(served.url, stage, wallets, wallet)
            assert front.call().status_code == 200
            wallets.sellers.revoke(seller.seller_id)
            assert_problem(front.call(), 503, "service_unreachable", sent=False)
    assert app.ran == 1


def test_an_agent_key_that_ended_within_the_second_is_the_buyers_failure(
    wallets: CreditWallet, wallet: CreatedWallet, db_url: str
) -> None:
    """The service remembers a token for a second; the ledger does not. It is no fault of the seller's key."""
    agent = wallets.keys.create(wallet.wallet_id)
    with gated(Application(), wallets, wallet, "remote", price_yen=3) as front:
        assert front.call(token=agent.token).status_code == 200
        with CreditWallet.open(db_url) as elsewhere:
            elsewhere.keys.revoke(agent.key_id)
        assert_problem(front.call(token=agent.token), 401, "unauthorized")


def test_a_service_that_is_away_at_the_start_is_asked_again(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    app = Application()
    distant = Distant(app, wallets)
    with Served(distant.weather) as service:
        stage = distant.front(service)
        distant.weather.faults = [answering(503), answering(503)]
        with Served(stage) as served:
            front = Front(served.url, stage, wallets, wallet)
            assert [front.call().status_code for _ in range(2)] == [502, 200]
    assert app.ran == 1


def test_a_locked_ledger_gives_back_when_it_is_free_again(db_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "BUSY_TIMEOUT_MS", 10)
    with (
        CreditWallet.open(db_url) as wallets,
        closing(apsw.Connection(str(Path(sqlite_path(db_url))))) as other,
    ):
        wallet = funded(wallets)

        async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
            if scope["path"] == "/fails":
                other.execute("BEGIN IMMEDIATE")
            await answer(send, 500 if scope["path"] == "/fails" else 200)

        with gated(Application(handler), wallets, wallet, price_yen=3) as front:
            assert front.call("/fails").headers["x-wallet-balance"] == "9997"
            refused = front.call()
            assert_problem(refused, 503, "database_locked")
            assert refused.headers["retry-after"] == "1"
            other.execute("COMMIT")
        assert [yen for _, yen, _ in front.entries()] == [-3, 3]


def test_a_busy_rail_is_503_and_the_call_does_not_run(db_url: str) -> None:
    going, begun = threading.Event(), threading.Event()

    def hold_up(*_: object) -> None:
        begun.set()
        going.wait(PATIENCE_SECONDS)

    with CreditWallet.open(db_url, max_waiting=1) as wallets:
        wallet = funded(wallets)
    with (
        CreditWallet.open(db_url, max_waiting=1, observe=hold_up) as wallets,
        ThreadPoolExecutor(1) as others,
    ):
        app = Application()
        first = others.submit(wallets.charge, wallet.wallet_id, 1, idempotency_key="first")
        assert begun.wait(PATIENCE_SECONDS)
        with gated(app, wallets, wallet, price_yen=3) as front:
            queued = asyncio.run(queue_up(wallets, wallet.wallet_id, front))
            going.set()
        first.result(PATIENCE_SECONDS)
        assert_problem(queued, 503, "rail_busy")
        assert queued.headers["retry-after"] == "1"
        assert app.ran == 0


async def queue_up(wallets: CreditWallet, wallet_id: int, front: Front) -> httpx.Response:
    """Fill the one place in the queue, then call."""
    waits = asyncio.ensure_future(wallets.acharge(wallet_id, 1, idempotency_key="second"))
    await asyncio.sleep(0)
    try:
        return await asyncio.to_thread(front.call)
    finally:
        waits.cancel()
