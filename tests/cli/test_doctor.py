"""``credit-wallet doctor``."""

from __future__ import annotations

from pathlib import Path

from clock import Clock
from shell import Shell, behind_its_back, failed_check


def test_a_check_up_finds_nothing_wrong(funded: Shell) -> None:
    findings = funded.json("doctor")
    assert [finding["check"] for finding in findings if not finding["check"].startswith("kept ")] == [
        "configuration",
        "sqlite",
        "disk",
        "database",
        "clock",
        "ledger",
        "seals",
        "notices",
    ]
    assert all(finding["ok"] for finding in findings)
    assert "kept transaction_log" in funded("doctor")


def test_a_check_up_finds_a_broken_ledger(funded: Shell, tmp_path: Path) -> None:
    behind_its_back(tmp_path / "wallet.db", "UPDATE am_credit_wallet SET balance_yen = 1001")
    failed = failed_check(funded, funded.url)
    assert failed["check"] == "ledger"
    assert "wallet 1" in failed["detail"]


def test_a_check_up_finds_a_clock_that_goes_wrong(shell: Shell, clock: Clock) -> None:
    clock.set(clock().replace(year=2999))
    shell("wallet", "create")
    shell("topup", 1, 1, "--key", "start")
    failed = failed_check(shell, shell.url)
    assert failed["check"] == "clock"
    assert "2999-05-15" in failed["detail"]


def test_a_check_up_finds_a_database_that_cannot_be(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a database, and long enough to be told from one" * 100)
    for url, code in (
        ("mysql://host/wallet", "invalid_request"),
        ("sqlite://[/wallet", "invalid_request"),
        (f"sqlite:///{tmp_path}", "database_error"),
        (f"sqlite:///{tmp_path}/file", "database_corrupt"),
        (f"sqlite:///{tmp_path}/file/wallet.db", "no_ledger"),
    ):
        assert failed_check(shell, url)["check"] == code, url
