"""What a caller who manages a wallet through an agent key may change there; owners and operators are not asked."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from msgspec import UNSET

from credit_wallet.domain.budget_views import BudgetView
from credit_wallet.domain.permissions import ORDINARY_SCOPES, Scope
from credit_wallet.domain.views import KeyView
from credit_wallet.errors import Forbidden
from credit_wallet.ledger.wallet import CreditWallet
from credit_wallet.rules.delegation import require_not_binding, require_not_managing, require_within
from credit_wallet.rules.validation import checked_end
from credit_wallet.wire.auth import Caller

_CONSENTED = (
    *("auto_topup_threshold", "auto_topup_amount", "auto_topup_daily_yen", "auto_topup_monthly_yen"),
    "auto_topup_consent",
)
"""Settings by which an owner agrees to be charged."""


def may_create_key(
    wallets: CreditWallet, caller: Caller, scopes: Collection[Scope] | None, expires_at: str | None, group: str | None
) -> None:
    """Raises ``Forbidden`` naming the field."""
    if (own := _own_key(wallets, caller)) is not None:
        end = checked_end("expires_at", expires_at, lambda: wallets.show(own.wallet_id).time_zone)
        require_within(own, scopes or ORDINARY_SCOPES, end, group)


def may_change_key(wallets: CreditWallet, caller: Caller, key: KeyView, group: str | None) -> None:
    """Of ``key`` as it is, and as it will be in ``group``. Raises ``Forbidden`` naming the field."""
    if (own := _own_key(wallets, caller)) is not None:
        require_within(own, key.scopes, key.expires_at, key.group)
        require_within(own, key.scopes, key.expires_at, group)


def may_revoke_key(caller: Caller, key: KeyView) -> None:
    """To stop a key needs no right to hand it on. Raises ``Forbidden`` for keys that manage."""
    if caller.key_id is not None:
        require_not_managing(key.scopes)


def may_change_budget(wallets: CreditWallet, caller: Caller, budget: BudgetView) -> None:
    """Raises ``Forbidden`` when the budget bounds the caller's key itself."""
    if (own := _own_key(wallets, caller)) is not None:
        require_not_binding(own, budget.scope)
        if budget.budget_id.startswith("key-"):
            key = wallets.keys.show(int(budget.budget_id.removeprefix("key-")))
            may_change_key(wallets, caller, key, key.group)


def may_configure(caller: Caller, settings: Mapping[str, Any]) -> None:
    """Raises ``Forbidden`` for settings by which the owner agrees to be charged, for anybody but the owner.

    An operator may pass on what the customer has agreed to, in the words of that: nobody agrees in the owner's words.
    """
    consented = [name for name in _CONSENTED if settings[name] is not UNSET]
    switches_off = settings["auto_topup_threshold"] == 0
    if caller.operator is not None and consented and not switches_off and settings["auto_topup_consent"] is UNSET:
        raise Forbidden(
            "only the customer can agree to be charged: send in auto_topup_consent what the customer has agreed to, "
            "how and when, or make a link with which the customer agrees",
            field="auto_topup_consent",
        )
    if caller.key_id is not None and consented:
        raise Forbidden(
            "automatic top-ups charge the owner's card, so the owner agrees to them; use the owner token",
            field=consented[0],
        )


def _own_key(wallets: CreditWallet, caller: Caller) -> KeyView | None:
    return None if caller.key_id is None else wallets.keys.show(caller.key_id)
