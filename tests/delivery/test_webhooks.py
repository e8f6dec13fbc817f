"""Webhooks: signed, once, and never into a private network."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from clock import Clock
from databases import on_every_database
from notified import add, event_ids, spend
from plain_sql import PlainSql
from receivers import Answer, Receiver
from standardwebhooks import Webhook, WebhookVerificationError

from credit_wallet import CreditWallet
from credit_wallet.delivery.factory import NotifySettings, open_notifier
from credit_wallet.delivery.notifier import Notifier
from credit_wallet.notices.targets import TargetSettings


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
        "data": {
            "threshold_pct": 50,
            "billing_cycle": "2026-05",
            "spent_yen": 500,
            "spent": "500",
            "budget_yen": 1_000,
            "budget_id": f"monthly-{wallet_id}",
        },
    }
    [delivery] = wallets.deliveries.list(wallet_id)
    assert (delivery.status, delivery.attempts, delivery.kind) == ("delivered", 1, "budget.threshold_reached")


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
