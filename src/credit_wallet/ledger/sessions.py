"""Sessions: people who are signed in to the pages."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from credit_wallet.domain.acts import MAX_NAME_LENGTH
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.links import LANGUAGES, Language
from credit_wallet.domain.sessions import LIFETIME, BegunSession, OpenSession
from credit_wallet.domain.tokens import looked_up, new_session_secret, token_hash
from credit_wallet.errors import InvalidRequest, Unauthorized
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.rules.validation import checked_id
from credit_wallet.stores import session_rows

T = TypeVar("T")

_CSRF_BYTES = 24


class Sessions:
    """``wallets.sessions``: begin a session of somebody who has a token, find it by its secret, end it.

    A session ends 30 minutes after its last use and 12 hours after it began. It opens nothing on its own: whoever asks
    for it looks up what it was opened with, which may have ended.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    @property
    def changes(self) -> int:
        """Changes whenever this process ends a session, or may have: then cached ones are stale."""
        return self._ledger.session_changes + self._ledger.secret_changes

    def begin(
        self,
        opened_by: str,
        token_sha256: str,
        wallet_id: int | None = None,
        *,
        language: Language | None = None,
        earlier: str | None = None,
    ) -> BegunSession:
        """A new session of ``opened_by``, as the log of acts names it, with the token of ``token_sha256``.

        ``wallet_id`` is the wallet that the token opens, None for an operator's. ``earlier`` is the secret of a session
        that ends in exchange. Of the same ``opened_by`` the 50 sessions last used stay. Raises ``InvalidRequest``.
        """
        if not opened_by or len(opened_by) > MAX_NAME_LENGTH:
            raise InvalidRequest(f"opened_by must be 1 to {MAX_NAME_LENGTH} characters", field="opened_by")
        whose = 0 if wallet_id is None else checked_id("wallet_id", wallet_id)
        secret, csrf = new_session_secret(), new_csrf()
        new = session_rows.NewSession(
            whose, token_hash(secret), csrf, opened_by, token_sha256, language=checked_language(language)
        )
        session_id = self._change(whose, session_rows.begin, new, hash_of(earlier))
        return BegunSession(
            secret, session_id, csrf, format_instant(self._ledger.clock() + LIFETIME), language=language
        )

    def open(self, secret: str) -> OpenSession:
        """The session of a secret. Raises ``Unauthorized``."""
        found = self._found(secret)
        if not isinstance(found, OpenSession):
            raise session_over()
        return found

    def is_known(self, secret: str) -> bool:
        """Whether a secret is a session's, or was one's that has ended lately: whoever has it has not guessed it."""
        return self._found(secret) is not None

    def note_use(self, session: OpenSession) -> None:
        """Note that a session is used, when ``use_is_due``."""
        whose = session.wallet_id or 0
        self._write(whose, session_rows.note_use, session.session_id, whose)

    def rotate(self, secret: str) -> str | None:
        """Another secret for a session; ``secret`` works for 60 seconds more.

        None when it was rotated already, and ``secret`` is the earlier one. Raises ``Unauthorized``.
        """
        session, new = self.open(secret), new_session_secret()
        is_new = self._change(session.wallet_id or 0, session_rows.rotate, token_hash(secret), token_hash(new))
        return new if is_new else None

    def end(self, secret: str) -> None:
        """End a session. Nothing happens when it has ended, or never was one."""
        with suppress(Unauthorized):
            self._change(self.open(secret).wallet_id or 0, session_rows.end, token_hash(secret))

    def end_all(self, secret: str) -> int:
        """End every session of whoever has this one: of the owner, agent key or operator; returns how many.

        Raises ``Unauthorized``.
        """
        return self._change(self.open(secret).wallet_id or 0, session_rows.end_all, token_hash(secret))

    def has_ended(self, session: OpenSession) -> bool:
        """Whether a session has ended by its own clock since."""
        return session.ends_at <= format_instant(self._ledger.clock())

    def _found(self, secret: str) -> OpenSession | session_rows.Ended | None:
        digest = looked_up(secret)
        return None if digest is None else session_rows.opened(self._ledger.reader.source, digest, self._ledger.clock())

    def _change(self, wallet_id: int, job: Callable[..., T], *args: Any) -> T:
        done = self._write(wallet_id, job, *args)
        self._ledger.note_session_change()
        return done

    def _write(self, wallet_id: int, job: Callable[..., T], *args: Any) -> T:
        """In one transaction, on the lane of a wallet. Signing in and out leaves nothing in the log of acts."""
        now = self._ledger.clock()
        return self._ledger.lanes.of(wallet_id).call(lambda store: store.run_until_known(job, *args, now))


def new_csrf() -> str:
    """What the forms of a session must bring."""
    return secrets.token_urlsafe(_CSRF_BYTES)


def hash_of(secret: str | None) -> str | None:
    """By which a secret is found; None for none."""
    return None if secret is None else looked_up(secret)


def checked_language(language: Language | None) -> Language | None:
    """Raises ``InvalidRequest``."""
    if language is not None and language not in LANGUAGES:
        raise InvalidRequest(f"language must be one of {', '.join(LANGUAGES)}, or null", field="language")
    return language


def session_over() -> Unauthorized:
    """The refusal of a session that has ended, or was never there."""
    return Unauthorized("the session has ended; sign in again")
