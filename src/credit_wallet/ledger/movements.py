"""Lookups before a movement becomes a command: the wallets of holds and entries, time zones, and permissions."""

from __future__ import annotations

from credit_wallet.domain.actors import PRODUCT, SUPERVISORS, Actor, seller_of
from credit_wallet.errors import Forbidden, InvalidRequest
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.ledger.reading_lanes import MONEY
from credit_wallet.rules.validation import checked_end, checked_id


def wallet_of_hold(ledger: Ledger, hold_id: int) -> int:
    """Raises ``HoldNotFound``."""
    return ledger.reader.hold(checked_id("hold_id", hold_id)).wallet_id


async def awallet_of_hold(ledger: Ledger, hold_id: int) -> int:
    """The asyncio twin of ``wallet_of_hold``."""
    return await ledger.reading_lanes.ask(MONEY, wallet_of_hold, ledger, hold_id)


def wallet_of_entry(ledger: Ledger, txn_id: int) -> int:
    """Raises ``EntryNotFound``."""
    return ledger.reader.wallet_of_entry(checked_id("txn_id", txn_id))


def wallet_of_sale(ledger: Ledger, txn_id: int, actor: Actor) -> int:
    """The wallet of a charge that ``actor`` may refund. Raises ``EntryNotFound`` and ``Forbidden``."""
    wallet_id = wallet_of_entry(ledger, txn_id)
    if seller_of(actor) is None:
        return wallet_id
    from credit_wallet.stores.identity_rows import has_sold

    if not has_sold(ledger.reader.source, actor, txn_id):
        raise Forbidden(f"charge {txn_id} was not made by this seller, who therefore cannot refund it", txn_id=txn_id)
    return wallet_id


def end_of_lot(ledger: Ledger, wallet_id: int, expires_at: str | None) -> str | None:
    """The instant of an expiry; a date is read in the wallet's zone. Raises ``InvalidRequest``, ``WalletNotFound``."""
    return checked_end("expires_at", expires_at, lambda: ledger.time_zone_of(wallet_id))


def closing_key(key: str | None, own_key: str, actor: Actor, *, repeatable: bool = True) -> tuple[str, Actor]:
    """The given idempotency key, or one that the product makes, for callers with the product's permissions."""
    if key is not None:
        return key, actor
    if actor not in SUPERVISORS or not repeatable:
        raise InvalidRequest("idempotency_key is required here", field="idempotency_key")
    return own_key, PRODUCT
