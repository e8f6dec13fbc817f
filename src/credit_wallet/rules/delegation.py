"""Delegation: what an agent key that manages may hand on. Nobody gives away more than they were given.

It never makes or touches keys that manage, itself among them: only the owner does. Of other keys it makes and turns
those that may do no more than itself, in its own group, for no longer than itself; and none that spend when it has a
cap itself, because many keys with a cap each would spend more than one.
"""

from __future__ import annotations

from collections.abc import Collection

from credit_wallet.domain.budgets import EACH
from credit_wallet.domain.permissions import SCOPES, Scope
from credit_wallet.domain.views import KeyView
from credit_wallet.errors import Forbidden


def require_within(own: KeyView, scopes: Collection[Scope], expires_at: str | None, group: str | None) -> None:
    """Raise ``Forbidden`` unless a key with these settings is within what ``own`` may hand on."""
    require_not_managing(scopes)
    if beyond := [each for each in SCOPES if each in scopes and each not in own.scopes]:
        raise _refusal(f"agent key {own.key_id} has no {beyond[0]} to hand on; send only scopes that it has", "scopes")
    if "spend" in scopes and own.monthly_cap_yen:
        raise _refusal(
            f"agent key {own.key_id} has a monthly cap, and keys beside it would go past it; use the owner token",
            "scopes",
        )
    if own.expires_at is not None and (expires_at is None or expires_at > own.expires_at):
        raise _refusal(f"agent key {own.key_id} ends at {own.expires_at}; let the key end then or before", "expires_at")
    if own.group is not None and group != own.group and not (group or "").startswith(f"{own.group}/"):
        raise _refusal(f"agent key {own.key_id} is in {own.group}; put the key in this group or below it", "group")


def require_not_managing(scopes: Collection[Scope]) -> None:
    """Raise ``Forbidden`` for a key that manages."""
    if "manage" in scopes:
        raise _refusal("keys that manage are the owner's to make and to change; use the owner token", "scopes")


def require_not_binding(own: KeyView, scope: dict[str, str]) -> None:
    """Raise ``Forbidden`` for a budget whose ``scope`` names ``own`` or a group that it is in, or each key or group."""
    group = scope.get("group")
    in_group = own.group is not None and (group == EACH or own.group == group or own.group.startswith(f"{group}/"))
    if scope.get("key_id") in (str(own.key_id), EACH) or in_group:
        raise _refusal(f"this budget limits agent key {own.key_id} itself; use the owner token", "budget_id")


def _refusal(reason: str, field: str) -> Forbidden:
    return Forbidden(reason, field=field)
