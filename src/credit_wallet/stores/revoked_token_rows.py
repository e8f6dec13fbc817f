"""Revoking a token by naming it, whatever it is: a job in a transaction of its own, the same on every database."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from msgspec import structs

from credit_wallet.domain.acts import Act, Author
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.operators import RevokedToken, TokenKind
from credit_wallet.errors import SecretNotFound
from credit_wallet.stores import Connection
from credit_wallet.stores.acts import record
from credit_wallet.stores.identity_rows import revoke_key
from credit_wallet.stores.sql import statements

SQL = statements("revoked_tokens.sql")


def revoke(connection: Connection, token_hash: str, stand_in: str, author: Author, now: datetime) -> RevokedToken:
    """End all that a token opens. Raises ``SecretNotFound`` when it is nothing, and never was.

    ``stand_in`` is the hash of a token that nobody knows: an owner has it until the owner token is rotated.
    """
    taken = [*_taken(connection, token_hash, stand_in, author, now)]  # also what was registered anew since
    for each in taken:
        row = {name: value or 0 for name, value in structs.asdict(each).items()}
        connection.execute(SQL["remember"], {**row, "token_hash": token_hash})
        return each
    revoked = connection.execute(SQL["revoked"], {"token_hash": token_hash}).fetchall()
    for kind, wallet_id, key_id, seller_id, operator_id, at in revoked:
        return _view(kind, at, wallet_id, key_id, seller_id, operator_id)
    raise SecretNotFound("no token and no registered key is this, nor was it lately; check what was sent")


def _taken(
    connection: Connection, token_hash: str, stand_in: str, author: Author, now: datetime
) -> Iterator[RevokedToken]:
    """Everything that the token opened, and opens no more."""
    at = format_instant(now)
    named = {"token_hash": token_hash, "stand_in": stand_in, "now": at}

    def ended(kind: TokenKind, subject: str, wallet_id: int) -> None:
        record(connection, author, Act("token.revoked", subject, wallet_id, before={"kind": kind}), now)

    for (wallet_id,) in connection.execute(SQL["take_from_owner"], named).fetchall():
        ended("owner_token", f"wallet:{wallet_id}", wallet_id)
        yield _view("owner_token", at, wallet_id)
    for key_id, wallet_id in connection.execute(SQL["key_of_token"], named).fetchall():
        yield _view("agent_key", revoke_key(connection, key_id, author, now), wallet_id, key_id)
    for registered, wallet_id, key_id, seller_id in connection.execute(SQL["take_from_others"], named).fetchall():
        kind: TokenKind = "seller_token" if seller_id else "registered_key" if registered else "earlier_token"
        subject = f"seller:{seller_id}" if seller_id else f"key:{key_id}" if key_id else f"wallet:{wallet_id}"
        ended(kind, subject, wallet_id)
        yield _view(kind, at, wallet_id, key_id, seller_id)
    for operator_id, revoked_at in connection.execute(SQL["take_from_operator"], named).fetchall():
        if revoked_at == at:
            ended("operator_key", f"operator:{operator_id}", 0)
        yield _view("operator_key", revoked_at, operator_id=operator_id)


def _view(
    kind: TokenKind, at: str, wallet_id: int = 0, key_id: int = 0, seller_id: int = 0, operator_id: int = 0
) -> RevokedToken:
    return RevokedToken(kind, wallet_id or None, key_id or None, seller_id or None, operator_id or None, at)
