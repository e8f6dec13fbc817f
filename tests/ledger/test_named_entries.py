"""What movements are called: on their entries, in the way that costs least, and how they are found by it.

Who would cheat it: a retry that comes with another id; one id on a thousand entries of many wallets; a key that
somebody else has used too; text that no database takes, or of which there is too much.
"""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from clock import Clock
from databases import on_both_databases, on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.actors import PAYER, seller
from credit_wallet.domain.commands import Charge
from credit_wallet.domain.money import MICROS
from credit_wallet.domain.names import Names
from credit_wallet.errors import IdempotencyConflict, InvalidRequest, MigrationError
from credit_wallet.rules.headroom import QuietCharges
from credit_wallet.stores.databases import database_at

NAMES: dict[str, Any] = {
    "request_id": "req-7f3a",
    "reference": "注文-1042",
    "metadata": {"customer": "山田\u3000太郎", 'a "quoted" key': "=1+1\nand more"},
}


def found(wallets: CreditWallet, **names: Any) -> list[int]:
    return [entry.txn_id for entry in wallets.transactions.find(**names)]


@on_every_database
def test_every_kind_of_movement_keeps_its_names_and_is_found_by_them(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = wallets.create().wallet_id
    credited = wallets.topup(wallet_id, 100, idempotency_key="topup", **NAMES)
    charged = wallets.charge(wallet_id, "3.30", idempotency_key="charge", facts={"tool": "web"}, **NAMES)
    refunded = wallets.refund(charged.txn_id, 1, idempotency_key="refund", **NAMES)
    held = wallets.hold(wallet_id, 10, idempotency_key="hold")
    captured = wallets.capture(held.hold_id, 5, idempotency_key="capture", **NAMES)
    bought = wallets.purchases.buy(wallet_id, 2, purchase_key="buy", attempt="a", **NAMES)
    wallets.purchases.undo(wallet_id, "buy", attempt="a")
    why: dict[str, Any] = {"reason": "other", "note": "counted again"}
    more = wallets.adjust(wallet_id, 5, idempotency_key="more", **why, **NAMES)
    less = wallets.adjust(wallet_id, -2, idempotency_key="less", **why, **NAMES)
    taken = wallets.take_back(credited.txn_id, 1, idempotency_key="taken", note="mistyped", **NAMES)
    assert bought.txn_id is not None
    keys: dict[Any, str | None] = {
        credited.txn_id: "topup",
        charged.txn_id: "charge",
        refunded.txn_id: "refund",
        captured.txn_id: "capture",
        bought.txn_id: None,
        bought.txn_id + 1: None,
        more.txn_id: "more",
        less.txn_id: "less",
        taken.txn_id: "taken",
    }
    assert found(wallets, request_id=NAMES["request_id"]) == sorted(keys, reverse=True)
    assert found(wallets, reference=NAMES["reference"], wallet_id=wallet_id) == sorted(keys, reverse=True)
    for txn_id, key in keys.items():
        entry = wallets.transactions.show(txn_id)
        assert {name: getattr(entry, name) for name in NAMES} == NAMES
        assert entry.idempotency_key == key
        if key is not None:
            assert found(wallets, idempotency_key=key, request_id=NAMES["request_id"]) == [txn_id]
    assert wallets.verify() == []
    with PlainSql(db_url) as ledger:
        seen = ledger.run("SELECT DISTINCT request_id, reference FROM v_credit_transaction_exact")
    assert seen == [(NAMES["request_id"], NAMES["reference"])]


@on_both_databases
def test_a_plain_charge_has_no_name_and_is_found_by_its_key_while_that_is_remembered(
    wallets: CreditWallet, clock: Clock, db_url: str
) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="topup")
    keys = ["plain", str(uuid4()), f"order:{uuid4()}"]
    plain = [wallets.charge(wallet_id, 3, idempotency_key=key).txn_id for key in keys]
    named = wallets.charge(wallet_id, 3, idempotency_key=str(uuid4()), metadata={"a": "b"})
    key = wallets.transactions.show(named.txn_id).idempotency_key
    with PlainSql(db_url) as ledger:
        assert ledger.run("SELECT txn_id FROM am_credit_transaction_log WHERE detail IS NOT NULL") == [(named.txn_id,)]
        assert ledger.run("SELECT named, txn_id FROM am_credit_entry_name") == [("idempotency_key", named.txn_id)]
    assert [found(wallets, idempotency_key=each) for each in keys] == [[each] for each in plain]
    clock.advance(days=400)
    wallets.maintenance.prune_idempotency_keys()
    assert [found(wallets, idempotency_key=each) for each in keys] == [[], [], []]
    assert found(wallets, idempotency_key=key) == [named.txn_id]
    assert wallets.verify() == []


@on_both_databases
def test_a_key_finds_what_each_of_its_users_did_with_it(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="topup")
    shops = [seller(wallets.sellers.create(label=name).seller_id) for name in ("one", "two")]
    actors = ["operator", PAYER, *shops]
    txn_ids = [wallets.charge(wallet_id, 3, idempotency_key="same", actor=actor).txn_id for actor in actors]
    assert found(wallets, idempotency_key="same") == txn_ids[::-1]
    assert found(wallets, idempotency_key="same", wallet_id=wallet_id + 1) == []
    assert found(wallets, idempotency_key="\x01same"[1:], txn_type="topup") == []


def test_a_retry_keeps_the_first_request_id_and_conflicts_over_anything_else(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    for number, first in enumerate([{}, {"request_id": "req-1"}, NAMES, {"reference": "r"}, {"metadata": {"a": "b"}}]):
        given: dict[str, Any] = {"idempotency_key": f"key {number}", **first}
        credited = wallets.topup(wallet_id, 100, **given)
        charged = wallets.charge(wallet_id, 3, **given | {"idempotency_key": f"c {number}"})
        again = {**given, "request_id": "another"}
        assert wallets.topup(wallet_id, 100, **again).replayed
        assert wallets.charge(wallet_id, 3, **again | {"idempotency_key": f"c {number}"}).replayed
        for txn_id in (credited.txn_id, charged.txn_id):
            assert wallets.transactions.show(txn_id).request_id == first.get("request_id")
        for other in ({"reference": "other"}, {"metadata": {"a": "c"}}, {"metadata": {"a": "b", "c": "d"}}):
            with pytest.raises(IdempotencyConflict):
                wallets.topup(wallet_id, 100, **given | other)
            with pytest.raises(IdempotencyConflict):
                wallets.charge(wallet_id, 3, **given | other | {"idempotency_key": f"c {number}"})
    assert found(wallets, request_id="another") == []
    assert wallets.verify() == []


def test_a_capture_is_called_what_its_hold_is_unless_it_says_otherwise(wallets: CreditWallet, clock: Clock) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="topup")
    held = wallets.hold(wallet_id, 10, idempotency_key="held", **NAMES)
    one = wallets.capture(held.hold_id, 1, idempotency_key="one", final=False, reference="part")
    two = wallets.capture(held.hold_id, 1)
    entries = [wallets.transactions.show(each.txn_id) for each in (one, two)]
    assert [entry.reference for entry in entries] == ["part", NAMES["reference"]]
    assert [entry.request_id for entry in entries] == [NAMES["request_id"]] * 2
    assert [entry.metadata for entry in entries] == [NAMES["metadata"]] * 2
    assert [entry.idempotency_key for entry in entries] == ["one", "held"]
    bought = wallets.purchases.buy(wallet_id, 5, purchase_key="b", attempt="a", hold_seconds=60, request_id="req-b")
    wallets.purchases.serve(wallet_id, "b", attempt="a")
    clock.advance(seconds=61)
    wallets.maintenance.expire_due()
    [captured] = wallets.transactions.find(request_id="req-b")
    assert (captured.hold_id, captured.amount_yen) == (bought.hold_id, -5)
    assert wallets.verify() == []


def test_a_named_charge_takes_the_short_way_in_a_list(wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="topup")
    quick = []
    charge = QuietCharges.charge

    def counted(self: QuietCharges, command: Charge) -> Any:
        outcome = charge(self, command)
        quick.append(outcome is not None)
        return outcome

    monkeypatch.setattr(QuietCharges, "charge", counted)
    names = Names("req-1", "order-1", (("a", "b"),))
    wallets.charge_many([Charge(wallet_id, f"{n}", 3 * MICROS, names=names) for n in range(3)])
    assert quick == [True] * 3
    assert len(found(wallets, request_id="req-1", reference="order-1")) == 3
    assert wallets.verify() == []


@on_both_databases
def test_one_request_id_on_a_thousand_entries_of_many_wallets_comes_in_pages(wallets: CreditWallet) -> None:
    wallet_ids = [wallets.create().wallet_id for _ in range(3)]
    for wallet_id in wallet_ids:
        wallets.topup(wallet_id, 1_000, idempotency_key="topup")
    names = Names("same", "all")
    wallets.charge_many(
        [Charge(wallet_id, f"{n}", MICROS, names=names) for n in range(334) for wallet_id in wallet_ids]
    )
    pages, after = [], None
    while page := wallets.transactions.find(request_id="same", limit=300, after=after):
        pages.append(page)
        after = (page[-1].wallet_id, page[-1].txn_id)
    entries = [entry for page in pages for entry in page]
    assert [len(page) for page in pages] == [300, 300, 300, 102]
    assert [(entry.wallet_id, entry.txn_id) for entry in entries] == sorted(
        {(entry.wallet_id, entry.txn_id) for entry in entries}, reverse=True
    )
    mine = wallets.transactions.find(reference="all", wallet_id=wallet_ids[1], limit=1_000)
    assert {entry.wallet_id for entry in mine} == {wallet_ids[1]}
    assert len(mine) == 334


MALFORMED: list[dict[str, Any]] = [
    {"request_id": ""},
    {"request_id": "r" * 129},
    {"request_id": "日本"},
    {"request_id": "a\nb"},
    {"reference": ""},
    {"reference": "r" * 256},
    {"reference": "a\0b"},
    {"reference": "\ud800"},
    {"reference": 7},
    {"metadata": {"": "x"}},
    {"metadata": {"k" * 41: "x"}},
    {"metadata": {"k": "v" * 501}},
    {"metadata": {"k": "\0"}},
    {"metadata": {"k": "\ud800"}},
    {"metadata": {"k": 7}},
    {"metadata": {f"{n}": "x" for n in range(21)}},
    {"metadata": {f"{n}": "v" * 400 for n in range(6)}},
    {"metadata": [("a", "b")]},
]


@pytest.mark.parametrize("names", MALFORMED, ids=range(len(MALFORMED)))
def test_names_that_are_too_much_or_cannot_be_kept_are_refused(wallets: CreditWallet, names: dict[str, Any]) -> None:
    wallet_id = wallets.create().wallet_id
    with pytest.raises(InvalidRequest) as refusal:
        wallets.topup(wallet_id, 100, idempotency_key="k", **names)
    assert str(refusal.value.details["field"]).split(".")[0] == next(iter(names))
    if not isinstance(next(iter(names.values())), dict | list):
        with pytest.raises(InvalidRequest):
            wallets.transactions.find(**names)
    assert wallets.history(wallet_id) == []


@pytest.mark.parametrize("names", [{}, {"request_id": None}])
def test_a_search_needs_a_name(wallets: CreditWallet, names: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        wallets.transactions.find(**names)


@on_both_databases
def test_310_is_undone_only_while_nothing_has_a_name(db_url: str) -> None:
    with CreditWallet.open(db_url) as wallets:
        wallet_id = wallets.create().wallet_id
        wallets.topup(wallet_id, 100, idempotency_key="topup")
    database_at(db_url).rollback(310)
    with CreditWallet.open(db_url) as wallets:
        held = wallets.hold(wallet_id, 3, idempotency_key="h", metadata={"a": "b"})
        wallets.release(held.hold_id)
    with pytest.raises(MigrationError, match="keep 310"):
        database_at(db_url).rollback(310)
