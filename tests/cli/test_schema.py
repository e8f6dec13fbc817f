"""``credit-wallet migrate`` and ``rollback``."""

from __future__ import annotations

from pathlib import Path

import pytest
from plain_sql import PlainSql
from shell import Shell

from credit_wallet.stores.migrations import manifest

MIGRATIONS = manifest()


def test_migrations_are_told_beforehand_and_applied_once(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "wallet.db").unlink()
    assert shell.json("migrate", "--dry-run") == {"dry_run": True, "pending": MIGRATIONS}
    assert not list(tmp_path.iterdir())
    assert shell.json("migrate") == {"applied": MIGRATIONS, "wallets_backfilled": 0}
    assert shell.fields("migrate") == {"applied": "none", "wallets_backfilled": "0"}
    assert shell.fields("migrate", "--dry-run") == {"dry_run": "yes", "pending": "none"}


def test_migrating_a_seed_database_adopts_its_wallets(shell: Shell, seed_url: str) -> None:
    shell.url = seed_url
    with PlainSql(seed_url) as host:
        host.wallet()
        host.move(1, "topup", 70)
    assert shell.json("migrate") == {"applied": MIGRATIONS, "wallets_backfilled": 1}
    assert shell.json("wallet", "show", 1)["balance_yen"] == 70
    assert shell("verify").startswith("ok")


def test_a_rollback_wants_a_yes(funded: Shell) -> None:
    assert "--yes" in funded.misused("rollback", 281)
    assert funded.json("wallet", "show", 1)["balance_yen"] == 1_000


def test_a_rollback_with_a_yes_undoes_the_later_ones_first(funded: Shell) -> None:
    assert funded.json("rollback", 284, "--yes") == {"rolled_back": MIGRATIONS[:2:-1]}
    assert funded.json("migrate", "--dry-run")["pending"] == MIGRATIONS[3:]
    assert funded.json("wallet", "show", 1)["balance_yen"] == 1_000
    assert funded.json("rollback", 281, "--yes") == {"rolled_back": MIGRATIONS[::-1]}
    assert funded.refused("wallet", "list")[0] == "no_ledger"
    funded("migrate")
    assert funded.json("wallet", "list") == []


@pytest.mark.parametrize("number", [280, 999])
def test_what_is_not_applied_is_not_rolled_back(funded: Shell, number: int) -> None:
    assert funded.refused("rollback", number, "--yes")[0] == "migration_error"


def test_a_rollback_of_a_database_that_is_not_there_makes_none(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "wallet.db").unlink()
    assert shell.refused("rollback", 281, "--yes")[0] == "migration_error"
    assert not list(tmp_path.iterdir())
