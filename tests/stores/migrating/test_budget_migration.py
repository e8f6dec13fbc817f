"""Migration 299 goes when no limit would go with it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from budgeted import change_key, delete, make
from databases import on_every_database
from migrated import dump

from credit_wallet import CreditWallet
from credit_wallet.errors import MigrationError
from credit_wallet.stores.databases import database_at

pytestmark = on_every_database

NOW = datetime(2026, 11, 5, 12, 10, tzinfo=UTC)


@pytest.mark.parametrize("what", ["budget", "group"])
def test_budgets_and_groups_in_use_keep_it(fresh_url: str, what: str) -> None:
    with CreditWallet.open(fresh_url) as wallets:
        wallet_id = wallets.create().wallet_id
        if what == "budget":
            make(wallets, wallet_id, 10)
        else:
            change_key(wallets, wallet_id, wallets.keys.create(wallet_id).key_id, group="acme")
    before = dump(fresh_url)
    with pytest.raises(MigrationError, match="delete the budgets and take the keys out of their groups, or keep 299"):
        database_at(fresh_url).rollback(299)
    assert dump(fresh_url) == before


def test_deleted_budgets_go_with_it_and_the_money_stays(fresh_url: str) -> None:
    with CreditWallet.open(fresh_url) as wallets:
        wallet_id = wallets.create().wallet_id
        wallets.topup(wallet_id, 100, idempotency_key="topup")
        budget_id = make(wallets, wallet_id, 10)
        wallets.charge(wallet_id, 4, idempotency_key="charge")
        delete(wallets, wallet_id, budget_id)
    assert database_at(fresh_url).rollback(299)[-1] == "299_credit_budgets.sql"
    database_at(fresh_url).upgrade(NOW)
    with CreditWallet.open(fresh_url) as wallets:
        make(wallets, wallet_id, 10)
        wallets.charge(wallet_id, 10, idempotency_key="more")
        assert wallets.balance(wallet_id).balance_yen == 86
        assert wallets.verify() == []
