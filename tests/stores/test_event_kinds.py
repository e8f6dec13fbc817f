"""Migration 295: what a ledger emitted, and what its targets asked for, keep their meaning under the new names."""

from __future__ import annotations

import importlib.resources
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from clock import Clock
from databases import on_every_database, on_sqlite
from msgspec import json
from plain_sql import NOON, PlainSql

from credit_wallet import CreditWallet
from credit_wallet.database_urls import sqlite_path
from credit_wallet.notices.targets import TargetSettings
from credit_wallet.notices.texts import KINDS
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.jobs.alert_job import run_on_file

pytestmark = on_every_database

NOW = datetime(2026, 5, 15, 12, tzinfo=UTC)
EVENTS = "SELECT wallet_id, kind, payload, dedupe_key, handed_out FROM am_credit_outbox ORDER BY event_id"


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    """A wallet with ¥1,000 that has spent half of its budget of ¥600 and is low."""
    wallet_id = wallets.create(monthly_budget_yen=600).wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="topup", expires_at=wallets_end())
    wallets.configure(wallet_id, low_balance_yen=900)
    wallets.charge(wallet_id, 300, idempotency_key="half")
    wallets.maintenance.emit_expiry_notices()
    return wallet_id


def wallets_end() -> str:
    return (NOW + timedelta(days=20)).isoformat()


def kinds_of(events: list[tuple[Any, ...]]) -> list[str]:
    return sorted(kind for _, kind, *_ in events)


def as_before_295(url: str) -> None:
    """Undo migration 295, and what came after it."""
    assert database_at(url).rollback(295)[-1] == "295_credit_event_kinds.sql"


def upgrade(url: str) -> None:
    assert database_at(url).upgrade(NOW).applied[0] == "295_credit_event_kinds.sql"


def test_events_come_back_as_they_were_and_are_not_emitted_again(
    db_url: str, wallets: CreditWallet, wallet_id: int, clock: Clock
) -> None:
    wallets.close()
    with PlainSql(db_url) as host:
        emitted = host.run(EVENTS)
        assert kinds_of(emitted) == ["balance.low", "budget.threshold_reached", "credit.expiring"]
        as_before_295(db_url)
        before = host.run(EVENTS)
        assert kinds_of(before) == ["alert_fired", "credit_expiring", "low_balance"]
        assert sorted(key.split()[0] for *_, key, _ in before) == kinds_of(before)
        upgrade(db_url)
        assert host.run(EVENTS) == emitted
        with CreditWallet.open(db_url, clock=clock) as again:
            again.topup(wallet_id, 200, idempotency_key="more")
            again.charge(wallet_id, 10, idempotency_key="next")
            again.configure(wallet_id, monthly_budget_yen=700)
            again.configure(wallet_id, monthly_budget_yen=600)
            again.maintenance.emit_expiry_notices()
        assert host.run(EVENTS) == emitted


def test_every_kind_gets_its_new_name_and_its_fields(db_url: str, wallets: CreditWallet, wallet_id: int) -> None:
    wallets.close()
    insert = (
        "INSERT INTO am_credit_outbox (wallet_id, kind, payload, dedupe_key, occurred_at, handed_out)"
        " VALUES (?, ?, ?, ?, ?, 0)"
    )
    with PlainSql(db_url) as host:
        as_before_295(db_url)
        host.run("DELETE FROM am_credit_outbox")
        payload = '{"taken_yen":1,"room_yen":2,"reason":"\\"taken_yen\\":"}'
        for kind in old_kinds():
            host.run(
                insert, wallet_id, kind, '{"taken_yen":1,"room_yen":2,"reason":"\\"taken_yen\\":"}', f"{kind} x", NOON
            )
        host.run(insert, wallet_id, "of_the_host", '{"taken_yen":1}', "topup_due x y", NOON)
        before = host.run(EVENTS)
        upgrade(db_url)
        *ours, hosts = host.run(EVENTS)
        as_before_295(db_url)
        assert host.run(EVENTS) == before
        upgrade(db_url)
    assert [kind for _, kind, *_ in ours] == list(new_kinds())
    assert [key for *_, key, _ in ours] == [f"{kind} x" for _, kind, *_ in ours]
    for _, kind, payload, *_ in ours:
        field = "left_yen" if kind == "auto_topup.limit_reached" else "clawed_back_yen"
        assert field in json.decode(payload)
        assert json.decode(payload)["reason"] == '"taken_yen":'
    assert hosts[1:4] == ("of_the_host", '{"taken_yen":1}', "topup_due x y")


def test_targets_hear_what_they_asked_for(db_url: str, wallets: CreditWallet, wallet_id: int, clock: Clock) -> None:
    asked = ("topup.failed", "budget.exhausted", "notice.test", "wallet.exhausted")
    named = wallets.targets.add(wallet_id, TargetSettings(url="https://example.com/a", kinds=asked))
    everything = wallets.targets.add(wallet_id, TargetSettings(url="https://example.com/b"))
    wallets.close()
    as_before_295(db_url)
    with PlainSql(db_url) as host:
        kinds = [json.decode(each) for (each,) in host.run("SELECT kinds FROM am_credit_target ORDER BY target_id")]
    assert kinds == [["topup_failed", "budget_exhausted", "test", "wallet_exhausted"], []]
    upgrade(db_url)
    with CreditWallet.open(db_url, clock=clock) as again:
        targets = again.targets.list(wallet_id)
    assert [each.kinds for each in targets] == [named.kinds, everything.kinds]


def test_a_key_that_another_release_gave_an_event_keeps_no_migration_from_running(
    db_url: str, wallets: CreditWallet, wallet_id: int, clock: Clock
) -> None:
    """A job of the next release, or of the one before, has emitted the same under its own name."""
    wallets.close()
    reached = "budget.threshold_reached 2026-05 600 50"
    insert = (
        "INSERT INTO am_credit_outbox (wallet_id, kind, payload, dedupe_key, occurred_at, handed_out)"
        " VALUES (?, ?, ?, ?, ?, 0)"
    )
    with PlainSql(db_url) as host:
        [payload] = [text for _, kind, text, *_ in host.run(EVENTS) if kind == "budget.threshold_reached"]
        as_before_295(db_url)
        host.run(insert, wallet_id, "budget.threshold_reached", payload, reached, NOON)
        upgrade(db_url)
        keys = [key for _, kind, _, key, _ in host.run(EVENTS) if kind == "budget.threshold_reached"]
        assert keys == [None, reached]
        as_before_295(db_url)
        upgrade(db_url)
    with CreditWallet.open(db_url, clock=clock) as again:
        assert again.verify() == []


@on_sqlite
def test_the_alert_job_waits_for_the_names_of_its_own_release(
    db_url: str, wallets: CreditWallet, wallet_id: int
) -> None:
    """Else it would report again, under another name, what was reported of a budget that has changed."""
    wallets.configure(wallet_id, monthly_budget_yen=800)
    wallets.charge(wallet_id, 100, idempotency_key="half of more")
    wallets.close()
    with PlainSql(db_url) as host:
        database_at(db_url).rollback(294)
        before = host.run(EVENTS)
        assert [key for *_, key, _ in before if "alert" in key] == [
            "alert_fired 2026-05 600 50",
            "alert_fired 2026-05 800 50",
        ]
        with pytest.raises(RuntimeError, match="lacks migrations that this job needs; run credit-wallet migrate"):
            run_on_file(sqlite_path(db_url), NOW)
        assert host.run(EVENTS) == before
    database_at(db_url).upgrade(NOW)
    assert run_on_file(sqlite_path(db_url), NOW).alerts_fired == []


def old_kinds() -> list[str]:
    """The names before the migration, in the order of the new ones."""
    return list(new_kinds().values())


def new_kinds() -> dict[str, str]:
    """The names since the migration, each with the one before it, in the order of the texts. Later kinds have no other
    name.
    """
    script = importlib.resources.files("credit_wallet.migrations").joinpath("295_credit_event_kinds.sql").read_text()
    now = {new: old for old, new in re.findall(r"^ +\('(\w+)', +'([\w.]+)'\)", script, re.MULTILINE)}
    assert set(KINDS) - set(now) == {
        "notice.test",
        "balance.recovered",
        "budget.raised",
        "budget.renewed",
        "grant.delayed",
    }
    return {kind: now[kind] for kind in KINDS if kind in now}
