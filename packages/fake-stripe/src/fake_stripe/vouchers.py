"""Payments that take a while: a slip to pay at a konbini, or a bank account to transfer money to."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

from fake_stripe.calls import KonbiniOptions
from fake_stripe.failures import invalid

Json = dict[str, Any]

MIN_KONBINI_YEN = 120
MAX_KONBINI_YEN = 300_000
_DAYS = 3
JAPAN = timezone(timedelta(hours=9))


def _digits(count: int) -> str:
    return "".join(secrets.choice("0123456789") for _ in range(count))


@dataclass
class Voucher:
    """What a customer pays with, elsewhere and later."""

    type: Literal["konbini", "customer_balance"]
    amount_yen: int
    expires_at: int | None = None
    """Konbini only, in seconds since 1970."""
    confirmation_number: str = field(default_factory=lambda: _digits(11))
    payment_code: str = field(default_factory=lambda: _digits(6))
    account_number: str = field(default_factory=lambda: _digits(7))
    funded_yen: int = 0
    """Bank transfer only: what has arrived so far."""
    processing: bool = False
    """Paid, and not settled yet."""

    def next_action(self, url: str) -> Json:
        """What the customer must do next, as the API describes it; ``url`` is the page that explains it to a person."""
        if self.type == "konbini":
            store = {"confirmation_number": self.confirmation_number, "payment_code": self.payment_code}
            details: Json = {
                "expires_at": self.expires_at,
                "hosted_voucher_url": url,
                "stores": dict.fromkeys(("familymart", "lawson", "ministop", "seicomart"), store),
            }
            return {"type": "konbini_display_details", "konbini_display_details": details}
        details = {
            "amount_remaining": self.amount_yen - self.funded_yen,
            "currency": "jpy",
            "financial_addresses": [{"supported_networks": ["zengin"], "type": "zengin", "zengin": self.account()}],
            "hosted_instructions_url": url,
            "reference": None,
            "type": "jp_bank_transfer",
        }
        return {"type": "display_bank_transfer_instructions", "display_bank_transfer_instructions": details}

    def account(self) -> Json:
        """The bank account that a transfer goes to."""
        address = {"city": "", "country": "JP", "line1": "", "line2": None, "postal_code": "", "state": None}
        return {
            "account_holder_address": address,
            "account_holder_name": "テストマネー",
            "account_number": self.account_number,
            "account_type": "futsu",
            "bank_address": address,
            "bank_code": "0000",
            "bank_name": "テスト銀行",
            "branch_code": "000",
            "branch_name": "テスト支店",
        }


def konbini_voucher(amount_yen: int, options: KonbiniOptions, now: float) -> Voucher:
    """A slip that can be paid until the end of a day in Japan, the third from now unless the options say otherwise."""
    if not MIN_KONBINI_YEN <= amount_yen <= MAX_KONBINI_YEN:
        small = amount_yen < MIN_KONBINI_YEN
        limit = f"at least ¥{MIN_KONBINI_YEN}" if small else f"no more than ¥{MAX_KONBINI_YEN:,}"
        code = "amount_too_small" if small else "amount_too_large"
        raise invalid(f"Amount must be {limit} jpy for konbini", "amount", code)
    voucher = Voucher("konbini", amount_yen, options.expires_at or _end_of_day(now, options.expires_after_days))
    if options.confirmation_number is not None:
        voucher.confirmation_number = options.confirmation_number
    return voucher


def _end_of_day(now: float, days: int | None) -> int:
    day = datetime.fromtimestamp(now, UTC).astimezone(JAPAN) + timedelta(days=_DAYS if days is None else days)
    return int(day.replace(hour=23, minute=59, second=59).timestamp())
