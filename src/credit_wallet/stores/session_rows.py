"""Sessions and links as rows: jobs in separate transactions, the same on every database.

A job may be repeated when it is unknown whether it was committed: it recognises its secret.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from msgspec import Struct, structs

from credit_wallet.domain import links, sessions
from credit_wallet.domain.acts import BY_LINK, Act, Author
from credit_wallet.domain.cycle import format_instant, parse_instant
from credit_wallet.domain.links import Language
from credit_wallet.domain.permissions import ordered, scopes_of
from credit_wallet.domain.sessions import OpenSession
from credit_wallet.errors import WalletClosed, WalletNotFound
from credit_wallet.stores import Connection, Source
from credit_wallet.stores.acts import record
from credit_wallet.stores.sql import statements
from credit_wallet.stores.standing_rows import require_open

SQL = statements("sessions.sql")
LOCK_OWNER = statements("identity.sql")["lock_owner"]


class NewSession(Struct, frozen=True):
    """What a new session's row has besides its times."""

    wallet_id: int
    secret_hash: str
    csrf: str
    opened_by: str
    token_hash: str | None
    scopes: str | None = None
    embedded: bool = False
    language: Language | None = None


class NewLink(Struct, frozen=True):
    """What a new link's row has besides its times."""

    wallet_id: int
    secret_hash: str
    made_by: str
    token_hash: str | None
    scopes: str
    path: str
    language: Language | None


class Ended(Struct, frozen=True):
    """A session that was there and has ended, or a link."""


def opened(source: Source, secret_hash: str, now: datetime) -> OpenSession | Ended | None:
    """The session of a secret; None when no session has it."""
    found = [_session(row, now) for row in source.rows(SQL["session"], {"secret_hash": secret_hash})]
    return next((each for each in found if isinstance(each, OpenSession)), found[0] if found else None)


def begin(connection: Connection, new: NewSession, earlier_hash: str | None, now: datetime) -> int:
    """Insert a session; return its id. The one of ``earlier_hash`` ends, and what is beyond the limit."""
    for session_id, *_ in connection.execute(SQL["session"], {"secret_hash": new.secret_hash}).fetchall():
        return int(session_id)
    if earlier_hash is not None:
        end(connection, earlier_hash, now)
    row = {**structs.asdict(new), "embedded": int(new.embedded), "now": format_instant(now)}
    [(session_id,)] = connection.execute(SQL["begin"], row).fetchall()
    bound = {"wallet_id": new.wallet_id, "opened_by": new.opened_by, "max": sessions.MAX_SESSIONS}
    connection.execute(SQL["end_longest_unused"], bound)
    return int(session_id)


def note_use(connection: Connection, session_id: int, wallet_id: int, now: datetime) -> None:
    """Note that a session was used, unless that was noted within the last minute."""
    named = {"session_id": session_id, "wallet_id": wallet_id, "now": format_instant(now)}
    noted_before = format_instant(now - sessions.USE_IS_NOTED_AFTER)
    connection.execute(SQL["note_use"], {**named, "noted_before": noted_before})


def rotate(connection: Connection, secret_hash: str, new_hash: str, now: datetime) -> bool:
    """Give a session another secret; returns False when ``secret_hash`` is not its secret any more."""
    if connection.execute(SQL["session"], {"secret_hash": new_hash}).fetchall():
        return True
    named = {"secret_hash": secret_hash, "new_hash": new_hash, "now": format_instant(now)}
    return bool(connection.execute(SQL["rotate"], named).fetchall())


def end(connection: Connection, secret_hash: str, now: datetime) -> None:
    """End the session that a secret opens, if it opens one."""
    for session in _open_ones(connection, secret_hash, now):
        named = {"session_id": session.session_id, "wallet_id": session.wallet_id or 0}
        connection.execute(SQL["end"], named)


def end_all(connection: Connection, secret_hash: str, now: datetime) -> int:
    """End all sessions of whoever has the one that a secret opens; returns how many."""
    ended = 0
    for session in _open_ones(connection, secret_hash, now):
        named = {"wallet_id": session.wallet_id or 0, "opened_by": session.opened_by}
        ended += len(connection.execute(SQL["end_all"], named).fetchall())
    return ended


def end_access(connection: Connection, wallet_id: int) -> None:
    """End all sessions and links of a wallet."""
    connection.execute(SQL["end_of_wallet"], {"wallet_id": wallet_id})
    connection.execute(SQL["end_links"], {"wallet_id": wallet_id})


def end_linked(connection: Connection, wallet_id: int) -> None:
    """End a wallet's links, and the sessions that began with one."""
    connection.execute(SQL["end_linked"], {"wallet_id": wallet_id})
    connection.execute(SQL["end_links"], {"wallet_id": wallet_id})


def create_link(connection: Connection, new: NewLink, expires_at: datetime, author: Author, now: datetime) -> None:
    """Insert a link; what is beyond the limit ends. Raises ``WalletNotFound`` and ``WalletClosed``."""
    if not connection.execute(LOCK_OWNER, {"wallet_id": new.wallet_id}).fetchall():
        raise WalletNotFound(f"there is no wallet {new.wallet_id}; check the id", wallet_id=new.wallet_id)
    require_open(connection, new.wallet_id)
    if connection.execute(SQL["link"], {"secret_hash": new.secret_hash}).fetchall():
        return
    at, end_at = format_instant(now), format_instant(expires_at)
    connection.execute(SQL["create_link"], {**structs.asdict(new), "now": at, "expires_at": end_at})
    connection.execute(SQL["drop_links"], {"wallet_id": new.wallet_id, "now": at, "max": links.MAX_LINKS})
    made = {"scopes": new.scopes.split(","), "expires_at": end_at}
    record(connection, author, Act("link.created", f"wallet:{new.wallet_id}", new.wallet_id, after=made), now)


def wallet_of_link(source: Source, secret_hash: str) -> int | None:
    """Whose a link is, or was; None when no wallet has it."""
    rows = source.rows(SQL["link"], {"secret_hash": secret_hash})
    return int(rows[0][0]) if rows else None


def take_link(
    connection: Connection,
    link_hash: str,
    wallet_id: int,
    secret_hash: str,
    csrf: str,
    embedded: bool,
    earlier_hash: str | None,
    now: datetime,
) -> tuple[int, str, Language | None] | None:
    """Begin the session that a link is for; returns its id, path and language, None when the link has ended.

    The same secret again answers as the first time.
    """
    named = {"secret_hash": link_hash, "wallet_id": wallet_id}
    for session_id, path, language in connection.execute(
        SQL["taken"], {**named, "session_hash": secret_hash}
    ).fetchall():
        return int(session_id), str(path), language
    connection.execute(LOCK_OWNER, {"wallet_id": wallet_id}).fetchall()
    try:
        require_open(connection, wallet_id)
    except WalletClosed:
        return None
    soon = format_instant(now + sessions.CLOCKS_DIFFER)
    taken = connection.execute(SQL["take_link"], {**named, "now": format_instant(now), "soon": soon}).fetchall()
    for made_by, token_hash, scopes, path, language in taken:
        opened_by = f"{BY_LINK}{made_by}"
        new = NewSession(wallet_id, secret_hash, csrf, opened_by, token_hash, scopes, embedded, language)
        return begin(connection, new, earlier_hash, now), str(path), language
    return None


def _open_ones(connection: Connection, secret_hash: str, now: datetime) -> list[OpenSession]:
    rows = connection.execute(SQL["session"], {"secret_hash": secret_hash}).fetchall()
    return [each for row in rows if isinstance(each := _session(tuple(row), now), OpenSession)]


def _session(row: tuple[Any, ...], now: datetime) -> OpenSession | Ended:
    """A session by its row. A clock that steps back ends it rather than let it last."""
    session_id, wallet_id, csrf, opened_by, token_hash, scopes, embedded, language = row[:8]
    created, used, rotated = (parse_instant(text) for text in row[8:11])
    is_earlier = bool(row[11])
    ends = min(used + sessions.IDLE, created + sessions.LIFETIME)
    if not used - sessions.CLOCKS_DIFFER <= now < ends:
        return Ended()
    if is_earlier and not abs(now - rotated) < sessions.EARLIER_WORKS:
        return Ended()
    return OpenSession(
        session_id,
        wallet_id or None,
        csrf,
        opened_by,
        token_hash,
        None if scopes is None else ordered(scopes_of(scopes)),
        bool(embedded),
        language,
        row[8],
        format_instant(ends),
        not is_earlier and now - rotated >= sessions.ROTATES_AFTER,
        now - used >= sessions.USE_IS_NOTED_AFTER,
    )
