"""What the command line shows that no single call of the library returns."""

from __future__ import annotations

from msgspec import Struct

from credit_wallet.domain.views import ExpiredLotView, LotView, WalletView


class WalletWithLots(WalletView, frozen=True, kw_only=True):
    """A wallet, and the lots that its balance is made of."""

    lots: list[LotView]


class Lots(Struct, frozen=True):
    """The open lots of a wallet, and those that expired lately."""

    lots: list[LotView]
    expired: list[ExpiredLotView]
