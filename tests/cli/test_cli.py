"""The command line as people and programs call it: what it prints, what it exits with, what it leaves behind."""

from __future__ import annotations

import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from io import StringIO
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from clock import Clock
from databases import Databases
from fake_stripe import FakeStripe
from plain_sql import PlainSql
from receivers import Mailbox, receiver
from shell import Answer, Shell, _only_line
from stand_in import StandIn

from credit_wallet import CreditWallet
from credit_wallet.cli import app as cli
from credit_wallet.domain.tokens import is_token, token_hash
from credit_wallet.payments import gateway
from credit_wallet.payments.factory import open_payments
from credit_wallet.payments.replies import Reconciliation
from credit_wallet.stores.jobs.verify import CHECKS
from credit_wallet.stores.migrations import manifest

NOON = "2026-05-15T12:00:00.000Z"
MIGRATIONS = manifest()


def in_a_process(*words: str, cwd: Path, **environment: str) -> Answer:
    """The command line in a process of its own, in an environment without the wallet's variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CREDIT_WALLET_")}
    done = subprocess.run(
        [sys.executable, "-m", "credit_wallet.cli.app", *words],
        cwd=cwd,
        env={**inherited, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def behind_its_back(path: Path, statement: str) -> None:
    """Change the file from a process of its own."""
    program = "import sys, apsw; apsw.Connection(sys.argv[1]).execute(sys.argv[2])"
    subprocess.run([sys.executable, "-c", program, str(path), statement], check=True, timeout=60)


# Wallets


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
        "held_yen": 0,
        "debt_yen": 0,
        "auto_topup_threshold": 100,
        "auto_topup_amount": 5_000,
        "monthly_budget_yen": 10_000,
        "budget_mode": "cap",
        "time_zone": "Asia/Tokyo",
        "current_cycle": "2026-05",
        "current_cycle_spent_yen": 0,
        "enabled": True,
        "created_at": NOON,
        "low_balance_yen": 0,
        "alert_thresholds_pct": [],
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
    assert shown["balance_yen"] == "¥940"
    assert shown["current_cycle_spent_yen"] == "¥60"
    assert shown["enabled"] == "yes"
    assert shown["lots"] == "¥940 paid (lot 1)"


def test_wallets_are_listed_by_page(shell: Shell) -> None:
    shell("migrate")
    assert shell("wallet", "list") == "none\n"
    for _ in range(3):
        shell("wallet", "create")
    pages = [shell.json("wallet", "list", "--after", after, "--limit", 2) for after in (0, 2, 3)]
    assert [[wallet["wallet_id"] for wallet in page] for page in pages] == [[1, 2], [3], []]


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


# Keys


def test_an_agent_key_pays_up_to_its_cap_until_it_is_revoked(funded: Shell, clock: Clock) -> None:
    created = funded.json(
        "key", "create", 1, "--label", "crawler", "--monthly-cap-yen", 5, "--expires-at", "2026-06-01"
    )
    assert set(created) == {"key_id", "wallet_id", "token"}
    assert is_token(created["token"])
    funded("charge", 1, 3, "--key", "first", "--agent-key", created["key_id"])
    assert funded.refused("charge", 1, 3, "--key", "second", "--agent-key", created["key_id"])[0] == "key_cap_exhausted"
    clock.advance(minutes=1)
    revoked = funded.json("key", "revoke", created["key_id"])
    assert revoked == {"key_id": 1, "revoked_at": "2026-05-15T12:01:00.000Z"}
    clock.advance(minutes=1)
    assert funded.json("key", "revoke", created["key_id"]) == revoked
    assert funded.refused("charge", 1, 1, "--key", "third", "--agent-key", created["key_id"])[0] == "unauthorized"
    assert funded.json("key", "list", 1) == [
        {
            "key_id": 1,
            "wallet_id": 1,
            "label": "crawler",
            "monthly_cap_yen": 5,
            "current_cycle_spent_yen": 3,
            "held_yen": 0,
            "created_at": NOON,
            "expires_at": "2026-06-02T00:00:00.000Z",
            "revoked_at": "2026-05-15T12:01:00.000Z",
        }
    ]
    assert "crawler" in funded("key", "list", 1)
    assert created["token"] not in funded("key", "list", 1)


def test_a_rotated_agent_key_keeps_its_id_and_its_cap(funded: Shell) -> None:
    created = funded.json("key", "create", 1, "--monthly-cap-yen", 5)
    funded("charge", 1, 3, "--key", "first", "--agent-key", 1)
    rotated = funded.json("key", "rotate", 1, "--overlap-seconds", 60)
    assert (rotated["key_id"], rotated["wallet_id"], is_token(rotated["token"])) == (1, 1, True)
    [earlier] = funded.json("wallet", "secrets", 1)
    assert (earlier["sha256"], earlier["registered"]) == (token_hash(created["token"]), False)
    assert earlier["ends_at"] == "2026-05-15T12:01:00.000Z"
    assert funded.refused("charge", 1, 3, "--key", "second", "--agent-key", 1)[0] == "key_cap_exhausted"
    funded("key", "revoke", 1)
    assert funded.refused("key", "rotate", 1)[0] == "key_ended"
    assert funded.refused("key", "rotate", 9)[0] == "key_not_found"


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


def test_a_seller_is_created_listed_rotated_and_revoked(funded: Shell) -> None:
    created = funded.json("seller", "create", "--label", "search")
    assert (created["seller_id"], is_token(created["token"], "cw_seller_")) == (1, True)
    assert funded.fields("seller", "rotate", 1)["token"] != created["token"]
    [listed] = funded.json("seller", "list")
    assert (listed["label"], listed["revoked_at"]) == ("search", None)
    assert funded.json("seller", "revoke", 1) == {**listed, "revoked_at": NOON}
    assert funded.refused("seller", "rotate", 1)[0] == "key_ended"
    assert funded.refused("seller", "revoke", 2)[0] == "seller_not_found"


def test_a_wallet_without_agent_keys_lists_none(funded: Shell) -> None:
    assert funded("key", "list", 1) == "none\n"
    assert funded.json("key", "list", 1) == []


# Money


def test_a_movement_answers_its_outcome(funded: Shell) -> None:
    assert funded.json("charge", 1, 60, "--key", "charge", "--note", "crawl") == {
        "wallet_id": 1,
        "amount_yen": 60,
        "balance_yen": 940,
        "txn_id": 2,
        "hold_id": None,
        "replayed": False,
        "alerts": [{"threshold_pct": 50, "billing_cycle": "2026-05", "spent_yen": 60, "budget_yen": 100}],
        "warn_pct": 0,
        "expires_at": None,
        "topup_id": None,
    }
    assert funded.json("history", 1)[0]["note"] == "crawl"


def test_a_movement_is_shown_to_people(funded: Shell) -> None:
    assert funded.fields("charge", 1, 60, "--key", "charge") == {
        "wallet_id": "1",
        "amount_yen": "¥60",
        "balance_yen": "¥940",
        "txn_id": "2",
        "hold_id": "–",
        "replayed": "no",
        "alerts": "50 % (¥60 of ¥100)",
        "warn_pct": "0",
        "expires_at": "–",
        "topup_id": "–",
    }


def test_a_key_sent_again_moves_once(funded: Shell) -> None:
    first = funded.json("charge", 1, 3, "--key", "charge")
    assert funded.json("charge", 1, 3, "--key", "charge") == {**first, "replayed": True}
    assert funded.refused("charge", 1, 4, "--key", "charge")[0] == "idempotency_conflict"
    assert funded.json("wallet", "show", 1)["balance_yen"] == 997


def test_promotional_credit_is_spent_first_and_lapses(funded: Shell, clock: Clock) -> None:
    gift = funded.json("topup", 1, 50, "--key", "gift", "--promo", "--expires-at", "2026-05-16", "--note", "welcome")
    assert gift["expires_at"] == "2026-05-17T00:00:00.000Z"  # the end of the 16th
    funded("charge", 1, 20, "--key", "charge")
    clock.advance(days=2)
    assert funded.json("wallet", "show", 1)["balance_yen"] == 1_000
    types = [(entry["txn_type"], entry["amount_yen"], entry["note"]) for entry in funded.json("history", 1)]
    assert types == [("expire", -30, None), ("charge", -20, None), ("topup", 50, "welcome"), ("topup", 1_000, None)]


def test_a_charge_is_refunded_in_part_and_then_whole(funded: Shell) -> None:
    txn_id = funded.json("charge", 1, 10, "--key", "charge")["txn_id"]
    assert funded.json("refund", txn_id, 4, "--key", "part", "--note", "slow")["balance_yen"] == 994
    rest = funded.json("refund", txn_id, "--key", "rest")
    assert (rest["amount_yen"], rest["balance_yen"]) == (6, 1_000)
    assert funded.refused("refund", txn_id, "--key", "more")[0] == "refund_exceeds_charge"
    assert [entry["related_txn_id"] for entry in funded.json("history", 1)] == [txn_id, txn_id, None, None]


def test_a_hold_is_captured_or_released(funded: Shell) -> None:
    first = funded.json("hold", 1, 60, "--key", "first", "--ttl", 60, "--note", "crawl")
    assert (first["balance_yen"], first["expires_at"]) == (940, "2026-05-15T12:01:00.000Z")
    second = funded.json("hold", 1, 30, "--key", "second")
    assert second["expires_at"] == "2026-05-15T12:15:00.000Z"
    assert funded.json("wallet", "show", 1)["held_yen"] == 90
    assert funded.json("capture", first["hold_id"], 45)["balance_yen"] == 925
    assert funded.json("capture", first["hold_id"], 45)["replayed"] is True
    assert funded.json("release", second["hold_id"])["balance_yen"] == 955
    assert funded.refused("release", first["hold_id"])[0] == "hold_closed"
    assert funded.refused("capture", second["hold_id"], 1)[0] == "hold_closed"
    assert funded.json("history", 1, "--limit", 1)[0]["note"] == "crawl"


REFUSALS: list[tuple[tuple[object, ...], str]] = [
    (("charge", 1, 1_001, "--key", "k"), "insufficient_funds"),
    (("charge", 1, 0, "--key", "k"), "invalid_amount"),
    (("charge", 1, 10**12 + 1, "--key", "k"), "invalid_amount"),
    (("charge", 1, 1, "--key", ""), "invalid_request"),
    (("charge", 1, 1, "--key", "k" * 256), "invalid_request"),
    (("charge", 1, 1, "--key", "k", "--note", "n" * 501), "invalid_request"),
    (("charge", 1, 1, "--key", "k", "--agent-key", 9), "unauthorized"),
    (("charge", 404, 1, "--key", "k"), "wallet_not_found"),
    (("charge", 0, 1, "--key", "k"), "invalid_request"),
    (("charge", 10**20, 1, "--key", "k"), "invalid_request"),
    (("topup", 404, 1, "--key", "k"), "wallet_not_found"),
    (("topup", 1, 1, "--key", "k", "--expires-at", "tomorrow"), "invalid_request"),
    (("topup", 1, 1, "--key", "k", "--expires-at", "2026-05-14"), "invalid_request"),
    (("refund", 404, "--key", "k"), "entry_not_found"),
    (("refund", 1, "--key", "k"), "entry_not_found"),
    (("hold", 1, 1, "--key", "k", "--ttl", 0), "invalid_request"),
    (("hold", 1, 1_001, "--key", "k"), "insufficient_funds"),
    (("capture", 404, 1), "hold_not_found"),
    (("release", 404), "hold_not_found"),
    (("wallet", "show", 404), "wallet_not_found"),
    (("wallet", "disable", 404), "wallet_not_found"),
    (("wallet", "list", "--limit", 0), "invalid_request"),
    (("key", "create", 404), "wallet_not_found"),
    (("key", "create", 1, "--monthly-cap-yen", -1), "invalid_request"),
    (("key", "create", 1, "--expires-at", "never"), "invalid_request"),
    (("key", "list", 404), "wallet_not_found"),
    (("key", "revoke", 404), "key_not_found"),
    (("history", 404), "wallet_not_found"),
    (("history", 1, "--limit", 1_001), "invalid_request"),
    (("statement", 404, "--cycle", "2026-05"), "wallet_not_found"),
    (("statement", 1, "--cycle", "May"), "invalid_request"),
    (("alerts", "run", "--cycle", "2026-13"), "invalid_request"),
]


def test_a_refusal_exits_1_with_its_code_and_moves_nothing(funded: Shell) -> None:
    for command, code in REFUSALS:
        assert funded.refused(*command)[0] == code, command
    assert len(funded.json("history", 1)) == 1
    assert len(funded.json("wallet", "list")) == 1
    assert funded.json("wallet", "show", 1)["balance_yen"] == 1_000


def test_a_refusal_has_its_figures_in_json(funded: Shell) -> None:
    answer = funded.run("--db", funded.url, "--json", "charge", "1", "1500", "--key", "k")
    problem = json.loads(answer.out)
    assert {name: problem[name] for name in ("wallet_id", "balance_yen", "missing_yen", "debt_yen")} == {
        "wallet_id": 1,
        "balance_yen": 1_000,
        "missing_yen": 500,
        "debt_yen": 0,
    }


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (("charge", 1, 1), "Missing option '--key'"),
        (("charge", 1, "three", "--key", "k"), "Invalid value for 'YEN'"),
        (("charge", 1, 1.5, "--key", "k"), "Invalid value for 'YEN'"),
        (("charge", 1, -3, "--key", "k"), "No such option: -3"),
        (("charge", 1), "Missing argument 'YEN'"),
        (("wallet", "create", "--budget-mode", "stop"), "Invalid value for '--budget-mode'"),
        (("statement", 1), "Missing option '--cycle'"),
        (("statement", 1, "--cycle", "2026-05", "--format", "xml"), "Invalid value for '--format'"),
        (("bench", "--seconds", 0), "Invalid value for '--seconds'"),
        (("bench", "--folder", "no/such/folder"), "Invalid value for '--folder'"),
        (("serve", "--port", 70_000), "Invalid value for '--port'"),
        (("wallet", "show", 1, "--yen"), "No such option: --yen"),
        (("spend",), "No such command 'spend'"),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_wrong(
    shell: Shell, tmp_path: Path, command: tuple[object, ...], told: str
) -> None:
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert told in " ".join(shell.misused(*command).split())
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


# Reading


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
            "txn_type": "charge",
            "occurred_at": NOON,
            "note": None,
            "ledger_balance_yen": 997,
            "key_id": None,
            "related_txn_id": None,
            "hold_id": None,
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


def test_a_statement_has_spending_by_key_and_note_in_a_csv_of_their_own(funded: Shell) -> None:
    funded("key", "create", 1, "--label", "crawler")
    funded("charge", 1, 5, "--key", "a", "--agent-key", 1, "--note", "GET /search")
    of_may = ("statement", 1, "--cycle", "2026-05")
    assert "key 1 (crawler)\n" in funded(*of_may)
    assert "GET /search\n" in funded(*of_may)
    csv_of_may = (*of_may, "--format", "csv")
    assert funded(*csv_of_may) == funded(*csv_of_may, "--rows", "entries")
    assert funded(*csv_of_may, "--rows", "keys").splitlines()[1:] == ["1,crawler,1,5,0,5,0"]
    assert funded(*csv_of_may, "--rows", "notes").splitlines()[1:] == ["1,1,5,0,5,GET /search"]


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


# Proof


def test_verify_says_that_every_invariant_holds(funded: Shell) -> None:
    assert funded("verify") == f"ok: {len(CHECKS)} invariants hold for every wallet\n"
    assert funded.json("verify") == {"ok": True, "checks": list(CHECKS), "violations": []}


def test_verify_names_the_wallet_that_breaks_an_invariant(funded: Shell, tmp_path: Path) -> None:
    funded("wallet", "create")
    behind_its_back(tmp_path / "wallet.db", "UPDATE am_credit_wallet SET balance_yen = 1001 WHERE wallet_id = 1")
    told = funded.run("--db", funded.url, "verify")
    assert (told.code, told.out) == (1, "")
    assert all(": wallet 1: " in line for line in told.err.splitlines())
    assert "expected 1000, found 1001" in told.err
    answered = funded.run("--db", funded.url, "--json", "verify")
    report = json.loads(answered.out)
    assert (answered.code, answered.err, report["ok"]) == (1, "", False)
    assert {violation["wallet_id"] for violation in report["violations"]} == {1}
    assert {violation["check"] for violation in report["violations"]} <= set(CHECKS)


def test_a_seal_that_was_noted_proves_the_ledger_later(funded: Shell, clock: Clock, tmp_path: Path) -> None:
    assert funded.refused("seal", "show")[0] == "seal_not_found"
    with CreditWallet.open(funded.url, clock=clock) as wallets:
        wallets.seal()
    noted = funded("seal", "show").strip()
    assert re.fullmatch(r"seal 1 entry \d+ \S+Z sha256 [0-9a-f]{64}", noted)
    (tmp_path / "anchors.txt").write_text(f"{noted}\n{json.dumps(funded.json('seal', 'show'))}\n", encoding="utf-8")
    for given in (noted, f"@{tmp_path / 'anchors.txt'}"):
        assert funded("verify", "--anchor", given).startswith("ok: ")
    assert funded.refused("verify", "--anchor", "nothing noted")[0] == "invalid_request"
    assert funded.refused("verify", "--anchor", f"@{tmp_path / 'none.txt'}")[0] == "invalid_request"
    told = funded.run("--db", funded.url, "verify", "--anchor", noted.replace("seal 1 ", "seal 2 "))
    assert told.code == 1
    assert told.err.startswith("anchors: seal 2 ")


def test_a_check_up_finds_nothing_wrong(funded: Shell) -> None:
    findings = funded.json("doctor")
    assert [finding["check"] for finding in findings] == [
        "configuration",
        "sqlite",
        "disk",
        "database",
        "clock",
        "ledger",
        "seals",
        "notices",
    ]
    assert all(finding["ok"] for finding in findings)
    assert funded("doctor").count(" yes ") == 8


def failed_check(shell: Shell, url: str) -> dict[str, Any]:
    """The only check that ``doctor`` finds something wrong with."""
    told = shell.run("--db", url, "doctor")
    assert (told.code, told.err) == (1, "")
    assert " no " in told.out
    answered = shell.run("--db", url, "--json", "doctor")
    assert (answered.code, answered.err) == (1, "")
    failed: list[dict[str, Any]] = [finding for finding in json.loads(answered.out) if not finding["ok"]]
    assert len(failed) == 1
    return failed[0]


def test_a_check_up_finds_a_broken_ledger(funded: Shell, tmp_path: Path) -> None:
    behind_its_back(tmp_path / "wallet.db", "UPDATE am_credit_wallet SET balance_yen = 1001")
    failed = failed_check(funded, funded.url)
    assert failed["check"] == "ledger"
    assert "wallet 1" in failed["detail"]


def test_a_check_up_finds_a_clock_that_goes_wrong(shell: Shell, clock: Clock) -> None:
    clock.set(clock().replace(year=2999))
    shell("wallet", "create")
    shell("topup", 1, 1, "--key", "start")
    failed = failed_check(shell, shell.url)
    assert failed["check"] == "clock"
    assert "2999-05-15" in failed["detail"]


def test_a_check_up_finds_a_database_that_cannot_be(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a database, and long enough to be told from one" * 100)
    for url, code in (
        ("mysql://host/wallet", "invalid_request"),
        ("sqlite://[/wallet", "invalid_request"),
        (f"sqlite:///{tmp_path}", "database_error"),
        (f"sqlite:///{tmp_path}/file", "database_corrupt"),
        (f"sqlite:///{tmp_path}/file/wallet.db", "no_ledger"),
    ):
        assert failed_check(shell, url)["check"] == code, url


# The schema


def test_migrations_are_told_beforehand_and_applied_once(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "wallet.db").unlink()
    assert shell.json("migrate", "--dry-run") == {"dry_run": True, "pending": MIGRATIONS}
    assert not list(tmp_path.iterdir())
    assert shell.json("migrate") == {"applied": MIGRATIONS, "wallets_adopted": 0}
    assert shell.fields("migrate") == {"applied": "none", "wallets_adopted": "0"}
    assert shell.fields("migrate", "--dry-run") == {"dry_run": "yes", "pending": "none"}


def test_migrating_a_seed_database_adopts_its_wallets(shell: Shell, seed_url: str) -> None:
    shell.url = seed_url
    with PlainSql(seed_url) as host:
        host.wallet()
        host.move(1, "topup", 70)
    assert shell.json("migrate") == {"applied": MIGRATIONS, "wallets_adopted": 1}
    assert shell.json("wallet", "show", 1)["balance_yen"] == 70
    assert shell("verify").startswith("ok")


def test_a_rollback_wants_a_yes(funded: Shell) -> None:
    assert "--yes" in funded.misused("rollback", 281)
    assert funded.json("wallet", "show", 1)["balance_yen"] == 1_000


def test_a_rollback_with_a_yes_undoes_the_later_ones_first(funded: Shell) -> None:
    assert funded.json("rollback", 284, "--yes") == {"rolled_back": MIGRATIONS[:2:-1]}
    assert funded.json("migrate", "--dry-run")["pending"] == MIGRATIONS[3:]
    assert funded.json("wallet", "show", 1)["balance_yen"] == 1_000
    assert funded.json("rollback", 281, "--yes") == {"rolled_back": MIGRATIONS[::-1]}
    assert funded.refused("wallet", "list")[0] == "no_ledger"
    funded("migrate")
    assert funded.json("wallet", "list") == []


@pytest.mark.parametrize("number", [280, 999])
def test_what_is_not_applied_is_not_rolled_back(funded: Shell, number: int) -> None:
    assert funded.refused("rollback", number, "--yes")[0] == "migration_error"


def test_a_rollback_of_a_database_that_is_not_there_makes_none(shell: Shell, tmp_path: Path) -> None:
    (tmp_path / "wallet.db").unlink()
    assert shell.refused("rollback", 281, "--yes")[0] == "migration_error"
    assert not list(tmp_path.iterdir())


# Which database


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("wallet.db", "invalid_request"),
        ("mysql://host/wallet", "invalid_request"),
        ("sqlite://[/wallet.db", "invalid_request"),
        ("sqlite:///wallet%00.db", "invalid_request"),
        ("sqlite:///:memory:", "invalid_request"),
        ("sqlite:////dev/null/wallet.db", "database_error"),
    ],
)
@pytest.mark.parametrize("command", [("wallet", "list"), ("migrate",), ("verify",), ("rollback", "281", "--yes")])
def test_a_database_that_cannot_be_is_refused_by_name(
    shell: Shell, url: str, code: str, command: tuple[str, ...]
) -> None:
    answer = shell.run("--db", url, *command)
    if code == "database_error":
        code = {"rollback": "migration_error", "migrate": code}.get(command[0], "no_ledger")
    assert answer.code == 1
    assert answer.err.startswith(f"{code}: ")
    assert url.removeprefix("sqlite:///") in answer.err


def test_without_a_command_it_says_which_there_are(shell: Shell) -> None:
    answer = shell.run()
    assert answer.code == 2
    assert "Prepaid wallets that AI agents pay API calls from." in answer.out + answer.err


def test_the_option_comes_before_the_environment_and_that_before_the_default(tmp_path: Path) -> None:
    given, environment = f"sqlite:///{tmp_path}/given.db", f"sqlite:///{tmp_path}/environment.db"
    for words, variables, made in (
        (("--db", given), {"CREDIT_WALLET_DATABASE_URL": environment}, "given.db"),
        ((), {"CREDIT_WALLET_DATABASE_URL": environment}, "environment.db"),
        ((), {}, "var/credit_wallet.db"),
    ):
        assert not (tmp_path / made).exists()
        answer = in_a_process(*words, "migrate", cwd=tmp_path, **variables)
        assert (answer.code, answer.err) == (0, "")
        assert (tmp_path / made).exists()


# PostgreSQL


@pytest.mark.databases("postgres")
def test_a_session_on_postgresql_from_the_first_migration_to_the_last(shell: Shell, databases: Databases) -> None:
    with databases.nothing() as shell.url:
        assert shell.json("migrate", "--dry-run") == {"dry_run": True, "pending": MIGRATIONS}
        assert shell.json("migrate") == {"applied": MIGRATIONS, "wallets_adopted": 0}
        assert shell.fields("migrate") == {"applied": "none", "wallets_adopted": "0"}
        assert shell.json("wallet", "create", "--monthly-budget-yen", 100)["wallet_id"] == 1
        assert shell.json("topup", 1, 1_000, "--key", "start")["balance_yen"] == 1_000
        charged = shell.json("charge", 1, 60, "--key", "charge", "--note", "検索")
        assert (charged["balance_yen"], [alert["threshold_pct"] for alert in charged["alerts"]]) == (940, [50])
        assert shell.json("charge", 1, 60, "--key", "charge", "--note", "検索")["replayed"] is True
        assert shell.refused("charge", 1, 941, "--key", "more")[0] == "insufficient_funds"
        hold_id = shell.json("hold", 1, 40, "--key", "hold")["hold_id"]
        assert "settle them" in shell.refused("rollback", 283, "--yes")[1]
        assert shell.json("capture", hold_id, 10)["balance_yen"] == 930
        assert [(entry["amount_yen"], entry["note"]) for entry in shell.json("history", 1)] == [
            (-10, None),
            (-60, "検索"),
            (1_000, None),
        ]
        report = json.loads(shell("statement", 1, "--cycle", "2026-05", "--format", "json"))
        assert (report["opening_yen"], report["closing_yen"], report["charges_yen"]) == (0, 930, -70)
        assert shell("verify") == f"ok: {len(CHECKS)} invariants hold for every wallet\n"
        findings = shell.json("doctor")
        assert {finding["check"] for finding in findings} >= {"postgresql", "durability", "connections", "ledger"}
        assert all(finding["ok"] for finding in findings)
        assert shell.json("rollback", 281, "--yes") == {"rolled_back": MIGRATIONS[::-1]}
        assert shell.json("migrate", "--dry-run")["pending"] == MIGRATIONS


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("postgresql://wallet:s3cret@127.0.0.1:1/ledger", "database_unavailable"),
        ("postgres://wallet@127.0.0.1:1/ledger?password=s3cret", "database_unavailable"),
        ("postgresql://wallet:s3cret@nowhere.invalid/ledger", "database_unavailable"),
        ("postgresql://wallet:s3cret@127.0.0.1:port/ledger", "invalid_request"),
        ("postgresql://wallet:s3cret@[::1/ledger", "invalid_request"),
        ("postgresql://wallet:s3cret@127.0.0.1/ledger?colour=red", "invalid_request"),
        ("postgresql://wallet:oh@s3cret@127.0.0.1:1/ledger", "invalid_request"),
        ("postgresql://wallet:oh/s3cret@127.0.0.1:1/ledger", "invalid_request"),
        ("postgresql://wallet:s3cret/oh@127.0.0.1:1/ledger", "invalid_request"),
        ("postgresql://wallet:oh?s3cret@127.0.0.1:1/ledger", "database_unavailable"),
    ],
)
@pytest.mark.parametrize("command", [("wallet", "list"), ("migrate",), ("verify",), ("rollback", "281", "--yes")])
def test_a_server_that_cannot_be_asked_is_told_without_its_password(
    shell: Shell, url: str, code: str, command: tuple[str, ...]
) -> None:
    answer = shell.run("--db", url, *command)
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith(f"{code}: ")
    assert "ledger" in answer.err
    assert "s3cret" not in answer.err
    answered = shell.run("--db", url, "--json", *command)
    assert (answered.code, json.loads(answered.out)["code"], answered.err) == (1, code, "")
    assert "s3cret" not in answered.out


# Payments through Stripe


@pytest.fixture(scope="module")
def stripe() -> Iterator[FakeStripe]:
    with FakeStripe() as running:
        yield running


@pytest.fixture
def till(shell: Shell, stripe: FakeStripe, monkeypatch: pytest.MonkeyPatch) -> Shell:
    """Wallet 1, to be topped up by ¥200 below ¥300, on an installation that takes payments."""
    monkeypatch.setenv("CREDIT_WALLET_STRIPE_KEY", "sk_test_of_the_tests")
    monkeypatch.setenv("CREDIT_WALLET_STRIPE_API_URL", stripe.url)
    shell("wallet", "create", "--auto-topup-threshold", 300, "--auto-topup-amount", 200)
    return shell


def pay_in(till: Shell, stripe: FakeStripe, amount_yen: int) -> str:
    """The owner asks for a top-up and pays; nobody tells the ledger. The top-up's id."""
    with CreditWallet.open(till.url) as wallets:
        payments = open_payments(wallets)
        assert payments is not None
        topup = payments.request(1, amount_yen, idempotency_key=f"pay {amount_yen}")
    stripe.pay(str(topup.payment_intent))
    return topup.topup_id


@pytest.mark.parametrize("words", [("run",), ("reconcile",), ("pay-back", "tu_1", 1, "--key", "k")])
def test_top_ups_without_payments_set_up_are_refused_and_an_empty_list(shell: Shell, words: tuple[object, ...]) -> None:
    shell("wallet", "create")
    code, message = shell.refused("topups", *words)
    assert code == "payments_not_configured"
    assert "CREDIT_WALLET_STRIPE_KEY" in message
    assert shell("topups", "list", 1) == "none\n"


def test_what_was_paid_while_nobody_listened_is_found(till: Shell, stripe: FakeStripe) -> None:
    topup_id = pay_in(till, stripe, 250)
    [listed] = till.json("topups", "list", 1)
    assert (listed["topup_id"], listed["status"], listed["amount_yen"]) == (topup_id, "pending", 250)
    assert till.json("topups", "reconcile") == {"asked": 1, "changed": 1, "problems": []}
    assert till.fields("topups", "reconcile") == {"asked": "0", "changed": "0", "problems": "none"}
    assert till.json("wallet", "show", 1)["balance_yen"] == 250
    assert till.json("topups", "list", 1, "--limit", 1)[0]["status"] == "credited"


def test_what_a_person_must_look_at_makes_reconciling_fail(till: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    payments = StandIn()
    payments.found = Reconciliation(asked=2, changed=1, problems=["tu_1: paid and not credited"])
    monkeypatch.setattr(cli, "require_payments", lambda _: payments)
    told = till.run("--db", till.url, "topups", "reconcile")
    assert (told.code, told.err) == (1, "")
    assert "tu_1: paid and not credited" in told.out


def test_automatic_top_ups_say_what_came_of_each(till: Shell, stripe: FakeStripe) -> None:
    assert till.json("topups", "run")[0]["status"] == "topup_stopped"
    pay_in(till, stripe, 50)
    till("topups", "reconcile")
    [topped_up] = till.json("topups", "run")
    assert (topped_up["wallet_id"], topped_up["status"], topped_up["amount_yen"]) == (1, "credited", 400)
    assert till("topups", "run") == "none\n"
    assert till.json("wallet", "show", 1)["balance_yen"] == 450
    assert till("verify").startswith("ok")


def test_unused_credit_is_paid_back_where_that_is_allowed(
    till: Shell, stripe: FakeStripe, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = clock()
    clock.set(now.replace(month=1))  # before the last base date, 31 March
    till("topup", 1, 1_000, "--key", "before")
    clock.set(now)
    topup_id = pay_in(till, stripe, 250)
    till("topups", "reconcile")
    back = ("topups", "pay-back", topup_id)
    assert till.refused(*back, 10, "--key", "k")[0] == "pay_back_not_allowed"
    monkeypatch.setenv("CREDIT_WALLET_PAY_BACK", "on")
    assert till.refused(*back, 201, "--key", "k") == (
        "pay_back_not_allowed",
        "¥200 may still be paid back in the period since 2026-03-31",
    )
    for _ in range(2):
        assert till.json(*back, 10, "--key", "k")["topup_id"] == topup_id
    assert till.json("wallet", "show", 1)["balance_yen"] == 1_240
    assert till.json("topups", "list", 1)[0]["reversed_yen"] == 10
    assert stripe.payment_intent(till.json("topups", "list", 1)[0]["payment_intent"]).refunded == 10


def test_a_stripe_that_cannot_be_reached_is_told(till: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_WALLET_STRIPE_API_URL", "http://127.0.0.1:9")
    monkeypatch.setattr(gateway, "RETRIES", 0)
    assert till.refused("topups", "reconcile")[0] == "payment_provider_error"
    assert failed_check(till, till.url)["check"] == "payment_provider_error"


def test_a_check_up_asks_stripe(till: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    found = till.json("doctor")[-1]
    assert (found["check"], found["ok"]) == ("payments", True)
    assert "test money; without a webhook secret" in found["detail"]
    monkeypatch.setenv("CREDIT_WALLET_STRIPE_WEBHOOK_SECRETS", "whsec_1")
    assert till.json("doctor")[-1]["detail"] == "Stripe answers, with test money"
    monkeypatch.setenv("CREDIT_WALLET_STRIPE_KEY", "sk_live_1")
    assert failed_check(till, till.url)["check"] == "payment_provider_error"
    monkeypatch.setenv("CREDIT_WALLET_TOPUP_MAX_YEN", "much")
    assert failed_check(till, till.url)["check"] == "invalid_request"


def test_test_money_is_refused_where_money_is_real(tmp_path: Path) -> None:
    answer = in_a_process("serve", "--test-payments", cwd=tmp_path, CREDIT_WALLET_STRIPE_KEY="sk_test_1")
    assert (answer.code, answer.out) == (1, "")
    assert answer.err.startswith("invalid_request: CREDIT_WALLET_STRIPE_KEY is set")
    assert not list(tmp_path.iterdir())


def test_payments_without_their_extra_say_what_to_install(till: Shell, tmp_path: Path) -> None:
    answer = without(["stripe"], "--db", till.url, "topups", "run", cwd=tmp_path)
    told = "payments_not_configured: stripe is missing; install agent-credit-wallet[stripe]\n"
    assert answer == (1, "", told)
    assert without(["stripe"], "--db", till.url, "topups", "list", "1", cwd=tmp_path) == (0, "none\n", "")


@pytest.mark.parametrize("missing", ["stripe", "fake_stripe", "aiohttp", "localstripe"])
def test_test_money_without_its_extra_says_what_to_install(tmp_path: Path, missing: str) -> None:
    answer = without([missing], "serve", "--test-payments", cwd=tmp_path)
    told = f"payments_not_configured: {missing} is missing; install agent-credit-wallet[test-payments]\n"
    assert answer == (1, "", told)


# Whole processes


def test_a_shell_session_from_the_first_wallet_to_the_proof(tmp_path: Path) -> None:
    created = in_a_process("wallet", "create", cwd=tmp_path)
    assert is_token(created.out.split()[-1])
    assert in_a_process("topup", "1", "10", "--key", "a", cwd=tmp_path).code == 0
    refused = in_a_process("charge", "1", "11", "--key", "b", cwd=tmp_path)
    assert (refused.code, refused.out) == (1, "")
    assert refused.err.startswith("insufficient_funds: wallet 1 has ¥10, this needs ¥11; ")
    assert in_a_process("charge", "1", cwd=tmp_path).code == 2
    assert in_a_process("verify", cwd=tmp_path) == (0, f"ok: {len(CHECKS)} invariants hold for every wallet\n", "")


def test_the_benchmark_measures_and_leaves_nothing_behind(tmp_path: Path) -> None:
    answer = in_a_process("--json", "bench", "--seconds", "0.1", "--folder", str(tmp_path), cwd=tmp_path)
    assert (answer.code, answer.err) == (0, "")
    report = json.loads(answer.out)
    assert {"machine", "durability", "cases"} <= set(report)
    assert all(case["charges_per_second"] > 0 for case in report["cases"])
    assert not list(tmp_path.iterdir())


def test_the_demo_ends_with_a_proof(shell: Shell) -> None:
    answer = shell.run("demo")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.endswith("verify: every invariant holds\n")
    assert "Statement of Wallet 4" in answer.out


SERVE_EXTRA = ["granian", "litestar", "prometheus_client", "uvloop"]


def without(missing: list[str], *words: str, cwd: Path) -> Answer:
    """The command line in a process where ``missing`` are not installed."""
    program = """
    import sys

    missing = sys.argv.pop(1).split(",")

    class Finder:
        def __init__(self, finder):
            self.finder = finder

        def find_spec(self, name, *rest):
            return None if name.partition(".")[0] in missing else self.finder.find_spec(name, *rest)

        def __getattr__(self, name):
            return getattr(self.finder, name)

    sys.meta_path = [Finder(each) for each in sys.meta_path]
    from credit_wallet.cli.app import main

    main()
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(program), ",".join(missing), *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.mark.parametrize("missing", ["granian", "litestar"])
def test_serving_without_its_extra_says_what_to_install(tmp_path: Path, missing: str) -> None:
    told = f"{missing} is missing; install agent-credit-wallet[serve]\n"
    assert without([missing], "serve", cwd=tmp_path) == (2, "", told)
    assert not list(tmp_path.iterdir())


def test_everything_but_serving_works_without_the_extra(tmp_path: Path) -> None:
    assert without(SERVE_EXTRA, "--db", "sqlite:///wallet.db", "migrate", cwd=tmp_path).code == 0
    assert without(SERVE_EXTRA, "--db", "sqlite:///wallet.db", "wallet", "list", cwd=tmp_path) == (0, "none\n", "")


# Notices


def test_settings_are_changed_and_the_rest_stays(funded: Shell) -> None:
    changed = funded.json("wallet", "configure", 1, "--low-balance-yen", 50, "--alert-at", 25, "--alert-at", 120)
    assert (changed["low_balance_yen"], changed["alert_thresholds_pct"]) == (50, [25, 120])
    assert (changed["label"], changed["monthly_budget_yen"]) == ("search", 100)
    cleared = funded.json("wallet", "configure", 1, "--alert-at", 0, "--budget-mode", "cap")
    assert (cleared["alert_thresholds_pct"], cleared["budget_mode"]) == ([], "cap")
    assert funded.refused("wallet", "configure", 1, "--alert-at", 2_000)[0] == "invalid_request"


def test_targets_are_added_tried_and_removed(funded: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDIT_WALLET_NOTIFY_PRIVATE", "on")
    with receiver() as endpoint:
        added = funded.json("alerts", "targets", "add", endpoint.url, 1, "--kind", "alert_fired", "--language", "ja")
        assert added["secret"].startswith("whsec_")
        operators = funded.json("alerts", "targets", "add", f"{endpoint.url}/all")
        assert [each["wallet_id"] for each in funded.json("alerts", "targets", "list")] == [0]
        [listed] = funded.json("alerts", "targets", "list", 1)
        assert (listed["target_id"], listed["kinds"], listed["secret"]) == (added["target_id"], ["alert_fired"], None)

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
    [tried] = _only_line(answer.out)
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
