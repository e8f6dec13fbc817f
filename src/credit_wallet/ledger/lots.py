"""Lots: a wallet's credit, by where it came from."""

from __future__ import annotations

import builtins
from datetime import timedelta

from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.views import ExpiredLotView, LotView
from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.ledger import Ledger

DAYS_SHOWN = 30
"""For how long lots are shown after they expired; events are kept for longer."""

MAX_EXPIRED = 100


class Lots:
    """``wallets.lots``: the credit in a wallet, lot by lot."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def list(self, wallet_id: int) -> builtins.list[LotView]:
        """The wallet's open lots in the order of spending; their sum is the balance. Raises ``WalletNotFound``."""
        self._ledger.row(wallet_id)
        return self._ledger.reader.lots(wallet_id, self._ledger.clock())

    def expired(self, wallet_id: int, days: int = DAYS_SHOWN) -> builtins.list[ExpiredLotView]:
        """Lots that expired within the last ``days`` (1 to 30) with something left, the latest first.

        Up to ``MAX_EXPIRED``. What a refund returned to a lot after its end expired at once, and is in the transactions
        alone. Raises ``WalletNotFound`` and ``InvalidRequest``.
        """
        if type(days) is not int or not 1 <= days <= DAYS_SHOWN:
            raise InvalidRequest(f"days must be 1 to {DAYS_SHOWN}, not {days!r}", field="days")
        self._ledger.row(wallet_id)
        now = self._ledger.clock()
        since, until = format_instant(now - timedelta(days=days)), format_instant(now)
        return self._ledger.reader.expired_lots(wallet_id, since, until, MAX_EXPIRED)
