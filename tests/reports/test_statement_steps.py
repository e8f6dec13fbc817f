"""Statements in steps: of one moment, the same whatever the steps, and given up with a client that takes nothing."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection

import pytest
from clock import Clock
from databases import on_every_database
from neighbours import populate
from service import Api, Service, new_app

from credit_wallet import CreditWallet
from credit_wallet.reports import cycle_walk
from credit_wallet.reports.statement_forms import CsvForm, Form, JsonForm, TextForm, pieces_of, to_csv, to_text

FORMS = (
    JsonForm,
    TextForm,
    lambda: CsvForm("entries"),
    lambda: CsvForm("keys"),
    lambda: CsvForm("notes"),
    lambda: CsvForm("items"),
)


@pytest.fixture
def busy(wallets: CreditWallet, clock: Clock) -> int:
    """A wallet whose chain goes from May to June, to May again as a slow clock has it, and to June."""
    wallet_id = wallets.create(time_zone="Asia/Tokyo").wallet_id
    agent = wallets.keys.create(wallet_id, label="crawler", monthly_cap_yen=5_000).key_id
    wallets.topup(wallet_id, 1_000, idempotency_key="start")
    for month, day in ((5, 16), (6, 2), (5, 17), (6, 3)):
        clock.set(datetime(2026, month, day, tzinfo=UTC))
        for number in range(5):
            key_id = agent if number % 2 else None
            charge = wallets.charge(
                wallet_id, number + 1, idempotency_key=f"{month}{day}{number}", key_id=key_id, note=f"n{number % 3}"
            )
            assert charge.txn_id is not None
            if number == 3:
                wallets.refund(charge.txn_id, 2, idempotency_key=f"r{month}{day}")
    return wallet_id


def drawn(wallets: CreditWallet, wallet_id: int, form: Form) -> str:
    return "".join(pieces_of(wallets.cycles.draw(wallet_id, "2026-05"), form))


@on_every_database
def test_whatever_the_steps_the_statement_is_the_same(
    wallets: CreditWallet, busy: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [drawn(wallets, busy, form()) for form in FORMS]
    charges = wallets.cycles.refunded_charges(busy, "2026-05")
    assert [charge.amount_yen for charge in charges] == [-4, -4]
    assert wallets.cycles.opening_yen(busy, "2026-06") == wallets.statement(busy, "2026-05").closing_yen
    report = wallets.statement(busy, "2026-05")
    assert len(report.entries) == 13
    assert report.closing_yen == report.opening_yen + sum(entry.amount_yen for entry in report.entries)
    assert whole[1:3] == [to_text(report), "\ufeff" + to_csv(report)]
    for entries in (1, 2, 3, 5, 6, 7):
        monkeypatch.setattr(cycle_walk, "ENTRIES_A_STEP", entries)
        assert [drawn(wallets, busy, form()) for form in FORMS] == whole
        assert wallets.statement(busy, "2026-05") == report


@on_every_database
def test_what_comes_while_a_statement_is_drawn_up_is_not_in_it(
    wallets: CreditWallet, busy: int, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cycle_walk, "ENTRIES_A_STEP", 2)
    clock.set(datetime(2026, 5, 20, tzinfo=UTC))
    before = wallets.statement(busy, "2026-05")
    drawing = wallets.cycles.draw(busy, "2026-05")
    came = 0
    while drawing.add_up():
        came += 1
        wallets.charge(busy, 1, idempotency_key=f"meanwhile {came}")
    head = drawing.head()
    entries = []
    for step in drawing.steps():
        entries += drawing.entries(step)
        clock.advance(days=5)
        wallets.charge(busy, 1, idempotency_key=f"then {len(entries)}")
    drawing.close()
    assert entries == before.entries
    assert head.closing_yen == before.closing_yen
    assert wallets.statement(busy, "2026-05").closing_yen < before.closing_yen


@on_every_database
def test_over_http_it_is_the_same_as_in_the_library(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cycle_walk, "ENTRIES_A_STEP", 3)
    wallet = wallets.create()
    wallets.topup(wallet.wallet_id, 100, idempotency_key="start")
    for number in range(10):
        wallets.charge(wallet.wallet_id, 1, idempotency_key=f"{number}", note="あ,\n")
    with Api(new_app(wallets)) as api:
        answers = [api.get("/credit/statement", wallet.owner_token, format=form) for form in ("csv", "text")]
        assert api.call("HEAD", "/credit/statement", wallet.owner_token).content == b""
    report = wallets.statement(wallet.wallet_id, "2026-05")
    assert answers[0].content == to_csv(report).encode("utf-8-sig")
    assert answers[1].text == to_text(report)
    assert answers[1].headers["content-type"].startswith("text/plain")
    assert {"x-wallet-balance", "x-request-id"} <= answers[0].headers.keys()


# Clients


@pytest.fixture(scope="module")
def big(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, str]]:
    """A service that gives clients up soon, and the owner of a wallet whose statement is longer than sockets buffer."""
    url = f"sqlite:///{tmp_path_factory.mktemp('big') / 'wallet.db'}"
    token = populate(url, 40_000, 1).loud
    with Service(url, adjust="from credit_wallet.runtime import deadlines; deadlines.CLIENT_SECONDS = 3") as service:
        yield service, token


def begun(service: Service, token: str) -> socket.socket:
    """A connection on which a statement has begun to come."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)  # the system takes little on the client's behalf
    client.settimeout(20)
    client.connect(("127.0.0.1", service.port))
    client.sendall(f"GET /credit/statement HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    assert client.recv(12) == b"HTTP/1.1 200"
    return client


def status(service: Service, token: str) -> int:
    connection = HTTPConnection("127.0.0.1", service.port, timeout=20)
    connection.request("GET", "/credit/statement?format=csv&rows=keys", headers={"Authorization": f"Bearer {token}"})
    found = connection.getresponse().status
    connection.close()
    return found


def test_a_client_that_does_not_read_is_given_up_and_its_share_is_free_again(big: tuple[Service, str]) -> None:
    service, token = big
    clients = [begun(service, token) for _ in range(2)]
    assert status(service, token) == 429
    while status(service, token) == 429:
        pass  # it ends by itself: what is waited for is another process's clock
    assert b"client_given_up" in service.output()
    for client in clients:
        client.close()


def test_a_client_that_goes_away_gives_its_share_back(big: tuple[Service, str]) -> None:
    service, token = big
    for _ in range(2):
        begun(service, token).close()
    while status(service, token) == 429:
        pass
    assert status(service, token) == 200


def test_a_client_that_reads_gets_all_of_it(big: tuple[Service, str]) -> None:
    service, token = big
    connection = HTTPConnection("127.0.0.1", service.port, timeout=20)
    connection.request("GET", "/credit/statement?format=csv", headers={"Authorization": f"Bearer {token}"})
    answer = connection.getresponse().read()
    connection.close()
    assert len(answer.splitlines()) == 1 + 1 + 40_000
