"""Erasure: what a closed wallet has of people is gone from every table, sums and seals hold, no change hides in it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from clock import Clock
from copied_book import PAID
from databases import on_both_databases
from msgspec import structs
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.acts import Author
from credit_wallet.errors import ErasureBlocked, MigrationError, WalletNotFound
from credit_wallet.ledger import erasure as ledger_erasure
from credit_wallet.notices.targets import TargetSettings
from credit_wallet.stores.databases import postgres_database_at, sqlite_database_at
from credit_wallet.stores.jobs import erasure, seals
from credit_wallet.stores.jobs.seals import Anchor

pytestmark = on_both_databases

PERSON = "Sato"
"""Is in every text of wallet 1 that is of people."""

OTHER = "Tanaka"


def lived(wallets: CreditWallet, wallet_id: int, word: str) -> None:
    """Whatever can be written about people in a wallet."""
    person = Author("payer", f"{word} herself", "192.0.2.7", f"{word}-request", f"{word} wanted it")
    acting = wallets.acting(person)
    acting.configure(wallet_id, label=f"{word} again", metadata={"mail": f"{word}@example.com", "plan": word})
    key = acting.keys.create(wallet_id, label=f"{word}'s agent", reference=f"{word}-key", metadata={"desk": word})
    acting.targets.add(wallet_id, TargetSettings(url=f"mailto:{word}@example.com"), mail=True, confirmed=True)
    acting.budgets.create(wallet_id, limit_yen=900, window="day", label=f"{word}'s home")
    acting.grants.create(wallet_id, 5, note=f"{word}'s birthday", idempotency_key=f"{word}-grant")
    wallets.maintenance.credit_grants()
    wallets.topup(wallet_id, 1_000, idempotency_key=f"{word}-start", note=f"cash of {word}")
    named: dict[str, Any] = {"request_id": f"{word}-1", "reference": f"{word}-order", "metadata": {"for": word}}
    paid = wallets.charge(
        wallet_id, 5, idempotency_key=f"{word}-c", note=f"“{word}”の検索", facts={"tool": "search"}, **named
    )
    wallets.refund(paid.txn_id, 1, idempotency_key=f"{word}-r", note=f"sorry, {word}")
    hold = wallets.hold(wallet_id, "2.50", idempotency_key=f"{word}-h", note=f"for {word}", key_id=key.key_id, **named)
    wallets.capture(hold.hold_id, "2.50", idempotency_key=f"{word}-k")
    wallets.charge(wallet_id, 1, idempotency_key=f"{word}-d")
    wallets.freeze(wallet_id, reason="other", note=f"{word} asked")
    asked = wallets.topups.request(wallet_id, 1_000, idempotency_key=f"{word}-t")
    fact = structs.replace(PAID, payment_intent=f"pi_{wallet_id}", customer=f"cus_{word}", payment_method=f"pm_{word}")
    wallets.topups.settle(wallet_id, str(asked.topup_id), fact)


@pytest.fixture
def left(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> CreditWallet:
    """Wallet 1, which is closed, and wallet 2 beside it, under several seals."""
    monkeypatch.setattr(seals, "ENTRIES_A_SEAL", 4)
    monkeypatch.setattr(seals, "ACTS_A_SEAL", 7)
    for word in (PERSON, OTHER):
        wallet_id = wallets.create(label=word, reference=f"{word}-ref", metadata={"name": word}).wallet_id
        lived(wallets, wallet_id, word)
    while wallets.maintenance.seal():
        pass
    wallets.close_wallet(1, note=f"{PERSON} leaves", unused="write_off")
    assert wallets.verify() == []
    return wallets


def tables(db_url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table."""
    names = (
        "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        if db_url.startswith("postgres")
        else "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    with PlainSql(db_url) as host:
        return {name: host.run(f"SELECT * FROM {name}") for (name,) in host.run(names)}


def tells(db_url: str, word: str) -> set[str]:
    """The tables that have a word in a text."""
    return {
        name
        for name, rows in tables(db_url).items()
        for row in rows
        for value in row
        if word.lower() in str(value).lower()
    }


def erased(wallets: CreditWallet) -> Any:
    return wallets.erase_personal_data(1, reason="customer_request", note="ticket 4719")


def checks(wallets: CreditWallet, *anchors: Anchor) -> set[str]:
    return {violation.check for violation in wallets.verify(anchors=anchors)}


def figures(wallets: CreditWallet, wallet_id: int) -> list[tuple[Any, ...]]:
    entries = wallets.history(wallet_id)
    return [
        (each.txn_id, each.amount, each.ledger_balance, each.occurred_at, each.cause, each.reason, each.facts)
        for each in entries
    ]


def test_no_text_is_left_and_everything_else_is_as_it_was(left: CreditWallet, db_url: str) -> None:
    anchor = left.seals.latest()
    assert anchor is not None
    before, totals, others = figures(left, 1), left.maintenance.totals(), figures(left, 2)
    kept_in = tells(db_url, OTHER)
    assert len(kept_in) > 12
    done = erased(left)
    assert tells(db_url, PERSON) == set()
    assert tells(db_url, "192.0.2.7") == tells(db_url, OTHER) & {"am_credit_act"}  # of wallet 2
    assert tells(db_url, OTHER) == kept_in
    assert checks(left, anchor) == set()
    assert (figures(left, 1), left.maintenance.totals(), figures(left, 2)) == (before, totals, others)
    own = {str(each.note) for each in left.history(1) if each.note is not None}
    assert {note.rpartition(" tu_")[0] for note in own} == {"top-up", "clawed back from top-up"}
    view = left.show(1)
    assert (view.label, view.reference, view.metadata, view.frozen_note) == (None, None, {}, None)
    [found] = left.search(f"{OTHER}-ref").wallets
    assert found.wallet_id == 2
    while left.maintenance.seal():
        pass
    rows, acts = tables(db_url), left.log(1)
    assert erased(left) == done
    assert (tables(db_url), left.log(1)) == (rows, acts)
    assert acts[0].kind == "erasure.ended"
    assert {act.kind for act in acts if act.subject.startswith("seal:")} == {"erasure.sealed"}
    assert checks(left, anchor) == set()


@pytest.mark.databases("sqlite")
def test_the_file_has_nothing_of_it_once_it_is_vacuumed(left: CreditWallet, db_url: str) -> None:
    erased(left)
    with PlainSql(db_url) as host:
        host.run("VACUUM")
        host.run("PRAGMA wal_checkpoint(TRUNCATE)")
    content = Path(db_url.removeprefix("sqlite:///")).read_bytes()
    assert PERSON.encode() not in content
    assert OTHER.encode() in content


def test_it_goes_on_wherever_it_was_cut(left: CreditWallet, db_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    jobs, cut = ("erase_settings", "erase_some", "erase_holds", "erase_sealed", "end"), 0

    class Cut(Exception):
        """The process is gone."""

    for allowed in range(40):
        left_over = [allowed]

        def dying(job: Any, left_over: list[int] = left_over) -> Any:
            def run(*args: Any) -> Any:
                if not left_over[0]:
                    raise Cut
                left_over[0] -= 1
                return job(*args)

            return run

        with monkeypatch.context() as patched:
            for name in jobs:
                patched.setattr(erasure, name, dying(getattr(erasure, name)))
            try:
                erased(left)
            except Cut:
                cut += 1
                assert checks(left) == set()
            else:
                break
    assert cut > 5
    assert tells(db_url, PERSON) == set()


def test_ranges_in_which_nothing_was_done_besides_are_erased_too(
    wallets: CreditWallet, db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever walks by the ranges' ends meets entries of other wallets, and none of acts."""
    monkeypatch.setattr(ledger_erasure, "MAX_PAGE", 3)
    first, second = (wallets.create().wallet_id for _ in range(2))
    for wallet_id in (first, second):
        wallets.topup(wallet_id, 1_000, idempotency_key="t")
    for number in range(4):
        for wallet_id, word in ((second, OTHER), (first, PERSON), (second, OTHER), (first, PERSON), (second, OTHER)):
            key = f"{number} {wallets.balance(wallet_id)}"
            wallets.charge(wallet_id, 1, idempotency_key=key, note=word, reference=word)
        wallets.maintenance.seal()
    wallets.close_wallet(first, note="n", unused="write_off")
    assert wallets.erase_personal_data(first).erased_at is not None
    assert tells(db_url, PERSON) == set()
    assert [entry.note for entry in wallets.history(second, limit=100)].count(OTHER) == 12
    assert wallets.verify() == []


def test_only_a_closed_wallet_is_erased(left: CreditWallet, db_url: str) -> None:
    rows = tables(db_url)
    with pytest.raises(ErasureBlocked, match="close it") as blocked:
        left.erase_personal_data(2)
    assert blocked.value.details["blocked_by"] == "open"
    with pytest.raises(WalletNotFound):
        left.erase_personal_data(3)
    assert tables(db_url) == rows


def dropped(host: PlainSql, db_url: str, trigger: str, table: str) -> None:
    host.run(f"DROP TRIGGER {trigger}" + (f" ON {table}" if db_url.startswith("postgres") else ""))


CHANGED = {
    "an amount": "UPDATE am_credit_transaction_log SET amount_yen = amount_yen + 1 WHERE txn_id = {entry}",
    "a date": "UPDATE am_credit_transaction_log SET occurred_at = '2026-05-15T12:00:00.001Z' WHERE txn_id = {entry}",
    "another note": "UPDATE am_credit_transaction_log SET note = 'wrong' WHERE txn_id = {entry}",
    "somebody else's note": "UPDATE am_credit_transaction_log SET note = NULL WHERE wallet_id = 2 AND note IS NOT NULL",
    "somebody else's act": "UPDATE am_credit_act SET note = NULL WHERE wallet_id = 2 AND note IS NOT NULL",
    "an act of it": "UPDATE am_credit_act SET author = 'nobody' WHERE kind = 'wallet.closed'",
    "the hash": """UPDATE am_credit_act SET after = '{{"sha256":"00"}}' WHERE kind = 'erasure.sealed'""",
    "no hash": "DELETE FROM am_credit_act WHERE kind = 'erasure.sealed'",
    "no beginning": "DELETE FROM am_credit_act WHERE kind = 'erasure.begun'",
    "a range after the end": """
        INSERT INTO am_credit_act (wallet_id, kind, subject, occurred_at, actor, author, before, after)
        SELECT wallet_id, kind, 'seal:999', occurred_at, actor, author, before, after FROM am_credit_act
        WHERE kind = 'erasure.sealed' LIMIT 1""",
    "no row": "DELETE FROM am_credit_erasure",
    "no end": "UPDATE am_credit_erasure SET ended_at = '2026-05-15T12:00:00.001Z'",
    "no act": "INSERT INTO am_credit_erasure (wallet_id, begun_at) VALUES (2, '2026-05-15T12:00:00.000Z')",
    "the seal": "UPDATE am_credit_seal SET sha256 = '00' || substr(sha256, 3) WHERE seal_id = 1",
}


@pytest.mark.databases("sqlite")
@pytest.mark.parametrize("statement", CHANGED.values(), ids=CHANGED)
def test_what_is_changed_beside_it_is_found(left: CreditWallet, db_url: str, statement: str) -> None:
    erased(left)
    found_when_changed(left, db_url, statement)


def test_an_entry_of_an_erased_range_is_still_proved(left: CreditWallet, db_url: str) -> None:
    erased(left)
    assert "seals" in found_when_changed(left, db_url, CHANGED["a date"])


def found_when_changed(left: CreditWallet, db_url: str, statement: str) -> set[str]:
    """What ``verify`` finds, which is something."""
    entry = left.history(1, txn_type="charge")[-1].txn_id
    with PlainSql(db_url) as host:
        for table in ("am_credit_transaction_log", "am_credit_act"):
            for trigger in ("update", "delete"):
                dropped(host, db_url, f"{table}_append_only_{trigger}", table)
        host.run(statement.format(entry=entry))
    found = checks(left) - {"protection"}
    assert found
    return found


def test_a_range_that_was_changed_is_not_erased(left: CreditWallet, db_url: str) -> None:
    """Or the change would hide in the new hash."""
    entry = left.history(1, txn_type="charge")[-1].txn_id
    with PlainSql(db_url) as host:
        dropped(host, db_url, "am_credit_transaction_log_append_only_update", "am_credit_transaction_log")
        host.run(
            f"UPDATE am_credit_transaction_log SET occurred_at = '2026-05-15T12:00:00.009Z' WHERE txn_id = {entry}"
        )
    with pytest.raises(ErasureBlocked, match="not what was sealed") as blocked:
        erased(left)
    assert blocked.value.details["blocked_by"] == "changed"
    assert "seals" in checks(left)


REFUSED = [
    *(
        f"UPDATE am_credit_transaction_log SET {change} WHERE txn_id = 3"
        for change in ("note = NULL", "note = 'x'", "detail = NULL")
    ),
    "UPDATE am_credit_act SET note = NULL WHERE wallet_id = 2",
    "UPDATE am_credit_grant SET note = NULL WHERE wallet_id = 2",
    "UPDATE am_credit_budget_change SET after = NULL WHERE wallet_id = 2",
]
REFUSED_MEANWHILE = [
    "UPDATE am_credit_transaction_log SET amount_yen = amount_yen + 1, note = NULL WHERE wallet_id = 1",
    "UPDATE am_credit_transaction_log SET note = 'another' WHERE wallet_id = 1",
    "UPDATE am_credit_transaction_log SET lots = NULL, note = NULL WHERE wallet_id = 1",
    "UPDATE am_credit_transaction_log SET note = NULL WHERE wallet_id = 2",
    """UPDATE am_credit_transaction_log SET detail = '{"fraction":1}' WHERE wallet_id = 1""",
    "DELETE FROM am_credit_transaction_log WHERE wallet_id = 1",
    "UPDATE am_credit_act SET kind = 'key.revoked', note = NULL WHERE wallet_id = 1",
    "UPDATE am_credit_act SET author = 'owner' WHERE wallet_id = 1 AND actor = 'operator'",
    "UPDATE am_credit_act SET author = 'agent:1' WHERE wallet_id = 1",
    "UPDATE am_credit_act SET after = '{}' WHERE wallet_id = 1",
    "UPDATE am_credit_act SET note = NULL WHERE kind = 'erasure.begun'",
    "DELETE FROM am_credit_act WHERE wallet_id = 1",
    "UPDATE am_credit_grant SET note = NULL, amount_yen = 6 WHERE wallet_id = 1",
    "UPDATE am_credit_budget_change SET after = '{}' WHERE wallet_id = 1",
]


def test_triggers_refuse_the_rest(left: CreditWallet, db_url: str) -> None:
    with PlainSql(db_url) as host:
        for statement in REFUSED:
            with pytest.raises(Exception, match=r"append-only|kept as they are"):
                host.run(statement)
    erased(left)
    with PlainSql(db_url) as host:
        host.run("UPDATE am_credit_erasure SET ended_at = NULL")
        for statement in REFUSED_MEANWHILE:
            with pytest.raises(Exception, match=r"append-only|kept as they are"):
                host.run(statement)
        host.run("DELETE FROM am_credit_erasure WHERE wallet_id = 3")


def test_two_erasures_in_the_same_ranges_at_a_time(left: CreditWallet, db_url: str, clock: Clock) -> None:
    left.close_wallet(2, note=f"{OTHER} leaves", unused="write_off")
    with CreditWallet.open(db_url, clock=clock) as node, ThreadPoolExecutor(4) as threads:
        erasing = [
            threads.submit(wallets.erase_personal_data, wallet_id) for wallets in (left, node) for wallet_id in (1, 2)
        ]
        failed = [future.exception() for future in erasing if future.exception() is not None]
    for wallet_id in (1, 2) if failed else ():
        left.erase_personal_data(wallet_id)
    assert checks(left) == set()
    assert tells(db_url, PERSON) | tells(db_url, OTHER) == set()


def test_it_is_not_rolled_back_once_it_is_needed(left: CreditWallet, db_url: str) -> None:
    erased(left)
    at = postgres_database_at if db_url.startswith("postgres") else sqlite_database_at
    with pytest.raises(MigrationError, match="315 stays"):
        at(db_url).rollback(315)
    assert checks(left) == set()
