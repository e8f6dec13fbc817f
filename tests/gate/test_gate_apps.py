"""``@priced`` on the handlers of frameworks that have no dependencies: priced by their answers, as the gate does.

Kinds looked at: an answer, a failure (5xx and an exception), the handler's own 404, a stream that reports what it used,
a function that a handler calls, two priced functions in one request, no gate, no wallets; in Django (ASGI, functions
and classes), Quart, and Flask behind an adapter.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from types import ModuleType
from typing import Any, cast

import pytest
from asgiref.wsgi import WsgiToAsgi
from django_project import django_app
from flask import Flask
from flask import Response as FlaskResponse
from gated import gated
from http_answers import assert_problem, funded
from quart import Quart
from quart import Response as QuartResponse

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.middleware import charge_for, priced

CREDIT_YEN = 10_000


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return funded(wallets)


@priced(yen=2)
async def helper() -> str:
    return "helped"


def django_priced() -> Any:  # noqa: C901 - as many handlers as there are kinds of answers
    app = django_app()
    from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
    from django.urls import clear_url_caches, path
    from django.views import View

    @priced(yen=3)
    async def found(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
        return HttpResponse("found")

    @priced(yen=3)
    def blocking(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
        return HttpResponse("found")

    @priced(yen=3)
    async def unavailable(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
        return HttpResponse(status=503)

    @priced(yen=3)
    async def missing(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
        return HttpResponse(status=404)

    @priced(yen=3)
    async def breaks(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
        raise RuntimeError("broken")

    @priced(hold=50)
    async def stream(request: HttpRequest) -> StreamingHttpResponse:  # noqa: ARG001
        purchase = charge_for()

        async def parts() -> AsyncIterator[bytes]:
            yield b"a"
            yield b"b"
            purchase.capture(4)

        return StreamingHttpResponse(parts())

    @priced(hold=5, items=["tokens"], facts={"model": "small"})
    async def tokens(request: HttpRequest) -> StreamingHttpResponse:  # noqa: ARG001
        purchase = charge_for()

        async def parts() -> AsyncIterator[bytes]:
            for _ in range(3):
                yield b"token "
                purchase.capture(item="tokens")

        return StreamingHttpResponse(parts())

    @priced("search")
    async def sought(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
        return HttpResponse("found")

    async def helped(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
        return HttpResponse(await helper())

    @priced(yen=3)
    async def twice(request: HttpRequest) -> HttpResponse:  # noqa: ARG001
        return HttpResponse(await helper())

    class Seen(View):  # type: ignore[misc]
        @priced(yen=3)
        async def get(self, request: HttpRequest) -> HttpResponse:  # noqa: ARG002
            return HttpResponse("found")

    urls = ModuleType("credit_wallet_test_urls")
    cast(Any, urls).urlpatterns = [
        *(path(each.__name__, each) for each in (found, blocking, unavailable, missing, breaks, stream, helped, twice)),
        *(path(each.__name__, each) for each in (tokens, sought)),
        path("view", Seen.as_view()),
    ]
    sys.modules["credit_wallet_test_urls"] = urls
    clear_url_caches()
    return app


def quart_priced() -> Quart:
    app = Quart("shop")

    @app.get("/found")
    @priced(yen=3)
    async def found() -> str:
        return "found"

    @app.get("/blocking")
    @priced(yen=3)
    def blocking() -> str:
        return "found"

    @app.get("/unavailable")
    @priced(yen=3)
    async def unavailable() -> QuartResponse:
        return QuartResponse("later", 503)

    @app.get("/missing")
    @priced(yen=3)
    async def missing() -> QuartResponse:
        return QuartResponse("none", 404)

    @app.get("/breaks")
    @priced(yen=3)
    async def breaks() -> str:
        raise RuntimeError("broken")

    @app.get("/stream")
    @priced(hold=50)
    async def stream() -> QuartResponse:
        purchase = charge_for()

        async def parts() -> AsyncIterator[bytes]:
            yield b"a"
            yield b"b"
            purchase.capture(4)

        return QuartResponse(parts())

    @app.get("/helped")
    async def helped() -> str:
        return str(await helper())

    @app.get("/twice")
    @priced(yen=3)
    async def twice() -> str:
        return str(await helper())

    return app


def flask_priced() -> Any:
    app = Flask("shop")

    @app.get("/found")
    @priced(yen=3)
    async def found() -> str:
        return "found"

    @app.get("/blocking")
    @priced(yen=3)
    def blocking() -> str:
        return "found"

    @app.get("/unavailable")
    @priced(yen=3)
    def unavailable() -> FlaskResponse:
        return FlaskResponse("later", 503)

    @app.get("/missing")
    @priced(yen=3)
    def missing() -> FlaskResponse:
        return FlaskResponse("none", 404)

    @app.get("/breaks")
    @priced(yen=3)
    def breaks() -> str:
        raise RuntimeError("broken")

    @app.get("/stream")
    @priced(hold=50)
    def stream() -> FlaskResponse:
        purchase = charge_for()

        def parts() -> Iterator[bytes]:
            yield b"a"
            yield b"b"
            purchase.capture(4)

        return FlaskResponse(parts())

    @app.get("/helped")
    async def helped() -> str:
        return str(await helper())

    @app.get("/twice")
    @priced(yen=3)
    async def twice() -> str:
        return str(await helper())

    return cast(Any, WsgiToAsgi)(app)


APPS: dict[str, Callable[[], Any]] = {"django": django_priced, "quart": quart_priced, "flask": flask_priced}


@pytest.fixture(params=list(APPS))
def app(request: pytest.FixtureRequest) -> Any:
    return APPS[request.param]()


@pytest.mark.parametrize(
    ("path", "status", "paid"),
    [
        ("/found", 200, [-3]),
        ("/blocking", 200, [-3]),
        ("/unavailable", 503, [-3, 3]),
        ("/missing", 404, [-3]),
        ("/breaks", 500, [-3, 3]),
        ("/stream", 200, [-4]),
        ("/helped", 200, [-2]),
        ("/twice", 500, [-3, 3]),
    ],
)
def test_a_priced_handler_is_priced_by_its_answer(
    wallets: CreditWallet, wallet: CreatedWallet, app: Any, path: str, status: int, paid: list[int]
) -> None:
    with gated(app, wallets, wallet) as front:
        assert front.call(path).status_code == status
    assert [yen for _, yen, _ in front.entries()] == paid
    assert front.entries()[0][2] == f"GET {path}"
    assert wallets.show(wallet.wallet_id).held_yen == 0
    assert wallets.verify() == []


def test_a_priced_handler_refuses_as_the_service_does(wallets: CreditWallet, wallet: CreatedWallet, app: Any) -> None:
    with gated(app, wallets, wallet) as front:
        assert_problem(front.call("/found", token=None), 401, "unauthorized")
        assert_problem(front.call("/stream", token=wallets.create().owner_token), 402, "insufficient_funds")
        assert [front.call("/found", key="a").headers.get("idempotent-replayed") for _ in range(2)] == [None, "true"]


def test_a_method_of_a_class_has_a_price(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(django_priced(), wallets, wallet) as front:
        assert front.call("/view").headers["x-wallet-balance"] == "9997"
        assert front.call("/view", method="POST").status_code == 405
        assert front.entries() == [("charge", -3, "GET /view")]


def test_a_django_view_sells_by_the_book(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    wallets.prices.apply(
        '[[price]]\nitem = "search"\nunit_price_yen = "3.30"\n'
        '[[price]]\nitem = "tokens"\nunit_price_yen = "0.2"\nper = 1000\n'
    )
    with gated(django_priced(), wallets, wallet) as front:
        assert front.call("/tokens", headers={"X-Wallet-Facts": "run=r1"}).text == "token token token "
        front.stage.wait()
        assert front.call("/sought").headers["x-wallet-balance-exact"] == "9996.6994"
    [search, tokens, _] = wallets.history(wallet.wallet_id)
    assert (search.item, str(search.amount), search.note) == ("search", "-3.3", "GET /sought")
    assert (tokens.item, tokens.quantity or 0, str(tokens.amount)) == ("tokens", 3, "-0.0006")
    assert (tokens.facts, tokens.agent_facts) == ({"model": "small"}, {"run": "r1"})
    assert wallets.verify() == []


def test_a_priced_function_without_a_gate_says_what_to_do() -> None:
    with pytest.raises(RuntimeError, match="CreditGate"):
        helper().send(None)  # type: ignore[attr-defined]


def test_a_function_that_yields_its_answer_is_refused_at_once() -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"a"

    with pytest.raises(TypeError, match="Depends"):
        priced(yen=3)(stream)
