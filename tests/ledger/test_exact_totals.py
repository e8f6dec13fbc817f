"""Many charges below the yen move exactly what they add up to, for the wallet and for plain SQL."""

from __future__ import annotations

import os

import pytest
from databases import on_both_databases, on_sqlite
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.outcomes import Charged

CHARGES = 10_000
MANY_CHARGES = int(os.environ.get("EXACT_CHARGES", "50000"))
"""On SQLite; `make soak` makes a million of them."""

LIST = 5_000
SPARE_YEN = 7


def charge_and_add_up(db_url: str, charges: int) -> None:
    """¥3.30 so many times, which is whole yen in the end; ``SPARE_YEN`` stay."""
    total_yen = charges * 33 // 10
    with CreditWallet.open(db_url) as wallets, PlainSql(db_url) as host:
        wallet_id = wallets.create(monthly_budget_yen=total_yen).wallet_id
        wallets.topup(wallet_id, total_yen + SPARE_YEN, idempotency_key="start")
        for start in range(0, charges, LIST):
            numbers = range(start, min(start + LIST, charges))
            outcomes = wallets.charge_many([(wallet_id, "3.30", f"charge {number}") for number in numbers])
            assert all(type(outcome) is Charged for outcome in outcomes)
            [(whole,)] = host.run("SELECT sum(amount_yen) FROM am_credit_transaction_log")
            assert whole == (total_yen + SPARE_YEN) - -(-(numbers[-1] + 1) * 33 // 10)  # what is left, rounded down
        view = wallets.show(wallet_id)
        assert view.balance == SPARE_YEN
        assert view.current_cycle_spent == total_yen
        [(exact,)] = host.run("SELECT sum(amount_micros) FROM v_credit_transaction_exact WHERE txn_type = 'charge'")
        assert exact == -total_yen * 10**6
        assert max(alert.spent_yen for alert in wallets.alerts.list(wallet_id)) == total_yen
        assert wallets.statement(wallet_id, view.current_cycle).closing == SPARE_YEN
        assert wallets.verify() == []


@on_both_databases
def test_charges_of_three_yen_thirty_add_up_exactly(db_url: str) -> None:
    charge_and_add_up(db_url, CHARGES)


@on_sqlite
@pytest.mark.slow
def test_many_charges_of_three_yen_thirty_add_up_exactly(db_url: str) -> None:
    charge_and_add_up(db_url, MANY_CHARGES)
