"""Migration 296 refuses what cannot be exact, and shows the ledger in decimals. What it takes over: see
``test_whole_yen_ledgers``.
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import pytest
from databases import on_every_database
from migrated import dump
from plain_sql import PlainSql
from priced import SEARCH

from credit_wallet import CreditWallet
from credit_wallet.domain.acts import LIBRARY
from credit_wallet.domain.commands import Charge, Topup
from credit_wallet.domain.settings import NewWallet
from credit_wallet.domain.tokens import NewToken
from credit_wallet.domain.usage import Usage
from credit_wallet.errors import MigrationError
from credit_wallet.stores import migrations
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.new_wallets import create_wallet

pytestmark = on_every_database

BEFORE, EXACT = "295_credit_event_kinds.sql", "296_credit_exact_amounts.sql"

NOW = datetime(2026, 11, 5, 12, 10, tzinfo=UTC)


def test_more_than_can_be_exact_is_refused_in_words(fresh_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = migrations.manifest()
    monkeypatch.setattr(migrations, "manifest", lambda: names[: names.index(BEFORE) + 1])
    database_at(fresh_url).upgrade(NOW)
    with PlainSql(fresh_url) as host:
        host.wallet(balance_yen=9 * 10**12 + 1)
        before = dump(fresh_url)
        monkeypatch.undo()
        with pytest.raises(MigrationError, match="a wallet has more than 9000000000000 yen"):
            database_at(fresh_url).upgrade(NOW)
        assert dump(fresh_url) == before
        host.run("UPDATE am_credit_wallet SET balance_yen = balance_yen - 1")
    assert database_at(fresh_url).upgrade(NOW).applied[0] == EXACT


def test_the_view_says_amounts_as_decimals(fresh_url: str) -> None:
    with closing(database_at(fresh_url).open_store(NOW)) as store:
        store.run(create_wallet, NewWallet(None, 0, 0, 0, "alert", "UTC"), NewToken("a" * 64, ""), LIBRARY, NOW)
        for number, micros in enumerate((3_300_000, 1, 40_000_000)):
            store.execute(
                [Topup(1, f"credit {number}", 20_000_000), Charge(1, f"charge {number}", micros)], lambda: NOW
            )
    with PlainSql(fresh_url) as host:
        host.move(1, "charge", -2)
        assert host.run(
            "SELECT txn_type, amount, CAST(amount_micros AS BIGINT), CAST(ledger_balance_micros AS BIGINT) "
            "FROM v_credit_transaction_exact ORDER BY txn_id"
        ) == [
            ("topup", "20", 20_000_000, 20_000_000),
            ("charge", "-3.3", -3_300_000, 16_700_000),
            ("topup", "20", 20_000_000, 36_700_000),
            ("charge", "-0.000001", -1, 36_699_999),
            ("topup", "20", 20_000_000, 56_699_999),
            ("charge", "-40", -40_000_000, 16_699_999),
            ("charge", "-2", -2_000_000, None),  # until it is taken in
        ]


def test_the_view_says_what_was_bought(fresh_url: str) -> None:
    with closing(database_at(fresh_url).open_store(NOW)) as store:
        store.run(create_wallet, NewWallet(None, 0, 0, 0, "alert", "UTC"), NewToken("a" * 64, ""), LIBRARY, NOW)
        facts = Usage(None, 0, (("tool", "search"),), (("run", "r1"),))
        store.execute([Topup(1, "credit", 20_000_000), Charge(1, "facts", 1_000_000, usage=facts)], lambda: NOW)
    with PlainSql(fresh_url) as host:
        host.run(
            "INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type, prev_txn_id, detail) "
            "VALUES (1, -2, 'charge', 2, ?)",
            '{"item":"tokens.input","quantity":1500000,"price_version":7}',
        )
        assert host.run(
            "SELECT amount, item, quantity, quantity_micros, price_version, facts ->> 'tool', agent_facts ->> 'run' "
            "FROM v_credit_transaction_exact WHERE txn_type = 'charge' ORDER BY txn_id"
        ) == [
            ("-1", None, None, None, None, "search", "r1"),
            ("-2", "tokens.input", "1.5", 1_500_000, 7, None, None),
        ]


@pytest.mark.parametrize("what", ["charge", "hold", "buy"])
def test_a_ledger_in_which_something_was_priced_keeps_its_price_book(fresh_url: str, what: str) -> None:
    with CreditWallet.open(fresh_url) as wallets:
        wallets.prices.apply(SEARCH.format(0))
        wallet = wallets.create().wallet_id
        if what == "charge":
            wallets.charge(wallet, item="search", idempotency_key="a")
        elif what == "hold":
            wallets.release(wallets.hold(wallet, item="search", idempotency_key="a").hold_id)
        else:
            wallets.purchases.buy(wallet, item="search", purchase_key="a", attempt="one")
    before = dump(fresh_url)
    with pytest.raises(MigrationError, match="priced by a version of the price book; keep 297"):
        database_at(fresh_url).rollback(297)
    assert dump(fresh_url) == before


def test_a_price_book_that_priced_nothing_goes_with_its_migration(fresh_url: str) -> None:
    with CreditWallet.open(fresh_url) as wallets:
        wallets.prices.apply(SEARCH.format(0))
        wallets.create()
    assert database_at(fresh_url).rollback(297)[-1] == "297_credit_prices.sql"
    database_at(fresh_url).upgrade(NOW)
    with CreditWallet.open(fresh_url) as wallets:
        assert wallets.prices.apply(SEARCH.format(3)).version == 1


def test_a_ledger_with_transfers_keeps_them(fresh_url: str) -> None:
    """Only their rows say what is on its way, and what has arrived."""
    with CreditWallet.open(fresh_url) as wallets:
        source, other = wallets.create().wallet_id, wallets.create().wallet_id
        wallets.topup(source, 10, idempotency_key="a")
        wallets.transfers.create(source, other, "1.5", idempotency_key="b")
    before = dump(fresh_url)
    with pytest.raises(MigrationError, match="the ledger has transfers between wallets; keep 300"):
        database_at(fresh_url).rollback(300)
    assert dump(fresh_url) == before


def test_without_transfers_their_table_goes_with_its_migration(fresh_url: str) -> None:
    with CreditWallet.open(fresh_url) as wallets:
        wallets.create()
    assert database_at(fresh_url).rollback(300)[-1] == "300_credit_transfers.sql"
    assert database_at(fresh_url).upgrade(NOW).applied[0] == "300_credit_transfers.sql"
