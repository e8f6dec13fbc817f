"""What a person can do about a top-up that has not been credited."""

from __future__ import annotations

from msgspec import structs

from credit_wallet.domain.topups import MISMATCH
from credit_wallet.domain.views import TopupCase, TopupView
from credit_wallet.rules.declines import decline_kind

_ANOTHER_CARD = "ask the owner to save another card, or to pay a new top-up; this card will not work again"
_OWNER_MUST_CONFIRM = "the bank asks for the owner: ask the owner to pay a new top-up and to confirm it"


def case_of(topup: TopupView) -> TopupCase:
    """The top-up with what to do next."""
    return TopupCase(**structs.asdict(topup), next_step=next_step(topup))


def next_step(topup: TopupView) -> str | None:
    """What to do next, in words; None when there is nothing to do."""
    if topup.reason is not None and topup.reason.startswith(MISMATCH):
        return "compare the payment with Stripe's: what it reports is not in yen, and nothing of it was credited"
    match topup.status:
        case "failed":
            return _after_failure(topup)
        case "requires_action" if topup.action_url is not None:
            return f"send the owner to {topup.action_url}"
        case "requires_action" | "pending" | "requested":
            return "wait for the owner to pay, or cancel it; it is compared with Stripe every five minutes"
        case "succeeded" if topup.reason is not None:
            return f"it is paid and cannot be credited ({topup.reason}): see to that, or refund it at Stripe"
        case "succeeded":
            return "wait a moment: it is paid, and is credited when it is next compared with Stripe"
    return None


def _after_failure(topup: TopupView) -> str:
    if topup.reason == "no_payment_method":
        return "ask the owner to save a card: there is none that could be charged"
    kind = decline_kind(topup.reason)
    if kind == "never":
        return _ANOTHER_CARD
    if kind == "person":
        return _OWNER_MUST_CONFIRM
    if topup.origin == "auto":
        return "wait: it is tried again, three times in all; the wallet's auto_topup says when, or that it has stopped"
    return "ask the owner to try again, or to use another card"
