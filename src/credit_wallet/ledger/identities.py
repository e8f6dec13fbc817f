"""Who may use what: the part of ``CreditWallet`` that has to do with tokens, agent keys, hosts' own keys and sellers.

An identity stays what it is whatever opens it: a wallet's owner, an agent key with its cap, spending and end, a seller.
Tokens are secrets of an identity, so that they can change under way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import count
from typing import TypeVar

from msgspec import UNSET

from credit_wallet.domain.actors import Actor
from credit_wallet.domain.commands import MAX_HOLD_SECONDS, Configure
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MAX_AMOUNT_YEN
from credit_wallet.domain.outcomes import (
    Access,
    CreatedKey,
    CreatedSeller,
    CreatedWallet,
    SecretView,
    SellerAccess,
    SellerView,
)
from credit_wallet.domain.tokens import is_mistyped, looked_up, new_seller_token, new_token, token_hash
from credit_wallet.errors import InvalidRequest, Unauthorized
from credit_wallet.ledger.lanes import Lanes
from credit_wallet.ledger.notifications import WalletNotifying
from credit_wallet.ledger.queries import MAX_PAGE, Clock
from credit_wallet.rules.validation import (
    check_time_zone,
    checked_after,
    checked_end,
    checked_id,
    malformed,
    malformed_auto_topup,
    malformed_text,
)
from credit_wallet.stores import identity_rows
from credit_wallet.stores.reads import Reader
from credit_wallet.stores.sql import statements

T = TypeVar("T")

MAX_OVERLAP_SECONDS = MAX_HOLD_SECONDS
"""31 days."""

_SHA256 = re.compile("[0-9a-f]{64}")


class WalletIdentities(WalletNotifying):
    """The identities of ``CreditWallet``."""

    _lanes: Lanes

    def __init__(self, reader: Reader, clock: Clock, settle: Callable[[Sequence[int]], object]) -> None:
        super().__init__(reader, clock, settle)
        self._changes = count(1)
        self.secrets_changed = 0
        """Another number whenever this process has ended or added a secret: what was remembered of tokens is stale."""

    # Wallets and keys

    def create(
        self,
        *,
        label: str | None = None,
        monthly_budget_yen: int = 0,
        budget_mode: str = "alert",
        auto_topup_threshold: int = 0,
        auto_topup_amount: int = 0,
        time_zone: str = "UTC",
    ) -> CreatedWallet:
        """A new, empty wallet and its owner token, which cannot be shown again.

        ``budget_mode`` "alert" tells at 50, 80 and 100 % of ``monthly_budget_yen`` (0 = no budget), "cap" also stops
        spending at 100 %. The cycle is a month in ``time_zone`` (an IANA name), which cannot be changed later.
        """
        wanted = Configure(
            1,
            label=UNSET if label is None else label,
            monthly_budget_yen=monthly_budget_yen,
            budget_mode=budget_mode,
            auto_topup_threshold=auto_topup_threshold,
            auto_topup_amount=auto_topup_amount,
        )
        if problem := malformed(wanted) or malformed_auto_topup(auto_topup_threshold, auto_topup_amount):
            raise problem
        check_time_zone(time_zone)
        token = new_token()
        wallet_id = self._lanes.of(0).call(
            lambda store: store.create_wallet(
                token_hash(token),
                label,
                (auto_topup_threshold, auto_topup_amount),
                monthly_budget_yen,
                budget_mode,
                time_zone,
                self._clock(),
            )
        )
        return CreatedWallet(wallet_id, token)

    def rotate_owner_token(self, wallet_id: int, *, overlap_seconds: int = 3600) -> CreatedWallet:
        """Another owner token for a wallet, which cannot be shown again; nothing else of the wallet changes.

        The tokens before it work for ``overlap_seconds`` more, 0 to 31 days; 0, for one that has leaked, ends them at
        once. Other processes may remember an ended token for a second. Raises ``WalletNotFound``, and
        ``TooManyTokens`` when ten earlier tokens still work.
        """
        token, overlap = new_token(), _checked_overlap(overlap_seconds)
        self._change(
            checked_id("wallet_id", wallet_id), identity_rows.rotate_owner, wallet_id, token_hash(token), overlap
        )
        return CreatedWallet(wallet_id, token)

    def create_key(
        self, wallet_id: int, *, label: str | None = None, monthly_cap_yen: int = 0, expires_at: str | None = None
    ) -> CreatedKey:
        """A token of its own for an agent, with a monthly cap (0 = none), that works until ``expires_at``.

        ``expires_at`` is an ISO 8601 time, UTC without an offset, or a date: the end of that day in the wallet's zone.
        Raises ``WalletNotFound``, ``InvalidRequest`` for an end in the past, and ``TooManyKeys`` when 1,000 of the
        wallet's work already.
        """
        if problem := malformed_text("label", label):
            raise problem
        if type(monthly_cap_yen) is not int or not 0 <= monthly_cap_yen <= MAX_AMOUNT_YEN:
            raise InvalidRequest(
                f"monthly_cap_yen must be a whole number from 0 to {MAX_AMOUNT_YEN}", field="monthly_cap_yen"
            )
        expiry = checked_end("expires_at", expires_at, lambda: self.show(wallet_id).time_zone)
        if expiry is not None and expiry <= format_instant(self._clock()):
            raise InvalidRequest(f"expires_at {expiry} is in the past", field="expires_at")
        token = new_token()
        key_id = self._change(
            checked_id("wallet_id", wallet_id),
            identity_rows.create_key,
            wallet_id,
            token_hash(token),
            label,
            monthly_cap_yen,
            expiry,
        )
        return CreatedKey(key_id, wallet_id, token)

    def revoke_key(self, key_id: int) -> str:
        """Revoke an agent key for good and with all its secrets, effective at once; returns when it was.

        Raises ``KeyNotFound``.
        """
        checked_id("key_id", key_id)
        revoked_at = self._lanes.of(0).call(lambda store: store.revoke_key(key_id, self._clock()))
        self.secrets_changed = next(self._changes)
        return revoked_at

    def rotate_key(self, key_id: int, *, overlap_seconds: int = 3600) -> CreatedKey:
        """Another token for an agent key, which cannot be shown again.

        The key stays the one it is: ``key_id``, cap, spending, end, label, holds and idempotency. Its tokens so far
        work for ``overlap_seconds`` more, 0 to 31 days, and no longer than the key; 0, for one that has leaked, ends
        them at once. Other processes may remember an ended token for a second.

        Raises ``KeyNotFound``, ``KeyEnded`` when the key is revoked or has ended, and ``TooManyTokens`` when ten
        earlier tokens still work.
        """
        token, overlap = new_token(), _checked_overlap(overlap_seconds)
        wallet_id = self._change(
            checked_id("key_id", key_id), identity_rows.rotate_key, key_id, token_hash(token), overlap
        )
        return CreatedKey(key_id, wallet_id, token)

    # Keys of a host's own

    def register_secret(
        self, wallet_id: int, sha256_hex: str, key_id: int | None = None, ends_at: str | None = None
    ) -> SecretView:
        """Let a key of the host's own open a wallet, as its owner or as agent key ``key_id``, until ``ends_at``
        (an ISO 8601 time, or a date: the end of that day in the wallet's zone).

        Only ``sha256_hex`` is needed, the SHA-256 of the key in UTF-8, 64 hex digits; the key must have 1 to 512
        characters and must be random. The same call again changes nothing. Rotations leave what is registered alone.

        Raises ``WalletNotFound``, ``KeyNotFound``, ``KeyEnded``, ``InvalidRequest``, ``SecretInUse`` when the hash
        names something already, and ``TooManyTokens`` for more than 1,000 of a wallet.
        """
        digest = _checked_sha256(sha256_hex)
        checked_id("wallet_id", wallet_id)
        expiry = checked_end("ends_at", ends_at, lambda: self.show(wallet_id).time_zone)
        owner_or_key = identity_rows.OWNER if key_id is None else checked_id("key_id", key_id)
        if expiry is not None and expiry <= format_instant(self._clock()):
            raise InvalidRequest(f"ends_at {expiry} is in the past", field="ends_at")
        alone = statements("identity.sql", self._reader.source.dialect)["register_alone"]
        return self._change(wallet_id, identity_rows.register, alone, digest, wallet_id, owner_or_key, expiry)

    def remove_secret(self, sha256_hex: str) -> SecretView:
        """Let what was registered with ``sha256_hex`` open nothing more; an earlier token in its overlap likewise.

        Raises ``SecretNotFound``.
        """
        digest = _checked_sha256(sha256_hex)
        removed = self._lanes.of(0).call(lambda store: store.run(identity_rows.remove, digest))
        self.secrets_changed = next(self._changes)
        return removed

    def secrets(self, wallet_id: int) -> list[SecretView]:
        """What opens a wallet beside the current tokens: registered keys, earlier tokens. Raises ``WalletNotFound``."""
        self.show(wallet_id)
        return identity_rows.secrets_of(self._reader.source, wallet_id, self._clock())

    # Sellers

    def create_seller(self, *, label: str | None = None) -> CreatedSeller:
        """Somebody who sells to the wallets, and a token that cannot be shown again.

        It may charge and hold for any wallet, and close, extend and refund what it made itself; nothing else.
        """
        if problem := malformed_text("label", label):
            raise problem
        token = new_seller_token()
        return CreatedSeller(self._change(0, identity_rows.create_seller, token_hash(token), label), token)

    def rotate_seller(self, seller_id: int, *, overlap_seconds: int = 3600) -> CreatedSeller:
        """Another token for a seller; its tokens so far work for ``overlap_seconds`` more, 0 to 31 days.

        Raises ``SellerNotFound``, ``KeyEnded`` when it is revoked, and ``TooManyTokens``.
        """
        token, overlap = new_seller_token(), _checked_overlap(overlap_seconds)
        checked_id("seller_id", seller_id)
        self._change(0, identity_rows.rotate_seller, seller_id, token_hash(token), overlap)
        return CreatedSeller(seller_id, token)

    def revoke_seller(self, seller_id: int) -> SellerView:
        """Revoke a seller for good. What it sold stays; what it holds gives back in time. Raises ``SellerNotFound``."""
        checked_id("seller_id", seller_id)
        self._change(0, identity_rows.revoke_seller, seller_id)
        return self.seller(seller_id)

    def sellers(self, *, after: int = 0, limit: int = 100) -> list[SellerView]:
        """Sellers with an id above ``after``, by id, up to ``limit`` (at most 1,000), revoked ones included."""
        if type(limit) is not int or not 1 <= limit <= MAX_PAGE:
            raise InvalidRequest(f"limit must be 1 to {MAX_PAGE}", field="limit")
        return identity_rows.sellers(self._reader.source, checked_after(after), limit)

    def seller(self, seller_id: int) -> SellerView:
        """A seller. Raises ``SellerNotFound``."""
        return identity_rows.seller(self._reader.source, checked_id("seller_id", seller_id))

    def has_sold(self, actor: Actor, txn_id: int) -> bool:
        """Whether the seller ``actor`` made a charge, by itself or by a hold of its own."""
        return identity_rows.has_sold(self._reader.source, actor, checked_id("txn_id", txn_id))

    def has_held(self, actor: Actor, hold_id: int) -> bool:
        """Whether ``actor`` made a hold."""
        return identity_rows.has_held(self._reader.source, actor, checked_id("hold_id", hold_id))

    # Tokens

    def authenticate(self, token: str) -> Access:
        """What a bearer token, or a host's own registered key, opens. Raises ``Unauthorized``."""
        access = self.identify(token)
        if isinstance(access, SellerAccess):
            raise Unauthorized("this is a seller's token, which opens no wallet; send an owner token or an agent key")
        return access

    def identify(self, token: str) -> Access | SellerAccess:
        """Like ``authenticate``; a seller's token is answered as well. Raises ``Unauthorized``."""
        digest = looked_up(token)
        access = None if digest is None else identity_rows.opened(self._reader.source, digest, self._clock())
        if access is None:
            raise Unauthorized(
                "the token is mistyped: its checksum is wrong; copy it again"
                if is_mistyped(token)
                else "the token is unknown, revoked or expired; send the wallet's owner token or an agent key"
            )
        return access

    def has_ended(self, access: Access | SellerAccess) -> bool:
        """Whether the token that ``access`` came from has come to its end since."""
        return access.ends_at is not None and access.ends_at <= format_instant(self._clock())

    def _change(self, wallet_id: int, job: Callable[..., T], *args: object) -> T:
        """Have ``job(connection, *args, now)`` done on the lane of a wallet."""
        done = self._lanes.of(wallet_id).call(lambda store: store.run_until_known(job, *args, self._clock()))
        self.secrets_changed = next(self._changes)
        return done


def _checked_overlap(seconds: int) -> timedelta:
    if type(seconds) is not int or not 0 <= seconds <= MAX_OVERLAP_SECONDS:
        raise InvalidRequest(f"overlap_seconds must be 0 to {MAX_OVERLAP_SECONDS}", field="overlap_seconds")
    return timedelta(seconds=seconds)


def _checked_sha256(given: str) -> str:
    digest = given.lower() if isinstance(given, str) else ""
    if not _SHA256.fullmatch(digest):
        raise InvalidRequest("sha256 must be the 64 hex digits of a SHA-256", field="sha256")
    return digest
