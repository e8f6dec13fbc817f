"""Receivers that fail, stall or are gone, and workers that die: what is sent again, and when not any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from clock import Clock
from databases import on_every_database
from notified import add, deliver_until_quiet, notifier_of, spend
from plain_sql import PlainSql
from receivers import Answer, Receiver, receiver

from credit_wallet import CreditWallet
from credit_wallet.delivery.notifier import Notifier
from credit_wallet.delivery.sender import Sender
from credit_wallet.errors import DeliveryNotFound, TargetNotFound
from credit_wallet.notices.targets import WantedTarget
from credit_wallet.notices.timing import MAX_ATTEMPTS, RETRY_SECONDS

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(500), "the receiver answered 500"),
        (Answer(404), "the receiver answered 404"),
        (Answer(302, (("location", "http://127.0.0.1:9/"),)), "the receiver answered 302; redirects are not followed"),
        (Answer(dies=True), "the receiver could not be reached (RemoteProtocolError)"),
    ],
    ids=["error", "not found", "redirect", "dies"],
)
def test_a_failure_is_tried_again_under_the_same_id(
    wallets: CreditWallet,
    wallet_id: int,
    notifier: Notifier,
    endpoint: Receiver,
    clock: Clock,
    answer: Answer,
    error: str,
) -> None:
    add(wallets, wallet_id, endpoint.url)
    endpoint.answers = [answer, answer]
    spend(wallets, wallet_id, 500)
    assert notifier.deliver() == 0
    [delivery] = wallets.deliveries.list(wallet_id)
    assert (delivery.status, delivery.attempts, delivery.last_error) == ("pending", 1, error)
    assert notifier.deliver() == 0  # not before its time
    assert len(endpoint.received) == 1
    clock.advance(seconds=RETRY_SECONDS[0])
    notifier.deliver()
    clock.advance(seconds=RETRY_SECONDS[1])
    assert notifier.deliver() == 1
    assert len(set(endpoint.names())) == 1
    assert len(endpoint.received) == 3
    assert len({each.body for each in endpoint.received}) == 1


def test_a_receiver_that_stalls_is_given_up_on_and_keeps_no_other_waiting(
    wallets: CreditWallet, wallet_id: int, endpoint: Receiver, monkeypatch: pytest.MonkeyPatch, notifier: Notifier
) -> None:
    monkeypatch.setattr("credit_wallet.delivery.sender.SEND_SECONDS", 0.5)
    go_on = threading.Event()
    with receiver() as stalling:
        stalling.usual = Answer(before=lambda: go_on.wait(30))
        add(wallets, wallet_id, stalling.url)
        add(wallets, wallet_id, endpoint.url)
        spend(wallets, wallet_id, 500)
        assert notifier.deliver() == 1
        assert len(endpoint.received) == 1
        errors = {each.last_error for each in wallets.deliveries.list(wallet_id)}
        assert errors == {None, "no answer within 0 seconds"}
        go_on.set()


def test_an_outage_of_hours_loses_nothing(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, clock: Clock
) -> None:
    with receiver() as gone:
        url = gone.url
    add(wallets, wallet_id, url)  # nothing listens there
    for number in range(5):
        spend(wallets, wallet_id, 200, f"spend-{number}")
    for _ in range(10):
        notifier.deliver()
        clock.advance(minutes=30)
    pending = wallets.deliveries.list(wallet_id, status="pending")
    assert [each.kind for each in reversed(pending)] == [
        "budget.threshold_reached",
        "balance.low",
        "budget.threshold_reached",
        "budget.threshold_reached",
    ]
    with closing(Receiver()) as back:
        moved = WantedTarget(target_id=wallets.targets.list(wallet_id)[0].target_id)
        assert wallets.targets.set(wallet_id, [moved], private=True)[0].secret is None
        point_to(wallets, url, back.url)
        deliver_until_quiet(notifier, clock, days=1)
        assert sorted(each.json["type"] for each in back.received) == ["balance.low"] + ["budget.threshold_reached"] * 3
        assert len(set(back.names())) == 4
    assert not wallets.deliveries.list(wallet_id, status="dead")


def point_to(wallets: CreditWallet, url: str, other: str) -> None:
    """The receiver's name leads elsewhere from now on."""
    job = lambda connection: connection.execute(  # noqa: E731
        "UPDATE am_credit_target SET url = :other WHERE url = :url", {"url": url, "other": other}
    )
    wallets._ledger.maintain(job)


def test_after_three_days_a_delivery_is_dead_and_can_be_sent_again(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver, clock: Clock
) -> None:
    add(wallets, wallet_id, endpoint.url)
    endpoint.usual = Answer(503)
    spend(wallets, wallet_id, 500)
    began = clock()
    attempts: list[datetime] = []
    while wallets.deliveries.list(wallet_id, status="pending") or not attempts:
        before = len(endpoint.received)
        notifier.deliver()
        attempts += [clock()] * (len(endpoint.received) - before)
        clock.advance(seconds=RETRY_SECONDS[0])
        if (waits := wallets.deliveries.list(wallet_id, status="pending")) != []:
            clock.set(max(clock(), datetime.fromisoformat(waits[0].next_attempt_at)))
    assert len(attempts) == MAX_ATTEMPTS
    assert [round((after - before).total_seconds()) for before, after in pairwise(attempts)] == pytest.approx(
        list(RETRY_SECONDS), abs=RETRY_SECONDS[0]
    )
    assert timedelta(days=2, hours=23) < attempts[-1] - began < timedelta(days=3, hours=1)
    [dead] = wallets.deliveries.list(wallet_id, status="dead")
    assert dead.last_error == "the receiver answered 503"

    endpoint.usual = Answer()
    assert wallets.deliveries.resend(dead.delivery_id) == 1
    assert notifier.deliver() == 1
    assert len(set(endpoint.names())) == 1
    assert wallets.deliveries.resend() == 0


def test_all_dead_deliveries_are_sent_again_at_once(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver, clock: Clock
) -> None:
    add(wallets, wallet_id, endpoint.url)
    endpoint.usual = Answer(500)
    spend(wallets, wallet_id, 900)
    deliver_until_quiet(notifier, clock)
    assert len(wallets.deliveries.list(wallet_id, status="dead")) == 3
    endpoint.usual = Answer()
    assert wallets.deliveries.resend() == 3
    assert notifier.deliver() == 3


def test_what_is_unknown_cannot_be_sent_again(wallets: CreditWallet) -> None:
    with pytest.raises(DeliveryNotFound):
        wallets.deliveries.resend(7)


@pytest.mark.parametrize("as_date", [False, True])
def test_retry_after_is_honoured(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver, clock: Clock, as_date: bool
) -> None:
    add(wallets, wallet_id, endpoint.url)
    then = datetime.now(UTC) + timedelta(seconds=120)
    header = then.strftime("%a, %d %b %Y %T GMT") if as_date else "120"
    endpoint.answers = [Answer(429, (("retry-after", header),))]
    spend(wallets, wallet_id, 500)
    notifier.deliver()
    [delivery] = wallets.deliveries.list(wallet_id)
    wait = datetime.fromisoformat(delivery.next_attempt_at) - clock()
    assert timedelta(seconds=60) < wait <= timedelta(seconds=120)


def test_a_receiver_that_is_gone_gets_nothing_more(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver, clock: Clock
) -> None:
    add(wallets, wallet_id, endpoint.url)
    endpoint.usual = Answer(410)
    spend(wallets, wallet_id, 500)
    notifier.deliver()
    spend(wallets, wallet_id, 300, "more")
    deliver_until_quiet(notifier, clock, days=0)
    assert len(endpoint.received) == 1
    [target] = wallets.targets.list(wallet_id)
    assert target.stopped == "the receiver is gone (410)"
    assert [each.status for each in wallets.deliveries.list(wallet_id)] == ["dead"]
    add(wallets, wallet_id, endpoint.url)  # asked for again
    assert wallets.targets.list(wallet_id)[0].stopped is None


def test_what_waits_for_a_removed_target_is_dead(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver, clock: Clock
) -> None:
    target = add(wallets, wallet_id, endpoint.url)
    endpoint.usual = Answer(500)
    spend(wallets, wallet_id, 500)
    notifier.deliver()
    wallets.targets.remove(target.target_id)
    deliver_until_quiet(notifier, clock, days=0)
    assert len(endpoint.received) == 1
    [delivery] = wallets.deliveries.list(wallet_id)
    assert (delivery.status, delivery.last_error) == ("dead", "the target was removed")
    with pytest.raises(DeliveryNotFound):
        wallets.deliveries.resend(delivery.delivery_id)
    with pytest.raises(TargetNotFound):
        wallets.targets.remove(target.target_id)


def test_an_event_that_a_host_has_removed_keeps_no_other_from_arriving(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver, clock: Clock, db_url: str
) -> None:
    add(wallets, wallet_id, endpoint.url)
    endpoint.answers = [Answer(500), Answer(500)]
    spend(wallets, wallet_id, 650)
    notifier.deliver()
    with PlainSql(db_url) as host:
        host.run("DELETE FROM am_credit_outbox WHERE kind = 'balance.low'")
    clock.advance(minutes=1)
    assert notifier.deliver() == 1
    with PlainSql(db_url) as host:
        assert host.run("SELECT last_error FROM am_credit_delivery WHERE status = 'dead'") == [
            ("the event was removed",)
        ]


@on_every_database
def test_two_notifiers_at_once_send_each_delivery_once(
    wallets: CreditWallet, endpoint: Receiver, db_url: str, clock: Clock
) -> None:
    for name in range(8):
        other = wallets.create(monthly_budget_yen=100).wallet_id
        add(wallets, other, f"{endpoint.url}/{name}")
        wallets.topup(other, 100, idempotency_key="topup")
        wallets.charge(other, 100, idempotency_key="charge")
    with CreditWallet.open(db_url, clock=clock) as second:
        threads = [threading.Thread(target=notifier_of(each).deliver) for each in (wallets, second, wallets, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(endpoint.received) == 8 * 3
    assert len(set(endpoint.names())) == 8 * 3


def test_a_worker_killed_while_it_sends_leaves_the_delivery_to_the_next(
    wallets: CreditWallet, wallet_id: int, endpoint: Receiver, db_url: str, clock: Clock
) -> None:
    clock.set(datetime.now(UTC))
    arrived, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        arrived.set()
        go_on.wait(60)

    endpoint.answers = [Answer(before=hold)]
    add(wallets, wallet_id, endpoint.url)
    spend(wallets, wallet_id, 500)
    worker = subprocess.Popen(
        [sys.executable, "-m", "credit_wallet.cli.app", "--db", db_url, "worker"],
        env={**os.environ, "CREDIT_WALLET_NOTIFY_PRIVATE": "on"},
        stderr=subprocess.DEVNULL,
    )
    assert arrived.wait(60)
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    go_on.set()
    notifier = notifier_of(wallets)
    assert notifier.deliver() == 0  # the one that was killed still has it
    clock.advance(minutes=3)
    assert notifier.deliver() == 1
    assert len(endpoint.received) == 2
    assert len(set(endpoint.names())) == 1
    assert wallets.deliveries.list(wallet_id)[0].attempts == 2


def test_whatever_goes_wrong_with_one_target_the_others_are_told(
    wallets: CreditWallet, wallet_id: int, endpoint: Receiver, notifier: Notifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(wallets, wallet_id, SLACK)
    add(wallets, wallet_id, endpoint.url)

    def breaks(*_: Any) -> None:
        raise RuntimeError("a driver's defect")

    monkeypatch.setattr(Sender, "say_notices", breaks)
    spend(wallets, wallet_id, 500)
    assert notifier.deliver() == 1
    assert {each.last_error for each in wallets.deliveries.list(wallet_id)} == {None, "unexpected: RuntimeError"}
