"""How an installation takes payments."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from credit_wallet import config
from credit_wallet.errors import InvalidRequest


class PaymentSettings(Struct, frozen=True, kw_only=True):
    """Where Stripe is and what it may be asked for."""

    secret_key: str
    webhook_secrets: tuple[str, ...] = ()
    """Several while one takes the place of another; a delivery signed with any of them is good."""

    api_url: str | None = None
    """Another address than Stripe's own, for a fake of it."""

    methods: tuple[str, ...] = ()
    """Payment methods that owners are offered, such as card, konbini, customer_balance; empty: as set up at Stripe."""

    return_url: str = config.RETURN_URL.default
    """Where people come back to from a page of Stripe's; ``topup_id`` is appended."""

    min_yen: int = config.TOPUP_MIN_YEN.default
    max_yen: int = config.TOPUP_MAX_YEN.default
    """Of a single top-up."""

    auto_daily_yen: int = config.AUTO_TOPUP_DAILY_YEN.default
    auto_monthly_yen: int = config.AUTO_TOPUP_MONTHLY_YEN.default
    """Most that automatic top-ups of a wallet may bring in a day and a month; 0 = no limit."""

    pay_back: bool = False
    """Whether unused credit may be paid back, inside the limits of the law."""


_LIMITS = (config.TOPUP_MIN_YEN, config.TOPUP_MAX_YEN, config.AUTO_TOPUP_DAILY_YEN, config.AUTO_TOPUP_MONTHLY_YEN)
_LIMITS_BEGIN = ("CREDIT_WALLET_TOPUP_", "CREDIT_WALLET_AUTO_TOPUP_")


def payment_settings(environment: Mapping[str, str] | None = None) -> PaymentSettings | None:
    """The settings that the environment has; None without a key. Raises ``InvalidRequest`` naming the variable."""
    secret_key = config.STRIPE_KEY.read(environment)
    if secret_key is None:
        return None
    _require_known_limits(environment)
    settings = PaymentSettings(
        secret_key=secret_key,
        webhook_secrets=config.STRIPE_WEBHOOK_SECRETS.read(environment),
        api_url=config.STRIPE_API_URL.read(environment),
        methods=config.PAYMENT_METHODS.read(environment),
        return_url=config.RETURN_URL.read(environment),
        min_yen=config.TOPUP_MIN_YEN.read(environment),
        max_yen=config.TOPUP_MAX_YEN.read(environment),
        auto_daily_yen=config.AUTO_TOPUP_DAILY_YEN.read(environment),
        auto_monthly_yen=config.AUTO_TOPUP_MONTHLY_YEN.read(environment),
        pay_back=config.PAY_BACK.read(environment),
    )
    if settings.min_yen > settings.max_yen:
        raise InvalidRequest(
            f"{config.TOPUP_MIN_YEN.name} must not be above {config.TOPUP_MAX_YEN.name}, "
            f"and {settings.min_yen:,} is above {settings.max_yen:,}",
            field=config.TOPUP_MAX_YEN.name,
        )
    return settings


def _require_known_limits(environment: Mapping[str, str] | None) -> None:
    """Raise ``InvalidRequest`` for a limit by a name that nothing reads: it would not hold, and nobody would notice."""
    for name in config.unknown(environment):
        if name.startswith(_LIMITS_BEGIN):
            known = ", ".join(limit.name for limit in _LIMITS)
            raise InvalidRequest(f"{name} is not a setting; the limits of top-ups are {known}", field=name)
