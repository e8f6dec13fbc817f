"""What a person does next to pay, as Stripe's objects say it: a page, a bank's question, a slip, a bank account. Pure.

Facts: docs.stripe.com/api/payment_intents/object (next_action), /payments/konbini, /payments/bank-transfers.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from credit_wallet.domain.cycle import format_instant
from credit_wallet.payments.facts import StripeObject, yen_of
from credit_wallet.payments.replies import BankAccount, KonbiniStore, NextAction

_STORES = ("familymart", "lawson", "ministop", "seicomart")
_LAST_SECOND = 253_402_300_799
"""Of the year 9999, in Unix seconds."""


def at_checkout(url: object, expires_at: object, amount_yen: int) -> NextAction:
    """A page of Stripe's that is open until ``expires_at`` (Unix seconds)."""
    return NextAction("checkout", amount_yen, _link(url), _instant(expires_at))


def next_action_of(intent: StripeObject) -> NextAction | None:
    """What a PaymentIntent waits for, where that is a person."""
    action = intent.get("next_action")
    if intent.get("status") != "requires_action" or not isinstance(action, Mapping):
        return None
    details = _inside(action, str(action.get("type")))
    amount_yen = yen_of(intent, "amount").amount_yen
    match action.get("type"):
        case "konbini_display_details":
            url = _link(details.get("hosted_voucher_url"))
            return NextAction("konbini", amount_yen, url, _instant(details.get("expires_at")), _stores(details))
        case "display_bank_transfer_instructions":
            left = yen_of(details, "amount_remaining").amount_yen
            url = _link(details.get("hosted_instructions_url"))
            return NextAction("bank_transfer", left, url, bank_account=_bank_account(details))
    return NextAction("authenticate", amount_yen, _link(details.get("url")))


def _stores(details: StripeObject) -> tuple[KonbiniStore, ...]:
    """What to say at each chain of stores."""
    stores = _inside(details, "stores")
    said = ((name, _inside(stores, name)) for name in _STORES)
    return tuple(
        KonbiniStore(name, code, _text(store, "confirmation_number"))
        for name, store in said
        if (code := _text(store, "payment_code")) is not None
    )


def _bank_account(details: StripeObject) -> BankAccount | None:
    """The Japanese account that the money goes to."""
    addresses = details.get("financial_addresses")
    for address in addresses if isinstance(addresses, list) else ():
        account = _inside(address, "zengin") if isinstance(address, Mapping) else {}
        if number := _text(account, "account_number"):
            return BankAccount(
                _text(account, "bank_name"),
                _text(account, "bank_code"),
                _text(account, "branch_name"),
                _text(account, "branch_code"),
                _text(account, "account_type"),
                number,
                _text(account, "account_holder_name"),
            )
    return None


def _inside(holder: StripeObject, name: str) -> Mapping[str, Any]:
    inside = holder.get(name)
    return inside if isinstance(inside, Mapping) else {}


def _text(holder: StripeObject, name: str) -> str | None:
    text = holder.get(name)
    return text if isinstance(text, str) and text else None


def _link(url: object) -> str | None:
    """An address that may stand in a link."""
    return url if isinstance(url, str) and url.startswith(("https://", "http://")) else None


def _instant(seconds: object) -> str | None:
    if type(seconds) is not int or not 0 <= seconds <= _LAST_SECOND:
        return None
    return format_instant(datetime.fromtimestamp(seconds, UTC))
