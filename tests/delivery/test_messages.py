"""Messages to people: through stand-ins of Slack and Telegram, in a real mailbox, at the time that they want."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

import pytest
from apprise.plugins.slack import NotifySlack
from apprise.plugins.telegram import NotifyTelegram
from clock import Clock
from notified import add, notifier_of, spend
from receivers import Answer, Mailbox, Receiver

from credit_wallet import CreditWallet
from credit_wallet.delivery.notifier import Notifier
from credit_wallet.errors import WalletNotFound
from credit_wallet.notices.targets import OPERATOR

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
TELEGRAM = "tgram://123456789:abcdefg_hijklmnop/12315544/"


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
    assert wallets.deliveries.list()[0].last_error == "the service could not be reached, or did not accept it"
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
