"""Facts about calls: the seller's and the agent's, kept apart; for headers that are no facts nothing moves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from gated import Application, Front, gated
from http_answers import assert_problem, funded

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.errors import InvalidRequest
from credit_wallet.gate.facts import MAX_HEADER_BYTES, agent_facts
from credit_wallet.middleware import CreditGate, GatedRequest, charge_for, priced

CREDIT_YEN = 10_000


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    return funded(wallets)


@pytest.fixture(params=["embedded", "remote"])
def where(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def told(front: Front) -> list[tuple[dict[str, str], dict[str, str]]]:
    """The seller's and the agent's facts of every charge."""
    history = reversed(front.wallets.history(front.wallet.wallet_id))
    return [(each.facts, each.agent_facts) for each in history if each.txn_type == "charge"]


def test_seller_and_agent_each_tell_their_own(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    with gated(Application(), wallets, wallet, where, price_yen=3, facts={"tool": "search", "model": "small"}) as front:
        assert front.call().status_code == 200
        assert front.call(headers={"X-Wallet-Facts": 'run=r1, project="spring sale"'}).status_code == 200
    assert told(front) == [
        ({"model": "small", "tool": "search"}, {}),
        ({"model": "small", "tool": "search"}, {"project": "spring sale", "run": "r1"}),
    ]


def test_an_agent_cannot_set_a_fact_of_the_sellers(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    with gated(Application(), wallets, wallet, where, price_yen=3, facts={"tool": "search"}) as front:
        assert front.call(headers={"X-Wallet-Facts": "tool=free_lunch"}).status_code == 200
    assert told(front) == [({"tool": "search"}, {"tool": "free_lunch"})]


def test_facts_may_depend_on_the_request(wallets: CreditWallet, wallet: CreatedWallet, where: str) -> None:
    async def facts(request: GatedRequest) -> Mapping[str, str] | None:
        return {"customer": request.query_params["customer"]} if "customer" in request.query_params else None

    with gated(Application(), wallets, wallet, where, price_yen=3, facts=facts) as front:
        assert front.call("/?customer=acme").status_code == 200
        assert front.call("/").status_code == 200
    assert told(front) == [({"customer": "acme"}, {}), ({}, {})]


def test_a_route_tells_more_than_its_gate(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    @priced(yen=3, facts=lambda request: {"path": request.path})
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        await Application()(scope, receive, send)

    with gated(Application(handler), wallets, wallet, facts={"path": "any", "seller": "acme"}) as front:
        assert front.call("/x").status_code == 200
    assert told(front) == [({"path": "/x", "seller": "acme"}, {})]


READ: dict[str, dict[str, str]] = {
    "": {},
    "run=r1": {"run": "r1"},
    "run=r1,project=p": {"run": "r1", "project": "p"},
    "  run=r1 \t,\t project=p  ": {"run": "r1", "project": "p"},
    "run=2026-11-28T12:00:00Z": {"run": "2026-11-28T12:00:00Z"},
    'run="a, b=c; d"': {"run": "a, b=c; d"},
    r'run="a \"quoted\" \\ text"': {"run": r"a " '"quoted"' r" \ text"},
    'customer=%"%e6%a0%aa%e5%bc%8f"': {"customer": "株式"},
    f"run={'x' * 64}": {"run": "x" * 64},
}


@pytest.mark.parametrize("header", READ)
def test_a_header_is_read_as_a_dictionary_of_structured_fields(header: str) -> None:
    assert agent_facts([(b"x-wallet-facts", header.encode())], {}) == READ[header]


def test_lines_of_the_header_are_one_list() -> None:
    lines = [(b"x-wallet-facts", b"run=r1"), (b"other", b"x=y"), (b"x-wallet-facts", b"project=p")]
    assert agent_facts(lines, {}) == {"run": "r1", "project": "p"}


BAD = {
    "10,000 facts": ", ".join(f"k{number}=v" for number in range(10_000)),
    "nine": ", ".join(f"k{number}=v" for number in range(9)),
    "no value": "run",
    "an empty value": "run=",
    "an empty string": 'run=""',
    "an upper case key": "Run=r1",
    "a key of signs": "run-id=r1",
    "a key that begins with a digit": "1run=r1",
    "a long key": f"{'k' * 33}=v",
    "a long value": f"run={'v' * 65}",
    "twice": "run=r1, run=r2",
    "no comma": "run=r1 project=p",
    "a trailing comma": "run=r1,",
    "a leading comma": ",run=r1",
    "two commas": "run=r1,,project=p",
    "an open quote": 'run="r1',
    "a bad escape": r'run="\n"',
    "parameters": "run=r1;x=y",
    "an inner list": "run=(a b)",
    "half a character": 'run=%"%e6%a0"',
    "a control character": 'run=%"%00"',
    "a line break": 'run=%"a%0ab"',
    "JSON": '{"run": "r1"}',
    "raw UTF-8": "customer=株式",
    "much of nothing": " " * (MAX_HEADER_BYTES + 1),
}


@pytest.mark.parametrize("case", BAD)
def test_a_header_that_is_none_is_refused(case: str) -> None:
    with pytest.raises(InvalidRequest, match="X-Wallet-Facts") as refused:
        agent_facts([(b"x-wallet-facts", BAD[case].encode())], {})
    assert refused.value.details["field"] == "X-Wallet-Facts"
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize("case", ["nine", "10,000 facts", "twice", "an upper case key"])
def test_a_call_with_such_a_header_is_refused_and_nothing_moves(
    wallets: CreditWallet, wallet: CreatedWallet, where: str, case: str
) -> None:
    app = Application()
    with gated(app, wallets, wallet, where, price_yen=3) as front:
        sent = BAD[case][:3_000] if len(BAD[case]) > 3_000 else BAD[case]
        refused = front.call(key="a", headers={"X-Wallet-Facts": sent})
        assert_problem(refused, 422, "invalid_request")
        assert refused.json()["field"] == "X-Wallet-Facts"
        assert (app.ran, front.entries()) == (0, [])
        assert front.call(key="a").status_code == 200  # the same request, put right


@pytest.mark.parametrize(("sellers", "agents", "status"), [(8, 0, 200), (3, 5, 200), (3, 6, 422), (8, 1, 422)])
def test_seller_and_agent_share_the_room(
    wallets: CreditWallet, wallet: CreatedWallet, sellers: int, agents: int, status: int
) -> None:
    facts = {f"s{number}": "x" for number in range(sellers)}
    sent = ", ".join(f"a{number}=x" for number in range(agents))
    with gated(Application(), wallets, wallet, price_yen=3, facts=facts) as front:
        assert front.call(headers={"X-Wallet-Facts": sent} if sent else {}).status_code == status
    assert wallets.verify() == []


@pytest.mark.parametrize(
    "facts",
    [
        {f"k{number}": "x" for number in range(9)},
        {"Tool": "x"},
        {"tool": ""},
        {"tool": "x" * 65},
        {"tool": 3},
        {1: "x"},
    ],
)
def test_a_seller_hears_of_bad_facts_at_once(wallets: CreditWallet, facts: Any) -> None:
    with pytest.raises(ValueError, match=r"fact|key|value"):
        CreditGate(Application(), wallets, price_yen=3, facts=facts)
    with pytest.raises(ValueError, match=r"fact|key|value"):
        priced(yen=3, facts=facts)


def test_bad_facts_of_a_function_are_the_applications_fault(wallets: CreditWallet, wallet: CreatedWallet) -> None:
    app = Application()
    with gated(app, wallets, wallet, price_yen=3, facts=lambda _: {"Tool": "x"}) as front:
        assert front.call().status_code == 500
    assert (app.ran, front.entries()) == (0, [])


def test_an_agent_leaves_room_for_what_the_handler_adds(
    wallets: CreditWallet, wallet: CreatedWallet, where: str
) -> None:
    async def handler(scope: Any, receive: Any, send: Any) -> None:
        charge_for(scope).capture(3, facts={"model": "small"})
        await Application()(scope, receive, send)

    sent = {f"a{number}": "x" for number in range(8)}
    header = ", ".join(f"{key}=x" for key in sent)
    with gated(Application(handler), wallets, wallet, where, hold=5) as front:
        assert front.call(headers={"X-Wallet-Facts": header}).status_code == 200
    assert told(front) == [({"model": "small"}, dict.fromkeys(list(sent)[:7], "x"))]
