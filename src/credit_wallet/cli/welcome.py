"""What ``serve --demo`` prints: a wallet to try, the command that charges it, and where to top it up."""

from __future__ import annotations

from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.payments.settings import PAY_IN

DEMO_LABEL = "demo"
DEMO_YEN = 10_000
DEMO_PRICE_YEN = 3


def welcome(wallets: CreditWallet, address: str, *, takes_payments: bool) -> str:
    """Make the demo wallet on the first start; later give it a new agent key, since tokens are never stored."""
    demo = next((wallet for wallet in wallets.list(limit=1_000) if wallet.label == DEMO_LABEL), None)
    if demo is None:
        created = wallets.create(label=DEMO_LABEL, monthly_budget_yen=DEMO_YEN)
        wallets.topup(created.wallet_id, DEMO_YEN, idempotency_key="demo", note="demo credit")
        what, token = f"Owner token of demo wallet {created.wallet_id}, shown this once", created.owner_token
    else:
        what = f"New agent key of demo wallet {demo.wallet_id} (its owner token was shown at the first start)"
        token = wallets.keys.create(demo.wallet_id, label="demo").token
    topup = (
        f"\nTop it up: sign in with that token at {address}{PAY_IN}\n"
        if takes_payments and demo is None  # an agent key may not top up
        else ""
    )
    return (
        f"{what}:\n  {token}\n\nCharge ¥{DEMO_PRICE_YEN}:\n"
        f"  curl -i {address}/credit/charge -H 'Authorization: Bearer {token}' \\\n"
        f"    -H 'Idempotency-Key: {new_idempotency_key()}' -H 'Content-Type: application/json' \\\n"
        f"    -d '{{\"amount_yen\": {DEMO_PRICE_YEN}}}'\n{topup}"
    )
