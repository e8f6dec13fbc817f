"""Whether a wallet takes anything new, for jobs that have its row for themselves."""

from __future__ import annotations

from credit_wallet.errors import WalletClosed
from credit_wallet.stores import Connection

_CLOSING = """
SELECT closed_at, merged_into FROM am_credit_wallet WHERE wallet_id = :wallet_id AND closing_at IS NOT NULL
"""


def require_open(connection: Connection, wallet_id: int) -> None:
    """Raise ``WalletClosed`` when a wallet is closed, or is being closed."""
    for closed_at, merged_into in connection.execute(_CLOSING, {"wallet_id": wallet_id}).fetchall():
        state = "is being closed" if closed_at is None else f"was closed at {closed_at}"
        other = "another one" if merged_into is None else f"wallet {merged_into}, which has its credit"
        raise WalletClosed(f"wallet {wallet_id} {state}; use {other}", wallet_id=wallet_id, merged_into=merged_into)
