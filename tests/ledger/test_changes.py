"""What a page watches: another text after every change that it shows, whoever made it, and the same one otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from clock import Clock
from databases import on_both_databases
from query_plans import Recorded, plans

from credit_wallet import CreditWallet
from credit_wallet.domain.topups import PaymentFact
from credit_wallet.errors import InvalidRequest, WalletNotFound
from credit_wallet.notices.targets import WantedTarget

pytestmark = on_both_databases


def steps(wallets: CreditWallet, wallet_id: int) -> list[Callable[[], Any]]:
    """Everything that a page of the wallet shows changes, in turn; what was made is used by what follows."""
    made: dict[str, Any] = {}

    def keep(name: str, value: Any) -> None:
        made[name] = value

    return [
        lambda: wallets.topup(wallet_id, 100, idempotency_key="t"),
        lambda: wallets.charge(wallet_id, "0.000001", idempotency_key="c"),
        lambda: keep("hold", wallets.hold(wallet_id, 5, idempotency_key="h").hold_id),
        lambda: wallets.extend(made["hold"], 7_200),
        lambda: wallets.capture(made["hold"], 2, idempotency_key="part", final=False),
        lambda: wallets.release(made["hold"]),
        lambda: wallets.configure(wallet_id, low_balance_yen=5),
        lambda: wallets.configure(wallet_id, label="renamed"),
        lambda: wallets.configure(wallet_id, metadata={"plan": "pro"}),
        lambda: keep("key", wallets.keys.create(wallet_id).key_id),
        lambda: wallets.keys.configure(made["key"], monthly_cap_yen=50),
        lambda: wallets.keys.rotate(made["key"]),
        lambda: wallets.charge(wallet_id, 1, idempotency_key="k", key_id=made["key"]),
        lambda: wallets.keys.revoke(made["key"]),
        lambda: keep("budget", wallets.budgets.create(wallet_id, limit_yen=9, window="day").budget_id),
        lambda: wallets.budgets.configure(made["budget"], limit_yen=10),
        lambda: wallets.budgets.delete(made["budget"]),
        lambda: wallets.targets.set(wallet_id, [WantedTarget(url="https://example.com/hook")]),
        lambda: keep("topup", wallets.topups.request(wallet_id, 100, idempotency_key="p").topup_id),
        lambda: wallets.topups.settle(wallet_id, made["topup"], PaymentFact(observed_at=1, status="failed")),
        lambda: wallets.freeze(wallet_id, reason="other", note="n"),
        lambda: wallets.unfreeze(wallet_id, note="n"),
    ]


def test_every_change_is_seen_by_another_process_and_nothing_else_is(
    wallets: CreditWallet, db_url: str, clock: Clock
) -> None:
    wallet_id, other = (wallets.create().wallet_id for _ in range(2))
    with CreditWallet.open(db_url, clock=clock) as elsewhere:
        of_wallet, of_ledger, of_other = (elsewhere.changes(each) for each in (wallet_id, None, other))
        for number, step in enumerate(steps(wallets, wallet_id)):
            step()
            now = elsewhere.changes(wallet_id)
            assert now != of_wallet, f"step {number}"
            assert elsewhere.changes(wallet_id) == wallets.changes(wallet_id) == now
            of_wallet = now
        assert elsewhere.changes() != of_ledger
        assert elsewhere.changes(other) == of_other


def test_the_ledger_is_seen_to_change_with_any_wallet(wallets: CreditWallet) -> None:
    before = wallets.changes()
    wallet_id = wallets.create().wallet_id
    seen = [before, wallets.changes()]
    for change in (
        lambda: wallets.topup(wallet_id, 100, idempotency_key="t"),
        lambda: wallets.hold(wallet_id, 5, idempotency_key="h"),
        lambda: wallets.topups.request(wallet_id, 100, idempotency_key="p"),
        lambda: wallets.configure(wallet_id, label="renamed"),
        lambda: wallets.totals(anew=True),
    ):
        change()
        seen.append(wallets.changes())
    assert len(set(seen)) == len(seen)


def test_usage_that_is_counted_later_is_seen(wallets: CreditWallet) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 9, idempotency_key="t")
    wallets.charge(wallet_id, 1, idempotency_key="c", facts={"tool": "search"})
    before = wallets.changes(wallet_id)
    while wallets.maintenance.count_usage():
        pass
    assert wallets.changes(wallet_id) != before


def test_a_wallet_that_is_none_is_refused(wallets: CreditWallet) -> None:
    with pytest.raises(WalletNotFound):
        wallets.changes(7)
    with pytest.raises(InvalidRequest):
        wallets.changes(0)


def test_a_look_is_one_statement_that_reads_no_table_whole(
    wallets: CreditWallet, db_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wallet_id = wallets.create().wallet_id
    reader = wallets._ledger.reader
    recorded = Recorded(reader.source)
    monkeypatch.setattr(reader, "source", recorded)
    wallets.changes(wallet_id)
    wallets.changes()
    assert len(recorded.asked) == 2
    for plan in plans(recorded, db_url, dict(recorded.asked)):
        for line in plan.splitlines():
            is_small = "am_credit_totals" in line or "newest" in line or "CONSTANT ROW" in line
            assert is_small or ("SCAN" not in line and "Seq Scan" not in line), plan
