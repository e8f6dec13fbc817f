"""The log of acts: what is done besides moving money leaves a row, in the same transaction, under its author's name."""

from __future__ import annotations

from typing import Any

import pytest
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.actors import PAYER
from credit_wallet.domain.acts import Author
from credit_wallet.errors import InvalidRequest, TooManyTokens
from credit_wallet.stores.acts import acts

ALICE = Author("operator", "operator:3", "203.0.113.7", "req-1", "asked for by phone")


def log(wallets: CreditWallet, wallet_id: int | None = None) -> list[tuple[str, str, Any, Any]]:
    rows = acts(wallets._ledger.reader.source, wallet_id, 2**62, 100)
    return [(row.kind, row.subject, row.before, row.after) for row in rows[::-1]]


def test_settings_leave_what_changed_and_who_did_it(wallets: CreditWallet) -> None:
    wallet_id = wallets.create(label="a").wallet_id
    by_alice = wallets.acting(ALICE)
    by_alice.configure(wallet_id, monthly_budget_yen=500, label="a")
    by_alice.configure(wallet_id, monthly_budget_yen=500)
    [act, _] = acts(wallets._ledger.reader.source, wallet_id, 2**62, 100)
    assert (act.kind, act.before, act.after) == (
        "wallet.configured",
        {"monthly_budget_yen": 0},
        {"monthly_budget_yen": 500},
    )
    assert (act.by, act.actor, act.address, act.request_id, act.note) == (
        "operator:3",
        "operator",
        "203.0.113.7",
        "req-1",
        "asked for by phone",
    )


def test_keys_and_budgets_leave_acts(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    key_id = wallets.keys.create(wallet_id, label="one").key_id
    wallets.keys.configure(key_id, label="two")
    wallets.keys.rotate(key_id, overlap_seconds=0)
    wallets.keys.revoke(key_id)
    wallets.keys.revoke(key_id)
    budget_id = wallets.budgets.create(wallet_id, limit_yen=5, window="day").budget_id
    wallets.budgets.configure(budget_id, limit_yen=6)
    wallets.budgets.delete(budget_id)
    kinds = [kind for kind, *_ in log(wallets, wallet_id)]
    assert kinds == [
        "wallet.created",
        "key.created",
        "key.configured",
        "key.token_rotated",
        "key.revoked",
        "budget.created",
        "budget.configured",
        "budget.deleted",
    ]
    assert (f"key:{key_id}", {"label": "one"}, {"label": "two"}) in [each[1:] for each in log(wallets)]


def test_what_is_refused_leaves_nothing(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    for _ in range(10):
        wallets.rotate_owner_token(wallet_id)
    before = log(wallets)
    with pytest.raises(TooManyTokens):
        wallets.rotate_owner_token(wallet_id)
    with pytest.raises(InvalidRequest):
        wallets.configure(wallet_id, monthly_budget_yen=-1)
    assert log(wallets) == before


def test_the_log_is_append_only(wallets: CreditWallet, db_url: str) -> None:
    wallets.create()
    with PlainSql(db_url) as host:
        for statement in ("DELETE FROM am_credit_act", "UPDATE am_credit_act SET author = 'nobody'"):
            with pytest.raises(Exception, match="append-only"):
                host.run(statement)


@pytest.mark.parametrize(
    "author", [Author("nobody", "a"), Author(PAYER, ""), Author(PAYER, "a\nb"), Author(PAYER, "a", note="x" * 501)]
)
def test_an_author_has_a_printable_name_and_a_known_capacity(wallets: CreditWallet, author: Author) -> None:
    with pytest.raises(InvalidRequest):
        wallets.acting(author)
