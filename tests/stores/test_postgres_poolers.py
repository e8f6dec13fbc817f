"""Behind a pooler in transaction mode each transaction means what the wallet means, and nothing of it is left."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from urllib.parse import urlsplit

import psycopg
import pytest
from plain_sql import PlainSql
from pooler import Pooler
from postgres import Server

from credit_wallet import CreditWallet
from credit_wallet.errors import DatabaseMoved, DatabaseUnfit
from credit_wallet.stores.postgres.connection import connect, transaction

pytestmark = pytest.mark.databases("postgres")

SHOWN = ("synchronous_commit", "row_security", "statement_timeout", "client_min_messages", "plan_cache_mode")
SHOW = "SELECT " + ", ".join(f"current_setting('{name}')" for name in SHOWN)
OTHERS = ("off", "on", "7min", "error", "force_custom_plan")
"""What the database sets for its sessions."""


@pytest.fixture
def pooler(db_url: str) -> Iterator[Pooler]:
    with Pooler(urlsplit(db_url).port or 5432) as opened:
        yield opened


@pytest.fixture(scope="module")
def other_server() -> Iterator[Server]:
    with Server() as server:
        yield server


@pytest.fixture
def pooled_url(db_url: str, pooler: Pooler) -> Iterator[str]:
    """A ledger in a database whose defaults are not ours, through a pooler."""
    CreditWallet.open(db_url).close()
    name = urlsplit(db_url).path[1:]
    with PlainSql(db_url) as host:
        for setting, value in zip(SHOWN, OTHERS, strict=True):
            host.run(f"ALTER DATABASE {name} SET {setting} = '{value}'")
        host.run(
            f"""
            CREATE TABLE witnessed (said text);
            CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
                INSERT INTO witnessed SELECT concat_ws(' ', {SHOW.removeprefix("SELECT ")}, pg_backend_pid());
                RETURN NEW; END $$;
            CREATE TRIGGER witness BEFORE INSERT ON am_credit_transaction_log FOR EACH ROW EXECUTE FUNCTION witness()
            """
        )
    yield pooler.url(db_url)
    with PlainSql(db_url) as host:
        host.run(f"ALTER DATABASE {name} RESET ALL")


def test_every_transaction_has_the_wallets_settings_and_leaves_none(db_url: str, pooled_url: str) -> None:
    with CreditWallet.open(pooled_url, lanes=3) as wallets, ThreadPoolExecutor(6) as threads:
        wallet_ids = [wallets.create().wallet_id for _ in range(6)]
        for wallet_id in wallet_ids:
            wallets.topup(wallet_id, 100, idempotency_key="start")

        def use(wallet_id: int) -> None:
            for number in range(8):
                wallets.charge(wallet_id, 1, idempotency_key=f"{number}")
                assert wallets.balance(wallet_id) == 99 - number

        list(threads.map(use, wallet_ids))
        assert wallets.maintenance.seal()
        wallets.maintenance.check_ready()
        assert wallets.verify() == []
        assert wallets._ledger.reader.source.rows(SHOW, {}) == [("on", "off", "0", "warning", "force_custom_plan")]
    with PlainSql(db_url) as host:
        said = [line.rsplit(" ", 1) for (line,) in host.run("SELECT said FROM witnessed")]
    assert {settings for settings, _ in said} == {"on off 0 warning force_generic_plan"}
    assert len({session for _, session in said}) > 1
    for _ in range(4):  # another program behind the same pooler
        with psycopg.connect(pooled_url, autocommit=True) as other:
            assert other.execute(SHOW).fetchall() == [OTHERS]


def test_what_is_run_by_itself_is_in_such_a_transaction_too(pooled_url: str) -> None:
    with closing(connect(pooled_url)) as raw:
        assert raw.pooled
        for _ in range(4):
            with transaction(raw):
                assert raw.execute(SHOW).fetchall() == [("on", "off", "0", "warning", "force_custom_plan")]


def test_a_session_of_our_own_is_no_pool(db_url: str) -> None:
    with closing(connect(db_url)) as raw:
        assert not raw.pooled


def test_a_session_that_would_not_run_triggers_is_refused(db_url: str, pooled_url: str, pooler: Pooler) -> None:
    with CreditWallet.open(pooled_url) as wallets, PlainSql(db_url) as host:
        wallet_id = wallets.create().wallet_id
        name = urlsplit(db_url).path[1:]
        host.run(f"ALTER DATABASE {name} SET session_replication_role = replica")
        pooler.reconnect()
        for ask in (
            lambda: wallets.topup(wallet_id, 1, idempotency_key="unfit"),
            lambda: wallets.balance(wallet_id),
            wallets.maintenance.check_ready,
        ):
            with pytest.raises(DatabaseUnfit, match="session_replication_role"):
                ask()


def test_a_pooler_that_loses_prepared_statements_is_refused_by_name(db_url: str) -> None:
    with (
        Pooler(urlsplit(db_url).port or 5432, prepares=False) as pooler,
        pytest.raises(DatabaseUnfit, match=r"PgBouncer 1\.21 .* max_prepared_statements"),
    ):
        CreditWallet.open(pooler.url(db_url))


def test_another_server_behind_the_pooler_is_not_taken_for_the_ledger(
    db_url: str, pooler: Pooler, other_server: Server
) -> None:
    """Clients of a pooler stay connected when it is told to go elsewhere."""
    elsewhere = other_server.url(urlsplit(db_url).path[1:])
    with psycopg.connect(other_server.url(), autocommit=True) as host:
        host.execute(f"CREATE DATABASE {urlsplit(db_url).path[1:]}")
    CreditWallet.open(elsewhere).close()
    with CreditWallet.open(pooler.url(db_url)) as wallets:
        wallet_id = wallets.create().wallet_id
        wallets.topup(wallet_id, 100, idempotency_key="start")
        home, pooler.target_port = pooler.target_port, other_server.port
        pooler.reconnect()
        for ask in (
            lambda: wallets.charge(wallet_id, 1, idempotency_key="moved"),
            lambda: wallets.balance(wallet_id),
            wallets.maintenance.check_ready,
            wallets.create,
        ):
            with pytest.raises(DatabaseMoved):
                ask()
        pooler.target_port = home
        pooler.reconnect()
        assert wallets.charge(wallet_id, 1, idempotency_key="moved").balance_yen == 99
        assert wallets.balance(wallet_id) == 99
        wallets.maintenance.check_ready()
    with PlainSql(elsewhere) as host:
        assert host.run("SELECT count(*) FROM am_credit_wallet") == [(0,)]
