"""Idempotency keys as their table has them: shorter where they end with a UUID, and found again whoever wrote them."""

from __future__ import annotations

from uuid import UUID

import pytest
from clock import Clock
from databases import on_every_database
from hypothesis import given
from hypothesis import strategies as st
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.actors import PAYER, PRODUCT, room, seller
from credit_wallet.errors import IdempotencyConflict
from credit_wallet.rules.validation import is_idempotency_key
from credit_wallet.stores import short_keys
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.short_keys import restored, short_forms

UUID7 = "0199f3a2-7c1e-7abc-8def-0123456789af"
UUID4 = "f47ac10b-58cc-4372-a567-0e02b2c3d479"
NOT_SHORTENED = [
    UUID7.upper(),
    UUID7.replace("a", "A", 1),
    f"{{{UUID7}}}",
    UUID7.replace("-", ""),
    UUID7.replace("0", "٠"),
    UUID7.replace("0", "０"),
    UUID7.replace("f", "g"),
    UUID7.replace("f", " "),
    UUID7.replace("f", "-"),
    f"{UUID7}-",
    UUID7[1:],
    "0199f3a-27c1e-7abc-8def-0123456789af",
    "---------------------------------------",
    "charge-1",
    "",
]

uuids = st.uuids().map(str)
printable = st.text(max_size=219).filter(str.isprintable)
keys = st.one_of(
    uuids,
    printable,
    st.builds(str.__add__, printable, uuids),
    st.builds(str.__add__, uuids, printable),
    st.sampled_from(NOT_SHORTENED),
)
stored_keys = st.builds(str.__add__, st.sampled_from([room(each) for each in (PAYER, PRODUCT, seller(7))] + [""]), keys)


@given(st.lists(stored_keys))
def test_every_key_has_a_form_of_its_own_and_is_restored_from_it(used: list[str]) -> None:
    short = short_forms(used)
    assert list(map(restored, short)) == used
    assert [form for key in used for form in short_forms([key])] == short
    assert all(len(form) <= len(key) for key, form in zip(used, short, strict=True))


@given(st.lists(st.uuids()))
def test_uuids_sort_as_they_did_and_take_23_characters(made: list[UUID]) -> None:
    short = short_forms([str(each) for each in sorted(made)])
    assert short == sorted(short)
    assert {len(form.encode()) for form in short} <= {23}


@pytest.mark.parametrize("key", NOT_SHORTENED)
def test_what_is_no_uuid_in_small_letters_is_another_key(key: str) -> None:
    assert short_forms([UUID4, key, UUID7])[1] == key
    assert restored(key) == key


@pytest.mark.parametrize("key", [UUID7, f"order {UUID4}"])
def test_no_caller_can_send_the_short_form(key: str) -> None:
    [short] = short_forms([key])
    assert short != key
    assert not is_idempotency_key(short)
    assert restored(short[-22:]) == short[-22:]


# In a ledger


def table(db_url: str) -> dict[str, str]:
    """The keys in the table, by the keys that the view shows."""
    with PlainSql(db_url) as ledger:
        return dict(ledger.run("SELECT idempotency_key, stored_key FROM v_credit_idempotency"))


def has_mark(db_url: str) -> bool:
    with PlainSql(db_url) as ledger:
        return bool(ledger.run(short_keys.HAS_LONG_KEYS))


def charge_all(wallets: CreditWallet, wallet_id: int, amount: str = "3") -> list[bool]:
    """Charge once with each key, in a list; return which were replays."""
    used = [UUID7, f"order {UUID4}", "short", *filter(is_idempotency_key, NOT_SHORTENED)]
    outcomes = wallets.charge_many([(wallet_id, amount, key) for key in used])
    return [outcome.replayed for outcome in outcomes if not isinstance(outcome, Exception)]


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 1_000, idempotency_key="start")
    return wallet_id


@on_every_database
def test_plain_sql_reads_keys_and_days_as_they_were_sent(wallets: CreditWallet, wallet_id: int, db_url: str) -> None:
    charge_all(wallets, wallet_id)
    found = table(db_url)
    assert list(found.values()) == short_forms(list(found))
    assert {key for key, stored in found.items() if key != stored} == {UUID7, f"order {UUID4}"}
    with PlainSql(db_url) as ledger:
        [(day, shown)] = ledger.run(
            "SELECT i.created_on, v.created_on FROM am_credit_idempotency i JOIN v_credit_idempotency v "
            "ON v.stored_key = i.idempotency_key WHERE v.idempotency_key = 'start'"
        )
    assert (len(day), len(shown)) == (5, 10)


@on_every_database
def test_every_key_is_its_own_and_is_found_again(wallets: CreditWallet, wallet_id: int, db_url: str) -> None:
    first = charge_all(wallets, wallet_id)
    assert not any(first)
    assert all(charge_all(wallets, wallet_id))
    assert not has_mark(db_url)
    with pytest.raises(IdempotencyConflict):
        wallets.charge(wallet_id, 4, idempotency_key=UUID7)
    other_id = wallets.create().wallet_id
    wallets.topup(other_id, 10, idempotency_key=UUID7)
    assert not wallets.charge(other_id, 3, idempotency_key=UUID4).replayed
    assert wallets.balance(wallet_id).balance_yen == 1_000 - 3 * len(first)
    assert wallets.verify() == []


@on_every_database
@pytest.mark.parametrize("amount", ["3", "3.30", "300", "70000"])
def test_what_was_remembered_before_is_answered_until_it_is_pruned(
    wallets: CreditWallet, wallet_id: int, db_url: str, clock: Clock, amount: str
) -> None:
    wallets.topup(wallet_id, 10**7, idempotency_key="more")
    charged = charge_all(wallets, wallet_id, amount)
    noted = wallets.charge(wallet_id, amount, idempotency_key=UUID4, note="tea")
    assert database_at(db_url).rollback(305)[-1] == "305_credit_short_keys.sql"
    with PlainSql(db_url) as ledger:
        before = ledger.run("SELECT * FROM am_credit_idempotency ORDER BY 1, 2")
        assert not [row for row in before if row[0] != restored(row[0]) or len(row[-1]) != 10]
        assert not [row for row in before if len(row[2]) < len("Charge")]
    database_at(db_url).upgrade(clock())
    assert has_mark(db_url)
    with PlainSql(db_url) as ledger:
        assert ledger.run("SELECT * FROM am_credit_idempotency ORDER BY 1, 2") == before

    clock.advance(days=1)
    with CreditWallet.open(db_url, clock=clock) as again:
        assert charge_all(again, wallet_id, amount) == [True] * len(charged)
        assert again.charge(wallet_id, amount, idempotency_key=UUID4, note="tea").balance == noted.balance
        with pytest.raises(IdempotencyConflict):
            again.charge(wallet_id, amount, idempotency_key=UUID4, note="coffee")
        again.charge(wallet_id, 1, idempotency_key="new")
        clock.advance(days=1)
        assert again.maintenance.prune_idempotency_keys() == 0
        assert has_mark(db_url)
        assert all(charge_all(again, wallet_id, amount))
        clock.advance(days=1)
        assert again.maintenance.prune_idempotency_keys() == len(before)
        assert not has_mark(db_url)
        assert list(table(db_url)) == ["new"]
        assert again.charge(wallet_id, 1, idempotency_key="new").replayed
        assert again.verify() == []


@on_every_database
def test_a_pass_that_was_left_half_way_keeps_looking_for_long_keys(
    wallets: CreditWallet, wallet_id: int, db_url: str, clock: Clock
) -> None:
    charge_all(wallets, wallet_id)
    database_at(db_url).rollback(305)
    database_at(db_url).upgrade(clock())
    with CreditWallet.open(db_url, clock=clock) as again:
        clock.advance(days=5)
        again.maintenance.stop()
        again.maintenance.prune_idempotency_keys()
        assert has_mark(db_url)
        assert all(charge_all(again, wallet_id))
