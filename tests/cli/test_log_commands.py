"""``credit-wallet log`` and ``export``: who did what, and what is kept about people."""

from __future__ import annotations

import csv
import json

from shell import Shell


def test_the_log_says_who_did_what_and_why(shell: Shell) -> None:
    shell("wallet", "create", "--label", "Ms Sato")
    shell("--act-note", "asked for by phone", "wallet", "configure", 1, "--monthly-budget-yen", 500)
    shell("topup", 1, 100, "--key", "k")
    lines = shell("log").splitlines()
    assert " ".join(lines[0].split()) == "act_id occurred_at by kind subject wallet_id before after note"
    kinds = [word for line in lines for word in line.split() if word.startswith("wallet.")]
    assert kinds == ["wallet.topped_up", "wallet.configured", "wallet.created"]
    [act] = shell.json("log", "--wallet", 1, "--kind", "wallet.configured")
    assert (act["note"], act["before"], act["after"]) == (
        "asked for by phone",
        {"monthly_budget_yen": 0},
        {"monthly_budget_yen": 500},
    )
    assert act["by"].startswith("command line: ")
    assert shell.json("log", "--by", "nobody") == []
    head, *rows = csv.reader(shell("export", "audit", "--subject", "wallet:1").splitlines())
    assert (head[0], len(rows)) == ("act_id", 2)
    exported = [json.loads(line) for line in shell("export", "audit", "--format", "jsonl").splitlines()]
    assert exported == shell.json("log")
    kept = [json.loads(line) for line in shell("export", "personal-data", 1).splitlines()]
    assert [item["kind"] for item in kept] == ["wallet", "act", "act", "act"]
    assert kept[0]["data"]["label"] == "Ms Sato"
