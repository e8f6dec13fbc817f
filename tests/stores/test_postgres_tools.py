"""The tools for tests on PostgreSQL do what they say."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import psycopg
import pytest
from faulty_proxy import FaultyProxy, Moment
from postgres import Server, drop_database, new_database, partitioned

Connection: TypeAlias = "psycopg.Connection[tuple[Any, ...]]"

MIGRATIONS = sorted(Path(__file__).parents[2].glob("scripts/migrations/postgres/*[a-z].sql"))
FORWARD = [path for path in MIGRATIONS if not path.stem.endswith("_rollback")]
BACKWARD = [path for path in reversed(MIGRATIONS) if path.stem.endswith("_rollback")]

COMMITTED = (Moment.AFTER_COMMIT, Moment.DURING_ANSWER)
WRITTEN = (Moment.AFTER_WRITES, *COMMITTED)

NAMES = """
SELECT relname FROM pg_class WHERE relname ~ 'am_credit|credit_wallet'
UNION ALL SELECT proname FROM pg_proc WHERE proname ~ 'am_credit|credit_wallet'
"""

MAKE_AND_DIE = """
import os, signal
from postgres import Server
server = Server()
server.start()
print(server._folder, server._process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


class Table:
    """An empty table of numbers, and who looks at it past the proxy."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.port = urlsplit(url).port or 5432
        self._observer: Connection = psycopg.connect(url, autocommit=True)
        self._observer.execute("DROP TABLE IF EXISTS numbers")
        self._observer.execute("CREATE TABLE numbers (number BIGINT PRIMARY KEY, place BIGSERIAL)")

    def close(self) -> None:
        self._observer.close()

    def numbers(self) -> list[int]:
        return [number for (number,) in self._observer.execute("SELECT number FROM numbers ORDER BY number")]

    def tried(self) -> int:
        """How many rows were inserted, whether they were committed or not."""
        (row,) = self._observer.execute("SELECT CASE WHEN is_called THEN last_value ELSE 0 END FROM numbers_place_seq")
        return int(row[0])

    def state_of(self, backend: int) -> str:
        (row,) = self._observer.execute("SELECT state FROM pg_stat_activity WHERE pid = %s", (backend,))
        return str(row[0])


@pytest.fixture(scope="module")
def module_url(postgres_server_url: str) -> Iterator[str]:
    """A database that the tests of the proxy share: a new one takes longer than any of them."""
    url = new_database(postgres_server_url)
    yield url
    drop_database(url)


@pytest.fixture
def table(module_url: str) -> Iterator[Table]:
    opened = Table(module_url)
    yield opened
    opened.close()


@pytest.fixture
def proxy(table: Table) -> Iterator[FaultyProxy]:
    with FaultyProxy(table.port) as opened:
        yield opened


def connect(proxy: FaultyProxy, table: Table, prepare_threshold: int | None = 0) -> Connection:
    """A client that prepares every statement at once (0) or none."""
    return psycopg.connect(proxy.url(table.url), autocommit=True, prepare_threshold=prepare_threshold)


def insert(client: Connection, *numbers: int) -> None:
    """One transaction."""
    client.execute("BEGIN")
    client.execute("SELECT 1 FROM numbers FOR UPDATE")
    for number in numbers:
        client.execute("INSERT INTO numbers (number) VALUES (%s)", (number,))
    client.execute("COMMIT")


def insert_in_a_pipeline(client: Connection, *numbers: int) -> None:
    """One transaction, sent in one go."""
    with client.pipeline():
        insert(client, *numbers)


WAYS = pytest.mark.parametrize(
    ("transact", "prepare_threshold"),
    [
        pytest.param(insert_in_a_pipeline, 0, id="pipeline-prepared"),
        pytest.param(insert_in_a_pipeline, None, id="pipeline"),
        pytest.param(insert, 0, id="prepared"),
        pytest.param(insert, None, id="simple"),
    ],
)
Way: TypeAlias = Callable[..., None]


@WAYS
@pytest.mark.parametrize("moment", Moment)
def test_a_transaction_is_cut_at_its_moment(
    table: Table, proxy: FaultyProxy, moment: Moment, transact: Way, prepare_threshold: int | None
) -> None:
    """A connection's first transaction, and its third, whose statements' text is not sent again when prepared."""
    expected: list[int] = []
    for numbers in ([0], [1, 2, 3]):
        with closing(connect(proxy, table, prepare_threshold)) as client:
            for number in numbers[:-1]:
                transact(client, 2 * number, 2 * number + 1)
                expected += [2 * number, 2 * number + 1]
            tried = table.tried()
            proxy.arm(moment)
            with pytest.raises(psycopg.OperationalError):
                transact(client, 2 * numbers[-1], 2 * numbers[-1] + 1)
        assert proxy.fired == 1
        if moment in COMMITTED:
            expected += [2 * numbers[-1], 2 * numbers[-1] + 1]
        assert table.numbers() == expected
        if moment in WRITTEN:
            assert table.tried() == tried + 2
        if moment in (Moment.BEFORE_BEGIN, Moment.AFTER_BEGIN, Moment.BEFORE_WRITES):
            assert table.tried() == tried


@pytest.mark.parametrize(
    ("moment", "states"),
    [
        (Moment.BEFORE_BEGIN, {"idle"}),
        (Moment.AFTER_BEGIN, {"idle in transaction"}),
        (Moment.BEFORE_WRITES, {"idle in transaction", "active"}),  # active: preparing it
        (Moment.AFTER_WRITES, {"idle in transaction"}),
        (Moment.BEFORE_COMMIT, {"idle in transaction"}),
        (Moment.HALF_COMMIT, {"idle in transaction"}),
        (Moment.AFTER_COMMIT, {"idle"}),
        (Moment.DURING_ANSWER, {"idle"}),
    ],
)
def test_a_stalled_connection_stays_until_it_is_cut(
    table: Table, proxy: FaultyProxy, moment: Moment, states: set[str]
) -> None:
    with closing(connect(proxy, table, None)) as client:
        errors: list[Exception] = []

        def run() -> None:
            try:
                insert(client, 1)
            except psycopg.OperationalError as error:
                errors.append(error)

        proxy.arm(moment, stall=True)
        thread = threading.Thread(target=run)
        thread.start()
        try:
            proxy.wait_until_fired()
            seen = table.state_of(client.info.backend_pid)
            assert not errors
        finally:
            proxy.cut_all()
            thread.join()
        assert errors
        assert seen in states
    assert table.numbers() == ([1] if moment in COMMITTED else [])


def test_it_cuts_as_often_as_it_was_told_to(table: Table, proxy: FaultyProxy) -> None:
    proxy.arm(Moment.BEFORE_COMMIT, times=2)
    for number in range(2):
        with closing(connect(proxy, table)) as client, pytest.raises(psycopg.OperationalError):
            insert_in_a_pipeline(client, number)
    with closing(connect(proxy, table)) as client:
        insert_in_a_pipeline(client, 2)
    assert proxy.fired == 2
    assert table.numbers() == [2]


@pytest.mark.parametrize("moment", [Moment.AFTER_WRITES, Moment.AFTER_COMMIT, Moment.DURING_ANSWER])
@pytest.mark.parametrize("prepare_threshold", [0, None])
def test_a_transaction_that_fails_has_not_come_to_its_commit(
    table: Table, proxy: FaultyProxy, moment: Moment, prepare_threshold: int | None
) -> None:
    with closing(connect(proxy, table, prepare_threshold)) as client:
        insert(client, 1)
        proxy.arm(moment)
        with pytest.raises(psycopg.errors.UniqueViolation):
            insert_in_a_pipeline(client, 2, 1)
        client.execute("ROLLBACK")
        assert proxy.fired == 0
        with pytest.raises(psycopg.OperationalError):
            insert_in_a_pipeline(client, 3)
    assert proxy.fired == 1
    assert table.numbers() == ([1, 3] if moment in COMMITTED else [1])


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE numbers SET place = 7",
        "/* why */ DELETE FROM numbers",
        "WITH given AS (SELECT number FROM numbers FOR UPDATE) UPDATE numbers SET place = 7",
        "WITH given AS (SELECT 5) INSERT INTO numbers SELECT * FROM given",
    ],
)
def test_every_statement_that_writes_counts(table: Table, proxy: FaultyProxy, statement: str) -> None:
    with closing(connect(proxy, table)) as client:
        insert(client, 1)
        proxy.arm(Moment.BEFORE_WRITES)
        client.execute("BEGIN")
        client.execute("SELECT * FROM numbers FOR NO KEY UPDATE")
        client.execute("WITH locked AS (SELECT * FROM numbers FOR UPDATE) SELECT * FROM locked")
        assert proxy.fired == 0
        with pytest.raises(psycopg.OperationalError):
            client.execute(statement)


def test_all_connections_are_cut_and_new_ones_refused(table: Table, proxy: FaultyProxy) -> None:
    with closing(connect(proxy, table)) as one, closing(connect(proxy, table)) as other:
        proxy.refuse(True)
        insert(one, 1)
        with pytest.raises(psycopg.OperationalError):
            connect(proxy, table)
        proxy.cut_all()
        for client in (one, other):
            with pytest.raises(psycopg.OperationalError):
                insert(client, 2)
    proxy.refuse(False)
    with closing(connect(proxy, table)) as client:
        insert(client, 3)
    assert table.numbers() == [1, 3]


def test_large_messages_get_through_both_ways(table: Table, proxy: FaultyProxy) -> None:
    text = "x" * 3_000_000
    with closing(connect(proxy, table)) as client, client.pipeline():
        cursors = [client.execute("SELECT %s::text", (text,)) for _ in range(5)]
        assert [cursor.fetchone() for cursor in cursors] == [(text,)] * 5


def test_what_was_committed_survives_a_kill_of_the_server() -> None:
    with Server() as server, FaultyProxy(server.port) as proxy:
        with psycopg.connect(proxy.url(server.url())) as client:
            client.execute("CREATE TABLE numbers (number INTEGER)")
            client.execute("INSERT INTO numbers VALUES (1)")
            client.commit()
            client.execute("INSERT INTO numbers VALUES (2)")
            server.kill()
            with pytest.raises(psycopg.OperationalError):
                client.commit()
        with pytest.raises(psycopg.OperationalError):
            psycopg.connect(proxy.url(server.url()))
        server.start()
        with psycopg.connect(proxy.url(server.url())) as client:
            assert client.execute("SELECT number FROM numbers").fetchall() == [(1,)]
        server.stop()
        server.start()
        with psycopg.connect(server.url()) as client:
            assert client.execute("SHOW fsync").fetchall() == [("on",)]
        server.kill()


def test_a_server_does_not_outlive_its_owner() -> None:
    made = subprocess.run(
        [sys.executable, "-c", MAKE_AND_DIE],
        cwd=Path(__file__).parents[1] / "support",
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == -signal.SIGKILL, made.stderr
    folder, postmaster = made.stdout.split()
    deadline = time.monotonic() + 10
    while Path(folder).exists() or is_running(int(postmaster)):
        assert time.monotonic() < deadline
        time.sleep(0.01)


def is_running(process: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(process, 0)
        return True
    return False


def test_migrations_apply_plain(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as client:
        before = set(client.execute(NAMES))
        for path in FORWARD:
            client.execute(path.read_text("utf-8"))
        assert tables(client, "p") == set()
        assert "am_credit_transaction_log" in tables(client, "r")
        for path in BACKWARD:
            client.execute(path.read_text("utf-8"))
        assert set(client.execute(NAMES)) == before


def test_migrations_apply_with_partitions(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as client:
        before = set(client.execute(NAMES))
        for path in FORWARD:
            client.execute(partitioned(path.read_text("utf-8")))
        split = tables(client, "p")
        whole = tables(client, "r") - {f"{name}_p{part}" for name in split for part in range(3)}
        assert "am_credit_transaction_log" in split
        assert "am_credit_seal" in whole
        assert not [name for name in whole if re.search(r"_p\d+$", name)]
        for path in BACKWARD:
            client.execute(partitioned(path.read_text("utf-8")))
        assert set(client.execute(NAMES)) == before


def tables(client: Connection, kind: str) -> set[str]:
    """Ordinary (r) or partitioned (p) tables."""
    found = client.execute("SELECT relname FROM pg_class WHERE relname ~ '^am_credit' AND relkind = %s", (kind,))
    return {name for (name,) in found}
