"""``verify`` finds what somebody has changed in the sums of usage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import exact_ledger
import pytest
from clock import Clock
from databases import Databases, on_both_databases
from planted import Change, Finder, finder_in, missed

from credit_wallet import CreditWallet

pytestmark = on_both_databases

_VALUE = "wallet_id = 1 AND dimension = 'tool' AND value = 'web' AND key_id = 0"
_ROW = f"{_VALUE} AND every = 'hour' AND period LIKE '2026-09%'"
_REFUNDED = "wallet_id = 1 AND every = 'day' AND dimension = '' AND refunded_yen + refunded_fraction > 0"
_COLUMNS = "wallet_id, every, dimension, period, value, key_id, charges, item, quantity_units, quantity_fraction"
_AMOUNTS = "amount_yen, amount_fraction, refunded_yen, refunded_fraction"


def _fill(wallets: CreditWallet, clock: Clock) -> None:
    exact_ledger.fill(wallets, clock)
    while wallets.maintenance.count_usage():
        pass


@pytest.fixture
def find_in_usage(databases: Databases, tmp_path: Path) -> Iterator[Finder]:
    with finder_in(databases, tmp_path, _fill, usage=True) as finder:
        yield finder


def _set(name: str, change: str, where: str = _ROW, check: str = "usage") -> Change:
    return Change(name, f"UPDATE am_credit_usage SET {change} WHERE {where}", check)


FOUND = [
    _set("charges", "charges = charges + 1"),
    _set("quantity", "quantity_units = quantity_units + 1"),
    _set("a part of a quantity", "quantity_fraction = quantity_fraction + 1"),
    _set("amount", "amount_yen = amount_yen + 1"),
    _set("amount below the yen", "amount_fraction = amount_fraction + 1"),
    _set("refunded", "refunded_yen = refunded_yen + 1", _REFUNDED),
    _set("refunded below the yen", "refunded_fraction = refunded_fraction + 1", _REFUNDED),
    _set("item", "item = 'tokens.input'"),
    _set("value", "value = 'another'"),
    _set("dimension", "dimension = 'another'"),
    _set("hour", "period = '2026-09-05T13'"),
    _set("agent key", "key_id = 9"),
    _set("wallet", "wallet_id = 2"),
    _set(
        "day",
        "period = '2026-09-06'",
        f"{_VALUE} AND every = 'day' AND period = '2026-09-05'",
    ),
    Change("a row is gone", f"DELETE FROM am_credit_usage WHERE {_ROW}", "usage"),
    Change(
        "a row of nothing that was charged",
        f"INSERT INTO am_credit_usage ({_COLUMNS}, {_AMOUNTS}) "
        "VALUES (1, 'hour', 'tool', '2026-09-05T12', 'more', 0, 1, '', 0, 0, 1, 0, 0, 0)",
        "usage",
    ),
    Change("all is gone", "DELETE FROM am_credit_usage", "usage"),
    Change("less is counted", "UPDATE am_credit_counted SET last_txn_id = 4 WHERE counted = 'usage'", "usage"),
    Change("a beginning is gone", "DELETE FROM am_credit_usage_start WHERE wallet_id = 1", "usage_start"),
    Change("a beginning is later", "UPDATE am_credit_usage_start SET first_txn_id = first_txn_id + 1", "usage_start"),
    Change("a beginning is earlier", "UPDATE am_credit_usage_start SET first_txn_id = 1", "usage_start"),
    Change("a beginning is yet to come", "UPDATE am_credit_usage_start SET first_txn_id = 9999", "usage_start"),
]


def test_every_change_is_found_by_the_check_for_it(find_in_usage: Finder) -> None:
    assert missed(find_in_usage, FOUND) == {}
