"""HEAD on every address that has a GET, what the document calls the operations, and numbers in addresses and queries.

HEAD: every GET of the document, and those beside it: ``/docs``, ``/openapi.json``, refusals, with and without a token,
through the fast lane's application and without it, and over a socket, where a body would be read as the next answer.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from databases import SqliteFiles
from http_answers import assert_problem, funded
from openapi_document import document
from service import OPERATOR_KEY, Api, Service, new_app
from stand_in import StandIn

from credit_wallet import CreditWallet
from credit_wallet.http import (
    access_routes,
    all_wallets_routes,
    budget_routes,
    consent_routes,
    correction_routes,
    entry_names,
    grant_routes,
    key_routes,
    log_routes,
    mcp_routes,
    movement_routes,
    notice_routes,
    operator_routes,
    operators_routes,
    payment_routes,
    personal_routes,
    price_routes,
    purchase_routes,
    system_routes,
    transfer_routes,
    usage_routes,
    wallet_routes,
)
from credit_wallet.http.mirrored_routes import TITLES, twin_name

DOCUMENT = document()
OPERATIONS: dict[tuple[str, str], dict[str, Any]] = {
    (method.upper(), path): operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
GETS = [path for method, path in OPERATIONS if method == "GET"]
TOPUP = "tu_1"


@pytest.fixture(scope="module")
def wallets(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CreditWallet]:
    """One for all tests, as they move nothing: wallet 1 has entry 1, hold 1, key 1."""
    with SqliteFiles(tmp_path_factory.mktemp("methods")).ledger() as url, CreditWallet.open(url) as opened:
        yield opened


@pytest.fixture(scope="module")
def owner_token(wallets: CreditWallet) -> str:
    created = funded(wallets)
    wallets.hold(1, 10, idempotency_key="h")
    wallets.keys.create(1)
    return created.owner_token


@pytest.fixture(scope="module", params=[True, False], ids=["fast lane", "documented"])
def api(request: pytest.FixtureRequest, wallets: CreditWallet, owner_token: str) -> Iterator[tuple[Api, str]]:
    """An application, and the owner's token."""
    with Api(new_app(wallets, payments=StandIn(), fast_lane=request.param)) as opened:
        for path, token in (("/credit/wallet", owner_token), ("/operator/wallets", OPERATOR_KEY)):
            assert opened.get(path, token).status_code == 200  # known, whatever bad tokens come from here as well
        yield opened, owner_token


def filled(path: str) -> str:
    return re.sub(r"\{\w+\}", "1", path)


# HEAD


@pytest.mark.usefixtures("many_bad_tokens_are_allowed")
@pytest.mark.parametrize("path", [*GETS, "/docs", "/openapi.json"])
@pytest.mark.parametrize("with_token", [True, False])
def test_head_answers_as_get_does_without_a_body(api: tuple[Api, str], path: str, with_token: bool) -> None:
    api_, owner = api
    token = (OPERATOR_KEY if path.startswith("/operator") else owner) if with_token else None
    got, head = (api_.call(method, filled(path), token) for method in ("GET", "HEAD"))
    assert got.status_code != 405
    assert (head.status_code, head.content) == (got.status_code, b"")
    sent_in_pieces = path.endswith("/statement") and with_token
    differ = {"x-request-id"} | ({"content-length"} if path in ("/metrics", "/operator/health") else set())
    assert {**head.headers, **dict.fromkeys(differ)} == {**got.headers, **dict.fromkeys(differ)}
    assert sent_in_pieces or int(head.headers["content-length"]) > 0


@pytest.mark.parametrize("path", [path for method, path in OPERATIONS if ("GET", path) not in OPERATIONS])
def test_head_is_refused_where_there_is_no_get(api: tuple[Api, str], path: str) -> None:
    head = api[0].call("HEAD", filled(path), api[1])
    assert (head.status_code, head.content) == (405, b"")
    assert "HEAD" not in head.headers["allow"]


@pytest.mark.parametrize("path", GETS)
def test_what_an_address_takes_has_head_beside_get(api: tuple[Api, str], path: str) -> None:
    allowed = api[0].call("OPTIONS", filled(path), api[1]).headers["allow"].split(", ")
    assert {"GET", "HEAD"} <= set(allowed)


def test_head_over_a_socket_leaves_the_connection_in_step(tmp_path: Path) -> None:
    with (
        Service(f"sqlite:///{tmp_path}/w.db") as service,
        socket.create_connection(("127.0.0.1", service.port)) as line,
    ):
        for path in ("/healthz", "/metrics", "/docs", "/nope"):
            line.sendall(f"HEAD {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        line.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        answers = b"".join(iter(lambda: line.recv(65_536), b""))
    assert re.findall(rb"HTTP/1.1 (\d+)", answers) == [b"200", b"200", b"200", b"404", b"200"]
    assert answers.count(b'{"status":"ok"}') == 1
    assert answers.endswith(b'\r\n\r\n{"status":"ok"}')


# What operations are called


def test_operations_are_called_by_the_names_of_our_functions() -> None:
    modules = (
        access_routes,
        all_wallets_routes,
        budget_routes,
        consent_routes,
        correction_routes,
        entry_names,
        grant_routes,
        key_routes,
        log_routes,
        mcp_routes,
        movement_routes,
        notice_routes,
        operator_routes,
        operators_routes,
        payment_routes,
        personal_routes,
        price_routes,
        purchase_routes,
        system_routes,
        transfer_routes,
        usage_routes,
        wallet_routes,
    )
    ours = {name.replace("_", "") for module in modules for name in vars(module)}
    ours |= {twin_name(handler.fn.__name__).replace("_", "") for handler in TITLES}
    for operation in OPERATIONS.values():
        assert operation["operationId"].lower() in ours
        assert re.fullmatch(r"[a-z]+([A-Z][a-z]+)*", operation["operationId"])


def test_no_two_operations_have_one_id() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(ids)) == len(ids)
    assert not [each for each in ids if "callable" in each.lower() or "handler" in each.lower()]


def test_every_operation_says_what_it_does() -> None:
    assert [key for key, operation in OPERATIONS.items() if not operation.get("description")] == []


# Numbers

ODD = ["1_0", "+3", "3.0", "1e1", " 3", "3 ", "\uff13", "03", "\u0663", "0x3", "3,0", "--3", "", "1" * 40]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/credit/transactions", "limit"),
        ("/credit/transactions", "key_id"),
        ("/credit/transactions", "cursor"),
        ("/credit/topups", "limit"),
        ("/credit/budgets", "key_id"),
        ("/credit/budgets", "limit"),
        ("/credit/budgets/changes", "before"),
        ("/credit/lots/expired", "days"),
        ("/credit/topups/consents", "before"),
        ("/operator/grants", "wallet_id"),
        ("/operator/wallets", "limit"),
        ("/operator/sellers", "after"),
        ("/operator/operators", "after"),
        ("/operator/log", "wallet_id"),
        ("/operator/log", "cursor"),
        ("/credit/log", "cursor"),
    ],
)
def test_a_number_in_a_query_is_in_plain_digits(api: tuple[Api, str], path: str, name: str, odd: str) -> None:
    token = OPERATOR_KEY if path.startswith("/operator") else api[1]
    assert_problem(api[0].call("GET", path, token, params={name: odd}), 422, "invalid_request", field=name)
    assert api[0].call("GET", path, token, params={name: "1"}).status_code == 200


def test_every_whole_number_of_a_query_is_tried_above() -> None:
    names = {
        parameter["name"]
        for operation in OPERATIONS.values()
        for parameter in operation.get("parameters", ())
        if parameter["in"] == "query" and parameter["schema"]["type"] == "integer"
    }
    assert names == {"limit", "key_id", "wallet_id", "after", "before", "days", "cursor"}


@pytest.mark.parametrize("odd", [each for each in ODD if each])
@pytest.mark.parametrize(
    "path", ["/credit/transactions/{}", "/credit/holds/{}", "/credit/keys/{}", "/operator/wallets/{}"]
)
def test_an_id_in_an_address_is_in_plain_digits(api: tuple[Api, str], path: str, odd: str) -> None:
    token = OPERATOR_KEY if path.startswith("/operator") else api[1]
    assert api[0].call("GET", path.format("1"), token).status_code == 200
    refused = api[0].call("GET", path.format(odd.replace(" ", "%20")), token)
    assert refused.status_code in (404, 422)
    assert refused.json()["code"] in ("not_found", "invalid_request")


@pytest.mark.parametrize(("path", "cycle"), [("/credit/alerts", "2026-05\n"), ("/credit/statement", "2026-05\n")])
def test_a_line_end_is_no_part_of_a_cycle(api: tuple[Api, str], path: str, cycle: str) -> None:
    assert_problem(api[0].call("GET", path, api[1], params={"cycle": cycle}), 422, "invalid_request", field="cycle")
