"""When the database, a caller or the machine fails: a clear error, nothing half done, and on it goes afterwards."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import pytest
from databases import CLEANER, on_every_database, on_postgres
from plain_sql import PlainSql

from credit_wallet import CreditWallet
from credit_wallet.database_urls import is_postgres
from credit_wallet.domain.commands import Charge
from credit_wallet.domain.outcomes import Charged, Outcome
from credit_wallet.errors import DatabaseCorrupt, DatabaseLocked, DatabaseRefused, MigrationError, RailBusy
from credit_wallet.stores import migrations

pytestmark = on_every_database


@pytest.fixture
def one_lane(db_url: str) -> Iterator[CreditWallet]:
    """A ledger with a single rail, so that what waits for it is one batch."""
    with CreditWallet.open(db_url, lanes=1) as opened:
        yield opened


def funded(wallets: CreditWallet, amount_yen: int = 1_000) -> int:
    wallet_id = wallets.create().wallet_id
    wallets.topup(wallet_id, amount_yen, idempotency_key="start")
    return wallet_id


# Another process has the database


@pytest.mark.usefixtures("impatient")
def test_a_locked_database_moves_nothing_and_works_once_released(db_url: str) -> None:
    with CreditWallet.open(db_url) as wallets, PlainSql(db_url) as host:
        wallet_id = funded(wallets)
        charge = wallets.charge(wallet_id, 1, idempotency_key="before").txn_id
        assert charge is not None
        with host.exclusively():
            for move in (
                lambda: wallets.charge(wallet_id, 3, idempotency_key="while-locked"),
                lambda: wallets.charge_many([(wallet_id, 3, "while-locked")]),
                lambda: wallets.hold(wallet_id, 3, idempotency_key="hold"),
                lambda: wallets.refund(charge, idempotency_key="refund"),
                lambda: wallets.create(),
            ):
                with pytest.raises(DatabaseLocked, match="try again with the same idempotency key"):
                    move()
            assert wallets.balance(wallet_id) == 999
        assert not wallets.charge(wallet_id, 3, idempotency_key="while-locked").replayed
        assert wallets.balance(wallet_id) == 996
        assert wallets.verify() == []


@pytest.mark.usefixtures("impatient")
def test_a_database_that_another_process_writes_to_can_be_opened_and_read(db_url: str) -> None:
    with CreditWallet.open(db_url) as wallets:
        wallet_id = funded(wallets)
    with PlainSql(db_url) as host, host.exclusively(), CreditWallet.open(db_url) as wallets:
        assert wallets.balance(wallet_id) == 1_000
        with pytest.raises(DatabaseLocked):
            wallets.charge(wallet_id, 1, idempotency_key="while-locked")


# A command that cannot be carried out


@contextmanager
def blocked(wallets: CreditWallet) -> Iterator[None]:
    """While the block runs the rail does something else, and what is sent meanwhile waits for the next batch."""
    begun, over = threading.Event(), threading.Event()

    def block(_store: object) -> None:
        begun.set()
        over.wait()

    thread = threading.Thread(target=wallets._ledger.lanes.maintenance.call, args=(block,))
    thread.start()
    begun.wait()
    try:
        yield
    finally:
        over.set()
        thread.join()


async def in_one_batch(wallets: CreditWallet, *requests: Awaitable[Outcome]) -> list[Outcome | BaseException]:
    """What comes of requests that wait for the same batch."""
    with blocked(wallets):
        waiting = await sent(*requests)
    return await asyncio.gather(*waiting, return_exceptions=True)


async def sent(*requests: Awaitable[Outcome]) -> list[asyncio.Future[Outcome]]:
    """The requests, each in the rail's queue."""
    waiting: list[asyncio.Future[Outcome]] = [asyncio.ensure_future(request) for request in requests]
    await asyncio.sleep(0)  # one turn of the loop: each task runs up to its wait for the rail
    return waiting


def test_a_wallet_whose_lots_cannot_be_read_fails_alone(one_lane: CreditWallet, db_url: str) -> None:
    damaged, sound = funded(one_lane), funded(one_lane)
    with PlainSql(db_url) as host:
        host.run("UPDATE am_credit_wallet SET open_lots = replace(open_lots, ',', ';') WHERE wallet_id = ?", damaged)
    charges = [
        one_lane.acharge(wallet_id, 1, idempotency_key=f"charge-{number}")
        for number, wallet_id in enumerate((sound, damaged, sound))
    ]
    outcomes = asyncio.run(in_one_batch(one_lane, *charges))
    assert [type(outcome) for outcome in outcomes] == [Charged, DatabaseCorrupt, Charged]
    with pytest.raises(DatabaseCorrupt):
        one_lane.lots.list(damaged)


CLOSED_BY_THE_HOST = {
    "sqlite": """
        CREATE TRIGGER closed BEFORE INSERT ON am_credit_transaction_log WHEN NEW.wallet_id = {}
        BEGIN SELECT RAISE(ABORT, 'closed by the host'); END
        """,
    "postgres": """
        CREATE FUNCTION closed() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'closed by the host'; END $$;
        CREATE TRIGGER closed BEFORE INSERT ON am_credit_transaction_log
        FOR EACH ROW WHEN (NEW.wallet_id = {}) EXECUTE FUNCTION closed();
        """,
}


def test_what_a_hosts_trigger_refuses_fails_alone(one_lane: CreditWallet, db_url: str) -> None:
    open_to_all, closed_by_host = funded(one_lane), funded(one_lane)
    with PlainSql(db_url) as host:
        host.run(CLOSED_BY_THE_HOST["postgres" if is_postgres(db_url) else "sqlite"].format(closed_by_host))
    charges = [
        one_lane.acharge(wallet_id, 1, idempotency_key=f"charge-{number}")
        for number, wallet_id in enumerate((open_to_all, closed_by_host, open_to_all, open_to_all))
    ]
    outcomes = asyncio.run(in_one_batch(one_lane, *charges))
    assert [type(outcome) for outcome in outcomes] == [Charged, DatabaseRefused, Charged, Charged]
    assert "closed by the host" in str(outcomes[1])
    assert one_lane.balance(open_to_all) == 997
    assert one_lane.balance(closed_by_host) == 1_000
    assert one_lane.verify() == []


def test_a_command_that_the_store_cannot_work_with_fails_alone(one_lane: CreditWallet) -> None:
    wallet_id = funded(one_lane)

    async def send_text_for_yen() -> Outcome:
        (outcome,) = await one_lane._ledger.lanes.asubmit([Charge(wallet_id, "poison", "three")])  # type: ignore[arg-type]
        assert isinstance(outcome, Outcome)
        return outcome

    charges = [one_lane.acharge(wallet_id, 1, idempotency_key=f"charge-{number}") for number in range(3)]
    outcomes = asyncio.run(in_one_batch(one_lane, charges[0], send_text_for_yen(), *charges[1:]))
    assert [type(outcome) for outcome in outcomes] == [Charged, TypeError, Charged, Charged]
    assert one_lane.balance(wallet_id) == 997
    assert one_lane.verify() == []


def test_a_job_that_fails_does_not_stop_the_rail(wallets: CreditWallet) -> None:
    wallet_id = funded(wallets)
    with pytest.raises(ZeroDivisionError):
        wallets._ledger.lanes.maintenance.call(lambda _store: 1 // 0)
    assert wallets.charge(wallet_id, 1, idempotency_key="after").balance_yen == 999


# Too many callers


def test_more_than_may_wait_are_told_to_come_back(db_url: str) -> None:
    async def crowd(wallets: CreditWallet) -> None:
        wallet_id = funded(wallets)
        with blocked(wallets):
            waiting = await sent(*(wallets.acharge(wallet_id, 1, idempotency_key=f"charge-{n}") for n in range(4)))
            with pytest.raises(RailBusy, match="try again with the same idempotency key") as busy:
                await wallets.acharge(wallet_id, 1, idempotency_key="one-too-many")
            assert busy.value.details == {"waiting": 4}
            with pytest.raises(RailBusy):
                wallets.charge_many([(wallet_id, 1, "one-too-many")])
        assert [(await outcome).balance_yen for outcome in waiting] == [999, 998, 997, 996]
        assert not (await wallets.acharge(wallet_id, 1, idempotency_key="one-too-many")).replayed

    with CreditWallet.open(db_url, max_waiting=4, lanes=1) as wallets:
        asyncio.run(crowd(wallets))
        assert wallets.verify() == []


# Closing


def test_what_was_accepted_before_closing_is_answered(db_url: str) -> None:
    async def close_on_waiting_callers(wallets: CreditWallet) -> list[Outcome]:
        wallet_id = funded(wallets)
        with blocked(wallets):
            waiting = await sent(*(wallets.acharge(wallet_id, 1, idempotency_key=f"charge-{n}") for n in range(10)))
            closing_thread = threading.Thread(target=wallets.close)
            closing_thread.start()
        outcomes = await asyncio.gather(*waiting)
        closing_thread.join()
        return outcomes

    outcomes = asyncio.run(close_on_waiting_callers(CreditWallet.open(db_url, lanes=1)))
    assert [outcome.balance_yen for outcome in outcomes] == list(range(999, 989, -1))
    with CreditWallet.open(db_url) as wallets:
        assert wallets.balance(outcomes[0].wallet_id) == 990
        assert wallets.verify() == []


def test_closing_under_load_answers_or_refuses_every_caller(db_url: str) -> None:
    wallets = CreditWallet.open(db_url)
    wallet_id = funded(wallets, 1_000_000)
    charged = [0] * 16
    under_way = threading.Barrier(len(charged) + 1)

    def charge_until_closed(caller: int) -> None:
        while True:
            try:
                wallets.charge(wallet_id, 1, idempotency_key=f"caller-{caller}-{charged[caller]}")
            except RailBusy:
                return
            charged[caller] += 1
            if charged[caller] == 5:
                under_way.wait()

    callers = [threading.Thread(target=charge_until_closed, args=(caller,)) for caller in range(len(charged))]
    for caller in callers:
        caller.start()
    under_way.wait()
    wallets.close()
    for caller in callers:
        caller.join()
    with CreditWallet.open(db_url) as reopened:
        assert reopened.balance(wallet_id) == 1_000_000 - sum(charged)
        assert reopened.verify() == []


def test_a_closed_wallet_is_busy(db_url: str) -> None:
    wallets = CreditWallet.open(db_url)
    wallet_id = funded(wallets)
    txn_id = wallets.charge(wallet_id, 1, idempotency_key="charge").txn_id
    hold_id = wallets.hold(wallet_id, 1, idempotency_key="hold").hold_id
    assert txn_id is not None
    assert hold_id is not None
    wallets.close()
    wallets.close()
    asked: list[Callable[[], object]] = [
        lambda: wallets.charge(wallet_id, 1, idempotency_key="new"),
        lambda: wallets.charge_many([(wallet_id, 1, "new")]),
        lambda: asyncio.run(in_a_coroutine(wallets.acharge(wallet_id, 1, idempotency_key="new"))),
        lambda: wallets.capture(hold_id, 1),
        lambda: wallets.refund(txn_id, idempotency_key="new"),
        lambda: wallets.create(),
        lambda: wallets.balance(wallet_id),
        lambda: wallets.history(wallet_id),
        lambda: wallets.verify(),
        lambda: wallets.maintenance.seal(),
    ]
    for ask in asked:
        with pytest.raises(RailBusy):
            ask()


async def in_a_coroutine(request: Awaitable[Outcome]) -> Outcome:
    return await request


@on_postgres
@pytest.mark.parametrize("way", ["closed", "not migrated"])
def test_no_connection_is_left(db_url: str, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    if way == "closed":
        with CreditWallet.open(db_url) as wallets:
            wallets.balance(funded(wallets))
    else:
        monkeypatch.setattr(migrations, "_checksum", lambda *_: "another")
        with pytest.raises(MigrationError):
            CreditWallet.open(db_url)
    others = f"""
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name <> '{CLEANER}'
    """
    with PlainSql(db_url) as host:
        give_up_at = monotonic() + 10
        while host.run(others) != [(0,)]:  # a backend takes a moment to end
            assert monotonic() < give_up_at


# Callers that leave


def test_a_caller_that_stops_waiting_does_not_undo_its_charge_or_disturb_others(one_lane: CreditWallet) -> None:
    async def cancel_some(wallet_id: int) -> list[Outcome | BaseException]:
        with blocked(one_lane):
            waiting = await sent(*(one_lane.acharge(wallet_id, 1, idempotency_key=f"charge-{n}") for n in range(6)))
            for each in waiting[::2]:
                each.cancel()
        return await asyncio.gather(*waiting, return_exceptions=True)

    wallet_id = funded(one_lane)
    answers = asyncio.run(cancel_some(wallet_id))
    assert [type(answer) for answer in answers] == [asyncio.CancelledError, Charged] * 3
    replays = [one_lane.charge(wallet_id, 1, idempotency_key=f"charge-{n}") for n in range(6)]
    assert all(replay.replayed for replay in replays)
    assert one_lane.balance(wallet_id) == 994


def test_an_event_loop_that_ends_does_not_disturb_the_rail(one_lane: CreditWallet) -> None:
    async def leave(wallet_id: int) -> None:
        await sent(*(one_lane.acharge(wallet_id, 1, idempotency_key=f"charge-{n}") for n in range(3)))

    wallet_id = funded(one_lane)
    with blocked(one_lane):
        asyncio.run(leave(wallet_id))
    assert one_lane.charge(wallet_id, 1, idempotency_key="charge-0").replayed
    assert one_lane.charge(wallet_id, 1, idempotency_key="after").balance_yen == 996
    assert one_lane.verify() == []


def test_an_observer_that_fails_costs_no_caller_an_answer(db_url: str) -> None:
    def observe(*_: object) -> None:
        raise RuntimeError("the observer is broken")

    with CreditWallet.open(db_url, observe=observe) as wallets:
        wallet_id = wallets.create().wallet_id
        wallets.topup(wallet_id, 10, idempotency_key="topup")
        assert wallets.charge(wallet_id, 3, idempotency_key="charge").balance_yen == 7
