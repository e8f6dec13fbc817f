"""Commands: every request to a wallet, as frozen values.

A movement is a command that moves money; its idempotency key remembers it: two movements are the same request when all
their fields are equal. Amounts are micros of yen, 1 to ``money.MAX_AMOUNT_MICROS``, those of payments whole yen; times
are instants as ``cycle`` writes them. A command with a ``usage`` that names an item has no amount (0): it is priced
when it is carried out.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from msgspec import UNSET, Struct, UnsetType

from credit_wallet.domain.actors import OPERATOR, PRODUCT, Actor, room
from credit_wallet.domain.acts import LIBRARY, Author
from credit_wallet.domain.consents import ConsentLanguage
from credit_wallet.domain.corrections import CorrectionReason
from credit_wallet.domain.metadata import Metadata
from credit_wallet.domain.names import Names
from credit_wallet.domain.outcomes import LotKind
from credit_wallet.domain.topups import Flow, Offer, PaymentFact
from credit_wallet.domain.transfers import TransferPart, transfer_id_of
from credit_wallet.domain.usage import Usage

Above: TypeAlias = Literal["reject", "up_to_balance"]
"""How a capture handles what its hold does not cover."""


class Command(Struct, frozen=True, array_like=True, tag=True, gc=False):
    """Addressed to one wallet."""

    wallet_id: int


class Keyed(Command, frozen=True, array_like=True, tag=True, gc=False):
    """A command that its ``idempotency_key`` (1 to 255 characters) remembers."""

    idempotency_key: str


class Movement(Keyed, frozen=True, array_like=True, tag=True, gc=False, kw_only=True):
    """A command that moves money. Its key is unique among those that the same kind of ``actor`` uses for the wallet.

    ``names`` are those of the entry that a charge, a capture, a refund, a top-up by hand or a correction makes.
    Reference and metadata are part of the request, but not the request id: a retry may carry another, and the first
    one's stays.
    """

    actor: Actor = OPERATOR
    names: Names | None = None

    @property
    def stored_key(self) -> str:
        """The idempotency key with the actor's prefix, as the ledger stores it."""
        return self.idempotency_key if self.actor == OPERATOR else room(self.actor) + self.idempotency_key


class ByHand(Movement, frozen=True, array_like=True, tag=True, gc=False, kw_only=True):
    """A movement that somebody asks for as such: unless the product or a seller does, ``author`` leaves an act."""

    author: Author = LIBRARY


class Charge(Movement, frozen=True, array_like=True, tag="charge", gc=False):
    """Spend ``amount_micros`` now. ``key_id`` is the agent key that pays, None for the owner."""

    amount_micros: int
    note: str | None = None
    key_id: int | None = None
    usage: Usage | None = None


class Hold(Movement, frozen=True, array_like=True, tag="hold", gc=False):
    """Set ``amount_micros`` aside for ``ttl_seconds`` (1 to ``MAX_HOLD_SECONDS``), to be captured or released."""

    amount_micros: int
    ttl_seconds: int = 900
    note: str | None = None
    key_id: int | None = None
    usage: Usage | None = None


class Capture(Movement, frozen=True, array_like=True, tag="capture", gc=False):
    """Spend ``amount_micros`` of a hold and release the rest, or with ``final=False`` keep the rest on hold.

    ``above`` says how to handle yen beyond the hold: "reject" refuses them, "up_to_balance" takes as much as possible
    from the balance, for actors that may close the hold and are not payers. ``key_id`` is the requesting agent key,
    None for anybody else.
    """

    hold_id: int
    amount_micros: int
    final: bool = True
    above: Above = "reject"
    key_id: int | None = None
    usage: Usage | None = None


class Release(Movement, frozen=True, array_like=True, tag="release", gc=False):
    """Release what is left of a hold. ``key_id`` is the requesting agent key, None for anybody else."""

    hold_id: int
    key_id: int | None = None


class Refund(ByHand, frozen=True, array_like=True, tag="refund", gc=False):
    """Refund ``amount_micros`` of a charge to the lots it came from; None refunds all that is left of it."""

    txn_id: int
    amount_micros: int | None = None
    note: str | None = None


class Topup(ByHand, frozen=True, array_like=True, tag="topup", gc=False):
    """Add ``amount_micros`` as a separate lot, paid or promotional, that expires at ``expires_at`` or never."""

    amount_micros: int
    promo: bool = False
    expires_at: str | None = None
    note: str | None = None


class CreditGrant(Movement, frozen=True, array_like=True, tag="credit_grant", gc=False):
    """Credit an occurrence of a grant, if it has come and it is the next one. Sent by the worker.

    Amount and lapse are those of the grant's row, which moves on in the same transaction.
    """

    grant_id: int
    occurrence: int


class Reverse(ByHand, frozen=True, array_like=True, tag="reverse", gc=False):
    """Take back ``amount_micros`` of a top-up whose payment was clawed back; what cannot be taken becomes debt."""

    txn_id: int
    amount_micros: int
    note: str | None = None


class Adjust(ByHand, frozen=True, array_like=True, tag="adjust", gc=False):
    """Correct a balance by ``amount_micros``: above 0 it adds a lot, below 0 it takes from lots; neither is spending.

    ``reason`` is one of ``CORRECTION_REASONS``, ``note`` says what happened. Credit comes in as ``kind``, by default
    promotional, and expires at ``expires_at`` or never; it is taken in the order of spending, or of ``kind`` alone.
    ``txn_id`` is the manual top-up that it takes back, all that is left of it when there is no amount. What cannot be
    taken is refused; with ``allow_debt`` it becomes debt.
    """

    amount_micros: int | None
    reason: CorrectionReason
    note: str
    kind: LotKind | None = None
    expires_at: str | None = None
    txn_id: int | None = None
    allow_debt: bool = False


class RequestTopup(ByHand, frozen=True, array_like=True, tag="request_topup", gc=False):
    """Record that the owner wants to pay in ``amount_yen``; credit comes when the provider confirms the payment."""

    amount_yen: int
    flow: Flow = "intent"
    offer: Offer | None = None


class RequestAutoTopup(Movement, frozen=True, array_like=True, tag="request_auto_topup", gc=False):
    """Record that the saved method is to pay the shortfall to the wallet's threshold, in whole steps.

    ``min_yen`` and ``max_yen`` bound the payment; ``daily_yen`` and ``monthly_yen`` limit automatic top-ups a day and a
    month (UTC), 0 for no limit.
    """

    min_yen: int
    max_yen: int
    daily_yen: int = 0
    monthly_yen: int = 0


class PayBackLimit(Struct, frozen=True, array_like=True, gc=False):
    """The limit on paying back from all wallets in the period since ``base_date`` (YYYY-MM-DD).

    ``limit_yen`` already excludes what was paid back in it by entries that name no cause.
    """

    base_date: str
    limit_yen: int


class PayBack(ByHand, frozen=True, array_like=True, tag="pay_back", gc=False):
    """Take ``amount_yen`` of a top-up that is still unused out of the wallet, to be paid back to where it came from.

    ``limit`` bounds paying back from all wallets; None is for pay-backs that the law allows without a figure. It is not
    part of the request: a retry may carry another.
    """

    topup_id: str
    amount_yen: int
    limit: PayBackLimit | None = None


class SettleTopup(Command, frozen=True, array_like=True, tag="settle_topup", gc=False):
    """Apply what the provider reports of a top-up's payment: credit it, take it back, or record why not.

    Needs no key: repeating a report changes nothing. An unknown ``topup_id`` is a payment of the wallet's that lost its
    row; then ``amount_yen`` is given.
    """

    topup_id: str
    fact: PaymentFact
    amount_yen: int = 0
    author: Author | None = None
    """Who gave the top-up up, if somebody did."""


class TransferOut(ByHand, frozen=True, array_like=True, tag="transfer_out", gc=False):
    """Take ``amount_micros`` out of the wallet, on its way to ``to_wallet_id``, a wallet of the same owner.

    It takes from the lots in the order of spending, but does not count as spending. ``TransferIn`` brings it in there.
    """

    to_wallet_id: int
    amount_micros: int
    note: str | None = None

    @property
    def transfer_id(self) -> str:
        """The id of the transfer that it makes."""
        return transfer_id_of(self.wallet_id, self.stored_key)


class TransferIn(Command, frozen=True, array_like=True, tag="transfer_in", gc=False):
    """Bring in what was taken out of ``from_wallet_id``, with the same kinds and expiries, or refuse it for good.

    Needs no key: the wallet keeps what it has answered to a transfer, and repeating it changes nothing.
    """

    transfer_id: str
    from_wallet_id: int
    parts: tuple[TransferPart, ...]
    note: str | None = None


class EndTransfer(Command, frozen=True, array_like=True, tag="end_transfer", gc=False):
    """Record that what was taken out has come in, or return it to its lots since it was refused for ``reason``.

    Needs no key: repeating it changes nothing.
    """

    transfer_id: str
    reason: str | None = None


class Extend(Command, frozen=True, array_like=True, tag="extend", gc=False):
    """Extend an open hold to ``ttl_seconds`` from now, up to ``MAX_HOLD_SECONDS`` after it was made.

    Needs no key: repeating it changes nothing, and no hold gets shorter. ``key_id`` is the requesting agent key.
    """

    hold_id: int
    ttl_seconds: int
    key_id: int | None = None
    actor: Actor = OPERATOR


class _Attempt(Command, frozen=True, array_like=True, tag=True, gc=False):
    purchase_key: str
    attempt: str


class PurchaseCommand(_Attempt, frozen=True, array_like=True, tag=True, gc=False, kw_only=True):
    """A command on one purchase: what a buyer's request, named by ``purchase_key``, has paid for.

    ``attempt`` (1 to ``MAX_ATTEMPT_LENGTH`` characters) names one try to serve it, by one process. ``actor`` sells.
    """

    actor: Actor = PRODUCT

    @property
    def stored_key(self) -> str:
        """The purchase's key with the actor's prefix, as the ledger stores it."""
        return room(self.actor) + self.purchase_key


class Buy(PurchaseCommand, frozen=True, array_like=True, tag="buy", gc=False):
    """Charge ``amount_micros`` for a request, or set it aside for ``hold_seconds``, unless that was done before.

    The attempt has ``lease_seconds`` (1 to ``MAX_LEASE_SECONDS``) to serve, undo or renew; after that another one may
    take the purchase over. Retries of a served purchase are free ``free_retries`` times. ``key_id`` is the agent key
    that pays, None for the owner. ``names`` are those of all its entries, and no part of the request.
    """

    amount_micros: int
    hold_seconds: int | None = None
    lease_seconds: int = 30
    free_retries: int = 0
    note: str | None = None
    key_id: int | None = None
    usage: Usage | None = None
    names: Names | None = None


class Serve(PurchaseCommand, frozen=True, array_like=True, tag="serve", gc=False):
    """Record that the answer has reached the buyer: from now on it is paid for, whatever happens.

    A purchase that was undone meanwhile is charged again; what the balance lacks becomes a debt. ``forget`` drops a
    purchase that cannot be retried.
    """

    forget: bool = False


class Renew(PurchaseCommand, frozen=True, array_like=True, tag="renew", gc=False):
    """Renew the lease of a purchase, and its hold, for ``lease_seconds``: its attempt is still at work."""

    lease_seconds: int = 30


class Undo(PurchaseCommand, frozen=True, array_like=True, tag="undo", gc=False):
    """Refund or release a purchase, if ``attempt`` holds it and it was not served; ``reason`` goes into the ledger.

    ``abandoned`` undoes it only when its lease is over.
    """

    reason: str = "not served"
    abandoned: bool = False


class Expire(Command, frozen=True, array_like=True, tag="expire", gc=False):
    """Settle what is due on a wallet: expired holds and lots. Sent by the worker; moves nothing that is not due."""


class Configure(Command, frozen=True, array_like=True, tag="configure", gc=False):
    """Change a wallet's settings; fields left ``UNSET`` stay as they are.

    Whoever switches automatic top-ups on, or changes their amounts or limits, agrees to ``auto_topup_consent``, by
    default the product's standard text in ``auto_topup_consent_language``; it is recorded with the settings.
    """

    label: str | UnsetType = UNSET
    monthly_budget_yen: int | UnsetType = UNSET
    budget_mode: str | UnsetType = UNSET
    auto_topup_threshold: int | UnsetType = UNSET
    auto_topup_amount: int | UnsetType = UNSET
    low_balance_yen: int | UnsetType = UNSET
    alert_thresholds_pct: tuple[int, ...] | UnsetType = UNSET
    """Shares of the budget at which to alert, beside 50, 80 and 100 %."""
    price_group: str | UnsetType | None = UNSET
    """The group whose prices count for the wallet, None for no group."""
    auto_topup_daily_yen: int | UnsetType = UNSET
    auto_topup_monthly_yen: int | UnsetType = UNSET
    auto_topup_consent: str | UnsetType = UNSET
    auto_topup_consent_language: ConsentLanguage = "en"
    metadata: Metadata | UnsetType = UNSET
    author: Author = LIBRARY


class Freeze(Command, frozen=True, array_like=True, tag="freeze", gc=False):
    """Freeze a wallet, so that nothing is spent of it, or unfreeze it, which takes back a closing that has not ended.

    Needs no key: repeating it changes nothing.
    """

    frozen: bool
    reason: CorrectionReason = "other"
    note: str | None = None
    author: Author = LIBRARY


class BeginClosing(Command, frozen=True, array_like=True, tag="begin_closing", gc=False):
    """Freeze a wallet to close it, for good; with ``merge_into`` its credit goes to that wallet.

    Debt refuses it unless ``write_off_debt``. Needs no key: repeating it changes nothing.
    """

    reason: CorrectionReason
    note: str
    merge_into: int | None = None
    write_off_debt: bool = False
    author: Author = LIBRARY


class EndClosing(Command, frozen=True, array_like=True, tag="end_closing", gc=False):
    """Write off what is left of a wallet that is being closed, and close it; or what has come back to a closed one.

    Up to ``max_paid_micros`` of paid credit is written off, None for all of it; more refuses it. Needs no key:
    repeating it changes nothing.
    """

    reason: CorrectionReason
    note: str
    max_paid_micros: int | None = None
    write_off_debt: bool = False
    author: Author = LIBRARY


MAX_LEASE_SECONDS = 24 * 3600
"""Maximum lease: how long a purchase may stay neither served nor undone without its attempt renewing it."""

MAX_ATTEMPT_LENGTH = 64
"""Characters that the name of an attempt can have."""

MAX_HOLD_SECONDS = 31 * 24 * 3600
"""Maximum life of a hold: 31 days, the longest that a card authorisation lives."""

MAX_IDEMPOTENCY_KEY_LENGTH = 255
"""As Stripe's (docs.stripe.com/api/idempotent_requests)."""

MAX_NOTE_LENGTH = 500
"""Characters that a note or a label can have."""
