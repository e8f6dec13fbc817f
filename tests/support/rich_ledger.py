"""A ledger in which everything has happened that can be told from its entries, sealed to its end."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

from clock import Clock

from credit_wallet import CreditWallet
from credit_wallet.domain.actors import seller
from credit_wallet.domain.acts import OWNER
from credit_wallet.domain.topups import Clawback, PaymentFact

START = datetime(2026, 9, 5, 12, tzinfo=UTC)
SOON = "2026-09-30T00:00:00.000Z"
GIFTS_END = "2026-10-20T00:00:00.000Z"
LATE = "2027-02-01T00:00:00.000Z"


def fill(wallets: CreditWallet, clock: Clock) -> None:
    """Three months of four wallets. 1 lives on top-ups by hand, 2 on payments, 3 buys, and 4 owes."""
    ids = [
        wallets.create(monthly_budget_yen=1_000, label="by hand", reference="cust_1").wallet_id,
        wallets.create(label="payments").wallet_id,
        wallets.create(label="purchases").wallet_id,
        wallets.create(label="debts").wallet_id,
    ]
    wallets.configure(ids[0], alert_thresholds_pct=[10])
    agents = [wallets.keys.create(wallet_id, monthly_cap_yen=900).key_id for wallet_id in ids]
    sellers = [wallets.sellers.create(label=name).seller_id for name in ("shop", "rival", "gone")]
    for month in (9, 10, 11):
        clock.set(datetime(2026, month, 5, 12, tzinfo=UTC))
        _month(wallets, clock, ids[0], agents[0], f"{month}")
    _payments(wallets, ids[1])
    _purchases(wallets, clock, ids[2], agents[2], seller(sellers[0]))
    _debts(wallets, clock, ids[3])
    _promises(wallets, ids[1])
    wallets.maintenance.expire_due()
    wallets.alerts.run()
    _ends(wallets, ids, agents, sellers[2])
    wallets.maintenance.seal()
    clock.advance(minutes=1)
    wallets.charge(ids[0], 1, idempotency_key="after the first seal")
    wallets.maintenance.seal()


def _month(wallets: CreditWallet, clock: Clock, wallet_id: int, agent: int, month: str) -> None:
    paid = _id(wallets.topup(wallet_id, 2_000, idempotency_key=f"{month} paid").txn_id)
    if month == "9":
        wallets.topup(wallet_id, 100, idempotency_key="gift", promo=True, expires_at=GIFTS_END)
    wallets.topup(wallet_id, 50, idempotency_key=f"{month} late gift", promo=True, expires_at=LATE)
    charge = _id(wallets.charge(wallet_id, 120, idempotency_key=f"{month} charge", note="tea").txn_id)
    wallets.charge(wallet_id, 500, idempotency_key=f"{month} agent", key_id=agent)
    held = _id(wallets.hold(wallet_id, 90, idempotency_key=f"{month} hold", key_id=agent, ttl_seconds=600).hold_id)
    free = _id(wallets.hold(wallet_id, 30, idempotency_key=f"{month} free").hold_id)
    wallets.hold(wallet_id, 40, idempotency_key=f"{month} expires", ttl_seconds=60)
    wallets.refund(charge, 20, idempotency_key=f"{month} refund")
    wallets.capture(held, 60, idempotency_key=f"{month} part", final=False)
    wallets.capture(held, 20, idempotency_key=f"{month} capture")
    wallets.release(free, idempotency_key=f"{month} release")
    wallets.reverse(paid, 10, idempotency_key=f"{month} reverse")
    if month == "9":
        wallets.topup(wallet_id, 30, idempotency_key="gift that lapses", promo=True, expires_at=SOON)
    clock.advance(minutes=5)
    wallets.charge(wallet_id, 7, idempotency_key=f"{month} last")
    if month == "11":
        wallets.hold(wallet_id, 25, idempotency_key="open", key_id=agent, ttl_seconds=86_400)


def _payments(wallets: CreditWallet, wallet_id: int) -> None:
    def paid(key: str, yen: int) -> str:
        topup_id = wallets.topups.request(wallet_id, yen, idempotency_key=key).topup_id
        assert topup_id is not None
        says(
            topup_id,
            PaymentFact(
                observed_at=1, status="succeeded", received_yen=yen, payment_intent=f"pi_{key}", customer="cus_1"
            ),
        )
        return topup_id

    def says(topup_id: str, fact: PaymentFact) -> None:
        wallets.topups.settle(wallet_id, topup_id, fact)

    wallets.topup(wallet_id, 90, idempotency_key="gift", promo=True, expires_at=LATE)
    paid("plain", 700)
    disputed, won = paid("disputed", 900), paid("won", 300)
    says(disputed, PaymentFact(observed_at=2, clawbacks=(Clawback("dp_1", "dispute", 900, "withdrawn"),)))
    says(won, PaymentFact(observed_at=2, clawbacks=(Clawback("dp_2", "dispute", 300, "withdrawn"),)))
    says(won, PaymentFact(observed_at=3, clawbacks=(Clawback("dp_2", "dispute", 300, "reinstated"),)))
    for fact in (PaymentFact(observed_at=1, status="failed"), PaymentFact(observed_at=1, status="canceled")):
        topup_id = wallets.topups.request(wallet_id, 80, idempotency_key=f"{fact.status}").topup_id
        assert topup_id is not None
        says(topup_id, fact)
    wallets.topups.request(wallet_id, 60, idempotency_key="asked")
    wallets.charge(wallet_id, 33, idempotency_key="spent")


def _purchases(wallets: CreditWallet, clock: Clock, wallet_id: int, agent: int, shop: str) -> None:
    wallets.topup(wallet_id, 5_000, idempotency_key="credit")
    for key, hold_seconds, actor in (("c", None, shop), ("h", 600, shop), ("p", None, "product")):
        for act in ("serve", "undo", "renew"):
            wallets.purchases.buy(
                wallet_id,
                50,
                purchase_key=f"{key} {act}",
                attempt="a",
                hold_seconds=hold_seconds,
                key_id=agent,
                actor=actor,
            )
            getattr(wallets.purchases, act)(wallet_id, f"{key} {act}", attempt="a", actor=actor)
    sold = _id(wallets.charge(wallet_id, 15, idempotency_key="sold", actor=shop).txn_id)
    wallets.charge(wallet_id, 16, idempotency_key="sold too", actor=shop)
    wallets.refund(sold, 5, idempotency_key="sold back", actor=shop)
    clock.advance(minutes=1)


def _debts(wallets: CreditWallet, clock: Clock, wallet_id: int) -> None:
    """For a top-up that was taken back after it was spent, and for what was served after its hold had gone back."""
    paid = _id(wallets.topup(wallet_id, 400, idempotency_key="poor").txn_id)
    wallets.purchases.buy(wallet_id, 100, purchase_key="late", attempt="a", hold_seconds=1, lease_seconds=1)
    clock.advance(seconds=2)
    wallets.charge(wallet_id, 380, idempotency_key="nearly all")
    wallets.purchases.serve(wallet_id, "late", attempt="a")
    wallets.reverse(paid, 150, idempotency_key="clawed back")
    wallets.topup(wallet_id, 50, idempotency_key="repays a part")


def _promises(wallets: CreditWallet, wallet_id: int) -> None:
    """Grants of which some was credited and some had lapsed, and consents to automatic top-ups."""
    wallets.configure(wallet_id, auto_topup_threshold=100, auto_topup_amount=500)
    wallets.acting(OWNER).configure(wallet_id, auto_topup_daily_yen=1_000, auto_topup_consent="OK")
    for given in ({"starts_at": "2026-08-31T12:00:00Z", "lapses": "next"}, {"lapses": 40}, {"promo": False}):
        wallets.grants.create(wallet_id, "31.5", every="month", **given)
    wallets.grants.cancel(wallets.grants.create(wallet_id, 9, starts_at=LATE).grant_id)
    while wallets.maintenance.credit_grants():
        pass


def _ends(wallets: CreditWallet, ids: list[int], agents: list[int], gone: int) -> None:
    wallets.keys.create(ids[0], expires_at=LATE)
    wallets.keys.rotate(agents[0])
    wallets.rotate_owner_token(ids[0])
    wallets.secrets.register(ids[2], sha256(b"a host's own key").hexdigest(), agents[2])
    wallets.keys.revoke(agents[1])
    wallets.sellers.revoke(gone)


def _id(number: int | None) -> int:
    assert number is not None
    return number
