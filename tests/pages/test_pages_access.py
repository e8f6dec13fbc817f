"""Who sees which page and who may send which form: every page there is, by every kind of visitor.

The adversaries: a stranger, an owner who looks for the console, an operator whose role may not, a page of somebody else
that sends a form in a visitor's name, and a form that was asked for in another session.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from plain_sql import PlainSql, contents
from service import Api, new_app
from visiting import Visitor

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.pages.application import import_pages
from credit_wallet.pages.routes import ROUTES, Route

import_pages()  # else there are none yet when this file is run by itself

PARAMETERS = {"wallet_id": "1", "link": "cw_link_x", "asset": "x"}
OPEN = {("POST", "/sign-in"), ("POST", "/sign-out"), ("POST", "/framed/sign-out"), ("POST", "/enter/{link}")}
OWN = {("POST", "/wallet/settings/sign-out-everywhere")}
"""What everybody may do who is signed in: it is about their own sessions."""

SEARCHES = {("POST", "/console/wallets"), ("POST", "/console/find")}
"""They change nothing: a form keeps what is looked for, which may be a token, out of addresses."""

PAGES = [route for route in ROUTES.all if route.method == "GET" and route.who != "anybody"]
ACTIONS = [route for route in ROUTES.all if route.method == "POST" and (route.method, route.path) not in OPEN]


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


def address(route: Route) -> str:
    path = route.path
    while "{" in path:
        before, _, rest = path.partition("{")
        name, _, after = rest.partition("}")
        path = f"{before}{PARAMETERS.get(name, '1')}{after}"
    return path


@pytest.fixture
def api(wallets: CreditWallet) -> Iterator[Api]:
    with Api(new_app(wallets, public_url="http://wallet.test")) as opened:
        yield opened


@pytest.fixture
def host(db_url: str) -> Iterator[PlainSql]:
    with PlainSql(db_url) as opened:
        yield opened


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    made = wallets.create(label="shop")
    wallets.topup(made.wallet_id, 10_000, idempotency_key="first")
    return made


def test_a_stranger_is_sent_to_sign_in_and_comes_back_to_the_page(api: Api, wallet: CreatedWallet) -> None:
    for route in PAGES:
        answer = Visitor(api).get(address(route))
        if route.path.startswith("/framed"):
            assert answer.status_code == 401, named(route)
        else:
            assert (answer.status_code, answer.headers["location"]) == (303, f"/sign-in?next={address(route)}"), (
                route.path
            )
    visitor = Visitor(api)
    answer = visitor.fill("/sign-in?next=/wallet/keys", "/sign-in", token=wallet.owner_token)
    assert answer.headers["location"] == "/wallet/keys"


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.test",
        "https://evil.test/wallet",
        "/wallet//evil",
        "/walletx",
        "\\\\evil",
        "/enter/x",
        "/wallet/\r\nset-cookie: x=1",
        "/wallet/鍵",
    ],
)
def test_nobody_is_led_elsewhere_by_an_address(api: Api, wallet: CreatedWallet, elsewhere: str) -> None:
    visitor = Visitor(api)
    fields = visitor.form(visitor.get("/sign-in").text, "/sign-in")
    answer = visitor.send("/sign-in", {**fields, "next": elsewhere, "token": wallet.owner_token})
    assert answer.status_code == 303
    assert answer.headers["location"] in ("/", "/wallet//evil")


def test_an_owner_has_no_page_of_the_console_and_an_operator_no_wallet(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet, host: PlainSql
) -> None:
    owner = Visitor(api).sign_in(wallet.owner_token)
    operator = Visitor(api).sign_in(wallets.operators.create("ann", "admin").token)
    csrf = {"owner": owner.csrf("/wallet/keys"), "operator": operator.csrf("/console")}
    before = contents(host)
    for route in ROUTES.all:
        if route.who in ("operator", "owner") and not route.path.startswith("/framed"):
            other, whose = (owner, "owner") if route.who == "operator" else (operator, "operator")
            answer = (
                other.get(address(route))
                if route.method == "GET"
                else other.send(address(route), {"csrf": csrf[whose]})
            )
            assert answer.status_code == 403, named(route)
    assert contents(host) == before


@pytest.mark.parametrize(
    ("what", "headers", "csrf"),
    [
        ("no token against forgery", {}, None),
        ("that of another session", {}, "other"),
        ("a page of another site", {"origin": "https://evil.test"}, "own"),
        ("a page of no site", {"origin": "null"}, "own"),
        ("another site, as the browser says", {"sec_fetch_site": "cross-site"}, "own"),
        ("another host of the same site", {"sec_fetch_site": "same-site"}, "own"),
    ],
)
def test_a_form_from_elsewhere_does_nothing(
    api: Api,
    wallets: CreditWallet,
    wallet: CreatedWallet,
    host: PlainSql,
    what: str,
    headers: dict[str, str],
    csrf: str | None,
) -> None:
    owner = Visitor(api).sign_in(wallet.owner_token)
    operator = Visitor(api).sign_in(wallets.operators.create("ann", "admin").token)
    other = Visitor(api).sign_in(wallets.create().owner_token)
    tokens = {owner: owner.csrf("/wallet/keys"), operator: operator.csrf("/console"), other: other.csrf("/wallet/keys")}
    before = contents(host)
    for route in [*ACTIONS, *(each for each in ROUTES.all if each.path == "/sign-out")]:
        if route.path.startswith("/framed"):
            continue
        visitor = operator if route.who == "operator" else owner
        sent = {} if csrf is None else {"csrf": tokens[other if csrf == "other" else visitor]}
        answer = visitor.send(address(route), sent, **headers)
        assert answer.status_code == 403, (what, named(route))
    assert contents(host) == before


@pytest.mark.usefixtures("wallet")
def test_no_form_is_taken_without_a_session(api: Api, host: PlainSql) -> None:
    before = contents(host)
    for route in ACTIONS:
        stranger = Visitor(api)
        answer = stranger.send(address(route), {"csrf": stranger.csrf("/sign-in")})
        assert answer.status_code in (303, 401), named(route)
        assert "/sign-in" in answer.headers.get("location", "/sign-in")
    assert contents(host) == before


def test_who_may_only_look_changes_nothing(
    api: Api, wallets: CreditWallet, wallet: CreatedWallet, host: PlainSql
) -> None:
    """Every action is refused to an operator who may view, and to an agent key that may read its own part."""
    viewer = Visitor(api).sign_in(wallets.operators.create("vic", "viewer").token)
    agent = Visitor(api).sign_in(wallets.keys.create(wallet.wallet_id, scopes=["read"]).token)
    tokens = {viewer: viewer.csrf("/console"), agent: agent.csrf("/wallet/keys")}
    before = contents(host)
    for route in ACTIONS:
        if not route.path.startswith("/framed") and (route.method, route.path) not in OWN:
            visitor = viewer if route.who == "operator" else agent
            answer = visitor.send(address(route), {"csrf": tokens[visitor], "idempotency_key": "k"})
            refusals = (303,) if (route.method, route.path) in SEARCHES else (403, 404, 422)
            assert answer.status_code in refusals, named(route)
    assert contents(host) == before


def test_what_pages_say_about_themselves(api: Api, wallet: CreatedWallet) -> None:
    owner = Visitor(api).sign_in(wallet.owner_token)
    for path in ("/wallet/keys", "/sign-in", "/wallet/nothing-here", "/console"):
        headers = owner.get(path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "same-origin"
