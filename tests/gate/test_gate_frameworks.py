"""The gate and ``priced`` in the frameworks that applications are made with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request
from fastapi.responses import StreamingResponse
from gated import Front, Stage, gated
from http_answers import assert_problem, funded
from litestar import Litestar, get, post
from litestar.di import NamedDependency, Provide
from litestar.exceptions import HTTPException as LitestarHTTPException
from litestar.middleware import DefineMiddleware
from litestar.params import FromPath
from served import Served
from service import TOPUP_URL
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import Response

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.middleware import CreditGate, Purchase, charge_for, priced

CREDIT_YEN = 10_000


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return funded(wallets)


@priced(yen=2)
async def helper() -> str:
    """What a priced function costs is what the request costs that it is called for."""
    return "helped"


def fastapi_app() -> FastAPI:
    """Every way to put a price on a route of FastAPI's."""
    app, router = FastAPI(), APIRouter(prefix="/items")

    @app.get("/dependency/{item}", dependencies=[Depends(priced(yen=2))])
    async def dependency(item: int) -> int:
        return item

    @app.get("/given")
    async def given(paid: Purchase = Depends(priced(yen=2))) -> int:  # noqa: B008
        return paid.outcome.balance_yen

    @app.post("/decorated/{item}")
    @priced(yen=3)
    def decorated(item: int, body: dict[str, int]) -> int:
        return item + body["more"]

    @app.get("/helped")
    async def helped() -> str:
        return await helper()

    @router.get("/{item}", dependencies=[Depends(priced(hold=100))])
    def held(item: int, request: Request) -> str:
        charge_for(request).capture(item)
        return "in a thread"

    @app.get("/unavailable", dependencies=[Depends(priced(yen=2))])
    async def unavailable() -> None:
        raise HTTPException(503)

    @app.get("/missing", dependencies=[Depends(priced(yen=2))])
    async def missing() -> None:
        raise HTTPException(404)

    @app.get("/crash", dependencies=[Depends(priced(yen=2))])
    async def crash() -> None:
        raise RuntimeError("broken")

    @app.get("/stream", dependencies=[Depends(priced(yen=2))])
    async def stream() -> StreamingResponse:
        return StreamingResponse(iter((b"a", b"b")))

    app.include_router(router, prefix="/v1")
    return app


def test_fastapi_routes_are_priced(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(fastapi_app(), wallets, wallet) as front:
        assert front.call("/dependency/7?q=1").headers["x-wallet-balance"] == "9998"
        assert front.call("/given").json() == 9_996
        posting: dict[str, Any] = {"method": "POST", "content": b'{"more": 1}', "key": "a"}
        posting["headers"] = {"Content-Type": "application/json"}
        posted, again = (front.call("/decorated/7", **posting) for _ in range(2))
        assert (posted.json(), again.json(), again.headers["idempotent-replayed"]) == (8, 8, "true")
        assert front.call("/v1/items/42").json() == "in a thread"
        assert front.call("/stream").text == "ab"
        assert front.call("/helped").json() == "helped"
        front.stage.wait(7)
    assert front.entries() == [
        ("charge", -2, "GET /dependency/{item}"),
        ("charge", -2, "GET /given"),
        ("charge", -3, "POST /decorated/{item}"),
        ("charge", -42, "GET /v1/items/{item}"),
        ("charge", -2, "GET /stream"),
        ("charge", -2, "GET /helped"),
    ]
    assert wallets.verify() == []


def test_fastapi_failures_are_given_back_and_refusals_kept(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(fastapi_app(), wallets, wallet) as front:
        assert [front.call(path).status_code for path in ("/unavailable", "/crash", "/missing")] == [503, 500, 404]
        front.stage.wait(3)
    assert [yen for _, yen, _ in front.entries()] == [-2, 2, -2, 2, -2]


@pytest.mark.parametrize("path", ["/dependency/7", "/given", "/v1/items/7", "/crash", "/helped"])
def test_fastapi_answers_refusals_as_the_service_does(wallets: CreditWallet, wallet: CreatedWallet, path: str) -> None:
    empty = wallets.create()
    with gated(fastapi_app(), wallets, wallet) as front:
        assert_problem(front.call(path, token=None), 401, "unauthorized")
        refused = front.call(path, token=empty.owner_token)
        assert_problem(refused, 402, "insufficient_funds", topup_url=TOPUP_URL)
        assert refused.headers["x-wallet-balance"] == "0"
        assert front.call("/nowhere", token=None).status_code == 404
        assert front.call("/dependency/nan").status_code == 422


def test_fastapi_takes_the_gate_as_its_middleware(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    app = fastapi_app()
    app.add_middleware(CreditGate, wallets=wallets, price_yen=lambda request: 5 if request.path == "/free" else None)

    @app.get("/free")
    async def free() -> str:
        return "five"

    stage = Stage(app)
    with Served(stage) as served:
        front = Front(served.url, stage, wallets, wallet)
        assert front.call("/free").headers["x-wallet-balance"] == "9995"
        assert front.call("/dependency/7").headers["x-wallet-balance"] == "9993"
        assert front.call("/crash").status_code == 500
        front.stage.wait(3)
        assert front.balance_yen == 9_993
        assert_problem(front.call("/dependency/7", token=None), 401, "unauthorized")


def test_middleware_between_gate_and_route_changes_nothing(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    async def pass_on(request: Request, go_on: Callable[[Request], Awaitable[Response]]) -> Response:
        answer = await go_on(request)
        answer.headers["x-passed"] = "1"
        return answer

    app = fastapi_app()
    app.add_middleware(BaseHTTPMiddleware, dispatch=pass_on)
    with gated(app, wallets, wallet) as front:
        answer = front.call("/given")
        assert (answer.json(), answer.headers["x-passed"], answer.headers["x-wallet-balance"]) == (9_998, "1", "9998")
        assert front.call("/v1/items/42").status_code == 200
        assert front.call("/crash").status_code == 500
        assert front.call("/stream").text == "ab"
        assert_problem(front.call("/given", token=None), 401, "unauthorized")
        front.stage.wait(5)
        assert front.balance_yen == 9_998 - 42 - 2


def litestar_app(**options: Any) -> Any:
    """Every way to put a price on a route of Litestar's."""

    @get("/guarded/{item:int}", guards=[priced(yen=2)])
    async def guarded(item: FromPath[int]) -> int:
        return item

    @get("/given", dependencies={"paid": Provide(priced(yen=2))})
    async def given(paid: NamedDependency[Any]) -> int:
        return int(paid.outcome.balance_yen)

    @post("/decorated/{item:int}")
    @priced(yen=3)
    async def decorated(item: FromPath[int]) -> int:
        return item

    @get("/held/{item:int}", guards=[priced(hold=100)])
    async def held(item: FromPath[int]) -> str:
        charge_for().capture(item)
        return "captured"

    @get("/unavailable", guards=[priced(yen=2)])
    async def unavailable() -> None:
        raise LitestarHTTPException(status_code=503)

    @get("/crash", guards=[priced(yen=2)])
    async def crash() -> None:
        raise RuntimeError("broken")

    @get("/free/{item:int}")
    async def free(item: FromPath[int]) -> int:
        return item

    return Litestar([guarded, given, decorated, held, unavailable, crash, free], logging_config=None, **options)


def test_litestar_routes_are_priced(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(litestar_app(), wallets, wallet) as front:
        assert front.call("/guarded/7").headers["x-wallet-balance"] == "9998"
        assert front.call("/given").json() == 9_996
        assert front.call("/decorated/7", method="POST").json() == 7
        assert front.call("/held/42").text == "captured"
        assert front.call("/free/7", token=None).status_code == 200
        front.stage.wait(5)
    assert front.entries() == [
        ("charge", -2, "GET /guarded/{item}"),
        ("charge", -2, "GET /given"),
        ("charge", -3, "POST /decorated/{item}"),
        ("charge", -42, "GET /held/{item}"),
    ]


def test_litestar_failures_are_given_back(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(litestar_app(), wallets, wallet) as front:
        assert [front.call(path).status_code for path in ("/unavailable", "/crash")] == [503, 500]
        front.stage.wait(2)
        assert front.balance_yen == CREDIT_YEN


@pytest.mark.parametrize("path", ["/guarded/7", "/given", "/held/7", "/crash"])
def test_litestar_answers_refusals_as_the_service_does(wallets: CreditWallet, wallet: CreatedWallet, path: str) -> None:
    with gated(litestar_app(), wallets, wallet) as front:
        assert_problem(front.call(path, token=None), 401, "unauthorized")
        assert_problem(front.call(path, token=wallets.create().owner_token), 402, "insufficient_funds")
        assert_problem(front.call("/decorated/7", method="POST", token=None), 401, "unauthorized")


def test_litestar_takes_the_gate_as_its_middleware(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    gate = DefineMiddleware(
        cast(Any, CreditGate), wallets=wallets, price_yen=lambda request: 5 if "free" in request.path else None
    )
    stage = Stage(litestar_app(middleware=[gate]))
    with Served(stage) as served:
        front = Front(served.url, stage, wallets, wallet)
        assert front.call("/free/7").headers["x-wallet-balance"] == "9995"
        assert front.call("/guarded/7").headers["x-wallet-balance"] == "9993"
        assert_problem(front.call("/free/7", token=None), 401, "unauthorized")
        assert front.entries() == [("charge", -5, "GET /free/{item}"), ("charge", -2, "GET /guarded/{item}")]
