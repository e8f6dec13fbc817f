"""The tools of an agent: what is listed, and the same results over every transport."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from mcp.shared.exceptions import MCPError
from mcp_clients import Connection, Tools, over_http
from mcp_ledger import TOOLS, Ledger
from service import TOPUP_URL

from credit_wallet.domain.cycle import cycle_bounds, format_instant, parse_instant

# What is offered


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_every_tool_has_schemas_and_says_what_it_does_to_the_world(ledger: Ledger, mode: str) -> None:
    async def talk(tools: Tools) -> Any:
        return (await tools.client.list_tools()).tools

    listed = over_http(ledger.url, mode)(ledger.agent.token, talk)
    assert [tool.name for tool in listed] == TOOLS
    for tool in listed:
        assert (tool.input_schema["type"], tool.output_schema["type"]) == ("object", "object")
        assert tool.input_schema["additionalProperties"] is False
        assert tool.output_schema["required"]
        assert tool.title
        assert tool.title == tool.annotations.title
        assert tool.description
    assert [_hints(tool) for tool in listed] == [(True, False, True, False)] * 3 + [(False, False, False, True)]


REFUSED_BY_HOSTS = {"$ref", "$defs", "anyOf", "oneOf", "allOf", "prefixItems"}
"""Keywords for which hosts or model providers refuse a tool, or a whole list of tools."""


def test_schemas_use_only_what_every_host_understands(ledger: Ledger) -> None:
    """Cursor refuses unions in arguments, Gemini's API references; both, and ``enum`` without ``type``."""

    async def talk(tools: Tools) -> Any:
        return (await tools.client.list_tools()).tools

    for tool in over_http(ledger.url)(ledger.agent.token, talk):
        for schema in (tool.input_schema, tool.output_schema):
            for part in _parts(schema):
                assert not REFUSED_BY_HOSTS & part.keys(), tool.name
                assert "type" in part, tool.name
        for parameter in tool.input_schema["properties"].values():
            assert isinstance(parameter["type"], str)
            assert parameter["description"]


def test_a_parameter_may_be_null_all_the_same(ledger: Ledger) -> None:
    """Some models fill in every parameter."""
    page = over_http(ledger.url)(
        ledger.owner.owner_token,
        lambda tools: tools.call("credit_wallet_transactions", cursor=None, type=None, key_id=None, note=None),
    )
    assert [entry["amount_yen"] for entry in page["transactions"]] == [-40, -3, 5_000]


def _parts(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A schema and the schemas in it."""
    yield schema
    inner = [*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])]
    for each in inner:
        yield from _parts(each)


def _hints(tool: Any) -> tuple[bool, ...]:
    said = tool.annotations
    return said.read_only_hint, said.destructive_hint, said.idempotent_hint, said.open_world_hint


@pytest.mark.parametrize("mode", ["auto", "legacy"])
def test_the_server_says_who_it_is(ledger: Ledger, mode: str) -> None:
    async def talk(tools: Tools) -> tuple[Any, Any]:
        return tools.client.server_info, tools.client.instructions

    info, instructions = over_http(ledger.url, mode)(ledger.agent.token, talk)
    assert (info.name, info.title) == ("credit-wallet", "Agent Credit Wallet")
    assert "credit_wallet_status" in instructions


# What the tools answer


def test_an_agent_is_told_what_it_can_spend(ledger: Ledger, connection: Connection) -> None:
    status = connection(ledger.agent.token, lambda tools: tools.call("credit_wallet_status"))
    key = status.pop("key")
    assert (key["key_id"], key["label"], key["monthly_cap_yen"]) == (ledger.agent.key_id, "crawler", 200)
    assert status == {
        "wallet_id": ledger.owner.wallet_id,
        "label": "acme",
        "spendable_yen": 197,
        "spendable": "197",
        "enabled": True,
        "balance_yen": 4_957,
        "balance": "4957",
        "held_yen": 0,
        "held": "0",
        "debt_yen": 0,
        "debt": "0",
        "monthly_budget_yen": 1_000,
        "budget_mode": "alert",
        "current_cycle": f"{datetime.now(UTC):%Y-%m}",
        "time_zone": "UTC",
        "current_cycle_spent_yen": 43,
        "current_cycle_spent": "43",
        "warn_pct": 0,
        "auto_topup": {
            "state": "off",
            "payment_method": None,
            "reason": None,
            "retry_at": None,
            "action_url": None,
        },
        "topup_url": TOPUP_URL,
        "lots": [
            {
                "lot_id": 1,
                "kind": "paid",
                "remaining_yen": 4_957,
                "remaining": "4957",
                "expires_at": None,
                "days_left": None,
            }
        ],
        "next_expiring": None,
        "budgets": [
            limit("monthly-1", "everything", "alert", left=957, of=1_000, spent=43),
            limit(f"key-{ledger.agent.key_id}", f"key_id={ledger.agent.key_id}", "cap", left=197, of=200, spent=3),
        ],
    }


def limit(budget_id: str, applies_to: str, mode: str, *, left: int, of: int, spent: int) -> dict[str, Any]:
    """A monthly limit as an agent sees it."""
    cycle_end = cycle_bounds(f"{datetime.now(UTC):%Y-%m}", "UTC")[1]
    return {
        "budget_id": budget_id,
        "label": "crawler" if budget_id.startswith("key-") else None,
        "unit": "yen",
        "applies_to": applies_to,
        "window": "month",
        "mode": mode,
        "limit": str(of),
        "spent": str(spent),
        "left": str(left),
        "resets_at": format_instant(parse_instant(cycle_end)),
    }


def test_the_tools_show_exact_amounts_items_and_facts(ledger: Ledger, connection: Connection) -> None:
    ledger.wallets.charge(1, "3.30", facts={"tool": "search"}, idempotency_key="exact")

    async def talk(tools: Tools) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], str]:
        page = await tools.call("credit_wallet_transactions", limit=1)
        status, forecast = await tools.call("credit_wallet_status"), await tools.call("credit_wallet_forecast")
        return page["transactions"][0], status, forecast, await tools.budget()

    entry, status, forecast, budget = connection(ledger.owner.owner_token, talk)
    assert (entry["amount_yen"], entry["amount"]) == (-4, "-3.3")  # whole yen of the balance: from 4,957 to 4,953
    assert (entry["item"], entry["facts"], entry["agent_facts"]) == (None, {"tool": "search"}, {})
    assert (status["balance_yen"], status["balance"], status["spendable"]) == (4_953, "4953.7", "4953.7")
    assert (forecast["balance"], forecast["spent"]) == ("4953.7", "46.3")
    assert "- You can spend ¥4,953.7 now." in budget


def test_transactions_come_in_pages_and_by_key_and_note(ledger: Ledger, connection: Connection) -> None:
    async def talk(tools: Tools) -> list[list[int]]:
        first = await tools.call("credit_wallet_transactions", limit=2)
        rest = await tools.call("credit_wallet_transactions", limit=2, cursor=first["next_cursor"])
        assert rest["next_cursor"] is None
        own = await tools.call("credit_wallet_transactions", key_id=ledger.agent.key_id)
        noted = await tools.call("credit_wallet_transactions", note="tool summarize", type="charge")
        pages = (first, rest, own, noted)
        return [[entry["amount_yen"] for entry in page["transactions"]] for page in pages]

    assert connection(ledger.owner.owner_token, talk) == [[-40, -3], [5_000], [-3], [-40]]


def test_a_forecast_and_the_budget_in_words(ledger: Ledger, connection: Connection) -> None:
    async def talk(tools: Tools) -> tuple[dict[str, Any], str]:
        [prompt] = (await tools.client.list_prompts()).prompts
        assert (prompt.name, prompt.title) == ("credit_wallet_budget", "Your budget")
        return await tools.call("credit_wallet_forecast"), await tools.budget()

    forecast, words = connection(ledger.agent.token, talk)
    assert (forecast["wallet_id"], forecast["balance_yen"]) == (ledger.owner.wallet_id, 4_957)
    assert "You can spend ¥197 now." in words
    assert "of its cap of ¥200" in words


def test_an_agent_that_asks_for_a_top_up_is_sent_to_the_owner(ledger: Ledger, connection: Connection) -> None:
    guide = connection(ledger.agent.token, lambda tools: tools.call("credit_wallet_topup", amount_yen=1_500))
    assert guide == {
        "wallet_id": ledger.owner.wallet_id,
        "amount_yen": 1_500,
        "amount": "1500",
        "missing_yen": 1_500,
        "missing": "1500",
        "balance_yen": 4_957,
        "balance": "4957",
        "status": "ask_the_owner",
        "what_to_do": "An agent key cannot pay. Ask the owner of wallet 1 to top up ¥1,500 at "
        "https://wallet.test/topup.",
        "topup_url": TOPUP_URL,
        "topup_id": None,
        "checkout_url": None,
    }


def test_an_owner_is_told_when_nobody_can_pay(ledger: Ledger, connection: Connection) -> None:
    guide = connection(ledger.owner.owner_token, lambda tools: tools.call("credit_wallet_topup", amount_yen=1_500))
    assert (guide["status"], guide["checkout_url"], guide["missing_yen"]) == ("payments_not_configured", None, 1_500)
    assert guide["what_to_do"].startswith("This installation takes no payments.")


@pytest.mark.parametrize("connection", ["http", "stdio to a service"], indirect=True)
def test_nobody_sees_another_wallet(ledger: Ledger, connection: Connection) -> None:
    async def talk(tools: Tools) -> str:
        answers = [await tools.call(name) for name in TOOLS[:3]]
        answers.append(await tools.call("credit_wallet_transactions", key_id=ledger.agent.key_id))
        assert {answer["wallet_id"] for answer in answers if "wallet_id" in answer} == {ledger.stranger.wallet_id}
        return f"{answers} {await tools.budget()}"

    seen = connection(ledger.stranger.owner_token, talk)
    assert "77" in seen
    for secret in ("acme", "crawler", "GET /search", "4957", "4,957", "invoice 1"):
        assert secret not in seen


@pytest.mark.parametrize(
    ("name", "arguments", "told"),
    [
        ("credit_wallet_topup", {}, "invalid_amount: amount_yen is missing"),
        ("credit_wallet_topup", {"amount_yen": 0}, "invalid_amount: amount_yen must be a whole number, 1 or more"),
        (
            "credit_wallet_topup",
            {"amount_yen": 1.5},
            "invalid_amount: amount_yen must be a whole number, not a fraction",
        ),
        ("credit_wallet_topup", {"amount_yen": "1"}, "invalid_amount: amount_yen must be a whole number, not text"),
        (
            "credit_wallet_topup",
            {"amount_yen": 1, "wallet_id": 2},
            "invalid_request: wallet_id is not a field of this request",
        ),
        (
            "credit_wallet_topup",
            {"amount_yen": 1, "idempotency_key": "é"},
            "invalid_request: idempotency_key must be 1 to 255 printable",
        ),
        ("credit_wallet_transactions", {"limit": 201}, "invalid_request: limit must be a whole number, 200 or less"),
        ("credit_wallet_transactions", {"cursor": "x"}, "invalid_request: cursor must be the next_cursor of a page"),
        (
            "credit_wallet_transactions",
            {"type": "gift"},
            "invalid_request: type must be topup, charge, refund, expire or reversal, not 'gift'",
        ),
        ("credit_wallet_transactions", {"note": "x" * 501}, "invalid_request: note must have 500 or fewer characters"),
        ("credit_wallet_status", {"wallet_id": 2}, "invalid_request: wallet_id is not a field of this request"),
    ],
)
def test_what_is_wrong_with_an_argument_is_said_with_the_code(
    ledger: Ledger, name: str, arguments: dict[str, Any], told: str
) -> None:
    refusal = over_http(ledger.url)(ledger.owner.owner_token, lambda tools: tools.refusal(name, **arguments))
    assert refusal.startswith(told)


def test_a_tool_or_a_prompt_that_is_not_there_is_an_error_of_the_protocol(ledger: Ledger) -> None:
    async def talk(tools: Tools) -> None:
        with pytest.raises(MCPError, match="unknown tool credit_wallet_spend; the tools are credit_wallet_status"):
            await tools.client.call_tool("credit_wallet_spend", {})
        with pytest.raises(MCPError, match="unknown prompt riches"):
            await tools.client.get_prompt("riches")

    over_http(ledger.url)(ledger.agent.token, talk)
