"""Targets: what may be one, who sets them, and whether they can be reached."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest
from clock import Clock
from notified import add, notifier_of, spend
from receivers import Answer, Mailbox, Receiver
from service import OPERATOR_KEY, Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.delivery.factory import NotifySettings, notify_settings
from credit_wallet.delivery.notifier import Notifier
from credit_wallet.errors import DeliveryNotFound, InvalidRequest, TargetNotFound, WalletError
from credit_wallet.notices.targets import OPERATOR, TargetSettings, WantedTarget

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
TELEGRAM = "tgram://123456789:abcdefg_hijklmnop/12315544/"


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
