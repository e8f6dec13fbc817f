"""Guessing tokens: what an address that has sent too many bad ones gets, and what its neighbours do."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import NamedTuple

import pytest
from gated import Application
from http_answers import assert_problem, funded
from service import OPERATOR_KEY, Api, new_app
from structlog.testing import capture_logs

from credit_wallet import CreditWallet
from credit_wallet.config import TRUSTED_PROXIES
from credit_wallet.domain.tokens import new_token
from credit_wallet.errors import InvalidRequest
from credit_wallet.http.forwarded import Forwarded, TrustedProxies
from credit_wallet.middleware import CreditGate
from credit_wallet.wire import failure_limit
from credit_wallet.wire.asgi import AsgiApp
from credit_wallet.wire.failure_limit import (
    FAILURES_ALLOWED,
    FAILURES_SECONDS,
    KNOWN_SECONDS,
    LINES_A_MINUTE,
    FailureLimit,
    address_group,
)
from credit_wallet.wire.problems import TooManyFailures

ADDRESS = "192.0.2.66"
GOOD, OTHER_GOOD, BAD = (sha256(text).digest() for text in (b"good", b"other", b"bad"))


class Clock:
    """Seconds that a test sets."""

    now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock_of_limit() -> Clock:
    return Clock()


@pytest.fixture
def limit(clock_of_limit: Clock) -> FailureLimit:
    return FailureLimit(clock_of_limit)


def shut(limit: FailureLimit, address: str = ADDRESS) -> None:
    for _ in range(FAILURES_ALLOWED):
        limit.admit(address, BAD)
        limit.failed(address, BAD, "unknown")


# The rule


def test_nothing_new_passes_once_there_were_too_many_and_all_of_it_when_the_time_is_over(
    limit: FailureLimit, clock_of_limit: Clock
) -> None:
    shut(limit)
    for digest in (BAD, GOOD, b""):
        with pytest.raises(TooManyFailures) as refused:
            limit.admit(ADDRESS, digest)
        assert refused.value.details["retry_after_seconds"] == FAILURES_SECONDS
    clock_of_limit.now += FAILURES_SECONDS - 1
    with pytest.raises(TooManyFailures):
        limit.admit(ADDRESS, GOOD)
    clock_of_limit.now += 1
    limit.admit(ADDRESS, GOOD)


def test_guesses_while_it_is_shut_do_not_keep_it_shut(limit: FailureLimit, clock_of_limit: Clock) -> None:
    shut(limit)
    for _ in range(500):
        with pytest.raises(TooManyFailures):
            limit.admit(ADDRESS, BAD)
    clock_of_limit.now += FAILURES_SECONDS
    shut(limit)


def test_what_was_good_there_before_goes_on_passing_for_a_while(limit: FailureLimit, clock_of_limit: Clock) -> None:
    limit.succeeded(ADDRESS, GOOD)
    limit.succeeded("192.0.2.77", OTHER_GOOD)
    shut(limit)
    limit.admit(ADDRESS, GOOD)
    with pytest.raises(TooManyFailures):
        limit.admit(ADDRESS, OTHER_GOOD)  # good, but never from there
    clock_of_limit.now += KNOWN_SECONDS
    shut(limit)
    with pytest.raises(TooManyFailures):
        limit.admit(ADDRESS, GOOD)


def test_a_token_that_has_come_to_its_end_passes_no_more(limit: FailureLimit) -> None:
    limit.succeeded(ADDRESS, GOOD)
    limit.failed(ADDRESS, GOOD, "unknown")
    for _ in range(FAILURES_ALLOWED - 1):
        limit.failed(ADDRESS, BAD, "unknown")
    with pytest.raises(TooManyFailures):
        limit.admit(ADDRESS, GOOD)


def test_a_good_guess_that_was_being_looked_up_when_the_address_was_shut_is_refused(limit: FailureLimit) -> None:
    limit.admit(ADDRESS, GOOD)
    shut(limit)
    with pytest.raises(TooManyFailures):
        limit.succeeded(ADDRESS, GOOD)
    with pytest.raises(TooManyFailures):
        limit.failed(ADDRESS, BAD, "unknown")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "2001:0DB8:0:0:ffff::", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "", True),
    ],
)
def test_an_ipv6_network_counts_as_one_caller(one: str, other: str, *, same: bool) -> None:
    assert (address_group(one) == address_group(other)) == same


def test_memory_is_bounded(clock_of_limit: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(failure_limit, "WATCHED_ADDRESSES", 10)
    monkeypatch.setattr(failure_limit, "KNOWN_TOKENS", 10)
    limit = FailureLimit(clock_of_limit)
    for number in range(100):
        limit.failed(f"192.0.2.{number}", BAD, "unknown")
        limit.succeeded(f"198.51.100.{number}", GOOD)
    assert (len(limit._windows), len(limit._known)) == (10, 10)


# What is said of it


def test_failures_are_logged_with_address_count_and_kind_and_a_bounded_number_of_lines(limit: FailureLimit) -> None:
    with capture_logs() as logs:
        shut(limit)
        for _ in range(480):
            with pytest.raises(TooManyFailures):
                limit.admit(ADDRESS, BAD)
    assert [(line["address"], line["failures"]) for line in logs] == [(ADDRESS, 1), (ADDRESS, 20), (ADDRESS, 200)]
    assert logs[-1] == {
        "event": "bad_tokens",
        "log_level": "warning",
        "address": ADDRESS,
        "failures": 200,
        "unknown": 20,
        "refused": 180,
    }


def test_many_addresses_cannot_fill_the_log(limit: FailureLimit, clock_of_limit: Clock) -> None:
    with capture_logs() as logs:
        for number in range(1_000):
            limit.failed(f"10.0.{number >> 8}.{number & 255}", BAD, "unknown")
        clock_of_limit.now += FAILURES_SECONDS
        limit.failed(ADDRESS, BAD, "unknown")
    assert len(logs) == LINES_A_MINUTE + 2
    assert logs[-2] == {"event": "bad_tokens_untold", "log_level": "warning", "lines": 1_000 - LINES_A_MINUTE}


# Over HTTP


class Neighbours(NamedTuple):
    """One application and two addresses that call it."""

    app: AsgiApp
    here: Api
    elsewhere: Api
    token: str


@pytest.fixture(params=["fast lane", "documented"])
def neighbours(request: pytest.FixtureRequest, wallets: CreditWallet) -> Iterator[Neighbours]:
    wallet = funded(wallets)
    app = new_app(wallets, fast_lane=request.param == "fast lane")
    with Api(app, ADDRESS) as here, Api(app, "192.0.2.77") as elsewhere:
        yield Neighbours(app, here, elsewhere, wallet.owner_token)


CALLS = [("GET", "/credit/wallet"), ("POST", "/credit/charge"), ("POST", "/mcp"), ("GET", "/metrics")]


@pytest.mark.parametrize(("method", "path"), CALLS)
def test_the_right_guess_among_too_many_wrong_ones_is_not_let_through(
    neighbours: Neighbours, method: str, path: str
) -> None:
    def guess(token: str | None) -> int:
        return neighbours.here.call(method, path, token, key="a", json={"amount_yen": 1}).status_code

    assert [guess(new_token()) for _ in range(FAILURES_ALLOWED)] == [401] * FAILURES_ALLOWED
    assert {guess(token) for token in (new_token(), neighbours.token, OPERATOR_KEY)} == {429}
    answer = neighbours.here.get("/operator/wallets", OPERATOR_KEY)
    assert_problem(answer, 429, "too_many_failures")
    assert 1 <= int(answer.headers["retry-after"]) <= FAILURES_SECONDS
    assert neighbours.elsewhere.get("/operator/wallets", OPERATOR_KEY).status_code == 200
    assert neighbours.elsewhere.get("/credit/wallet", neighbours.token).status_code == 200


def test_a_caller_behind_the_same_address_is_not_locked_out(neighbours: Neighbours) -> None:
    assert neighbours.here.get("/credit/wallet", neighbours.token).status_code == 200
    for _ in range(FAILURES_ALLOWED + 5):
        neighbours.here.get("/credit/wallet", new_token())
    assert neighbours.here.post("/credit/charge", neighbours.token, key="k", amount_yen=1).status_code == 200
    assert neighbours.here.get("/operator/wallets", OPERATOR_KEY).status_code == 429


def test_a_forwarded_address_that_nobody_vouches_for_is_not_looked_at(neighbours: Neighbours) -> None:
    for number in range(FAILURES_ALLOWED):
        headers = {"X-Forwarded-For": f"198.51.100.{number}", "Forwarded": "for=198.51.100.1", "X-Real-Ip": "1.2.3.4"}
        neighbours.here.call("GET", "/credit/wallet", new_token(), headers=headers)
    answer = neighbours.here.call("GET", "/credit/wallet", new_token(), headers={"X-Forwarded-For": "203.0.113.9"})
    assert answer.status_code == 429


@pytest.mark.parametrize(
    ("peer", "headers", "caller"),
    [
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["203.0.113.9, 198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["203.0.113.9, 198.51.100.1, 10.1.2.3"], "198.51.100.1"),
        ("127.0.0.1", ["203.0.113.9", "198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["2001:DB8::1"], "2001:db8::1"),
        ("127.0.0.1", [], "127.0.0.1"),
        ("127.0.0.1", ["unknown"], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1, x\nforged"], "127.0.0.1"),
        ("127.0.0.1", ["10.1.2.3"], "10.1.2.3"),
        ("192.0.2.1", ["198.51.100.1"], "192.0.2.1"),
        ("::ffff:127.0.0.1", ["198.51.100.1, ::ffff:10.1.2.3"], "198.51.100.1"),
        ("::ffff:192.0.2.1", ["198.51.100.1"], "::ffff:192.0.2.1"),
    ],
)
def test_the_caller_behind_trusted_proxies_is_the_last_address_that_is_none_of_them(
    peer: str, headers: list[str], caller: str
) -> None:
    seen = []

    async def app(scope: object, receive: object, send: object) -> None:  # noqa: ARG001
        seen.append(scope["client"][0])  # type: ignore[index]

    front = Forwarded(app, TrustedProxies("127.0.0.1, 10.0.0.0/8"))
    scope = {"type": "http", "client": (peer, 1), "headers": [(b"x-forwarded-for", each.encode()) for each in headers]}
    coroutine = front(scope, None, None)  # type: ignore[arg-type]
    with pytest.raises(StopIteration):
        coroutine.send(None)
    assert seen == [caller]


@pytest.mark.parametrize("text", ["", "127.0.0.1,", "x", "127.0.0.1/8", "*", "10.0.0.0/33"])
def test_proxies_that_make_no_sense_are_refused_by_name(text: str) -> None:
    with pytest.raises(InvalidRequest, match=TRUSTED_PROXIES.name):
        TrustedProxies(text)


def test_a_gate_lets_no_right_guess_through_either(wallets: CreditWallet) -> None:
    wallet, app = funded(wallets), Application()
    with Api(CreditGate(app, wallets, price_yen=3), ADDRESS) as api:
        for _ in range(FAILURES_ALLOWED):
            assert api.get("/", new_token()).status_code == 401
        assert api.get("/", wallet.owner_token).status_code == 429
    assert app.ran == 0
