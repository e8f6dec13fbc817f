"""A search reads what it is about: no statement of it passes all wallets or all words, however many there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from databases import on_both_databases
from query_plans import Recorded, plans

from credit_wallet import CreditWallet
from credit_wallet.stores import wallet_search

pytestmark = on_both_databases


SEARCHES: Sequence[dict[str, Any]] = (
    {},
    {"sort": "-wallet_id"},
    {"sort": "label"},
    {"sort": "-reference"},
    {"sort": "created_at"},
    {"query": "acme pro"},
    {"query": "acme", "sort": "-label"},
    {"query": "cust_1", "status": "failed_topup"},
    *({"status": status} for status in ("low", "in_debt", "exhausted", "disabled", "closed", "failed_topup")),
    {"status": "low", "sort": "-spent"},
    {"reference": "cust_1"},
    {"query": "cw_live_abcdefgh"},
)


@pytest.mark.parametrize("gathered", [2_000, 0], ids=["gathered", "walked"])
def test_no_statement_of_a_search_reads_a_whole_table(
    wallets: CreditWallet, db_url: str, monkeypatch: pytest.MonkeyPatch, gathered: int
) -> None:
    for number in range(3):
        wallets.create(label=f"acme {number}", reference=f"cust_{number}", metadata={"plan": "pro"})
    monkeypatch.setattr(wallet_search, "GATHERED", gathered)
    reader = wallets._ledger.reader
    recorded = Recorded(reader.source)
    monkeypatch.setattr(reader, "source", recorded)
    for given in SEARCHES:
        if gathered or given.get("sort", "") not in ("-spent",):
            wallets.search(**given, limit=2)
            place = wallets.search(**given, limit=1).next_cursor
            wallets.search(**given, limit=1, cursor=place)
    assert len(recorded.asked) > 20
    asked = dict(recorded.asked)  # the last parameters of each statement
    for plan in plans(recorded, db_url, asked):
        for line in plan.splitlines():
            assert "SCAN" not in line or "INDEX" in line or "SCAN w" in line, (
                plan
            )  # in the order of an index, to a LIMIT
            assert "Seq Scan" not in line, plan
            assert "FOR ORDER BY" not in line, plan
