"""``credit-wallet verify`` and ``seal``."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from clock import Clock
from shell import Shell, behind_its_back

from credit_wallet import CreditWallet
from credit_wallet.stores.jobs.verify import CHECKS


def test_verify_says_that_every_invariant_holds(funded: Shell) -> None:
    assert funded("verify") == f"ok: {len(CHECKS)} invariants hold for every wallet\n"
    assert funded.json("verify") == {"ok": True, "checks": list(CHECKS), "violations": []}


def test_several_processes_say_what_one_says(funded: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "1 to 64" in funded.misused("verify", "--processes", "0")
    assert funded("verify", "--processes", "2") == f"ok: {len(CHECKS)} invariants hold for every wallet\n"
    behind_its_back(tmp_path / "wallet.db", "UPDATE am_credit_wallet SET balance_yen = 1001 WHERE wallet_id = 1")
    one, two = (funded.run("--db", funded.url, "verify", "--processes", number) for number in ("1", "2"))
    assert one.code == two.code == 1
    assert one.err == two.err != ""
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    code, message = funded.refused("verify", "--processes", "2")
    assert code == "verify_interrupted"
    assert "cannot be started" in message
    assert "--processes 1" in message


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
        wallets.maintenance.seal()
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
