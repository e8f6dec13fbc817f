"""The addresses of the pages, for those who look at all of them. A new page gets a line here."""

from __future__ import annotations

from collections.abc import Mapping

from credit_wallet import CreditWallet

ANYBODY = {
    "welcome": "/",
    "sign-in": "/sign-in",
    "nowhere": "/wallet/nowhere",
    "docs": "/docs",
}
"""Pages for people who have not signed in, by name."""

WALLET = {
    "overview": "",
    "activity": "/activity",
    "spending": "/spending",
    "budgets": "/budgets",
    "budget": "/budgets/{budget}",
    "budget-new": "/budgets/new",
    "budget-changes": "/budgets/changes",
    "keys": "/keys",
    "key": "/keys/{key}",
    "pay-in": "/pay-in",
    "topups": "/topups",
    "topup": "/topups/{topup}",
    "receipt": "/topups/{topup}/receipt",
    "thank-you": "/thank-you?topup_id={topup}",
    "transfers": "/transfers",
    "auto-topup": "/auto-topup",
    "notices": "/notices",
    "documents": "/documents",
    "statement": "/documents/{cycle}",
    "log": "/log",
    "settings": "/settings",
}
"""Pages of a wallet, below where it is. One with a word in braces is left out for wallets that have no such thing."""

CUSTOMER = {name: path for name, path in WALLET.items() if name != "thank-you"} | {"corrections": "/corrections"}
"""What operators see of a wallet."""

CONSOLE = {
    "overview": "",
    "find-empty": "/find",
    "find": "/find?q=req-1",
    "find-customers": "/find?q=cust",
    "find-nothing": "/find?q=nothing-is-called-so",
    "wallets": "/wallets",
    "wallets-in-debt": "/wallets?status=in_debt&sort=-balance",
    "wallet-new": "/wallets/new",
    "payments": "/payments?status=all",
    "payment": "/payments/{topup}",
    "deliveries": "/deliveries?status=all",
    "prices": "/prices",
    "prices-change": "/prices/change",
    "prices-history": "/prices/history",
    "operators": "/operators",
    "log": "/log",
    "health": "/health",
    "revoke": "/revoke-token",
}
"""Pages of the operator."""


def addresses(pages: Mapping[str, str], base: str, known: Mapping[str, str]) -> dict[str, str]:
    """The address of each page by its name, of those for which everything is known."""
    found = {}
    for name, path in pages.items():
        try:
            found[name] = base + path.format_map(known)
        except KeyError:
            continue
    return found


def known_of(wallets: CreditWallet, wallet_id: int) -> dict[str, str]:
    """What addresses of a wallet's pages have in braces: its first budget, key and top-up, and its latest cycle."""
    topups = wallets.topups.list(wallet_id)
    keys = wallets.keys.list(wallet_id, limit=1)
    budgets = [each.budget_id for each in wallets.budgets.list(wallet_id) if each.budget_id.startswith("budget-")]
    return {
        **({"budget": budgets[0]} if budgets else {}),
        **({"key": str(keys[0].key_id)} if keys else {}),
        **({"topup": str(topups[-1].topup_id)} if topups else {}),
        "cycle": str(wallets.show(wallet_id).current_cycle or f"{wallets.clock.now():%Y-%m}"),
    }
