"""What stands in the way of closing a wallet, and what opens it, the same on every database."""

from __future__ import annotations

from datetime import datetime

from credit_wallet.domain.acts import Act, Author
from credit_wallet.domain.cycle import format_instant
from credit_wallet.errors import WalletNotFound
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.acts import record
from credit_wallet.stores.sql import statements

SQL = statements("closing.sql")

MAX_NAMED = 100
"""Holds that a refusal names."""


def open_holds(source: Source, wallet_id: int) -> list[int]:
    """Ids of a wallet's open holds, those that expire first."""
    return [hold_id for hold_id, _ in source.rows(SQL["open_holds"], {"wallet_id": wallet_id, "limit": MAX_NAMED})]


def holds_to_release(source: Source, wallet_id: int) -> list[int]:
    """The same without those of which the buyer was served: they are paid when they expire."""
    rows = source.rows(SQL["open_holds"], {"wallet_id": wallet_id, "limit": MAX_NAMED})
    return [hold_id for hold_id, served in rows if not served]


def running_purchases(source: Source, wallet_id: int) -> int:
    """How many purchases of a wallet are being served."""
    [(count,)] = source.rows(SQL["running_purchases"], {"wallet_id": wallet_id})
    return int(count)


def end_access(connection: Connection, wallet_id: int, unknown_hash: str, author: Author, now: datetime) -> None:
    """End every token, agent key and registered key that opens a wallet. Nobody has the token of ``unknown_hash``."""
    named = {"wallet_id": wallet_id, "now": format_instant(now)}
    if not connection.execute(SQL["lock_wallet"], named).fetchall():
        raise WalletNotFound(f"there is no wallet {wallet_id}; check the id", wallet_id=wallet_id)
    revoked = [int(key_id) for (key_id,) in connection.execute(SQL["revoke_keys"], named).fetchall()]
    secrets = len(connection.execute(SQL["remove_secrets"], named).fetchall())
    connection.execute(SQL["set_owner_token"], {**named, "token_hash": unknown_hash})
    ended = {"keys_revoked": sorted(revoked), "secrets_removed": secrets}
    record(connection, author, Act("wallet.access_ended", f"wallet:{wallet_id}", wallet_id, after=ended), now)
