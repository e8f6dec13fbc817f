"""The prompt that tells an agent what its budget is and how to stay within it."""

from __future__ import annotations

from credit_wallet.domain.money import format_micros, format_yen
from credit_wallet.mcp.replies import WalletStatus

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
            "- A call that was answered with HTTP 402 was not charged and did not run. Repeating it does not help: "
            "check the status, then stop or ask a person.",
            "- Retry a call with the same idempotency key, and it is never charged twice.",
            "- When you need more credit, call credit_wallet_topup once and pass on what it says. Only a person can "
            "pay.",
            "- Budgets and caps reset every month. Neither you nor a top-up can raise them.",
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
    return lines
