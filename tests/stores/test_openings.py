"""An opening balance that no entry explains is told, wherever a wallet is taken over: by ``migrate``, by every open, by
the batch after plain SQL wrote (both databases), by ``verify``; and afterwards by ``verify`` and ``doctor`` for good.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from clock import Clock
from databases import on_both_databases
from plain_sql import PlainSql
from shell import (
    Shell,
    shell,  # noqa: F401
)
from structlog.testing import capture_logs

from credit_wallet import CreditWallet
from credit_wallet.database_urls import sqlite_path
from credit_wallet.domain.views import Opening
from credit_wallet.stores.databases import database_at

both = on_both_databases
EVENT = "opening_without_entries"


@pytest.fixture
def host(seed_url: str) -> Iterator[PlainSql]:
    """A host with a wallet that its entries explain (1), one with ¥500 too many (2), and one with ¥5 too few (3)."""
    with PlainSql(seed_url) as host:
        host.move(host.wallet(), "topup", 100)
        host.wallet(balance_yen=500)
        host.entry(host.wallet(balance_yen=95), "topup", 100)
        yield host


OPENINGS = [Opening(2, 500), Opening(3, -5)]


@both
@pytest.mark.usefixtures("host")
def test_an_upgrade_names_them_once(seed_url: str, clock: Clock) -> None:
    upgrades = [database_at(seed_url).upgrade(clock()) for _ in range(2)]
    assert [upgrade.openings for upgrade in upgrades] == [OPENINGS, []]


@both
@pytest.mark.usefixtures("host")
def test_an_open_that_takes_them_over_warns_of_each(seed_url: str, clock: Clock) -> None:
    with capture_logs() as logs, CreditWallet.open(seed_url, clock=clock) as wallets:
        assert wallets.maintenance.openings() == OPENINGS
        assert wallets.verify() == []
    told = [(log["wallet_id"], log["opening_yen"], log["log_level"]) for log in logs if log["event"] == EVENT]
    assert told == [(2, 500, "warning"), (3, -5, "warning")]
    with capture_logs() as again, CreditWallet.open(seed_url, clock=clock) as wallets:
        assert wallets.maintenance.openings() == OPENINGS
    assert again == []


@both
def test_a_wallet_that_comes_while_the_ledger_is_open_is_told_of_too(seed_url: str, clock: Clock) -> None:
    with CreditWallet.open(seed_url, clock=clock) as wallets, PlainSql(seed_url) as host:
        for take_over in (lambda: wallets.charge(1, 1, idempotency_key="k"), wallets.verify):
            wallet_id = host.wallet(balance_yen=70)
            with capture_logs() as logs:
                take_over()
            assert [(log["event"], log["wallet_id"], log["opening_yen"]) for log in logs] == [(EVENT, wallet_id, 70)]


@pytest.mark.usefixtures("host")
def test_a_program_without_structlog_hears_it_through_logging(
    seed_url: str, clock: Clock, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    structlog.reset_defaults()
    with caplog.at_level(logging.WARNING), CreditWallet.open(seed_url, clock=clock):
        pass
    assert [record.getMessage() for record in caplog.records] == [
        f"{EVENT} wallet_id=2 opening_yen=500",
        f"{EVENT} wallet_id=3 opening_yen=-5",
    ]
    assert capsys.readouterr().out == ""


def test_the_command_line_says_so(host: PlainSql, seed_url: str, shell: Shell) -> None:  # noqa: ARG001, F811
    migrated = shell.run("--db", seed_url, "--json", "migrate")
    assert '"openings":[{"wallet_id":2,"opening_yen":500},{"wallet_id":3,"opening_yen":-5}]' in migrated.out
    assert f"event={EVENT} " in migrated.err
    verified = shell.run("--db", seed_url, "verify")
    assert (verified.code, verified.err) == (0, "")
    assert verified.out.splitlines()[1:] == [
        "note: wallet 2 began with ¥500 that no entry explains",
        "note: wallet 3 began with -¥5 that no entry explains",
    ]
    assert '"openings":[{"wallet_id":2,' in shell.run("--db", seed_url, "--json", "verify").out
    sqlite_path(seed_url).chmod(0o600)  # the host made it for everybody
    examined = shell.run("--db", seed_url, "doctor")
    assert examined.code == 0, examined.out
    told = " ".join(examined.out.split())
    assert "no entry explains" in told
    assert "wallet 2 ¥500, wallet 3 -¥5" in told


def test_people_are_shown_them_as_a_sentence(host: PlainSql, seed_url: str, shell: Shell) -> None:  # noqa: ARG001, F811
    assert "wallet 2 began with ¥500 that no entry explains" in shell.run("--db", seed_url, "migrate").out


def test_where_entries_explain_everything_nothing_is_said(seed_url: str, shell: Shell) -> None:  # noqa: F811
    with PlainSql(seed_url) as host:
        host.move(host.wallet(), "topup", 100)
    migrated = shell.run("--db", seed_url, "--json", "migrate")
    assert ("openings" in migrated.out, migrated.err) == (False, "")
    assert "note" not in shell.run("--db", seed_url, "verify").out
    assert "openings" not in shell.run("--db", seed_url, "doctor").out
