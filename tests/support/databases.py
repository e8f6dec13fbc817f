"""The databases that tests run on: SQLite files, PostgreSQL, and PostgreSQL with every table partitioned by wallet."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

import apsw
import psycopg
import pytest
from width import WIDE

from credit_wallet import CreditWallet
from credit_wallet.database_urls import sqlite_path
from credit_wallet.stores import migrations
from credit_wallet.stores.postgres.connection import connect
from credit_wallet.stores.postgres.schema import PostgresSchema

KINDS = ("sqlite", "postgres", "partitioned")

on_every_database = pytest.mark.databases(*KINDS)
on_both_databases = pytest.mark.databases("sqlite", "postgres")
on_every_database_at_length = on_every_database if WIDE else on_both_databases
"""For what takes long on partitioned tables and asks nothing of its own of them: there it runs in ``make wide``."""
on_postgres = pytest.mark.databases("postgres", "partitioned")
on_sqlite = pytest.mark.databases("sqlite")

MIGRATIONS = Path(__file__).resolve().parents[2] / "scripts" / "migrations"
SEED = "281_credit_wallet.sql"


def chosen(items: list[pytest.Item]) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """The tests that a run takes, and those that are left to ``make wide``.

    The rules are the same on all databases, and each case of a table meets them on SQLite. The SQL has to be tried on
    each: PostgreSQL takes each test, and of a table outside of ``tests/stores`` the first, middle and last case; of a
    file about pages, which know no database, three in all. On partitioned tables the statements are PostgreSQL's: they
    take the first case of each test of ``tests/stores``, and of every other file the first that is for them and those
    marked ``partitions``. So each named statement runs there.
    """
    places: defaultdict[tuple[str, ...], list[pytest.Item]] = defaultdict(list)
    for item in items:
        places[_place(item)].append(item)
    taken = {id(each) for place, cases in places.items() for each in _of_a_place(place[0], cases)}
    return [each for each in items if id(each) in taken], [each for each in items if id(each) not in taken]


def _place(item: pytest.Item) -> tuple[str, ...]:
    """What a test is one of many cases of: its database, its file and, but for partitioned tables, its function."""
    cases = getattr(item, "callspec", None)
    mark = item.get_closest_marker("databases")
    of_stores = "stores" in item.path.parts
    if cases is None or mark is None:
        return ("", item.nodeid)
    kind = cases.params.get("databases", "")
    name = getattr(item, "originalname", "")
    if kind == "partitioned":
        by_itself = of_stores or item.get_closest_marker("partitions") is not None
        return (kind, str(item.path), name if by_itself else "")
    if kind == "postgres" and "sqlite" in mark.args and not of_stores:
        return (kind, str(item.path), "" if "pages" in item.path.parts else name)
    return ("", item.nodeid)


def _of_a_place(kind: str, cases: list[pytest.Item]) -> list[pytest.Item]:
    if kind == "partitioned":
        return cases[:1]
    return [cases[place] for place in {0, len(cases) // 2, len(cases) - 1}]


class Databases(Protocol):
    """One of ``KINDS``. A database is gone when its block ends."""

    kind: str

    partitions: int
    """How many each table is to have; 0 for plain ones."""

    def nothing(self) -> AbstractContextManager[str]:
        """The URL of a database with nothing in it; on SQLite there is not even a file."""

    def ledger(self) -> AbstractContextManager[str]:
        """The URL of a database that is an empty ledger once the wallet has opened it."""

    def seed(self) -> AbstractContextManager[str]:
        """The URL of a database that has migration 281 alone, as a host runs it."""


@cache
def _empty_ledger() -> tuple[bytes, bytes]:
    """The file of a new ledger, and its installation's id; to migrate each takes most of a short test's time."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "wallet.db"
        CreditWallet.open(f"sqlite:///{path}").close()
        with closing(apsw.Connection(str(path))) as made:
            [(installation_id,)] = made.execute("SELECT installation_id FROM am_credit_installation")
        return path.read_bytes(), installation_id.encode()


class SqliteFiles:
    """Files in a folder; the first one is ``wallet.db``."""

    kind = "sqlite"
    partitions = 0

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._names = (f"wallet{number or ''}.db" for number in count())

    @contextmanager
    def nothing(self) -> Iterator[str]:
        path = self._folder / next(self._names)
        try:
            yield f"sqlite:///{path}"
        finally:
            for file in self._folder.glob(f"{path.name}*"):
                file.unlink()

    @contextmanager
    def ledger(self) -> Iterator[str]:
        with self.nothing() as url:
            path = sqlite_path(url)
            path.touch(0o600)
            made, installation_id = _empty_ledger()
            path.write_bytes(made.replace(installation_id, uuid4().hex[: len(installation_id)].encode()))
            yield url

    @contextmanager
    def seed(self) -> Iterator[str]:
        with self.nothing() as url:
            with closing(apsw.Connection(str(sqlite_path(url)))) as host:
                host.execute((MIGRATIONS / SEED).read_text(encoding="utf-8"))
            yield url


_OTHERS = """
SELECT count(*) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
_ALONE = """
SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
"""
"""Looks every tenth of a second whether they are gone: who has said goodbye is gone long before."""

LEAVING_TRIES = 25
_DEFINITIONS = """
WITH defined (oid, version) AS (
    SELECT oid, xmin FROM pg_class UNION ALL SELECT attrelid, xmin FROM pg_attribute
    UNION ALL SELECT oid, xmin FROM pg_attrdef UNION ALL SELECT oid, xmin FROM pg_constraint
    UNION ALL SELECT oid, xmin FROM pg_trigger UNION ALL SELECT oid, xmin FROM pg_proc
    UNION ALL SELECT oid, xmin FROM pg_rewrite
    UNION ALL SELECT pg_database.oid, settings.xmin FROM pg_db_role_setting settings
    JOIN pg_database ON pg_database.oid = setdatabase WHERE datname = current_database()
)
SELECT count(*), max(CAST(CAST(version AS text) AS bigint)) FROM defined WHERE oid >= 16384
"""
"""What is taken away makes it fewer; what is new or changed is of a later transaction than all of the template is."""

_KEPT = ("am_credit_installation", "am_credit_counted")
_ROWS_AND_SEQUENCES = r"""
SELECT array_agg(DISTINCT tablename), array_agg(DISTINCT sequencename) FROM pg_tables, pg_sequences
WHERE tablename LIKE 'am\_credit%%' AND tablename !~ '_p\d+$' AND tablename <> ALL (%s)
"""


def _emptying(tables: list[str], sequences: list[str]) -> str:
    """One statement, so that a session plans it once: a ledger's rows go, and its sequences begin again.

    It gets another name: what tests before have left at a fake of Stripe is not its own.
    """
    gone = [f"of_{table} AS (DELETE FROM {table})" for table in tables]
    uncounted = "uncounted AS (UPDATE am_credit_counted SET last_txn_id = 0)"
    renamed = "renamed AS (UPDATE am_credit_installation SET installation_id = left(md5(random()::text), 16))"
    begun = [f"setval('{sequence}', 1, false)" for sequence in sequences]
    return f"WITH {', '.join([*gone, uncounted, renamed])} SELECT {', '.join(begun)}"


CLEANER = "cleaner"
"""The name of the sessions that empty ledgers, for tests that ask who else is there."""


class PostgresDatabases:
    """Databases on one server: copies of templates.

    A ledger in which nothing but rows was changed is emptied and used again: to make a database, PostgreSQL makes
    hundreds of files, which can take it a third of a second.
    """

    def __init__(self, server_url: str, partitions: int = 0) -> None:
        self.kind = "partitioned" if partitions else "postgres"
        self.partitions = partitions
        self._server_url = server_url
        self._server = psycopg.connect(server_url, autocommit=True)
        self._templates: dict[str, str] = {}
        self._definitions: tuple[Any, ...] | None = None
        self._emptying = ""
        self._empty: list[str] = []
        self._cleaners: dict[str, psycopg.Connection[Any]] = {}
        """A session in each ledger, because a new one reads the catalogue anew: that takes longer than the emptying."""

    def close(self) -> None:
        for name in (*self._templates.values(), *self._empty):
            self._drop(name)
        self._server.close()

    def nothing(self) -> AbstractContextManager[str]:
        return self._copy_of("template0")

    def seed(self) -> AbstractContextManager[str]:
        return self._copy_of(self._template("seed"))

    @contextmanager
    def ledger(self) -> Iterator[str]:
        name = self._empty.pop() if self._empty else self._create(self._template("ledger"))
        try:
            yield self._url(name)
        finally:
            if self._emptied(name):
                self._empty.append(name)
            else:
                self._drop(name)

    @contextmanager
    def _copy_of(self, template: str) -> Iterator[str]:
        name = self._create(template)
        try:
            yield self._url(name)
        finally:
            self._drop(name)

    def _emptied(self, name: str) -> bool:
        """Whether the database could be made as its template is; only a superuser can."""
        cleaner = self._cleaner(name)
        if cleaner.execute(_DEFINITIONS).fetchone() != self._definitions:
            return False
        with suppress(psycopg.errors.InsufficientPrivilege):
            cleaner.execute("SET session_replication_role = replica")  # no triggers: the ledger's rows may go
            cleaner.execute(self._emptying, prepare=True)
            return True
        return False

    def _cleaner(self, name: str) -> psycopg.Connection[Any]:
        """The only session there is in a ledger; the test may have ended the one that it was."""
        if name in self._cleaners:
            with suppress(psycopg.OperationalError):
                _leave_alone(self._cleaners[name])
                return self._cleaners[name]
            self._cleaners.pop(name).close()
        self._cleaners[name] = psycopg.connect(self._url(name), autocommit=True, application_name=CLEANER)
        _leave_alone(self._cleaners[name])
        return self._cleaners[name]

    def _template(self, kind: str) -> str:
        if kind not in self._templates:
            self._templates[kind] = self._create("template0")
            url = self._url(self._templates[kind])
            with closing(connect(url)) as raw:
                schema = PostgresSchema(raw, url, self.partitions)
                if kind == "seed":
                    schema.run_script(SEED, (MIGRATIONS / schema.folder / SEED).read_text(encoding="utf-8"))
                else:
                    migrations.migrate(schema)
                    self._definitions = raw.execute(_DEFINITIONS).fetchone()
                    [(tables, sequences)] = raw.execute(_ROWS_AND_SEQUENCES, [list(_KEPT)]).fetchall()
                    self._emptying = _emptying(tables, sequences)
        return self._templates[kind]

    def _create(self, template: str) -> str:
        name = f"wallet_{uuid4().hex}"
        self._server.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")  # half the work of a log
        return name

    def _drop(self, name: str) -> None:
        if name in self._cleaners:
            self._cleaners.pop(name).close()
        self._server.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _url(self, name: str) -> str:
        return urlsplit(self._server_url)._replace(path=f"/{name}").geturl()


def _leave_alone(cleaner: psycopg.Connection[Any]) -> None:
    """End the other sessions, once those that are ending by themselves have had a moment for it."""
    for _ in range(LEAVING_TRIES):
        if cleaner.execute(_OTHERS).fetchone() == (0,):
            return
        time.sleep(0.002)
    cleaner.execute(_ALONE)
