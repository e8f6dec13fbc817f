"""What the OpenAPI document of a gated application says of prices: true, also after the price book has changed."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from fastapi import APIRouter, Depends, FastAPI
from gated import Application, Front, gated, start
from http_answers import funded
from litestar import Litestar, get, post
from litestar.di import NamedDependency, Provide
from litestar.params import FromPath
from served import Served
from starlette.applications import Starlette
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import Mount

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.middleware import X402, CreditGate, Item, priced

PRICES = """
[[price]]
item = "search"
unit_price_yen = "3.30"

[[price]]
item = "tokens"
unit_price_yen = "0.2"
per = 1000
"""

FIXED = {"mode": "fixed", "currency": "JPY", "amount": "3.3"}
ITEM = {"item": "search", "per": 1, "price_version": 1, "unit_price": "3.3"}


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    wallets.prices.apply(PRICES)
    return funded(wallets)


@pytest.fixture(params=["embedded", "remote"])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def api(**options: Any) -> FastAPI:
    """Routes that are priced in every way of FastAPI's."""
    app = FastAPI(**options)
    inner = APIRouter(prefix="/inner", dependencies=[Depends(priced(yen="0.5"))])
    paid = priced("search")

    @app.get("/search/{word}", dependencies=[Depends(priced("search"))])
    async def search(word: str) -> str:
        return word

    @app.post("/search/{word}")
    @priced(hold=Item("tokens", 5_000), items=["tokens"])
    async def write(word: str) -> str:
        return word

    def user(purchase: Any = Depends(paid)) -> Any:  # noqa: B008 - FastAPI's way
        return purchase

    @app.get("/nested")
    async def nested(user: Any = Depends(user)) -> str:  # noqa: B008
        return str(user)

    @inner.get("/route")
    async def route() -> str:
        return "inner"

    @app.get("/free")
    async def free() -> str:
        return "free"

    app.include_router(inner)
    return app


def shown(front: Front, path: str = "/openapi.json") -> dict[str, Any]:
    """What the document says of each operation."""
    answered = front.call(path, token=None)
    assert answered.status_code == 200
    assert int(answered.headers["content-length"]) == len(answered.content)
    return {
        f"{method} {template}": operation.get("x-payment-info")
        for template, item in answered.json()["paths"].items()
        for method, operation in item.items()
        if ("402" in operation["responses"]) == ("x-payment-info" in operation)
    }


def test_operations_say_what_they_cost_as_the_book_has_it(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    with gated(api(), wallets, wallet, where) as front:
        before = shown(front)
        wallets.prices.apply(PRICES.replace("3.30", "4"))
        after = shown(front)
    assert before == {
        "get /search/{word}": {
            "price": FIXED,
            "protocols": [
                {"credit-wallet": {"header": "Authorization", "description": "¥3.3 a call", "items": [ITEM]}}
            ],
        },
        "post /search/{word}": {
            "price": {"mode": "dynamic", "currency": "JPY", "min": "0", "max": "1"},
            "protocols": [
                {
                    "credit-wallet": {
                        "header": "Authorization",
                        "description": "up to ¥1 a call: tokens at ¥0.2 per 1,000",
                        "items": [{"item": "tokens", "per": 1_000, "price_version": 1, "unit_price": "0.2"}],
                    }
                }
            ],
        },
        "get /nested": before["get /search/{word}"],
        "get /inner/route": {
            "price": {"mode": "fixed", "currency": "JPY", "amount": "0.5"},
            "protocols": [{"credit-wallet": {"header": "Authorization", "description": "¥0.5 a call"}}],
        },
        "get /free": None,
    }
    assert after["get /search/{word}"]["price"] == {"mode": "fixed", "currency": "JPY", "amount": "4"}
    assert after["get /search/{word}"]["protocols"][0]["credit-wallet"]["items"][0]["price_version"] == 2


def test_a_price_of_the_gates_is_every_operations(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(api(), wallets, wallet, price="search") as front:
        assert {info["price"]["amount"] for info in shown(front).values() if "amount" in info["price"]} == {
            "3.3",
            "0.5",
        }
    with gated(Application(), wallets, wallet, price="search") as front:
        assert front.call("/openapi.json", token=None).status_code == 401  # no framework: no document


def test_a_price_that_depends_on_the_request_says_so(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    app = FastAPI()

    @app.get("/search")
    async def search() -> str:
        return "found"

    with gated(app, wallets, wallet, price=lambda _: "search") as front:
        assert shown(front)["get /search"]["price"] == {"mode": "dynamic", "currency": "JPY"}


def test_x402_is_named_where_it_is_taken(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    x402 = X402(
        pay_to="0x01", network="eip155:84532", asset="0x02", units_per_yen=6_700, facilitator_url="http://127.0.0.1:1"
    )
    with gated(api(), wallets, wallet, x402=x402) as front:
        found = shown(front)
    assert found["get /search/{word}"]["protocols"][1] == {"x402": {}}
    assert len(found["post /search/{word}"]["protocols"]) == 1  # a hold cannot be paid so


@pytest.mark.parametrize("path", ["/openapi.json", "/spec/v1.json"])
def test_the_document_may_be_elsewhere_and_compressed(wallets: CreditWallet, wallet: CreatedWallet, path: str) -> None:
    app = api(openapi_url=path)
    app.add_middleware(GZipMiddleware, minimum_size=1)
    with gated(app, wallets, wallet) as front:
        assert shown(front, path)["get /search/{word}"]["price"] == FIXED


def test_a_gate_may_be_mounted_itself(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    app = Starlette(routes=[Mount("/api", CreditGate(api(), wallets))])
    with Served(app) as served:
        document = httpx.get(f"{served.url}/api/openapi.json").json()
    assert document["paths"]["/search/{word}"]["get"]["x-payment-info"]["price"] == FIXED
    assert wallet


def test_a_mounted_application_has_its_own_document(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    app = FastAPI()
    app.mount("/sub", api())
    with gated(app, wallets, wallet) as front:
        assert shown(front, "/sub/openapi.json")["get /search/{word}"]["price"] == FIXED
        assert front.call("/openapi.json").json()["paths"] == {}


def test_litestars_document_has_them_too(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    @get("/search/{word:str}", guards=[priced("search")])
    async def search(word: FromPath[str]) -> str:
        return word

    @post("/write", dependencies={"paid": Provide(priced(yen="0.5"))})
    async def write(paid: NamedDependency[Any]) -> str:
        return str(paid)

    @get("/decorated")
    @priced("search")
    async def decorated() -> str:
        return "found"

    @get("/free")
    async def free() -> str:
        return "free"

    with gated(Litestar([search, write, decorated, free]), wallets, wallet) as front:
        found = shown(front, "/schema/openapi.json")
    assert {name: info and info["price"].get("amount") for name, info in found.items()} == {
        "get /search/{word}": "3.3",
        "post /write": "0.5",
        "get /decorated": "3.3",
        "get /free": None,
    }


def test_a_price_that_has_gone_is_not_made_up(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    with gated(api(), wallets, wallet) as front:
        wallets.prices.apply(PRICES.replace('"search"', '"find"'))
        found = shown(front)
    assert found["get /search/{word}"] == {
        "price": {"mode": "dynamic", "currency": "JPY"},
        "protocols": [
            {"credit-wallet": {"header": "Authorization", "description": "not set by the seller yet; calls fail"}}
        ],
    }
    assert found["get /inner/route"]["price"]["amount"] == "0.5"


def test_an_application_does_not_start_with_a_route_whose_item_has_no_price(
    wallets: CreditWallet, wallet: CreatedWallet
) -> None:
    assert wallet
    assert start(CreditGate(api(), wallets))[0]["type"] == "lifespan.startup.complete"
    wallets.prices.apply(PRICES.replace('"tokens"', '"letters"'))
    refused = start(CreditGate(api(), wallets))
    assert (refused[0]["type"], "no price for tokens" in refused[0]["message"]) == ("lifespan.startup.failed", True)
