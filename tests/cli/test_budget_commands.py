"""``credit-wallet budgets`` and ``key configure``."""

from __future__ import annotations

import pytest
from clock import Clock
from shell import Shell

SEARCHES = (
    "--limit-yen",
    "100",
    "--window",
    "day",
    "--scope",
    "tool=search",
    "--scope",
    "run=*",
    "--label",
    "searches",
)
MIDNIGHT = "2026-05-16T00:00:00.000Z"


def rows(printed: str) -> list[list[str]]:
    """The cells of a table without its headings."""
    return [[cell.strip() for cell in line.split("  ") if cell.strip()] for line in printed.splitlines()[1:]]


def test_a_budget_is_made_listed_and_shown(funded: Shell) -> None:
    shown = funded.fields("budgets", "create", 1, *SEARCHES)
    assert (shown["scope"], shown["limit"], shown["left"]) == ("run=*, tool=search", "¥100 a day", "¥100")
    assert (shown["notifies_at"], shown["used"], shown["resets_at"]) == ("80 %, 100 %", "0 %", MIDNIGHT)
    funded("charge", 1, "60.5", "--key", "a", "--fact", "tool=search", "--fact", "run=r1")
    funded("charge", 1, 30, "--key", "b", "--fact", "tool=search", "--fact", "run=r2")
    code, message = funded.refused("charge", 1, 40, "--key", "c", "--fact", "tool=search", "--fact", "run=r1")
    assert (code, message) == (
        "budget_exhausted",
        "¥39.5 of budget-1 (searches, r1) of ¥100 a day is left; spend at most 39.5 yen now, or send it again at "
        f"{MIDNIGHT} or later, or have the budget raised",
    )
    assert rows(funded("budgets", "list", 1)) == [
        ["monthly-1", "–", "everything", "¥100 a month", "90 %", "¥9.5", "2026-06-01T00:00:00.000Z", "alert"],
        ["budget-1", "searches", "run=*, tool=search", "¥100 a day", "60 %", "¥39.5", MIDNIGHT, "cap"],
    ]
    shown = funded.fields("budgets", "show", "budget-1")
    assert (shown["values"], shown["fullest_value"], shown["spent"]) == ("2", "r1", "¥60.5")
    assert rows(funded("budgets", "values", "budget-1")) == [
        ["r1", "¥60.5", "¥0", "¥39.5", MIDNIGHT],
        ["r2", "¥30", "¥0", "¥70", MIDNIGHT],
    ]
    assert rows(funded("budgets", "values", "budget-1", "--after", "r1")) == [["r2", "¥30", "¥0", "¥70", MIDNIGHT]]
    assert funded.json("budgets", "show", "budget-1")["left"] == "39.5"
    assert [each["spent"] for each in funded.json("budgets", "values", "budget-1")] == ["60.5", "30"]


def test_a_refusal_says_the_same_to_programs(funded: Shell) -> None:
    funded("budgets", "create", 1, "--limit-calls", 1, "--window", "rolling:30m")
    funded("charge", 1, 3, "--key", "a")
    answer = funded.run("--db", funded.url, "--json", "charge", 1, 3, "--key", "b")
    assert answer.code == 1
    assert '"code":"call_limit_reached"' in answer.out
    assert '"retry_at":"2026-05-15T12:30:00.000Z","retry_after_seconds":1800' in answer.out
    assert '"unit":"calls","window":"rolling:30m","limit":"1","spent":"1"' in answer.out


def test_a_budget_is_changed_raised_and_deleted(funded: Shell, clock: Clock) -> None:
    funded("budgets", "create", 1, "--limit-calls", 60, "--window", "minute", "--mode", "shadow")
    changed = funded.fields("budgets", "configure", "budget-1", "--limit-calls", 1, "--share", 50, "--share", 90)
    assert (changed["limit"], changed["notifies_at"], changed["refusals"]) == ("1 call a minute", "50 %, 90 %", "0")
    raised = funded.fields(
        "budgets", "configure", "budget-1", "--raised-limit-calls", 5, "--raised-until", "2026-05-16"
    )
    assert raised["limit"] == "5 calls a minute until 2026-05-17T00:00:00.000Z"
    assert funded.fields("budgets", "configure", "budget-1", "--no-raise")["limit"] == "1 call a minute"
    for number in range(3):
        funded("charge", 1, 3, "--key", number)
    shown = funded.fields("budgets", "show", "budget-1")
    assert (shown["spent"], shown["refusals"], shown["refused"]) == ("1 call", "2", "2 calls")
    clock.advance(minutes=1)
    assert funded.fields("budgets", "delete", "budget-1")["limit"] == "1 call a minute"
    assert funded.refused("budgets", "show", "budget-1")[0] == "budget_not_found"
    log = rows(funded("budgets", "changes", 1))
    assert log[0][:4] == ["5", "2026-05-15T12:01:00.000Z", "budget-1", "operator"]
    assert log[-1][4:] == ["–", "unit=calls, limit=60, window=minute, mode=shadow"]
    assert [each["after"] is None for each in funded.json("budgets", "changes", 1, "--budget", "budget-1")][:2] == [
        True,
        False,
    ]
    assert len(funded.json("budgets", "changes", 1, "--before", 3)) == 2


def test_monthly_limits_are_budgets_too(funded: Shell) -> None:
    funded("wallet", "configure", 1, "--monthly-budget-yen", 1_000)
    funded("key", "create", 1, "--label", "crawler", "--monthly-cap-yen", 50, "--group", "acme/research")
    funded(
        "budgets", "create", 1, "--limit-yen", 30, "--window", "week", "--scope", "group=acme", "--week-start", "sunday"
    )
    listed = rows(funded("budgets", "list", 1))
    assert [row[0] for row in listed] == ["monthly-1", "key-1", "budget-1"]
    assert listed[0][3:5] == ["¥1,000 a month", "0 %"]
    assert funded.fields("budgets", "show", "budget-1")["week_start"] == "sunday"
    assert funded.fields("budgets", "configure", "key-1", "--limit-yen", 60)["limit"] == "¥60 a month"
    assert funded.json("key", "list", 1)[0]["monthly_cap_yen"] == 60
    assert funded.refused("budgets", "delete", "monthly-1")[0] == "invalid_request"
    assert [row[0] for row in rows(funded("budgets", "list", 1, "--after", "key-1"))] == ["budget-1"]
    funded("key", "create", 1, "--label", "other")
    assert [row[0] for row in rows(funded("budgets", "list", 1, "--agent-key", 2))] == ["monthly-1"]


def test_a_key_is_configured(funded: Shell) -> None:
    funded("key", "create", 1, "--label", "crawler", "--group", "acme/research")
    configured = funded.fields("key", "configure", 1, "--monthly-cap-yen", 5, "--label", "slower")
    assert (configured["label"], configured["monthly_cap_yen"], configured["group"]) == (
        "slower",
        "¥5",
        "acme/research",
    )
    assert funded.fields("key", "configure", 1, "--no-group")["group"] == "–"
    assert funded.json("key", "configure", 1, "--group", "sales")["group"] == "sales"
    assert funded.refused("key", "configure", 9, "--label", "x")[0] == "key_not_found"
    assert funded.refused("key", "configure", 1, "--group", "A")[0] == "invalid_request"


@pytest.mark.parametrize(
    "words",
    [
        ("budgets", "create", 1, "--limit-yen", "1e3"),
        ("budgets", "create", 1, "--limit-calls", "1.5"),
        ("budgets", "create", 1, "--limit-yen", 1, "--scope", "tool"),
        ("budgets", "create", 1, "--limit-yen", 1, "--scope", "tool=a", "--scope", "tool=b"),
        ("budgets", "create", 1, "--limit-yen", 1, "--mode", "strict"),
        ("budgets", "configure", "budget-1"),
        ("budgets", "configure", "budget-1", "--no-raise", "--raised-limit-yen", 5),
        ("key", "configure", 1),
        ("key", "configure", 1, "--group", "a", "--no-group"),
    ],
)
def test_wrong_usage_is_said(funded: Shell, words: tuple[object, ...]) -> None:
    assert funded.run("--db", funded.url, *words).code == 2


@pytest.mark.parametrize(
    ("words", "part"),
    [
        (("create", 1, "--window", "day"), "send either limit_yen or limit_calls"),
        (("create", 1, "--limit-yen", 1, "--window", "fortnight"), "window must be minute"),
        (("create", 9, "--limit-yen", 1), "wallet 9"),
        (("create", 1, "--limit-yen", 1, "--scope", "Tool=x"), "scope"),
        (("show", "12"), "budget_id must be as in the list"),
        (("configure", "budget-7", "--limit-yen", 1), "there is no budget-7"),
    ],
)
def test_what_cannot_be_a_budget_is_refused(funded: Shell, words: tuple[object, ...], part: str) -> None:
    assert part in funded.refused("budgets", *words)[1]
