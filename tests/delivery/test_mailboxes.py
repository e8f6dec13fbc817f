"""Whom an owner can have the operator's mail server write to: mailboxes that said yes, in bounds, and nobody else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from clock import Clock
from databases import Databases, on_every_database
from plain_sql import PlainSql
from receivers import Mailbox
from service import Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.delivery.factory import NotifySettings, open_notifier
from credit_wallet.delivery.notifier import NOT_CONFIRMED, Notifier
from credit_wallet.errors import InvalidRequest, TargetNotFound, TooManyConfirmations, WrongConfirmationCode
from credit_wallet.notices.confirming import CONFIRM_WITHIN, MAX_GUESSES
from credit_wallet.notices.targets import (
    OPERATOR,
    TargetSettings,
    TargetView,
    WantedTarget,
    is_mail,
    mailbox_of,
    normalised,
)
from credit_wallet.notices.timing import RETRY_SECONDS
from credit_wallet.stores.databases import database_at
from credit_wallet.stores.jobs import mailboxes

SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
SLACK_HOOK = "hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
TELEGRAM = "tgram://123456789:abcdefg_hijklmnop/12315544/"
STRANGER = "mailto:cfo@example.com"
FREE_TEXT = "Win a prize at evil.example"


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    with closing(Mailbox()) as running:
        yield running


@pytest.fixture
def notifier(wallets: CreditWallet, mailbox: Mailbox) -> Notifier:
    return notifier_with(wallets, mailbox.port)


def notifier_with(wallets: CreditWallet, mail_port: int) -> Notifier:
    opened = open_notifier(wallets, NotifySettings(f"mailto://127.0.0.1:{mail_port}?from=wallet@example.com"))
    assert opened is not None
    return opened


@pytest.fixture
def wallet_id(wallets: CreditWallet) -> int:
    """A wallet that tells of every charge of a tenth of its budget, with free text for a label."""
    wallet_id = wallets.create(label=FREE_TEXT, monthly_budget_yen=1_000).wallet_id
    wallets.configure(wallet_id, alert_thresholds_pct=list(range(10, 101, 10)))
    wallets.topup(wallet_id, 1_000, idempotency_key="topup")
    return wallet_id


def name(wallets: CreditWallet, wallet_id: int, url: str = STRANGER, **settings: Any) -> TargetView:
    return wallets.targets.add(wallet_id, TargetSettings(url=url, **settings), mail=True)


def spend(wallets: CreditWallet, wallet_id: int, key: str) -> None:
    wallets.charge(wallet_id, 100, idempotency_key=key)


def texts(mailbox: Mailbox) -> list[str]:
    """All of each message that came: headers and bodies, decoded."""
    return [
        "\n".join(
            [
                *(f"{name}: {value}" for name, value in message.items()),
                *(part.get_content() for part in message.walk() if part.get_content_maintype() == "text"),
            ]
        )
        for message in mailbox.messages
    ]


def code_in(text: str) -> str:
    found = re.search(r"\b[2-9A-Z]{4}-[2-9A-Z]{4}\b", text)
    assert found is not None
    return found[0]


@on_every_database
@pytest.mark.parametrize("language", ["en", "ja"])
def test_a_mailbox_is_asked_and_told_nothing_before_it_said_yes(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, mailbox: Mailbox, clock: Clock, language: Any
) -> None:
    target = name(wallets, wallet_id, language=language)
    assert target.confirm_by == "2026-05-18T12:00:00.000Z"
    spend(wallets, wallet_id, "before")
    assert notifier.deliver() == 0
    clock.advance(minutes=5)
    spend(wallets, wallet_id, "before, too")
    notifier.deliver()
    [question] = texts(mailbox)
    assert "evil" not in question
    assert "prize" not in question
    assert mailbox.messages[0]["to"] == "cfo@example.com"
    assert wallets.deliveries.list() == []
    assert [each.error for each in notifier.test(wallet_id)] == [NOT_CONFIRMED]

    typed = f" {code_in(question).lower().replace('-', ' ')}"
    assert wallets.targets.confirm(wallet_id, target.target_id, typed).confirm_by is None
    clock.advance(minutes=5)
    spend(wallets, wallet_id, "after")
    assert notifier.deliver() == 1
    assert len(mailbox.messages) == 2
    assert "30" in mailbox.messages[1]["subject"]


def test_the_code_is_nowhere_but_in_the_message(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, mailbox: Mailbox, db_url: str
) -> None:
    name(wallets, wallet_id)
    notifier.deliver()
    code = code_in(texts(mailbox)[0])
    with PlainSql(db_url) as host:
        stored = str(host.run("SELECT * FROM am_credit_target"))
    assert code not in stored
    assert code.replace("-", "") not in stored


@on_every_database
@pytest.mark.partitions
def test_wrong_codes_are_counted_and_too_many_make_the_right_one_useless(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, mailbox: Mailbox
) -> None:
    target_id = name(wallets, wallet_id).target_id
    notifier.deliver()
    for number in range(MAX_GUESSES):
        with pytest.raises(WrongConfirmationCode, match="not the code"):
            wallets.targets.confirm(wallet_id, target_id, f"2222-222{number}")
    with pytest.raises(WrongConfirmationCode, match="too many"):
        wallets.targets.confirm(wallet_id, target_id, code_in(texts(mailbox)[0]))

    wallets.targets.ask_again(wallet_id, target_id)
    notifier.deliver()
    first, second = (code_in(text) for text in texts(mailbox))
    with pytest.raises(WrongConfirmationCode):
        wallets.targets.confirm(wallet_id, target_id, first)
    assert wallets.targets.confirm(wallet_id, target_id, second).confirm_by is None
    assert wallets.targets.confirm(wallet_id, target_id, "whatever").confirm_by is None  # it is confirmed already


def test_a_mailbox_of_somebody_else_is_not_there(wallets: CreditWallet, wallet_id: int) -> None:
    target_id = name(wallets, wallet_id).target_id
    other = wallets.create().wallet_id
    with pytest.raises(TargetNotFound):
        wallets.targets.confirm(other, target_id, "2222-2222")
    with pytest.raises(TargetNotFound):
        wallets.targets.ask_again(other, target_id)


@on_every_database
def test_a_mailbox_that_does_not_answer_is_forgotten(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, mailbox: Mailbox, clock: Clock
) -> None:
    target_id = name(wallets, wallet_id).target_id
    notifier.deliver()
    clock.advance(seconds=CONFIRM_WITHIN.total_seconds() + 1)
    with pytest.raises(TargetNotFound):
        wallets.targets.confirm(wallet_id, target_id, code_in(texts(mailbox)[0]))
    assert wallets.notices.prune(90) > 0
    assert wallets.targets.list(wallet_id) == []


def test_a_mail_server_that_is_away_is_tried_again(
    wallets: CreditWallet, wallet_id: int, clock: Clock, mailbox: Mailbox, notifier: Notifier
) -> None:
    target_id = name(wallets, wallet_id).target_id
    notifier_with(wallets, 9).deliver()
    notifier.deliver()
    assert mailbox.messages == []
    clock.advance(seconds=RETRY_SECONDS[0])
    notifier.deliver()
    notifier.deliver()
    [question] = texts(mailbox)
    assert wallets.targets.confirm(wallet_id, target_id, code_in(question)).confirm_by is None


@on_every_database
def test_how_often_a_mailbox_is_asked_in_a_day_has_a_bound_whoever_names_it(
    wallets: CreditWallet, clock: Clock
) -> None:
    spellings = ["a@example.com", "A@Example.com", "a+more@example.com", "a+other@EXAMPLE.com"]
    assert {mailbox_of(f"mailto:{each}") for each in spellings} == {"a@example.com"}
    for spelling in spellings[: mailboxes.ASKED_A_MAILBOX_AND_DAY]:
        name(wallets, wallets.create().wallet_id, f"mailto:{spelling}")
    late = wallets.create().wallet_id
    with pytest.raises(TooManyConfirmations) as refusal:
        name(wallets, late, f"mailto:{spellings[-1]}")
    assert refusal.value.details["retry_after_seconds"] == 12 * 3_600
    assert wallets.targets.list(late) == []
    clock.advance(days=1)
    assert name(wallets, late, f"mailto:{spellings[-1]}").confirm_by is not None


def test_how_many_an_owner_has_asked_in_a_day_has_a_bound(wallets: CreditWallet, wallet_id: int) -> None:
    for number in range(mailboxes.ASKED_A_WALLET_AND_DAY):
        wallets.targets.set(wallet_id, [WantedTarget(url=f"mailto:a{number}@example.com")], mail=True)
    with pytest.raises(TooManyConfirmations):
        wallets.targets.set(wallet_id, [WantedTarget(url="mailto:one-more@example.com")], mail=True)
    target = wallets.targets.list(wallet_id)[0]
    with pytest.raises(TooManyConfirmations):
        wallets.targets.ask_again(wallet_id, target.target_id)
    wallets.targets.set(wallet_id, [WantedTarget(target_id=target.target_id, language="ja")], mail=True)


@on_every_database
def test_a_mailbox_gets_so_many_mails_a_day_and_the_rest_together_on_the_next(
    wallets: CreditWallet,
    wallet_id: int,
    notifier: Notifier,
    mailbox: Mailbox,
    clock: Clock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(mailboxes, "MAILS_A_MAILBOX_AND_DAY", 2)
    wallets.targets.add(wallet_id, TargetSettings(url=STRANGER), mail=True, confirmed=True)
    for number in range(5):
        spend(wallets, wallet_id, f"charge-{number}")
        notifier.deliver()
        clock.advance(minutes=1)
    assert len(mailbox.messages) == 2
    clock.advance(hours=12)
    assert notifier.deliver() == 3
    assert mailbox.messages[-1]["subject"] == "3 notices"


def test_whom_the_operator_names_is_not_asked(
    wallets: CreditWallet, wallet_id: int, notifier: Notifier, mailbox: Mailbox
) -> None:
    assert name(wallets, OPERATOR).confirm_by is None
    vouched = TargetSettings(url="mailto:owner@example.com")
    assert wallets.targets.add(wallet_id, vouched, mail=True, confirmed=True).confirm_by is None
    spend(wallets, wallet_id, "charge")
    assert notifier.deliver() == 2
    assert {each["subject"] for each in mailbox.messages} == {"10% of the budget spent"}


def test_a_confirmed_mailbox_stays_so_when_its_settings_change_and_not_when_it_was_removed(
    wallets: CreditWallet, wallet_id: int
) -> None:
    target = wallets.targets.add(wallet_id, TargetSettings(url=STRANGER), mail=True, confirmed=True)
    [changed] = wallets.targets.set(wallet_id, [WantedTarget(url=STRANGER, language="ja")], mail=True)
    assert (changed.target_id, changed.confirm_by) == (target.target_id, None)
    wallets.targets.remove(target.target_id)
    assert name(wallets, wallet_id).confirm_by is not None


@on_every_database
@pytest.mark.partitions
def test_targets_from_before_there_were_queues_are_confirmed_and_their_deliveries_due(
    databases: Databases, clock: Clock
) -> None:
    with databases.nothing() as url:
        with CreditWallet.open(url, clock=clock) as wallets:
            wallet_id = wallets.create(monthly_budget_yen=100).wallet_id
            wallets.topup(wallet_id, 100, idempotency_key="topup")
            wallets.charge(wallet_id, 50, idempotency_key="charge")
        database = database_at(url)
        database.rollback(291)
        with PlainSql(url) as host:
            for target in (STRANGER, SLACK, f"https://{SLACK_HOOK}", "https://one.example/"):
                put = "INSERT INTO am_credit_target (wallet_id, url, created_at) VALUES "
                host.run(f"{put}({wallet_id}, '{target}', '2026-05-01T00:00:00.000Z')")
            event = "SELECT wallet_id, event_id, 1, '2026-05-15T12:00:00.000Z', occurred_at FROM am_credit_outbox"
            host.run(
                f"INSERT INTO am_credit_delivery (wallet_id, event_id, target_id, next_attempt_at, created_at) {event}"
            )
        with CreditWallet.open(url, clock=clock) as wallets, closing(Mailbox()) as mailbox:
            assert [each.confirm_by for each in wallets.targets.list(wallet_id)] == [None] * 4
            with PlainSql(url) as host:
                ways = host.run("SELECT way FROM am_credit_target ORDER BY target_id")
            assert ways == [("mail",), ("service",), ("service",), ("webhook",)]
            wallets.targets.set(wallet_id, [WantedTarget(url=STRANGER)], mail=True)
            assert notifier_with(wallets, mailbox.port).deliver() == 1


# Addresses


@pytest.mark.parametrize(
    "url",
    [
        "mailto:v1%40x.com%2Cv2%40y.com",
        "mailto:v1@x.com,v2@y.com",
        "mailto:v1@x.com%2Cv2@y.com",
        "mailto:v1@x.com;v2@y.com",
        "mailto:v1@x.com?cc=v2@y.com",
        "mailto:v1@x.com?bcc=v2@y.com",
        "mailto:v1@x.com&to=v2@y.com",
        "mailto:v1@x.com?subject=Win",
        "mailto:v1@x.com%0d%0aBcc:v2@y.com",
        "mailto:v1@x.com\r\nBcc:v2@y.com",
        "mailto:v1@x.com v2@y.com",
        "mailto:Win <v1@x.com>",
        "mailto:v1@x.com/v2@y.com",
        "mailto://v1@x.com",
        "mailto://user:password@smtp.x.com?to=v1@y.com",
        "mailtos://user:password@smtp.x.com?to=v1@y.com",
        "mailto:v1@@x.com",
        "mailto:v1@x",
        "mailto:.v1@x.com",
        "mailto:v1@x..com",
        "mailto:v1@-x.com",
        "mailto:v1\uff0cv2@x.com",
        "mailto:v1@x\u3002com",
        f"mailto:{'a' * 250}@x.com",
    ],
)
def test_a_mail_target_is_one_mailbox_and_nothing_else(wallets: CreditWallet, wallet_id: int, url: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        name(wallets, wallet_id, url)
    assert refusal.value.details["field"] == "url"
    assert wallets.targets.list(wallet_id) == []


@pytest.mark.parametrize(
    "url",
    [
        "JSON://127.0.0.1/x",
        "json://127.0.0.1/x",
        "Xml://127.0.0.1/x",
        "HTTP://127.0.0.1/x",
        f"HTTPS://user:password@{SLACK_HOOK}",
        f"https://{SLACK_HOOK.replace('.com', '.com:8443')}",
        f"https://{SLACK_HOOK}?to=everybody",
        "https://DISCORD.com/nothing",
        "MailTo:v1@x.com,v2@y.com",
        "tgram://123456789:abcdefg_hijklmnop/1/2/3",
        f"{SLACK}/%23one/%23two",
        "line://token/U1/U2",
        "\thttps://example.com/",
        "https:/example.com/",
        "https:example.com",
        "//example.com/",
        "example.com",
    ],
)
def test_no_spelling_goes_past_the_list_of_services_that_owners_may_name(
    wallets: CreditWallet, wallet_id: int, url: str
) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        name(wallets, wallet_id, url)
    assert refusal.value.details["field"] == "url"
    assert wallets.targets.list(wallet_id) == []


def test_no_address_takes_long_to_be_refused(wallets: CreditWallet, wallet_id: int) -> None:
    """Every character is looked at once, and what ``apprise`` looks at again and again is short."""
    for long in ("mailto:a@" + "." * 200_000 + ",", "mailto:" + "a." * 100_000, "mailto:a@" + "a." * 100_000 + ","):
        assert not is_mail(long)
    for url in ("discord://" + "a/" * 900, "slack://" + "a/" * 900, SLACK + "/" * 300):
        with pytest.raises(InvalidRequest, match="at most 300 characters") as refused:
            wallets.targets.add(wallet_id, TargetSettings(url=url))
        assert refused.value.details["field"] == "url"


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("HTTPS://Example.COM/Path?A=B", "https://example.com/Path?A=B"),
        ("hTTps://Example.COM", "https://example.com"),
        ("https://Example.com?A=B", "https://example.com?A=B"),
        ("MAILTO:CFO@example.com", "mailto:CFO@example.com"),
        (SLACK.replace("slack", "SLACK"), SLACK),
        (TELEGRAM, TELEGRAM),
        ("no address", "no address"),
    ],
)
def test_an_address_has_one_spelling(written: str, meant: str) -> None:
    assert normalised(written) == meant


def test_a_webhook_in_capitals_is_a_webhook(wallets: CreditWallet, wallet_id: int) -> None:
    target = name(wallets, wallet_id, "HTTPS://EXAMPLE.com/Hooks")
    assert target.secret is not None
    assert target.address == "https://example.com/…"
    name(wallets, wallet_id, "https://example.com/Hooks")
    assert len(wallets.targets.list(wallet_id)) == 1


# Over HTTP


def test_an_owner_confirms_over_http(wallets: CreditWallet, notifier: Notifier, mailbox: Mailbox) -> None:
    owner = wallets.create(label=FREE_TEXT)
    with Api(new_app(wallets, notify=NotifySettings("mailto://127.0.0.1"))) as api:
        body: dict[str, Any] = {"notification_targets": [{"url": STRANGER}]}
        changed = api.call("PATCH", "/credit/wallet", owner.owner_token, json=body).json()
        [target] = changed["notification_targets"]
        assert target["confirm_by"] is not None
        notifier.deliver()
        path = f"/credit/notification-targets/{target['target_id']}"
        wrong = api.call("POST", f"{path}/confirm", owner.owner_token, json={"code": "2222-2222"})
        assert (wrong.status_code, wrong.json()["code"]) == (422, "wrong_confirmation_code")
        assert api.call("POST", f"{path}/ask-again", owner.owner_token).status_code == 200
        notifier.deliver()
        right = {"code": code_in(texts(mailbox)[-1])}
        confirmed = api.call("POST", f"{path}/confirm", owner.owner_token, json=right)
        assert (confirmed.status_code, confirmed.json()["confirm_by"]) == (200, None)

        for number in range(mailboxes.ASKED_A_MAILBOX_AND_DAY):
            targets = [{"url": f"mailto:cfo+{number}@example.com"}]
            body = {"low_balance_yen": number, "notification_targets": targets}
            answer = api.call("PATCH", "/credit/wallet", owner.owner_token, json=body)
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_confirmations")
        assert int(answer.headers["retry-after"]) > 0
        shown = api.get("/credit/wallet", owner.owner_token).json()
        assert shown["low_balance_yen"] < number, "what is refused changes nothing"
