"""How an installation takes payments."""

from __future__ import annotations

import os
from collections.abc import Mapping

from msgspec import Struct

from credit_wallet.domain.whole_numbers import whole_number
from credit_wallet.errors import InvalidRequest

STRIPE_KEY_VARIABLE = "CREDIT_WALLET_STRIPE_KEY"
WEBHOOK_SECRETS_VARIABLE = "CREDIT_WALLET_STRIPE_WEBHOOK_SECRETS"
API_URL_VARIABLE = "CREDIT_WALLET_STRIPE_API_URL"
METHODS_VARIABLE = "CREDIT_WALLET_PAYMENT_METHODS"
RETURN_URL_VARIABLE = "CREDIT_WALLET_RETURN_URL"
MIN_VARIABLE = "CREDIT_WALLET_TOPUP_MIN_YEN"
MAX_VARIABLE = "CREDIT_WALLET_TOPUP_MAX_YEN"
DAILY_VARIABLE = "CREDIT_WALLET_AUTO_TOPUP_DAILY_YEN"
PAY_BACK_VARIABLE = "CREDIT_WALLET_PAY_BACK"
MONTHLY_VARIABLE = "CREDIT_WALLET_AUTO_TOPUP_MONTHLY_YEN"

MAX_STRIPE_YEN = 99_999_999
"""Stripe takes eight digits at most."""


class PaymentSettings(Struct, frozen=True, kw_only=True):
    """Where Stripe is and what it may be asked for."""

    secret_key: str
    webhook_secrets: tuple[str, ...] = ()
    """Several while one takes the place of another; a delivery signed with any of them is good."""

    api_url: str | None = None
    """Another address than Stripe's own, for a fake of it."""

    methods: tuple[str, ...] = ()
    """Payment methods that owners are offered, such as card, konbini, customer_balance; empty: as set up at Stripe."""

    return_url: str = "https://example.com/"
    """Where people come back to from a page of Stripe's; ``topup_id`` is appended."""

    min_yen: int = 50
    max_yen: int = 500_000
    """Of a single top-up."""

    auto_daily_yen: int = 500_000
    auto_monthly_yen: int = 3_000_000
    """Most that automatic top-ups of a wallet may bring in a day and a month; 0 = no limit."""

    pay_back: bool = False
    """Whether unused credit may be paid back, inside the limits of the law."""


def payment_settings(environment: Mapping[str, str] = os.environ) -> PaymentSettings | None:
    """The settings that the environment has; None without a key. Raises ``InvalidRequest`` naming the variable."""
    secret_key = environment.get(STRIPE_KEY_VARIABLE)
    if not secret_key:
        return None
    usual = PaymentSettings(secret_key=secret_key)
    settings = PaymentSettings(
        secret_key=secret_key,
        webhook_secrets=_list(environment, WEBHOOK_SECRETS_VARIABLE),
        api_url=environment.get(API_URL_VARIABLE),
        methods=_list(environment, METHODS_VARIABLE),
        return_url=environment.get(RETURN_URL_VARIABLE, usual.return_url),
        min_yen=_yen(environment, MIN_VARIABLE, usual.min_yen),
        max_yen=_yen(environment, MAX_VARIABLE, usual.max_yen),
        auto_daily_yen=_yen(environment, DAILY_VARIABLE, usual.auto_daily_yen),
        auto_monthly_yen=_yen(environment, MONTHLY_VARIABLE, usual.auto_monthly_yen),
        pay_back=environment.get(PAY_BACK_VARIABLE) == "on",
    )
    if environment.get(PAY_BACK_VARIABLE, "off") not in ("on", "off"):
        raise InvalidRequest(f"{PAY_BACK_VARIABLE} must be on or off", field=PAY_BACK_VARIABLE)
    if not 0 < settings.min_yen <= settings.max_yen <= MAX_STRIPE_YEN:
        raise InvalidRequest(
            f"{MIN_VARIABLE} and {MAX_VARIABLE} must be 1 to {MAX_STRIPE_YEN}, the first not above the second",
            field=MAX_VARIABLE,
        )
    return settings


def _list(environment: Mapping[str, str], name: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in environment.get(name, "").split(",") if part.strip())


def _yen(environment: Mapping[str, str], name: str, usual: int) -> int:
    text = environment.get(name, "")
    if not text:
        return usual
    try:
        yen = whole_number(text)
    except ValueError:
        yen = -1
    if yen < 0:
        raise InvalidRequest(f"{name} must be a whole number of yen, 0 or more, not {text!r}", field=name)
    return yen
