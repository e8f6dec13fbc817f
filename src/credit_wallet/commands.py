"""Everything that can be asked of a wallet, as frozen values.

A movement is a command that moves money; its idempotency key remembers it: two movements are the same request when all
their fields are equal. Amounts are yen, 1 to ``money.MAX_AMOUNT_YEN``; times are instants as ``cycle`` writes them.
"""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

from credit_wallet.topups import PaymentFact, Way


class Command(Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Addressed to one wallet."""

    wallet_id: int


class Movement(Command, frozen=True, array_like=True, tag=True, gc=False):
    """A command that moves money; ``idempotency_key`` (1 to 255 characters) is unique within the wallet."""

    idempotency_key: str


class Charge(Movement, frozen=True, array_like=True, tag="charge", gc=False):
    """Spend ``amount_yen`` now. ``key_id`` is the agent key that pays, None for the owner."""

    amount_yen: int
    note: str | None = None
    key_id: int | None = None


class Hold(Movement, frozen=True, array_like=True, tag="hold", gc=False):
    """Set ``amount_yen`` aside for ``ttl_seconds`` (1 to ``MAX_HOLD_SECONDS``), to be captured or released."""

    amount_yen: int
    ttl_seconds: int = 900
    note: str | None = None
    key_id: int | None = None


class Capture(Movement, frozen=True, array_like=True, tag="capture", gc=False):
    """Spend ``amount_yen`` of a hold (never more than it holds) and give the rest back."""

    hold_id: int
    amount_yen: int


class Release(Movement, frozen=True, array_like=True, tag="release", gc=False):
    """Give a hold back whole."""

    hold_id: int


class Refund(Movement, frozen=True, array_like=True, tag="refund", gc=False):
    """Give back ``amount_yen`` of a charge to the lots it came from; None gives back all that is left of it."""

    txn_id: int
    amount_yen: int | None = None
    note: str | None = None


class Topup(Movement, frozen=True, array_like=True, tag="topup", gc=False):
    """Bring in ``amount_yen`` as a lot of its own, paid for or promotional, that expires at ``expires_at`` or never."""

    amount_yen: int
    promo: bool = False
    expires_at: str | None = None
    note: str | None = None


class Reverse(Movement, frozen=True, array_like=True, tag="reverse", gc=False):
    """Take back ``amount_yen`` of a top-up whose payment was clawed back; what cannot be taken becomes debt."""

    txn_id: int
    amount_yen: int
    note: str | None = None


class RequestTopup(Movement, frozen=True, array_like=True, tag="request_topup", gc=False):
    """Note that the owner wants to pay ``amount_yen`` in; brings no credit before the provider says so."""

    amount_yen: int
    way: Way = "intent"


class RequestAutoTopup(Movement, frozen=True, array_like=True, tag="request_auto_topup", gc=False):
    """Note that the saved method is to pay for what the wallet lacks of its threshold, in whole steps.

    ``least_yen`` and ``most_yen`` bound the payment; ``daily_yen`` and ``monthly_yen`` what automatic top-ups may bring
    in a day and a month (UTC), 0 for no bound.
    """

    least_yen: int
    most_yen: int
    daily_yen: int = 0
    monthly_yen: int = 0


class PayBack(Movement, frozen=True, array_like=True, tag="pay_back", gc=False):
    """Take ``amount_yen`` of a top-up that is still unused out of the wallet, to be paid back to where it came from."""

    topup_id: str
    amount_yen: int


class SettleTopup(Command, frozen=True, array_like=True, tag="settle_topup", gc=False):
    """Take in what the provider says of a top-up's payment: credit it, take it back, or note why not.

    Has no key: saying the same again changes nothing. A ``topup_id`` that is not known is a payment of the wallet's
    that lost its row; its ``amount_yen`` is given.
    """

    topup_id: str
    fact: PaymentFact
    amount_yen: int = 0


class Expire(Command, frozen=True, array_like=True, tag="expire", gc=False):
    """Carry out what is due on a wallet: expired holds and lots. Sent by the worker; moves nothing that is not due."""


class Configure(Command, frozen=True, array_like=True, tag="configure", gc=False):
    """Change a wallet's settings; fields left ``UNSET`` stay as they are."""

    label: str | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    monthly_budget_yen: int | UnsetType = UNSET
    budget_mode: str | UnsetType = UNSET
    auto_topup_threshold: int | UnsetType = UNSET
    auto_topup_amount: int | UnsetType = UNSET
    low_balance_yen: int | UnsetType = UNSET
    alert_thresholds_pct: tuple[int, ...] | UnsetType = UNSET
    """Shares of the budget at which to alert, beside 50, 80 and 100 %."""


MAX_HOLD_SECONDS = 31 * 24 * 3600
"""Longest that a hold can stay open: 31 days, the longest that a card authorisation lives."""

MAX_IDEMPOTENCY_KEY_LENGTH = 255
"""As Stripe's (docs.stripe.com/api/idempotent_requests)."""

MAX_NOTE_LENGTH = 500
"""Characters that a note or a label can have."""
