"""Deliveries: events on their way to notification targets, and their state."""

from __future__ import annotations

import builtins
from typing import get_args

from credit_wallet.domain.views import DeliveryStatus, DeliveryView
from credit_wallet.errors import DeliveryNotFound, InvalidRequest
from credit_wallet.ledger.ledger import Ledger, checked_page
from credit_wallet.rules.validation import MAX_ID, checked_after, checked_id
from credit_wallet.stores.notification_rows import SQL, delivery_view, resend


class Deliveries:
    """``wallets.deliveries``: see which notices arrived, and resend those that did not."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def list(
        self,
        wallet_id: int | None = None,
        *,
        status: DeliveryStatus | None = None,
        before: int | None = None,
        limit: int = 50,
    ) -> builtins.list[DeliveryView]:
        """The latest deliveries, of one wallet (0 for the operator's targets) or of all, up to ``limit`` (to 1,000).

        ``status``, when given, is ``pending``, ``delivered`` or ``dead``. For the next page, pass the last
        ``delivery_id`` as ``before``. Raises ``InvalidRequest``.
        """
        if status not in (None, *get_args(DeliveryStatus)):
            raise InvalidRequest("status must be pending, delivered or dead", field="status")
        checked_page(limit)
        if wallet_id is not None:
            checked_id("wallet_id", wallet_id)
        first = MAX_ID if before is None else checked_after(before)
        asked: dict[str, object] = {"before": first, "limit": limit}
        if wallet_id is not None:
            rows = self._ledger.ask(SQL["deliveries"], wallet_id=wallet_id, status=status, **asked)
        elif status is not None:
            rows = self._ledger.ask(SQL["deliveries_with_status"], status=status, **asked)
        else:
            rows = self._ledger.ask(SQL["deliveries_of_all"], **asked)
        return [delivery_view(row) for row in rows]

    def resend(self, delivery_id: int | None = None) -> int:
        """Resend a delivery, or without an id every dead one; return how many will be sent.

        Raises ``DeliveryNotFound`` for one that is unknown or whose target was removed.
        """
        if delivery_id is not None:
            checked_id("delivery_id", delivery_id)
        sent = self._ledger.maintain(resend, delivery_id, self._ledger.author, self._ledger.clock())
        if delivery_id is not None and not sent:
            raise DeliveryNotFound(
                f"there is no delivery {delivery_id} that can be sent again", delivery_id=delivery_id
            )
        return sent
