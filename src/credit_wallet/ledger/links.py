"""Links by which an operator lets a customer in to the pages of a wallet, for once and without a token."""

from __future__ import annotations

import re
from collections.abc import Collection
from datetime import timedelta

from credit_wallet.domain.acts import BY_LINK, MAX_NAME_LENGTH
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.links import (
    HOME,
    LINK_SCOPES,
    LINK_SECONDS,
    MAX_LINK_SECONDS,
    MAX_PATH_LENGTH,
    MIN_LINK_SECONDS,
    PATH_PATTERN,
    Language,
    LinkScope,
)
from credit_wallet.domain.permissions import ordered
from credit_wallet.domain.sessions import LIFETIME, BegunSession, CreatedLink
from credit_wallet.domain.tokens import looked_up, new_link_secret, new_session_secret, token_hash
from credit_wallet.errors import InvalidRequest, Unauthorized
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.ledger.sessions import checked_language, hash_of, new_csrf
from credit_wallet.rules.validation import checked_id
from credit_wallet.stores import session_rows

_PATH = re.compile(PATH_PATTERN)


class Links:
    """``wallets.links``: make a link to a wallet's pages, and take one."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def create(
        self,
        wallet_id: int,
        *,
        expires_in_seconds: int = LINK_SECONDS,
        scopes: Collection[LinkScope] = LINK_SCOPES,
        path: str = HOME,
        language: Language | None = None,
        token_sha256: str | None = None,
    ) -> CreatedLink:
        """A link that lets whoever takes it first in to a wallet, within 30 seconds to an hour.

        ``scopes`` are "read", to see the wallet, and "manage", to change what its owner does but for moving credit
        away and rotating the owner token. ``path`` is the page that it leads to, /wallet or below. With
        ``token_sha256``, of the operator key that asks, link and session end when that key does. Of a wallet the 100
        newest links stay. Raises ``WalletNotFound``, ``WalletClosed`` and ``InvalidRequest``.
        """
        if type(expires_in_seconds) is not int or not MIN_LINK_SECONDS <= expires_in_seconds <= MAX_LINK_SECONDS:
            raise InvalidRequest(
                f"expires_in_seconds must be {MIN_LINK_SECONDS} to {MAX_LINK_SECONDS}", field="expires_in_seconds"
            )
        secret, made_by = new_link_secret(), self._ledger.author.name[: MAX_NAME_LENGTH - len(BY_LINK)]
        new = session_rows.NewLink(
            checked_id("wallet_id", wallet_id),
            token_hash(secret),
            made_by,
            token_sha256,
            ",".join(ordered(_checked_scopes(scopes))),
            _checked_path(path),
            checked_language(language),
        )
        expires_at = self._ledger.clock() + timedelta(seconds=expires_in_seconds)
        self._ledger.write(wallet_id, session_rows.create_link, new, expires_at)
        return CreatedLink(wallet_id, secret, format_instant(expires_at))

    def take(self, secret: str, *, embedded: bool = False, earlier: str | None = None) -> BegunSession:
        """The session that a link is for; another call with the same link is refused.

        ``embedded`` says that another site shows the pages in a frame. ``earlier`` is the secret of a session that ends
        in exchange. Raises ``Unauthorized``.
        """
        wallet_id = self.wallet_of(secret)
        if wallet_id is None:
            raise _link_over()
        begun, csrf, now = new_session_secret(), new_csrf(), self._ledger.clock()
        args = (token_hash(secret), wallet_id, token_hash(begun), csrf, embedded, hash_of(earlier), now)
        taken = self._ledger.lanes.of(wallet_id).call(
            lambda store: store.run_until_known(session_rows.take_link, *args)
        )
        self._ledger.note_session_change()
        if taken is None:
            raise _link_over()
        session_id, path, language = taken
        return BegunSession(begun, session_id, csrf, format_instant(now + LIFETIME), path, embedded, language)

    def is_known(self, secret: str) -> bool:
        """Whether a link has this secret, taken or not: whoever has it has not guessed it."""
        return self.wallet_of(secret) is not None

    def wallet_of(self, secret: str) -> int | None:
        """The wallet that a link opens or has opened, None for one that was never there."""
        link_hash = looked_up(secret)
        return None if link_hash is None else session_rows.wallet_of_link(self._ledger.reader.source, link_hash)


def _link_over() -> Unauthorized:
    """The refusal of a link that was taken or has ended, or was never there."""
    return Unauthorized("the link was used or has ended; go back to where you found it and open it again")


def _checked_scopes(scopes: Collection[LinkScope]) -> Collection[LinkScope]:
    if isinstance(scopes, str) or not scopes or any(each not in LINK_SCOPES for each in scopes):
        raise InvalidRequest(f"scopes must be one or both of {' and '.join(LINK_SCOPES)}", field="scopes")
    return scopes


def _checked_path(path: str) -> str:
    if not isinstance(path, str) or len(path) > MAX_PATH_LENGTH or not _PATH.fullmatch(path):
        raise InvalidRequest(
            f"path must be a page of the wallet such as {HOME}/keys, up to {MAX_PATH_LENGTH} characters", field="path"
        )
    return path
