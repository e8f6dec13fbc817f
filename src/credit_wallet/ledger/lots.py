"""Lots: a wallet's credit, by where it came from."""

from __future__ import annotations

import builtins

from credit_wallet.domain.views import LotView
from credit_wallet.ledger.ledger import Ledger


class Lots:
    """``wallets.lots``: the credit in a wallet, lot by lot."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def list(self, wallet_id: int) -> builtins.list[LotView]:
        """The wallet's open lots in the order of spending; their sum is the balance. Raises ``WalletNotFound``."""
        self._ledger.row(wallet_id)
        return self._ledger.reader.lots(wallet_id)
