"""A queue for each target: what stalls, fails or is told much is nobody else's matter, and all of it ends soon."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from time import monotonic

import pytest
from clock import Clock
from databases import Databases, on_every_database
from notified import notifier_of, told_of_charges, within
from plain_sql import PlainSql
from receivers import Answer, Receiver, receiver

from credit_wallet import CreditWallet
from credit_wallet.delivery import bounds
from credit_wallet.delivery.names import Addresses, Names
from credit_wallet.delivery.notifier import Notifier
from credit_wallet.errors import InvalidRequest
from credit_wallet.notices import recipients
from credit_wallet.notices.recipients import NOTICES_AN_HOUR
from credit_wallet.notices.targets import OPERATOR, WantedTarget
from credit_wallet.notices.timing import RETRY_SECONDS
from credit_wallet.stores.jobs import notice_queue
from credit_wallet.stores.jobs.notice_queue import Places
from credit_wallet.stores.sql import statements

STALLED = 1_000
TARGETS_A_WALLET = 10


@pytest.fixture
def notifier(wallets: CreditWallet) -> Notifier:
    return notifier_of(wallets)


@pytest.fixture
def endpoint() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def host(db_url: str, wallets: CreditWallet) -> Iterator[PlainSql]:
    """The ledger's database, by plain SQL, once the wallet has made it."""
    assert not wallets.maintenance.waiting()
    with PlainSql(db_url) as opened:
        yield opened


@contextmanager
def stalling() -> Iterator[str]:
    """The address of a receiver that accepts and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=2 * STALLED) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}"


@contextmanager
def delivering(notifier: Notifier) -> Iterator[threading.Event]:
    """The notifier runs as the worker has it run, until the event is set or the block ends."""
    stop = threading.Event()
    thread = threading.Thread(target=notifier.run, args=(stop.is_set,))
    thread.start()
    try:
        yield stop
    finally:
        stop.set()
        thread.join(30)
        assert not thread.is_alive()


# Neighbours


def test_a_healthy_receiver_hears_within_seconds_while_a_thousand_stall_and_stopping_waits_for_none(
    databases: Databases, endpoint: Receiver
) -> None:
    with databases.ledger() as url, CreditWallet.open(url) as wallets, stalling() as silent:
        for number in range(STALLED // TARGETS_A_WALLET):
            told_of_charges(wallets, *(f"{silent}/{number}/{each}" for each in range(TARGETS_A_WALLET)))
        with delivering(notifier_of(wallets)) as stop:
            within(
                30,
                lambda: sum(each.attempts for each in wallets.deliveries.list(limit=1_000)) >= bounds.WEBHOOKS_AT_ONCE,
            )
            told_of_charges(wallets, endpoint.url)
            within(5, lambda: endpoint.received)
            before = monotonic()
            stop.set()
        assert monotonic() - before < 5


def test_ten_names_that_nobody_answers_for_hold_up_nobody(
    wallets: CreditWallet, endpoint: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()

    def find(_: str) -> Addresses:
        answer.wait(30)
        return ()

    monkeypatch.setattr("credit_wallet.delivery.sender.Names", lambda: Names(find))
    told_of_charges(wallets, *(f"https://silent-{number}.example/" for number in range(10)))
    told_of_charges(wallets, endpoint.url)
    with delivering(notifier_of(wallets)):
        within(5, lambda: endpoint.received)
    answer.set()


def test_a_thread_that_hangs_in_a_service_keeps_nobody_from_stopping(
    wallets: CreditWallet, endpoint: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    hangs, go_on = threading.Event(), threading.Event()

    def hang(*_: object) -> None:
        hangs.set()
        go_on.wait(30)

    monkeypatch.setattr("credit_wallet.delivery.sender.Sender.say_notices", hang)
    told_of_charges(wallets, "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ", endpoint.url)
    with delivering(notifier_of(wallets)) as stop:
        assert hangs.wait(10)
        within(5, lambda: endpoint.received)
        before = monotonic()
        stop.set()
    assert monotonic() - before < 5
    go_on.set()


def test_a_ledger_that_does_not_answer_keeps_nobody_from_stopping(
    wallets: CreditWallet, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def hang() -> bool:
        asked.set()
        return go_on.wait(30)

    monkeypatch.setattr(wallets.notices, "are_due", hang)
    with delivering(notifier_of(wallets)) as stop:
        assert asked.wait(10)
        before = monotonic()
        stop.set()
    assert monotonic() - before < 5
    go_on.set()


def test_a_ledger_that_fails_is_asked_again(
    wallets: CreditWallet, endpoint: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    are_due, failures = wallets.notices.are_due, iter([True, True])

    def fails_at_first() -> bool:
        if next(failures, False):
            raise InvalidRequest("the database is away", field="")
        return are_due()

    monkeypatch.setattr(wallets.notices, "are_due", fails_at_first)
    told_of_charges(wallets, endpoint.url)
    with delivering(notifier_of(wallets)):
        within(5, lambda: endpoint.received)


@on_every_database
def test_what_was_not_tried_when_it_was_stopped_is_sent_by_the_next(wallets: CreditWallet, clock: Clock) -> None:
    go_on = threading.Event()
    with receiver() as silent:
        silent.usual = Answer(before=lambda: go_on.wait(30))
        wallet_id = told_of_charges(wallets, silent.url, charges=6)
        with delivering(notifier_of(wallets)):
            within(10, lambda: len(silent.received) == bounds.ATTEMPTS_AT_ONCE)
        go_on.set()
    before = wallets.deliveries.list(wallet_id)
    assert sorted(each.attempts for each in before) == [0, 0, 1, 1, 1, 1]
    with closing(Receiver()) as back:
        wallets._ledger.maintain(
            lambda connection: connection.execute(f"UPDATE am_credit_target SET url = '{back.url}'")
        )
        notifier = notifier_of(wallets)
        assert notifier.deliver() == 2
        clock.advance(minutes=3)
        assert notifier.deliver() == 4
        assert len(set(back.names())) == 6


# Shares


def test_a_target_has_few_attempts_under_way_and_one_when_it_failed(
    wallets: CreditWallet, notifier: Notifier, endpoint: Receiver, clock: Clock
) -> None:
    under_way, peak = [0], [0]
    lock, together = threading.Lock(), threading.Barrier(bounds.ATTEMPTS_AT_ONCE)

    def count() -> None:
        with lock:
            under_way[0] += 1
            peak[0] = max(peak[0], under_way[0])
        if len(endpoint.received) <= 2 * bounds.ATTEMPTS_AT_ONCE:
            together.wait(10)
        with lock:
            under_way[0] -= 1

    endpoint.usual = Answer(before=count)
    wallet_id = told_of_charges(wallets, endpoint.url, charges=2 * bounds.ATTEMPTS_AT_ONCE)
    assert notifier.deliver() == 2 * bounds.ATTEMPTS_AT_ONCE
    assert peak == [bounds.ATTEMPTS_AT_ONCE]
    endpoint.usual = Answer(500)
    endpoint.received.clear()
    assert wallets.deliveries.resend() == 0
    for delivery in wallets.deliveries.list(wallet_id)[:5]:
        wallets.deliveries.resend(delivery.delivery_id)
    notifier.deliver()
    assert len(endpoint.received) == bounds.ATTEMPTS_AT_ONCE  # those that were under way when the first of them failed
    clock.advance(seconds=RETRY_SECONDS[0])
    notifier.deliver()
    assert len(endpoint.received) == bounds.ATTEMPTS_AT_ONCE + 1
    endpoint.usual = Answer()
    clock.advance(seconds=RETRY_SECONDS[1])
    assert notifier.deliver() == 5


@on_every_database
@pytest.mark.partitions
def test_what_waits_for_a_target_that_has_failed_for_three_days_is_dead(
    wallets: CreditWallet, notifier: Notifier, endpoint: Receiver, clock: Clock
) -> None:
    endpoint.usual = Answer(503)
    wallet_id = told_of_charges(wallets, endpoint.url, charges=8)
    for seconds in (*RETRY_SECONDS, 0):
        notifier.deliver()
        clock.advance(seconds=seconds)
    assert {each.status for each in wallets.deliveries.list(wallet_id)} == {"dead"}
    assert len(endpoint.received) == bounds.ATTEMPTS_AT_ONCE + len(RETRY_SECONDS)
    endpoint.usual = Answer()
    assert wallets.deliveries.resend() == 8
    assert notifier.deliver() == 8


def test_one_notice_that_a_receiver_does_not_take_holds_up_no_other(
    wallets: CreditWallet, notifier: Notifier, endpoint: Receiver, clock: Clock
) -> None:
    endpoint.answers = [Answer(500)]
    wallet_id = told_of_charges(wallets, endpoint.url, charges=9)
    notifier.deliver()
    clock.advance(seconds=RETRY_SECONDS[0])
    notifier.deliver()
    assert {each.status for each in wallets.deliveries.list(wallet_id)} == {"delivered"}


@on_every_database
def test_every_target_that_has_something_due_gets_its_turn(wallets: CreditWallet, host: PlainSql, clock: Clock) -> None:
    """One with a thousand notices takes no other's place, in whatever order they came."""
    many = told_of_charges(wallets, "https://many.example/", charges=10)
    host.run(
        "INSERT INTO am_credit_outbox (wallet_id, kind, payload, occurred_at, handed_out) "
        + " UNION ALL ".join([f"SELECT {many}, 'budget.threshold_reached', '{{}}', '2026-05-15T12:00:00.000Z', 0"] * 90)
    )
    few = [told_of_charges(wallets, f"https://{number}.example/") for number in range(5)]
    clock.advance(seconds=1)
    [turns] = wallets.notices.lease([Places("webhook", 0, 0, 10)]).turns
    assert [(turn.target.wallet_id, len(turn.leased)) for turn in turns] == [
        (many, notice_queue.WEBHOOKS_A_TURN),
        *((wallet_id, 1) for wallet_id in few),
    ]
    assert wallets.notices.lease([Places("webhook", 0, 0, 10)]).turns == [[]]  # all of them are taken
    assert not wallets.notices.are_due()
    clock.advance(minutes=2, seconds=1)
    assert len(wallets.notices.lease([Places("webhook", 0, 0, 10)]).turns[0]) == 6


def test_a_turn_that_ends_late_does_not_free_a_target_that_somebody_else_has(
    wallets: CreditWallet, clock: Clock
) -> None:
    told_of_charges(wallets, "https://one.example/")
    webhooks = [Places("webhook", 0, 100, 10)]
    [[late]] = wallets.notices.lease(webhooks).turns
    clock.advance(minutes=3)
    [[_]] = wallets.notices.lease(webhooks).turns
    wallets.notices.settle([notice_queue.Settled(late)])
    assert wallets.notices.lease(webhooks).turns == [[]]


def test_what_is_due_is_found_by_an_index(host: PlainSql, databases: Databases) -> None:
    if databases.kind != "sqlite":
        pytest.skip("PostgreSQL scans small tables whatever the indexes")
    for name in ("due_targets", "to_do", "take_deliveries", "next_due"):
        statement = statements("notify.sql")[name]
        for parameter in (
            "rests_until",
            "target_id",
            "min_failures",
            "limit",
            "lease",
            "max_failures",
            "channel",
            "at",
        ):
            statement = statement.replace(f":{parameter}", "'1'")
        plan = " ".join(str(row) for row in host.run(f"EXPLAIN QUERY PLAN {statement}"))
        assert not re.search(r"SCAN (?!CONSTANT|\S+ USING)", plan), f"{name}: {plan}"


# Limits


@pytest.mark.parametrize("kind", ["budget.threshold_reached", "topup.failed"])
def test_more_than_an_hour_takes_is_put_off_and_payments_are_never_left_out(
    wallets: CreditWallet, host: PlainSql, kind: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recipients, "NOTICES_AN_HOUR", 2)
    monkeypatch.setattr(recipients, "MAX_HOURS_AHEAD", 3)
    wallet_id = wallets.create().wallet_id
    wallets.targets.set(wallet_id, [WantedTarget(url="https://one.example/")])
    clock.advance(minutes=10)
    tell = f"SELECT {wallet_id}, '{kind}', '{{}}', '2026-05-15T12:10:00.000Z', 0"
    put = "INSERT INTO am_credit_outbox (wallet_id, kind, payload, occurred_at, handed_out) "
    host.run(put + " UNION ALL ".join([tell] * 8))
    wallets.notices.lease([])
    due = [(each.status, each.next_attempt_at[11:16]) for each in reversed(wallets.deliveries.list(wallet_id))]
    put_off = [("pending", time) for time in ("12:10", "12:10", "13:00", "13:00", "14:00", "14:00")]
    above = [("dead", "12:10")] * 2 if kind == "budget.threshold_reached" else [("pending", "15:00")] * 2
    assert due == put_off + above

    clock.advance(hours=2)  # two of the hours are over, and four of the places
    host.run(put + tell)
    wallets.notices.lease([])
    [latest] = wallets.deliveries.list(wallet_id, limit=1)
    assert latest.next_attempt_at[11:16] == ("15:00" if kind == "budget.threshold_reached" else "16:00")


def test_the_operator_hears_of_more_in_an_hour_than_an_owner(wallets: CreditWallet, host: PlainSql) -> None:
    wallets.targets.set(OPERATOR, [WantedTarget(url="https://one.example/")])
    wallet_id = wallets.create().wallet_id
    tell = f"SELECT {wallet_id}, 'budget.threshold_reached', '{{}}', '2026-05-15T12:00:00.000Z', 0"
    put = "INSERT INTO am_credit_outbox (wallet_id, kind, payload, occurred_at, handed_out) "
    host.run(put + " UNION ALL ".join([tell] * (NOTICES_AN_HOUR + 1)))
    wallets.notices.lease([])
    assert {each.next_attempt_at[11:16] for each in wallets.deliveries.list(limit=1_000)} == {"12:00"}


@pytest.mark.parametrize(("kind", "told"), [("budget.threshold_reached", 3), ("topup.failed", 5)])
def test_no_wallet_fills_the_hour_of_the_operator(
    wallets: CreditWallet, host: PlainSql, kind: str, told: int, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is above a wallet's share is dead at once; of another wallet, and in the next hour, the operator hears."""
    monkeypatch.setattr(notice_queue, "OF_A_WALLET_AN_HOUR", 3)
    wallets.targets.set(OPERATOR, [WantedTarget(url="https://one.example/")])
    loud, quiet = wallets.create().wallet_id, wallets.create().wallet_id
    put = "INSERT INTO am_credit_outbox (wallet_id, kind, payload, occurred_at, handed_out) "

    def heard(wallet_id: int) -> list[str]:
        return [each.status for each in reversed(wallets.deliveries.list(wallet_id))]

    for number, wallet_id in enumerate((loud, loud, loud, loud, loud, quiet)):
        host.run(f"{put} SELECT {wallet_id}, '{kind}', '{{}}', '2026-05-15T12:00:00.000Z', 0")
        if number in (1, 5):
            wallets.notices.lease([])
    assert heard(loud) == ["pending"] * told + ["dead"] * (5 - told)
    assert heard(quiet) == ["pending"]

    clock.advance(hours=1)
    host.run(f"{put} SELECT {loud}, '{kind}', '{{}}', '2026-05-15T13:00:00.000Z', 0")
    wallets.notices.lease([])
    assert heard(loud)[-1] == "pending"


# Growth


@on_every_database
def test_what_is_over_is_forgotten_and_what_is_not_stays(
    wallets: CreditWallet, notifier: Notifier, endpoint: Receiver, clock: Clock
) -> None:
    delivered = told_of_charges(wallets, endpoint.url, charges=3)
    notifier.deliver()
    nobody = told_of_charges(wallets)
    notifier.deliver()
    clock.advance(days=100)
    waiting = told_of_charges(wallets, "https://one.example/")
    wallets.notices.lease([])
    assert wallets.notices.prune(90) > 0
    while wallets.notices.prune(90):
        pass
    with_events = "SELECT DISTINCT wallet_id FROM am_credit_outbox ORDER BY wallet_id"
    left = wallets._ledger.maintain(lambda connection: connection.execute(with_events).fetchall())
    assert [wallet_id for (wallet_id,) in left] == [waiting]
    assert {delivered, nobody}.isdisjoint(each.wallet_id for each in wallets.deliveries.list())
    assert wallets.deliveries.list(waiting) != []
    clock.advance(days=100)
    assert wallets.notices.prune(90) == 0, "what waits for a target stays, however old"
    with pytest.raises(InvalidRequest, match="kept_days"):
        wallets.notices.prune(30)


# Connections


def test_a_connection_is_kept_for_the_next_notice(wallets: CreditWallet, notifier: Notifier) -> None:
    with closing(Receiver(keeps_connections=True)) as keeping:
        told_of_charges(wallets, keeping.url, charges=10)
        assert notifier.deliver() == 10
        assert keeping.connections <= bounds.ATTEMPTS_AT_ONCE
        assert keeping.received[0].headers["host"] == keeping.url.removeprefix("http://")
