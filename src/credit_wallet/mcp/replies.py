"""Arguments and results of the tools. Their descriptions go into the schemas, which is where a model reads them."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from credit_wallet.domain.budget_views import BudgetView
from credit_wallet.domain.budgets import Mode, Unit
from credit_wallet.domain.commands import MAX_IDEMPOTENCY_KEY_LENGTH
from credit_wallet.domain.documents import ExactOfYen
from credit_wallet.domain.money import MICROS, Exact, WholeYen, WholeYenUp
from credit_wallet.domain.outcomes import BudgetMode, EntryType
from credit_wallet.domain.shares import spent_pct, warn_pct
from credit_wallet.domain.views import AutoTopupState, KeyView, LotView
from credit_wallet.wire.bodies import Body, Id, Note, SentKey, Yen
from credit_wallet.wire.names import Reference, RequestId
from credit_wallet.wire.presenters import CURSOR_PATTERN, MAX_PAGE
from credit_wallet.wire.replies import WalletReply

MAX_LOTS = 20
"""How many lots a model is shown."""

Micros: TypeAlias = Annotated[int, Meta(description="Yen.")]


class NoArguments(Body, frozen=True):
    """No arguments."""


class TransactionsArguments(Body, frozen=True):
    """Which ledger entries to list."""

    limit: Annotated[int, Meta(ge=1, le=MAX_PAGE, description="The maximum number of entries to return.")] = 20
    cursor: Annotated[str, Meta(pattern=CURSOR_PATTERN, description="`next_cursor` of the previous page.")] | None = (
        None
    )
    type: Annotated[EntryType | None, Meta(description="Only entries of this type.")] = None
    key_id: Annotated[Id | None, Meta(description="Only what this agent key paid, and its refunds.")] = None
    note: Annotated[Note | None, Meta(description="Only entries with exactly this note, which names the call.")] = None
    request_id: Annotated[RequestId | None, Meta(description="Only entries of the request with this id.")] = None
    reference: Annotated[Reference | None, Meta(description="Only entries with this reference.")] = None
    idempotency_key: Annotated[SentKey | None, Meta(description="Only entries with this idempotency key.")] = None


class TopupArguments(Body, frozen=True):
    """How much credit a person should add."""

    amount_yen: Yen
    idempotency_key: (
        Annotated[
            str,
            Meta(
                min_length=1,
                max_length=MAX_IDEMPOTENCY_KEY_LENGTH,
                pattern="^[ -~]+$",
                description="Pass the same key again to look at a top-up you requested before instead of requesting "
                "another one.",
            ),
        ]
        | None
    ) = None


class BudgetStatus(Struct, frozen=True):
    """A limit on spending, or on calls. Its amounts are decimal strings, of its unit."""

    budget_id: str
    label: str | None
    unit: Unit
    applies_to: Annotated[
        str,
        Meta(
            description="Which charges it counts, such as `tool=search`; with `*` each value has the limit for itself, "
            "and the figures are of the one with the least left."
        ),
    ]
    window: Annotated[str, Meta(description="How long it counts: `minute` to `month`, `total`, or `rolling:24h`.")]
    mode: Annotated[
        Mode, Meta(description="`cap` refuses what exceeds it, `alert` only notifies, `shadow` does neither.")
    ]
    limit: Decimal
    spent: Decimal
    left: Annotated[Decimal, Meta(description="What is left after spending and reserved amounts.")]
    resets_at: Annotated[str | None, Meta(description="When it starts anew; null when it never does.")]

    @classmethod
    def of(cls, budget: BudgetView) -> BudgetStatus:
        """What an agent needs to know of a budget."""
        return cls(
            budget.budget_id,
            budget.label,
            budget.unit,
            ", ".join(f"{name}={value}" for name, value in budget.scope.items()) or "everything",
            budget.window,
            budget.mode,
            budget.limit if budget.raised_limit is None else budget.raised_limit,
            budget.spent,
            budget.left,
            budget.resets_at,
        )


class WalletStatus(Struct, frozen=True):
    """How much can be spent, and what limits it.

    An amount is there in whole yen, rounded down, and without `_yen` in its name exactly, as a decimal string.
    """

    wallet_id: int
    label: str | None
    spendable_micros: Annotated[int, Meta(description="The largest charge that would be accepted now.")]
    enabled: Annotated[bool, Meta(description="False: the operator disabled the wallet, and nothing can be spent.")]
    balance_micros: Micros
    held_micros: Annotated[int, Meta(description="Reserved for calls that are running; not part of the balance.")]
    debt_micros: Annotated[int, Meta(description="Owed for a payment that was reversed; new credit repays it first.")]
    monthly_budget_yen: Annotated[
        int, Meta(description="The owner's budget for a month; 0 means that there is no budget.")
    ]
    budget_mode: Annotated[
        BudgetMode, Meta(description="At 100 % of the budget: `alert` notifies the owner, `cap` refuses charges.")
    ]
    current_cycle: Annotated[str, Meta(description="The month of the budget and the caps, YYYY-MM in `time_zone`.")]
    time_zone: str
    current_cycle_spent_micros: Micros
    warn_pct: Annotated[int, Meta(description="80 or 100 once that percentage of the budget is spent, otherwise 0.")]
    key: Annotated[KeyView | None, Meta(description="Your agent key with its cap; null if you use the owner's token.")]
    auto_topup: Annotated[AutoTopupState, Meta(description="Whether a saved card tops up the wallet automatically.")]
    topup_url: Annotated[str, Meta(description="The web page where people pay; empty if the operator named none.")]
    lots: Annotated[
        list[LotView],
        Meta(
            description=f"The first {MAX_LOTS} lots of credit that make up the balance, in the order in which they are "
            "spent: paid or promotional, what is left, and when it expires (null: never)."
        ),
    ]
    next_expiring: Annotated[
        LotView | None,
        Meta(description="The lot that expires soonest, with `days_left` in whole days; null if no credit expires."),
    ]
    budgets: Annotated[
        list[BudgetStatus],
        Meta(
            description="What limits your charges, up to 20 budgets. A refusal names the one that said no, what would "
            "pass now (`max_amount`) and when the same charge would (`retry_at`)."
        ),
    ]

    spendable_yen, spendable = WholeYen(), Exact()
    balance_yen, balance = WholeYen(), Exact()
    held_yen, held = WholeYen(), Exact()
    debt_yen, debt = WholeYenUp(), Exact()
    current_cycle_spent_yen, current_cycle_spent = WholeYen(), Exact()

    @classmethod
    def of(cls, wallet: WalletReply) -> WalletStatus:
        """The status of a wallet."""
        budget_micros = wallet.monthly_budget_yen * MICROS
        shown = {name: getattr(wallet, name) for name in cls.__struct_fields__ if name not in ("warn_pct", "budgets")}
        warning = warn_pct(spent_pct(wallet.current_cycle_spent_micros, budget_micros)) if budget_micros else 0
        budgets = [BudgetStatus.of(each) for each in wallet.budgets]
        return cls(**{**shown, "lots": wallet.lots[:MAX_LOTS]}, warn_pct=warning, budgets=budgets)


class TopupGuide(Struct, frozen=True):
    """What a person must do to add credit to the wallet. Requesting it pays nothing."""

    wallet_id: int
    amount_yen: Annotated[int, Meta(description="How much to pay, in whole yen.")]
    missing_yen: Annotated[int, Meta(description="How much of it is still missing; 0 once it is in the wallet.")]
    balance_micros: Micros
    status: Annotated[
        str,
        Meta(
            description="`ask_the_owner`: only the owner can pay. `payments_not_configured`: this installation takes "
            "no payments. Otherwise the status of the top-up: `requested`, `pending`, `requires_action`, `succeeded`, "
            "`credited`, `failed` or `canceled`."
        ),
    ]
    what_to_do: Annotated[str, Meta(description="What to tell a person, in one or two sentences.")]
    topup_url: Annotated[str, Meta(description="The web page where the owner pays; empty if the operator named none.")]
    topup_id: Annotated[str | None, Meta(description="The top-up that was requested; null if none was.")] = None
    checkout_url: Annotated[
        str | None, Meta(description="The web page on which to pay exactly this amount; null if there is none.")
    ] = None

    amount, missing = ExactOfYen(), ExactOfYen()
    balance_yen, balance = WholeYen(), Exact()
