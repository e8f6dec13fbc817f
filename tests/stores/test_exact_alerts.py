"""The alert job below the yen: shares of a budget are of what was spent, to the micro."""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import pytest
from databases import Databases, on_every_database
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.cli.alert_job import main

pytestmark = on_every_database

MAY = "2026-05-15T12:00:00.000Z"


def fired(url: str) -> list[tuple[int, int, int]]:
    """Threshold, spent and budget of what a run of the job fires."""
    with redirect_stdout(StringIO()) as printed:
        assert main(["--db", url, "--cycle", "2026-05"]) == 0
    alerts = json.loads(printed.getvalue())["alerts_fired"]
    return [(alert["threshold_pct"], alert["spent_yen"], alert["budget_yen"]) for alert in alerts]


def emitted(host: PlainSql) -> list[dict[str, Any]]:
    rows = host.run("SELECT payload FROM am_credit_outbox WHERE kind = 'budget.threshold_reached' ORDER BY event_id")
    return [json.loads(payload) for (payload,) in rows]


def spender(wallets: CreditWallet, spent: str) -> int:
    """A wallet that has spent an amount when its budget is set."""
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="topup")
    wallets.charge(wallet_id, spent, idempotency_key="charge")
    return wallet_id


def test_half_of_an_odd_budget_is_spent_by_half_a_yen(wallets: CreditWallet, db_url: str) -> None:
    wallets.configure(spender(wallets, "1.5"), monthly_budget_yen=3)
    assert fired(db_url) == [(50, 1, 3)]
    assert fired(db_url) == []
    with PlainSql(db_url) as host:
        [said] = emitted(host)
    assert (said["spent_yen"], said["spent"], said["budget_yen"]) == (1, "1.5", 3)
    assert wallets.verify() == []


@pytest.mark.parametrize(
    ("spent", "thresholds"), [("1.499999", []), ("1.6", [50]), ("2.4", [50, 80]), ("2.999999", [50, 80])]
)
def test_a_micro_short_of_a_threshold_does_not_fire_it(
    wallets: CreditWallet, db_url: str, spent: str, thresholds: list[int]
) -> None:
    wallets.configure(spender(wallets, spent), monthly_budget_yen=3)
    assert [threshold_pct for threshold_pct, _, _ in fired(db_url)] == thresholds


def test_what_plain_sql_charges_is_added_to_the_micro(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = spender(wallets, "0.5")
    wallets.configure(wallet_id, monthly_budget_yen=3)
    with PlainSql(db_url) as host:
        host.move(wallet_id, "charge", -1, MAY)
        assert fired(db_url) == [(50, 1, 3)]
        host.move(wallet_id, "charge", -1, MAY)
        assert fired(db_url) == [(80, 2, 3)]
        assert [said["spent"] for said in emitted(host)] == ["1.5", "2.5"]
    assert wallets.verify() == []


def test_a_threshold_of_its_own_is_of_the_exact_spending(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = spender(wallets, "0.33")
    wallets.configure(wallet_id, monthly_budget_yen=1, alert_thresholds_pct=[33, 34])
    assert fired(db_url) == [(33, 0, 1)]
    assert wallets.verify() == []


@pytest.mark.parametrize("schema", ["seed", "whole"])
def test_no_amount_is_too_large_to_compare(databases: Databases, schema: str) -> None:
    """Plain SQL can write what 64 bits hold, a hundred times which they do not."""
    with databases.seed() if schema == "seed" else databases.ledger() as url:
        if schema == "whole":
            CreditWallet.open(url).close()
        with PlainSql(url) as host:
            wallet_id = host.wallet(monthly_budget_yen=8 * 10**18)
            host.entry(wallet_id, "charge", -4 * 10**18, MAY)
            host.entry(wallet_id, "charge", -(10**17), MAY)
        assert fired(url) == [(50, 41 * 10**17, 8 * 10**18)]
