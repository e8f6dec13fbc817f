"""Request bodies. Unknown fields are refused, so that a misspelled one is never taken for a default."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeAlias

from msgspec import UNSET, Meta, Struct, UnsetType, structs

from credit_wallet.domain.budgets import KEY_GROUP, MAX_GROUP_LENGTH
from credit_wallet.domain.commands import (
    MAX_HOLD_SECONDS,
    MAX_IDEMPOTENCY_KEY_LENGTH,
    MAX_NOTE_LENGTH,
)
from credit_wallet.domain.consents import ConsentLanguage, ConsentText
from credit_wallet.domain.money import MAX_AMOUNT_YEN
from credit_wallet.domain.outcomes import BudgetMode
from credit_wallet.domain.permissions import Scope
from credit_wallet.domain.prices import GROUP
from credit_wallet.domain.shares import MAX_OWN_THRESHOLDS, MAX_THRESHOLD_PCT
from credit_wallet.domain.tokens import MAX_TOKEN_LENGTH
from credit_wallet.domain.topups import METHOD, Offer, OfferLanguage
from credit_wallet.domain.usage import FACT_KEY, ITEM, MAX_FACT_LENGTH, MAX_FACTS, MAX_ITEM_LENGTH, MAX_QUANTITY
from credit_wallet.notices.targets import (
    DIGEST,
    MAX_TARGETS,
    MAX_URL_LENGTH,
    QUIET_HOURS,
    Language,
    WantedTarget,
)
from credit_wallet.notices.texts import KINDS
from credit_wallet.wire.names import Metadata, Reference, RequestId

MAX_BATCH_CHARGES = 1_000

DECIMAL_PATTERN = r"^(?=.*[1-9])(0|[1-9][0-9]{0,12})(\.[0-9]{1,6})?$"
"""A decimal above 0 in plain digits, with up to six places."""

Amount: TypeAlias = (
    Annotated[int, Meta(ge=1, le=MAX_AMOUNT_YEN)]
    | Annotated[str, Meta(pattern=DECIMAL_PATTERN, description="Decimal yen, in quotes.")]
)
"""Yen, whole or as a quoted decimal. A number with a fraction is not exact in JSON, and is refused."""

Quantity: TypeAlias = (
    Annotated[int, Meta(ge=1, le=MAX_QUANTITY)]
    | Annotated[str, Meta(pattern=DECIMAL_PATTERN, description="Decimal, in quotes.")]
)
Item = Annotated[
    str,
    Meta(
        max_length=MAX_ITEM_LENGTH,
        pattern=f"^{ITEM.pattern}$",
        description="Item of the price book.",
        examples=["search"],
    ),
]
Facts = Annotated[
    dict[
        Annotated[str, Meta(pattern=f"^{FACT_KEY.pattern}$")],
        Annotated[str, Meta(min_length=1, max_length=MAX_FACT_LENGTH, pattern="^[^\\x00-\\x1f\\x7f]*$")],
    ],
    Meta(max_length=MAX_FACTS),
]
Yen = Annotated[int, Meta(ge=1, le=MAX_AMOUNT_YEN, description="Whole yen.", examples=[3])]
YenOrZero = Annotated[int, Meta(ge=0, le=MAX_AMOUNT_YEN, description="Whole yen; 0 switches it off.")]
Id = Annotated[int, Meta(ge=1, le=2**63 - 1)]
Note = Annotated[str, Meta(max_length=MAX_NOTE_LENGTH, pattern="^[^\\x00]*$", description="Text without NUL.")]
Kind = Annotated[str, Meta(extra_json_schema={"enum": list(KINDS)})]
End = Annotated[
    str,
    Meta(
        extra_json_schema={"anyOf": [{"format": "date-time"}, {"format": "date"}]},
        description="ISO 8601 time when it ends; or a date, for the end of that day in the wallet's time zone.",
    ),
]

KeyGroup = Annotated[
    str,
    Meta(
        max_length=MAX_GROUP_LENGTH,
        pattern=f"^({KEY_GROUP.pattern})$",
        description="A group of agent keys, inside up to three others.",
        examples=["acme/research"],
    ),
]

OverlapSeconds = Annotated[
    int, Meta(ge=0, le=MAX_HOLD_SECONDS, description="0 ends the earlier tokens at once, for one that has leaked.")
]


class Body(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A request body. Clients send what is not the default alone, so that services that know fewer fields take it."""


def sent(body: Body) -> dict[str, Any]:
    """The members of a body that were sent."""
    return {name: value for name in body.__struct_fields__ if (value := getattr(body, name)) is not UNSET}


class Sold(Body, frozen=True):
    """What something costs: either ``amount_yen``, or ``quantity`` of ``item`` at the price book's price; and facts."""

    amount_yen: Amount | UnsetType = UNSET
    item: Item | UnsetType = UNSET
    quantity: Quantity | UnsetType = UNSET
    facts: Facts | UnsetType = UNSET
    agent_facts: Facts | UnsetType = UNSET

    def asked(self) -> dict[str, Any]:
        """What was sent of it, as the library takes it."""
        if self.amount_yen is not UNSET and self.item is self.quantity is self.facts is self.agent_facts is UNSET:
            return {"amount_yen": self.amount_yen}  # as most requests are
        return {name: value for name in _OF_A_SALE if (value := getattr(self, name)) is not UNSET}


_OF_A_SALE = Sold.__struct_fields__


class ChargeBody(Sold, frozen=True, kw_only=True):
    """What to charge; sellers and operators name the wallet."""

    note: Note | None = None
    wallet_id: Id | None = None
    reference: Reference | None = None
    metadata: Metadata | None = None


class HoldBody(Sold, frozen=True, kw_only=True):
    """What to set aside for ``ttl_seconds``."""

    ttl_seconds: Annotated[int, Meta(ge=1, le=MAX_HOLD_SECONDS)] = 900
    note: Note | None = None
    wallet_id: Id | None = None
    reference: Reference | None = None
    metadata: Metadata | None = None


SentKey = Annotated[str, Meta(min_length=1, max_length=MAX_IDEMPOTENCY_KEY_LENGTH, pattern="^[ -~]+$")]


class CaptureBody(Sold, frozen=True, kw_only=True):
    """How much of a hold to spend."""

    hold_id: Id
    final: bool = True
    above: Literal["reject", "up_to_balance"] = "reject"
    reference: Reference | None = None
    metadata: Metadata | None = None


class ReleaseBody(Body, frozen=True):
    """The hold to release in full."""

    hold_id: Id


class ExtendBody(Body, frozen=True):
    """How long an open hold lasts from now: it never gets shorter, nor older than 31 days."""

    hold_id: Id
    ttl_seconds: Annotated[int, Meta(ge=1, le=MAX_HOLD_SECONDS)]


class RefundBody(Body, frozen=True):
    """The charge to refund, in full or in part."""

    txn_id: Id
    amount_yen: Amount | None = None
    note: Note | None = None
    reference: Reference | None = None
    metadata: Metadata | None = None


class OperatorTopupBody(Body, frozen=True):
    """Credit to add by hand, paid for or promotional."""

    wallet_id: Id
    amount_yen: Amount
    promo: bool = False
    expires_at: End | None = None
    note: Note | None = None
    reference: Reference | None = None
    metadata: Metadata | None = None


class TransferBody(Body, frozen=True):
    """What to move to another wallet of the same owner, which its owner token names."""

    amount_yen: Amount
    to_owner_token: Annotated[str, Meta(min_length=1, max_length=MAX_TOKEN_LENGTH)]
    note: Note | None = None


class OperatorTransferBody(Body, frozen=True):
    """What to move between two wallets of one owner."""

    from_wallet_id: Id
    to_wallet_id: Id
    amount_yen: Amount
    note: Note | None = None


class BatchItem(Sold, frozen=True, kw_only=True):
    """One charge of a batch."""

    wallet_id: Id
    idempotency_key: SentKey
    note: Note | None = None
    request_id: RequestId | None = None
    reference: Reference | None = None
    metadata: Metadata | None = None


class BatchBody(Body, frozen=True):
    """Up to 1,000 charges that become durable together; each succeeds or is refused individually."""

    charges: Annotated[list[BatchItem], Meta(min_length=1, max_length=MAX_BATCH_CHARGES)]


class TopupBody(Body, frozen=True):
    """What to pay, and how: in a card form of your own, or on a page of Stripe's."""

    amount_yen: Yen
    checkout: bool = False
    method: Annotated[str, Meta(pattern=f"^({METHOD.pattern})$")] | None = None
    save_card: bool = True
    language: OfferLanguage | None = None

    def offer(self) -> Offer:
        """How the payment is offered."""
        return Offer(self.method, self.save_card, self.language)


class PayBackBody(Body, frozen=True):
    """How much unused credit to pay back."""

    amount_yen: Yen


class TargetBody(Body, frozen=True):
    """A notification target: a new `url`, or the `target_id` of an existing one."""

    url: Annotated[str, Meta(min_length=1, max_length=MAX_URL_LENGTH)] | None = None
    target_id: Id | None = None
    kinds: Annotated[list[Kind], Meta(max_length=len(KINDS), description="Empty: all that a person should hear.")] = []
    language: Language = "en"
    quiet_hours: (
        Annotated[str, Meta(pattern=f"^({QUIET_HOURS.pattern})$", description="Held back then: 22:00-07:00.")] | None
    ) = None
    digest: (
        Annotated[str, Meta(pattern=f"^({DIGEST.pattern})$", description="Gathered: hourly, or at a time: 09:00.")]
        | None
    ) = None
    time_zone: Annotated[str, Meta(description="IANA name, of quiet hours and digest.")] = "UTC"
    rotate_secret: bool = False

    def wanted(self) -> WantedTarget:
        """The same for the library."""
        return WantedTarget(**{**structs.asdict(self), "url": self.url or "", "kinds": tuple(self.kinds)})


class ConfirmBody(Body, frozen=True):
    """The code that was sent to a mailbox."""

    code: Annotated[str, Meta(min_length=1, max_length=64, description="As it was sent, such as `K7QM-3XRA`.")]


Targets = Annotated[list[TargetBody], Meta(max_length=MAX_TARGETS, description="All of them; others are removed.")]


class TargetsBody(Body, frozen=True):
    """Where the operator's notices go."""

    notification_targets: Targets


class SettingsBody(Body, frozen=True):
    """Settings to change; what is left out stays."""

    label: Note | UnsetType = UNSET
    monthly_budget_yen: YenOrZero | UnsetType = UNSET
    budget_mode: BudgetMode | UnsetType = UNSET
    auto_topup_threshold: YenOrZero | UnsetType = UNSET
    auto_topup_amount: YenOrZero | UnsetType = UNSET
    low_balance_yen: YenOrZero | UnsetType = UNSET
    alert_thresholds_pct: (
        Annotated[
            list[Annotated[int, Meta(ge=1, le=MAX_THRESHOLD_PCT)]],
            Meta(
                max_length=MAX_OWN_THRESHOLDS,
                description="Shares of the budget, beside 50, 80 and 100 %.",
                extra_json_schema={"uniqueItems": True},
            ),
        ]
        | UnsetType
    ) = UNSET
    notification_targets: Targets | UnsetType = UNSET
    auto_topup_daily_yen: YenOrZero | UnsetType = UNSET
    auto_topup_monthly_yen: YenOrZero | UnsetType = UNSET
    auto_topup_consent: ConsentText | UnsetType = UNSET
    auto_topup_consent_language: ConsentLanguage = "en"


class CreateWalletBody(Body, frozen=True):
    """A new wallet's settings."""

    label: Note | None = None
    monthly_budget_yen: YenOrZero = 0
    budget_mode: BudgetMode = "alert"
    auto_topup_threshold: YenOrZero = 0
    auto_topup_amount: YenOrZero = 0
    time_zone: Annotated[str, Meta(description="IANA name; the billing cycle is a month there.")] = "UTC"
    reference: Reference | None = None
    metadata: Metadata = {}


class MetadataBody(Body, frozen=True):
    """A wallet's metadata, all of them."""

    metadata: Metadata


class PriceGroupBody(Body, frozen=True):
    """Whose prices count for a wallet."""

    price_group: Annotated[str, Meta(pattern=f"^({GROUP.pattern})$", description="A group of the price book.")] | None


class CreateKeyBody(Body, frozen=True):
    """A new agent key."""

    label: Note | None = None
    monthly_cap_yen: YenOrZero = 0
    expires_at: End | None = None
    group: KeyGroup | None = None
    scopes: Annotated[list[Scope], Meta(min_length=1, max_length=3)] | None = None
    reference: Reference | None = None
    metadata: Metadata = {}


class ConfigureKeyBody(Body, frozen=True, kw_only=True):
    """Changes to an agent key; what is left out stays."""

    label: Note | UnsetType | None = UNSET
    monthly_cap_yen: YenOrZero | UnsetType = UNSET
    group: KeyGroup | UnsetType | None = UNSET
    reference: Reference | UnsetType | None = UNSET
    metadata: Metadata | UnsetType = UNSET

    def asked(self) -> dict[str, Any]:
        """What was sent of it, as the library takes it."""
        return sent(self)


class RotateBody(Body, frozen=True):
    """How long earlier tokens keep working."""

    overlap_seconds: OverlapSeconds = 3600


class ReplaceTokenBody(Body, frozen=True):
    """How long earlier owner tokens keep working; by default they end at once."""

    overlap_seconds: OverlapSeconds = 0


class RegisterSecretBody(Body, frozen=True):
    """A key that the host has issued, by its SHA-256."""

    sha256: Annotated[str, Meta(pattern="^[0-9a-fA-F]{64}$", description="SHA-256 of the key in UTF-8, hex.")]
    key_id: Id | None = None
    ends_at: End | None = None


class CreateSellerBody(Body, frozen=True):
    """A new seller."""

    label: Note | None = None
