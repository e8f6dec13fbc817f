"""``verify`` finds what somebody has changed in transfers: in arrived ones, a returned one, one on its way."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from clock import Clock
from databases import Databases, on_both_databases
from moved import fill_up, interrupted, two_wallets
from planted import Change, Finder, finder_in, missed

from credit_wallet import CreditWallet
from credit_wallet.errors import TransferReturned

pytestmark = on_both_databases

ARRIVED = "wallet_id = 1 AND status = 'done'"
CAME = "wallet_id = 2 AND status = 'done'"
RETURNED = "wallet_id = 1 AND status = 'returned'"
ON_ITS_WAY = "wallet_id = 2 AND status = 'out'"


def _fill(wallets: CreditWallet, clock: Clock) -> None:
    """Two transfers from 1 to 2, of a gift and paid credit; one from 1 to 3 that is returned, one back on its way."""
    pair = two_wallets(wallets, "2027-02-01")
    full = wallets.create().wallet_id
    wallets.transfers.create(*pair, "150.5", idempotency_key="arrives")
    wallets.transfers.create(*pair, 50, idempotency_key="arrives too")
    with pytest.MonkeyPatch.context() as patch:
        interrupted(wallets, (pair[0], full), 30, patch)
        fill_up(wallets, full, 0)
        with pytest.raises(TransferReturned):
            wallets.transfers.create(pair[0], full, 30, idempotency_key="move")
        clock.advance(minutes=1)
    with pytest.MonkeyPatch.context() as patch:
        interrupted(wallets, (pair[1], pair[0]), 20, patch)
    wallets.maintenance.seal()


@pytest.fixture
def find(databases: Databases, tmp_path: Path) -> Iterator[Finder]:
    with finder_in(databases, tmp_path, _fill) as finder:
        yield finder


def _set(name: str, change: str, where: str, check: str) -> Change:
    return Change(name, f"UPDATE am_credit_transfer SET {change} WHERE {where}", check)


FOUND = [
    _set("more came in", "amount_yen = amount_yen + 1", CAME, "transfers"),
    _set("more went out", "amount_fraction = amount_fraction + 1", ARRIVED, "transfer_entries"),
    _set("a gift arrives as paid", "lots = replace(lots, '\"promo\"', '\"paid\"')", CAME, "transfer_lots"),
    _set("a gift leaves as paid", "lots = replace(lots, '\"promo\"', '\"paid\"')", ARRIVED, "transfer_entries"),
    _set("an expiry is later", "lots = replace(lots, '2027-02', '2027-03')", CAME, "transfer_entries"),
    _set("what arrived is on its way again", "status = 'out'", RETURNED, "transfers"),
    _set("what was returned has arrived", "status = 'done'", RETURNED, "transfers"),
    _set("what is on its way has arrived", "status = 'done'", ON_ITS_WAY, "transfers"),
    _set("what is on its way was returned", "status = 'returned'", ON_ITS_WAY, "transfers"),
    _set("what arrived was refused", "status = 'refused'", CAME, "transfers"),
    _set("what was refused came in", "status = 'done'", "status = 'refused'", "transfers"),
    _set("it went elsewhere", "other_wallet_id = 3", ARRIVED, "transfers"),
    _set("it came from elsewhere", "other_wallet_id = 3", CAME, "transfers"),
    _set("another entry took it", "txn_id = 1", ARRIVED, "transfer_entries"),
    _set("no entry took it", "txn_id = NULL", ARRIVED, "transfers"),
    _set("another entry returned it", "returned_txn_id = 1", RETURNED, "transfer_entries"),
    _set("another id", "transfer_id = 'tr_1_0123456789abcdef01234567'", RETURNED, "transfers"),
    Change("what went out is gone", f"DELETE FROM am_credit_transfer WHERE {ARRIVED}", "transfer_entries"),
    Change("what came in is gone", f"DELETE FROM am_credit_transfer WHERE {CAME}", "transfer_entries"),
    Change("what was refused is gone", "DELETE FROM am_credit_transfer WHERE status = 'refused'", "transfers"),
    Change(
        "an entry says that it came from elsewhere",
        "UPDATE am_credit_transaction_log SET cause = 'transfer_in' WHERE txn_id = 1",
        "transfer_entries",
    ),
    Change(
        "an entry no longer says that it came from elsewhere",
        "UPDATE am_credit_transaction_log SET cause = 'grant' WHERE cause = 'transfer_in'",
        "transfer_entries",
    ),
    Change(
        "a refund of what went out",
        "UPDATE am_credit_transaction_log SET txn_type = 'refund' WHERE cause = 'transfer_returned'",
        "causes",
    ),
]


def test_every_change_is_found(find: Finder) -> None:
    assert missed(find, FOUND) == {}
