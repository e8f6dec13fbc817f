"""Settings from outside: every environment variable that the product reads, declared once.

A package asks a ``Setting`` for its value and never reads a variable directly. ``docs/reference/settings.md`` and
``credit-wallet doctor`` are drawn from the same declarations.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from credit_wallet.setting import (
    Setting,
    mail_server,
    one_of,
    origin,
    origins,
    seconds,
    share,
    switch,
    text_of,
    whole,
    words,
)

DEFAULT_DATABASE_URL = "sqlite:///var/credit_wallet.db"

PREFIX = "CREDIT_WALLET_"
OF_THE_TESTS = "CREDIT_WALLET_TEST_"
"""Variables that only the tests of this project read."""

MAX_STRIPE_YEN = 99_999_999
"""Stripe takes eight digits at most."""

MIN_NOTICE_DAYS = 40
MIN_CLOSED_DAYS, MAX_DAYS_KEPT = 40, 36_500
"""A hold may live for 31 days after the agent key that made it."""

MAX_WAIT_SECONDS = 3_600


def _yen(name: str, meaning: str, default: int, low: int = 0, high: int = 10**18) -> Setting[int, int]:
    allowed = f"{low:,} to {high:,} yen" if high < 10**18 else f"a whole number of yen, {low} or more"
    return Setting(name, meaning, allowed=allowed, parse=whole(low, high), default=default, default_text=f"{default:,}")


def _on_or_off(name: str, meaning: str) -> Setting[bool, bool]:
    return Setting(name, meaning, allowed="on or off", parse=switch, default=False, default_text="off")


DATABASE_URL = Setting(
    "CREDIT_WALLET_DATABASE_URL",
    "The database of the command line and of the alert job, unless `--db` names one. The library does not read it.",
    allowed="a URL, sqlite:///path or postgresql://user@host/name",
    parse=text_of,
    default=DEFAULT_DATABASE_URL,
    default_text=DEFAULT_DATABASE_URL,
    secret=True,
)
TOKEN = Setting(
    "CREDIT_WALLET_TOKEN",
    "The token, an owner's or an agent's, that `credit-wallet mcp` acts with.",
    allowed="a token",
    parse=text_of,
    default="",
    default_text="none",
    secret=True,
)
SERVICE_URL = Setting(
    "CREDIT_WALLET_URL",
    "The running service that `credit-wallet mcp` talks to, unless `--url` names one.",
    allowed="a URL",
    parse=text_of,
    default=None,
    default_text="none: the database is used",
)
OPERATOR_KEY = Setting(
    "CREDIT_WALLET_OPERATOR_KEY",
    "The key that may do everything. Logs call it `operator`.",
    allowed="32 to 512 random printable ASCII characters",
    parse=text_of,
    default=None,
    default_text="made and printed for each run, if the next is not set either",
    secret=True,
    empty_counts=True,
)
OPERATOR_KEYS = Setting(
    "CREDIT_WALLET_OPERATOR_KEYS",
    "Up to ten operator keys. The name tells in the log which operator did what.",
    allowed="name:key,name:key with names of up to 32 lower-case letters, digits, - and _",
    parse=text_of,
    default=None,
    default_text="none",
    secret=True,
    empty_counts=True,
)
METRICS_TOKEN = Setting(
    "CREDIT_WALLET_METRICS_TOKEN",
    "A token that may read the money figures at `/metrics`, and nothing else.",
    allowed="32 to 512 random printable ASCII characters",
    parse=text_of,
    default=None,
    default_text="none: operator keys only",
    secret=True,
    empty_counts=True,
)
TRUSTED_PROXIES = Setting(
    "CREDIT_WALLET_TRUSTED_PROXIES",
    "Proxies whose `X-Forwarded-For` is believed: the caller is the last address in it that is not one of theirs.",
    allowed="addresses or networks such as 127.0.0.1,10.0.0.0/8",
    parse=text_of,
    default=None,
    default_text="none: the header is ignored",
)
PUBLIC_URL = Setting(
    "CREDIT_WALLET_PUBLIC_URL",
    "The address under which people reach the service: where links lead, and where people return after a payment.",
    allowed="an http:// or https:// URL without a path",
    parse=origin,
    default=None,
    default_text="the address that the service listens on",
)
FRAME_ORIGINS = Setting(
    "CREDIT_WALLET_FRAME_ORIGINS",
    "Origins whose pages may show a customer's wallet in a frame.",
    allowed="origins such as https://app.example.com,https://admin.example.com",
    parse=origins,
    default=(),
    default_text="none",
)
STRIPE_KEY = Setting(
    "CREDIT_WALLET_STRIPE_KEY",
    "Stripe's secret key, or a restricted one. Nothing else about payments counts without it.",
    allowed="sk_live_…, sk_test_…, rk_live_… or rk_test_…",
    parse=text_of,
    default=None,
    default_text="none: no payments",
    secret=True,
)
STRIPE_WEBHOOK_SECRETS = Setting(
    "CREDIT_WALLET_STRIPE_WEBHOOK_SECRETS",
    "Signing secrets of the webhook endpoint. Several while one replaces another.",
    allowed="whsec_…,whsec_…",
    parse=words,
    default=(),
    default_text="none: webhooks are refused",
    secret=True,
)
PAYMENT_METHODS = Setting(
    "CREDIT_WALLET_PAYMENT_METHODS",
    "Payment methods that owners are offered.",
    allowed="names such as card,konbini,customer_balance",
    parse=words,
    default=(),
    default_text="those set up at Stripe that can be saved",
)
RETURN_URL = Setting(
    "CREDIT_WALLET_RETURN_URL",
    "A page of yours where people return from Stripe's, paid or not; `topup_id=…` is appended.",
    allowed="a URL",
    parse=text_of,
    default=None,
    default_text="the service's own: `/wallet/thank-you`, or `/wallet/pay-in` for who leaves without paying",
)
TOPUP_MIN_YEN = _yen("CREDIT_WALLET_TOPUP_MIN_YEN", "The smallest top-up.", 50, 1, MAX_STRIPE_YEN)
TOPUP_MAX_YEN = _yen(
    "CREDIT_WALLET_TOPUP_MAX_YEN", "The largest top-up, not below the smallest.", 500_000, 1, MAX_STRIPE_YEN
)
AUTO_TOPUP_DAILY_YEN = _yen(
    "CREDIT_WALLET_AUTO_TOPUP_DAILY_YEN",
    "The most that automatic top-ups bring a wallet a day (UTC); 0 = no limit.",
    500_000,
)
AUTO_TOPUP_MONTHLY_YEN = _yen(
    "CREDIT_WALLET_AUTO_TOPUP_MONTHLY_YEN", "The same for a month (UTC); 0 = no limit.", 3_000_000
)
PAY_BACK = _on_or_off(
    "CREDIT_WALLET_PAY_BACK", "`on` lets operators pay unused credit back, within the limits of the law."
)
STRIPE_API_URL = Setting(
    "CREDIT_WALLET_STRIPE_API_URL",
    "Another address than Stripe's own, for a fake of it.",
    allowed="a URL",
    parse=text_of,
    default=None,
    default_text="Stripe's",
)
MAIL_URL = Setting(
    "CREDIT_WALLET_MAIL_URL",
    "The mail server that sends notices.",
    allowed="mailto:// or mailtos://user:password@host?from=address",
    parse=mail_server,
    default=None,
    default_text="none: `mailto:` targets are refused",
    secret=True,
)
NOTICES_KEPT_DAYS = Setting(
    "CREDIT_WALLET_NOTICES_KEPT_DAYS",
    "For how long finished events and deliveries are kept. Read by the worker.",
    allowed=f"{MIN_NOTICE_DAYS} to {MAX_DAYS_KEPT:,} days",
    parse=whole(MIN_NOTICE_DAYS, MAX_DAYS_KEPT),
    default=90,
    default_text="90",
)
IDEMPOTENCY_KEPT_DAYS = Setting(
    "CREDIT_WALLET_IDEMPOTENCY_KEPT_DAYS",
    "For how long idempotency keys are kept, and purchases that were served or undone. A retry after that moves money "
    "again. Read by the worker.",
    allowed=f"1 to {MAX_DAYS_KEPT:,} days",
    parse=whole(1, MAX_DAYS_KEPT),
    default=2,
    default_text="2",
)
CLOSED_KEPT_DAYS = Setting(
    "CREDIT_WALLET_CLOSED_KEPT_DAYS",
    "For how long what is over and moved no money is kept: released holds, failed top-ups, ended keys that never paid. "
    "Read by the worker.",
    allowed=f"{MIN_CLOSED_DAYS} to {MAX_DAYS_KEPT:,} days",
    parse=whole(MIN_CLOSED_DAYS, MAX_DAYS_KEPT),
    default=90,
    default_text="90",
)
NOTIFY_PRIVATE = _on_or_off(
    "CREDIT_WALLET_NOTIFY_PRIVATE",
    "`on` allows targets in a private network and over plain `http://`, and lets owners use any service. "
    "For trials, and where every owner is trusted.",
)
POSTGRES_ATTEMPT_SECONDS = Setting(
    "CREDIT_WALLET_POSTGRES_ATTEMPT_SECONDS",
    "How long one attempt at a batch may take, commit on the standbys included, before its connection counts as lost. "
    "Set it above the time that your engine needs to drop a dead standby.",
    allowed=f"1 to {MAX_WAIT_SECONDS:,} seconds",
    parse=seconds(1, MAX_WAIT_SECONDS),
    default=None,
    default_text="12",
)
POSTGRES_PATIENCE_SECONDS = Setting(
    "CREDIT_WALLET_POSTGRES_PATIENCE_SECONDS",
    "How long a lost database may stay away before callers get `database_unavailable`; 0 tells them at once. "
    "Reads wait 15 seconds at most. Set it above the time of a failover: with Patroni, its "
    "`ttl`, `loop_wait` and a few seconds.",
    allowed=f"0 to {MAX_WAIT_SECONDS:,} seconds",
    parse=seconds(0, MAX_WAIT_SECONDS),
    default=None,
    default_text="30",
)
LOG_FORMAT = Setting(
    "CREDIT_WALLET_LOG_FORMAT",
    "The form of the log, one line an entry: JSON for programs, `key=value` for people.",
    allowed="json or text",
    parse=one_of("json", "text"),
    default=None,
    default_text="json of `serve` and `worker`, text of other commands and in a terminal",
)
LOG_LEVEL = Setting(
    "CREDIT_WALLET_LOG_LEVEL",
    "The least that is logged. Refused requests are `info`, what needs attention is `warning`.",
    allowed="debug, info, warning or error",
    parse=one_of("debug", "info", "warning", "error"),
    default="info",
    default_text="info",
)
ACCESS_LOG = Setting(
    "CREDIT_WALLET_ACCESS_LOG",
    "The share of the answered requests that the log has a line for: 0 none, 1 each. Refusals have theirs anyway.",
    allowed="a number from 0 to 1, such as 0.01",
    parse=share,
    default=0.0,
    default_text="0",
)
TRACES_ENDPOINT = Setting(
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "Where `serve` sends OpenTelemetry traces. OpenTelemetry's own variable.",
    allowed="a URL",
    parse=text_of,
    default=None,
    default_text="the next one",
)
OTLP_ENDPOINT = Setting(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "The same, for all signals. Other `OTEL_EXPORTER_OTLP_…` variables count too.",
    allowed="a URL",
    parse=text_of,
    default=None,
    default_text="none: nothing is traced",
)
SERVICE_NAME = Setting(
    "OTEL_SERVICE_NAME",
    "What the service is called in traces.",
    allowed="a name",
    parse=text_of,
    default="agent-credit-wallet",
    default_text="agent-credit-wallet",
)

SETTINGS: Mapping[str, tuple[Setting[Any, Any], ...]] = {
    "Command line": (DATABASE_URL, TOKEN, SERVICE_URL),
    "Logs": (LOG_FORMAT, LOG_LEVEL, ACCESS_LOG),
    "Operator keys": (OPERATOR_KEY, OPERATOR_KEYS, METRICS_TOKEN),
    "The service": (PUBLIC_URL, FRAME_ORIGINS, TRUSTED_PROXIES, TRACES_ENDPOINT, OTLP_ENDPOINT, SERVICE_NAME),
    "Payments": (
        STRIPE_KEY,
        STRIPE_WEBHOOK_SECRETS,
        PAYMENT_METHODS,
        RETURN_URL,
        TOPUP_MIN_YEN,
        TOPUP_MAX_YEN,
        AUTO_TOPUP_DAILY_YEN,
        AUTO_TOPUP_MONTHLY_YEN,
        PAY_BACK,
        STRIPE_API_URL,
    ),
    "Notices": (MAIL_URL, NOTICES_KEPT_DAYS, NOTIFY_PRIVATE),
    "Retention": (IDEMPOTENCY_KEPT_DAYS, CLOSED_KEPT_DAYS),
    "PostgreSQL": (POSTGRES_ATTEMPT_SECONDS, POSTGRES_PATIENCE_SECONDS),
}
"""Every variable, by the section of ``docs/reference/settings.md`` that explains it."""


def given(environment: Mapping[str, str] | None = None) -> list[str]:
    """The variables of the wallet that are set, by name."""
    names = os.environ if environment is None else environment
    return sorted(each.name for group in SETTINGS.values() for each in group if names.get(each.name))


def unknown(names: Iterable[str] | None = None) -> list[str]:
    """Variables that begin like the wallet's and that nothing reads: typing errors, or of another release."""
    known = {each.name for group in SETTINGS.values() for each in group}
    return sorted(
        name
        for name in (os.environ if names is None else names)
        if name.startswith(PREFIX) and not name.startswith(OF_THE_TESTS) and name not in known
    )
