"""A cheap look at whether something has changed, for pages that show it as it is."""

from __future__ import annotations

from hashlib import blake2b

from credit_wallet.errors import WalletNotFound
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.rules.validation import checked_id
from credit_wallet.stores.sql import statements

_SQL = statements("changes.sql")
_BYTES = 9


def changes_of(ledger: Ledger, wallet_id: int | None) -> str:
    """See ``CreditWallet.changes``."""
    if wallet_id is None:
        [row] = ledger.ask(_SQL["of_ledger"])
    else:
        rows = ledger.ask(_SQL["of_wallet"], wallet_id=checked_id("wallet_id", wallet_id))
        if not rows:
            raise WalletNotFound(f"there is no wallet {wallet_id}", wallet_id=wallet_id)
        [row] = rows
    return blake2b(repr(row).encode(), digest_size=_BYTES).hexdigest()
