"""Which database a command uses, and databases that it cannot use."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from databases import Databases
from shell import Shell, in_a_process

from credit_wallet.stores.jobs.verify import CHECKS
from credit_wallet.stores.migrations import manifest

MIGRATIONS = manifest()


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("wallet.db", "invalid_request"),
        ("mysql://host/wallet", "invalid_request"),
        ("sqlite://[/wallet.db", "invalid_request"),
        ("sqlite:///wallet%00.db", "invalid_request"),
        ("sqlite:///:memory:", "invalid_request"),
        ("sqlite:////dev/null/wallet.db", "database_error"),
    ],
)
@pytest.mark.parametrize("command", [("wallet", "list"), ("migrate",), ("verify",), ("rollback", "281", "--yes")])
def test_a_database_that_cannot_be_is_refused_by_name(
    shell: Shell, url: str, code: str, command: tuple[str, ...]
) -> None:
    answer = shell.run("--db", url, *command)
    if code == "database_error":
        code = {"rollback": "migration_error", "migrate": code}.get(command[0], "no_ledger")
    assert answer.code == 1
    assert answer.err.startswith(f"{code}: ")
    assert url.removeprefix("sqlite:///") in answer.err


def test_without_a_command_it_says_which_there_are(shell: Shell) -> None:
    answer = shell.run()
    assert answer.code == 2
    assert "Prepaid wallets that AI agents pay for API calls from." in answer.out + answer.err


def test_the_option_comes_before_the_environment_and_that_before_the_default(tmp_path: Path) -> None:
    given, environment = f"sqlite:///{tmp_path}/given.db", f"sqlite:///{tmp_path}/environment.db"
    for words, variables, made in (
        (("--db", given), {"CREDIT_WALLET_DATABASE_URL": environment}, "given.db"),
        ((), {"CREDIT_WALLET_DATABASE_URL": environment}, "environment.db"),
        ((), {}, "var/credit_wallet.db"),
    ):
        assert not (tmp_path / made).exists()
        answer = in_a_process(*words, "migrate", cwd=tmp_path, **variables)
        assert (answer.code, answer.err) == (0, "")
        assert (tmp_path / made).exists()


@pytest.mark.databases("postgres")
def test_a_session_on_postgresql_from_the_first_migration_to_the_last(shell: Shell, databases: Databases) -> None:
    with databases.nothing() as shell.url:
        assert shell.json("migrate", "--dry-run") == {"dry_run": True, "pending": MIGRATIONS}
        assert shell.json("migrate") == {"applied": MIGRATIONS, "wallets_backfilled": 0}
        assert shell.fields("migrate") == {"applied": "none", "wallets_backfilled": "0"}
        assert shell.json("wallet", "create", "--monthly-budget-yen", 100)["wallet_id"] == 1
        assert shell.json("topup", 1, 1_000, "--key", "start")["balance_yen"] == 1_000
        charged = shell.json("charge", 1, 60, "--key", "charge", "--note", "検索")
        assert (charged["balance_yen"], [alert["threshold_pct"] for alert in charged["alerts"]]) == (940, [50])
        assert shell.json("charge", 1, 60, "--key", "charge", "--note", "検索")["replayed"] is True
        assert shell.refused("charge", 1, 941, "--key", "more")[0] == "insufficient_funds"
        hold_id = shell.json("hold", 1, 40, "--key", "hold")["hold_id"]
        assert "settle them" in shell.refused("rollback", 283, "--yes")[1]
        assert shell.json("capture", hold_id, 10)["balance_yen"] == 930
        assert [(entry["amount_yen"], entry["note"]) for entry in shell.json("history", 1)] == [
            (-10, None),
            (-60, "検索"),
            (1_000, None),
        ]
        report = json.loads(shell("statement", 1, "--cycle", "2026-05", "--format", "json"))
        assert (report["opening_yen"], report["closing_yen"], report["charges_yen"]) == (0, 930, -70)
        assert shell("verify") == f"ok: {len(CHECKS)} invariants hold for every wallet\n"
        findings = shell.json("doctor")
        assert {finding["check"] for finding in findings} >= {"postgresql", "durability", "connections", "ledger"}
        assert all(finding["ok"] for finding in findings)
        assert shell.json("rollback", 281, "--yes") == {"rolled_back": MIGRATIONS[::-1]}
        assert shell.json("migrate", "--dry-run")["pending"] == MIGRATIONS


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://wallet:s3cret@127.0.0.1:1/ledger", "database_unavailable"),
        ("postgres://wallet@127.0.0.1:1/ledger?password=s3cret", "database_unavailable"),
        ("postgresql://wallet:s3cret@nowhere.invalid/ledger", "database_unavailable"),
        ("postgresql://wallet:s3cret@127.0.0.1:port/ledger", "invalid_request"),
        ("postgresql://wallet:s3cret@[::1/ledger", "invalid_request"),
        ("postgresql://wallet:s3cret@127.0.0.1/ledger?colour=red", "invalid_request"),
        ("postgresql://wallet:oh@s3cret@127.0.0.1:1/ledger", "invalid_request"),
        ("postgresql://wallet:oh/s3cret@127.0.0.1:1/ledger", "invalid_request"),
        ("postgresql://wallet:s3cret/oh@127.0.0.1:1/ledger", "invalid_request"),
        ("postgresql://wallet:oh?s3cret@127.0.0.1:1/ledger", "database_unavailable"),
    ],
)
@pytest.mark.parametrize("command", [("wallet", "list"), ("migrate",), ("verify",), ("rollback", "281", "--yes")])
def test_a_server_that_cannot_be_asked_is_told_without_its_password(
    shell: Shell, url: str, code: str, command: tuple[str, ...]
) -> None:
    answer = shell.run("--db", url, *command)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"{code}: ")
    assert "ledger" in answer.err
    assert "s3cret" not in answer.err
    answered = shell.run("--db", url, "--json", *command)
    assert (answered.code, json.loads(answered.out)["code"], answered.err) == (1, code, "")
    assert "s3cret" not in answered.out
