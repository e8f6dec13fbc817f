"""Hostile input: no server error, no movement, and a problem document or a closed connection."""

from __future__ import annotations

import select
import socket
import sys
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import product
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from service import OPERATOR_KEY, Api, Service, credentials, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.tokens import new_token

CREDIT_YEN = 1_000


class Target(NamedTuple):
    """An application in this process, its ledger, and the token of wallet 1."""

    api: Api
    wallets: CreditWallet
    token: str


@pytest.fixture
def target(wallets: CreditWallet) -> Iterator[Target]:
    """Wallet 1 has ``CREDIT_YEN``, of which hold 1 keeps 10. Whatever a test does, nothing may move."""
    token = wallets.create().owner_token
    wallets.topup(1, CREDIT_YEN, idempotency_key="start")
    wallets.hold(1, 10, idempotency_key="hold")
    before = (wallets.show(1), wallets.history(1))
    with Api(new_app(wallets)) as api:
        yield Target(api, wallets, token)
    assert (wallets.show(1), wallets.history(1)) == before
    assert wallets.verify() == []


def assert_refused(answer: httpx.Response) -> None:
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail", "code"} <= answer.json().keys()


# Numbers and JSON

NUMBERS = {
    "zero": b"0",
    "negative": b"-1",
    "minus zero": b"-0",
    "too large": b"1000000000001",
    "largest 64-bit": b"9223372036854775807",
    "beyond 64 bits": b"9223372036854775808",
    "5,000 digits": b"9" * 5_000,
    "float": b"1.5",
    "whole float": b"3.0",
    "exponent": b"1e2",
    "tiny": b"1e-400",
    "infinite exponent": b"1e400",
    "NaN": b"NaN",
    "Infinity": b"Infinity",
    "-Infinity": b"-Infinity",
    "text": b'"three"',
    "quoted exponent": b'"1e2"',
    "quoted sign": b'"+3"',
    "seven places": b'"3.3000001"',
    "quoted NaN": b'"NaN"',
    "quoted zero": b'"0.000000"',
    "quoted line": b'"3\\n"',
    "grouped": b'"1,000"',
    "other digits": '"３"'.encode(),
    "hexadecimal": b"0x3",
    "leading zero": b"03",
    "boolean": b"true",
    "null": b"null",
    "array": b"[3]",
    "object": b'{"amount_yen": 3}',
    "text with NUL": b'"\\u0000"',
}

AMOUNTS = [
    ("/credit/charge", b'{"amount_yen": %s}', "owner"),
    ("/credit/charge", b'{"amount_yen": 1, "amount_yen": %s}', "owner"),
    ("/credit/hold", b'{"amount_yen": %s}', "owner"),
    ("/credit/hold", b'{"amount_yen": 1, "ttl_seconds": %s}', "owner"),
    ("/credit/capture", b'{"hold_id": 1, "amount_yen": %s}', "owner"),
    ("/credit/capture", b'{"hold_id": %s, "amount_yen": 1}', "owner"),
    ("/credit/release", b'{"hold_id": %s}', "owner"),
    ("/credit/refund", b'{"txn_id": %s}', "operator"),
    ("/operator/topup", b'{"wallet_id": 1, "amount_yen": %s}', "operator"),
    ("/operator/topup", b'{"wallet_id": %s, "amount_yen": 1}', "operator"),
    (
        "/credit/charge/batch",
        b'{"charges": [{"wallet_id": 1, "idempotency_key": "a", "amount_yen": %s}]}',
        "operator",
    ),
]


@pytest.mark.parametrize(("path", "template", "who"), AMOUNTS)
def test_what_is_no_whole_number_in_range_moves_nothing(target: Target, path: str, template: bytes, who: str) -> None:
    token = OPERATOR_KEY if who == "operator" else target.token
    for number, text in NUMBERS.items():
        assert_refused(target.api.call("POST", path, token, key=number, content=template % text))


BODIES = {
    "nothing": b"",
    "blank": b" ",
    "half an object": b'{"amount_yen": 3',
    "two objects": b'{"amount_yen": 3}{"amount_yen": 3}',
    "trailing comma": b'{"amount_yen": 3,}',
    "single quotes": b"{'amount_yen': 3}",
    "comment": b'{"amount_yen": 3} // three',
    "byte order mark": b'\xef\xbb\xbf{"amount_yen": 3}',
    "UTF-16": '{"amount_yen": 3}'.encode("utf-16"),
    "array": b"[]",
    "array of objects": b'[{"amount_yen": 3}]',
    "text": b'"amount_yen"',
    "number": b"3",
    "null": b"null",
    "invalid UTF-8": b'{"amount_yen": 3, "note": "\xff\xfe"}',
    "invalid UTF-8 in a name": b'{"amount_yen": 3, "\xff": 1}',
    "encoded surrogate": b'{"amount_yen": 3, "note": "\xed\xa0\x80"}',
    "lone surrogate": b'{"amount_yen": 3, "note": "\\ud800"}',
    "NUL": b'{"amount_yen": 3, "note": "\\u0000"}',
    "raw NUL": b'{"amount_yen": 3, "note": "\0"}',
    "long note": b'{"amount_yen": 3, "note": "' + b"x" * 501 + b'"}',
    "deep arrays": b"[" * 100_000,
    "deep value": b'{"amount_yen": ' + b"[" * 100_000,
    "deep unknown value": b'{"other": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep objects": b'{"a":' * 100_000,
    "unknown name": b'{"amount_yen": 3, "balance_yen": 1000000}',
    "prototype": b'{"amount_yen": 3, "__proto__": {"wallet_id": 2}}',
    "form": b"amount_yen=3",
    "XML": b"<charge><amount_yen>3</amount_yen></charge>",
    "msgpack": b"\x81\xaaamount_yen\x03",
    "gzip": b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03",
    "a megabyte": b'{"amount_yen": 3}' + b" " * (1 << 20),
}
WRITES = [
    ("POST", "/credit/charge"),
    ("POST", "/credit/hold"),
    ("POST", "/credit/refund"),
    ("POST", "/credit/charge/batch"),
    ("POST", "/operator/topup"),
    ("POST", "/operator/wallets"),
    ("POST", "/operator/wallets/1/freeze"),
    ("PATCH", "/credit/wallet"),
    ("POST", "/credit/keys"),
]


@pytest.mark.parametrize(("method", "path"), WRITES)
def test_what_is_no_object_of_the_right_shape_does_nothing(target: Target, method: str, path: str) -> None:
    owners = path in ("/credit/charge", "/credit/hold", "/credit/wallet", "/credit/keys")
    for name, body in BODIES.items():
        answer = target.api.call(method, path, target.token if owners else OPERATOR_KEY, key=name, content=body)
        assert_refused(answer)


FORMS = (b"amount_yen=3&txn_id=1", b'--x\r\nContent-Disposition: form-data; name="amount_yen"\r\n\r\n3\r\n--x--')
CONTENT_TYPES = ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "application/xml", ";;=")


@pytest.mark.parametrize("path", ["/credit/charge", "/credit/refund"])
def test_a_content_type_makes_no_other_format_of_a_body(target: Target, path: str) -> None:
    token = target.token if path == "/credit/charge" else OPERATOR_KEY
    for content_type, body in product(CONTENT_TYPES, FORMS):
        headers = {"Content-Type": content_type}
        assert_refused(target.api.call("POST", path, token, key="a", content=body, headers=headers))


def test_a_body_without_an_announced_length_is_cut_off_too(target: Target) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(100):
            yield b" " * 65_536

    for method, path in (("POST", "/credit/charge"), ("PATCH", "/credit/wallet")):
        answer = target.api.call(method, path, target.token, key="a", chunks=chunks())
        assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


# Text

SQL = "x'); DROP TABLE am_credit_wallet; UPDATE am_credit_wallet SET balance_yen = 1000000 WHERE 1=1; --"


def test_sql_in_identifiers_and_queries_is_refused_or_finds_nothing(target: Target) -> None:
    api, token = target.api, target.token
    for path in ("/credit/transactions", "/credit/alerts", "/credit/statement"):
        for name in ("cursor", "type", "cycle", "limit", "format"):
            answer = api.get(path, token, **{name: SQL})
            assert answer.is_success or answer.status_code == 422
    for path in (f"/credit/keys/{SQL}", f"/operator/wallets/{SQL}", "/credit/keys/1%20OR%201=1"):
        assert_refused(api.get(path, OPERATOR_KEY if path.startswith("/operator") else token))
    for bad in (SQL, f"Bearer {SQL}"):
        assert_refused(api.call("GET", "/credit/wallet", headers={"Authorization": bad}))
        assert_refused(api.call("GET", "/credit/wallet", headers={"X-API-Key": bad}))
    assert_refused(api.post("/operator/wallets", OPERATOR_KEY, time_zone=SQL))
    assert_refused(api.post("/operator/wallets", OPERATOR_KEY, time_zone="../../../etc/passwd"))
    assert_refused(api.post("/credit/keys", token, expires_at=SQL))
    assert_refused(api.post("/operator/topup", OPERATOR_KEY, key="a", wallet_id=1, amount_yen=1, expires_at=SQL))
    assert_refused(api.call("PATCH", "/credit/wallet", token, json={"budget_mode": SQL}))


TEXTS = (
    SQL,
    "' OR '1'='1",
    "\u202egnirts\u202c",
    "a\u0300\u200d\U0001f469\u200d\U0001f680",
    "=HYPERLINK(1)",
    "line\r\nbreak\ttab\x01\x7f",
    "\ufffe\uffff",
    "<script>alert(1)</script>",
    "%s{0}${jndi:x}",
)


@pytest.mark.parametrize("text", TEXTS)
def test_text_is_kept_as_it_was_sent(wallets: CreditWallet, text: str) -> None:
    with Api(new_app(wallets)) as api:
        token = api.post("/operator/wallets", OPERATOR_KEY, label=text).json()["owner_token"]
        wallets.topup(1, CREDIT_YEN, idempotency_key="start")
        assert api.post("/credit/charge", token, key="a", amount_yen=3, note=text).json()["balance_yen"] == 997
        assert api.post("/credit/keys", token, label=text).status_code == 201
        seen = api.get("/credit/wallet", token).json()
        assert (seen["label"], seen["recent_transactions"][0]["note"]) == (text, text)
        assert api.get("/credit/keys", token).json()[0]["label"] == text
        for form in ("json", "csv", "text"):
            assert api.get("/credit/statement", token, format=form).status_code == 200
    assert wallets.verify() == []


def test_an_idempotency_key_is_only_a_name(wallets: CreditWallet) -> None:
    with Api(new_app(wallets)) as api:
        token = wallets.create().owner_token
        wallets.topup(1, CREDIT_YEN, idempotency_key="start")
        for key in (SQL, "'", '"', "%00", "../..", "x" * 255):
            headers = {"Idempotency-Key": key.encode("latin-1")}
            first, again = (
                api.call("POST", "/credit/charge", token, json={"amount_yen": 1}, headers=headers) for _ in range(2)
            )
            assert (first.status_code, again.status_code) == (200, 200)
            assert again.json() == first.json() | {"replayed": True}
    assert wallets.verify() == []


def test_unusable_idempotency_keys_move_nothing(target: Target) -> None:
    for key in (
        b"",
        b" \x01",
        b"a\x00b",
        b"a\x7fb",
        b"x" * 256,
        b"x" * 50_000,
        b"a\tb",
        b"\xa0",
        b"\xe9",
        "é".encode(),
        b"\xff",
    ):
        for path, body in (("/credit/charge", {"amount_yen": 3}), ("/credit/capture", {"hold_id": 1, "amount_yen": 3})):
            answer = target.api.call("POST", path, target.token, json=body, headers={"Idempotency-Key": key})
            assert_refused(answer)


TOKENS = (
    "",
    " ",
    "\x00",
    "Bearer",
    "Bearer ",
    "bearer  x",
    "Basic eDp4",
    "\xff\xfe",
    "x" * 60_000,
    f"Token {new_token()}",
)


@pytest.mark.parametrize("path", ["/credit/wallet", "/credit/charge"])
def test_odd_credentials_are_401(target: Target, path: str) -> None:
    method = "POST" if path == "/credit/charge" else "GET"
    for text in TOKENS:
        value = text.encode("latin-1")
        for name in ("Authorization", "X-API-Key"):
            answer = target.api.call(method, path, headers={name: value})
            assert answer.status_code == 401, (name, text)


PATHS = (
    "/credit//wallet",
    "/credit/./../../etc/passwd",
    "/credit/..%2f..%2fetc%2fpasswd",
    "/credit/wallet%00",
    "/credit/wallet;x=1",
    "/CREDIT/WALLET",
    "/credit/keys/9999999999999999999999",
    "/credit/keys/-1",
    "/credit/keys/1.0",
    "/credit/keys/0x1",
    "/credit/keys/%EF%BC%91",
    "/credit/keys/" + "9" * 5_000,
    "/docs/../../etc/passwd",
    "/credit/transactions?cursor=9999999999999999999",
    "/credit/transactions?limit=%EF%BC%91",
    "/credit/transactions?limit=%ff",
    "/credit/transactions?cursor=%zz",
    "/credit/statement?cycle=2026-05%00",
    "/credit/statement?cycle=0000-01",
    "/credit/statement?cycle=" + "9" * 10_000,
    "/credit/alerts?cycle=2026-05&cycle=2026-99",
)


def test_path_and_query_tricks_lead_nowhere(target: Target) -> None:
    for path in PATHS:
        assert_refused(target.api.call("GET", path, target.token))


# A real service, spoken to in bytes

LIMITS = """
from credit_wallet.http import serve
from credit_wallet.wire import receiving
receiving.BODY_SECONDS = 0.4
serve.HEADER_SECONDS = 1
serve.UNREAD_SECONDS = 0.5
"""
PATIENCE_SECONDS = 20
"""Longer than any limit, so that only a service that keeps no limit runs into it."""


class Listening(NamedTuple):
    """A service with short limits, and the token of a wallet with ``CREDIT_YEN``."""

    service: Service
    token: bytes


@pytest.fixture(scope="module")
def listening(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Listening]:
    path: Path = tmp_path_factory.mktemp("hostile") / "wallet.db"
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        token = wallets.create().owner_token
        wallets.topup(1, CREDIT_YEN, idempotency_key="start")
    with Service(f"sqlite:///{path}", adjust=LIMITS) as service:
        yield Listening(service, token.encode())
        assert service.stop() == 0
        assert b"Traceback" not in service.output()
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        assert wallets.verify() == []


def head(token: bytes, *lines: bytes, key: bytes = b"a", path: bytes = b"/credit/charge") -> bytes:
    fields = (b"Host: wallet.test", b"Authorization: Bearer " + token, b"Idempotency-Key: " + key, *lines)
    return b"POST " + path + b" HTTP/1.1\r\n" + b"\r\n".join(fields) + b"\r\n\r\n"


def said(service: Service, request: bytes, *, hang_up: bool = False) -> bytes:
    """All that the service answers until it closes the connection; ``hang_up`` ends our side after sending."""
    with socket.create_connection(("127.0.0.1", service.port), timeout=PATIENCE_SECONDS) as connection:
        with suppress(ConnectionError):  # it may have closed before all was sent
            connection.sendall(request)
            if hang_up:
                connection.shutdown(socket.SHUT_WR)
        answer = b""
        with suppress(ConnectionError):
            while chunk := connection.recv(65_536):
                answer += chunk
        return answer


def balance(listening: Listening) -> int:
    answer = httpx.get(f"{listening.service.url}/credit/wallet", headers=credentials(listening.token.decode()))
    return int(answer.json()["balance_yen"])


CHARGE = b'{"amount_yen": 3}'
SLOW = {
    "a body that stops": (head(b"%s", b"Content-Length: 100") + CHARGE, True),
    "a body that never begins": (head(b"%s", b"Content-Length: 17"), True),
    "a chunk that stops": (head(b"%s", b"Transfer-Encoding: chunked") + b"11\r\n" + CHARGE, True),
    "a body for a documented route": (head(b"%s", b"Content-Length: 100", path=b"/credit/extend") + CHARGE, True),
    "headers that stop": (head(b"%s")[:-2], False),
    "a line that stops": (b"POST /credit/ch", False),
    "nothing": (b"", False),
}
"""What a caller sends before it falls silent, and whether that is enough for a problem document."""


@pytest.mark.parametrize("name", SLOW)
def test_a_slow_caller_is_answered_or_cut_off_and_others_are_served_meanwhile(listening: Listening, name: str) -> None:
    before = balance(listening)
    request, answered = SLOW[name]
    with ThreadPoolExecutor(16) as slow:
        waiting = [slow.submit(said, listening.service, request.replace(b"%s", listening.token)) for _ in range(16)]
        assert balance(listening) == before
        answers = [each.result() for each in waiting]
    for answer in answers:
        assert answer.startswith(b"HTTP/1.1 400 ") == answered
        assert (b"the body did not arrive within" in answer) == answered
    assert balance(listening) == before


@pytest.mark.skipif(sys.platform != "linux", reason="a clock of Linux")
def test_the_connection_of_a_caller_that_reads_nothing_is_closed(listening: Listening) -> None:
    """It would be kept for ever, and no new one taken once there are as many as may be."""
    request = b"GET /openapi.json HTTP/1.1\r\nHost: wallet.test\r\n\r\n"
    with socket.create_connection(("127.0.0.1", listening.service.port)) as unread:
        unread.sendall(request * 40)
        poll = select.poll()
        poll.register(unread, 0)
        until = time.monotonic() + PATIENCE_SECONDS
        with suppress(ConnectionError):
            while not poll.poll(100):  # milliseconds; who no longer exists says so once something is sent
                assert time.monotonic() < until, "it is still open"
                unread.send(b"\r\n")


CUT_OFF = {
    "whole JSON in half a body": (b"Content-Length: 100", CHARGE),
    "no last chunk": (b"Transfer-Encoding: chunked", b"11\r\n" + CHARGE + b"\r\n"),
    "half a chunk": (b"Transfer-Encoding: chunked", b"20\r\n" + CHARGE),
}


@pytest.mark.parametrize("name", CUT_OFF)
def test_a_caller_that_hangs_up_in_the_middle_of_a_body_is_charged_nothing(listening: Listening, name: str) -> None:
    before = balance(listening)
    line, body = CUT_OFF[name]
    for path in (b"/credit/charge", b"/credit/hold"):
        answer = said(listening.service, head(listening.token, line, path=path) + body, hang_up=True)
        assert not answer or answer.startswith(b"HTTP/1.1 400 ")
    assert balance(listening) == before


GARBAGE = {
    "noise": bytes(range(256)) * 4,
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "HTTP/0.9": b"GET /healthz\r\n",
    "HTTP/9.9": b"GET /healthz HTTP/9.9\r\n\r\n",
    "5,000 headers": b"GET /healthz HTTP/1.1\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(5_000)) + b"\r\n",
    "a megabyte of header": b"GET /healthz HTTP/1.1\r\nX: " + b"y" * (1 << 20) + b"\r\n\r\n",
    "a megabyte of path": b"GET /" + b"y" * (1 << 20) + b" HTTP/1.1\r\n\r\n",
    "a negative length": head(b"%s", b"Content-Length: -1") + CHARGE,
    "a worded length": head(b"%s", b"Content-Length: many") + CHARGE,
    "two lengths": head(b"%s", b"Content-Length: 5", b"Content-Length: 17") + CHARGE,
    "no chunk": head(b"%s", b"Transfer-Encoding: chunked") + b"ZZ\r\n" + CHARGE,
    "an endless chunk": head(b"%s", b"Transfer-Encoding: chunked") + b"FFFFFFFFFFFFFFFFF\r\n" + CHARGE,
    "NUL in a header": head(b"%s", b"Content-Length: 17", key=b"a\0b") + CHARGE,
    "a control character in a header": head(b"%s", b"Content-Length: 17", key=b"a\x01b") + CHARGE,
    "a space in a header's name": head(b"%s", b"Content Length: 17") + CHARGE,
    "raw bytes in the path": b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "raw bytes in the query": b"GET /credit/alerts?cycle=\xff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "a bad percent-encoding": b"GET /%zz%ff HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "an odd method": b"FROB /credit/charge HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "a tunnel": b"CONNECT wallet.test:443 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
    "two megabytes": head(b"%s", b"Content-Length: 2000000") + b" " * 2_000_000,
    "two megabytes in chunks": head(b"%s", b"Transfer-Encoding: chunked")
    + (b"10000\r\n" + b" " * 65_536 + b"\r\n") * 31,
}


@pytest.mark.parametrize("name", GARBAGE)
def test_what_is_no_request_is_refused_or_cut_off(listening: Listening, name: str) -> None:
    before = balance(listening)
    answer = said(listening.service, GARBAGE[name].replace(b"%s", listening.token))
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4")
    assert balance(listening) == before


def test_pipelined_requests_are_answered_in_order_each_once(listening: Listening) -> None:
    before = balance(listening)
    requests = [head(listening.token, b"Content-Length: 17", key=b"pipe-%d" % n) + CHARGE for n in (1, 2, 2, 3)]
    last = head(listening.token, b"Content-Length: 17", b"Connection: close", key=b"") + CHARGE
    answer = said(listening.service, b"".join(requests) + last)
    balances = [b'"balance_yen":%d' % (before - spent) for spent in (3, 6, 6, 9)]
    places, start = [], 0
    for expected in balances:
        start = answer.index(expected, start) + 1
        places.append(start)
    assert places == sorted(places)
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert answer.count(b"HTTP/1.1 422 ") == 1
    assert balance(listening) == before - 9


def test_a_second_request_hidden_in_a_body_is_not_carried_out(listening: Listening) -> None:
    """Content-Length beside Transfer-Encoding (RFC 9112, section 6.3): one request, and the connection is closed."""
    before = balance(listening)
    hidden = head(listening.token, b"Content-Length: 17", key=b"hidden") + CHARGE
    body = b"0\r\n\r\n" + hidden
    lengths = (b"Content-Length: %d" % len(body), b"Transfer-Encoding: chunked")
    answer = said(listening.service, head(listening.token, *lengths, key=b"cover") + body)
    assert answer.count(b"HTTP/1.1 ") <= 1
    assert balance(listening) == before
