"""Secrets: what opens a wallet beside its current tokens, such as keys that the host has issued."""

from __future__ import annotations

import builtins
import re

from credit_wallet.domain.views import SecretView
from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.keys import checked_future_end
from credit_wallet.ledger.ledger import Ledger
from credit_wallet.rules.validation import checked_id
from credit_wallet.stores import identity_rows
from credit_wallet.stores.sql import statements

_SHA256 = re.compile("[0-9a-f]{64}")


class Secrets:
    """``wallets.secrets``: register a key that your users already have, so that it opens a wallet."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def register(
        self, wallet_id: int, sha256_hex: str, key_id: int | None = None, ends_at: str | None = None
    ) -> SecretView:
        """Let a key that the host has issued open a wallet, as its owner or as agent key ``key_id``, until ``ends_at``.

        ``ends_at`` is an ISO 8601 time, or a date: the end of that day in the wallet's zone. Only ``sha256_hex`` is
        needed, the SHA-256 of the key in UTF-8, 64 hex digits; the key must have 1 to 512 characters and must be
        random. Repeating the call changes nothing. Rotations do not affect registered keys.

        Raises ``WalletNotFound``, ``KeyNotFound``, ``KeyEnded``, ``InvalidRequest``, ``SecretInUse`` when the hash
        belongs to another token or key, and ``TooManyTokens`` for more than 1,000 of a wallet.
        """
        digest = _checked_sha256(sha256_hex)
        checked_id("wallet_id", wallet_id)
        owner_or_key = identity_rows.OWNER if key_id is None else checked_id("key_id", key_id)
        expiry = checked_future_end(self._ledger, "ends_at", ends_at, lambda: self._ledger.time_zone_of(wallet_id))
        alone = statements("identity.sql", self._ledger.reader.source.dialect)["register_alone"]
        return self._ledger.change_secrets(
            wallet_id, identity_rows.register, alone, digest, wallet_id, owner_or_key, expiry
        )

    def remove(self, sha256_hex: str) -> SecretView:
        """Stop a registered key, or an earlier token in its overlap, from opening anything.

        Raises ``SecretNotFound``, and ``InvalidRequest`` when it is not 64 hex digits.
        """
        digest = _checked_sha256(sha256_hex)
        author, now = self._ledger.author, self._ledger.clock()
        removed = self._ledger.lanes.of(0).call(lambda store: store.run(identity_rows.remove, digest, author, now))
        self._ledger.note_secret_change()
        return removed

    def list(self, wallet_id: int) -> builtins.list[SecretView]:
        """Registered keys and earlier tokens of a wallet, oldest first. Raises ``WalletNotFound``."""
        self._ledger.row(wallet_id)
        return identity_rows.secrets_of(self._ledger.reader.source, wallet_id, self._ledger.clock())


def _checked_sha256(given: str) -> str:
    digest = given.lower() if isinstance(given, str) else ""
    if not _SHA256.fullmatch(digest):
        raise InvalidRequest("sha256 must be the 64 hex digits of a SHA-256", field="sha256")
    return digest
