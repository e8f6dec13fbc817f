"""``credit-wallet grants``, and what was agreed to for automatic top-ups."""

from __future__ import annotations

from shell import Shell


def test_a_grant_is_created_listed_and_canceled(shell: Shell) -> None:
    shell("wallet", "create")
    words = ("--every", "month", "--lapses", "next", "--note", "free plan", "--key", "k")
    made = shell.json("grants", "create", 1, "3.30", *words)
    assert (made["grant_id"], made["amount"], made["promo"], made["lapses"]) == (1, "3.3", True, "next")
    assert shell.json("grants", "create", 1, "3.30", *words)["grant_id"] == 1
    later = shell.json("grants", "create", 1, 5, "--paid", "--starts-at", "2099-12-31", "--lapses", 30)
    assert (later["promo"], later["lapses"], later["starts_at"]) == (False, 30, "2099-12-31T00:00:00.000Z")
    assert [each["grant_id"] for each in shell.json("grants", "list")] == [1, 2]
    assert [each["grant_id"] for each in shell.json("grants", "list", "--wallet", 1, "--after", 1)] == [2]
    assert shell.json("grants", "occurrences", 1) == []
    assert shell("grants", "list", "--limit", 1).splitlines()[0].split()[:3] == ["grant_id", "wallet_id", "amount"]
    assert shell.json("grants", "cancel", 2)["next_at"] is None
    assert shell.refused("grants", "cancel", 7)[0] == "grant_not_found"
    assert "until is for a grant" in shell.refused("grants", "create", 1, 5, "--until", "2099-12-31")[1]


def test_what_was_agreed_to_is_listed(shell: Shell) -> None:
    shell("wallet", "create", "--auto-topup-threshold", 1_000, "--auto-topup-amount", 5_000)
    shell(
        "wallet", "configure", 1, "--auto-topup-daily-yen", 9_000, "--auto-topup-consent", "OK",
        "--auto-topup-consent-language", "ja",
    )  # fmt: skip
    newest, oldest = shell.json("topups", "consents", 1)
    assert (newest["text"], newest["language"], newest["version"]) == ("OK", "ja", None)
    assert (oldest["version"], oldest["consented_by"]) == (1, "operator")
    assert shell.json("wallet", "show", 1)["auto_topup_daily_yen"] == 9_000
    table = shell("topups", "consents", 1)
    assert "¥1,000" in table
    assert "¥5,000" in table
