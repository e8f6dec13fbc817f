"""Everything that can be asked of a wallet, as frozen values.

A movement is a command that moves money; its idempotency key remembers it: two movements are the same request when all
their fields are equal. Amounts are yen, 1 to ``money.MAX_AMOUNT_YEN``; times are instants as ``cycle`` writes them.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from credit_wallet.domain.actors import OPERATOR, PRODUCT, Actor, room
from credit_wallet.domain.topups import Flow, PaymentFact

Above: TypeAlias = Literal["reject", "up_to_balance"]
"""What a capture does about yen that its hold does not cover."""


class Command(Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Addressed to one wallet."""

    wallet_id: int


class Keyed(Command, frozen=True, array_like=True, tag=True, gc=False):
    """A command that its ``idempotency_key`` (1 to 255 characters) remembers."""

    idempotency_key: str


class Movement(Keyed, frozen=True, array_like=True, tag=True, gc=False, kw_only=True):
    """A command that moves money. Its key is unique among those that the same kind of ``actor`` uses for the wallet."""

    actor: Actor = OPERATOR

    @property
    def stored_key(self) -> str:
        """The idempotency key with the actor's room in front of it, as the ledger stores it."""
        return self.idempotency_key if self.actor == OPERATOR else room(self.actor) + self.idempotency_key


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
    """Spend ``amount_yen`` of a hold and give the rest back, or with ``final=False`` keep the rest on hold.

    What the hold does not cover is ``above`` it: "reject" refuses it, "up_to_balance" takes of the balance what that
    can give, for whoever may close the hold and is not a payer. ``key_id`` is the agent key that asks, None for anybody
    else.
    """

    hold_id: int
    amount_yen: int
    final: bool = True
    above: Above = "reject"
    key_id: int | None = None


class Release(Movement, frozen=True, array_like=True, tag="release", gc=False):
    """Give back what is left of a hold. ``key_id`` is the agent key that asks, None for anybody else."""

    hold_id: int
    key_id: int | None = None


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
    flow: Flow = "intent"


class RequestAutoTopup(Movement, frozen=True, array_like=True, tag="request_auto_topup", gc=False):
    """Note that the saved method is to pay for what the wallet lacks of its threshold, in whole steps.

    ``min_yen`` and ``max_yen`` bound the payment; ``daily_yen`` and ``monthly_yen`` what automatic top-ups may bring
    in a day and a month (UTC), 0 for no bound.
    """

    min_yen: int
    max_yen: int
    daily_yen: int = 0
    monthly_yen: int = 0


class PayBackLimit(Struct, frozen=True, array_like=True, gc=False):
    """What may be paid back of all wallets in the period since ``base_date`` (YYYY-MM-DD).

    ``limit_yen`` is without what was paid back in it before entries named their cause.
    """

    base_date: str
    limit_yen: int


class PayBack(Movement, frozen=True, array_like=True, tag="pay_back", gc=False):
    """Take ``amount_yen`` of a top-up that is still unused out of the wallet, to be paid back to where it came from.

    ``limit`` bounds what is paid back of all wallets; None is for what the law allows without a figure. It is not part
    of the request: a retry may come with another.
    """

    topup_id: str
    amount_yen: int
    limit: PayBackLimit | None = None


class SettleTopup(Command, frozen=True, array_like=True, tag="settle_topup", gc=False):
    """Take in what the provider says of a top-up's payment: credit it, take it back, or note why not.

    Has no key: saying the same again changes nothing. A ``topup_id`` that is not known is a payment of the wallet's
    that lost its row; its ``amount_yen`` is given.
    """

    topup_id: str
    fact: PaymentFact
    amount_yen: int = 0


class Extend(Command, frozen=True, array_like=True, tag="extend", gc=False):
    """Let an open hold last until ``ttl_seconds`` from now, up to ``MAX_HOLD_SECONDS`` after it was made.

    Has no key: saying it again changes nothing, and no hold gets shorter. ``key_id`` is the agent key that asks.
    """

    hold_id: int
    ttl_seconds: int
    key_id: int | None = None
    actor: Actor = OPERATOR


class _Attempt(Command, frozen=True, array_like=True, tag=True, gc=False):
    purchase_key: str
    attempt: str


class PurchaseCommand(_Attempt, frozen=True, array_like=True, tag=True, gc=False, kw_only=True):
    """About one purchase: what a buyer's request, named by ``purchase_key``, has paid for.

    ``attempt`` (1 to ``MAX_ATTEMPT_LENGTH`` characters) names one try to serve it, by one process. ``actor`` sells.
    """

    actor: Actor = PRODUCT

    @property
    def stored_key(self) -> str:
        """The purchase's key with the actor's room in front of it, as the ledger stores it."""
        return room(self.actor) + self.purchase_key


class Buy(PurchaseCommand, frozen=True, array_like=True, tag="buy", gc=False):
    """Charge ``amount_yen`` for a request, or set it aside for ``hold_seconds``, unless that was done before.

    The attempt has ``lease_seconds`` (1 to ``MAX_LEASE_SECONDS``) to serve, undo or renew; after that another one may
    take the purchase over. What was served already is free ``free_retries`` times. ``key_id`` is the agent key that
    pays, None for the owner.
    """

    amount_yen: int
    hold_seconds: int | None = None
    lease_seconds: int = 30
    free_retries: int = 0
    note: str | None = None
    key_id: int | None = None


class Serve(PurchaseCommand, frozen=True, array_like=True, tag="serve", gc=False):
    """Write down that the answer has reached the buyer, who from now on has paid for it whatever happens.

    A purchase that was undone meanwhile is charged again; what the balance lacks becomes a debt. ``forget`` drops a
    purchase that nobody can ask for again.
    """

    forget: bool = False


class Renew(PurchaseCommand, frozen=True, array_like=True, tag="renew", gc=False):
    """Keep a purchase, and its hold, for ``lease_seconds`` more: its attempt is still at work."""

    lease_seconds: int = 30


class Undo(PurchaseCommand, frozen=True, array_like=True, tag="undo", gc=False):
    """Give back what a purchase took, if ``attempt`` has it and nobody was served; ``reason`` goes into the ledger.

    ``abandoned`` undoes it only when its lease is over.
    """

    reason: str = "not served"
    abandoned: bool = False


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


MAX_LEASE_SECONDS = 24 * 3600
"""Longest that a purchase can be neither served nor given back without its attempt saying that it is still at work."""

MAX_ATTEMPT_LENGTH = 64
"""Characters that the name of an attempt can have."""

MAX_HOLD_SECONDS = 31 * 24 * 3600
"""Longest that a hold can stay open: 31 days, the longest that a card authorisation lives."""

MAX_IDEMPOTENCY_KEY_LENGTH = 255
"""As Stripe's (docs.stripe.com/api/idempotent_requests)."""

MAX_NOTE_LENGTH = 500
"""Characters that a note or a label can have."""
