"""A session's settings come from a role, a database, the environment or the URL: the ledger means the same with each.

The kind of fault: settings taken as they come. ``client_encoding`` is the one that was noticed. Others that change what
text or statements mean (``standard_conforming_strings``, ``array_nulls``, ``transform_null_equals``, ``search_path``),
what comes back (``DateStyle``, ``IntervalStyle``, ``TimeZone``, ``bytea_output``, ``extra_float_digits``,
``row_security``), what a transaction is (isolation, deferrable, read-only, ``exit_on_error``,
``session_replication_role``), how long things may take (four timeouts) and what a commit is worth
(``synchronous_commit``, tested with the faults) are set or refused; ``HARMLESS`` ones need neither. Where else they
could come in: lanes, the readers' pool, migrations, copies, the check-up, and connections opened anew after a loss.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import quote, urlsplit
from uuid import uuid4

import psycopg
import pytest
from clock import Clock
from plain_sql import PlainSql
from postgres import drop_database
from width import WIDE

from credit_wallet import CreditWallet
from credit_wallet.cli.doctor import examine
from credit_wallet.errors import DatabaseReadOnly, DatabaseUnavailable, DatabaseUnfit, WalletError
from credit_wallet.stores.databases import postgres_database_at, sqlite_database_at
from credit_wallet.stores.jobs.copying import copy_ledger
from credit_wallet.stores.postgres.connection import connect
from credit_wallet.stores.postgres.session import SETTINGS

NOON = datetime(2026, 5, 15, 12, tzinfo=UTC)
NOTE = "検索「お茶」½ 🫖 \\ ' \" NULL"

Settings: TypeAlias = Sequence[tuple[str, str]]

pytestmark = pytest.mark.databases("postgres")

SET_BY_US = [
    ("client_encoding", "EUC_JP"),
    ("client_encoding", "SQL_ASCII"),
    ("client_encoding", "LATIN1"),
    ("standard_conforming_strings", "off"),
    ("array_nulls", "off"),
    ("transform_null_equals", "on"),
    ("DateStyle", "German, DMY"),
    ("IntervalStyle", "iso_8601"),
    ("TimeZone", "Asia/Tokyo"),
    ("bytea_output", "escape"),
    ("extra_float_digits", "-15"),
    ("row_security", "on"),
    ("default_transaction_isolation", "serializable"),
    ("default_transaction_isolation", "repeatable read"),
    ("default_transaction_deferrable", "on"),
    ("quote_all_identifiers", "on"),
    ("exit_on_error", "on"),
    ("statement_timeout", "1500ms"),
    ("transaction_timeout", "1500ms"),
    ("idle_session_timeout", "1500ms"),
    ("idle_in_transaction_session_timeout", "1500ms"),
    ("lock_timeout", "1500ms"),
    ("synchronous_commit", "off"),
]
HARMLESS = [
    ("backslash_quote", "off"),
    ("escape_string_warning", "off"),
    ("xmloption", "document"),
    ("check_function_bodies", "off"),
    ("lc_messages", "C"),
    ("client_min_messages", "debug5"),
    ("application_name", "host"),
    ("jit", "on"),
    ("enable_indexscan", "off"),
    ("enable_seqscan", "off"),
    ("geqo", "off"),
    ("plan_cache_mode", "force_custom_plan"),
    ("debug_parallel_query", "on"),
    ("work_mem", "64kB"),
    ("stats_fetch_consistency", "snapshot"),
    ("track_activities", "off"),
    ("default_toast_compression", "pglz"),
    ("createrole_self_grant", "set"),
    ("commit_delay", "10"),
    ("search_path", "public, pg_catalog"),
]
REFUSED = [
    ("session_replication_role", "replica", DatabaseUnfit, "session_replication_role = replica"),
    ("session_replication_role", "local", DatabaseUnfit, "session_replication_role = local"),
    ("zero_damaged_pages", "on", DatabaseUnfit, "zero_damaged_pages = on"),
    ("ignore_checksum_failure", "on", DatabaseUnfit, "ignore_checksum_failure = on"),
    ("search_path", "", DatabaseUnfit, "search_path"),
    ("search_path", "nowhere", DatabaseUnfit, "search_path = nowhere"),
    ("default_transaction_read_only", "on", DatabaseUnavailable, "read-only"),
]


def set_by_role(url: str, settings: Settings, _: pytest.MonkeyPatch) -> str:
    return _altered(url, f"ROLE CURRENT_USER IN DATABASE {urlsplit(url).path[1:]}", settings)


def set_by_database(url: str, settings: Settings, _: pytest.MonkeyPatch) -> str:
    return _altered(url, f"DATABASE {urlsplit(url).path[1:]}", settings)


def set_by_url(url: str, settings: Settings, _: pytest.MonkeyPatch) -> str:
    return f"{url}?options={quote(_options(_known(url, settings)))}"


def set_by_environment(url: str, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PGOPTIONS", _options(_known(url, settings)))
    return url


def _altered(url: str, what: str, settings: Settings) -> str:
    with PlainSql(url) as host:
        for name, value in _known(url, settings):
            host.run(f"ALTER {what} SET {name} = {value or repr(value) if name == 'search_path' else repr(value)}")
    return url


def _known(url: str, settings: Settings) -> Settings:
    """Without what an older server does not have."""
    with psycopg.connect(url) as connection:
        has = {name.lower() for (name,) in connection.execute("SELECT name FROM pg_settings")}
    return [(name, value) for name, value in settings if name.lower() in has]


def _options(settings: Settings) -> str:
    return " ".join(f"-c {name}={value.replace(' ', chr(92) + ' ')}" for name, value in settings)


Place: TypeAlias = Callable[[str, Settings, pytest.MonkeyPatch], str]

everywhere = pytest.mark.parametrize("place", [set_by_role, set_by_database, set_by_url, set_by_environment])


@contextmanager
def database(url: str, options: str) -> Iterator[str]:
    """A new database on the server at ``url``."""
    name = f"wallet_{uuid4().hex}"
    with PlainSql(url) as host:
        host.run(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
    own = urlsplit(url)._replace(path=f"/{name}").geturl()
    yield own
    drop_database(own)


def story(url: str) -> list[Any]:
    """What a wallet tells of a month in which everything happened; the notes as they were written."""
    with CreditWallet.open(url, clock=Clock(NOON)) as wallets:
        wallet_id = wallets.create(label=NOTE, monthly_budget_yen=1_000, time_zone="Asia/Tokyo").wallet_id
        wallets.topup(wallet_id, 1_000, idempotency_key="上", note=NOTE)
        wallets.topup(wallet_id, 500, idempotency_key="gift", promo=True, expires_at="2027-01-01T00:00:00Z")
        key_id = wallets.keys.create(wallet_id, label=NOTE, monthly_cap_yen=900).key_id
        charge = wallets.charge(wallet_id, 600, idempotency_key="下", note=NOTE, key_id=key_id)
        wallets.charge_many([(wallet_id, 1, "a"), (wallet_id, 2, "b")])
        assert charge.txn_id is not None
        wallets.refund(charge.txn_id, 40, idempotency_key="back", note=NOTE)
        hold = wallets.hold(wallet_id, 70, idempotency_key="hold", note=NOTE)
        assert hold.hold_id is not None
        wallets.capture(hold.hold_id, 30)
        assert wallets.charge(wallet_id, 600, idempotency_key="下", note=NOTE, key_id=key_id).replayed
        assert wallets.maintenance.seal() == 7
        wallets.maintenance.watch_spending()
        wallets.alerts.run()
        assert wallets.verify() == []
        wallets.maintenance.check_ready()
        history = [(entry.amount_yen, entry.note, entry.occurred_at) for entry in wallets.history(wallet_id)]
        assert [note for _, note, _ in history].count(NOTE) == 4
        assert [note for _, note, _ in history].count(None) == 3
        assert wallets.show(wallet_id).label == NOTE
        return [history, wallets.statement(wallet_id, "2026-05"), wallets.balance(wallet_id)]


SETTABLE = [*SET_BY_US, *HARMLESS]
TOGETHER = dict(SETTABLE)
ALONE = [each for number, each in enumerate(SETTABLE) if WIDE or number % 4 == 0 or each not in TOGETHER.items()]
"""What is set by itself: every fourth of those that are set together below, and all that are not."""


@pytest.mark.parametrize(("name", "value"), ALONE)
def test_the_ledger_means_the_same_whatever_is_set(
    db_url: str, name: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    story(set_by_url(db_url, [(name, value)], monkeypatch))


@everywhere
def test_the_ledger_means_the_same_wherever_all_of_it_is_set(
    db_url: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = story(place(db_url, list(TOGETHER.items()), monkeypatch))
    monkeypatch.undo()
    with database(db_url, "ENCODING 'UTF8' LOCALE 'C'") as url:
        assert odd == story(url)


@everywhere
@pytest.mark.parametrize(("name", "value", "error", "words"), REFUSED)
def test_what_a_ledger_cannot_live_with_is_refused_by_name(
    db_url: str,
    place: Place,
    name: str,
    value: str,
    error: type[WalletError],
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = place(db_url, [(name, value)], monkeypatch)
    with pytest.raises(error, match=words):
        CreditWallet.open(url)
    [finding] = [finding for finding in examine(url) if not finding.ok]
    assert finding.check == error.code
    assert words in finding.detail
    for use in (postgres_database_at(url).pending_migrations, lambda: postgres_database_at(url).rollback(286)):
        with pytest.raises(error, match=words):
            use()


# Encodings


@pytest.mark.parametrize("encoding", ["EUC_JP", "SQL_ASCII", "LATIN1"])
def test_a_database_that_cannot_hold_the_text_is_refused_by_name(
    db_url: str, encoding: str, clock: Clock, tmp_path: Path
) -> None:
    with database(db_url, f"ENCODING '{encoding}' LOCALE 'C'") as url:
        with pytest.raises(DatabaseUnfit, match=f"server_encoding = {encoding}.*UTF8"):
            CreditWallet.open(url)
        [*_, finding] = examine(url)
        assert (finding.check, finding.ok) == ("database_unfit", False)
        assert encoding in finding.detail
        with pytest.raises(DatabaseUnfit, match=encoding):
            postgres_database_at(url).upgrade(NOON)
        source = f"sqlite:///{tmp_path / 'source.db'}"
        CreditWallet.open(source, clock=clock).close()
        with pytest.raises(DatabaseUnfit, match=encoding):
            copy_ledger(sqlite_database_at(source), postgres_database_at(url), NOON, lambda *_: None)
        with psycopg.connect(url) as client:
            assert client.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchall() == [(0,)]


@pytest.mark.parametrize("encoding", ["EUC_JP", "SJIS", "LATIN1", "SQL_ASCII"])
@pytest.mark.parametrize("place", ["environment", "url", "service"])
def test_the_encoding_of_the_environment_does_not_matter(
    db_url: str, place: str, encoding: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = db_url
    if place == "environment":
        monkeypatch.setenv("PGCLIENTENCODING", encoding)
    elif place == "url":
        url = f"{db_url}?client_encoding={encoding}"
    else:
        services = tmp_path / "services.conf"
        services.write_text(f"[odd]\nclient_encoding={encoding}\noptions=-c DateStyle=German\n")
        monkeypatch.setenv("PGSERVICEFILE", str(services))
        url = f"{db_url}?service=odd"
    story(url)


def test_a_copy_arrives_whatever_is_set(db_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = f"sqlite:///{tmp_path / 'source.db'}"
    told = story(source)
    with database(db_url, "ENCODING 'UTF8' LOCALE 'C'") as url:
        set_by_database(url, SET_BY_US, monkeypatch)
        monkeypatch.setenv("PGCLIENTENCODING", "EUC_JP")
        copy_ledger(sqlite_database_at(source), postgres_database_at(url), NOON, lambda *_: None)
        with CreditWallet.open(url, clock=Clock(NOON)) as wallets:
            assert wallets.verify() == []
            assert [(each.amount_yen, each.note, each.occurred_at) for each in wallets.history(1)] == told[0]


# Every connection


@everywhere
def test_every_connection_has_our_settings_also_after_a_loss(
    db_url: str, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = sorted({*SETTINGS, "lock_timeout"})
    question = f"SELECT name, setting FROM pg_settings WHERE name = ANY ('{{{','.join(names)}}}') ORDER BY 1"
    with closing(connect(db_url)) as raw:
        ours = raw.execute(question).fetchall()
    assert {name for name, _ in ours} >= {*names} - {"transaction_timeout"}  # which came with PostgreSQL 17
    url = place(db_url, SET_BY_US, monkeypatch)
    with CreditWallet.open(url) as wallets:
        wallets.create()
        for _ in range(2):
            for rail in wallets._ledger.lanes._rails:
                assert rail.call(lambda store: store.run(asked, question)) == ours
            assert wallets._ledger.reader.source.rows(question, {}) == ours
            with PlainSql(db_url) as host:
                host.run(
                    "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
                    "AND datname = current_database() AND backend_type = 'client backend'"
                )
    with closing(connect(url)) as raw:
        assert raw.execute(question).fetchall() == ours


def asked(connection: Any, question: str) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = connection.execute(question).fetchall()
    return rows


# Rows that a policy hides


def test_a_ledger_of_which_a_policy_hides_a_part_is_not_taken_for_the_whole(db_url: str) -> None:
    role = f"app_{urlsplit(db_url).path[1:]}"
    with CreditWallet.open(db_url) as wallets:
        for _ in range(2):
            wallets.topup(wallets.create().wallet_id, 1_000, idempotency_key="start")
    with PlainSql(db_url) as host:
        host.run(f"CREATE ROLE {role} LOGIN")
        try:
            host.run(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}")
            host.run(f"GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA public TO {role}")
            parts = urlsplit(db_url)
            url = parts._replace(netloc=f"{role}@{parts.hostname}:{parts.port}").geturl()
            with CreditWallet.open(url) as wallets:
                host.run("ALTER TABLE am_credit_wallet ENABLE ROW LEVEL SECURITY")
                host.run("CREATE POLICY own ON am_credit_wallet USING (wallet_id = 1)")
                for use in (
                    lambda: wallets.charge(2, 1, idempotency_key="hidden"),
                    lambda: wallets.balance(2),
                    wallets.maintenance.totals,
                    wallets.verify,
                ):
                    with pytest.raises(DatabaseReadOnly, match="row-level security"):
                        use()
            with CreditWallet.open(db_url) as wallets:  # its owner sees all
                assert wallets.balance(2) == 1_000
                assert wallets.verify() == []
        finally:
            host.run(f"DROP OWNED BY {role}")
            host.run(f"DROP ROLE {role}")


# The schema that the ledger is in


def test_the_ledger_stays_where_it_is_when_a_schema_comes_before_it(db_url: str) -> None:
    """A schema of the user's own name comes first in the usual search_path."""
    with CreditWallet.open(db_url) as wallets, PlainSql(db_url) as host:
        wallet_id = wallets.create().wallet_id
        wallets.topup(wallet_id, 1_000, idempotency_key="start")
        host.run("CREATE SCHEMA AUTHORIZATION CURRENT_USER")
        [(user,)] = host.run("SELECT quote_ident(current_user)")
        with CreditWallet.open(db_url) as node, closing(connect(db_url)) as raw:
            assert node.balance(wallet_id) == 1_000
            raw.execute("CREATE TABLE made_by_a_migration (number INTEGER)")
            assert raw.execute("SELECT 'public.made_by_a_migration'::regclass::oid > 0").fetchall() == [(True,)]
        host.run(f"CREATE TABLE {user}.am_credit_wallet (LIKE am_credit_wallet)")
        assert wallets.balance(wallet_id) == 1_000


def test_a_second_ledger_is_made_only_where_it_was_asked_for(db_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with CreditWallet.open(db_url) as wallets, PlainSql(db_url) as host:
        wallets.topup(wallets.create().wallet_id, 1_000, idempotency_key="start")
        host.run("CREATE SCHEMA other")
    set_by_role(db_url, [("search_path", "other")], monkeypatch)
    words = "is in schema public, which search_path = other does not have"
    with pytest.raises(DatabaseUnfit, match=words):
        CreditWallet.open(db_url)
    assert words in examine(db_url)[-1].detail
    with CreditWallet.open(f"{db_url}?options=-csearch_path%3Dpublic") as wallets:
        assert wallets.maintenance.totals().balance_yen == 1_000
    with CreditWallet.open(f"{db_url}?options=-csearch_path%3Dother") as wallets:
        assert wallets.maintenance.totals().wallets == 0
        wallets.topup(wallets.create().wallet_id, 5, idempotency_key="start")
        assert wallets.maintenance.seal() == 1
        assert wallets.verify() == []
    with CreditWallet.open(f"{db_url}?options=-csearch_path%3Dpublic") as wallets:
        assert wallets.maintenance.totals().balance_yen == 1_000
