"""Holds: credit that is set aside."""

from __future__ import annotations

from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.views import HoldView
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.rules.validation import checked_id


class Holds:
    """``wallets.holds``: the state of a hold, which ``hold`` makes and ``capture`` and ``release`` close."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def show(self, hold_id: int) -> HoldView:
        """A hold and its state. Raises ``HoldNotFound``."""
        hold = self._ledger.reader.hold(checked_id("hold_id", hold_id))
        if hold.status == "open" and hold.expires_at <= format_instant(self._ledger.clock()):
            self._ledger.settle([hold.wallet_id])
            hold = self._ledger.reader.hold(hold_id)
        return hold
