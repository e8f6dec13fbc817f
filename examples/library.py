"""A wallet's life in one file: create, top up, charge, hold and capture, refund, statement.

python examples/library.py [DATABASE]   (default: wallet.db in the current folder, which must be new)
"""

from __future__ import annotations

import sys
from datetime import UTC, datetime

from credit_wallet import CreditWallet, WalletError
from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.reports.statement import to_text


def main(path: str) -> None:
    with CreditWallet.open(f"sqlite:///{path}") as wallets:
        wallet_id = wallets.create(label="example", monthly_budget_yen=1_000, budget_mode="cap").wallet_id
        wallets.topup(wallet_id, 2_000, idempotency_key="invoice-1", note="card")
        wallets.topup(wallet_id, 300, idempotency_key="welcome", promo=True, expires_at="2099-12-31", note="gift")

        # One call, one charge. A retry sends the same key and gets the same answer.
        key = new_idempotency_key()
        charge = wallets.charge(wallet_id, 3, idempotency_key=key, note="GET /search")
        retry = wallets.charge(wallet_id, 3, idempotency_key=key, note="GET /search")
        print(f"charged ¥{charge.amount_yen}, ¥{charge.balance_yen:,} left; retry replayed: {retry.replayed}")

        # The price is known afterwards: set aside the most it can be, then take what it was.
        hold = wallets.hold(wallet_id, 200, idempotency_key="crawl-1", ttl_seconds=600, note="crawl")
        capture = wallets.capture(hold.hold_id, 145)
        print(f"held ¥{hold.amount_yen}, captured ¥{capture.amount_yen}, ¥{capture.balance_yen:,} left")

        # The call failed after it was paid for: give the charge back.
        refund = wallets.refund(charge.txn_id, idempotency_key=f"refund-{charge.txn_id}", note="503 from upstream")
        print(f"refunded ¥{refund.amount_yen}, ¥{refund.balance_yen:,} left")

        # The budget is a cap, and it holds to the yen.
        try:
            wallets.charge(wallet_id, 900, idempotency_key="too-much")
        except WalletError as refusal:
            print(f"refused, {refusal.code}: {refusal}")

        print()
        print(to_text(wallets.statement(wallet_id, f"{datetime.now(UTC):%Y-%m}")))
        print()
        print("violations:", wallets.verify())


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "wallet.db")
