"""What the command line shows that no single call of the library returns."""

from __future__ import annotations

from credit_wallet.domain.views import LotView, WalletView


class WalletWithLots(WalletView, frozen=True, kw_only=True):
    """A wallet, and the lots that its balance is made of."""

    lots: list[LotView]
