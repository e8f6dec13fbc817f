"""``credit-wallet wallet``: wallets for people and programs, their settings and their tokens."""

from __future__ import annotations

import pytest
from shell import Shell

from credit_wallet.domain.tokens import is_token, token_hash

NOON = "2026-05-15T12:00:00.000Z"


def test_a_wallet_is_created_with_an_owner_token(shell: Shell) -> None:
    fields = shell.fields("wallet", "create", "--label", "search")
    assert set(fields) == {"wallet_id", "owner_token"}
    assert fields["wallet_id"] == "1"
    assert is_token(fields["owner_token"])


@pytest.mark.parametrize("columns", ["1", "80", "300"])
@pytest.mark.parametrize(
    "command",
    [("wallet", "create"), ("key", "create", "1"), ("key", "rotate", "1"), ("wallet", "rotate-token", "1")],
)
def test_tokens_are_whole_however_narrow_the_terminal_is(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, columns: str, command: tuple[str, ...]
) -> None:
    shell("wallet", "create")
    shell("key", "create", 1)
    monkeypatch.setenv("COLUMNS", columns)
    assert any(is_token(line.split()[-1]) for line in shell(*command).splitlines())


def test_a_wallet_is_created_with_every_setting(shell: Shell) -> None:
    created = shell.json(
        *("wallet", "create", "--label", "search", "--monthly-budget-yen", 10_000, "--budget-mode", "cap"),
        *("--auto-topup-threshold", 100, "--auto-topup-amount", 5_000, "--time-zone", "Asia/Tokyo"),
    )
    assert set(created) == {"wallet_id", "owner_token"}
    assert shell.json("wallet", "show", created["wallet_id"]) == {
        "wallet_id": 1,
        "label": "search",
        "balance_yen": 0,
        "balance": "0",
        "held_yen": 0,
        "held": "0",
        "debt_yen": 0,
        "debt": "0",
        "auto_topup_threshold": 100,
        "auto_topup_amount": 5_000,
        "auto_topup_daily_yen": 0,
        "auto_topup_monthly_yen": 0,
        "monthly_budget_yen": 10_000,
        "budget_mode": "cap",
        "time_zone": "Asia/Tokyo",
        "current_cycle": "2026-05",
        "current_cycle_spent_yen": 0,
        "current_cycle_spent": "0",
        "enabled": True,
        "frozen": False,
        **dict.fromkeys(("frozen_at", "frozen_reason", "frozen_note", "closing_at", "closed_at", "merged_into")),
        "created_at": NOON,
        "low_balance_yen": 0,
        "alert_thresholds_pct": [],
        "price_group": None,
        "reference": None,
        "metadata": {},
        "token_prefix": created["owner_token"][:12],
        "lots": [],
    }


def test_a_setting_that_cannot_be_makes_no_wallet(shell: Shell) -> None:
    for option, value in (
        ("--monthly-budget-yen", -1),
        ("--auto-topup-threshold", 5),
        ("--auto-topup-amount", 5),
        ("--time-zone", "Mars/Olympus"),
        ("--label", "a" * 501),
    ):
        assert shell.refused("wallet", "create", option, value)[0] == "invalid_request", option
    assert shell.json("wallet", "list") == []


def test_a_wallet_is_shown_to_people(funded: Shell) -> None:
    funded("charge", 1, 60, "--key", "charge")
    shown = funded.fields("wallet", "show", 1)
    assert shown["label"] == "search"
    assert shown["balance"] == "¥940"
    assert shown["current_cycle_spent"] == "¥60"
    assert shown["enabled"] == "yes"
    assert shown["lots"] == "¥940 paid (lot 1)"


def test_wallets_are_listed_by_page(shell: Shell) -> None:
    shell("migrate")
    assert shell("wallet", "list") == "none\n"
    for _ in range(3):
        shell("wallet", "create")
    first = shell.run("--db", shell.url, "wallet", "list", "--limit", 2)
    cursor = first.err.split()[-1]
    assert first.err == f"There may be more: --cursor {cursor}\n"
    [last] = shell.json("wallet", "list", "--limit", 2, "--cursor", cursor)
    assert last["wallet_id"] == 3


def test_a_list_shows_amounts_whole_in_a_narrow_terminal(shell: Shell) -> None:
    shell("wallet", "create", "--label", "long " * 100, "--monthly-budget-yen", 10**12)
    shell("topup", 1, 999_999_999_999, "--key", "start", "--note", "long " * 100)
    for listed in (shell("wallet", "list"), shell("history", 1)):
        assert "…" not in listed
        assert "¥999,999,999,999" in listed
        assert NOON in listed
        assert listed.count("long") == 100


def test_a_disabled_wallet_spends_nothing_until_it_is_enabled(funded: Shell) -> None:
    assert funded.fields("wallet", "disable", 1)["enabled"] == "no"
    assert funded.refused("charge", 1, 3, "--key", "charge")[0] == "wallet_disabled"
    funded("topup", 1, 1, "--key", "more")
    assert funded.json("wallet", "enable", 1)["enabled"] is True
    assert funded.json("charge", 1, 3, "--key", "charge")["balance_yen"] == 998


def test_markup_in_labels_and_notes_is_shown_as_it_is(shell: Shell) -> None:
    text = "[red]hot[/red] [/oops] [link=https://example.com]x[/link] :money_bag:"
    shell("wallet", "create", "--label", text)
    shell("topup", 1, 10, "--key", "start", "--note", text)
    shell("key", "create", 1, "--label", text)
    for command in (("wallet", "show", 1), ("wallet", "list"), ("history", 1), ("key", "list", 1)):
        assert text in shell(*command)
    assert text in shell("statement", 1, "--cycle", "2026-05")
    assert "[red]" in shell.refused("wallet", "create", "--time-zone", "[red]Mars[/red]")[1]


@pytest.mark.parametrize(
    ("text", "shown"),
    [("\x1b[2J\x1b[31mred", r"\x1b[2J\x1b[31mred"), ("one\ntwo", r"one\ntwo"), ("over\rwritten", r"over\rwritten")],
)
def test_labels_and_notes_command_no_terminal(shell: Shell, text: str, shown: str) -> None:
    shell("wallet", "create", "--label", text)
    shell("topup", 1, 10, "--key", "start", "--note", text)
    for command in (("wallet", "show", 1), ("wallet", "list"), ("history", 1), ("statement", 1, "--cycle", "2026-05")):
        printed = shell(*command)
        assert shown in printed
        assert text not in printed
    assert shell.json("wallet", "show", 1)["label"] == text


def test_an_owner_token_is_rotated_and_a_key_of_the_hosts_registered_and_removed(funded: Shell) -> None:
    rotated = funded.json("wallet", "rotate-token", 1, "--overlap-seconds", 0)
    assert (rotated["wallet_id"], is_token(rotated["owner_token"])) == (1, True)
    assert funded("wallet", "secrets", 1) == "none\n"
    funded("key", "create", 1)
    sha256 = token_hash("host's own")
    registered = funded.json("wallet", "register-secret", 1, sha256, "--agent-key", 1, "--ends-at", "2026-06-01")
    assert (registered["sha256"], registered["key_id"], registered["registered"]) == (sha256, 1, True)
    assert funded.refused("wallet", "register-secret", 1, sha256)[0] == "secret_in_use"
    assert funded.refused("wallet", "register-secret", 1, "host's own")[0] == "invalid_request"
    assert funded.json("wallet", "remove-secret", sha256) == registered
    assert funded.refused("wallet", "remove-secret", sha256)[0] == "secret_not_found"
    assert funded.refused("wallet", "rotate-token", 9)[0] == "wallet_not_found"


def test_settings_are_changed_and_the_rest_stays(funded: Shell) -> None:
    changed = funded.json("wallet", "configure", 1, "--low-balance-yen", 50, "--alert-at", 25, "--alert-at", 120)
    assert (changed["low_balance_yen"], changed["alert_thresholds_pct"]) == (50, [25, 120])
    assert (changed["label"], changed["monthly_budget_yen"]) == ("search", 100)
    cleared = funded.json("wallet", "configure", 1, "--alert-at", 0, "--budget-mode", "cap")
    assert (cleared["alert_thresholds_pct"], cleared["budget_mode"]) == ([], "cap")
    assert funded.refused("wallet", "configure", 1, "--alert-at", 2_000)[0] == "invalid_request"


@pytest.mark.parametrize(("columns", "is_table"), [("80", False), ("400", True)])
def test_a_terminal_too_narrow_for_a_table_gets_a_list_of_fields(
    shell: Shell, monkeypatch: pytest.MonkeyPatch, columns: str, is_table: bool
) -> None:
    shell("wallet", "create")
    shell("wallet", "create")
    monkeypatch.setenv("COLUMNS", columns)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    lines = shell("wallet", "list").splitlines()
    assert len(lines[0].split()) == (27 if is_table else 2)
    assert max(map(len, lines)) <= int(columns)
    assert is_table or lines.count("") == 1
