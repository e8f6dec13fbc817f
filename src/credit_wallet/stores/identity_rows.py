"""Secrets and sellers as rows: jobs in separate transactions, the same on every database.

An identity is a wallet's owner, an agent key or a seller. The current token of the first two stays on their own rows;
other secrets, and all tokens of sellers, are in ``am_credit_secret``. A job that changes an identity first locks its
row, so that of two concurrent rotations the second sees the result of the first. A rotation may be repeated when it is
unknown whether it was committed: it recognises its token.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct, structs

from credit_wallet.domain.actors import Actor
from credit_wallet.domain.actors import seller as seller_actor
from credit_wallet.domain.acts import Act, Author
from credit_wallet.domain.budget_settings import NewKey
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.operators import Opened, OperatorAccess
from credit_wallet.domain.permissions import scopes_of
from credit_wallet.domain.tokens import NewToken
from credit_wallet.domain.views import Access, SecretView, SellerAccess, SellerView
from credit_wallet.errors import (
    KeyEnded,
    KeyNotFound,
    SecretInUse,
    SecretNotFound,
    SellerNotFound,
    TooManyKeys,
    TooManyTokens,
    WalletNotFound,
)
from credit_wallet.stores import Connection, Source, profile_rows
from credit_wallet.stores.acts import record
from credit_wallet.stores.budget_jobs import log_new_key
from credit_wallet.stores.sql import statements
from credit_wallet.stores.standing_rows import require_open

SQL = statements("identity.sql")

MAX_OLDER_TOKENS = 10
"""Maximum earlier tokens of an identity that work besides the current one."""

MAX_REGISTERED = 1_000
"""Maximum registered keys of a wallet."""

MAX_KEYS = 1_000
"""Maximum active agent keys of a wallet."""

OWNER = 0
"""The ``key_id`` of what is the owner's."""


class _Identity(Struct, frozen=True):
    wallet_id: int
    key_id: int = OWNER
    seller_id: int = 0

    def named(self, **parameters: object) -> dict[str, object]:
        return {"wallet_id": self.wallet_id, "key_id": self.key_id, "seller_id": self.seller_id, **parameters}


# What a token opens


def opened(source: Source, token_hash: str, now: datetime) -> Opened | None:
    """The access that a token gives; None when it is unknown, revoked or expired, or opens several things."""
    at = format_instant(now)
    found: dict[Opened, str | None] = {}
    for row in source.rows(SQL["opened"], {"token_hash": token_hash}):
        *_, ends_at, expires_at, revoked_at = row[:7]
        end = min((each for each in (ends_at, expires_at) if each is not None), default=None)
        if revoked_at is None and (end is None or end > at):
            access = _access_of(row)
            known = found.get(access, end)
            found[access] = None if end is None or known is None else max(known, end)
    if len(found) != 1:
        return None
    [(access, end)] = found.items()
    return access if end is None else structs.replace(access, ends_at=end)


def _access_of(row: tuple[Any, ...]) -> Opened:
    """What a row of ``opened`` opens."""
    wallet_id, key_id, seller_id, *_, scopes, operator_id, name, role = row
    if operator_id:
        return OperatorAccess(operator_id, name, role)
    if seller_id:
        return SellerAccess(seller_id)
    return Access(wallet_id, key_id, scopes=scopes_of(scopes)) if key_id else Access(wallet_id, None)


def wallets_of(source: Source, token_hash: str) -> tuple[int, ...]:
    """The wallets that a token has opened, whether it still works or not, as long as its hash is kept."""
    rows = source.rows(SQL["opened"], {"token_hash": token_hash})
    return tuple(sorted({wallet_id for wallet_id, *_ in rows if wallet_id}))


# Agent keys


def create_key(
    connection: Connection,
    wallet_id: int,
    token: NewToken,
    key: NewKey,
    expires_at: str | None,
    author: Author,
    now: datetime,
) -> int:
    """Insert an agent key; return its id. Raises ``WalletNotFound``, ``WalletClosed``, ``TooManyKeys`` and
    ``ReferenceInUse``.
    """
    if not connection.execute(SQL["lock_owner"], {"wallet_id": wallet_id}).fetchall():
        raise _no_wallet(wallet_id)
    named = {"wallet_id": wallet_id, "token_hash": token.hash, "now": format_instant(now)}
    for (key_id,) in connection.execute(SQL["key_of_token"], named).fetchall():
        return int(key_id)
    require_open(connection, wallet_id)
    [(working,)] = connection.execute(SQL["count_keys"], {**named, "max": MAX_KEYS}).fetchall()
    if working >= MAX_KEYS:
        raise TooManyKeys(
            f"wallet {wallet_id} has {MAX_KEYS} working agent keys, the maximum; revoke one that is not needed, "
            "or let keys expire",
            max=MAX_KEYS,
        )
    row = {**named, "label": key.label, "monthly_cap_yen": key.monthly_cap_yen, "expires_at": expires_at}
    row |= {"key_group": key.group, "scopes": key.scopes}
    [(key_id,)] = connection.execute(SQL["create_key"], row).fetchall()
    key_id = int(key_id)
    names = profile_rows.Names(key.label, key.reference, key.metadata)
    profile_rows.put_names(connection, wallet_id, key_id, names, token.prefix, format_instant(now))
    log_new_key(connection, wallet_id, key_id, key, author, now)
    settings = {**key.described(), "expires_at": expires_at}
    record(connection, author, Act("key.created", f"key:{key_id}", wallet_id, after=settings), now)
    return key_id


def revoke_key(connection: Connection, key_id: int, author: Author, now: datetime) -> str:
    """Revoke an agent key for good; return when it was first revoked. Raises ``KeyNotFound``."""
    for (wallet_id,) in connection.execute(SQL["wallet_of_key"], {"key_id": key_id}).fetchall():
        # Whoever spends with the key has read it behind this lock.
        connection.execute(SQL["lock_owner"], {"wallet_id": wallet_id}).fetchall()
        [(*_, revoked_at)] = connection.execute(SQL["lock_key"], {"key_id": key_id}).fetchall()
        if revoked_at is None:
            revoked_at = format_instant(now)
            connection.execute(SQL["revoke_key"], {"key_id": key_id, "now": revoked_at})
            record(connection, author, Act("key.revoked", f"key:{key_id}", wallet_id), now)
        return str(revoked_at)
    raise KeyNotFound(f"there is no agent key {key_id}; check the id", key_id=key_id)


# Rotation


def rotate_key(
    connection: Connection, key_id: int, token: NewToken, overlap: timedelta, author: Author, now: datetime
) -> int:
    """Give an agent key another token; return its wallet. Raises ``KeyNotFound``, ``KeyEnded``, ``TooManyTokens``."""
    rows = connection.execute(SQL["lock_key"], {"key_id": key_id}).fetchall()
    if not rows:
        raise KeyNotFound(f"there is no agent key {key_id}; check the id", key_id=key_id)
    [(wallet_id, old, expires_at, revoked_at)] = rows
    _require_working(key_id, expires_at, revoked_at, now)
    if _turn(connection, _Identity(wallet_id, key_id), old, token.hash, overlap, now):
        connection.execute(SQL["set_key_token"], {"key_id": key_id, "token_hash": token.hash})
        profile_rows.set_token_prefix(connection, wallet_id, key_id, token.prefix)
        record(connection, author, _rotated("key", key_id, wallet_id, overlap), now)
    return int(wallet_id)


def rotate_owner(
    connection: Connection, wallet_id: int, token: NewToken, overlap: timedelta, author: Author, now: datetime
) -> None:
    """Give a wallet's owner another token. Raises ``WalletNotFound``, ``WalletClosed`` and ``TooManyTokens``."""
    rows = connection.execute(SQL["lock_owner"], {"wallet_id": wallet_id}).fetchall()
    if not rows:
        raise _no_wallet(wallet_id)
    require_open(connection, wallet_id)
    [(old,)] = rows
    if _turn(connection, _Identity(wallet_id), old, token.hash, overlap, now):
        named = {"wallet_id": wallet_id, "token_hash": token.hash, "now": format_instant(now)}
        connection.execute(SQL["set_owner_token"], named)
        profile_rows.set_token_prefix(connection, wallet_id, OWNER, token.prefix)
        record(connection, author, _rotated("wallet", wallet_id, wallet_id, overlap), now)


def rotate_seller(
    connection: Connection, seller_id: int, token_hash: str, overlap: timedelta, author: Author, now: datetime
) -> None:
    """Give a seller another token. Raises ``SellerNotFound``, ``KeyEnded`` and ``TooManyTokens``."""
    rows = connection.execute(SQL["lock_seller"], {"seller_id": seller_id}).fetchall()
    if not rows:
        raise _no_seller(seller_id)
    [(revoked_at,)] = rows
    if revoked_at is not None:
        raise KeyEnded(f"seller {seller_id} was revoked at {revoked_at}; create another one", seller_id=seller_id)
    seller = _Identity(0, OWNER, seller_id)
    if _turn(connection, seller, None, token_hash, overlap, now):
        _add(connection, seller, token_hash, now)
        record(connection, author, _rotated("seller", seller_id, 0, overlap), now)


def _rotated(noun: str, subject_id: int, wallet_id: int, overlap: timedelta) -> Act:
    overlaps = {"overlap_seconds": int(overlap.total_seconds())}
    return Act(f"{noun}.token_rotated", f"{noun}:{subject_id}", wallet_id, after=overlaps)


def _turn(
    connection: Connection, identity: _Identity, old: str | None, new: str, overlap: timedelta, now: datetime
) -> bool:
    """Let the tokens of an identity work for another ``overlap``; ``old`` is the one on its row.

    Returns False when ``new`` is already among them: this is a repeat.
    """
    if old == new or connection.execute(SQL["is_secret_of"], identity.named(token_hash=new)).fetchall():
        return False
    ends_at = format_instant(now + overlap)
    connection.execute(SQL["end_tokens"], identity.named(ends_at=ends_at))
    connection.execute(SQL["delete_ended"], identity.named(now=format_instant(now)))
    if old is not None and overlap:
        _keep(connection, identity, old, now, ends_at)
    [(older,)] = connection.execute(SQL["count_tokens"], identity.named()).fetchall()
    if older > MAX_OLDER_TOKENS:
        raise TooManyTokens(
            f"{MAX_OLDER_TOKENS} earlier tokens still work beside the current one; end them with overlap_seconds=0, "
            "or wait until one has ended",
            max=MAX_OLDER_TOKENS,
        )
    return True


def _keep(connection: Connection, identity: _Identity, old: str, now: datetime, ends_at: str) -> None:
    """A host that put an earlier token back onto the row by plain SQL may have it here already."""
    if connection.execute(SQL["is_secret_of"], identity.named(token_hash=old)).fetchall():
        return
    _add(connection, identity, old, now, ends_at=ends_at)


# Secrets that hosts register


def register(
    connection: Connection,
    register_alone: str,
    token_hash: str,
    wallet_id: int,
    key_id: int,
    ends_at: str | None,
    author: Author,
    now: datetime,
) -> SecretView:
    """Register a host's own key, which opens a wallet as its owner or as an agent key until ``ends_at``.

    Raises ``WalletNotFound``, ``WalletClosed``, ``KeyNotFound``, ``KeyEnded``, ``SecretInUse`` and ``TooManyTokens``.
    """
    _require_identity(connection, wallet_id, key_id, now)
    require_open(connection, wallet_id)
    connection.execute(register_alone)
    connection.execute(SQL["delete_ended_registrations"], {"token_hash": token_hash, "now": format_instant(now)})
    named = [tuple(row[:5]) for row in connection.execute(SQL["opened"], {"token_hash": token_hash}).fetchall()]
    if named and named != [(wallet_id, key_id, 0, 1, ends_at)]:
        raise SecretInUse("this hash already belongs to a token or key; generate another key and register its hash")
    if not named:
        [(registered,)] = connection.execute(SQL["count_registered"], {"wallet_id": wallet_id}).fetchall()
        if registered >= MAX_REGISTERED:
            raise TooManyTokens(
                f"wallet {wallet_id} has {MAX_REGISTERED} registered keys, the maximum; remove one first",
                max=MAX_REGISTERED,
            )
        _add(connection, _Identity(wallet_id, key_id), token_hash, now, ends_at=ends_at, registered=1)
        opens = {"sha256": token_hash, "key_id": key_id or None, "ends_at": ends_at}
        record(connection, author, Act("secret.registered", f"wallet:{wallet_id}", wallet_id, after=opens), now)
    [row] = connection.execute(SQL["secret"], {"token_hash": token_hash, "wallet_id": wallet_id}).fetchall()
    return _secret_view(row)


def remove(connection: Connection, token_hash: str, author: Author, now: datetime) -> SecretView:
    """End a registered key, or an earlier token in its overlap. Raises ``SecretNotFound``."""
    rows = connection.execute(SQL["remove_secret"], {"token_hash": token_hash}).fetchall()
    if not rows:
        raise SecretNotFound("no registered key and no earlier token has this hash; to end a current token, rotate it")
    removed = _secret_view(rows[0])
    opened_before = {"sha256": token_hash, "key_id": removed.key_id, "ends_at": removed.ends_at}
    act = Act("secret.removed", f"wallet:{removed.wallet_id}", removed.wallet_id, opened_before)
    record(connection, author, act, now)
    return removed


def secrets_of(source: Source, wallet_id: int, now: datetime) -> list[SecretView]:
    """The secrets that open a wallet besides its current tokens, oldest first."""
    rows = source.rows(SQL["secrets"], {"wallet_id": wallet_id, "now": format_instant(now)})
    return [_secret_view(row) for row in rows]


def _secret_view(row: tuple[Any, ...]) -> SecretView:
    token_hash, wallet_id, key_id, registered, created_at, ends_at = row
    return SecretView(token_hash, wallet_id, key_id or None, bool(registered), created_at, ends_at)


# Sellers


def create_seller(connection: Connection, token_hash: str, label: str | None, author: Author, now: datetime) -> int:
    """Insert a seller with its token; return its id."""
    for (seller_id,) in connection.execute(SQL["seller_of_secret"], {"token_hash": token_hash}).fetchall():
        return int(seller_id)
    at = format_instant(now)
    [(seller_id,)] = connection.execute(SQL["create_seller"], {"label": label, "now": at}).fetchall()
    _add(connection, _Identity(0, OWNER, seller_id), token_hash, now)
    record(connection, author, Act("seller.created", f"seller:{seller_id}", after={"label": label}), now)
    return int(seller_id)


def revoke_seller(connection: Connection, seller_id: int, author: Author, now: datetime) -> None:
    """Revoke a seller for good. Raises ``SellerNotFound``."""
    rows = connection.execute(SQL["lock_seller"], {"seller_id": seller_id}).fetchall()
    if not rows:
        raise _no_seller(seller_id)
    [(revoked_at,)] = rows
    if revoked_at is None:
        connection.execute(SQL["revoke_seller"], {"seller_id": seller_id, "now": format_instant(now)})
        record(connection, author, Act("seller.revoked", f"seller:{seller_id}"), now)


def sellers(source: Source, after: int, limit: int) -> list[SellerView]:
    """Sellers with an id above ``after``, by id."""
    return [SellerView(*row) for row in source.rows(SQL["sellers"], {"after": after, "limit": limit})]


def seller(source: Source, seller_id: int) -> SellerView:
    """Raises ``SellerNotFound``."""
    for row in source.rows(SQL["seller"], {"seller_id": seller_id}):
        return SellerView(*row)
    raise _no_seller(seller_id)


def has_sold(source: Source, actor: Actor, txn_id: int) -> bool:
    """Whether the seller ``actor`` made a charge, directly or by a hold."""
    rows = source.rows(SQL["sold_by"], {"txn_id": txn_id})
    return any(actor in (closer, None if seller_id is None else seller_actor(seller_id)) for seller_id, closer in rows)


def has_held(source: Source, actor: Actor, hold_id: int) -> bool:
    """Whether ``actor`` made a hold."""
    return source.rows(SQL["closer_of_hold"], {"hold_id": hold_id}) == [(actor,)]


# Inside


def _add(
    connection: Connection,
    identity: _Identity,
    token_hash: str,
    now: datetime,
    *,
    ends_at: str | None = None,
    registered: int = 0,
) -> None:
    row = identity.named(token_hash=token_hash, now=format_instant(now), ends_at=ends_at, registered=registered)
    connection.execute(SQL["add_secret"], row)


def _require_identity(connection: Connection, wallet_id: int, key_id: int, now: datetime) -> None:
    rows = connection.execute(SQL["wallet_and_key"], {"wallet_id": wallet_id, "key_id": key_id}).fetchall()
    if not rows:
        raise _no_wallet(wallet_id)
    [(found, expires_at, revoked_at)] = rows
    if key_id == OWNER:
        return
    if found is None:
        raise KeyNotFound(f"wallet {wallet_id} has no agent key {key_id}", key_id=key_id)
    _require_working(key_id, expires_at, revoked_at, now)


def _require_working(key_id: int, expires_at: str | None, revoked_at: str | None, now: datetime) -> None:
    if revoked_at is not None:
        raise KeyEnded(f"agent key {key_id} was revoked at {revoked_at}; create another one", key_id=key_id)
    if expires_at is not None and expires_at <= format_instant(now):
        raise KeyEnded(f"agent key {key_id} ended at {expires_at}; create another one", key_id=key_id)


def _no_wallet(wallet_id: int) -> WalletNotFound:
    return WalletNotFound(f"there is no wallet {wallet_id}; check the id", wallet_id=wallet_id)


def _no_seller(seller_id: int) -> SellerNotFound:
    return SellerNotFound(f"there is no seller {seller_id}; check the id", seller_id=seller_id)
