"""Which transactions keep entries from being sealed, and who is told of them.

An id is drawn before its entry is committed, so a seal waits for whoever may still commit one of its range. The kind of
fault: asking the whole server what concerns one ledger. Where else it could be: ``pg_locks`` and ``pg_stat_activity``
list all databases of the server, ids of tables and sequences are the same in databases that were copied from one
template, ``pg_snapshot_xmin`` is held down by any database's transaction and by autovacuum, and ``watch_spending``
counts up to the same id. What must still hold a seal back: a batch, plain SQL and a prepared transaction of this
ledger.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
from clock import Clock
from databases import Databases, on_every_database, on_postgres
from plain_sql import PlainSql
from postgres import drop_database, new_database
from structlog.testing import capture_logs

from credit_wallet import CreditWallet
from credit_wallet.cli.doctor import examine
from credit_wallet.http.metrics import Metrics
from credit_wallet.stores.postgres import horizon

INSERT = "INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type) VALUES (1, 7, 'topup')"
DRAW = "SELECT nextval('am_credit_transaction_log_txn_id_seq')"
BALANCE = "UPDATE am_credit_wallet SET balance_yen = balance_yen + 7 WHERE wallet_id = 1"

pytestmark = on_postgres


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """A seal does not wait long."""
    monkeypatch.setattr(horizon, "SETTLE_SECONDS", 0.2)


def funded(wallets: CreditWallet) -> int:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="start")
    return wallet_id


@contextmanager
def open_transaction(url: str, *statements: str) -> Iterator[PlainSql]:
    """A transaction that has run ``statements`` and is rolled back at the end of the block."""
    with PlainSql(url) as session:
        session.run("BEGIN")
        for statement in statements:
            session.run(statement)
        yield session
        session.run("ROLLBACK")


@contextmanager
def prepared(url: str) -> Iterator[str]:
    """The name for a transaction of the database at ``url`` that is prepared; it is gone at the end of the block."""
    name = f"of {urlsplit(url).path[1:]}"
    with PlainSql(url) as session:
        if session.run("SHOW max_prepared_transactions") == [("0",)]:
            pytest.skip("a server of somebody else's that prepares no transactions")
    try:
        yield name
    finally:
        with PlainSql(url) as session:
            for (left,) in session.run("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"):
                session.run(f"ROLLBACK PREPARED '{left}'")


@contextmanager
def other_database(_: Databases, db_url: str) -> Iterator[str]:
    """One that has nothing to do with a wallet."""
    url = new_database(db_url)
    yield url
    drop_database(url)


@contextmanager
def other_ledger(databases: Databases, _: str) -> Iterator[str]:
    """One whose tables have the same ids as those of the test's ledger, because both are copies of one template."""
    with databases.ledger() as url:
        with closing(CreditWallet.open(url)) as wallets:
            funded(wallets)
        yield url


Other = Callable[[Databases, str], AbstractContextManager[str]]


@pytest.mark.parametrize(
    ("other", "statements"),
    [
        pytest.param(other_database, ["CREATE TABLE host (number INTEGER)"], id="a-table-is-made"),
        pytest.param(other_database, ["SELECT pg_current_xact_id()"], id="an-id-is-given"),
        pytest.param(other_ledger, [INSERT], id="another-ledger-is-written"),
        pytest.param(other_ledger, [DRAW], id="another-ledger-has-drawn"),
    ],
)
def test_another_database_of_the_server_holds_nothing_back(
    wallets: CreditWallet, databases: Databases, db_url: str, other: Other, statements: list[str]
) -> None:
    with other(databases, db_url) as url, open_transaction(url, *statements):
        funded(wallets)
        assert wallets.seals.held_back_by() == []
        assert wallets.maintenance.seal() == 1
    assert wallets.verify() == []


@pytest.mark.parametrize(
    "statement",
    [
        pytest.param("CREATE TABLE host (number INTEGER)", id="writes-elsewhere"),
        pytest.param("SELECT pg_current_xact_id()", id="has-an-id"),
        pytest.param("SELECT * FROM am_credit_transaction_log", id="reads-the-ledger"),
        pytest.param("SELECT * FROM am_credit_wallet WHERE wallet_id = 2 FOR KEY SHARE", id="refers-to-a-wallet"),
    ],
)
def test_what_can_add_no_entry_below_holds_nothing_back(wallets: CreditWallet, db_url: str, statement: str) -> None:
    funded(wallets)
    funded(wallets)
    with open_transaction(db_url, statement):
        wallets.charge(1, 1, idempotency_key="meanwhile")
        assert wallets.maintenance.seal() == 3


@pytest.mark.parametrize("isolation", ["READ COMMITTED", "SERIALIZABLE"])
@pytest.mark.parametrize("statements", [[INSERT], [DRAW], [BALANCE, INSERT]], ids=["insert", "draw", "careful"])
def test_who_has_drawn_an_id_holds_back_until_the_end(
    wallets: CreditWallet, db_url: str, isolation: str, statements: list[str]
) -> None:
    first, second = funded(wallets), funded(wallets)
    assert wallets.maintenance.seal() == 2
    with open_transaction(db_url, f"SET TRANSACTION ISOLATION LEVEL {isolation}", *statements):
        wallets.charge(second, 1, idempotency_key="meanwhile")
        assert wallets.maintenance.seal() == 0
        [holder] = wallets.seals.held_back_by()
        assert holder.who.startswith("session ")
        assert "idle in transaction" in holder.who
        assert holder.seconds is not None
    assert wallets.seals.held_back_by() == []
    assert wallets.maintenance.seal() == 1
    wallets.charge(first, 1, idempotency_key="later")
    assert wallets.maintenance.seal() == 1
    assert wallets.verify() == []


def test_a_writer_of_a_savepoint_holds_back(wallets: CreditWallet, db_url: str) -> None:
    funded(wallets)
    assert wallets.maintenance.seal() == 1
    with open_transaction(db_url, "SAVEPOINT one", INSERT, "RELEASE SAVEPOINT one") as session:
        wallets.charge(1, 1, idempotency_key="meanwhile")
        assert wallets.maintenance.seal() == 0
        session.run(BALANCE)
        session.run("COMMIT")
    assert wallets.maintenance.seal() == 0  # an entry is not sealed before it is backfilled
    wallets.charge(1, 1, idempotency_key="backfills")
    assert wallets.maintenance.seal() == 3
    assert wallets.verify() == []


def test_a_prepared_transaction_holds_back(wallets: CreditWallet, db_url: str) -> None:
    """It outlives its session."""
    funded(wallets)
    assert wallets.maintenance.seal() == 1
    with prepared(db_url) as name, PlainSql(db_url) as session:
        session.run("BEGIN")
        session.run(INSERT)
        session.run(f"PREPARE TRANSACTION '{name}'")
        wallets.topup(wallets.create().wallet_id, 1_000, idempotency_key="meanwhile")
        assert (wallets.maintenance.seal(), wallets.maintenance.seal()) == (2, 0)  # the acts alone
        [holder] = wallets.seals.held_back_by()
        assert holder.who.startswith(f"prepared transaction '{name}' of ")
        assert holder.seconds is not None
        session.run(f"COMMIT PREPARED '{name}'")
    with PlainSql(db_url) as session:
        session.run(BALANCE)
    wallets.charge(1, 1, idempotency_key="backfills")
    assert wallets.balance(1) == 1_006
    assert wallets.maintenance.seal() == 3
    assert wallets.verify() == []


def test_a_transaction_that_is_prepared_while_it_is_waited_for_holds_back(
    wallets: CreditWallet, db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other_id = (funded(wallets), funded(wallets))[1]
    assert wallets.maintenance.seal() == 2
    with prepared(db_url) as name, PlainSql(db_url) as session:
        session.run("BEGIN")
        session.run(INSERT)
        steps = [f"PREPARE TRANSACTION '{name}'"]
        monkeypatch.setattr(horizon, "sleep", lambda _: session.run(steps.pop()) if steps else None)
        wallets.charge(other_id, 1, idempotency_key="meanwhile")
        assert wallets.maintenance.seal() == 0
        assert not steps
        session.run(f"ROLLBACK PREPARED '{name}'")
        assert wallets.maintenance.seal() == 1


def test_a_prepared_transaction_of_another_ledger_holds_nothing_back(
    wallets: CreditWallet, databases: Databases, db_url: str
) -> None:
    funded(wallets)
    with other_ledger(databases, db_url) as url, prepared(url) as name, PlainSql(url) as session:
        session.run("BEGIN")
        session.run(INSERT)
        session.run(f"PREPARE TRANSACTION '{name}'")
        assert wallets.maintenance.seal() == 1


def test_spending_is_counted_beside_a_writer_elsewhere(
    wallets: CreditWallet, databases: Databases, db_url: str
) -> None:
    wallet_id = funded(wallets)
    wallets.charge(wallet_id, 300, idempotency_key="counted")
    with other_database(databases, db_url) as url, open_transaction(url, "CREATE TABLE host (number INTEGER)"):
        wallets.maintenance.watch_spending()
    with PlainSql(db_url) as host:
        assert host.run("SELECT sum(spent_yen) FROM am_credit_hour_spend") == [(300,)]


# Who is told


def unsealed_seconds(metrics: Metrics, wallets: CreditWallet) -> float:
    metrics._totals_until = 0.0
    lines = metrics.text(wallets).decode().splitlines()
    [value] = [line.split()[1] for line in lines if line.startswith("credit_wallet_unsealed_seconds ")]
    return float(value)


def finding_of_seals(url: str, monkeypatch: pytest.MonkeyPatch, clock: Clock) -> tuple[bool, str]:
    opening: Any = CreditWallet.open
    monkeypatch.setattr(CreditWallet, "open", lambda url, **options: opening(url, clock=clock, **options))
    [finding] = [finding for finding in examine(url) if finding.check == "seals"]
    monkeypatch.undo()
    return finding.ok, finding.detail


def test_a_horizon_that_stays_is_told(
    wallets: CreditWallet, db_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    funded(wallets)
    metrics = Metrics()
    with capture_logs() as logs:
        with open_transaction(db_url, INSERT):
            assert (wallets.maintenance.seal(), wallets.maintenance.seal()) == (2, 0)  # the acts alone
            assert unsealed_seconds(metrics, wallets) == 0
            clock.advance(minutes=9)
            assert wallets.maintenance.seal() == 0
            assert logs == []
            assert finding_of_seals(db_url, monkeypatch, clock)[0]
            clock.advance(minutes=2)
            assert wallets.maintenance.seal() == 0
            [told] = logs
            assert (told["event"], told["log_level"], told["unsealed_seconds"]) == ("seals_held_back", "warning", 660)
            [holder] = told["by"]
            assert holder.startswith("session ")
            assert unsealed_seconds(metrics, wallets) == 660
            ok, detail = finding_of_seals(db_url, monkeypatch, clock)
            assert not ok
            assert "11 minutes" in detail
            assert "session " in detail
        ok, detail = finding_of_seals(db_url, monkeypatch, clock)  # nobody holds them back: nobody seals
        assert ok
        assert "background jobs" in detail
        assert wallets.maintenance.seal() == 1
    assert len(logs) == 1
    assert unsealed_seconds(metrics, wallets) == 0
    assert finding_of_seals(db_url, monkeypatch, clock)[0]


@pytest.mark.parametrize("wallets_user", ["unprivileged"])
def test_a_user_that_may_not_see_others_sessions_is_held_back_by_them_and_told(
    wallets: CreditWallet, db_url: str, wallets_user: str
) -> None:
    role = f"{wallets_user}_{urlsplit(db_url).path[1:]}"
    funded(wallets)
    assert wallets.maintenance.seal() == 1
    with PlainSql(db_url) as host:
        host.run(f"CREATE ROLE {role} LOGIN")
        host.run(f"GRANT USAGE ON SCHEMA public TO {role}")
        host.run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
        host.run(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}")
        try:
            parts = urlsplit(db_url)
            url = parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}").geturl()
            with closing(CreditWallet.open(url)) as node, open_transaction(db_url, INSERT):
                node.charge(1, 1, idempotency_key="meanwhile")
                assert node.maintenance.seal() == 0
                [holder] = node.seals.held_back_by()
                assert holder.who.startswith("session ")
                assert holder.seconds is None
        finally:
            host.run(f"DROP OWNED BY {role}")
            host.run(f"DROP ROLE {role}")


@on_every_database
def test_how_long_entries_wait_is_the_same_on_every_database(wallets: CreditWallet, clock: Clock) -> None:
    """Not since the date of an entry that was dated back: since the ledger was last sealed."""
    assert wallets.seals.unsealed_seconds() == 0
    wallet_id = funded(wallets)
    clock.advance(seconds=30)
    assert wallets.seals.unsealed_seconds() == 30
    assert wallets.maintenance.seal() == 1
    assert wallets.seals.unsealed_seconds() == 0
    clock.advance(seconds=-20)
    wallets.charge(wallet_id, 1, idempotency_key="dated back")
    clock.advance(seconds=25)
    assert wallets.seals.unsealed_seconds() == 5
