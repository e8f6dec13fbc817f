"""Sellers: applications that may charge and hold for any wallet, and close and refund what they made."""

from __future__ import annotations

import builtins

from credit_wallet.domain.actors import Actor
from credit_wallet.domain.tokens import new_seller_token, token_hash
from credit_wallet.domain.views import CreatedSeller, SellerView
from credit_wallet.ledger.keys import checked_overlap
from credit_wallet.ledger.ledger import Ledger, checked_page
from credit_wallet.rules.validation import checked_after, checked_id, malformed_text
from credit_wallet.stores import identity_rows


class Sellers:
    """``wallets.sellers``: create, list, rotate and revoke sellers and their tokens."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def create(self, *, label: str | None = None) -> CreatedSeller:
        """A new seller and its token, which cannot be shown again.

        It may charge and hold for any wallet, and close, extend and refund what it made itself; nothing else. Raises
        ``InvalidRequest`` for a label of more than 500 characters.
        """
        if problem := malformed_text("label", label):
            raise problem
        token = new_seller_token()
        seller_id = self._ledger.change_secrets(0, identity_rows.create_seller, token_hash(token), label)
        return CreatedSeller(seller_id, token)

    def list(self, *, after: int = 0, limit: int = 100) -> builtins.list[SellerView]:
        """Sellers with an id above ``after``, by id, up to ``limit`` (at most 1,000), revoked ones included."""
        return identity_rows.sellers(self._ledger.reader.source, checked_after(after), checked_page(limit))

    def show(self, seller_id: int) -> SellerView:
        """A seller. Raises ``SellerNotFound``."""
        return identity_rows.seller(self._ledger.reader.source, checked_id("seller_id", seller_id))

    def rotate(self, seller_id: int, *, overlap_seconds: int = 3600) -> CreatedSeller:
        """Another token for a seller; its earlier tokens work for ``overlap_seconds`` more, 0 to 31 days.

        Raises ``SellerNotFound``, ``KeyEnded`` when it is revoked, and ``TooManyTokens`` when ten earlier ones work.
        """
        token, overlap = new_seller_token(), checked_overlap(overlap_seconds)
        checked_id("seller_id", seller_id)
        self._ledger.change_secrets(0, identity_rows.rotate_seller, seller_id, token_hash(token), overlap)
        return CreatedSeller(seller_id, token)

    def revoke(self, seller_id: int) -> SellerView:
        """Revoke a seller for good. Its charges stay; its open holds expire. Raises ``SellerNotFound``."""
        checked_id("seller_id", seller_id)
        self._ledger.change_secrets(0, identity_rows.revoke_seller, seller_id)
        return self.show(seller_id)

    def has_sold(self, actor: Actor, txn_id: int) -> bool:
        """Whether the seller ``actor`` (``"seller:1"``) made a charge, directly or by a hold of its own."""
        return identity_rows.has_sold(self._ledger.reader.source, actor, checked_id("txn_id", txn_id))

    def has_held(self, actor: Actor, hold_id: int) -> bool:
        """Whether ``actor`` made a hold."""
        return identity_rows.has_held(self._ledger.reader.source, actor, checked_id("hold_id", hold_id))
