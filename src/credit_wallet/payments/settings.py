"""How an installation takes payments."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from credit_wallet import config
from credit_wallet.errors import InvalidRequest

LOCAL = "http://127.0.0.1:8787"
"""Where a service listens by default."""

THANKS, PAY_IN = "/wallet/thank-you", "/wallet/pay-in"
"""Pages of the service: where people come back to who have paid, and where they pay."""


class PaymentSettings(Struct, frozen=True, kw_only=True):
    """Where Stripe is and what it may be asked for."""

    secret_key: str
    webhook_secrets: tuple[str, ...] = ()
    """Several while one takes the place of another; a delivery signed with any of them is good."""

    api_url: str | None = None
    """Another address than Stripe's own, for a fake of it."""

    methods: tuple[str, ...] = ()
    """Payment methods that owners are offered, such as card, konbini, customer_balance; empty: as set up at Stripe."""

    public_url: str = LOCAL
    """Where people reach the service, and come back to from a page of Stripe's."""

    return_url: str | None = None
    """Another page to come back to; ``topup_id`` is appended."""

    min_yen: int = config.TOPUP_MIN_YEN.default
    max_yen: int = config.TOPUP_MAX_YEN.default
    """Of a single top-up."""

    auto_daily_yen: int = config.AUTO_TOPUP_DAILY_YEN.default
    auto_monthly_yen: int = config.AUTO_TOPUP_MONTHLY_YEN.default
    """Most that automatic top-ups of a wallet may bring in a day and a month; 0 = no limit."""

    pay_back: bool = False
    """Whether unused credit may be paid back, inside the limits of the law."""

    def back_from_stripe(self, topup_id: str, *, paid: bool) -> str:
        """Where people come back to who have paid a top-up on a page of Stripe's, or who have left it."""
        page = self.return_url or f"{self.public_url}{THANKS if paid else PAY_IN}"
        return f"{page}{'&' if '?' in page else '?'}topup_id={topup_id}"


_LIMITS = (config.TOPUP_MIN_YEN, config.TOPUP_MAX_YEN, config.AUTO_TOPUP_DAILY_YEN, config.AUTO_TOPUP_MONTHLY_YEN)
_LIMITS_BEGIN = ("CREDIT_WALLET_TOPUP_", "CREDIT_WALLET_AUTO_TOPUP_")


def payment_settings(environment: Mapping[str, str] | None = None, *, address: str = LOCAL) -> PaymentSettings | None:
    """The settings that the environment has, of a service that listens at ``address``; None without a key.

    Raises ``InvalidRequest`` naming the variable.
    """
    secret_key = config.STRIPE_KEY.read(environment)
    if secret_key is None:
        return None
    _require_known_limits(environment)
    settings = PaymentSettings(
        secret_key=secret_key,
        webhook_secrets=config.STRIPE_WEBHOOK_SECRETS.read(environment),
        api_url=config.STRIPE_API_URL.read(environment),
        methods=config.PAYMENT_METHODS.read(environment),
        public_url=config.PUBLIC_URL.read(environment) or address,
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


def own_pay_in() -> str:
    """The service's page where people pay; empty when nothing says where people reach the service."""
    public_url = config.PUBLIC_URL.read()
    return "" if public_url is None else public_url + PAY_IN


def _require_known_limits(environment: Mapping[str, str] | None) -> None:
    """Raise ``InvalidRequest`` for a limit by a name that nothing reads: it would not hold, and nobody would notice."""
    for name in config.unknown(environment):
        if name.startswith(_LIMITS_BEGIN):
            known = ", ".join(limit.name for limit in _LIMITS)
            raise InvalidRequest(f"{name} is not a setting; the limits of top-ups are {known}", field=name)
