"""Notices arrive: at webhooks that check signatures, at stand-ins of Slack and Telegram, and in a real mailbox."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram
from clock import Clock
from databases import on_every_database
from plain_sql import PlainSql
from receivers import Answer, Mailbox, Receiver, receiver
from service import OPERATOR_KEY, Api, new_app
from standardwebhooks import Webhook, WebhookVerificationError

from credit_wallet import CreditWallet
from credit_wallet.delivery.factory import NotifySettings, notify_settings, open_notifier
from credit_wallet.delivery.notifier import Notifier
from credit_wallet.delivery.sender import Sender
from credit_wallet.errors import DeliveryNotFound, InvalidRequest, TargetNotFound, WalletError, WalletNotFound
from credit_wallet.notices.targets import OPERATOR, TargetSettings, TargetView, WantedTarget
from credit_wallet.notices.timing import MAX_ATTEMPTS, RETRY_SECONDS

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
TELEGRAM = "tgram://123456789:abcdefg_hijklmnop/12315544/"


@pytest.fixture
def endpoint() -> Iterator[Receiver]:
    with receiver() as running:
        yield running


@pytest.fixture
def notifier(wallets: CreditWallet) -> Notifier:
    return notifier_of(wallets)


def notifier_of(wallets: CreditWallet, mail_url: str | None = None) -> Notifier:
    opened = open_notifier(wallets, NotifySettings(mail_url, private=True))
    assert opened is not None
    return opened


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    """A wallet with ¥1,000, a budget of ¥1,000, and notices from ¥400 downwards."""
    wallet_id = wallets.create(label="search", monthly_budget_yen=1_000).wallet_id
    wallets.configure(wallet_id, low_balance_yen=400)
    wallets.topup(wallet_id, 1_000, idempotency_key="topup")
    return wallet_id


def add(wallets: CreditWallet, wallet_id: int, url: str, **settings: Any) -> TargetView:
    return wallets.targets.add(wallet_id, TargetSettings(url=url, **settings), mail=True, private=True, confirmed=True)


def spend(wallets: CreditWallet, wallet_id: int, amount_yen: int, key: str = "spend") -> None:
    wallets.charge(wallet_id, amount_yen, idempotency_key=key)


def deliver_until_quiet(notifier: Notifier, clock: Clock, days: int = 4) -> None:
    """Let time pass in steps of a minute at first, of hours then, and deliver what falls due."""
    for step in [1] * 30 + [60] * 24 * days:
        notifier.deliver()
        clock.advance(minutes=step)
    notifier.deliver()


# Webhooks


@on_every_database
def test_a_webhook_gets_each_event_signed_and_once(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver
) -> None:
    target = add(wallets, wallet_id, f"{endpoint.url}/hook?team=1")
    spend(wallets, wallet_id, 500)
    assert notifier.deliver() == 1
    assert notifier.deliver() == 0
    [request] = endpoint.received
    assert request.path == "/hook?team=1"
    assert Webhook(str(target.secret)).verify(request.body, request.headers) == {
        "id": f"evt_{wallets.topups.installation_id()}_{event_ids(wallets)[0]}",
        "type": "budget.threshold_reached",
        "version": 1,
        "timestamp": "2026-05-15T12:00:00.000Z",
        "wallet_id": wallet_id,
        "data": {"threshold_pct": 50, "billing_cycle": "2026-05", "spent_yen": 500, "budget_yen": 1_000},
    }
    [delivery] = wallets.deliveries.list(wallet_id)
    assert (delivery.status, delivery.attempts, delivery.kind) == ("delivered", 1, "budget.threshold_reached")


def event_ids(wallets: CreditWallet) -> list[int]:
    return sorted({each.event_id for each in wallets.deliveries.list(limit=1_000)})


def test_an_event_is_marked_delivered_when_every_target_has_it(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver, clock: Clock, db_url: str
) -> None:
    add(wallets, wallet_id, f"{endpoint.url}/one")
    add(wallets, wallet_id, f"{endpoint.url}/two")
    endpoint.answers = [Answer(500)]
    spend(wallets, wallet_id, 500)
    with PlainSql(db_url) as host:
        delivered = "SELECT delivered_at IS NOT NULL FROM am_credit_outbox"
        assert notifier.deliver() == 1
        assert host.run(delivered) == [(0,)]
        clock.advance(minutes=1)
        assert notifier.deliver() == 1
        assert host.run(delivered) == [(1,)]


def test_a_forged_or_changed_webhook_does_not_verify(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver
) -> None:
    target = add(wallets, wallet_id, endpoint.url)
    spend(wallets, wallet_id, 500)
    notifier.deliver()
    [request] = endpoint.received
    webhook = Webhook(str(target.secret))
    with pytest.raises(WebhookVerificationError):
        webhook.verify(request.body.replace(b"500", b"501"), request.headers)
    with pytest.raises(WebhookVerificationError):
        webhook.verify(request.body, {**request.headers, "webhook-id": "evt_other"})


def test_while_a_secret_is_rotated_both_verify(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver, clock: Clock
) -> None:
    clock.set(datetime.now(UTC))
    old = add(wallets, wallet_id, endpoint.url)
    new = wallets.targets.rotate_secret(old.target_id)
    assert new.secret not in (None, old.secret)
    notifier.test(wallet_id)
    for secret in (old.secret, new.secret):
        Webhook(str(secret)).verify(endpoint.received[-1].body, endpoint.received[-1].headers)
    assert wallets.targets.list(wallet_id)[0].secret is None

    clock.set(datetime.now(UTC) - timedelta(hours=25))
    add(wallets, wallet_id, f"{endpoint.url}/long-ago")
    [long_ago] = [each for each in wallets.targets.list(wallet_id) if each.target_id != old.target_id]
    newest = wallets.targets.rotate_secret(long_ago.target_id)
    notifier.test(wallet_id)
    [request] = [each for each in endpoint.received if each.path == "/long-ago"]
    assert len(request.headers["webhook-signature"].split()) == 1
    Webhook(str(newest.secret)).verify(request.body, request.headers)


# What goes wrong


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


# Private networks


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0x7f000001", "2130706433", "[::1]", "[::ffff:127.0.0.1]"])
def test_a_name_that_leads_into_a_private_network_is_refused_when_it_is_sent_to(
    wallets: CreditWallet, wallet_id: int, endpoint: Receiver, host: str
) -> None:
    port = endpoint.url.rpartition(":")[2]
    wallets.targets.add(wallet_id, TargetSettings(url=f"https://{host}:{port}/"))
    notifier = open_notifier(wallets, NotifySettings(private=False))
    assert notifier is not None
    [tried] = notifier.test(wallet_id)
    assert tried.error in ("the host is in a private network", "the host's name is not known")
    assert endpoint.received == []


# People: Slack, Telegram, mail


@pytest.fixture
def services(endpoint: Receiver, monkeypatch: pytest.MonkeyPatch) -> Receiver:
    """Slack and Telegram are where the endpoint is."""
    monkeypatch.setattr(NotifySlack, "webhook_url", f"{endpoint.url}/services")
    monkeypatch.setattr(NotifyTelegram, "notify_url", f"{endpoint.url}/bot")
    return endpoint


def test_slack_is_told_as_its_webhooks_want_it(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, services: Receiver
) -> None:
    add(wallets, wallet_id, SLACK)
    spend(wallets, wallet_id, 500)
    assert notifier.deliver() == 1
    [request] = services.received
    assert request.path == "/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
    [attachment] = request.json["attachments"]
    assert attachment["title"] == "50% of the budget spent"
    assert attachment["text"] == "Wallet 1 (search) has spent ¥500 of its ¥1,000 budget for 2026-05."


def test_telegram_is_told_in_japanese(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, services: Receiver
) -> None:
    services.usual = Answer(body=b'{"ok": true}')
    add(wallets, wallet_id, TELEGRAM, language="ja")
    spend(wallets, wallet_id, 500)
    assert notifier.deliver() == 1
    [request] = services.received
    assert request.path == "/bot123456789:abcdefg_hijklmnop/sendMessage"
    assert request.json["chat_id"] == 12_315_544
    assert "予算の50%を使用しました" in request.json["text"]
    assert "ウォレット1(search)は2026-05の予算¥1,000のうち¥500を使用しました。" in request.json["text"]


def test_a_service_that_fails_is_tried_again(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, services: Receiver, clock: Clock
) -> None:
    add(wallets, wallet_id, SLACK)
    services.answers = [Answer(500)]
    spend(wallets, wallet_id, 500)
    assert notifier.deliver() == 0
    assert wallets.deliveries.list()[0].last_error == "the service could not be reached, or did not take it"
    clock.advance(minutes=1)
    assert notifier.deliver() == 1


def test_mail_goes_through_the_operators_server(wallets: CreditWallet, wallet_id: int) -> None:
    with closing(Mailbox()) as mailbox:
        notifier = notifier_of(wallets, f"mailto://127.0.0.1:{mailbox.port}?from=wallet@example.com")
        add(wallets, wallet_id, "mailto:cfo@example.com", language="ja")
        spend(wallets, wallet_id, 650)
        assert notifier.deliver() == 2
    [message] = mailbox.messages
    assert message["to"] == "cfo@example.com"
    assert "wallet@example.com" in message["from"]
    body = message.get_body(("plain", "html"))
    assert body is not None
    text = body.get_content()
    assert message["subject"] == "2件の通知"
    assert "残高が少なくなりました" in text
    assert "予算の50%を使用しました" in text


def test_the_operator_hears_of_every_wallet(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver
) -> None:
    add(wallets, OPERATOR, endpoint.url, kinds=("budget.threshold_reached",))
    other = wallets.create(monthly_budget_yen=100).wallet_id
    wallets.topup(other, 100, idempotency_key="topup")
    spend(wallets, other, 50)
    spend(wallets, wallet_id, 650)
    assert notifier.deliver() == 2
    assert sorted(each.json["wallet_id"] for each in endpoint.received) == sorted([wallet_id, other])


def test_a_target_hears_of_what_it_asked_for(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver
) -> None:
    add(wallets, wallet_id, endpoint.url, kinds=("balance.low",))
    spend(wallets, wallet_id, 650)
    assert notifier.deliver() == 1
    assert endpoint.received[0].json["type"] == "balance.low"


def test_a_sample_says_which_target_takes_it(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver
) -> None:
    add(wallets, wallet_id, f"{endpoint.url}/a")
    add(wallets, wallet_id, "http://127.0.0.1:9/")
    good, bad = notifier.test(wallet_id)
    assert (good.error, bad.error) == (None, "the receiver could not be reached (ConnectError)")
    assert endpoint.received[0].json["type"] == "notice.test"
    assert wallets.deliveries.list() == []
    with pytest.raises(WalletNotFound):
        notifier.test(999)


# Quiet hours and digests


def test_quiet_hours_hold_notices_back_and_then_tell_them_together(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, services: Receiver, clock: Clock
) -> None:
    add(wallets, wallet_id, SLACK, quiet_hours="22:00-07:00", time_zone="Asia/Tokyo")
    clock.set(datetime(2026, 5, 15, 14, 30, tzinfo=UTC))  # 23:30 in Tokyo
    spend(wallets, wallet_id, 650)
    assert notifier.deliver() == 0
    clock.set(datetime(2026, 5, 15, 21, 59, 59, tzinfo=UTC))
    assert notifier.deliver() == 0
    clock.set(datetime(2026, 5, 15, 22, 0, tzinfo=UTC))  # 07:00
    assert notifier.deliver() == 2
    [request] = services.received
    assert request.json["attachments"][0]["title"] == "2 notices"


def test_a_digest_gathers_a_day(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, services: Receiver, clock: Clock
) -> None:
    add(wallets, wallet_id, SLACK, digest="09:00", time_zone="Asia/Tokyo")
    spend(wallets, wallet_id, 500)
    clock.advance(hours=3)
    spend(wallets, wallet_id, 150, "later")
    clock.set(datetime(2026, 5, 15, 23, 59, tzinfo=UTC))
    assert notifier.deliver() == 0
    clock.set(datetime(2026, 5, 16, 0, 0, tzinfo=UTC))
    assert notifier.deliver() == 2
    assert len(services.received) == 1


# Targets


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"url": ""}, "url"),
        ({"url": "ftp://example.com/"}, "url"),
        ({"url": "http://example.com/"}, "url"),
        ({"url": "https://user:password@example.com/"}, "url"),
        ({"url": "https://exa mple.com/"}, "url"),
        ({"url": "https:///path"}, "url"),
        ({"url": "https://example.com:70000/"}, "url"),
        ({"url": "json://10.0.0.1/"}, "url"),
        ({"url": "mailto://user:password@10.0.0.1?to=a@b.c"}, "url"),
        ({"url": "slack://nonsense"}, "url"),
        ({"url": "mailto:cfo@example.com?to=other@example.com"}, "url"),
        ({"url": "https://" + "a" * 2_000}, "url"),
        ({"url": "https://example.com/", "kinds": ("no_such_kind",)}, "kinds"),
        ({"url": "https://example.com/", "language": "fr"}, "language"),
        ({"url": "https://example.com/", "quiet_hours": "22-7"}, "quiet_hours"),
        ({"url": "https://example.com/", "quiet_hours": "00:00-00:00"}, "quiet_hours"),
        ({"url": "https://example.com/", "digest": "hourly"}, "digest"),
        ({"url": SLACK, "digest": "25:00"}, "digest"),
        ({"url": SLACK, "time_zone": "Mars/Base"}, "time_zone"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused_and_the_field_is_named(
    wallets: CreditWallet, wallet_id: int, settings: dict[str, Any], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        wallets.targets.add(wallet_id, TargetSettings(**settings), mail=True)
    assert refusal.value.details["field"] == field
    assert wallets.targets.list(wallet_id) == []


def test_mail_needs_a_server(wallets: CreditWallet, wallet_id: int) -> None:
    with pytest.raises(InvalidRequest, match="no mail server"):
        wallets.targets.add(wallet_id, TargetSettings(url="mailto:cfo@example.com"))


def test_a_wallet_has_ten_targets_at_most(wallets: CreditWallet, wallet_id: int) -> None:
    for number in range(10):
        add(wallets, wallet_id, f"https://example.com/{number}")
    with pytest.raises(InvalidRequest, match="at most 10"):
        add(wallets, wallet_id, "https://example.com/10")
    assert len(wallets.targets.list(wallet_id)) == 10


def test_targets_are_put_in_place_of_those_before(wallets: CreditWallet, wallet_id: int) -> None:
    first = add(wallets, wallet_id, "https://example.com/1")
    add(wallets, wallet_id, "https://example.com/2")
    kept, new = wallets.targets.set(
        wallet_id,
        [
            WantedTarget(target_id=first.target_id, kinds=("balance.low",)),
            WantedTarget(url="https://example.com/3"),
        ],
    )
    assert (kept.target_id, kept.kinds, kept.secret) == (first.target_id, ("balance.low",), None)
    assert new.secret is not None
    assert [each.target_id for each in wallets.targets.list(wallet_id)] == [kept.target_id, new.target_id]
    with pytest.raises(TargetNotFound):
        wallets.targets.set(wallet_id, [WantedTarget(target_id=999)])
    assert len(wallets.targets.list(wallet_id)) == 2


def test_what_is_secret_in_an_address_is_not_shown(wallets: CreditWallet, wallet_id: int) -> None:
    add(wallets, wallet_id, "https://hooks.example.com/secret?token=secret")
    add(wallets, wallet_id, TELEGRAM)
    shown = [target.address for target in wallets.targets.list(wallet_id)]
    assert shown == ["https://hooks.example.com/…", "tgram://…"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [("CREDIT_WALLET_MAIL_URL", "smtp.example.com"), ("CREDIT_WALLET_NOTIFY_PRIVATE", "yes")],
)
def test_a_setting_that_makes_no_sense_is_named(variable: str, value: str) -> None:
    with pytest.raises(InvalidRequest, match=variable):
        notify_settings({variable: value})


def test_a_wallet_that_is_not_there_has_no_targets(wallets: CreditWallet) -> None:
    calls: list[Callable[[], object]] = [
        lambda: wallets.targets.list(9),
        lambda: add(wallets, 9, "https://example.com/"),
        lambda: wallets.targets.set(9, []),
    ]
    for call in calls:
        with pytest.raises(WalletError):
            call()


# The check-up


def test_the_check_up_says_which_target_is_out_of_reach(wallets: CreditWallet, endpoint: Receiver) -> None:
    with closing(Mailbox()) as mailbox:
        notifier = notifier_of(wallets, f"mailto://127.0.0.1:{mailbox.port}?from=wallet@example.com")
        add(wallets, OPERATOR, endpoint.url)
        add(wallets, OPERATOR, "mailto:ops@example.com")
        add(wallets, OPERATOR, SLACK)
        assert notifier.unreachable() == []
    down = add(wallets, OPERATOR, "http://127.0.0.1:9/")
    mail = next(each.target_id for each in wallets.targets.list(OPERATOR) if each.address.startswith("mailto"))
    told = notifier.unreachable()
    assert [each.partition(":")[0] for each in told] == [f"target {mail}", f"target {down.target_id}"]
    assert "127.0.0.1:9 could not be reached" in told[1]
    assert endpoint.received == []


def test_events_from_before_a_target_was_there_are_not_sent_to_it(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver, clock: Clock
) -> None:
    spend(wallets, wallet_id, 500)
    clock.advance(seconds=1)
    add(wallets, wallet_id, endpoint.url)
    spend(wallets, wallet_id, 300, "later")
    assert notifier.deliver() == 2
    assert sorted(each.json["data"].get("threshold_pct", 0) for each in endpoint.received) == [0, 80]


def test_a_target_that_is_stopped_stays_so_when_others_change(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, endpoint: Receiver
) -> None:
    gone = add(wallets, wallet_id, endpoint.url)
    endpoint.answers = [Answer(410)]
    spend(wallets, wallet_id, 500)
    notifier.deliver()
    add(wallets, wallet_id, f"{endpoint.url}/other")
    assert wallets.targets.list(wallet_id)[0].stopped is not None
    with pytest.raises(DeliveryNotFound):
        wallets.deliveries.resend(wallets.deliveries.list(status="dead")[0].delivery_id)
    assert wallets.targets.rotate_secret(gone.target_id).stopped is None


def test_an_owner_may_set_no_options_of_a_service(wallets: CreditWallet, wallet_id: int) -> None:
    with pytest.raises(InvalidRequest, match="without options"):
        wallets.targets.add(wallet_id, TargetSettings(url=f"{TELEGRAM}?rto=9999&retry=5"))
    wallets.targets.add(OPERATOR, TargetSettings(url=f"{TELEGRAM}?silent=yes"))


def test_an_owner_sets_targets_over_http(wallets: CreditWallet, endpoint: Receiver) -> None:
    owner = wallets.create(monthly_budget_yen=1_000)
    app = new_app(wallets, notify=NotifySettings(private=True))
    with Api(app) as api:
        body = {"low_balance_yen": 100, "notification_targets": [{"url": endpoint.url, "kinds": ["balance.low"]}]}
        changed = api.call("PATCH", "/credit/wallet", owner.owner_token, json=body).json()
        [target] = changed["notification_targets"]
        assert target["secret"].startswith("whsec_")
        assert (target["kinds"], changed["low_balance_yen"]) == (["balance.low"], 100)
        shown = api.get("/credit/wallet", owner.owner_token).json()["notification_targets"]
        assert shown == [{**target, "secret": None}]
        agent = wallets.keys.create(owner.wallet_id)
        assert api.get("/credit/wallet", agent.token).json()["notification_targets"] == []

        bad = {"low_balance_yen": 7, "notification_targets": [{"url": "ftp://example.com/"}]}
        refused = api.call("PATCH", "/credit/wallet", owner.owner_token, json=bad)
        assert (refused.status_code, refused.json()["field"]) == (422, "url")
        assert api.get("/credit/wallet", owner.owner_token).json()["low_balance_yen"] == 100

        others = api.call("PUT", "/operator/notification-targets", OPERATOR_KEY, json={"notification_targets": []})
        assert others.json() == []
