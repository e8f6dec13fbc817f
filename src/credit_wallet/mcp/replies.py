"""What the tools take and answer. Descriptions go into their schemas, which is where a model reads them."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from credit_wallet.domain.budget import spent_pct, warn_pct
from credit_wallet.domain.commands import MAX_IDEMPOTENCY_KEY_LENGTH
from credit_wallet.domain.outcomes import AutoTopupState, BudgetMode, EntryType, KeyView, LotView
from credit_wallet.wire.bodies import Body, Id, Note, WalletReply, Yen
from credit_wallet.wire.presenters import CURSOR_PATTERN, MAX_PAGE

MAX_LOTS = 20
"""That a model is shown."""

YenNow: TypeAlias = Annotated[int, Meta(description="Whole yen.")]


class NoArguments(Body, frozen=True):
    """Takes nothing."""


class TransactionsArguments(Body, frozen=True):
    """Which ledger entries to list."""

    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE, description="At most so many entries.")] = 20
    cursor: Annotated[str, Meta(pattern=CURSOR_PATTERN, description="`next_cursor` of the page before.")] | None = None
    type: Annotated[EntryType | None, Meta(description="Only entries of this type.")] = None
    key_id: Annotated[Id | None, Meta(description="Only what this agent key paid, and refunds of it.")] = None
    note: Annotated[Note | None, Meta(description="Only what has this note, which says what was called.")] = None


class TopupArguments(Body, frozen=True):
    """What a person is to pay in."""

    amount_yen: Yen
    idempotency_key: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=MAX_IDEMPOTENCY_KEY_LENGTH,
                pattern="^[ -~]+$",
                description="Give the same one again to look at a top-up that was asked for, instead of a second one.",
            ),
        ]
        | None
    ) = None


class WalletStatus(Struct, frozen=True):
    """What can be spent, and what bounds it. Amounts are whole yen."""

    wallet_id: int
    label: str | None
    spendable_yen: Annotated[int, Meta(description="The largest charge that would be let through now.")]
    enabled: Annotated[bool, Meta(description="False: switched off by the operator, nothing can be spent.")]
    balance_yen: YenNow
    held_yen: Annotated[int, Meta(description="Set aside for calls that are under way; no part of the balance.")]
    debt_yen: Annotated[int, Meta(description="Owed from a payment that was taken back; credit repays it first.")]
    monthly_budget_yen: Annotated[int, Meta(description="0 is no budget.")]
    budget_mode: Annotated[BudgetMode, Meta(description="At 100 % of the budget: only tell (alert), or stop (cap).")]
    current_cycle: Annotated[str, Meta(description="The month that budget and caps are for, YYYY-MM in `time_zone`.")]
    time_zone: str
    current_cycle_spent_yen: YenNow
    warn_pct: Annotated[int, Meta(description="80 or 100 when that share of the budget is spent, else 0.")]
    key: Annotated[KeyView | None, Meta(description="The agent key that asks, with its cap; null for the owner.")]
    auto_topup: Annotated[AutoTopupState, Meta(description="Whether a saved card fills the wallet up by itself.")]
    topup_url: Annotated[str, Meta(description="Where people pay, for a browser; empty when that is not known.")]
    lots: Annotated[
        list[LotView],
        Meta(
            description=f"What the balance is made of, in the order of spending, the first {MAX_LOTS}: paid or "
            "promotional credit, what is left of it, and when that expires (null: never)."
        ),
    ]

    @classmethod
    def of(cls, wallet: WalletReply) -> WalletStatus:
        """The status of a wallet as it shows itself."""
        budget_yen = wallet.monthly_budget_yen
        shown = {name: getattr(wallet, name) for name in cls.__struct_fields__ if name != "warn_pct"}
        warning = warn_pct(spent_pct(wallet.current_cycle_spent_yen, budget_yen)) if budget_yen else 0
        return cls(**{**shown, "lots": wallet.lots[:MAX_LOTS]}, warn_pct=warning)


class TopupGuide(Struct, frozen=True):
    """What a person must do so that the wallet gets credit. Nothing has been paid by asking for it."""

    wallet_id: int
    amount_yen: Annotated[int, Meta(description="Whole yen to pay in.")]
    missing_yen: Annotated[int, Meta(description="What of it is still to be paid; 0 once it is in the wallet.")]
    balance_yen: YenNow
    status: Annotated[
        str,
        Meta(
            description="`ask_the_owner`: only the owner can pay. `payments_not_configured`: nobody can pay here. "
            "Else how the top-up stands: requested, pending, requires_action, succeeded, credited, failed, canceled."
        ),
    ]
    what_to_do: Annotated[str, Meta(description="What to tell a person, in a sentence or two.")]
    topup_url: Annotated[str, Meta(description="Where the owner pays in general; empty when that is not known.")]
    topup_id: Annotated[str | None, Meta(description="The top-up that was asked for.")] = None
    checkout_url: Annotated[str | None, Meta(description="The page to pay exactly this on, for a browser.")] = None
