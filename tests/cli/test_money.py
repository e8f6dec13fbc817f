"""Commands that move money, and those that are refused or wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from clock import Clock
from shell import Shell


def test_a_movement_answers_its_outcome(funded: Shell) -> None:
    assert funded.json("charge", 1, 60, "--key", "charge", "--note", "crawl") == {
        "wallet_id": 1,
        "amount_yen": 60,
        "amount": "60",
        "balance_yen": 940,
        "balance": "940",
        "txn_id": 2,
        "hold_id": None,
        "replayed": False,
        "alerts": [{"threshold_pct": 50, "billing_cycle": "2026-05", "spent_yen": 60, "budget_yen": 100}],
        "warn_pct": 0,
        "expires_at": None,
        "topup_id": None,
        "price_version": None,
    }
    assert funded.json("history", 1)[0]["note"] == "crawl"


def test_a_movement_is_shown_to_people(funded: Shell) -> None:
    assert funded.fields("charge", 1, 60, "--key", "charge") == {
        "wallet_id": "1",
        "amount": "¥60",
        "balance": "¥940",
        "txn_id": "2",
        "hold_id": "–",
        "replayed": "no",
        "alerts": "50 % (¥60 of ¥100)",
        "warn_pct": "0",
        "expires_at": "–",
        "topup_id": "–",
    }


def test_a_movement_is_found_by_what_it_is_called(funded: Shell) -> None:
    names = ("--request-id", "req-1", "--reference", "order-1", "--metadata", "customer=cust\n81")
    funded.json("charge", 1, 6, "--key", "c", *names)
    funded.json("charge", 1, 7, "--key", "plain")
    held = funded.json("hold", 1, 5, "--key", "h", "--reference", "order-2")
    funded.json("capture", held["hold_id"], 5, "--request-id", "req-2")
    for words, amounts in (
        (("transaction", "find", "--request-id", "req-1"), [-6]),
        (("transaction", "find", "--reference", "order-2"), [-5]),
        (("transaction", "find", "--key", "plain"), [-7]),
        (("history", 1, "--reference", "order-1", "--key", "c"), [-6]),
        (("history", 1, "--request-id", "nobody's"), []),
    ):
        assert [entry["amount_yen"] for entry in funded.json(*words)] == amounts
    shown = funded.fields("transaction", "show", 2)
    assert (shown["request_id"], shown["metadata"]) == ("req-1", "customer=cust\\n81")


def test_items_and_facts_are_shown_where_there_are_any(funded: Shell, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text('[[price]]\nitem = "search"\nunit_price_yen = "3.30"\n', encoding="utf-8")
    funded("prices", "apply", prices)
    funded("charge", 1, "0.7", "--key", "amount")
    assert "item" not in funded("history", 1)
    sold = funded.fields("charge", 1, "--item", "search", "--quantity", "2.5", "--fact", "tool=search", "--key", "item")
    assert (sold["amount"], sold["balance"], sold["price_version"]) == ("¥8.25", "¥991.05", "1")
    held = funded.json("hold", 1, "--item", "search", "--quantity", 4, "--key", "hold")
    assert (held["amount"], held["balance"]) == ("13.2", "977.85")
    captured = funded.json("capture", held["hold_id"], "--item", "search", "--fact", "run=r 1")
    assert (captured["amount"], captured["amount_yen"]) == ("3.3", 3)
    shown = funded("history", 1)
    assert re.search(r"charge .* search +2\.5 +1 +tool=search", shown)
    assert funded.json("refund", sold["txn_id"], "0.05", "--key", "back")["balance"] == "987.8"


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
        (("charge", 1, "three", "--key", "k"), "'three' is not a decimal in plain digits with up to six places"),
        (("charge", 1, "1e3", "--key", "k"), "'1e3' is not a decimal in plain digits with up to six places"),
        (("charge", 1, "3.3000001", "--key", "k"), "'3.3000001' is not a decimal in plain digits with up to six"),
        (("charge", 1, "1_0", "--key", "k"), "'1_0' is not a decimal in plain digits with up to six places"),
        (("capture", 1, "+3"), "'+3' is not a decimal in plain digits with up to six places"),
        (("charge", 1, 3, "--item", "search", "--key", "k"), "Give either YEN or --item."),
        (("charge", 1, "--item", "search", "--quantity", "many", "--key", "k"), "'many' is not a decimal in plain"),
        (("charge", 1, 3, "--fact", "tool", "--key", "k"), "'tool' is not KEY=VALUE, such as tool=search."),
        (("hold", 1, 3, "--fact", "a=1", "--fact", "a=2", "--key", "k"), "Give each key of --fact once."),
        (("charge", 1, -3, "--key", "k"), "No such option '-3'"),
        (("charge", 1, "--key", "k"), "Give either YEN or --item."),
        (("wallet", "create", "--budget-mode", "stop"), "Invalid value for '--budget-mode'"),
        (("statement", 1), "Missing option '--cycle'"),
        (("statement", 1, "--cycle", "2026-05", "--format", "xml"), "Invalid value for '--format'"),
        (("bench", "--seconds", 0), "Invalid value for '--seconds'"),
        (("bench", "--folder", "no/such/folder"), "Invalid value for '--folder'"),
        (("serve", "--port", 70_000), "Invalid value for '--port'"),
        (("wallet", "show", 1, "--yen"), "No such option '--yen'"),
        (("spend",), "No such command 'spend'."),
    ],
)
def test_wrong_usage_exits_2_and_says_what_is_wrong(
    shell: Shell, tmp_path: Path, command: tuple[object, ...], told: str
) -> None:
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    assert told in " ".join(shell.misused(*command).split())
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_credit_moves_to_another_wallet(funded: Shell) -> None:
    funded("wallet", "create")
    moved = funded.json("transfer", 1, 2, "250.5", "--key", "move", "--note", "for search")
    assert (moved["balance"], moved["to_balance"], moved["replayed"]) == ("749.5", "250.5", False)
    assert funded.json("history", 2)[0]["note"].endswith("from wallet 1: for search")
    assert funded.fields("transfer", 1, 2, "250.5", "--key", "move", "--note", "for search")["replayed"] == "yes"
    assert funded.refused("transfer", 1, 2, 1_000, "--key", "more")[0] == "insufficient_funds"


def test_a_correction_takes_or_adds_and_says_why(funded: Shell) -> None:
    why = ("--reason", "mistyped_topup", "--note", "ticket 4711")
    assert funded.json("adjust", 1, "-10.5", *why, "--key", "k")["amount"] == "-10.5"
    assert funded.json("adjust", 1, "-10.5", *why, "--key", "k")["replayed"] is True
    given = funded.json("adjust", 1, 7, "--reason", "goodwill", "--note", "n", "--key", "k2")
    assert funded.json("take-back", given["txn_id"], "--note", "n", "--key", "k3")["amount"] == "-7"
    assert "Missing option '--reason'" in funded.misused("adjust", 1, "-10", "--note", "no reason", "--key", "k4")
    assert "is not a decimal" in " ".join(funded.misused("adjust", 1, "--5", *why, "--key", "k5").split())
