"""Seals over the log of acts: with the entries or alone, in the ledger's chain, and whatever is changed breaks one."""

from __future__ import annotations

from datetime import timedelta

import pytest
from clock import Clock
from databases import on_both_databases, on_postgres
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.acts import OWNER
from credit_wallet.stores.jobs import seals
from credit_wallet.stores.postgres import horizon

DROP = {
    False: "DROP TRIGGER am_credit_act_append_only_{}",
    True: "DROP TRIGGER am_credit_act_append_only_{} ON am_credit_act",
}
INSERT = """
INSERT INTO am_credit_act (act_id, wallet_id, kind, subject, occurred_at, actor, author)
VALUES (?, 0, 'key.revoked', 'key:1', '2026-05-15T12:00:00.000Z', 'operator', 'nobody')
"""


def changed(wallets: CreditWallet, budget_yen: int) -> None:
    wallets.acting(OWNER).configure(1, monthly_budget_yen=budget_yen)


@pytest.fixture
def sealed(wallets: CreditWallet) -> CreditWallet:
    """An entry, and acts 1 to 6: two under a seal with the entry, three and one under seals of their own."""
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="start")
    assert wallets.maintenance.seal() == 1
    for budget_yen in (1, 2, 3):
        changed(wallets, budget_yen)
    assert wallets.maintenance.seal() == 3
    changed(wallets, 4)
    assert (wallets.maintenance.seal(), wallets.maintenance.seal()) == (1, 0)
    assert wallets.verify() == []
    return wallets


def broken(wallets: CreditWallet) -> list[str]:
    return [violation.check for violation in wallets.verify()]


@on_both_databases
@pytest.mark.usefixtures("sealed")
def test_seals_of_acts_stand_in_the_chain_of_the_entries(db_url: str) -> None:
    with PlainSql(db_url) as host:
        rows = host.run(
            "SELECT seal_id, follows, first_txn_id, last_txn_id, entries, last_act_id, acts "
            "FROM am_credit_seal ORDER BY seal_id"
        )
    assert rows == [(1, 0, 1, 1, 1, 2, 2), (2, 1, 2, 1, 0, 5, 3), (3, 2, 2, 1, 0, 6, 1)]


@on_both_databases
@pytest.mark.parametrize(
    ("trigger", "statement"),
    [
        ("update", "UPDATE am_credit_act SET author = 'nobody' WHERE act_id = 2"),
        ("update", "UPDATE am_credit_act SET note = 'asked for' WHERE act_id = 4"),
        ("update", "UPDATE am_credit_act SET wallet_id = 0 WHERE act_id = 6"),
        ("delete", "DELETE FROM am_credit_act WHERE act_id = 4"),
        ("delete", "DELETE FROM am_credit_act WHERE act_id = 6"),
        ("delete", "DELETE FROM am_credit_act"),
        (None, INSERT.replace("?", "-1")),
        (None, INSERT.replace("?", "0")),
        (None, "UPDATE am_credit_seal SET last_act_id = 4, acts = 2 WHERE seal_id = 2"),
        (None, "UPDATE am_credit_seal SET follows = 7 WHERE seal_id = 3"),
        (None, "UPDATE am_credit_seal SET acts = 0 WHERE seal_id = 3"),
        (None, "DELETE FROM am_credit_seal WHERE seal_id = 2"),
    ],
)
def test_a_change_is_found(sealed: CreditWallet, db_url: str, trigger: str | None, statement: str) -> None:
    is_postgres = db_url.startswith("postgres")
    with PlainSql(db_url) as host:
        if trigger is not None:
            host.run(DROP[is_postgres].format(trigger))
        host.run(statement)
    assert "seals" in broken(sealed)


@on_both_databases
def test_anchors_cover_acts_and_old_seals_prove_what_they_proved(
    wallets: CreditWallet, db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="start")
    monkeypatch.setattr(seals, "VERSION", 4)
    with PlainSql(db_url) as host:
        assert wallets.maintenance.seal() == 1
        host.run("UPDATE am_credit_seal SET follows = NULL, last_act_id = 0, acts = 0")  # as before 312
        monkeypatch.undo()
        old = wallets.seals.latest()
        assert old is not None
        assert wallets.verify([old]) == []
        assert wallets.maintenance.seal() == 2
        new = wallets.seals.latest()
        assert new is not None
        changed(wallets, 5)
        assert wallets.verify([old, new]) == []
        host.run(DROP[db_url.startswith("postgres")].format("delete"))
        host.run("DELETE FROM am_credit_act")
        host.run("DELETE FROM am_credit_seal WHERE seal_id = 2")
    assert "anchors" in [each.check for each in wallets.verify([old, new])]


@on_both_databases
def test_many_acts_are_sealed_in_steps(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seals, "ACTS_A_SEAL", 2)
    wallets.create()
    for budget_yen in (1, 2, 3, 4):
        changed(wallets, budget_yen)
    assert [wallets.maintenance.seal() for _ in range(4)] == [2, 2, 1, 0]
    assert wallets.verify() == []


def test_acts_that_wait_for_a_seal_are_told_of_after_an_hour(sealed: CreditWallet, clock: Clock) -> None:
    clock.advance(minutes=30)
    changed(sealed, 9)
    clock.advance(minutes=59)
    assert broken(sealed) == []
    assert sealed.seals.unsealed_seconds() == timedelta(minutes=59).total_seconds()
    clock.advance(minutes=2)
    assert broken(sealed) == ["unsealed"]
    sealed.maintenance.seal()
    assert broken(sealed) == []


@on_postgres
def test_an_act_is_sealed_when_no_earlier_one_can_come_any_more(
    wallets: CreditWallet, db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(horizon, "SETTLE_SECONDS", 0.05)
    wallets.create()
    wallets.maintenance.seal()
    with PlainSql(db_url) as other:
        with other.transaction():
            [(drawn,)] = other.run("SELECT nextval('am_credit_act_act_id_seq')")
            changed(wallets, 5)
            assert wallets.maintenance.seal() == 0
            other.run(INSERT, drawn)
        assert wallets.maintenance.seal() == 2
    assert wallets.verify() == []
