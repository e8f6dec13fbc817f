"""``credit-wallet alerts``: notices and where they go."""

from __future__ import annotations

import re
from contextlib import closing
from typing import Any

import pytest
from receivers import Mailbox, receiver
from shell import Shell, only_line


def test_targets_are_added_tried_and_removed(funded: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_WALLET_NOTIFY_PRIVATE", "on")
    with receiver() as endpoint:
        added = funded.json(
            "alerts", "targets", "add", endpoint.url, 1, "--kind", "budget.threshold_reached", "--language", "ja"
        )
        assert added["secret"].startswith("whsec_")
        operators = funded.json("alerts", "targets", "add", f"{endpoint.url}/all")
        assert [each["wallet_id"] for each in funded.json("alerts", "targets", "list")] == [0]
        [listed] = funded.json("alerts", "targets", "list", 1)
        assert (listed["target_id"], listed["kinds"], listed["secret"]) == (
            added["target_id"],
            ["budget.threshold_reached"],
            None,
        )

        assert [each["error"] for each in funded.json("alerts", "test", 1)] == [None]
        funded("charge", 1, 50, "--key", "half")
        assert funded.json("alerts", "deliver") == {"delivered": 2}
        assert [each["status"] for each in funded.json("alerts", "deliveries", "--wallet", 1)] == ["delivered"] * 2
        [first, _] = funded.json("alerts", "deliveries")
        assert funded.json("alerts", "resend", first["delivery_id"]) == {"resent": 1}
        assert funded.json("alerts", "deliver") == {"delivered": 1}
        rotated = funded.json("alerts", "targets", "rotate-secret", added["target_id"])
        assert rotated["secret"] not in (None, added["secret"])
        assert len(endpoint.received) == 4

    funded.json("alerts", "targets", "remove", operators["target_id"])
    assert funded.json("alerts", "targets", "list") == []
    funded("charge", 1, 30, "--key", "more")
    answer = funded.run("--db", funded.url, "--json", "alerts", "deliver")
    assert (answer.code, answer.out) == (0, '{"delivered":0}\n')
    assert "event=notice_not_delivered" in answer.err
    assert [each["status"] for each in funded.json("alerts", "deliveries", "--status", "pending")] == ["pending"]
    assert funded.json("alerts", "resend", "--dead") == {"resent": 0}


def test_a_mailbox_is_confirmed_by_the_code_that_it_was_sent(funded: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    with closing(Mailbox()) as mailbox:
        monkeypatch.setenv("CREDIT_WALLET_MAIL_URL", f"mailto://127.0.0.1:{mailbox.port}?from=wallet@example.com")
        added = funded.json("alerts", "targets", "add", "mailto:owner@example.com", 1)
        vouched = funded.json("alerts", "targets", "add", "mailto:cfo@example.com", 1, "--confirmed")
        assert (vouched["confirm_by"], funded.json("alerts", "targets", "ask-again", added["target_id"])) == (
            None,
            added,
        )
        assert funded.json("alerts", "deliver") == {"delivered": 0}
        [question] = mailbox.messages
    body = question.get_body()
    assert body is not None
    [code] = re.findall(r"\b[2-9A-Z]{4}-[2-9A-Z]{4}\b", body.get_content())
    wrong = ("alerts", "targets", "confirm", added["target_id"], "2222-2222")
    assert funded.refused(*wrong)[0] == "wrong_confirmation_code"
    assert funded.json("alerts", "targets", "confirm", added["target_id"], code) == {**added, "confirm_by": None}


def test_a_sample_that_does_not_arrive_ends_with_1(funded: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_WALLET_NOTIFY_PRIVATE", "on")
    funded.json("alerts", "targets", "add", "http://127.0.0.1:9/", 1)
    answer = funded.run("--db", funded.url, "--json", "alerts", "test", 1)
    [tried] = only_line(answer.out)
    assert answer.code == 1
    assert tried["error"] == "the receiver could not be reached (ConnectError)"


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("alerts", "targets", "add", "ftp://example.com", 1), "invalid_request"),
        (("alerts", "targets", "add", "https://example.com/", 9), "wallet_not_found"),
        (("alerts", "targets", "remove", 9), "target_not_found"),
        (("alerts", "targets", "rotate-secret", 9), "target_not_found"),
        (("alerts", "targets", "confirm", 9, "2222-2222"), "target_not_found"),
        (("alerts", "targets", "ask-again", 9), "target_not_found"),
        (("alerts", "resend"), "invalid_request"),
        (("alerts", "resend", 9), "delivery_not_found"),
        (("alerts", "test", 9), "wallet_not_found"),
    ],
)
def test_what_makes_no_sense_of_notices_is_refused(funded: Shell, arguments: tuple[Any, ...], code: str) -> None:
    assert funded.refused(*arguments)[0] == code
