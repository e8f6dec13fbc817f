"""The prompt that tells an agent what its budget is and how to stay within it."""

from __future__ import annotations

from decimal import Decimal

from credit_wallet.domain.money import format_micros, format_yen, micros_of
from credit_wallet.mcp.replies import BudgetStatus, WalletStatus

BUDGET = "credit_wallet_budget"
BUDGET_TITLE = "Your budget"
BUDGET_DESCRIPTION = "How much you may spend, what limits it, and what to do when it runs out."


def budget(status: WalletStatus) -> str:
    """The prompt for a caller with this status."""
    facts = [f"- You can spend {format_micros(status.spendable_micros)} now.", *_bounds(status)]
    return "\n".join(
        [
            f"You pay for API calls from prepaid wallet {status.wallet_id}. Every call is charged before it runs.",
            "",
            *facts,
            "",
            "Rules:",
            "- Before work that takes many calls, compare its cost with what you can spend; credit_wallet_status has "
            "the current figures.",
            "- A call that was answered with HTTP 402 was not charged and did not run. Repeating it at once does not "
            "help. When the refusal has a `retry_at`, the same call passes then; when its `max_amount` is above 0, a "
            "cheaper one passes now. Otherwise check the status, then stop or ask a person.",
            "- A call that was answered with HTTP 429 `call_limit_reached` was not charged either: wait the seconds of "
            "`Retry-After`, then send it again.",
            "- Retry a call with the same idempotency key, and it is never charged twice.",
            "- When you need more credit, call credit_wallet_topup once and pass on what it says. Only a person can "
            "pay.",
            "- Neither you nor a top-up can raise a budget. It starts anew at its `resets_at`.",
        ]
    )


def _bounds(status: WalletStatus) -> list[str]:
    lines = [
        f"- The balance is {format_micros(status.balance_micros)}, and {format_micros(status.held_micros)} more is "
        "reserved."
    ]
    if not status.enabled:
        lines.append("- The wallet is disabled: nothing can be spent until its operator enables it.")
    if status.debt_micros:
        lines.append(f"- {format_micros(status.debt_micros)} is owed; new credit repays it first.")
    soon = status.next_expiring
    if soon is not None:
        lines.append(
            f"- {format_micros(soon.remaining_micros)} of the balance expires at {soon.expires_at} unless it is spent "
            "first; what expires is spent first."
        )
    if status.monthly_budget_yen:
        effect = "charges beyond it are refused" if status.budget_mode == "cap" else "at 100 % its owner is notified"
        lines.append(
            f"- {format_micros(status.current_cycle_spent_micros)} of the budget of "
            f"{format_yen(status.monthly_budget_yen)} for {status.current_cycle} is spent; {effect}."
        )
    if status.key is not None and status.key.monthly_cap_yen:
        lines.append(
            f"- Your own key has spent {format_micros(status.key.current_cycle_spent_micros)} of its cap of "
            f"{format_yen(status.key.monthly_cap_yen)} for {status.current_cycle}; charges beyond it are refused."
        )
    return [*lines, *(_in_words(each, status) for each in status.budgets if each.budget_id.startswith("budget-"))]


def _in_words(budget: BudgetStatus, status: WalletStatus) -> str:
    limit, left = (_amount(budget, each) for each in (budget.limit, budget.left))
    span = {"total": "in all"}.get(budget.window, f"a {budget.window}")
    if budget.window.startswith("rolling:"):
        span = f"in {budget.window.removeprefix('rolling:')}"
    effect = {"cap": "; charges beyond it are refused", "alert": "", "shadow": " (nothing is refused)"}[budget.mode]
    if _is_for_others_too(budget, status):
        return f"- A limit of {limit} {span} for each of {budget.applies_to}{effect}."
    anew = f" until {budget.resets_at}" if budget.resets_at else ""
    return f"- A limit of {limit} {span} for {budget.applies_to} has {left} left{anew}{effect}."


def _is_for_others_too(budget: BudgetStatus, status: WalletStatus) -> bool:
    """Whether each value has the limit for itself, so that what is left of one says nothing of the next."""
    values = [each for each in budget.applies_to.split(", ") if each.endswith("=*")]
    return bool(values) and (status.key is None or values != ["key_id=*"])


def _amount(budget: BudgetStatus, amount: Decimal) -> str:
    return format_micros(micros_of(amount)) if budget.unit == "yen" else f"{amount:,f} calls"
