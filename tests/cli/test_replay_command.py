"""``credit-wallet budgets replay``."""

from __future__ import annotations

from pathlib import Path

import pytest
from shell import Shell


@pytest.fixture(autouse=True)
def past(shell: Shell) -> None:
    """A wallet with two keys that has charged ¥4 three times."""
    shell("wallet", "create")
    shell("key", "create", 1)
    shell("topup", 1, 100, "--key", "t")
    for number in range(3):
        shell("charge", 1, 4, "--key", number, "--agent-key", 1, "--fact", f"run=r{number // 2}")


def test_one_budget_by_options(shell: Shell) -> None:
    shown = shell("budgets", "replay", "--limit-yen", "5", "--scope", "run=*").splitlines()
    assert shown[:6] == [
        "entries           4, 1 to 4",
        "charges           3",
        "would be refused  1 (¥4)",
        "earned            ¥12",
        "under the plan    ¥8",
        "difference        -¥4",
    ]
    assert shown[8:10] == ["budget  label  refusals  refused", "plan-1  –             1       ¥4"]
    assert shown[-1].split()[1:] == ["3", "1", "1", "¥4", "plan-1", "r0", "¥1"]
    assert "There is more" not in "\n".join(shown)


def test_calls_and_shadows_are_told_as_such(shell: Shell) -> None:
    shown = shell("budgets", "replay", "--limit-calls", 1, "--window", "day", "--mode", "shadow", "--label", "try")
    assert "by shadows        2" in shown
    assert "plan-1 (shadow)" in shown
    assert shown.splitlines()[-1].split()[-4:] == ["plan-1", "try", "0", "calls"]


def test_a_plan_with_prices_and_longer_lists(shell: Shell, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text('[[budget]]\nlimit_calls = 0\nwindow = "day"\n[[price]]\nitem = "x"\nunit_price_yen = 9\n')
    shell("charge", 1, 4, "--key", "more")
    shown = shell("budgets", "replay", plan, "--wallet", 1, "--limit", 2)
    assert "Wallets" not in shown
    assert shown.splitlines()[-1].startswith("There is more: --limit N shows longer lists")
    found = shell.json("budgets", "replay", plan)
    assert (found["refusals"], found["refused"], len(found["first_refusals"])) == (4, "16", 4)
    assert found["last_refusal"]["left"] == "0"


def test_monthly_limits(shell: Shell) -> None:
    assert shell.json("budgets", "replay", "--monthly-budget-yen", 8)["budgets"][0]["budget_id"] == "monthly-1"
    assert shell.json("budgets", "replay", "--key-cap", "1=4")["refusals"] == 2
    assert shell.json("budgets", "replay", "--key-cap", "1=400", "--keep")["refusals"] == 0


def test_wrong_usage(shell: Shell, tmp_path: Path) -> None:
    assert "is not a whole number" in shell.misused("budgets", "replay", "--key-cap", "1=x")
    code, message = shell.refused("budgets", "replay")
    assert (code, message.partition(";")[0]) == ("invalid_request", "there is nothing to try")
    bad = tmp_path / "bad.toml"
    bad.write_text("[[budget]]\nlimit_yen = 3.3\n")
    _, message = shell.refused("budgets", "replay", bad)
    assert message.startswith("budget 1: limit_yen must be exact")
