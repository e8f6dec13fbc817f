"""What the tools and the prompt say of budgets."""

from __future__ import annotations

import asyncio

from http_answers import funded

from credit_wallet import CreditWallet
from credit_wallet.mcp.prompts import budget
from credit_wallet.mcp.replies import WalletStatus
from credit_wallet.mcp.wallets import LedgerWallet


def status(wallets: CreditWallet, token: str) -> WalletStatus:
    """As the holder of a token sees it."""
    wallet = LedgerWallet(wallets, lambda: wallets.tokens.authenticate(token), None, "")
    return WalletStatus.of(asyncio.run(wallet.wallet()))


def test_an_agent_is_told_every_budget_that_bounds_it(wallets: CreditWallet) -> None:
    owner = funded(wallets, monthly_budget_yen=9_000)
    agent = wallets.keys.create(owner.wallet_id, group="acme/research", monthly_cap_yen=500)
    other = wallets.keys.create(owner.wallet_id, label="other")
    for asked in (
        {"limit_yen": 50, "window": "total", "scope": {"run": "*"}},
        {"limit_calls": 1_500, "window": "minute", "scope": {"group": "acme"}, "label": "calm"},
        {"limit_yen": "99.5", "window": "rolling:24h", "mode": "alert", "scope": {"tool": "search"}},
        {"limit_yen": 5, "window": "day", "mode": "shadow", "raised_limit_yen": 7, "raised_until": "2026-06-01"},
        {"limit_yen": 1, "window": "day", "scope": {"key_id": other.key_id}},
    ):
        wallets.budgets.create(owner.wallet_id, **asked)
    facts = {"run": "r1", "tool": "search"}
    wallets.charge(owner.wallet_id, "9.5", idempotency_key="a", key_id=agent.key_id, facts=facts)
    seen = status(wallets, agent.token)
    assert [(each.budget_id, each.applies_to, str(each.limit), str(each.left)) for each in seen.budgets] == [
        ("monthly-1", "everything", "9000", "8990.5"),
        (f"key-{agent.key_id}", f"key_id={agent.key_id}", "500", "490.5"),
        ("budget-2", "group=acme", "1500", "1499"),
        ("budget-1", "run=*", "50", "50"),
        ("budget-3", "tool=search", "99.5", "90"),
        ("budget-4", "everything", "7", "7"),
    ]
    assert str(seen.spendable) == "490.5"
    lines = [line for line in budget(seen).splitlines() if "- A limit of" in line]
    assert lines == [
        "- A limit of 1,500 calls a minute for group=acme has 1,499 calls left until 2026-05-15T12:01:00.000Z; charges "
        "beyond it are refused.",
        "- A limit of ¥50 in all for each of run=*; charges beyond it are refused.",
        "- A limit of ¥99.5 in 24h for tool=search has ¥90 left until 2026-05-16T12:00:00.000Z.",
        "- A limit of ¥7 a day for everything has ¥7 left until 2026-05-16T00:00:00.000Z (nothing is refused).",
    ]


def test_what_is_left_of_a_value_is_no_limit_of_the_next(wallets: CreditWallet) -> None:
    owner = funded(wallets)
    agent, other = (wallets.keys.create(owner.wallet_id) for _ in range(2))
    for scope in ({"run": "*"}, {"key_id": "*"}, {"key_id": "*", "run": "*"}):
        wallets.budgets.create(owner.wallet_id, limit_yen=50, window="total", scope=scope)
    wallets.charge(owner.wallet_id, 48, idempotency_key="a", key_id=other.key_id, facts={"run": "r1"})
    wallets.charge(owner.wallet_id, 5, idempotency_key="b", key_id=agent.key_id)
    seen = status(wallets, agent.token)
    assert [(each.applies_to, str(each.spent), str(each.left)) for each in seen.budgets] == [
        ("key_id=*", "5", "45"),
        ("run=*", "0", "50"),
        ("key_id=*, run=*", "0", "50"),
    ]
    assert [line for line in budget(seen).splitlines() if "- A limit of" in line] == [
        "- A limit of ¥50 in all for key_id=* has ¥45 left; charges beyond it are refused.",
        "- A limit of ¥50 in all for each of run=*; charges beyond it are refused.",
        "- A limit of ¥50 in all for each of key_id=*, run=*; charges beyond it are refused.",
    ]
    assert "for each of key_id=*; charges" in budget(status(wallets, owner.owner_token))


def test_a_model_is_shown_twenty_of_them(wallets: CreditWallet) -> None:
    owner = funded(wallets)
    for number in range(30):
        wallets.budgets.create(owner.wallet_id, limit_yen=1, window="day", scope={"run": f"r{number}"})
    last = wallets.budgets.create(owner.wallet_id, limit_yen=3, window="day")
    seen = status(wallets, owner.owner_token).budgets
    assert (len(seen), seen[0].budget_id) == (20, last.budget_id)
