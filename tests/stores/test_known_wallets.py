"""What a node remembers of wallets on PostgreSQL never decides once somebody else has written."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from background import funded
from budgeted import change, change_key, delete, make
from clock import Clock
from databases import on_postgres
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.domain.commands import Charge, Command, Configure, Freeze
from credit_wallet.domain.money import MICROS
from credit_wallet.errors import (
    BudgetExhausted,
    DatabaseRefused,
    InsufficientFunds,
    Unauthorized,
    WalletDisabled,
    WalletError,
)
from credit_wallet.stores.postgres import known_wallets
from credit_wallet.stores.postgres.budgets import PostgresBudgets
from credit_wallet.stores.postgres.ledger import LedgerConnection

pytestmark = on_postgres


@pytest.fixture
def node(db_url: str, clock: Clock) -> Iterator[CreditWallet]:
    """Another node."""
    with CreditWallet.open(db_url, clock=clock) as opened:
        yield opened


@pytest.fixture
def host(db_url: str) -> Iterator[PlainSql]:
    with PlainSql(db_url) as opened:
        yield opened


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is read of wallets and budgets from now on."""
    asked: list[str] = []
    execute = LedgerConnection.execute

    def noted(self: LedgerConnection, query: Any, *args: Any, **kwargs: Any) -> Any:
        if query == known_wallets._WALLETS:
            asked.append("wallets")
        return execute(self, query, *args, **kwargs)

    monkeypatch.setattr(LedgerConnection, "execute", noted)
    for name in ("definitions", "figures"):
        monkeypatch.setattr(PostgresBudgets, name, _noted(asked, name))
    return asked


def _noted(asked: list[str], name: str) -> Callable[..., Any]:
    method = getattr(PostgresBudgets, name)

    def noted(self: PostgresBudgets, *arguments: Any, **named: Any) -> Any:
        asked.append(name)
        return method(self, *arguments, **named)

    return noted


class Charging:
    """Charges one wallet, with a new idempotency key each time."""

    def __init__(self, wallet_id: int, key_id: int | None = None, **facts: str) -> None:
        self._wallet_id, self._key_id, self._facts, self._number = wallet_id, key_id, facts or None, 0

    def __call__(self, wallets: CreditWallet, yen: int = 1) -> int:
        self._number += 1
        charged = wallets.charge(
            self._wallet_id, yen, idempotency_key=f"{self._number}", key_id=self._key_id, facts=self._facts
        )
        return charged.balance_yen


# What is not read


def test_what_only_this_lane_has_written_is_not_read_again(wallets: CreditWallet, reads: list[str]) -> None:
    wallet_id = funded(wallets)
    make(wallets, wallet_id, 100)
    make(wallets, wallet_id, 100, window="rolling:1h")
    charge = Charging(wallet_id)
    charge(wallets)
    charge(wallets)  # making the budgets had written the wallet's row
    reads.clear()
    assert [charge(wallets) for _ in range(3)] == [997, 996, 995]
    assert reads == []


def test_a_wallet_that_others_write_is_asked_for_at_once(
    wallets: CreditWallet, node: CreditWallet, reads: list[str]
) -> None:
    """The second time in the same round trip; and when it is left alone, no more."""
    charge = Charging(funded(wallets))
    charge(wallets)
    charge(node)
    balances = []
    for charging in (wallets, node, wallets, wallets, wallets):
        reads.clear()
        balances.append(charge(charging))
        asked = list(reads)
    assert balances == [997, 996, 995, 994, 993]
    assert asked == []
    assert wallets.verify() == []


def test_settings_that_change_beside_a_charge_are_known(wallets: CreditWallet, reads: list[str]) -> None:
    wallet_id = funded(wallets)
    lane = wallets._ledger.lanes.of(wallet_id)

    def batch(name: str, change: Command) -> list[Any]:
        return list(lane.submit([Charge(wallet_id, name, amount_micros=MICROS), change]))

    batch("first", Configure(wallet_id, label="tea"))
    reads.clear()
    batch("second", Freeze(wallet_id, True))
    assert isinstance(batch("third", Freeze(wallet_id, False))[0], WalletDisabled)
    assert reads == []
    assert batch("fourth", Configure(wallet_id, label=""))[0].balance_yen == 997
    shown = wallets.show(wallet_id)
    assert (shown.label, shown.enabled) == ("", True)


# What others have written


@pytest.mark.parametrize(
    ("statement", "refusal"),
    [
        ("SET enabled = 0", WalletDisabled),
        ("SET monthly_budget_yen = 1, budget_mode = 'cap'", BudgetExhausted),
        ("SET balance_yen = 2, open_lots = '[[1,\"paid\",2,null]]'", InsufficientFunds),
    ],
)
def test_plain_sql_between_two_charges_is_seen(
    wallets: CreditWallet, host: PlainSql, statement: str, refusal: type[WalletError]
) -> None:
    charge = Charging(funded(wallets))
    charge(wallets)
    host.run(f"UPDATE am_credit_wallet {statement}")
    with pytest.raises(refusal):
        charge(wallets, 3)


def test_a_hosts_savepoints_and_rolled_back_transactions_change_nothing_but_what_is_committed(
    wallets: CreditWallet, db_url: str
) -> None:
    charge = Charging(funded(wallets))
    charge(wallets)
    with psycopg.connect(db_url) as other:
        other.execute("UPDATE am_credit_wallet SET enabled = 0")
        other.rollback()
        assert charge(wallets) == 998
        other.execute("SAVEPOINT before; UPDATE am_credit_wallet SET enabled = 0; ROLLBACK TO SAVEPOINT before")
        other.commit()
        assert charge(wallets) == 997
        other.execute("SAVEPOINT before; UPDATE am_credit_wallet SET enabled = 0; RELEASE SAVEPOINT before")
        other.commit()
    with pytest.raises(WalletDisabled):
        charge(wallets)


def test_a_rewritten_table_has_the_same_rows(wallets: CreditWallet, host: PlainSql) -> None:
    charge = Charging(funded(wallets))
    charge(wallets)
    host.run("VACUUM (FULL, FREEZE) am_credit_wallet")
    assert charge(wallets) == 998
    host.run("UPDATE am_credit_wallet SET enabled = 0")
    host.run("VACUUM (FULL, FREEZE) am_credit_wallet")
    with pytest.raises(WalletDisabled):
        charge(wallets)


def test_what_another_node_spends_counts_here(wallets: CreditWallet, node: CreditWallet) -> None:
    wallet_id = funded(wallets)
    for window in ("day", "total", "rolling:1m"):
        make(wallets, wallet_id, 10, window=window)
    charge = Charging(wallet_id)
    for _ in range(2):
        charge(wallets, 2)
        charge(node, 3)
    for charging in (wallets, node):
        with pytest.raises(BudgetExhausted):
            charge(charging)
    assert wallets.verify() == []


def test_what_another_node_holds_counts_here(wallets: CreditWallet, node: CreditWallet) -> None:
    wallet_id = funded(wallets)
    make(wallets, wallet_id, 10)
    charge = Charging(wallet_id)
    charge(wallets)
    hold_id = node.hold(wallet_id, 9, idempotency_key="hold").hold_id or 0
    with pytest.raises(BudgetExhausted):
        charge(wallets)
    node.release(hold_id, idempotency_key="release")
    assert charge(wallets, 9) == 990


def test_what_another_node_does_to_a_budget_counts_here(wallets: CreditWallet, node: CreditWallet) -> None:
    wallet_id = funded(wallets)
    budget_id = make(wallets, wallet_id, 10)
    charge = Charging(wallet_id)
    charge(wallets)
    change(node, wallet_id, budget_id, limit_micros=2_000_000)
    with pytest.raises(BudgetExhausted):
        charge(wallets, 2)
    delete(node, wallet_id, budget_id)
    assert charge(wallets, 2) == 997
    make(node, wallet_id, 3)
    assert charge(wallets, 3) == 994
    with pytest.raises(BudgetExhausted):
        charge(wallets)


def test_what_another_node_does_to_a_key_counts_here(wallets: CreditWallet, node: CreditWallet) -> None:
    wallet_id = funded(wallets)
    key_id = wallets.keys.create(wallet_id, group="acme").key_id
    make(wallets, wallet_id, 2, scope=((".group", "evil"),))
    charge = Charging(wallet_id, key_id)
    charge(wallets, 5)
    change_key(node, wallet_id, key_id, group="evil")
    with pytest.raises(BudgetExhausted):
        charge(wallets, 3)
    change_key(node, wallet_id, key_id, group="acme")
    assert charge(wallets, 5) == 990
    node.keys.revoke(key_id)
    with pytest.raises(Unauthorized):
        charge(wallets)


def test_a_group_that_plain_sql_has_set_counts(wallets: CreditWallet, host: PlainSql) -> None:
    wallet_id = funded(wallets)
    key_id = wallets.keys.create(wallet_id, group="acme").key_id
    make(wallets, wallet_id, 2, scope=((".group", "evil"),))
    charge = Charging(wallet_id, key_id)
    charge(wallets, 5)
    host.run("UPDATE am_credit_key SET key_group = 'evil'")
    with pytest.raises(BudgetExhausted):
        charge(wallets, 3)


def test_what_a_refusal_notes_in_a_counter_is_not_written_over(
    wallets: CreditWallet, node: CreditWallet, host: PlainSql
) -> None:
    """The refused charge leaves its wallet as it is, and notes that the next window's beginning is to be told."""
    wallet_id = funded(wallets)
    make(wallets, wallet_id, 100)
    charge = Charging(wallet_id)
    charge(wallets)
    hold_id = wallets.hold(wallet_id, 90, idempotency_key="hold").hold_id or 0
    with pytest.raises(BudgetExhausted):
        charge(node, 10)
    noted = "SELECT spent, told_pct, renewal FROM am_credit_budget_spent"
    assert host.run(noted) == [(1, 0, 1)]
    wallets.capture(hold_id, 80)
    assert host.run(noted) == [(81, 80, 1)]


def test_a_rolling_window_that_another_node_has_moved_is_read(
    wallets: CreditWallet, node: CreditWallet, clock: Clock
) -> None:
    """A refused charge moves a counter's row when very many steps have left its window; then a clock is put back."""
    wallet_id = funded(wallets, 10_000)
    make(wallets, wallet_id, 200, window="rolling:2m")
    charge = Charging(wallet_id)
    for _ in range(150):
        clock.advance(seconds=1)
        charge(wallets)
    clock.advance(seconds=100)
    with pytest.raises(BudgetExhausted):
        charge(node, 200)
    clock.advance(seconds=-100)
    charge(wallets)
    assert wallets.verify() == []
    clock.advance(seconds=100)
    charge(node, 179)
    with pytest.raises(BudgetExhausted):
        charge(wallets)
    assert wallets.verify() == []


# What cannot be trusted


@pytest.mark.parametrize(
    ("when", "table", "body"),
    [
        ("BEFORE UPDATE", "am_credit_wallet", "NEW.enabled := 0;"),
        ("AFTER INSERT", "am_credit_transaction_log", "UPDATE am_credit_wallet SET enabled = 0;"),
        ("AFTER INSERT", "am_credit_idempotency", "UPDATE am_credit_wallet SET enabled = 0;"),
        ("AFTER UPDATE", "am_credit_wallet", "UPDATE am_credit_wallet SET enabled = 0 WHERE enabled = 1;"),
    ],
)
def test_what_a_hosts_trigger_makes_of_a_charge_is_seen(
    wallets: CreditWallet, host: PlainSql, when: str, table: str, body: str
) -> None:
    charge = Charging(funded(wallets))
    charge(wallets)
    host.run(f"CREATE FUNCTION host_rule() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NEW; END $$")
    host.run(f"CREATE TRIGGER host_rule {when} ON {table} FOR EACH ROW EXECUTE FUNCTION host_rule()")
    charge(wallets)
    host.run(f"DROP TRIGGER host_rule ON {table}")
    with pytest.raises(WalletDisabled):
        charge(wallets)


def test_a_batch_that_failed_leaves_nothing_in_memory(wallets: CreditWallet, host: PlainSql) -> None:
    wallet_id = funded(wallets)
    make(wallets, wallet_id, 10)
    charge = Charging(wallet_id)
    charge(wallets)
    host.run("ALTER TABLE am_credit_idempotency ADD CONSTRAINT host_rule CHECK (amount_yen <> 7)")
    with pytest.raises(DatabaseRefused):
        charge(wallets, 7)
    host.run("ALTER TABLE am_credit_idempotency DROP CONSTRAINT host_rule")
    assert charge(wallets, 9) == 990
    assert wallets.verify() == []


def test_a_new_connection_may_lead_to_another_history(wallets: CreditWallet, host: PlainSql, reads: list[str]) -> None:
    """A promoted standby gives ids of transactions that were lost to others. The lane may notice while it is idle."""
    wallet_id = funded(wallets)
    charge = Charging(wallet_id)
    charge(wallets)
    reads.clear()
    host.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND application_name = 'credit-wallet'"
    )
    wallets._ledger.lanes.of(wallet_id).call(lambda store: store.settled_txn_id())
    assert charge(wallets) == 998
    assert reads == ["wallets"]


def test_everything_is_forgotten_before_ids_of_transactions_come_round(
    wallets: CreditWallet, reads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    charge = Charging(funded(wallets))
    charge(wallets)
    reads.clear()
    monkeypatch.setattr(known_wallets, "CLEARED_AFTER_SECONDS", 0.0)
    assert charge(wallets) == 998
    assert reads == ["wallets"]


def test_only_so_much_is_remembered(wallets: CreditWallet, reads: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known_wallets, "MAX_WALLETS", 2)
    wallet_ids = [funded(wallets) for _ in range(8)]
    for round_ in range(2):
        charges = [(wallet_id, 1, f"{round_}") for wallet_id in wallet_ids]
        assert [each.balance_yen for each in wallets.charge_many(charges)] == [999 - round_] * 8  # type: ignore[union-attr]
        assert reads.count("wallets") >= 1
        reads.clear()
