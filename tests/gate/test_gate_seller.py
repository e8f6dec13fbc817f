"""The seller of searches and tokens (examples/token_seller.py), over real HTTP, its prices changed while it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest
from http_answers import funded
from nodes import until
from served import PATIENCE_SECONDS, Served
from service import credentials

from credit_wallet import CreditWallet
from credit_wallet.middleware import CreditGate

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
CREDIT_YEN = 10_000


def command(url: str, *words: object) -> str:
    """What ``credit-wallet words…`` prints, as a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "credit_wallet", "--db", url, *map(str, words)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_prices_change_while_it_sells_and_the_statement_ties_to_the_micro(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(EXAMPLES))
    import token_seller  # type: ignore[import-not-found]

    url, prices = f"sqlite:///{tmp_path / 'wallet.db'}", tmp_path / "prices.toml"
    prices.write_text(token_seller.PRICES, encoding="utf-8")
    command(url, "migrate")
    assert "version 1" in command(url, "prices", "apply", prices)
    with CreditWallet.open(url) as wallets:
        wallet = funded(wallets)
        app: CreditGate = token_seller.create_app(wallets)
        with Served(app) as served, httpx.Client(base_url=served.url, timeout=PATIENCE_SECONDS) as agent:
            agent.headers.update(credentials(wallet.owner_token) | {"X-Customer": "acme", "X-Wallet-Facts": "run=r1"})
            search(agent, "¥3.3 a call")
            assert write(agent, "one two three four") == 40
            wait_until_paid(wallets, wallet.wallet_id)
            prices.write_text(token_seller.PRICES.replace('"3.30"', '"3.63"').replace('"0.6"', '"0.75"'))
            assert "version 2" in command(url, "prices", "apply", prices)
            search(agent, "¥3.63 a call", key="retried")
            search(agent, "¥3.63 a call", key="retried")
            assert write(agent, "one two three") == 30
            wait_until_paid(wallets, wallet.wallet_id)
        expected = [
            ("search", 1, "-3.3", 1),
            ("tokens.input", 4, "-0.0008", 1),
            ("tokens.output", 40, "-0.024", 1),
            ("search", 1, "-3.63", 2),
            ("tokens.input", 3, "-0.0006", 2),
            ("tokens.output", 30, "-0.0225", 2),
        ]
        charges = [each for each in reversed(wallets.history(wallet.wallet_id)) if each.txn_type == "charge"]
        assert [(each.item, each.quantity or 0, str(each.amount), each.price_version) for each in charges] == expected
        assert {each.facts["customer"] for each in charges} == {"acme"}
        assert {each.agent_facts["run"] for each in charges} == {"r1"}
        assert [each.facts["tool"] for each in charges] == ["search", "write", "write"] * 2
        closing = wallets.balance(wallet.wallet_id)
        assert closing.balance == CREDIT_YEN - Decimal("6.9779")
        assert closing.held_micros == 0
        assert wallets.verify() == []
        cycle = wallets.show(wallet.wallet_id).current_cycle
    check_statement(url, cycle)


def wait_until_paid(wallets: CreditWallet, wallet_id: int) -> None:
    """Until nothing is held: a caller has the last byte before its call is settled."""
    until(lambda: wallets.balance(wallet_id).held_micros == 0)


def search(agent: httpx.Client, price: str, key: str = "") -> None:
    """One search; the document of the application has said what it costs."""
    operation = agent.get("/openapi.json").json()["paths"]["/search"]["get"]
    assert operation["x-payment-info"]["protocols"][0]["credit-wallet"]["description"] == price
    answered = agent.get("/search", params={"q": "tuna"}, headers={"Idempotency-Key": key} if key else {})
    assert answered.json() == {"found": "TUNA"}


def write(agent: httpx.Client, prompt: str) -> int:
    """The tokens of a text, counted as they arrive."""
    with agent.stream("POST", "/write", json={"prompt": prompt}) as answered:
        assert answered.status_code == 200
        return len("".join(answered.iter_text()).split())


def check_statement(url: str, cycle: str) -> None:
    """It names item × quantity @ price, and what it adds up is what the wallet has, to the micro."""
    text = command(url, "statement", 1, "--cycle", cycle)
    for line in ("search × 2", "1 @ ¥3.3, price version 1", "1 @ ¥3.63, price version 2", "40 @ ¥0.6 per 1,000"):
        assert line in text
    statement: dict[str, Any] = json.loads(command(url, "statement", 1, "--cycle", cycle, "--format", "json"))
    entries = [Decimal(entry["amount"]) for entry in statement["entries"]]
    assert sum(entries) == Decimal(statement["closing"]) == CREDIT_YEN - Decimal("6.9779")
    assert command(url, "verify").count("violation") <= 1
