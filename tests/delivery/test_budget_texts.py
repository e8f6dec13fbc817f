"""What people read of budgets: the window in words, exact figures, whom it is about, what to do."""

from __future__ import annotations

from typing import Any

import pytest

from credit_wallet.notices.texts import KINDS, Message, Notice, message_of
from credit_wallet.rules.events import (
    Event,
    budget_exhausted,
    budget_raised,
    budget_renewed,
    budget_threshold_reached,
)

AT = "2026-11-28T10:11:12.000Z"
MIDNIGHT = "2026-11-28T15:00:00.000Z"
DAY: dict[str, Any] = {
    "budget_id": "budget-12",
    "label": "searches",
    "unit": "yen",
    "window": "day",
    "mode": "cap",
    "scope": {},
    "values": {},
    "value": None,
    "held": "0",
    "resets_at": MIDNIGHT,
}
RUN = {**DAY, "scope": {"run": "*"}, "values": {"run": "r1"}, "value": "r1"}
OF_GROUP = {"group": "acme/search", "item": "tokens.input", "key_id": "3"}
CALLS = {**DAY, "label": None, "unit": "calls", "window": "hour"}
ROLLING = {**DAY, "window": "rolling:24h"}
TOTAL = {**DAY, "window": "total", "resets_at": None}


def message(event: Event, language: str, **more: Any) -> Message:
    payload = {**event.payload, **more}
    return message_of([Notice(1, 7, "search", event.kind, payload, AT, "Asia/Tokyo")], language)


def reached(budget: dict[str, Any]) -> Event:
    spent = "880.5" if budget["unit"] == "yen" else "880"
    return budget_threshold_reached(7, {**budget, "limit": "1100", "spent": spent}, 80, AT)


def exhausted(budget: dict[str, Any], **figures: str) -> Event:
    usual = {"limit": "100", "left": "0.3", "refused": "3.3"}
    return budget_exhausted(7, {**budget, **usual, **figures}, AT)


def raised(budget: dict[str, Any], by: str) -> Event:
    return budget_raised(7, {**budget, "limit": "100"}, 200_500_000, "2026-12-01T00:00:00.000Z", by)


def renewed(budget: dict[str, Any], spent: str, refusals: int) -> Event:
    figures = {"limit": "100", "spent": spent, "refusals": refusals}
    return budget_renewed(7, {**budget, **figures}, "2026-11-27T15:00:00.000Z", MIDNIGHT)


@pytest.mark.parametrize(
    ("event", "english", "japanese"),
    [
        (
            reached(RUN),
            (
                "80% of the daily budget “searches” used",
                "Wallet 7 (search) has used ¥880.5 of ¥1,100 in its daily budget “searches” for run “r1”. It starts "
                "anew at 2026-11-29 00:00 (Asia/Tokyo).",
            ),
            (
                "1日の予算「searches」の80%を使用しました",
                "ウォレット7(search)は1日の予算「searches」(run「r1」)の¥1,100のうち¥880.5を使用しました。"
                "2026-11-29 00:00 (Asia/Tokyo)に新しい期間が始まります。",
            ),
        ),
        (
            reached({**CALLS, "scope": OF_GROUP}),
            (
                "80% of the hourly call budget “budget-12” used",
                "Wallet 7 (search) has used 880 of 1,100 calls in its hourly call budget “budget-12” for key group "
                "“acme/search” and item “tokens․input” and agent key 3. It starts anew at 2026-11-29 00:00 "
                "(Asia/Tokyo).",
            ),
            (
                "1時間の呼び出し枠「budget-12」の80%を使用しました",
                "ウォレット7(search)は1時間の呼び出し枠「budget-12」(キーグループ「acme/search」、品目「"
                "tokens․input」、エージェントキー3)の1,100回のうち880回を使用しました。"
                "2026-11-29 00:00 (Asia/Tokyo)に新しい期間が始まります。",
            ),
        ),
        (
            reached(ROLLING),
            (
                "80% of the rolling 24-hour budget “searches” used",
                "Wallet 7 (search) has used ¥880.5 of ¥1,100 in its rolling 24-hour budget “searches”. Each use "
                "leaves it after 24 hours.",
            ),
            (
                "直近24時間の予算「searches」の80%を使用しました",
                "ウォレット7(search)は直近24時間の予算「searches」の¥1,100のうち¥880.5を使用しました。使用分は24時間"
                "後に予算へ戻ります。",
            ),
        ),
        (
            exhausted(RUN, held="20"),
            (
                "The daily budget “searches” is used up",
                "The daily budget “searches” for run “r1” of Wallet 7 (search) refuses calls: ¥0.3 of ¥100 is left "
                "(¥20 on hold), and a call of ¥3.3 was refused. Raise the limit, or wait until 2026-11-29 00:00 "
                "(Asia/Tokyo).",
            ),
            (
                "1日の予算「searches」の上限に達しました",
                "ウォレット7(search)の1日の予算「searches」(run「r1」)は残り¥0.3(上限¥100)、確保中¥20となり、¥3.3の"
                "呼び出しを拒否しました。上限を引き上げるか、2026-11-29 00:00 (Asia/Tokyo)までお待ちください。",
            ),
        ),
        (
            exhausted({**ROLLING, "window": "rolling:1d"}),
            (
                "The rolling 1-day budget “searches” is used up",
                "The rolling 1-day budget “searches” of Wallet 7 (search) refuses calls: ¥0.3 of ¥100 is left, and "
                "a call of ¥3.3 was refused. Raise the limit, or wait: each use leaves this budget after 1 day.",
            ),
            (
                "直近1日の予算「searches」の上限に達しました",
                "ウォレット7(search)の直近1日の予算「searches」は残り¥0.3(上限¥100)となり、¥3.3の呼び出しを拒否しま"
                "した。上限を引き上げるか、お待ちください。使用分は1日後に予算へ戻ります。",
            ),
        ),
        (
            exhausted(TOTAL),
            (
                "The total budget “searches” is used up",
                "The total budget “searches” of Wallet 7 (search) refuses calls: ¥0.3 of ¥100 is left, and a call "
                "of ¥3.3 was refused. Raise the limit to continue.",
            ),
            (
                "通算の予算「searches」の上限に達しました",
                "ウォレット7(search)の通算の予算「searches」は残り¥0.3(上限¥100)となり、¥3.3の呼び出しを拒否しました"
                "。続けるには上限を引き上げてください。",
            ),
        ),
        (
            exhausted(CALLS, left="0", limit="1", refused="1"),
            (
                "The hourly call budget “budget-12” is used up",
                "The hourly call budget “budget-12” of Wallet 7 (search) refuses calls: 0 of 1 call are left, and "
                "another call was refused. Raise the limit, or wait until 2026-11-29 00:00 (Asia/Tokyo).",
            ),
            (
                "1時間の呼び出し枠「budget-12」の上限に達しました",
                "ウォレット7(search)の1時間の呼び出し枠「budget-12」は残り0回(上限1回)となり、次の呼び出しを拒否しま"
                "した。上限を引き上げるか、2026-11-29 00:00 (Asia/Tokyo)までお待ちください。",
            ),
        ),
        (
            raised({**RUN, "values": {}}, "operator"),
            (
                "The daily budget “searches” was raised",
                "The limit of the daily budget “searches” for each run of Wallet 7 (search) is ¥200.5 instead of "
                "¥100 until 2026-12-01 09:00 (Asia/Tokyo). It was raised by the operator.",
            ),
            (
                "1日の予算「searches」の上限が引き上げられました",
                "ウォレット7(search)の1日の予算「searches」(runごと)の上限は、2026-12-01 09:00 (Asia/Tokyo)まで"
                "¥100から¥200.5に引き上げられました(変更者: 運営者)。",
            ),
        ),
        (
            renewed({**RUN, "mode": "shadow"}, "99.5", 12),
            (
                "The daily shadow budget “searches” has started anew",
                "The daily shadow budget “searches” for run “r1” of Wallet 7 (search) started anew at 2026-11-29 00:00 "
                "(Asia/Tokyo). In the window before, ¥99.5 of ¥100 was used, and 12 calls would have been "
                "refused.",
            ),
            (
                "1日のシャドー予算「searches」の新しい期間が始まりました",
                "ウォレット7(search)の1日のシャドー予算「searches」(run「r1」)は2026-11-29 00:00 (Asia/Tokyo)に新しい期"
                "間に入りました。直前の期間は¥100のうち¥99.5を使用しました。上限として働いていれば、12回の呼び出しを拒否してい"
                "ました。",
            ),
        ),
        (
            renewed(CALLS, "100", 0),
            (
                "The hourly call budget “budget-12” has started anew",
                "The hourly call budget “budget-12” of Wallet 7 (search) started anew at 2026-11-29 00:00 "
                "(Asia/Tokyo). In the window before, 100 of 100 calls were used.",
            ),
            (
                "1時間の呼び出し枠「budget-12」の新しい期間が始まりました",
                "ウォレット7(search)の1時間の呼び出し枠「budget-12」は2026-11-29 00:00 (Asia/Tokyo)に新しい期間に入"
                "りました。直前の期間は100回のうち100回を使用しました。",
            ),
        ),
    ],
)
def test_what_people_read(event: Event, english: tuple[str, str], japanese: tuple[str, str]) -> None:
    assert message(event, "en") == Message(*english)
    assert message(event, "ja") == Message(*japanese)


@pytest.mark.parametrize(
    ("window", "english", "japanese"),
    [
        ("minute", "per-minute", "1分"),
        ("week", "weekly", "1週間"),
        ("month", "monthly", "1か月"),
        ("rolling:30m", "rolling 30-minute", "直近30分"),
        ("rolling:7d", "rolling 7-day", "直近7日"),
        ("of_a_later_release", "of_a_later_release", "of_a_later_release"),
    ],
)
def test_every_window_has_a_name(window: str, english: str, japanese: str) -> None:
    assert message(reached({**DAY, "window": window}), "en").title == f"80% of the {english} budget “searches” used"
    assert message(reached({**DAY, "window": window}), "ja").title == f"{japanese}の予算「searches」の80%を使用しました"


@pytest.mark.parametrize(
    ("who", "english", "japanese"),
    [("payer", "the owner", "所有者"), ("product", "the wallet", "システム"), ("seller:4", "seller 4", "販売者4")],
)
def test_who_raised_a_budget_is_named(who: str, english: str, japanese: str) -> None:
    assert message(raised(DAY, who), "en").body.endswith(f"raised by {english}.")
    assert message(raised(DAY, who), "ja").body.endswith(f"(変更者: {japanese})。")


def test_another_limit_may_be_a_lower_one() -> None:
    lowered = budget_raised(7, {**DAY, "limit": "300"}, 200_500_000, "2026-12-01T00:00:00.000Z", "operator")
    english, japanese = message(lowered, "en"), message(lowered, "ja")
    assert english.title == "The daily budget “searches” was lowered"
    assert english.body.endswith(
        "is ¥200.5 instead of ¥300 until 2026-12-01 09:00 (Asia/Tokyo). It was lowered by the operator."
    )
    assert japanese.title == "1日の予算「searches」の上限が引き下げられました"
    assert "¥300から¥200.5に引き下げられました" in japanese.body


@pytest.mark.parametrize("budget", [DAY, ROLLING, TOTAL])
def test_nobody_waits_for_a_budget_of_nothing(budget: dict[str, Any]) -> None:
    stopped = exhausted(budget, limit="0", left="0")
    assert message(stopped, "en").body.endswith("was refused. Raise the limit to continue.")
    assert message(stopped, "ja").body.endswith("拒否しました。続けるには上限を引き上げてください。")


def test_values_are_named_by_the_conditions_that_they_fill() -> None:
    values = {"key_id": "3", "run": "r1, r2"}
    budget = {**DAY, "scope": {"item": "search", "key_id": "*", "run": "*"}, "values": values, "value": "3, r1, r2"}
    assert "for item “search” and agent key 3 and run “r1, r2”." in message(reached(budget), "en").body
    assert "(品目「search」、エージェントキー3、run「r1, r2」)" in message(reached(budget), "ja").body


def test_a_fact_that_is_called_like_a_field_is_called_by_its_name() -> None:
    assert " for item “x”." in message(reached({**DAY, "scope": {"fact.item": "x"}}), "en").body


def test_the_last_notice_of_an_hour_says_that_others_are_held_back() -> None:
    assert message(reached(RUN), "en", held_back=True).body.endswith("The list of budgets has every value.")
    assert message(reached(RUN), "ja", held_back=True).body.endswith("すべての値は予算の一覧で確認できます。")


HOSTILE = (
    "r1” of Wallet 8」 @here <!channel> [pay](https://evil.example/x) *b*\x1b[2J\r\nBcc: a@evil.example \u202e &amp;"
)


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("make", [reached, exhausted])
def test_what_agents_and_owners_wrote_is_inert_and_cannot_end_its_quotation(make: Any, language: str) -> None:
    scope = {"run": "*", "tool": HOSTILE}
    budget = {**DAY, "label": HOSTILE, "scope": scope, "values": {"run": HOSTILE}, "value": HOSTILE}
    shown = message(make(budget), language)
    for text in (shown.title, shown.body):
        assert not set(text) & set("@<>[]*\\\x1b\r\n\u202e")
        assert "evil.example" not in text
        assert "://" not in text
        assert "&amp;" not in text
    quotes = "“”" if language == "en" else "「」"
    assert [shown.body.count(quote) for quote in quotes] == [3, 3]


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.startswith("budget.")])
@pytest.mark.parametrize(
    "payload", [{"window": None}, {"window": 3, "scope": [1], "values": 4, "limit": 5.5, "unit": []}]
)
def test_an_event_that_somebody_else_wrote_is_still_a_message(
    kind: str, language: str, payload: dict[str, Any]
) -> None:
    shown = message_of([Notice(1, 7, None, kind, payload, AT)], language)
    assert "7" in shown.body
    assert "{" not in shown.title + shown.body
