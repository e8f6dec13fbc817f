"""What a framework answers before the handler costs nothing and needs no token; what the handler answers is paid.

Kinds looked at: slashes that are missing (or too many), unknown paths, other methods, ``OPTIONS`` and preflights,
``HEAD``, what does not validate, the framework's pages about the API, hosts that a middleware refuses; in Starlette,
FastAPI (its own and included routers, mounts, ``Depends``), Litestar (guards), Quart, Flask behind an adapter, Django;
the gate around the application and among its middleware. An application whose routes cannot be seen pays for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NamedTuple, cast

import pytest
from asgiref.wsgi import WsgiToAsgi
from django_project import django_app
from fastapi import APIRouter, Depends, FastAPI, HTTPException
from flask import Flask, abort
from gated import Application, Front, Stage, answer, gated
from http_answers import assert_problem, funded
from litestar import Litestar, get, post
from litestar.exceptions import NotFoundException
from litestar.params import FromPath, JSONBody
from quart import Quart
from quart import abort as quart_abort
from served import Served
from starlette.applications import Starlette
from starlette.endpoints import HTTPEndpoint
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Host, Mount, Route
from starlette.staticfiles import StaticFiles

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.middleware import CreditGate, priced
from credit_wallet.wire.asgi import Receive, Scope, Send

CREDIT_YEN = 10_000
PREFLIGHT = {"Origin": "https://page.test", "Access-Control-Request-Method": "GET"}


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return funded(wallets)


def fastapi_app(*dependencies: Any) -> FastAPI:
    app, router, sub = FastAPI(), APIRouter(prefix="/v1"), FastAPI()
    paid: Any = [Depends(each) for each in dependencies]

    @app.get("/search/", dependencies=paid)
    async def search() -> str:
        return "found"

    @app.get("/items/{item}", dependencies=paid)
    def item(item: int) -> int:
        return item

    @app.post("/items/", dependencies=paid)
    async def store(item: dict[str, int]) -> int:
        return item["count"]

    @app.get("/missing", dependencies=paid)
    async def missing() -> None:
        raise HTTPException(404)

    @app.get("/refuses", dependencies=paid)
    def refuses() -> None:
        raise HTTPException(422)

    @app.get("/breaks", dependencies=paid)
    async def breaks() -> None:
        raise RuntimeError("broken")

    @router.get("/items/{item}", dependencies=paid)
    async def included(item: int) -> int:
        return item

    @sub.get("/items/{item}", dependencies=paid)
    async def mounted(item: int) -> int:
        return item

    app.include_router(router, prefix="/api")
    app.mount("/sub", sub)
    return app


def starlette_app() -> Starlette:
    class View(HTTPEndpoint):
        async def get(self, request: Request) -> Response:  # noqa: ARG002
            return PlainTextResponse("found")

    async def found(request: Request) -> Response:
        if request.url.path == "/breaks":
            raise RuntimeError("broken")
        return PlainTextResponse("found", 404 if request.url.path == "/missing" else 200)

    routes = [Route(path, found) for path in ("/search/", "/missing", "/breaks", "/items/{item:int}")]
    return Starlette(
        routes=[*routes, Route("/view", View), Mount("/sub", routes=routes), Host("api.test", app=Starlette())],
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1"])],
    )


def litestar_app(**options: Any) -> Any:
    @get("/search", **options)
    async def search() -> str:
        return "found"

    @get("/items/{item:int}", **options)
    async def item(item: FromPath[int]) -> int:
        return item

    @post("/items", **options)
    async def store(data: JSONBody[dict[str, int]]) -> int:
        return data["count"]

    @get("/missing", **options)
    async def missing() -> None:
        raise NotFoundException

    @get("/breaks", **options)
    async def breaks() -> None:
        raise RuntimeError("broken")

    return Litestar([search, item, store, missing, breaks], logging_config=None)


def quart_app() -> Quart:
    app = Quart("shop")

    @app.get("/search/")
    async def search() -> str:
        return "found"

    @app.get("/items/<int:item>")
    def item(item: int) -> str:
        return str(item)

    @app.get("/missing")
    async def missing() -> str:
        quart_abort(404)

    @app.get("/breaks")
    async def breaks() -> str:
        raise RuntimeError("broken")

    return app


def flask_app() -> Any:
    app = Flask("shop")

    @app.get("/search/")
    def search() -> str:
        return "found"

    @app.get("/items/<int:item>")
    def item(item: int) -> str:
        return str(item)

    @app.get("/missing")
    def missing() -> str:
        abort(404)

    @app.get("/breaks")
    def breaks() -> str:
        raise RuntimeError("broken")

    return cast(Any, WsgiToAsgi)(app)


class Case(NamedTuple):
    """A request, the status it is answered with (0: whichever), and what it costs."""

    request: str
    status: int
    yen: int
    content: bytes | None = None
    needs_token: bool | None = None

    @property
    def is_open(self) -> bool:
        """Whether it is answered without a token: what the handler's arguments decide is known too late for that."""
        return not (self.yen or self.status in (400, 422, 500) if self.needs_token is None else self.needs_token)


COMMON = [
    Case("GET /search/", 200, 3),
    Case("GET /items/7", 200, 3),
    Case("GET /nowhere", 404, 0),
    Case("GET /missing", 404, 3),
    Case("GET /breaks", 500, 0),
]
METHODS = [Case("POST /search/", 405, 0), Case("OPTIONS /search/", 0, 0)]
UNSEEN_METHODS = [case._replace(needs_token=True) for case in METHODS]
UNSEEN_FILE = Case("GET /static/no", 404, 0, needs_token=True)
SLASH = [Case("GET /search", 0, 0)]
HEAD = [Case("HEAD /search/", 200, 3)]
NO_HEAD = [Case("HEAD /search/", 405, 0)]

FRAMEWORKS: dict[str, tuple[Callable[[], Any], list[Case]]] = {
    "fastapi": (
        fastapi_app,
        [
            *COMMON,
            *METHODS,
            *SLASH,
            *NO_HEAD,
            Case("GET /items/nan", 422, 0),
            Case("POST /items/", 422, 0, b"[]"),
            Case("POST /items/", 422, 0, b"{"),
            Case("POST /items/", 200, 3, b'{"count": 1}'),
            Case("GET /refuses", 422, 3),
            Case("GET /docs", 200, 0),
            Case("GET /redoc", 200, 0),
            Case("GET /openapi.json", 200, 0),
            Case("GET /api/v1/items/7", 200, 3),
            Case("GET /api/v1/items/nan", 422, 0),
            Case("PUT /api/v1/items/7", 405, 0),
            Case("GET /api/v1/items/7/", 307, 0),
            Case("GET /sub/items/7", 200, 3),
            Case("GET /sub/items/nan", 422, 0),
            Case("GET /sub/nowhere", 404, 0),
            Case("GET /sub/docs", 200, 0),
        ],
    ),
    "starlette": (
        starlette_app,
        [
            *COMMON,
            *METHODS,
            *SLASH,
            *HEAD,
            Case("GET /view", 200, 3),
            Case("POST /view", 405, 0),
            Case("HEAD /view", 200, 3),
            Case("GET /sub/items/7", 200, 3),
            Case("GET /sub/search", 307, 0),
            Case("GET /sub/nowhere", 404, 0),
        ],
    ),
    "litestar": (
        litestar_app,
        [
            *COMMON,
            *METHODS,
            *NO_HEAD,
            Case("GET /items/nan", 404, 0),
            Case("POST /items", 400, 0, b"[]"),
            Case("POST /items", 400, 0, b"{"),
            Case("POST /items", 201, 3, b'{"count": 1}'),
            Case("GET /schema/openapi.json", 200, 0),
            Case("GET /schema", 200, 0),
        ],
    ),
    "quart": (quart_app, [*COMMON, *METHODS, *SLASH, *HEAD, Case("GET /items/nan", 404, 0), UNSEEN_FILE]),
    "flask": (flask_app, [*COMMON, *METHODS, *SLASH, *HEAD, Case("GET /items/nan", 404, 0), UNSEEN_FILE]),
    "django": (
        django_app,
        [
            *COMMON,
            *UNSEEN_METHODS,
            *SLASH,
            Case("HEAD /search/", 405, 0, needs_token=True),
            Case("GET /items/nan", 404, 0),
            Case("GET /view", 200, 3),
            Case("POST /view", 405, 0),
            Case("OPTIONS /view", 200, 0),
            Case("HEAD /view", 200, 3),
        ],
    ),
}


def call(front: Front, case: Case, **options: Any) -> Any:
    method, path = case.request.split()
    json = {} if case.content is None else {"Content-Type": "application/json"}
    return front.call(path, method=method, content=case.content, headers=json, **options)


@pytest.fixture(params=list(FRAMEWORKS))
def framework(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_framework_answers_for_nothing(wallets: CreditWallet, wallet: CreatedWallet, framework: str) -> None:
    make, cases = FRAMEWORKS[framework]
    with gated(make(), wallets, wallet, price_yen=3) as front:
        for case in cases:
            before_yen = front.balance_yen
            answered = call(front, case)
            front.stage.wait()
            assert case.status in (0, answered.status_code), case
            assert before_yen - front.balance_yen == case.yen, (case, answered.status_code)
    assert wallets.verify() == []


def test_what_the_framework_answers_needs_no_token(
    wallets: CreditWallet, wallet: CreatedWallet, framework: str
) -> None:
    make, cases = FRAMEWORKS[framework]
    with gated(make(), wallets, wallet, price_yen=3) as front:
        for case in cases:
            status = call(front, case, token=None).status_code
            assert (status != 401) == case.is_open, (case, status)


@pytest.mark.parametrize(("request_", "status", "yen"), [("GET /items/7", 200, 3), ("GET /items/nan", 422, 0)])
@pytest.mark.parametrize("prefix", ["", "/api/v1", "/sub"])
def test_a_priced_route_of_fastapi_costs_nothing_when_it_does_not_validate(
    wallets: CreditWallet, wallet: CreatedWallet, request_: str, status: int, yen: int, prefix: str
) -> None:
    """Its dependencies run before its arguments are checked. First request and later ones."""
    with gated(fastapi_app(priced(3)), wallets, wallet) as front:
        for calls in (1, 2):
            assert front.call(prefix + request_.split()[1]).status_code == status
            assert front.balance_yen == CREDIT_YEN - calls * yen
        assert front.call("/items/", method="POST", content=b"{}").status_code == 422
        assert front.call("/missing").status_code == 404
        assert front.balance_yen == CREDIT_YEN - 2 * yen - 3


def test_a_guarded_route_of_litestar_costs_nothing_when_it_does_not_validate(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    with gated(litestar_app(guards=[priced(3)]), wallets, wallet) as front:
        for content, status, left_yen in ((b"[]", 400, 10_000), (b'{"count": 1}', 201, 9_997), (b"{", 400, 9_997)):
            assert call(front, Case("POST /items", 0, 0, content)).status_code == status
            assert front.balance_yen == left_yen
        assert front.call("/missing").status_code == 404
        assert front.balance_yen == 9_994


def test_a_preflight_is_answered_by_the_middleware_for_it(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    app = fastapi_app()
    app.add_middleware(CORSMiddleware, allow_origins=["*"])
    with gated(app, wallets, wallet, price_yen=3) as front:
        allowed = front.call("/search/", method="OPTIONS", token=None, headers=PREFLIGHT)
        assert (allowed.status_code, allowed.headers["access-control-allow-origin"]) == (200, "*")
        assert front.balance_yen == CREDIT_YEN


def test_what_a_middleware_refuses_costs_nothing(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(starlette_app(), wallets, wallet, price_yen=3) as front:
        assert front.call("/search/", headers={"Host": "other.test"}).status_code == 400
        assert front.balance_yen == CREDIT_YEN


def test_files_that_are_not_there_cost_nothing(wallets: CreditWallet, wallet: CreatedWallet, tmp_path: Any) -> None:
    (tmp_path / "here.txt").write_text("here")
    app = Starlette(routes=[Mount("/files", StaticFiles(directory=tmp_path))])
    with gated(app, wallets, wallet, price_yen=3) as front:
        assert [front.call(f"/files/{name}.txt").status_code for name in ("here", "gone")] == [200, 404]
    assert front.entries()[0] == ("charge", -3, "GET /files")
    assert front.balance_yen == CREDIT_YEN - 3


def test_somebody_who_answers_after_all_is_paid(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    """A handler of errors, or a middleware that rewrites paths, answers where the gate saw nobody."""

    async def instead(request: Request, error: Exception) -> Response:  # noqa: ARG001
        return PlainTextResponse("instead")

    app = Starlette(exception_handlers={404: instead})
    with gated(app, wallets, wallet, price_yen=3) as front:
        assert front.call("/nowhere").headers["x-wallet-balance"] == "9997"
        assert_problem(front.call("/nowhere", token=None), 401, "unauthorized")


def test_the_gate_among_the_middleware_sees_the_routes(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    app = fastapi_app()
    app.add_middleware(CreditGate, wallets=wallets, price_yen=3)
    stage = Stage(app)
    with Served(stage) as served:
        front = Front(served.url, stage, wallets, wallet)
        for case in FRAMEWORKS["fastapi"][1]:
            before_yen = front.balance_yen
            assert call(front, case).status_code == case.status or not case.status
            front.stage.wait()
            assert before_yen - front.balance_yen == case.yen, case


def layered(app: Any, layers: int) -> Any:
    for _ in range(layers):
        app = CORSMiddleware(app, allow_origins=["*"])
    return app


def test_routes_are_seen_through_middleware_around_the_application(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    with gated(layered(quart_app(), 3), wallets, wallet, price_yen=3) as front:
        assert front.call("/search").status_code == 308
        assert front.balance_yen == CREDIT_YEN


class Versioned:
    """Middleware that takes ``/v1`` off a path before the application sees it."""

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            scope = {**scope, "path": scope["path"].removeprefix("/v1")}
        await self.app(scope, receive, send)


def test_a_handler_that_ran_at_an_unknown_path_has_answered(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    """Whatever its status: it is the framework's own answer only if no handler ran."""
    with gated(Versioned(django_app()), wallets, wallet, price_yen=3) as front:
        for path, status, yen in (("search/", 200, 3), ("missing", 404, 3), ("nowhere", 404, 0), ("search", 301, 0)):
            before_yen = front.balance_yen
            assert front.call(f"/v1/{path}").status_code == status
            front.stage.wait()
            assert before_yen - front.balance_yen == yen, path
        assert front.call("/v1/missing", token=None).status_code == 401


@pytest.fixture
def quart_gated(wallets: CreditWallet, wallet: CreatedWallet) -> Iterator[Front]:
    app: Any = quart_app()
    app.asgi_app = CreditGate(app.asgi_app, wallets, price_yen=3)
    stage = Stage(app)
    with ExitStack() as open_:
        served = open_.enter_context(Served(stage))
        yield Front(served.url, stage, wallets, wallet)


def test_a_gate_within_quart_sees_its_routes(quart_gated: Front) -> None:
    assert [quart_gated.call(path).status_code for path in ("/search", "/nowhere", "/search/")] == [308, 404, 200]
    assert quart_gated.entries() == [("charge", -3, "GET /search/")]


def test_an_application_whose_routes_cannot_be_seen_pays_for_all_but_405(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    async def handler(scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG001
        await answer(send, int(scope["path"][1:]))

    with gated(Application(handler), wallets, wallet, price_yen=3) as front:
        assert [front.call(f"/{status}").status_code for status in (404, 405, 422)] == [404, 405, 422]
        front.stage.wait(3)
        assert front.balance_yen == CREDIT_YEN - 6


def test_the_note_is_the_route_of_every_framework(wallets: CreditWallet, wallet: CreatedWallet, framework: str) -> None:
    paths = ["/items/7", *({"fastapi": ["/api/v1/items/7", "/sub/items/7"]}.get(framework, []))]
    with gated(FRAMEWORKS[framework][0](), wallets, wallet, price_yen=3) as front:
        for path in paths:
            assert front.call(path).status_code == 200
    notes = {
        "fastapi": ["GET /items/{item}", "GET /api/v1/items/{item}", "GET /sub/items/{item}"],
        "starlette": ["GET /items/{item:int}"],
        "litestar": ["GET /items/{item}"],
        "quart": ["GET /items/<int:item>"],
        "flask": ["GET /items/<int:item>"],
        "django": ["GET /items/<int:item>"],
    }
    assert [note for _, _, note in front.entries()] == notes[framework]
