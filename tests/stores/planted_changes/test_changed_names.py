"""``verify`` finds what somebody has changed in what entries are called, and in how they are found by it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clock import Clock
from databases import Databases, on_both_databases
from planted import Change, Finder, finder_in, missed

from credit_wallet import CreditWallet

pytestmark = on_both_databases

_LOG = "am_credit_transaction_log"
_NAMES = "am_credit_entry_name"
_COLUMNS = "named, name, wallet_id, txn_id"
_TEA = "WHERE txn_id = 2"


def fill(wallets: CreditWallet, clock: Clock) -> None:
    """A wallet that was charged by a name, and one without any."""
    for _ in range(2):
        wallet_id = wallets.create().wallet_id
        wallets.topup(wallet_id, 100, idempotency_key="credit")
        if wallet_id == 1:
            wallets.charge(
                wallet_id,
                3,
                idempotency_key="tea",
                request_id="req-1",
                reference="order-1",
                metadata={"customer": "c-1"},
            )
            held = wallets.hold(wallet_id, 5, idempotency_key="held", reference="order-2")
            wallets.capture(held.hold_id, 2)
            wallets.hold(wallet_id, 7, idempotency_key="open", request_id="req-3")
        wallets.charge(wallet_id, 1, idempotency_key="plain")
    clock.advance(seconds=1)
    while wallets.maintenance.seal():
        pass


@pytest.fixture
def find_named(databases: Databases, tmp_path: Path) -> Iterator[Finder]:
    with finder_in(databases, tmp_path, fill) as finder:
        yield finder


def _detail(name: str, old: str, new: str, check: str) -> Change:
    detail = f"json(replace(CAST(detail AS TEXT), '{old}', '{new}'))"
    return Change(name, f"UPDATE {_LOG} SET detail = {detail} {_TEA}", check)


FOUND = [
    *(
        Change(f"an entry is not found by its {kind}", f"DELETE FROM {_NAMES} {_TEA} AND named = '{kind}'", "names")
        for kind in ("request_id", "idempotency_key")
    ),
    Change("another request id", f"UPDATE {_NAMES} SET name = 'req-2' {_TEA} AND named = 'request_id'", "names"),
    Change("another entry", f"UPDATE {_NAMES} SET txn_id = 3 {_TEA} AND named = 'request_id'", "names"),
    Change(
        "a name of an entry that has none",
        f"INSERT INTO {_NAMES} ({_COLUMNS}) VALUES ('reference', 'order-1', 1, 1)",
        "names",
    ),
    _detail("an entry's request id", "req-1", "req-2", "names"),
    _detail("an entry's reference", "order-1", "order-9", "names"),
    _detail("an entry's idempotency key", '"tea"', '"coffee"', "names"),
    _detail("an entry's metadata", "c-1", "c-2", "seals"),
    _detail("a request id that is too long", "req-1", "r" * 129, "details"),
    Change(
        "an idempotency key alone",
        f'UPDATE {_LOG} SET detail = \'{{"idempotency_key":"plain"}}\' WHERE txn_id = 1',
        "details",
    ),
    Change("no names any more", f"UPDATE {_LOG} SET detail = NULL {_TEA}", "names"),
    Change(
        "a hold's names that are none",
        "UPDATE am_credit_hold SET usage = '{\"reference\":\"\"}' WHERE usage IS NOT NULL AND status = 'open'",
        "details",
    ),
]

NOT_PROVABLE = {
    "UPDATE am_credit_hold SET usage = NULL WHERE usage IS NOT NULL": "its captures say what they are called",
}


def test_every_change_is_found_by_the_check_for_it(find_named: Finder) -> None:
    assert missed(find_named, FOUND) == {}


def test_what_cannot_be_proved_is_not_found(find_named: Finder) -> None:
    assert {change: found for change in NOT_PROVABLE if (found := find_named(change))} == {}
