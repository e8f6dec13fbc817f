"""What answers at the ledger's address must be the ledger that was opened there, and must answer in time."""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from urllib.parse import urlsplit

import psycopg
import pytest
import structlog
from faulty_proxy import FaultyProxy
from plain_sql import PlainSql
from postgres import Server, drop_database
from psycopg import errors
from service import Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.cli.doctor import examine
from credit_wallet.config import POSTGRES_ATTEMPT_SECONDS, POSTGRES_PATIENCE_SECONDS
from credit_wallet.errors import (
    DatabaseCorrupt,
    DatabaseError,
    DatabaseMoved,
    DatabaseReadOnly,
    DatabaseUnavailable,
    InvalidRequest,
    WalletError,
)
from credit_wallet.runtime import deadlines
from credit_wallet.stores.postgres import connection, database
from credit_wallet.stores.postgres.connection import connect, named
from credit_wallet.stores.postgres.waits import PostgresWaits

pytestmark = pytest.mark.databases("postgres")

PATIENCE_SECONDS = 20
END_SESSIONS = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'
"""


def until(happens: Callable[[], object]) -> None:
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while not happens():
        assert time.monotonic() < give_up_at
        time.sleep(0.01)


@pytest.fixture(scope="module")
def other_server() -> Iterator[Server]:
    with Server() as server:
        yield server


# Another ledger at the same address


def copied_elsewhere(db_url: str, other: str) -> str:
    """The same ledger by name, on another server."""
    CreditWallet.open(other).close()
    with PlainSql(db_url) as host, PlainSql(other) as elsewhere:
        [(installation,)] = host.run("SELECT installation_id FROM am_credit_installation")
        elsewhere.run(f"UPDATE am_credit_installation SET installation_id = '{installation}'")
    return "is on another server"


def of_somebody_else(_: str, other: str) -> str:
    CreditWallet.open(other).close()
    return "holds another ledger"


def nothing(*_: str) -> str:
    return "holds another ledger, or none"


@pytest.mark.parametrize("elsewhere", [copied_elsewhere, of_somebody_else, nothing])
def test_another_ledger_at_the_same_address_is_refused_until_the_right_one_is_back(
    db_url: str, other_server: Server, elsewhere: Callable[[str, str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "WAIT_STEP_SECONDS", 0.1)
    name = urlsplit(db_url).path[1:]
    with psycopg.connect(other_server.url(), autocommit=True) as host:
        host.execute(f"DROP DATABASE IF EXISTS {name}")
        host.execute(f"CREATE DATABASE {name}")
    with FaultyProxy(urlsplit(db_url).port or 5432) as proxy, CreditWallet.open(proxy.url(db_url)) as wallets:
        created = wallets.create()
        wallets.topup(created.wallet_id, 100, idempotency_key="start")
        why = elsewhere(db_url, other_server.url(name))
        with Api(new_app(wallets)) as api:
            api.get("/readyz")
            proxy.target_port, home = other_server.port, proxy.target_port
            proxy.cut_all()
            asked: list[Callable[[], object]] = [
                lambda: wallets.charge(created.wallet_id, 1, idempotency_key="moved"),
                lambda: wallets.balance(created.wallet_id),
                wallets.create,
                wallets.maintenance.check_ready,
            ]
            for ask in asked * 2:
                with pytest.raises(DatabaseMoved, match=why):
                    ask()
            assert api.get("/readyz").json()["code"] == "database_moved"
            answer = api.post("/credit/charge", created.owner_token, key="moved", amount_yen=1)
            assert (answer.status_code, answer.json()["code"]) == (503, "database_moved")
            proxy.target_port = home
            proxy.cut_all()
            assert wallets.charge(created.wallet_id, 1, idempotency_key="moved").balance_yen == 99
            until(lambda: api.get("/readyz").status_code == 200)
            until(lambda: answers(lambda: wallets.balance(created.wallet_id) == 99))
        assert wallets.verify() == []


def answers(ask: Callable[[], bool]) -> bool:
    try:
        return ask()
    except DatabaseMoved:
        return False


def test_a_database_that_was_restored_under_the_same_name_is_refused(db_url: str) -> None:
    name = urlsplit(db_url).path[1:]
    server = urlsplit(db_url)._replace(path="/postgres").geturl()
    aside = urlsplit(db_url)._replace(path=f"/{name}_aside").geturl()
    with CreditWallet.open(db_url) as wallets:
        wallet_id = wallets.create().wallet_id
        with PlainSql(db_url) as host:
            host.run(END_SESSIONS)
        with psycopg.connect(server, autocommit=True) as host:
            host.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            host.execute("SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE datname = %s", [name])
            host.execute(f"CREATE DATABASE {name}_aside TEMPLATE {name}")
            host.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            host.execute(f"ALTER DATABASE {name} RENAME TO {name}_right")
            host.execute(f"ALTER DATABASE {name}_aside RENAME TO {name}")
            try:
                with pytest.raises(DatabaseMoved, match="another database of that name"):
                    wallets.topup(wallet_id, 1, idempotency_key="aside")
            finally:
                host.execute(f"ALTER DATABASE {name} RENAME TO {name}_aside")
                host.execute(f"ALTER DATABASE {name}_right RENAME TO {name}")
        assert wallets.topup(wallet_id, 1, idempotency_key="aside").balance_yen == 1
    drop_database(aside)


@pytest.mark.parametrize(
    ("lost", "back"),
    [
        ("txn_id = -1 WHERE txn_id = {}", "txn_id = {} WHERE txn_id = -1"),
        # its number was given to what another node wrote
        ("ledger_balance_yen = 90 WHERE txn_id = {}", "ledger_balance_yen = 100 WHERE txn_id = {}"),
    ],
)
def test_a_ledger_that_has_lost_an_acknowledged_entry_is_refused(db_url: str, lost: str, back: str) -> None:
    with CreditWallet.open(db_url) as wallets, PlainSql(db_url) as host:
        wallet_id = wallets.create().wallet_id
        txn_id = wallets.topup(wallet_id, 100, idempotency_key="start").txn_id
        host.run("SET session_replication_role = replica")
        host.run(f"UPDATE am_credit_transaction_log SET {lost.format(txn_id)}")
        host.run(END_SESSIONS)
        for ask in (
            lambda: wallets.charge(wallet_id, 1, idempotency_key="lost"),
            lambda: wallets.balance(wallet_id),
            wallets.maintenance.check_ready,
        ):
            with pytest.raises(DatabaseMoved, match=f"lacks entry {txn_id}, which was acknowledged"):
                ask()
        host.run(f"UPDATE am_credit_transaction_log SET {back.format(txn_id)}")
        assert wallets.charge(wallet_id, 1, idempotency_key="lost").balance_yen == 99


@contextmanager
def role(db_url: str, *grants: str) -> Iterator[str]:
    """The URL of a user that may do what ``grants`` say, and nothing else."""
    name = f"app_{urlsplit(db_url).path[1:]}"
    with PlainSql(db_url) as host:
        host.run(f"CREATE ROLE {name} LOGIN")
        try:
            for grant in grants:
                host.run(f"GRANT {grant} TO {name}")
            parts = urlsplit(db_url)
            yield parts._replace(netloc=f"{name}@{parts.hostname}:{parts.port}").geturl()
        finally:
            host.run(f"DROP OWNED BY {name}")
            host.run(f"DROP ROLE {name}")


ALL = ("SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public", "USAGE ON ALL SEQUENCES IN SCHEMA public")


def test_a_user_that_may_not_ask_for_the_servers_identifier_is_served_all_the_same(db_url: str) -> None:
    CreditWallet.open(db_url).close()
    with PlainSql(db_url) as host:
        host.run("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        try:
            with role(db_url, *ALL) as url, CreditWallet.open(url) as wallets:
                wallet_id = wallets.create().wallet_id
                host.run(f"{END_SESSIONS} AND usename LIKE 'app%'")
                assert wallets.topup(wallet_id, 1, idempotency_key="start").balance_yen == 1
                wallets.maintenance.check_ready()
        finally:
            host.run("GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC")


# A user that may not write


def test_a_check_up_and_readiness_know_a_user_that_may_only_read(db_url: str) -> None:
    CreditWallet.open(db_url).close()
    with role(db_url, "SELECT ON ALL TABLES IN SCHEMA public") as url:
        [finding] = [finding for finding in examine(url) if finding.check == "writable"]
        assert not finding.ok
        assert finding.detail.startswith("this user lacks DELETE on am_credit_idempotency, ")
        assert finding.detail.endswith(" more; GRANT what is missing")
        assert not any(finding.check == "database" and finding.ok for finding in examine(url))
        with CreditWallet.open(url) as wallets, pytest.raises(DatabaseReadOnly):
            wallets.maintenance.check_ready()
    with role(db_url, *ALL) as url:
        assert all(finding.ok for finding in examine(url))


def test_readiness_needs_room_on_the_disk_and_leaves_nothing_there(db_url: str) -> None:
    with CreditWallet.open(db_url) as wallets, PlainSql(db_url) as host:
        before = host.run("SELECT pg_relation_size('am_credit_counted')")
        wallets.maintenance.check_ready()
        assert host.run("SELECT count(*) FROM am_credit_counted WHERE counted LIKE 'probe%'") == [(0,)]
        assert host.run("SELECT pg_relation_size('am_credit_counted')") > before  # it was really written
        name = urlsplit(db_url).path[1:]
        host.run(f"ALTER DATABASE {name} SET temp_file_limit = '64kB'")  # as much as a full disk leaves
        try:
            with CreditWallet.open(db_url) as other, pytest.raises(DatabaseError, match="temp"):
                other.maintenance.check_ready()
        finally:
            host.run(f"ALTER DATABASE {name} RESET temp_file_limit")


# Waits


def test_a_name_that_is_never_found_is_given_up(db_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: time.sleep(1))
    url = urlsplit(db_url)._replace(netloc="postgres@db.invalid").geturl()
    with pytest.raises(DatabaseUnavailable, match=r"accepted no connection within 0\.2 seconds"):
        connect(url, seconds=0.2)


def test_what_connects_too_late_is_closed(db_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that accepts a connection and says nothing more."""
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(DatabaseUnavailable):
        connect(f"postgresql://postgres@127.0.0.1:{silent.getsockname()[1]}/postgres", seconds=0.1)
    opened: list[psycopg.Connection[tuple[object, ...]]] = []
    configure = connection.configure

    def slowly(raw: connection.Raw, *_: object) -> None:
        opened.append(raw)
        configure(raw)
        time.sleep(0.3)

    monkeypatch.setattr(connection, "configure", slowly)
    with pytest.raises(DatabaseUnavailable):
        connect(db_url, seconds=0.1)
    until(lambda: opened and opened[0].closed)


@pytest.mark.parametrize("variable", [POSTGRES_ATTEMPT_SECONDS.name, POSTGRES_PATIENCE_SECONDS.name])
@pytest.mark.parametrize("said", ["soon", "-1", "nan", "inf", "3601"])
def test_waits_that_make_no_sense_are_refused(
    db_url: str, monkeypatch: pytest.MonkeyPatch, variable: str, said: str
) -> None:
    monkeypatch.setenv(variable, said)
    with pytest.raises(InvalidRequest, match=variable):
        CreditWallet.open(db_url)


def test_waits_are_the_environments_or_the_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(POSTGRES_ATTEMPT_SECONDS.name, "20")
    monkeypatch.setenv(POSTGRES_PATIENCE_SECONDS.name, " 0 ")
    waits = PostgresWaits.of_environment()
    assert (waits.attempt_seconds, waits.patience_seconds, waits.read_patience_seconds) == (20, 0, 0)
    monkeypatch.setenv(POSTGRES_PATIENCE_SECONDS.name, "")
    waits = PostgresWaits.of_environment()
    assert waits.patience_seconds == deadlines.POSTGRES_PATIENCE_SECONDS
    assert waits.read_patience_seconds == deadlines.POSTGRES_READ_PATIENCE_SECONDS


# What errors mean, and what is logged


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.DataCorrupted, DatabaseCorrupt),
        (errors.IndexCorrupted, DatabaseCorrupt),
        (errors.InternalError_, DatabaseError),
    ],
)
def test_only_damage_is_called_damage(error: type[psycopg.Error], kind: type[WalletError]) -> None:
    assert type(named(error("cache lookup failed"), "postgresql://db/wallet")) is kind


@pytest.fixture
def lines() -> Iterator[list[dict[str, object]]]:
    with structlog.testing.capture_logs() as captured:
        yield captured  # type: ignore[misc]


def test_an_outage_is_two_lines(
    db_url: str, monkeypatch: pytest.MonkeyPatch, lines: list[dict[str, object]], caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(deadlines, "POSTGRES_PATIENCE_SECONDS", 0.3)
    with (
        caplog.at_level(logging.WARNING),
        FaultyProxy(urlsplit(db_url).port or 5432) as proxy,
        closing(CreditWallet.open(proxy.url(db_url))) as wallets,
    ):
        wallet_id = wallets.create().wallet_id
        wallets.balance(wallet_id)
        proxy.refuse(True)
        proxy.cut_all()
        for number in range(3):
            with pytest.raises(DatabaseUnavailable):
                wallets.topup(wallet_id, 1, idempotency_key=f"{number}")
            with pytest.raises(DatabaseUnavailable):
                wallets.balance(wallet_id)
            with pytest.raises(DatabaseUnavailable):
                wallets.maintenance.check_ready()
        proxy.refuse(False)
        assert wallets.topup(wallet_id, 1, idempotency_key="back").balance_yen == 1
        until(lambda: wallets.balance(wallet_id) == 1)
        said = [line["event"] for line in lines if line["log_level"] in ("info", "warning", "error")]
        assert said == ["database_connection_lost", "database_connection_back"]
        assert [record.getMessage() for record in caplog.records if record.name.startswith("psycopg")] == []
