"""When others have locked, conflict or cancel: tried again, or reported clearly."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import pytest
from postgres_ledger import Answer, Host, Ledger, answer, on_one_lane, other_transaction, rule, until

from credit_wallet import CreditWallet
from credit_wallet.domain.backoff import Backoff
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import (
    DatabaseLocked,
    DatabaseUnavailable,
    WalletError,
)
from credit_wallet.stores.postgres import connection, link

pytestmark = pytest.mark.slow


# Others have locked what is needed


def lock(other: Host, wallet_id: int) -> None:
    other.execute("SELECT 1 FROM am_credit_wallet WHERE wallet_id = %s FOR UPDATE", [wallet_id])


def test_charges_that_are_caught_in_a_deadlock_succeed(ledger: Ledger) -> None:
    first, second = ledger.funded(), ledger.funded()
    with other_transaction(ledger) as other, ThreadPoolExecutor(1) as threads:
        other.execute("SET deadlock_timeout = '60s'")  # so that the wallet's transaction is the one to be ended
        lock(other, second)
        charging = threads.submit(ledger.wallets.charge_many, [(first, 1, "deadlock"), (second, 1, "deadlock")])
        blocked = "SELECT count(*) FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))"
        until(lambda: ledger.count(blocked, other.info.backend_pid))
        lock(other, first)
        other.commit()
        assert [each.balance_yen for each in charging.result() if isinstance(each, Outcome)] == [999, 999]
    assert ledger.wallets.verify() == []


def test_a_wallet_that_stays_locked_is_told_of_and_works_afterwards(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    locked_id, other_id = ledger.account().wallet_id, ledger.funded()
    key_id = ledger.rows("SELECT key_id FROM am_credit_key WHERE wallet_id = %s", locked_id)[0][0]
    monkeypatch.setattr(connection, "LOCK_SECONDS", 0.05)
    with closing(ledger.node(ledger.url)) as wallets:
        with other_transaction(ledger) as other:
            lock(other, locked_id)
            asked: list[Callable[[], object]] = [
                lambda: wallets.charge(locked_id, 3, idempotency_key="locked"),
                lambda: wallets.charge_many([(other_id, 3, "locked"), (locked_id, 3, "locked")]),
                lambda: wallets.configure(locked_id, label="locked"),
                lambda: wallets.keys.revoke(key_id),
            ]
            for ask in asked:
                with pytest.raises(DatabaseLocked, match="nothing moved, try again with the same idempotency key"):
                    ask()
            assert wallets.charge(other_id, 5, idempotency_key="free").balance_yen == 995
            assert wallets.balance(locked_id) == 850
        for ask in asked:
            ask()
        assert wallets.balance(locked_id) == 847
        assert wallets.balance(other_id) == 992
    assert ledger.wallets.verify() == []


@on_one_lane
@pytest.mark.parametrize("state", ["serialization_failure", "deadlock_detected"])
def test_a_transaction_that_postgresql_wants_tried_again_is_tried_again(ledger: Ledger, state: str) -> None:
    wallet_id = ledger.funded()
    with rule(
        ledger, f"IF nextval('host_counter') <= 3 THEN RAISE EXCEPTION 'busy' USING ERRCODE = '{state}'; END IF;"
    ):
        outcome = ledger.wallets.charge(wallet_id, 3, idempotency_key="new")
        assert (outcome.balance_yen, outcome.replayed) == (997, False)
        assert ledger.count("SELECT last_value FROM host_counter") == 4


@on_one_lane
def test_a_transaction_that_is_never_let_through_is_told_of(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    wallet_id = ledger.funded()
    monkeypatch.setattr(link, "BACKOFF", Backoff(0.02, 0.05))
    with (
        rule(ledger, "RAISE EXCEPTION 'busy' USING ERRCODE = 'serialization_failure';"),
        pytest.raises(DatabaseLocked, match="nothing moved"),
    ):
        ledger.wallets.charge(wallet_id, 3, idempotency_key="new")
    assert not ledger.wallets.charge(wallet_id, 3, idempotency_key="new").replayed


@on_one_lane
@pytest.mark.parametrize("isolation", ["repeatable read", "serializable"])
def test_the_last_yen_is_safe_whatever_isolation_the_host_has_chosen(ledger: Ledger, isolation: str) -> None:
    wallet_id = ledger.funded(20)
    with (
        closing(ledger.node(ledger.url, default_transaction_isolation=isolation)) as one,
        closing(ledger.node(ledger.url, default_transaction_isolation=isolation)) as two,
        ThreadPoolExecutor(8) as threads,
    ):
        nodes = (one, two)

        def charge_once(number: int) -> Answer:
            return answer(lambda: nodes[number % 2].charge(wallet_id, 1, idempotency_key=f"{number}"))[0]

        answers = list(threads.map(charge_once, range(40)))
    assert answers.count("insufficient_funds") == 20
    assert ledger.wallets.balance(wallet_id) == 0
    assert ledger.wallets.verify() == []


@contextmanager
def at_the_commit(ledger: Ledger, table: str, body: str) -> Iterator[None]:
    """Something that happens while a transaction with a new row of ``table`` commits."""
    ledger.host.execute(
        f"""
        CREATE SEQUENCE host_counter;
        CREATE FUNCTION host_rule() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} RETURN NULL; END $$;
        CREATE CONSTRAINT TRIGGER host_rule AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION host_rule()
        """
    )
    try:
        yield
    finally:
        ledger.host.execute(f"DROP TRIGGER host_rule ON {table}; DROP FUNCTION host_rule; DROP SEQUENCE host_counter")


CANCELLED_ONCE = (
    "IF nextval('host_counter') <= 1 THEN RAISE EXCEPTION 'timeout' USING ERRCODE = 'query_canceled'; END IF;"
)


@on_one_lane
def test_a_commit_that_is_cancelled_is_not_taken_for_refused(ledger: Ledger) -> None:
    wallet_id = ledger.funded()
    with at_the_commit(ledger, "am_credit_transaction_log", CANCELLED_ONCE):
        outcome = ledger.wallets.charge(wallet_id, 3, idempotency_key="new")
        assert (outcome.balance_yen, outcome.replayed) == (997, False)
    with at_the_commit(ledger, "am_credit_wallet", CANCELLED_ONCE):
        assert ledger.wallets.tokens.identify(ledger.wallets.create().owner_token)
    with (
        at_the_commit(ledger, "am_credit_seal", CANCELLED_ONCE),
        pytest.raises(DatabaseUnavailable, match="whether this was carried out is not known"),
    ):
        ledger.wallets.maintenance.seal()
    assert ledger.entries(wallet_id) == 2


@on_one_lane
def test_a_host_that_warns_at_every_entry_keeps_nobody_up(ledger: Ledger) -> None:
    wallet_id = ledger.funded()
    with rule(ledger, "RAISE WARNING 'noted';"):
        assert ledger.wallets.charge(wallet_id, 3, idempotency_key="new").balance_yen == 997


# The same key at once


def test_a_key_that_several_lanes_and_nodes_send_at_once_is_carried_out_once(ledger: Ledger) -> None:
    with (
        closing(ledger.node(ledger.url)) as second,
        closing(ledger.node(ledger.url)) as third,
        ThreadPoolExecutor(6) as threads,
    ):
        nodes = (ledger.wallets, second, third)
        for _ in range(5):
            wallet_id, *lanes = [ledger.funded(), *ledger.on_every_lane()]
            start = threading.Barrier(2 * len(nodes))

            def charge_alone(node: CreditWallet, wallet_id: int, start: threading.Barrier) -> Outcome | WalletError:
                start.wait()
                return node.charge(wallet_id, 3, idempotency_key="same")

            def charge_with_others(
                node: CreditWallet, wallet_id: int, start: threading.Barrier, other_id: int
            ) -> Outcome | WalletError:
                """On the lane of the other wallet."""
                start.wait()
                return node.charge_many([(other_id, 1, f"{id(node)}"), (wallet_id, 3, "same")])[1]

            charging = [threads.submit(charge_alone, node, wallet_id, start) for node in nodes]
            charging += [threads.submit(charge_with_others, node, wallet_id, start, lanes[-1]) for node in nodes]
            outcomes = [each.result() for each in charging]
            assert [each.replayed for each in outcomes if isinstance(each, Outcome)].count(False) == 1
            assert len({each.txn_id for each in outcomes if isinstance(each, Outcome)}) == 1
            assert ledger.wallets.balance(wallet_id) == 997
            assert ledger.entries(wallet_id) == 2
    assert ledger.wallets.verify() == []
