"""Agent keys: one token for each agent, each with its own cap and expiry."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Collection, Mapping
from datetime import timedelta

from msgspec import UNSET, UnsetType

from credit_wallet.domain.budget_settings import KeySettings, NewKey
from credit_wallet.domain.commands import MAX_HOLD_SECONDS
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MAX_AMOUNT_YEN
from credit_wallet.domain.permissions import SCOPES, Scope, stored_scopes
from credit_wallet.domain.tokens import NewToken, new_token
from credit_wallet.domain.views import CreatedKey, KeyView
from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.ledger import MAX_PAGE, Ledger, checked_page
from credit_wallet.rules.budget_scopes import checked_group
from credit_wallet.rules.metadata import checked_metadata, checked_reference
from credit_wallet.rules.validation import checked_after, checked_end, checked_id, malformed_text
from credit_wallet.stores import budget_jobs, identity_rows

MAX_OVERLAP_SECONDS = MAX_HOLD_SECONDS
"""31 days."""


class Keys:
    """``wallets.keys``: create, list, change, rotate and revoke agent keys. A key keeps its cap as tokens change."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def create(
        self,
        wallet_id: int,
        *,
        label: str | None = None,
        monthly_cap_yen: int = 0,
        expires_at: str | None = None,
        group: str | None = None,
        scopes: Collection[Scope] | None = None,
        reference: str | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> CreatedKey:
        """A new agent key with a monthly cap (0 = none, at most 10**12 yen) that works until ``expires_at``.

        Its ``token`` cannot be shown again. ``expires_at`` is an ISO 8601 time, UTC without an offset, or a date: the
        end of that day in the wallet's zone. ``group`` is the group that budgets count it in, and those above:
        ``acme/research``, up to four names a-z, 0-9, ``_`` and ``-``. ``reference`` is your id of it, unique in the
        wallet, and ``metadata`` are pairs of texts; the key is found by both.

        ``scopes`` are what the key may do, for good: "spend", "read" (its own part of the wallet) and "manage" (see and
        change what the owner does, without paying); by default spend and read. Raises ``WalletNotFound``,
        ``ReferenceInUse``, ``InvalidRequest``, also for an end in the past, and ``TooManyKeys`` when 1,000 keys of the
        wallet work already.
        """
        _check_settings(label, monthly_cap_yen, group)
        allowed = None if scopes is None else stored_scopes(_checked_scopes(scopes))
        key = NewKey(label, monthly_cap_yen, group, checked_reference(reference), checked_metadata(metadata), allowed)
        expiry = checked_future_end(
            self._ledger, "expires_at", expires_at, lambda: self._ledger.time_zone_of(wallet_id)
        )
        token = new_token()
        key_id = self._ledger.change_secrets(
            checked_id("wallet_id", wallet_id),
            identity_rows.create_key,
            wallet_id,
            NewToken.of(token),
            key,
            expiry,
        )
        return CreatedKey(key_id, wallet_id, token)

    def list(
        self, wallet_id: int, *, after: int = 0, before: int | None = None, limit: int = MAX_PAGE
    ) -> builtins.list[KeyView]:
        """The wallet's agent keys with an id above ``after``, by id, up to ``limit`` (at most 1,000).

        With ``before`` those below that id too, and the newest first. Revoked and expired ones are included. Raises
        ``WalletNotFound``.
        """
        if before is not None:
            checked_id("before", before)
        wallet = self._ledger.row(wallet_id)
        return self._ledger.reader.keys(
            wallet, self._ledger.clock(), after=checked_after(after), before=before, limit=checked_page(limit)
        )

    def show(self, key_id: int) -> KeyView:
        """An agent key with its spending in the current cycle. Raises ``KeyNotFound``."""
        wallet = self._ledger.row(self._ledger.reader.owner_of_key(checked_id("key_id", key_id)))
        return self._ledger.reader.key(wallet, key_id, self._ledger.clock())

    def configure(
        self,
        key_id: int,
        *,
        label: str | UnsetType | None = UNSET,
        monthly_cap_yen: int | UnsetType = UNSET,
        group: str | UnsetType | None = UNSET,
        reference: str | UnsetType | None = UNSET,
        metadata: Mapping[str, str] | UnsetType = UNSET,
    ) -> KeyView:
        """Change an agent key; what is omitted stays. A cap of 0, a ``group`` and a ``reference`` of None are none.

        ``metadata`` replaces all that there were.

        A cap counts at once, also when more is spent already. From now on charges and captures of the key count in the
        budgets of its new group; what its open holds reserve stays where it is. Raises ``KeyNotFound``,
        ``ReferenceInUse``, and ``InvalidRequest`` naming the field.
        """
        _check_settings(label, monthly_cap_yen, group)
        changes = KeySettings(
            label,
            monthly_cap_yen,
            group,
            reference if reference is UNSET else checked_reference(reference),
            metadata if metadata is UNSET else checked_metadata(metadata),
        )
        wallet_id = self._ledger.reader.owner_of_key(checked_id("key_id", key_id))
        if changes != KeySettings():
            self._ledger.write(wallet_id, budget_jobs.configure_key, key_id, changes)
        return self.show(key_id)

    def rotate(self, key_id: int, *, overlap_seconds: int = 3600) -> CreatedKey:
        """Another token for an agent key, which cannot be shown again.

        Everything else of the key stays: ``key_id``, cap, spending, expiry, label, holds and idempotency. Its earlier
        tokens work for ``overlap_seconds`` more, 0 to 31 days, but no longer than the key; 0, for one that has leaked,
        ends them at once. Other processes may remember an ended token for a second.

        Raises ``KeyNotFound``, ``KeyEnded`` when the key is revoked or has ended, and ``TooManyTokens`` when ten
        earlier tokens still work.
        """
        token, overlap = new_token(), checked_overlap(overlap_seconds)
        wallet_id = self._ledger.change_secrets(
            checked_id("key_id", key_id), identity_rows.rotate_key, key_id, NewToken.of(token), overlap
        )
        return CreatedKey(key_id, wallet_id, token)

    def revoke(self, key_id: int) -> str:
        """Revoke an agent key and all its secrets for good, effective at once; returns when it was first revoked.

        Raises ``KeyNotFound``.
        """
        return self._ledger.change_secrets(0, identity_rows.revoke_key, checked_id("key_id", key_id))


def _check_settings(
    label: str | UnsetType | None, monthly_cap_yen: int | UnsetType, group: str | UnsetType | None
) -> None:
    """Raises ``InvalidRequest``."""
    if label is not UNSET and (problem := malformed_text("label", label)):
        raise problem
    if monthly_cap_yen is not UNSET and (
        type(monthly_cap_yen) is not int or not 0 <= monthly_cap_yen <= MAX_AMOUNT_YEN
    ):
        raise InvalidRequest(
            f"monthly_cap_yen must be a whole number from 0 to {MAX_AMOUNT_YEN}", field="monthly_cap_yen"
        )
    if group is not UNSET and group is not None:
        checked_group("group", group)


def _checked_scopes(scopes: Collection[Scope]) -> Collection[Scope]:
    """Raises ``InvalidRequest``."""
    if isinstance(scopes, str) or not scopes or not {*scopes} <= {*SCOPES}:
        raise InvalidRequest(f"scopes must be one or more of {', '.join(SCOPES)}", field="scopes")
    return scopes


def checked_overlap(seconds: int) -> timedelta:
    """How long earlier tokens keep working. Raises ``InvalidRequest``."""
    if type(seconds) is not int or not 0 <= seconds <= MAX_OVERLAP_SECONDS:
        raise InvalidRequest(f"overlap_seconds must be 0 to {MAX_OVERLAP_SECONDS}", field="overlap_seconds")
    return timedelta(seconds=seconds)


def checked_future_end(ledger: Ledger, field: str, given: str | None, time_zone: Callable[[], str]) -> str | None:
    """The instant of an expiry; a date is read in ``time_zone``, asked for if needed. Raises ``InvalidRequest``."""
    expiry = checked_end(field, given, time_zone)
    if expiry is not None and expiry <= format_instant(ledger.clock()):
        raise InvalidRequest(f"{field} {expiry} is in the past", field=field)
    return expiry
