# ruff: noqa: F811 - fixtures are imported, and parameters have their names
"""A typing error in ``--db`` makes no ledger: what only reads, spends or repairs says that there is none.

Ledgers are made by ``migrate``, ``serve``, ``wallet create``, ``restore``, the target of ``copy``, and the library's
``open`` unless it is told ``create=False``; ``demo`` and ``bench`` make theirs in a temporary folder. Everything else
is here: every other command, by a walk over all of them, the wallet's tools on standard input and output, the worker,
and the alert job. No ledger are: no file, an empty file, a file with other tables, and a PostgreSQL database without
the tables.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from command_values import commands
from databases import Databases, PostgresDatabases, on_both_databases
from shell import (
    Shell,
    shell,  # noqa: F401
)

from credit_wallet import CreditWallet
from credit_wallet.cli import alert_job as job
from credit_wallet.errors import NoLedger
from credit_wallet.mcp.stdio import speak_for_database
from credit_wallet.stores.databases import database_at

MAKE_A_LEDGER = {"migrate", "serve", "wallet create", "restore"}
HAVE_THEIR_OWN = {"demo", "bench"}
OF_NO_LEDGER = {"rollback", "copy", "mcp"}
"""Say so in their own words, or are called otherwise; each has a test below."""

WORDS: dict[str, tuple[object, ...]] = {
    "backup": ("copy.db",),
    "topup": (1, 10, "--key", "k"),
    "charge": (1, 10, "--key", "k"),
    "adjust": (1, "-10", "--reason", "other", "--note", "n", "--key", "k"),
    "take-back": (1, "--note", "n", "--key", "k"),
    "refund": (1, "--key", "k"),
    "hold": (1, 10, "--key", "k"),
    "capture": (1, 10),
    "release": (1,),
    "history": (1,),
    "transaction show": (1,),
    "transaction find": ("--reference", "x"),
    "statement": (1, "--cycle", "2026-05"),
    "topups pay-back": ("tu_1", 10, "--key", "k"),
    "transfers": (1,),
    "forecast": (1,),
    "alerts list": (1,),
    "grants show": (1,),
    "look-up hold": (1,),
    "look-up transfer": ("tr_1_206e147864ef7ab96bd1d844",),
    "look-up topup": ("tu_1",),
    "usage": (1,),
    "export personal-data": (1,),
    "prices diff": ("prices.toml",),
    "prices apply": ("prices.toml",),
    "wallet configure": (1, "--label", "x"),
    "wallet show": (1,),
    "wallet find": ("--reference", "cust_1"),
    "wallet disable": (1,),
    "wallet enable": (1,),
    "key create": (1,),
    "key list": (1,),
    "key revoke": (1,),
    "key rotate": (1,),
    "seller create": (),
    "seller revoke": (1,),
    "seller rotate": (1,),
    "token revoke": (),
    "operator create": ("alice", "--role", "viewer"),
    "operator list": (),
    "operator keys": (1,),
    "operator configure": (1, "--role", "admin"),
    "operator rotate": (1,),
    "operator revoke": (1,),
    "wallet register-secret": (1, "0" * 64),
    "wallet remove-secret": ("0" * 64,),
    "wallet close": (1, "--note", "n"),
    "wallet erase": (1,),
    "wallet link": (1,),
    "wallet hand-over": (1, "cust_2"),
    "wallet merge": (1, 2, "--note", "n"),
    "wallet rotate-token": (1,),
    "wallet secrets": (1,),
    "key configure": (1, "--label", "x"),
    "lots": (1,),
    "budgets create": (1, "--limit-yen", 1, "--window", "day"),
    "budgets list": (1,),
    "budgets changes": (1,),
    "budgets show": ("budget-1",),
    "budgets values": ("budget-1",),
    "budgets configure": ("budget-1", "--label", "x"),
    "budgets delete": ("budget-1",),
    "budgets replay": ("--limit-yen", 1, "--window", "day"),
    "grants create": (1, 10, "--every", "month"),
    "grants cancel": (1,),
    "grants occurrences": (1,),
    "topups consents": (1,),
    "transfer": (1, 2, 10, "--key", "k"),
    "alerts run": ("--dry-run",),
    "alerts resend": (1,),
    "alerts targets ask-again": (1,),
    "alerts targets confirm": (1, "12345678"),
    "alerts targets add": ("https://example.com/hook",),
    "alerts targets remove": (1,),
    "alerts targets rotate-secret": (1,),
}
ALL = sorted(words for words, _ in commands())
NEED_A_LEDGER = [words for words in ALL if words not in MAKE_A_LEDGER | HAVE_THEIR_OWN | OF_NO_LEDGER]


def absent(path: Path) -> None:
    """Nothing there."""


def empty(path: Path) -> None:
    path.touch()


def of_another_application(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE customer (id INTEGER PRIMARY KEY)")


@pytest.fixture(params=[absent, empty, of_another_application])
def nowhere(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A path where no ledger is, and which must be left as it is."""
    make: Callable[[Path], None] = request.param
    folder = tmp_path_factory.mktemp("nowhere")
    path = folder / "typo" / "wallet.db" if make is absent else folder / "typo.db"
    make(path)
    before = path.read_bytes() if path.exists() else None
    yield path
    assert (path.read_bytes() if path.exists() else None) == before
    assert [each.name for each in folder.iterdir()] == ([] if make is absent else ["typo.db"])


@pytest.mark.parametrize("words", NEED_A_LEDGER)
def test_a_command_says_that_there_is_no_ledger(nowhere: Path, shell: Shell, words: str) -> None:
    answer = shell.run("--db", f"sqlite:///{nowhere}", *words.split(), *WORDS.get(words, ()))
    told = answer.err + answer.out
    assert answer.code == 1
    assert "no ledger found" in told
    assert str(nowhere) in told
    assert words == "doctor" or answer.err.startswith("no_ledger: ")


@pytest.mark.parametrize("words", ["wallet list", "verify", "charge"])
def test_a_database_without_the_tables_is_no_ledger(
    postgres_databases: PostgresDatabases,
    shell: Shell,
    words: str,
) -> None:
    with postgres_databases.nothing() as url:
        answer = shell.run("--db", url, *words.split(), *WORDS.get(words, ()))
        assert answer.code == 1
        assert answer.err.startswith("no_ledger: no ledger found: ")
        with psycopg.connect(url) as connection:
            assert connection.execute(
                "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'am_credit%'"
            ).fetchone() == (0,)


@on_both_databases
def test_the_library_refuses_as_it_is_told(databases: Databases) -> None:
    with databases.nothing() as url:
        for _ in range(2):
            with pytest.raises(NoLedger, match="no ledger found"):
                CreditWallet.open(url, create=False)
        with CreditWallet.open(url) as wallets:
            wallets.create()
        with CreditWallet.open(url, create=False) as wallets:
            assert len(wallets.list()) == 1


@on_both_databases
def test_a_hosts_database_with_the_seeds_schema_is_a_ledger(seed_url: str) -> None:
    with CreditWallet.open(seed_url, create=False) as wallets:
        assert wallets.list() == []


def test_the_tools_of_an_agent_need_a_ledger(nowhere: Path) -> None:
    with pytest.raises(NoLedger, match=str(nowhere)):
        speak_for_database("cw_live_x", f"sqlite:///{nowhere}", "")


def test_nothing_is_copied_from_no_ledger(nowhere: Path, shell: Shell, postgres_databases: PostgresDatabases) -> None:
    with postgres_databases.nothing() as target:
        answer = shell.run("copy", f"sqlite:///{nowhere}", target)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"no_ledger: no ledger found: {nowhere}")


def test_nothing_is_rolled_back_where_no_ledger_is(nowhere: Path, shell: Shell) -> None:
    answer = shell.run("--db", f"sqlite:///{nowhere}", "rollback", 281, "--yes")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("migration_error: ")


def test_a_dry_run_of_migrate_makes_nothing(nowhere: Path, shell: Shell) -> None:
    assert shell.run("--db", f"sqlite:///{nowhere}", "--json", "migrate", "--dry-run").code == 0


@pytest.mark.parametrize("words", [("migrate",), ("wallet", "create")])
def test_a_ledger_is_made_where_that_is_what_was_asked_for(
    shell: Shell, tmp_path: Path, words: tuple[str, ...]
) -> None:
    assert shell.run("--db", f"sqlite:///{tmp_path}/new/wallet.db", *words).code == 0
    database_at(f"sqlite:///{tmp_path}/new/wallet.db").require_ledger()


def test_the_alert_job_keeps_the_rule_of_the_seed(
    tmp_path: Path, postgres_databases: PostgresDatabases, capsys: pytest.CaptureFixture[str]
) -> None:
    """A missing database is a warning and an empty report; so is a PostgreSQL database without a ledger."""
    with postgres_databases.nothing() as url:
        for database in (str(tmp_path / "typo.db"), f"sqlite:///{tmp_path}/typo.db", url):
            assert job.main(["--db", database, "--cycle", "2026-05"]) == 0
            assert json.loads(capsys.readouterr().out.splitlines()[-1]) == {
                "dim": "U",
                "wave": 47,
                "dry_run": False,
                "billing_cycle": "2026-05",
                "wallets_scanned": 0,
                "alerts_fired": [],
            }
        assert job.run_on(url, datetime(2026, 5, 1, tzinfo=UTC), dry_run=True).billing_cycle == "2026-05"
        with psycopg.connect(url) as connection:
            assert connection.execute("SELECT to_regclass('am_credit_wallet')").fetchone() == (None,)
    assert list(tmp_path.iterdir()) == []
