"""Transactions: single ledger entries, and searches among many."""

from __future__ import annotations

from typing import get_args

from credit_wallet.domain.outcomes import EntryType
from credit_wallet.domain.views import Transaction, TransactionView
from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.ledger import Ledger, checked_page
from credit_wallet.rules.validation import checked_id, malformed_text
from credit_wallet.stores.reads import WalletRow


class Transactions:
    """``wallets.transactions``: show one ledger entry, or search among many. ``wallets.history`` lists them."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def show(self, txn_id: int) -> TransactionView:
        """One ledger entry, with the amount refunded or reversed of it. Raises ``EntryNotFound``."""
        return self._ledger.reader.transaction(checked_id("txn_id", txn_id))

    def search(
        self,
        wallet_id: int,
        *,
        limit: int = 50,
        before_txn_id: int | None = None,
        txn_type: str | None = None,
        key_id: int | None = None,
        note: str | None = None,
    ) -> tuple[list[Transaction], int | None]:
        """One step of ``wallets.history``, which looks at 2,000 entries at most, however few match.

        Returns the matches, up to ``limit`` (at most 1,000), and the ``before_txn_id`` of the next step, None after the
        last one. Raises ``WalletNotFound`` and ``InvalidRequest``.
        """
        wallet = wallet_to_search(self._ledger, wallet_id, before_txn_id, txn_type, key_id, note)
        return self._ledger.reader.search(wallet, checked_page(limit), before_txn_id, txn_type, key_id, note)


def wallet_to_search(
    ledger: Ledger,
    wallet_id: int,
    before_txn_id: int | None,
    txn_type: str | None,
    key_id: int | None,
    note: str | None,
) -> WalletRow:
    """The wallet, after validating the arguments and, on the first page, settling what is due on it.

    Raises ``WalletNotFound`` and ``InvalidRequest``.
    """
    if before_txn_id is not None:
        checked_id("before_txn_id", before_txn_id)
    if txn_type is not None and txn_type not in get_args(EntryType):
        raise InvalidRequest(f"txn_type must be one of {', '.join(get_args(EntryType))}", field="txn_type")
    if problem := malformed_text("note", note):
        raise problem
    if key_id is not None:
        checked_id("key_id", key_id)
    if before_txn_id is None:
        return ledger.row(wallet_id)
    return ledger.reader.wallet(checked_id("wallet_id", wallet_id))
