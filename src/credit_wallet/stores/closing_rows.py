"""What stands in the way of closing a wallet, what opens it, and whose it is, the same on every database."""

from __future__ import annotations

from datetime import datetime

from credit_wallet.domain.acts import Act, Author, difference
from credit_wallet.domain.corrections import CorrectionReason
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.metadata import Metadata
from credit_wallet.domain.tokens import NewToken
from credit_wallet.errors import ClosingBlocked, WalletClosed, WalletNotFound
from credit_wallet.stores import Connection, Source, profile_rows, session_rows
from credit_wallet.stores.acts import record
from credit_wallet.stores.sql import statements

SQL = statements("closing.sql")

MAX_NAMED = 100
"""Holds, or top-ups, that a refusal names."""


def open_holds(source: Source, wallet_id: int) -> list[int]:
    """Ids of a wallet's open holds, those that expire first."""
    return [hold_id for hold_id, _ in source.rows(SQL["open_holds"], {"wallet_id": wallet_id, "limit": MAX_NAMED})]


def open_topups(source: Source, wallet_id: int) -> list[str]:
    """Ids of a wallet's top-ups that may still be credited, oldest first."""
    return [topup_id for (topup_id,) in source.rows(SQL["open_topups"], {"wallet_id": wallet_id, "limit": MAX_NAMED})]


def may_still_be_paid(wallet_id: int, topup_ids: list[str]) -> ClosingBlocked:
    """The refusal that names the top-ups in the way."""
    return ClosingBlocked(
        f"top-ups {', '.join(topup_ids)} of wallet {wallet_id} may still be paid; cancel them or wait, then send "
        "the same request again",
        wallet_id=wallet_id,
        blocked_by="topups",
        topup_ids=topup_ids,
    )


def holds_to_release(source: Source, wallet_id: int) -> list[int]:
    """The same without those of which the buyer was served: they are paid when they expire."""
    rows = source.rows(SQL["open_holds"], {"wallet_id": wallet_id, "limit": MAX_NAMED})
    return [hold_id for hold_id, served in rows if not served]


def running_purchases(source: Source, wallet_id: int) -> int:
    """How many purchases of a wallet are being served."""
    [(count,)] = source.rows(SQL["running_purchases"], {"wallet_id": wallet_id})
    return int(count)


def end_access(connection: Connection, wallet_id: int, unknown_hash: str, author: Author, now: datetime) -> None:
    """End every token, agent key, registered key, session and link that opens a wallet.

    Nobody has the token of ``unknown_hash``.
    """
    named = {"wallet_id": wallet_id, "now": format_instant(now)}
    _lock(connection, wallet_id, now)
    revoked = [int(key_id) for (key_id,) in connection.execute(SQL["revoke_keys"], named).fetchall()]
    secrets = len(connection.execute(SQL["remove_secrets"], named).fetchall())
    session_rows.end_access(connection, wallet_id)
    connection.execute(SQL["set_owner_token"], {**named, "token_hash": unknown_hash})
    ended = {"keys_revoked": sorted(revoked), "secrets_removed": secrets}
    record(connection, author, Act("wallet.access_ended", f"wallet:{wallet_id}", wallet_id, after=ended), now)


def hand_over(
    connection: Connection,
    wallet_id: int,
    reference: str | None,
    metadata: Metadata | None,
    token: NewToken | None,
    reason: CorrectionReason,
    note: str | None,
    author: Author,
    now: datetime,
) -> None:
    """Attach a wallet to another customer; with a ``token`` everything else that opens or pays it ends.

    What links have opened ends in any case: the host let another customer in.

    A closed wallet can be given another reference, or none, so that a new wallet can have it. Raises
    ``WalletNotFound``, ``WalletClosed``, ``ReferenceInUse``, and ``ClosingBlocked`` when the owner before may still pay
    something.
    """
    if (closed_at := _lock(connection, wallet_id, now)) is not None and token is not None:
        raise WalletClosed(f"wallet {wallet_id} was closed at {closed_at}", wallet_id=wallet_id, merged_into=None)
    before_reference, before_metadata = profile_rows.names_of(connection, wallet_id, profile_rows.ITSELF)
    profile_rows.set_reference(connection, wallet_id, reference)
    if reference != before_reference:
        session_rows.end_linked(connection, wallet_id)
    before: dict[str, object] = {"reference": before_reference}
    after: dict[str, object] = {"reference": reference}
    if metadata is not None:
        profile_rows.set_metadata(connection, wallet_id, profile_rows.ITSELF, metadata)
        before["metadata"], after["metadata"] = dict(before_metadata), dict(metadata)
    if token is not None:
        named = {"wallet_id": wallet_id, "limit": MAX_NAMED}
        if open_ones := [str(topup_id) for (topup_id,) in connection.execute(SQL["open_topups"], named).fetchall()]:
            raise may_still_be_paid(wallet_id, open_ones)
        end_access(connection, wallet_id, token.hash, author, now)
        connection.execute(SQL["drop_payer"], named)
        profile_rows.set_token_prefix(connection, wallet_id, profile_rows.ITSELF, token.prefix)
    was, now_is = difference(before, after)
    if now_is:
        act = Act("wallet.handed_over", f"wallet:{wallet_id}", wallet_id, was, now_is, reason, note)
        record(connection, author, act, now)


def _lock(connection: Connection, wallet_id: int, now: datetime) -> str | None:
    """When the wallet was closed, None for one that is not. Raises ``WalletNotFound``."""
    rows = connection.execute(SQL["lock_wallet"], {"wallet_id": wallet_id, "now": format_instant(now)}).fetchall()
    if not rows:
        raise WalletNotFound(f"there is no wallet {wallet_id}; check the id", wallet_id=wallet_id)
    [(closed_at,)] = rows
    return None if closed_at is None else str(closed_at)
