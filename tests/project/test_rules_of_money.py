"""A newcomer finds each of these rules of money by one grep, in one file of rules or domain."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "src" / "credit_wallet"

RULES = {
    "def refusal_to_spend": "rules/limits.py",
    "def spending_order": "rules/lots.py",
    "def expire_lots": "rules/credit.py",
    r"def capture\(batch": "rules/holds.py",
    "def refund_charge": "rules/refunds.py",
    "def fingerprint": "rules/idempotency.py",
    "def take_back": "rules/credit.py",
    "def _cross_thresholds": "rules/spending.py",
    r"def undo\(batch": "rules/purchases.py",
    r"def pay_back\(batch": "rules/pay_back.py",
}
"""What to look for, and where alone it is. `docs/architecture.md` says what the rules are."""


@pytest.mark.parametrize(("pattern", "file"), RULES.items())
def test_a_rule_of_money_is_in_one_file(pattern: str, file: str) -> None:
    looked_for = re.compile(pattern)
    found = [
        path.relative_to(PACKAGE).as_posix()
        for path in sorted(PACKAGE.rglob("*.py"))
        if looked_for.search(path.read_text(encoding="utf-8"))
    ]
    assert found == [file]
    assert file.split("/")[0] in ("rules", "domain")
