"""Every limit on spending, set so that ¥8 pass and ¥5 more do not; and every door at which an agent meets it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from decimal import Decimal
from itertools import count
from typing import Any, NamedTuple, TypeAlias

import httpx
import httpx2
import mcp1
from gated import Application, gated
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.server import MCPServer
from mcp_types import CallToolResult
from paid_tools import text_of
from served import Served
from service import OPERATOR_KEY, TOPUP_URL, Api, credentials, new_app

from credit_wallet import CreditWallet
from credit_wallet.client import Retries, WalletClient
from credit_wallet.domain.views import CreatedKey, CreatedWallet
from credit_wallet.errors import SpendingRefused
from credit_wallet.middleware import CreditGate, priced

LIMIT = 10
FACTS = {"run": "r1"}
"""Of every payment at every door."""


class Told(NamedTuple):
    """What an agent learns of its payment: nothing but ``paid``, or why it was refused."""

    paid: bool
    code: str = ""
    max_amount: Decimal | None = None
    retry_at: str | None = None
    wait_seconds: int | None = None
    budget: dict[str, Any] | None = None


PAID = Told(paid=True)

Pay: TypeAlias = Callable[[int], Told]
"""Pays so many yen, each time with a new idempotency key."""


class Limit(NamedTuple):
    """What ``set_up`` sets: ``code`` refuses, and the same passes at ``passes_at``, None if waiting does not help."""

    set_up: Callable[[CreditWallet, int, int], object]
    code: str
    left: str
    passes_at: str | None
    credit_yen: int = 10_000


def _budget(**asked: Any) -> Callable[[CreditWallet, int, int], object]:
    return lambda wallets, wallet_id, _: wallets.budgets.create(wallet_id, **asked)


LIMITS = {
    "monthly budget": Limit(
        lambda wallets, wallet_id, _: wallets.configure(wallet_id, monthly_budget_yen=LIMIT, budget_mode="cap"),
        "budget_exhausted",
        "2",
        "2026-06-01T00:00:00.000Z",
    ),
    "key cap": Limit(
        lambda wallets, _, key_id: wallets.keys.configure(key_id, monthly_cap_yen=LIMIT),
        "key_cap_exhausted",
        "2",
        "2026-06-01T00:00:00.000Z",
    ),
    "yen a day": Limit(_budget(limit_yen=LIMIT, window="day"), "budget_exhausted", "2", "2026-05-16T00:00:00.000Z"),
    "calls a minute": Limit(
        _budget(limit_calls=1, window="minute"), "call_limit_reached", "0", "2026-05-15T12:01:00.000Z"
    ),
    "rolling hour": Limit(
        _budget(limit_yen=LIMIT, window="rolling:1h"), "budget_exhausted", "2", "2026-05-15T13:00:00.000Z"
    ),
    "each run": Limit(
        _budget(limit_yen=LIMIT, window="week", scope={"run": "*"}),
        "budget_exhausted",
        "2",
        "2026-05-18T00:00:00.000Z",
    ),
    "a run for good": Limit(
        _budget(limit_yen=LIMIT, window="total", scope={"run": "r1"}), "budget_exhausted", "2", None
    ),
    "balance": Limit(lambda *_: None, "insufficient_funds", "2", None, credit_yen=LIMIT),
}


def of_document(document: dict[str, Any], retry_after: str | None = None) -> Told:
    """What a problem document says."""
    seconds = document.get("retry_after_seconds")
    assert retry_after == (None if seconds is None else str(seconds)), (retry_after, document)
    return Told(
        False,
        document["code"],
        Decimal(document["max_amount"]),
        document["retry_at"],
        seconds,
        document.get("budget"),
    )


def of_refusal(refusal: SpendingRefused) -> Told:
    """What the library's or the client's exception says."""
    budget = refusal.budget
    shown = None if budget is None else {name: _as_text(value) for name, value in budget._asdict().items()}
    seconds = refusal.details.get("retry_after_seconds")
    assert seconds is None or isinstance(seconds, int)
    return Told(False, refusal.code, refusal.max_amount, refusal.retry_at, seconds, shown)


def of_tool(failed: bool, text: str) -> Told:
    """What a model and its program are told: a line of words, then one of figures."""
    if not failed:
        return PAID
    words, _, figures = text.partition("\n")
    document = json.loads(figures)
    code = next(limit.code for limit in LIMITS.values() if f"{limit.code}: " in words)
    seconds = document.get("retry_after_seconds")
    return of_document({**document, "code": code}, None if seconds is None else str(seconds))


def _as_text(value: object) -> object:
    return f"{value:f}" if isinstance(value, Decimal) else value


def _of_response(response: httpx.Response) -> Told:
    if response.is_success:
        return PAID
    assert response.status_code == (429 if response.json()["code"] == "call_limit_reached" else 402)
    return of_document(response.json(), response.headers.get("retry-after"))


# Doors


@contextmanager
def library(wallets: CreditWallet, wallet: CreatedWallet, key: CreatedKey) -> Iterator[Pay]:
    keys = count()

    def pay(yen: int) -> Told:
        try:
            wallets.charge(wallet.wallet_id, yen, idempotency_key=f"{next(keys)}", key_id=key.key_id, facts=FACTS)
        except SpendingRefused as refusal:
            return of_refusal(refusal)
        return PAID

    yield pay


def over_http(path: str, *, fast_lane: bool) -> Callable[[CreditWallet, CreatedWallet, CreatedKey], Any]:
    @contextmanager
    def door(wallets: CreditWallet, wallet: CreatedWallet, key: CreatedKey) -> Iterator[Pay]:  # noqa: ARG001
        keys = count()
        with Api(new_app(wallets, fast_lane=fast_lane)) as api:

            def pay(yen: int) -> Told:
                body = {"amount_yen": yen, "facts": FACTS}
                return _of_response(api.call("POST", path, key.token, key=f"{next(keys)}", json=body))

            yield pay

    return door


@contextmanager
def purchases(wallets: CreditWallet, wallet: CreatedWallet, key: CreatedKey) -> Iterator[Pay]:  # noqa: ARG001
    keys = count()
    with Api(new_app(wallets)) as api:

        def pay(yen: int) -> Told:
            body = {"amount_yen": yen, "facts": FACTS, "attempt": "a"}
            payer = {"X-Payer-Token": key.token}
            answer = api.call("POST", "/credit/purchase", OPERATOR_KEY, key=f"{next(keys)}", json=body, headers=payer)
            return _of_response(answer)

        yield pay


@contextmanager
def in_a_batch(wallets: CreditWallet, wallet: CreatedWallet, key: CreatedKey) -> Iterator[Pay]:  # noqa: ARG001
    keys = count()
    with Api(new_app(wallets)) as api:

        def pay(yen: int) -> Told:
            item = {
                "wallet_id": wallet.wallet_id,
                "amount_yen": yen,
                "facts": FACTS,
                "idempotency_key": f"{next(keys)}",
            }
            [told] = api.post("/credit/charge/batch", OPERATOR_KEY, charges=[item]).json()["outcomes"]
            seconds = told.get("retry_after_seconds")
            return PAID if "txn_id" in told else of_document(told, None if seconds is None else str(seconds))

        yield pay


@contextmanager
def through_the_client(wallets: CreditWallet, wallet: CreatedWallet, key: CreatedKey) -> Iterator[Pay]:  # noqa: ARG001
    with (
        Served(new_app(wallets)) as service,
        WalletClient(service.url, key.token, retries=Retries(attempts=1)) as client,
    ):

        def pay(yen: int) -> Told:
            try:
                client.charge(yen, facts=FACTS)
            except SpendingRefused as refusal:
                return of_refusal(refusal)
            return PAID

        yield pay


def gate(where: str) -> Callable[[CreditWallet, CreatedWallet, CreatedKey], Any]:
    @contextmanager
    def door(wallets: CreditWallet, wallet: CreatedWallet, key: CreatedKey) -> Iterator[Pay]:
        prices: dict[str, Any] = {"price_yen": lambda request: int(request.query_params["yen"]), "facts": FACTS}
        application = Application()
        with gated(application, wallets, wallet, where, **prices) as front:

            def pay(yen: int) -> Told:
                ran = application.ran
                told = _of_response(front.call(f"/?yen={yen}", token=key.token))
                assert application.ran == ran + told.paid
                return told

            yield pay

    return door


def _shop() -> MCPServer:
    server = MCPServer("shop")

    def tool(yen: int) -> None:
        @server.tool(name=f"pay{yen}")
        @priced(yen=yen, facts=FACTS)
        async def paid(q: str) -> str:
            return q

    for yen in (2, 5, 8):
        tool(yen)
    return server


@contextmanager
def mcp_2(wallets: CreditWallet, wallet: CreatedWallet, key: CreatedKey) -> Iterator[Pay]:  # noqa: ARG001
    async def call(url: str, yen: int) -> Told:
        async with (
            httpx2.AsyncClient(headers=credentials(key.token)) as http,
            Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
        ):
            result = await client.call_tool(f"pay{yen}", {"q": "tuna"})
            return of_tool(bool(result.is_error), text_of(result))

    with Served(CreditGate(_shop().streamable_http_app(), wallets, topup_url=TOPUP_URL)) as served:
        yield lambda yen: asyncio.run(call(served.url, yen))


@contextmanager
def mcp_1(wallets: CreditWallet, wallet: CreatedWallet, key: CreatedKey) -> Iterator[Pay]:  # noqa: ARG001
    def pay(yen: int) -> Told:
        [(failed, text)] = mcp1.calling(served.url, "stateless", key.token, [f"pay{yen}:tuna"])
        return of_tool(failed, text)

    with Served(CreditGate(_shop().streamable_http_app(), wallets, topup_url=TOPUP_URL)) as served:
        yield pay


def tool_calls(wallets: CreditWallet, token: str, result: CallToolResult, *, calls: int, **price: Any) -> list[str]:
    """What a tool answers that costs ``price`` and returns ``result``, called so many times."""
    server = MCPServer("shop")

    @server.tool()
    @priced(**price)
    async def report() -> CallToolResult:
        return result

    async def use(url: str) -> list[str]:
        async with (
            httpx2.AsyncClient(headers=credentials(token)) as http,
            Client(streamable_http_client(f"{url}/mcp", http_client=http)) as client,
        ):
            return [text_of(await client.call_tool("report", {})) for _ in range(calls)]

    with Served(CreditGate(server.streamable_http_app(), wallets)) as served:
        return asyncio.run(use(served.url))


DOORS: dict[str, Callable[..., Any]] = {
    "library": library,
    "charge": over_http("/credit/charge", fast_lane=True),
    "charge, documented route": over_http("/credit/charge", fast_lane=False),
    "hold": over_http("/credit/hold", fast_lane=True),
    "purchase": purchases,
    "batch": in_a_batch,
    "client": through_the_client,
    "gate": gate("embedded"),
    "remote gate": gate("remote"),
    "MCP 2": mcp_2,
    "MCP 1": mcp_1,
}


def instant(text: str) -> datetime:
    """An instant as refusals say it."""
    return datetime.fromisoformat(text)
