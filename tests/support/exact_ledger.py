"""A ledger of amounts below the yen, priced items and facts, sealed to its end."""

from __future__ import annotations

from datetime import UTC, datetime

from clock import Clock
from rich_ledger import LATE

from credit_wallet import CreditWallet
from credit_wallet.domain.actors import PAYER, seller

PRICES = """
[[price]]
item = "search"
unit_price_yen = "3.30"

[[price]]
item = "tokens.input"
unit_price_yen = "0.2"
per = 1000

[[price]]
item = "free"
unit_price_yen = "0"

[[price]]
item = "pages"
tiers = [{up_to = 10, unit_price_yen = "0"}, {unit_price_yen = "0.15"}]
"""


def fill(wallets: CreditWallet, clock: Clock) -> None:
    """Two months of two wallets. 1 spends by amounts and items, as an agent and through a shop; 2 owes a fraction."""
    wallets.prices.apply(PRICES)
    first, second = wallets.create(monthly_budget_yen=20).wallet_id, wallets.create().wallet_id
    agent = wallets.keys.create(first, monthly_cap_yen=900).key_id
    shop = seller(wallets.sellers.create(label="shop").seller_id)
    for month in (9, 10):
        clock.set(datetime(2026, month, 5, 12, tzinfo=UTC))
        _month(wallets, first, agent, f"{month}")
    _purchases(wallets, first, agent, shop)
    _debts(wallets, clock, second)
    wallets.maintenance.expire_due()
    wallets.alerts.run()
    while wallets.maintenance.seal():
        pass


def _month(wallets: CreditWallet, wallet_id: int, agent: int, month: str) -> None:
    paid = wallets.topup(wallet_id, "100.5", idempotency_key=f"{month} paid").txn_id
    wallets.topup(wallet_id, "10.25", idempotency_key=f"{month} gift", promo=True, expires_at=LATE)
    tea = wallets.charge(wallet_id, "3.30", idempotency_key=f"{month} tea", note="tea").txn_id
    wallets.charge(wallet_id, "0.000001", idempotency_key=f"{month} micro", key_id=agent)
    wallets.charge(wallet_id, 2, idempotency_key=f"{month} whole", note="whole")
    wallets.charge(
        wallet_id,
        item="search",
        quantity=2,
        facts={"model": "large", "tool": "web"},
        agent_facts={"run": month},
        idempotency_key=f"{month} search",
        note="search",
        key_id=agent,
    )
    wallets.charge(wallet_id, item="tokens.input", quantity="1234.5", idempotency_key=f"{month} tokens", note="tokens")
    wallets.charge(
        wallet_id, item="free", idempotency_key=f"{month} free", note="free", facts={"run": "a"}, actor=PAYER
    )
    wallets.charge(wallet_id, item="pages", quantity=15, idempotency_key=f"{month} pages")
    held = wallets.hold(wallet_id, "9.99", idempotency_key=f"{month} hold", key_id=agent, facts={"run": "b"}).hold_id
    wallets.capture(held, item="search", idempotency_key=f"{month} part", final=False)
    wallets.capture(held, "0.3", idempotency_key=f"{month} capture")
    wallets.hold(wallet_id, item="search", idempotency_key=f"{month} expires", ttl_seconds=60)
    wallets.refund(tea, "1.1", idempotency_key=f"{month} refund")
    wallets.reverse(paid, "0.5", idempotency_key=f"{month} reverse")
    if month == "10":
        wallets.hold(wallet_id, "5.55", idempotency_key="open", key_id=agent, ttl_seconds=86_400)


def _purchases(wallets: CreditWallet, wallet_id: int, agent: int, shop: str) -> None:
    for key, hold_seconds in (("charged", None), ("held", 600)):
        for act in ("serve", "undo", "renew"):
            name = f"{key} {act}"
            wallets.purchases.buy(
                wallet_id,
                item="search",
                facts={"tool": "web"},
                purchase_key=name,
                attempt="a",
                hold_seconds=hold_seconds,
                key_id=agent,
                actor=shop,
            )
            getattr(wallets.purchases, act)(wallet_id, name, attempt="a", actor=shop)


def _debts(wallets: CreditWallet, clock: Clock, wallet_id: int) -> None:
    paid = wallets.topup(wallet_id, "4.5", idempotency_key="poor").txn_id
    wallets.charge(wallet_id, "4.2", idempotency_key="nearly all")
    wallets.reverse(paid, "1.75", idempotency_key="clawed back")
    wallets.topup(wallet_id, "0.6", idempotency_key="repays a part")
    clock.advance(minutes=2)
