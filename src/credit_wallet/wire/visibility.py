"""What an agent key sees of its wallet: the figures that say what it can spend, and of everything else its own part.

Entries, notes, holds, labels and caps of other keys, and of the owner, are for the owner token. What is somebody
else's does not exist for an agent.
"""

from __future__ import annotations

from credit_wallet.domain.views import Access, TransactionView
from credit_wallet.domain.visibility import is_hidden
from credit_wallet.errors import EntryNotFound, Forbidden
from credit_wallet.ledger.wallet import CreditWallet


def visible_key(access: Access, asked: int | None) -> int | None:
    """The agent key whose entries may be listed: for an agent its own, for an owner and for keys that manage the one
    ``asked`` for, if any.

    Raises ``Forbidden`` when an agent asks for another one.
    """
    viewer = access.viewer_key_id
    if viewer is None:
        return asked
    if asked not in (None, viewer):
        raise Forbidden(f"an agent key sees only what it paid; leave key_id out or send {viewer}")
    return viewer


def is_visible(access: Access, wallet_id: int, key_id: int | None) -> bool:
    """Whether what ``key_id`` (None: the owner) did in ``wallet_id`` is the caller's to see."""
    return wallet_id == access.wallet_id and not is_hidden(key_id, access.viewer_key_id)


def visible_entry(wallets: CreditWallet, access: Access, txn_id: int) -> TransactionView:
    """A ledger entry of the caller's; a refund is whoever's charge it gives back. Raises ``EntryNotFound``."""
    entry = wallets.transactions.show(txn_id)
    paid = entry
    if entry.txn_type == "refund" and entry.related_txn_id is not None:
        paid = wallets.transactions.show(entry.related_txn_id)
    if not is_visible(access, entry.wallet_id, paid.key_id):
        raise EntryNotFound(f"there is no ledger entry {txn_id}; check the id", txn_id=txn_id)
    return entry
