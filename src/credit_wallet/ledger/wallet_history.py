"""A wallet's ledger entries, newest first, and whether anything has changed since."""

from __future__ import annotations

import builtins

from credit_wallet.domain.views import Transaction
from credit_wallet.ledger.ledger import Ledger, checked_page


class WalletHistory:
    """The lists of entries that ``CreditWallet`` has."""

    _ledger: Ledger

    def changes(self, wallet_id: int | None = None) -> str:
        """A short text that is another one as soon as something of the wallet has changed, or of the whole ledger.

        Of a wallet: money, holds, settings, keys, budgets, top-ups, notices, or that its usage has been counted.
        Compare it with the one before, for equality alone. It sees what every process has committed, takes no lock, and
        costs one statement of a few look-ups. Raises ``WalletNotFound``.
        """
        from credit_wallet.ledger.changes import changes_of

        return changes_of(self._ledger, wallet_id)

    def history(
        self,
        wallet_id: int,
        *,
        limit: int = 50,
        before_txn_id: int | None = None,
        txn_type: str | None = None,
        key_id: int | None = None,
        note: str | None = None,
        item: str | None = None,
        since: str | None = None,
        until: str | None = None,
        query: str | None = None,
    ) -> builtins.list[Transaction]:
        """The wallet's ledger entries, newest first, up to ``limit`` (at most 1,000).

        ``txn_type``, ``key_id``, ``note`` (matched in full) and ``item`` filter the entries; a refund also matches the
        key, the note and the item of the charge that it refunds. ``since`` and ``until`` are months, days of the
        wallet's time zone, which are included, or instants. Each word of ``query`` must be part of a text of the entry,
        whatever its case: of its note, item, request id, reference, metadata or facts. For the next page, pass the last
        ``txn_id`` as ``before_txn_id``. Raises ``WalletNotFound`` and ``InvalidRequest``.
        """
        from credit_wallet.ledger.transactions import entry_filter, wallet_to_search

        wallet = wallet_to_search(self._ledger, wallet_id, before_txn_id)
        wanted = entry_filter(
            wallet.time_zone,
            txn_type=txn_type,
            key_id=key_id,
            note=note,
            item=item,
            since=since,
            until=until,
            query=query,
        )
        return self._ledger.reader.history(
            wallet, limit=checked_page(limit), before_txn_id=before_txn_id, wanted=wanted
        )

    async def ahistory(
        self,
        wallet_id: int,
        *,
        limit: int = 50,
        before_txn_id: int | None = None,
        txn_type: str | None = None,
        key_id: int | None = None,
        note: str | None = None,
        item: str | None = None,
        since: str | None = None,
        until: str | None = None,
        query: str | None = None,
    ) -> builtins.list[Transaction]:
        """The asyncio twin of ``history``."""
        from asyncio import to_thread

        return await to_thread(
            self.history,
            wallet_id,
            limit=limit,
            before_txn_id=before_txn_id,
            txn_type=txn_type,
            key_id=key_id,
            note=note,
            item=item,
            since=since,
            until=until,
            query=query,
        )
