"""Backfill: what plain SQL wrote, before the wallet or beside it, becomes part of the ledger and stays provable."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from clock import Clock
from databases import Databases, on_every_database
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_sql import PlainSql, run_in_a_process
from width import WIDE, examples

from credit_wallet import CreditWallet, WalletError
from credit_wallet.errors import DatabaseError, InsufficientFunds

pytestmark = on_every_database

History = list[tuple[str, int, str]]
"""(type, amount, when) of a wallet's entries."""


@pytest.fixture
def host(seed_url: str) -> Iterator[PlainSql]:
    """A host that has migration 281 alone."""
    with PlainSql(seed_url) as opened:
        yield opened


@pytest.fixture
def beside(wallets: CreditWallet, db_url: str) -> Iterator[PlainSql]:
    """A host that writes to the ledger while ``wallets`` has it open."""
    del wallets  # opened first
    with PlainSql(db_url) as opened:
        yield opened


def cycle_spending(host: PlainSql, wallet_id: int) -> dict[str, int]:
    return dict(
        host.run(
            """
            SELECT billing_cycle, spent_yen FROM am_credit_cycle_spend WHERE wallet_id = ? AND key_id = 0
            UNION ALL  -- the row's own figure, when both know a cycle
            SELECT current_cycle, cycle_spent_yen FROM am_credit_wallet WHERE wallet_id = ?
            """,
            wallet_id,
            wallet_id,
        )
    )


# A database that had 281 alone


@pytest.mark.parametrize(
    ("balance_yen", "history"),
    [
        pytest.param(0, [], id="nothing"),
        pytest.param(500, [], id="a balance without entries"),
        pytest.param(0, [("topup", 300, "2026-05-01")], id="entries that never reached the balance"),
        pytest.param(300, [("topup", 300, "2026-05-01T00:00:00.000Z")], id="in step"),
        pytest.param(50, [("topup", 300, "2026-03-01"), ("charge", -200, "2026-04-30T23:59:59.999Z")], id="months"),
        pytest.param(700, [("charge", -40, "2026-05-01"), ("refund", 40, "2026-05-02")], id="more than the entries"),
        pytest.param(5, [("charge", -900, "2026-05-01"), ("topup", 100, "2026-05-02")], id="charges beyond the credit"),
        pytest.param(10, [("topup", 5, "2026-01-01"), ("topup", 95, "2026-05-02")], id="a negative opening"),
        pytest.param(
            0,
            [("topup", 100, "2026-05-01"), ("charge", -150, "2026-05-02"), ("topup", 20, "2026-05-03")],
            id="a gap at the end",
        ),
        pytest.param(
            60,
            [("topup", 100, "2026-05-01"), ("charge", -150, "2026-05-02"), ("topup", 110, "2026-05-03")],
            id="a gap that a later top-up fills",
        ),
        pytest.param(
            0, [("charge", -7, "2026-05-02 10:00:00"), ("charge", -7, "now"), ("charge", -7, "")], id="odd times"
        ),
        pytest.param(
            0, [("charge", -1, "0000-01-01"), ("charge", -1, "9999-12-31T23:59:59Z")], id="times out of range"
        ),
    ],
)
def test_a_seed_database_is_adopted_whole(
    host: PlainSql, seed_url: str, clock: Clock, balance_yen: int, history: History
) -> None:
    wallet_id = host.wallet(balance_yen=balance_yen)
    for txn_type, amount_yen, at in history:
        host.entry(wallet_id, txn_type, amount_yen, at)

    with CreditWallet.open(seed_url, clock=clock) as wallets:
        assert wallets.verify() == []
        assert wallets.balance(wallet_id) == balance_yen
        assert sum(lot.remaining_yen for lot in wallets.lots.list(wallet_id)) == balance_yen
        entries = wallets.history(wallet_id)
        assert [(entry.txn_type, entry.amount_yen, entry.occurred_at) for entry in entries] == history[::-1]
        if history:
            assert entries[0].ledger_balance_yen == balance_yen
        assert host.run("SELECT opening_yen FROM am_credit_wallet") == [
            (balance_yen - sum(amount_yen for _, amount_yen, _ in history),)
        ]

        wallets.topup(wallet_id, 10, idempotency_key="topup")
        assert wallets.charge(wallet_id, balance_yen + 10, idempotency_key="all of it").balance_yen == 0
        with pytest.raises(InsufficientFunds):
            wallets.charge(wallet_id, 1, idempotency_key="too much")
        assert wallets.verify() == []


def test_spending_is_counted_by_month(host: PlainSql, seed_url: str, clock: Clock) -> None:
    wallet_id = host.wallet(balance_yen=1_000)
    for amount_yen, at in [
        (-1, "2026-03-31T23:59:59.999Z"),
        (-20, "2026-04-01T00:00:00.000Z"),
        (-300, "2026-04-30 23:59:59"),
        (-4_000, "2026-05-01"),
    ]:
        host.entry(wallet_id, "charge", amount_yen, at)
    with CreditWallet.open(seed_url, clock=clock) as wallets:
        assert wallets.show(wallet_id).current_cycle_spent_yen == 4_000
        assert cycle_spending(host, wallet_id) == {"2026-03": 1, "2026-04": 320, "2026-05": 4_000}
        wallets.charge(wallet_id, 6, idempotency_key="charge")
        assert wallets.show(wallet_id).current_cycle_spent_yen == 4_006
        assert wallets.verify() == []


def test_alerts_that_the_host_fired_do_not_fire_again(host: PlainSql, seed_url: str, clock: Clock) -> None:
    wallet_id = host.wallet(balance_yen=1_000, monthly_budget_yen=100)
    host.entry(wallet_id, "charge", -60)
    host.run(
        "INSERT INTO am_credit_spending_alert (wallet_id, threshold_pct, billing_cycle, spent_yen, budget_yen) "
        "VALUES (?, 50, '2026-05', 60, 100)",
        wallet_id,
    )
    with CreditWallet.open(seed_url, clock=clock) as wallets:
        outcome = wallets.charge(wallet_id, 20, idempotency_key="charge")
        assert [alert.threshold_pct for alert in outcome.alerts] == [80]


def test_charges_that_plain_sql_wrote_can_be_refunded(host: PlainSql, seed_url: str, clock: Clock) -> None:
    wallet_id = host.wallet()
    host.move(wallet_id, "topup", 100)
    host.move(wallet_id, "charge", -100)
    overdrawn = host.wallet(balance_yen=0)
    host.entry(overdrawn, "charge", -30)
    host.entry(overdrawn, "topup", 10)
    with CreditWallet.open(seed_url, clock=clock) as wallets:
        for owner in (wallet_id, overdrawn):
            charge = next(entry for entry in wallets.history(owner) if entry.txn_type == "charge")
            assert wallets.refund(charge.txn_id, idempotency_key="refund").balance_yen == -charge.amount_yen
        assert wallets.verify() == []


def test_more_wallets_than_one_transaction_takes_are_all_adopted(host: PlainSql, seed_url: str, clock: Clock) -> None:
    with host.transaction():
        wallet_ids = [host.wallet(balance_yen=number) for number in range(1_001)]
    with CreditWallet.open(seed_url, clock=clock) as wallets:
        assert host.run("SELECT count(*) FROM am_credit_wallet WHERE last_txn_id IS NULL") == [(0,)]
        assert wallets.balance(wallet_ids[-1]) == 1_000
        assert wallets.verify() == []


def test_opening_again_changes_nothing(host: PlainSql, seed_url: str, clock: Clock) -> None:
    wallet_id = host.wallet(balance_yen=10)
    host.entry(wallet_id, "topup", 500)
    everything = "SELECT * FROM am_credit_wallet NATURAL JOIN am_credit_transaction_log NATURAL JOIN am_credit_lot"
    CreditWallet.open(seed_url, clock=clock).close()
    before = host.run(everything)
    CreditWallet.open(seed_url, clock=clock).close()
    assert host.run(everything) == before


# A plain writer beside the open service


def test_plain_movements_count_before_the_next_charge(wallets: CreditWallet, beside: PlainSql) -> None:
    wallet_id = wallets.create(monthly_budget_yen=1_000).wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="topup")
    wallets.charge(wallet_id, 10, idempotency_key="first")
    beside.move(wallet_id, "topup", 400)
    beside.move(wallet_id, "charge", -90)

    assert wallets.charge(wallet_id, 400, idempotency_key="second").balance_yen == 0
    assert wallets.show(wallet_id).current_cycle_spent_yen == 500
    assert [entry.amount_yen for entry in wallets.history(wallet_id)] == [-400, -90, 400, -10, 100]
    assert wallets.verify() == []


def test_a_wallet_that_plain_sql_inserts_can_pay_at_once(wallets: CreditWallet, beside: PlainSql) -> None:
    with beside.transaction():
        wallet_id = beside.wallet(balance_yen=70)
        beside.entry(wallet_id, "topup", 100)
        beside.entry(wallet_id, "charge", -30)
    assert wallets.charge(wallet_id, 70, idempotency_key="all of it").balance_yen == 0
    assert wallets.verify() == []


def test_what_plain_sql_wrote_last_does_not_fail_verify(wallets: CreditWallet, beside: PlainSql) -> None:
    wallet_id = beside.wallet(balance_yen=70)
    beside.move(wallet_id, "topup", 5)
    assert wallets.verify() == []
    assert len(wallets.history(wallet_id)) == 1


def test_plain_movements_during_a_hold_leave_the_hold_alone(wallets: CreditWallet, beside: PlainSql) -> None:
    for opening_yen, topup_yen in ((500, 0), (0, 500), (200, 300)):
        wallet_id = beside.wallet(balance_yen=opening_yen)
        if topup_yen:
            wallets.topup(wallet_id, topup_yen, idempotency_key="topup")
        hold_id = wallets.hold(wallet_id, 400, idempotency_key="hold").hold_id
        assert hold_id is not None
        beside.move(wallet_id, "topup", 50)
        beside.move(wallet_id, "charge", -120)
        assert wallets.verify() == []
        assert wallets.capture(hold_id, 399).balance_yen == 31
        assert wallets.verify() == []


def test_plain_credit_ends_exhaustion_so_that_the_next_one_is_told(wallets: CreditWallet, beside: PlainSql) -> None:
    wallet_id = wallets.create().wallet_id
    for attempt in range(2):
        for _ in range(2):
            with pytest.raises(InsufficientFunds):
                wallets.charge(wallet_id, 100, idempotency_key=f"charge {attempt}")
        told = beside.run("SELECT count(*) FROM am_credit_outbox WHERE kind = 'wallet.exhausted'")
        assert told == [(attempt + 1,)]
        beside.move(wallet_id, "topup", 50)
        wallets.charge(wallet_id, 50, idempotency_key=f"rest {attempt}")


def test_a_balance_changed_without_an_entry_is_reported_with_its_wallet(
    wallets: CreditWallet, beside: PlainSql
) -> None:
    sound, changed = wallets.create().wallet_id, wallets.create().wallet_id
    for wallet_id in (sound, changed):
        wallets.topup(wallet_id, 100, idempotency_key="topup")
    beside.run("UPDATE am_credit_wallet SET balance_yen = 1000000 WHERE wallet_id = ?", changed)
    violations = wallets.verify()
    assert {violation.wallet_id for violation in violations} == {changed}
    assert "conservation" in {violation.check for violation in violations}
    assert all(f"wallet {changed}: " in violation.message for violation in violations)


def test_an_entry_without_its_balance_is_reported_with_its_wallet(wallets: CreditWallet, beside: PlainSql) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 100, idempotency_key="topup")
    beside.entry(wallet_id, "topup", 5)
    assert {violation.wallet_id for violation in wallets.verify()} == {wallet_id}


def test_an_entry_of_no_wallet_is_reported_and_stops_nobody(wallets: CreditWallet, beside: PlainSql) -> None:
    wallet_id = wallets.create().wallet_id
    beside.drop_references()
    beside.entry(99, "topup", 5)
    assert wallets.topup(wallet_id, 100, idempotency_key="topup").balance_yen == 100
    found = {(violation.check, violation.wallet_id) for violation in wallets.verify()}
    assert found - {("protection", None)} == {("ownership", 99)}  # on PostgreSQL the reference was a trigger


def test_plain_writers_and_callers_at_once_add_up(wallets: CreditWallet, db_url: str) -> None:
    wallet_ids = [wallets.create().wallet_id for _ in range(3)]
    for wallet_id in wallet_ids:
        wallets.topup(wallet_id, 1_000, idempotency_key="start")

    def write(_: int) -> None:
        with PlainSql(db_url) as host:
            for wallet_id in wallet_ids * 8:
                host.move(wallet_id, "topup", 3)
                host.move(wallet_id, "charge", -2)

    def charge(caller: int) -> None:
        for number, wallet_id in enumerate(wallet_ids * 8):
            wallets.charge(wallet_id, 4, idempotency_key=f"caller-{caller}-{number}")

    with ThreadPoolExecutor(6) as threads:
        done = [threads.submit(act, number) for number in range(3) for act in (write, charge)]
        for future in done:
            future.result()
    assert wallets.verify() == []
    for wallet_id in wallet_ids:
        assert wallets.balance(wallet_id) == 1_000 + 3 * 8 * (3 - 2 - 4)
        assert wallets.show(wallet_id).current_cycle_spent_yen == 3 * 8 * (2 + 4)
        assert len(wallets.history(wallet_id, limit=1_000)) == 1 + 3 * 8 * 3


def test_another_process_can_write_plain_sql_beside_the_service(wallets: CreditWallet, db_url: str) -> None:
    wallet_id = wallets.create().wallet_id
    assert wallet_id == 1
    run_in_a_process(
        db_url,
        "INSERT INTO am_credit_transaction_log (wallet_id, amount_yen, txn_type) VALUES (1, 9, 'topup')",
        "UPDATE am_credit_wallet SET balance_yen = balance_yen + 9",
    )
    assert wallets.charge(wallet_id, 9, idempotency_key="charge").balance_yen == 0
    assert wallets.verify() == []


# Time zones


def test_a_time_zone_that_plain_sql_made_up_counts_as_utc_and_stops_nobody(
    wallets: CreditWallet, beside: PlainSql
) -> None:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, 10, idempotency_key="topup")
    assert beside.wallet(balance_yen=5, time_zone="Mars/Base") == wallet_id + 1
    assert wallets.charge(wallet_id, 3, idempotency_key="charge").balance_yen == 7
    assert wallets.charge(wallet_id + 1, 5, idempotency_key="charge").balance_yen == 0
    assert wallets.alerts.run().wallets_scanned == 0
    assert wallets.verify() == []


@pytest.mark.parametrize(
    ("occurred_at", "cycle"),
    [
        ("2026-05-31T14:59:59.999Z", "2026-05"),
        ("2026-05-31T15:00:00.000Z", "2026-06"),
        ("2026-05-31T15:00:00Z", "2026-06"),
        ("2026-05-31 15:00:00", "2026-06"),
        ("2026-05-31 14:59:59", "2026-05"),
        ("2026-06-01", "2026-06"),
        ("2026-04-30T15:00:00.000Z", "2026-05"),
    ],
)
def test_a_charge_counts_in_the_month_of_the_wallets_time_zone(
    wallets: CreditWallet, beside: PlainSql, occurred_at: str, cycle: str
) -> None:
    wallet_id = beside.wallet(balance_yen=100, time_zone="Asia/Tokyo")
    beside.move(wallet_id, "charge", -30, occurred_at)
    assert wallets.verify() == []
    spending = cycle_spending(beside, wallet_id)
    assert {cycle: spent_yen for cycle, spent_yen in spending.items() if spent_yen} == {cycle: 30}
    assert [entry.amount_yen for entry in wallets.cycles.entries(wallet_id, cycle)] == [-30]


def test_the_month_turns_at_midnight_of_the_wallets_time_zone(
    wallets: CreditWallet, beside: PlainSql, clock: Clock
) -> None:
    wallet_id = beside.wallet(balance_yen=100, time_zone="Asia/Tokyo")
    clock.set(datetime(2026, 5, 31, 14, 59, tzinfo=UTC))
    wallets.charge(wallet_id, 10, idempotency_key="May")
    clock.advance(minutes=1)
    beside.move(wallet_id, "charge", -5, "2026-05-31T14:59:30.000Z")
    beside.move(wallet_id, "charge", -7, "2026-05-31T15:00:10.000Z")
    wallets.charge(wallet_id, 20, idempotency_key="June")
    assert cycle_spending(beside, wallet_id) == {"2026-05": 15, "2026-06": 27}
    assert wallets.verify() == []


# Random histories

moments = st.sampled_from(
    [
        "2026-03-31T23:59:59.999Z",
        "2026-04-01",
        "2026-04-30 16:00:00",
        "2026-05-15T12:00:00Z",
        "2026-06-01T00:00:00.000Z",
    ]
)
movements = st.tuples(st.sampled_from(["topup", "charge", "refund"]), st.integers(1, 300), moments)
wallet_numbers = st.integers(0, 2)
before_opening = st.tuples(wallet_numbers, movements, st.booleans())
steps = st.one_of(
    st.tuples(st.just("plain"), wallet_numbers, movements),
    st.tuples(st.just("plain"), wallet_numbers, movements),
    st.tuples(st.just("insert"), st.integers(0, 300), st.sampled_from(["UTC", "Asia/Tokyo", "America/New_York"])),
    st.tuples(st.just("topup"), wallet_numbers, st.integers(1, 300)),
    st.tuples(st.just("charge"), wallet_numbers, st.integers(1, 300)),
    st.tuples(st.just("hold"), wallet_numbers, st.integers(1, 300)),
    st.tuples(st.just("capture"), wallet_numbers, st.integers(1, 300)),
    st.tuples(st.just("refund"), wallet_numbers, st.integers(1, 300)),
    st.tuples(st.just("wait"), st.just(0), st.integers(1, 40)),
    st.tuples(st.just("reopen"), st.just(0), st.just(0)),
)


class Interleaving:
    """A host and the service on one database, each doing what it is told."""

    def __init__(self, url: str, host: PlainSql) -> None:
        self.clock = Clock(datetime(2026, 5, 15, 12, tzinfo=UTC))
        self.url = url
        self.host = host
        self.wallets = CreditWallet.open(self.url, clock=self.clock)
        self.step = 0

    def carry_out(self, kind: str, target: int, detail: object) -> None:
        self.step += 1
        if kind == "insert":
            self.host.wallet(balance_yen=target, time_zone=str(detail))
        elif kind == "wait":
            assert isinstance(detail, int)
            self.clock.advance(days=detail)
        elif kind == "reopen":
            self.wallets.close()
            self.wallets = CreditWallet.open(self.url, clock=self.clock)
        else:
            wallet_ids = [row[0] for row in self.host.run("SELECT wallet_id FROM am_credit_wallet ORDER BY 1")]
            if isinstance(detail, tuple):
                self._plain_movement(wallet_ids[target], *detail)
            elif isinstance(detail, int):
                self._movement(kind, wallet_ids[target], detail)

    def _plain_movement(self, wallet_id: int, txn_type: str, amount_yen: int, at: str) -> None:
        [(balance_yen,)] = self.host.run("SELECT balance_yen FROM am_credit_wallet WHERE wallet_id = ?", wallet_id)
        if txn_type != "charge":
            self.host.move(wallet_id, txn_type, amount_yen, at)
        elif balance_yen:
            self.host.move(wallet_id, txn_type, -min(amount_yen, balance_yen), at)

    def _movement(self, kind: str, wallet_id: int, amount_yen: int) -> None:
        try:
            self._command(kind, wallet_id, amount_yen, f"step {self.step}")
        except DatabaseError:
            raise
        except WalletError:  # refused: nothing moved
            pass

    def _command(self, kind: str, wallet_id: int, amount_yen: int, key: str) -> None:
        match kind:
            case "topup":
                expires_at = "2026-06-20T00:00:00Z" if amount_yen % 2 else None
                self.wallets.topup(wallet_id, amount_yen, promo=True, expires_at=expires_at, idempotency_key=key)
            case "charge":
                self.wallets.charge(wallet_id, amount_yen, idempotency_key=key)
            case "hold":
                self.wallets.hold(wallet_id, amount_yen, ttl_seconds=864_000, idempotency_key=key)
            case "capture":
                holds = "SELECT hold_id FROM am_credit_hold WHERE status = 'open' AND wallet_id = ? ORDER BY 1"
                for (hold_id,) in self.host.run(holds, wallet_id)[:1]:
                    self.wallets.capture(hold_id, amount_yen, idempotency_key=key)
            case "refund":
                charges = (
                    "SELECT max(txn_id) FROM am_credit_transaction_log WHERE txn_type = 'charge' AND wallet_id = ?"
                )
                [(txn_id,)] = self.host.run(charges, wallet_id)
                if txn_id is not None:
                    self.wallets.refund(txn_id, amount_yen, idempotency_key=key)


EXAMPLES = {"sqlite": 60, "postgres": 20, "partitioned": 20 if WIDE else 6}


def test_any_plain_history_beside_any_movements_stays_provable(databases: Databases) -> None:
    @settings(max_examples=examples(EXAMPLES[databases.kind]), deadline=None)
    @given(
        balances=st.lists(st.integers(0, 300), min_size=3, max_size=3),
        history=st.lists(before_opening, max_size=8),
        course=st.lists(steps, max_size=14),
    )
    def stays_provable(
        balances: list[int],
        history: list[tuple[int, tuple[str, int, str], bool]],
        course: list[tuple[str, int, object]],
    ) -> None:
        with databases.seed() as url, PlainSql(url) as host:
            wallet_ids = [host.wallet(balance_yen=balance_yen) for balance_yen in balances]
            for number, (txn_type, amount_yen, at), credited in history:
                signed_yen = -amount_yen if txn_type == "charge" else amount_yen
                write = host.move if credited and signed_yen > 0 else host.entry
                write(wallet_ids[number], txn_type, signed_yen, at)
            interleaving = Interleaving(url, host)
            try:
                assert interleaving.wallets.verify() == []
                for step in course:
                    interleaving.carry_out(*step)
                assert interleaving.wallets.verify() == []
            finally:
                interleaving.wallets.close()

    stays_provable()
