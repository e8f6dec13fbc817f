"""What strangers write is text in every service: no markup, no mention, no link, no header.

The kind is "a service with markup of its own". Who writes what people read in a notice:

- owners, agents and hosts: labels; payment providers: reasons. Both are made inert for people, in every service alike;
- Stripe: ``action_url``, which people are to open, and which is a link only when it is an address and nothing else;
- this product: everything else.

The services are those that owners may name (``OWNERS_SERVICES``, ``OWNERS_HOSTS`` and mail), each in every format that
the operator can ask for, and a choice of what only operators may name. Webhooks are for programs, and exact.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import parse_qsl

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec import DecodeError, json
from receivers import Mailbox
from requests.sessions import Session

from credit_wallet import CreditWallet
from credit_wallet.delivery.sender import Sender, payload_of
from credit_wallet.errors import InvalidRequest
from credit_wallet.notices.budget_texts import MAX_QUOTED
from credit_wallet.notices.inert import inert, link
from credit_wallet.notices.targets import OWNERS_SERVICES, Target, TargetSettings, is_mail
from credit_wallet.notices.texts import Notice, message_of

DISCORD = "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js"
SLACK = "slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ"
TELEGRAM = "tgram://123456789:abcdefg_hijklmnop/12315544/"
PUSHOVER = f"pover://{'u' * 30}@{'a' * 30}"
GOOGLE_CHAT = "gchat://workspace/webhookkey/token"

OWNERS = [
    DISCORD,
    SLACK,
    TELEGRAM,
    PUSHOVER,
    GOOGLE_CHAT,
    "line://token/U123",
    "https://discord.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
    "https://discordapp.com/api/webhooks/4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
    "https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ",
    "https://chat.googleapis.com/v1/spaces/AAAA/messages?key=KEY&token=TOKEN",
]
OPERATORS = [
    f"{DISCORD}?format=markdown",
    f"{SLACK}?format=markdown",
    f"{SLACK}?blocks=yes",
    f"{TELEGRAM}?format=markdown",
    f"{TELEGRAM}?format=markdown&mdv=v2",
    f"{TELEGRAM}?format=html",
    f"{PUSHOVER}?format=html",
    f"{GOOGLE_CHAT}?format=markdown",
    "mmost://mattermost.example.com/3ccdd113474722377935511fc85d3dd4",
    "mmost://mattermost.example.com/3ccdd113474722377935511fc85d3dd4?format=markdown",
    "rockets://webhook/token@rocket.example.com/#channel",
    "workflows://host:443/643e0428-4c0e/signature",
    f"zulip://bot@org/{'a' * 32}/stream",
    "ntfy://topic",
    "ntfy://topic?format=markdown",
    f"wxteams://{'a' * 80}",
    "gotify://gotify.example.com/aaaaaaaaaaaaaaa",
    "matrixs://webhook@hostname.example.com/?mode=slack",
    f"matrixs://{'a' * 64}@matrix.example.com?mode=hookshot",
    "dingtalk://abc123/",
    "dingtalk://abc123/?format=markdown",
    "lark://abc123/",
    "revolt://bot_token/channel",
    "github://token@owner/repository",
    "nctalk://user:password@cloud.example.com/room",
    "mailgun://user@example.com/3ccdd113474722377935511fc85d3dd4-1a2b3c4d-5e6f7g8h/to@example.com",
    "sendgrid://abcd:from@example.com/to@example.com",
]
HOSTILE = [
    "@everyone [pay](http://evil.example)",
    "@here @channel @all <@4174216298> <@&1>",
    "<!channel> <!here> <http://evil.example|pay> <@U1> <#C1>",
    "<users/all> *bold* _italic_ ~struck~ `code` ||spoiler|| __under__",
    "<b>bold</b> <a href='http://evil.example'>pay</a> <script>alert(1)</script> <img src=x>",
    "&lt;b&gt;bold&lt;/b&gt; &#64;everyone &commat;here",
    "# heading\n- list\n> quote\n```\ncode\n```\n---",
    "evil.example/pay www.evil.example https://evil.example 10.0.0.1 user@evil.example",
    "mailto:pay@evil.example tel:0312345678 javascript:alert(1)",
    "/start #tag #1 $USD $$x$$ :tada: :+1: :100:",
    "{color:red}red{color} ![image](http://evil.example/x.png) [x]: http://evil.example",
    "\r\nBcc: everyone@evil.example\r\n\r\n<b>",
    "\\@everyone \\<b\\> \\",
    "evil\u200b.example evil.\u200dexample ht\u2060tp://evil.example \u202eelpmaxe.live//:ptth",
]


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies of the requests that services are sent; every one is taken."""
    bodies: list[bytes] = []

    def take(_: Session, request: requests.PreparedRequest, **__: object) -> requests.Response:
        assert isinstance(request.body, str | bytes)
        bodies.append(request.body.encode() if isinstance(request.body, str) else request.body)
        answer = requests.Response()
        answer.status_code = 200
        answer._content = b"ok" if "hooks.slack.com" in str(request.url) else b'{"ok": true, "errcode": 0}'
        return answer

    monkeypatch.setattr(Session, "send", take)
    return bodies


def send(url: str, *notices: Notice, language: Any = "en", mail_url: str | None = None) -> None:
    target = Target(url=url, target_id=1, wallet_id=0, secrets=(), stopped=None, created_at="", language=language)
    Sender("ledger", mail_url, private=True).say_notices(target, notices)


def alert(label: str) -> Notice:
    spent = {"threshold_pct": 50, "spent_yen": 500, "budget_yen": 1_000, "billing_cycle": "2026-05"}
    return Notice(1, 7, label, "budget.threshold_reached", spent, "2026-05-15T12:00:00.000Z")


def failure(reason: str) -> Notice:
    return Notice(1, 7, None, "topup.failed", {"amount_yen": 500, "reason": reason}, "2026-05-15T12:00:00.000Z")


def crossing(text: str) -> Notice:
    """A notice of a budget with a label of its owner's, about a value of an agent's."""
    named = {"budget_id": "budget-12", "label": text, "unit": "yen", "window": "day", "scope": {"run": "*"}}
    spent = {"values": {"run": text}, "threshold_pct": 80, "limit": "100", "spent": "80.5", "resets_at": None}
    return Notice(1, 7, None, "budget.threshold_reached", {**named, **spent}, "2026-05-15T12:00:00.000Z")


def shown(body: bytes) -> str:
    """What a service makes of a request's body: its strings, with entities and escapes read."""
    text = body.decode()
    try:
        leaves = list(strings_in(json.decode(text)))
    except DecodeError:
        leaves = [value for _, value in parse_qsl(text)]
    read = "\n".join(html.unescape(leaf).replace("\xa0", " ") for leaf in leaves)
    return re.sub(r"\\([!-/:-@\[-`{-~])", r"\1", read)


def strings_in(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from strings_in(each)


in_every_service = pytest.mark.parametrize(
    "url", OWNERS + OPERATORS, ids=lambda url: f"{url[:12]}{url.partition('?')[2]}"
)


@in_every_service
def test_a_label_and_a_reason_are_text_in_every_service(url: str, sent: list[bytes]) -> None:
    for label in HOSTILE:
        send(url, alert(label))
        assert f"Wallet 7 ({inert(label)}) has spent ¥500" in shown(sent[-1])
        assert label not in shown(sent[-1])
        send(url, failure(label))
        assert f"failed ({inert(label)})." in shown(sent[-1])
        send(url, alert(label), failure(label), language="ja")
        assert f"ウォレット7({inert(label)})は" in shown(sent[-1])


@in_every_service
def test_a_budgets_label_and_an_agents_value_are_text_in_every_service(url: str, sent: list[bytes]) -> None:
    for text in HOSTILE:
        send(url, crossing(text))
        assert f"in its daily budget “{inert(text)}” for run “{inert(text)}”." in shown(sent[-1])
        assert text not in shown(sent[-1])
        send(url, crossing(text), crossing(text), language="ja")
        assert f"ウォレット7は1日の予算「{inert(text)}」(run「{inert(text)}」)の¥100のうち¥80.5を" in shown(sent[-1])


def test_every_service_of_owners_is_in_the_table() -> None:
    schemes = {url.partition(":")[0] for url in OWNERS}
    assert schemes == {*OWNERS_SERVICES, "https"}


@given(st.text(), st.text(alphabet="@<>*_`~|#&$:/.a1;[]\\(){} \n", max_size=12))
@example("a.b", "a:b")
@example("@a", "1.2.3.4")
@example("::", "a://b")
@example("3.30.", ".5")
def test_nothing_active_is_left(first: str, second: str) -> None:
    text = inert(first + second)
    assert not re.search(r"[*`~|\[\]<>{}#@]", text)
    assert not re.search(r"(?<![0-9A-Za-z])_|_(?![0-9A-Za-z])", text)  # emphasis
    assert not re.search(r"&(#|\w+;)", text)  # entities
    assert not re.search(r"[^\d\s]\.\S|\.[^\d\s]", text)  # names of hosts
    assert not re.search(r"\d\.\d+\.\d", text)  # addresses of hosts
    assert not re.search(r":[^\d\s]|(^|\D):\d", text)  # schemes, ports, emoji
    assert not re.search(r"(^|[^0-9A-Za-z])/", text)  # commands, paths
    assert not re.search(r"\$\D", text)
    assert not re.search(r"[\r\n]", text)


@pytest.mark.parametrize(
    "text",
    [
        "search",
        "card_declined",
        "R&D team-a/search (prod), v2",
        "¥3.30 at 12:00, 50 % = half; 100+1!",
        "検索エージェント(本番)「テスト」",
        "Ünïcödé – “quoted” … 'it''s'",
        "Your card was declined.",
    ],
)
def test_what_is_no_markup_is_left_as_it_is(text: str) -> None:
    assert inert(text) == text


def test_what_is_replaced_reads_the_same() -> None:
    assert inert("@ops *v1.2* <b>") == "﹫ops ＊v1․2＊ ＜b＞"


# Discord


@pytest.mark.parametrize("url", [url for url in OWNERS + OPERATORS if "discord" in url])
def test_no_message_to_discord_may_mention_anybody(url: str, sent: list[bytes]) -> None:
    send(url, alert("search"))
    assert json.decode(sent[-1])["allowed_mentions"] == {"parse": []}


def test_an_operator_may_have_discord_mention_somebody(sent: list[bytes]) -> None:
    send(f"{DISCORD}?ping=@here", alert("@everyone"))
    payload = json.decode(sent[-1])
    assert "@here" in payload["content"]
    assert "@everyone" not in payload["content"]


# Addresses to open


def action(url: str) -> Notice:
    return Notice(1, 7, None, "topup.requires_action", {"amount_yen": 500, "action_url": url}, "")


@pytest.mark.parametrize("url", [*OWNERS, f"{TELEGRAM}?format=html"])
def test_the_address_to_pay_at_is_a_link_in_every_service(url: str, sent: list[bytes]) -> None:
    address = "https://checkout.stripe.com/c/pay/cs_test_a1_b2?x=1&y_z=2#fid-kdWx"
    send(url, action(address))
    body = sent[-1].decode()
    if "pover" in url:
        body = dict(parse_qsl(body))["message"]
    assert body.replace("&amp;", "&").count(address) == 1


@pytest.mark.parametrize(
    "address",
    [
        "javascript:alert(1)",
        "https://evil.example/) [x](https://evil.example",
        "https://evil.example|pay",
        "https://evil.example/<b>",
        "https://user@evil.example/",
        "https://evil.example/@everyone",
        "pay now",
    ],
)
def test_what_is_more_than_an_address_is_no_link(address: str) -> None:
    assert link(address) == inert(address)
    assert inert(address) in message_of([action(address)], "en").body


# Mail


@pytest.mark.parametrize("text", HOSTILE)
def test_mail_has_no_header_and_no_markup_of_a_stranger(text: str) -> None:
    with closing(Mailbox()) as mailbox:
        server = f"mailto://127.0.0.1:{mailbox.port}?from=wallet@example.com"
        send("mailto:cfo@example.com", alert(text), mail_url=server)
        send("mailto:cfo@example.com", failure(text), mail_url=f"{server}&format=html")
    plain, as_html = mailbox.messages
    for message in (plain, as_html):
        assert message["to"] == "cfo@example.com"
        assert message["bcc"] is None
        assert message["cc"] is None
    assert (plain["subject"], as_html["subject"]) == ("50% of the budget spent", "A top-up failed")
    assert f"Wallet 7 ({inert(text)}) has spent" in plain.get_content()
    for part in as_html.walk():
        if part.get_content_maintype() == "text":
            read = html.unescape(part.get_content()).replace("\xa0", " ")
            assert f"failed ({inert(text)})." in read


@pytest.mark.parametrize("text", [*HOSTILE, "long " * 100])
def test_a_budgets_label_stands_in_the_subject_of_a_mail_and_adds_no_header(text: str) -> None:
    with closing(Mailbox()) as mailbox:
        server = f"mailto://127.0.0.1:{mailbox.port}?from=wallet@example.com"
        send("mailto:cfo@example.com", crossing(text), mail_url=server)
    [message] = mailbox.messages
    assert (message["to"], message["bcc"], message["cc"]) == ("cfo@example.com", None, None)
    label = inert(text if len(text) <= MAX_QUOTED else f"{text[: MAX_QUOTED - 1]}…")
    assert message["subject"] == f"80% of the daily budget “{label}” used"


def test_mail_goes_to_the_address_as_it_was_named() -> None:
    with closing(Mailbox()) as mailbox:
        server = f"mailto://127.0.0.1:{mailbox.port}?from=wallet@example.com"
        send("mailto:first.last+wallet@example.com", alert("search"), mail_url=server)
    assert [message["to"] for message in mailbox.messages] == ["first.last+wallet@example.com"]


@pytest.mark.parametrize(
    "address",
    [
        "a%0aBcc%3Aevil@example.com",
        "a,b@example.com",
        "a;b@example.com",
        "a<b@example.com",
        'a"b@example.com',
        "a'b@example.com",
        "a(b)@example.com",
        "a@example.com?cc=b@example.com",
    ],
)
def test_an_address_that_could_be_more_than_one_is_refused(wallets: CreditWallet, address: str) -> None:
    assert not is_mail(f"mailto:{address}")
    wallet_id = wallets.create().wallet_id
    with pytest.raises(InvalidRequest, match="url"):
        wallets.targets.add(wallet_id, TargetSettings(url=f"mailto:{address}"), mail=True)


# Webhooks


@pytest.mark.parametrize("reason", HOSTILE)
def test_a_webhook_has_the_text_exactly(reason: str) -> None:
    assert json.decode(payload_of(failure(reason), "ledger"))["data"]["reason"] == reason
