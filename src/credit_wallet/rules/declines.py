"""What a declined charge of a saved method means for automatic top-ups: whether, when and how often to retry.

Card schemes limit retries (Visa: 20 in 30 days, and none for some declines), so retries are few and far between. Codes:
docs.stripe.com/declines/codes.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from msgspec import Struct

from credit_wallet.domain.topups import DeclineKind

NEVER_AGAIN_ADVICE = ("03", "21")
"""Mastercard's advice on a decline that says never to try the card again."""

HOUR, DAY = 3_600, 24 * 3_600


class Decline(Struct, frozen=True):
    """A kind of decline: the codes that mean it, and after how many seconds the first, second … in a row is retried.

    Without ``retry_seconds`` a retry is pointless, and automatic top-ups stop at once.
    """

    codes: str
    retry_seconds: tuple[int, ...] = ()


DECLINES: dict[DeclineKind, Decline] = {
    "soon": Decline("issuer_not_available processing_error reenter_transaction try_again_later", (600, HOUR, 6 * HOUR)),
    "later": Decline("", (DAY, 3 * DAY, 7 * DAY)),  # whatever has no other kind: insufficient_funds, say
    "never": Decline(
        "expired_card incorrect_number invalid_account lost_card pickup_card restricted_card "
        "revocation_of_all_authorizations revocation_of_authorization stolen_card stop_payment_order fraudulent "
        "merchant_blacklist card_not_supported currency_not_supported invalid_expiry_year invalid_expiry_month"
    ),
    "person": Decline(
        "authentication_required authentication_not_handled payment_intent_authentication_failure "
        "offline_pin_required online_or_offline_pin_required approve_with_id call_issuer"
    ),
}

MAX_FAILURES = 3
"""Declines in a row after which automatic top-ups stop until a person acts."""

_KINDS = {code: kind for kind, decline in DECLINES.items() for code in decline.codes.split()}


def decline_kind(code: str | None, advice: str | None = None) -> DeclineKind:
    """Whether a declined charge may be retried: soon, later, never, or only after a person acts.

    ``advice`` is the network's, where it gave one.
    """
    return "never" if advice in NEVER_AGAIN_ADVICE else _KINDS.get(code or "", "later")


def retry_at(decline: DeclineKind, failures: int, now: datetime) -> datetime | None:
    """When to retry after decline number ``failures`` in a row (1 or more); None to stop."""
    waits = DECLINES[decline].retry_seconds
    if failures >= MAX_FAILURES or not waits:
        return None
    return now + timedelta(seconds=waits[failures - 1])
