"""Which payment methods owners are offered, for which amounts. Pure."""

from __future__ import annotations

from credit_wallet.domain.money import is_amount
from credit_wallet.errors import InvalidAmount, InvalidRequest
from credit_wallet.payments.replies import MethodOption, TopupOptions
from credit_wallet.payments.settings import PaymentSettings
from credit_wallet.payments.shapes import is_live

CARD, KONBINI, BANK_TRANSFER = "card", "konbini", "customer_balance"

DELAYED = (KONBINI, BANK_TRANSFER)
"""Methods that take a while, and are offered only by name."""

_KONBINI_YEN = (120, 300_000)
"""Of a slip (docs.stripe.com/payments/konbini)."""


def options(settings: PaymentSettings) -> TopupOptions:
    """How owners can pay. Where no methods are named, a card is what all accounts at Stripe take."""
    offered = (_option(method, settings) for method in settings.methods or (CARD,))
    return TopupOptions(
        accepts_payments=True,
        test_money=is_live(settings.secret_key) is False,
        min_yen=settings.min_yen,
        max_yen=settings.max_yen,
        methods=tuple(each for each in offered if each.min_yen <= each.max_yen),
    )


def require_offered(options: TopupOptions, amount_yen: int, method: str | None) -> None:
    """Raise ``InvalidRequest`` for a method that is not offered, ``InvalidAmount`` for an amount out of its bounds."""
    offered: TopupOptions | MethodOption = options
    if method is not None:
        found = [each for each in options.methods if each.method == method]
        if not found:
            names = ", ".join(each.method for each in options.methods)
            raise InvalidRequest(f"method must be one of {names}", field="method")
        [offered] = found
    if not is_amount(amount_yen) or not offered.min_yen <= amount_yen <= offered.max_yen:
        raise InvalidAmount(
            f"amount_yen must be a whole number from {offered.min_yen} to {offered.max_yen}, not {amount_yen!r}",
            field="amount_yen",
        )


def _option(method: str, settings: PaymentSettings) -> MethodOption:
    min_yen, max_yen = _KONBINI_YEN if method == KONBINI else (settings.min_yen, settings.max_yen)
    return MethodOption(method, max(min_yen, settings.min_yen), min(max_yen, settings.max_yen))
