"""``credit-wallet history``, ``statement`` and ``alerts run``."""

from __future__ import annotations

import csv
import json
import re
from io import StringIO

from plain_sql import PlainSql
from shell import Shell

NOON = "2026-05-15T12:00:00.000Z"


def test_history_is_newest_first_and_as_long_as_asked_for(funded: Shell) -> None:
    for number in range(3):
        funded("charge", 1, 1, "--key", f"charge-{number}")
    assert [entry["txn_id"] for entry in funded.json("history", 1)] == [4, 3, 2, 1]
    assert [entry["txn_id"] for entry in funded.json("history", 1, "--limit", 2)] == [4, 3]
    assert funded.json("history", 1, "--limit", 1) == [
        {
            "txn_id": 4,
            "wallet_id": 1,
            "amount_yen": -1,
            "amount": "-1",
            "txn_type": "charge",
            "occurred_at": NOON,
            "note": None,
            "ledger_balance_yen": 997,
            "ledger_balance": "997",
            "key_id": None,
            "related_txn_id": None,
            "hold_id": None,
            "item": None,
            "quantity": None,
            "price_version": None,
            "facts": {},
            "agent_facts": {},
            "cause": None,
            "reason": None,
            "request_id": None,
            "reference": None,
            "metadata": {},
            "idempotency_key": None,
        }
    ]
    assert re.search(r"4 +1 +-¥1 +charge +2026-05-15T12:00:00.000Z", funded("history", 1))


def test_history_can_be_that_of_an_agent_key_or_a_note(funded: Shell) -> None:
    funded("key", "create", 1)
    funded("charge", 1, 5, "--key", "a", "--agent-key", 1, "--note", "GET /search")
    funded("charge", 1, 7, "--key", "b", "--note", "GET /search")
    funded("charge", 1, 9, "--key", "c", "--agent-key", 1)
    for words, amounts_yen in (
        (("--agent-key", 1), [-9, -5]),
        (("--note", "GET /search"), [-7, -5]),
        (("--agent-key", 1, "--note", "GET /search"), [-5]),
        (("--agent-key", 2), []),
    ):
        assert [entry["amount_yen"] for entry in funded.json("history", 1, *words)] == amounts_yen, words


def test_usage_says_what_charges_were_for(funded: Shell) -> None:
    for number, tool in enumerate(("search", "search", "fetch")):
        funded("charge", 1, "3.30", "--key", f"c{number}", "--fact", f"tool={tool}")
    report = funded.json("usage", 1, "--by", "tool", "--every", "month", "--limit", 1)
    assert [(row["value"], row["charges"], row["amount"]) for row in report["rows"]] == [("fetch", 1, "3.3")]
    assert (report["is_current"], report["next_cursor"]) == (True, "2026-05~search")
    assert re.search(r"2026-05-15 .* search +2 +¥6.6", funded("usage", 1, "--by", "tool"))
    assert funded.refused("usage", 1, "--by", "No Fact")[0] == "invalid_request"


def test_a_statement_has_spending_by_key_and_note_in_a_csv_of_their_own(funded: Shell) -> None:
    funded("key", "create", 1, "--label", "crawler")
    funded("charge", 1, 5, "--key", "a", "--agent-key", 1, "--note", "GET /search")
    of_may = ("statement", 1, "--cycle", "2026-05")
    assert "key 1 (crawler)\n" in funded(*of_may)
    assert "GET /search\n" in funded(*of_may)
    csv_of_may = (*of_may, "--format", "csv")
    assert funded(*csv_of_may) == funded(*csv_of_may, "--rows", "entries")
    assert funded(*csv_of_may, "--rows", "keys").splitlines()[1:] == ["1,crawler,1,5,0,5,0,5,0,5"]
    assert funded(*csv_of_may, "--rows", "notes").splitlines()[1:] == ["1,1,5,0,5,GET /search,5,0,5"]


def test_a_wallet_without_entries_has_no_history(shell: Shell) -> None:
    shell("wallet", "create")
    assert shell("history", 1) == "none\n"
    assert shell.json("history", 1) == []


def test_a_statement_comes_as_text_csv_and_json(funded: Shell) -> None:
    funded("charge", 1, 60, "--key", "charge", "--note", "crawl, deep")
    of_may = ("statement", 1, "--cycle", "2026-05")
    text = funded(*of_may)
    assert text.startswith("Statement of Wallet 1 (search) for 2026-05 (UTC)\n")
    assert "Closing balance                 ¥940\n" in text
    assert text == funded(*of_may, "--format", "text")
    table = funded(*of_may, "--format", "csv")
    assert table.startswith("\ufefftxn_id,")  # what tells a spreadsheet that it is UTF-8
    rows = list(csv.DictReader(StringIO(table)))
    assert [(row["txn_type"], row["amount_yen"], row["note"]) for row in rows] == [
        ("topup", "1000", ""),
        ("charge", "-60", "crawl, deep"),
    ]
    report = json.loads(funded(*of_may, "--format", "json"))
    assert (report["opening_yen"], report["closing_yen"], len(report["entries"])) == (0, 940, 2)
    for shown_as in ("text", "csv", "json"):
        assert json.loads(funded("--json", *of_may, "--format", shown_as)) == report


def test_the_alert_job_fires_what_is_due_and_ends_with_its_report(shell: Shell) -> None:
    shell("wallet", "create", "--monthly-budget-yen", 100)
    with PlainSql(shell.url) as host:
        host.move(1, "topup", 1_000)
        host.move(1, "charge", -60)
    fired = {"wallet_id": 1, "threshold_pct": 50, "spent_yen": 60, "budget_yen": 100}
    due = {"dim": "U", "wave": 47, "billing_cycle": "2026-05", "wallets_scanned": 1, "alerts_fired": [fired]}
    for words, dry_run, report in (
        (("alerts", "run", "--dry-run"), True, due),
        (("alerts", "run", "--cycle", "2026-05", "--dry-run"), True, due),
        (("alerts", "run", "--cycle", "2026-04"), False, {**due, "billing_cycle": "2026-04", "alerts_fired": []}),
        (("alerts", "run"), False, due),
        (("alerts", "run"), False, {**due, "alerts_fired": []}),
        (("--json", "alerts", "run"), False, {**due, "alerts_fired": []}),
    ):
        assert json.loads(shell(*words).splitlines()[-1]) == {**report, "dry_run": dry_run}, words
