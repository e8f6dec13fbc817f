"""Settings from outside: every environment variable that the product reads, declared once, and database URLs.

A package asks a ``Setting`` for its value and never reads a variable directly. ``docs/reference/settings.md`` and
``credit-wallet doctor`` are drawn from the same declarations.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import unquote, urlsplit

from credit_wallet.errors import InvalidRequest

T_co = TypeVar("T_co", covariant=True)
D_co = TypeVar("D_co", covariant=True)

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

_WHOLE_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")


class Setting(Generic[T_co, D_co]):
    """An environment variable: what it means, what it may be, and what holds without it.

    ``parse`` makes a value of its text, or raises ``ValueError``. An empty variable is like none, unless
    ``empty_counts``.
    """

    def __init__(
        self,
        name: str,
        meaning: str,
        *,
        allowed: str,
        parse: Callable[[str], T_co],
        default: D_co,
        default_text: str,
        secret: bool = False,
        empty_counts: bool = False,
    ) -> None:
        self.name = name
        self.meaning = meaning
        self.allowed = allowed
        self.default = default
        self.default_text = default_text
        self.secret = secret
        self._parse = parse
        self._empty_counts = empty_counts

    def read(self, environment: Mapping[str, str] | None = None) -> T_co | D_co:
        """Its value. Raises ``InvalidRequest`` with the variable, its text if not secret, and what is allowed."""
        text = (os.environ if environment is None else environment).get(self.name)
        if text is None or not (text or self._empty_counts):
            return self.default
        try:
            return self._parse(text)
        except ValueError:
            raise self.refused(text) from None

    def row(self) -> str:
        """Its row in the tables of ``docs/reference/settings.md``."""
        return f"| `{self.name}` | {self.meaning} | {self.allowed} | {self.default_text} |"

    def refused(self, text: str) -> InvalidRequest:
        """The refusal of ``text``."""
        shown = "" if self.secret else f", not {text!r}"
        return InvalidRequest(f"{self.name} must be {self.allowed}{shown}", field=self.name)


def _text(text: str) -> str:
    return text


def _switch(text: str) -> bool:
    if text not in ("on", "off"):
        raise ValueError
    return text == "on"


def _one_of(*allowed: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in allowed:
            raise ValueError
        return text

    return parse


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise ValueError
    return share


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not _WHOLE_NUMBER.fullmatch(text) or not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return parse


def _seconds(low: float, high: float) -> Callable[[str], float | None]:
    def parse(text: str) -> float | None:
        if not text.strip():
            return None
        seconds = float(text)
        if not (isfinite(seconds) and low <= seconds <= high):
            raise ValueError
        return seconds

    return parse


def _mail_server(text: str) -> str:
    if not text.startswith(("mailto://", "mailtos://")):
        raise ValueError
    return text


def _yen(name: str, meaning: str, default: int, low: int = 0, high: int = 10**18) -> Setting[int, int]:
    allowed = f"{low:,} to {high:,} yen" if high < 10**18 else f"a whole number of yen, {low} or more"
    return Setting(
        name, meaning, allowed=allowed, parse=_whole(low, high), default=default, default_text=f"{default:,}"
    )


def _on_or_off(name: str, meaning: str) -> Setting[bool, bool]:
    return Setting(name, meaning, allowed="on or off", parse=_switch, default=False, default_text="off")


DATABASE_URL = Setting(
    "CREDIT_WALLET_DATABASE_URL",
    "The database of the command line and of the alert job, unless `--db` names one. The library does not read it.",
    allowed="a URL, sqlite:///path or postgresql://user@host/name",
    parse=_text,
    default=DEFAULT_DATABASE_URL,
    default_text=DEFAULT_DATABASE_URL,
    secret=True,
)
TOKEN = Setting(
    "CREDIT_WALLET_TOKEN",
    "The token, an owner's or an agent's, that `credit-wallet mcp` acts with.",
    allowed="a token",
    parse=_text,
    default="",
    default_text="none",
    secret=True,
)
SERVICE_URL = Setting(
    "CREDIT_WALLET_URL",
    "The running service that `credit-wallet mcp` talks to, unless `--url` names one.",
    allowed="a URL",
    parse=_text,
    default=None,
    default_text="none: the database is used",
)
OPERATOR_KEY = Setting(
    "CREDIT_WALLET_OPERATOR_KEY",
    "The key that may do everything. Logs call it `operator`.",
    allowed="32 to 512 random printable ASCII characters",
    parse=_text,
    default=None,
    default_text="made and printed for each run, if the next is not set either",
    secret=True,
    empty_counts=True,
)
OPERATOR_KEYS = Setting(
    "CREDIT_WALLET_OPERATOR_KEYS",
    "Up to ten operator keys. The name tells in the log which operator did what.",
    allowed="name:key,name:key with names of up to 32 lower-case letters, digits, - and _",
    parse=_text,
    default=None,
    default_text="none",
    secret=True,
    empty_counts=True,
)
METRICS_TOKEN = Setting(
    "CREDIT_WALLET_METRICS_TOKEN",
    "A token that may read the money figures at `/metrics`, and nothing else.",
    allowed="32 to 512 random printable ASCII characters",
    parse=_text,
    default=None,
    default_text="none: operator keys only",
    secret=True,
    empty_counts=True,
)
TRUSTED_PROXIES = Setting(
    "CREDIT_WALLET_TRUSTED_PROXIES",
    "Proxies whose `X-Forwarded-For` is believed: the caller is the last address in it that is not one of theirs.",
    allowed="addresses or networks such as 127.0.0.1,10.0.0.0/8",
    parse=_text,
    default=None,
    default_text="none: the header is ignored",
)
STRIPE_KEY = Setting(
    "CREDIT_WALLET_STRIPE_KEY",
    "Stripe's secret key, or a restricted one. Nothing else about payments counts without it.",
    allowed="sk_live_…, sk_test_…, rk_live_… or rk_test_…",
    parse=_text,
    default=None,
    default_text="none: no payments",
    secret=True,
)
STRIPE_WEBHOOK_SECRETS = Setting(
    "CREDIT_WALLET_STRIPE_WEBHOOK_SECRETS",
    "Signing secrets of the webhook endpoint. Several while one replaces another.",
    allowed="whsec_…,whsec_…",
    parse=_words,
    default=(),
    default_text="none: webhooks are refused",
    secret=True,
)
PAYMENT_METHODS = Setting(
    "CREDIT_WALLET_PAYMENT_METHODS",
    "Payment methods that owners are offered.",
    allowed="names such as card,konbini,customer_balance",
    parse=_words,
    default=(),
    default_text="those set up at Stripe that can be saved",
)
RETURN_URL = Setting(
    "CREDIT_WALLET_RETURN_URL",
    "Where people return from a page of Stripe's; `topup_id=…` is appended.",
    allowed="a URL",
    parse=_text,
    default="https://example.com/",
    default_text="https://example.com/",
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
    parse=_text,
    default=None,
    default_text="Stripe's",
)
MAIL_URL = Setting(
    "CREDIT_WALLET_MAIL_URL",
    "The mail server that sends notices.",
    allowed="mailto:// or mailtos://user:password@host?from=address",
    parse=_mail_server,
    default=None,
    default_text="none: `mailto:` targets are refused",
    secret=True,
)
NOTICES_KEPT_DAYS = Setting(
    "CREDIT_WALLET_NOTICES_KEPT_DAYS",
    "For how long finished events and deliveries are kept. Read by the worker.",
    allowed=f"{MIN_NOTICE_DAYS} to {MAX_DAYS_KEPT:,} days",
    parse=_whole(MIN_NOTICE_DAYS, MAX_DAYS_KEPT),
    default=90,
    default_text="90",
)
IDEMPOTENCY_KEPT_DAYS = Setting(
    "CREDIT_WALLET_IDEMPOTENCY_KEPT_DAYS",
    "For how long idempotency keys are kept, and purchases that were served or undone. A retry after that moves money "
    "again. Read by the worker.",
    allowed=f"1 to {MAX_DAYS_KEPT:,} days",
    parse=_whole(1, MAX_DAYS_KEPT),
    default=2,
    default_text="2",
)
CLOSED_KEPT_DAYS = Setting(
    "CREDIT_WALLET_CLOSED_KEPT_DAYS",
    "For how long what is over and moved no money is kept: released holds, failed top-ups, ended keys that never paid. "
    "Read by the worker.",
    allowed=f"{MIN_CLOSED_DAYS} to {MAX_DAYS_KEPT:,} days",
    parse=_whole(MIN_CLOSED_DAYS, MAX_DAYS_KEPT),
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
    parse=_seconds(1, MAX_WAIT_SECONDS),
    default=None,
    default_text="12",
)
POSTGRES_PATIENCE_SECONDS = Setting(
    "CREDIT_WALLET_POSTGRES_PATIENCE_SECONDS",
    "How long a lost database may stay away before callers get `database_unavailable`; 0 tells them at once. "
    "Reads wait 15 seconds at most. Set it above the time of a failover: with Patroni, its "
    "`ttl`, `loop_wait` and a few seconds.",
    allowed=f"0 to {MAX_WAIT_SECONDS:,} seconds",
    parse=_seconds(0, MAX_WAIT_SECONDS),
    default=None,
    default_text="30",
)
LOG_FORMAT = Setting(
    "CREDIT_WALLET_LOG_FORMAT",
    "The form of the log, one line an entry: JSON for programs, `key=value` for people.",
    allowed="json or text",
    parse=_one_of("json", "text"),
    default=None,
    default_text="json of `serve` and `worker`, text of other commands and in a terminal",
)
LOG_LEVEL = Setting(
    "CREDIT_WALLET_LOG_LEVEL",
    "The least that is logged. Refused requests are `info`, what needs attention is `warning`.",
    allowed="debug, info, warning or error",
    parse=_one_of("debug", "info", "warning", "error"),
    default="info",
    default_text="info",
)
ACCESS_LOG = Setting(
    "CREDIT_WALLET_ACCESS_LOG",
    "The share of the answered requests that the log has a line for: 0 none, 1 each. Refusals have theirs anyway.",
    allowed="a number from 0 to 1, such as 0.01",
    parse=_share,
    default=0.0,
    default_text="0",
)
TRACES_ENDPOINT = Setting(
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "Where `serve` sends OpenTelemetry traces. OpenTelemetry's own variable.",
    allowed="a URL",
    parse=_text,
    default=None,
    default_text="the next one",
)
OTLP_ENDPOINT = Setting(
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "The same, for all signals. Other `OTEL_EXPORTER_OTLP_…` variables count too.",
    allowed="a URL",
    parse=_text,
    default=None,
    default_text="none: nothing is traced",
)
SERVICE_NAME = Setting(
    "OTEL_SERVICE_NAME",
    "What the service is called in traces.",
    allowed="a name",
    parse=_text,
    default="agent-credit-wallet",
    default_text="agent-credit-wallet",
)

SETTINGS: Mapping[str, tuple[Setting[Any, Any], ...]] = {
    "Command line": (DATABASE_URL, TOKEN, SERVICE_URL),
    "Logs": (LOG_FORMAT, LOG_LEVEL, ACCESS_LOG),
    "Operator keys": (OPERATOR_KEY, OPERATOR_KEYS, METRICS_TOKEN),
    "The service": (TRUSTED_PROXIES, TRACES_ENDPOINT, OTLP_ENDPOINT, SERVICE_NAME),
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


_PASSWORD = re.compile(r"(://[^/@:]*:).+(@)", re.DOTALL)
"""Up to the last @: a password may have what should have been percent-encoded."""

_PASSWORD_OPTION = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)


def database_url(given: str | None = None) -> str:
    """The database to use: ``given``, else the environment's, else ``DEFAULT_DATABASE_URL``."""
    return given or DATABASE_URL.read()


def is_postgres(url: str) -> bool:
    """Whether a URL is for PostgreSQL: ``postgresql://user@host/database``, also as ``postgres://``."""
    return url.startswith(("postgresql://", "postgres://"))


def without_password(url: str) -> str:
    """A URL as it may be shown."""
    shown = _PASSWORD.sub(r"\1***\2", url)
    return _PASSWORD_OPTION.sub(r"\1***", shown)


def sqlite_path(url: str) -> Path:
    """The file that ``sqlite:///relative/path`` or ``sqlite:////absolute/path`` names.

    Raises ``InvalidRequest`` for anything else.
    """
    path = _path_in(url)
    if not path or path == ":memory:" or "\0" in path:
        raise InvalidRequest(
            f"{without_password(url)!r} is not a database URL; write sqlite:///folder/file.db, "
            "sqlite:////absolute/file.db or postgresql://user@host/database",
            field="db",
        )
    return Path(path)


def _path_in(url: str) -> str:
    """The path of a ``sqlite:`` URL that has nothing but a path; empty for every other text."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ""
    if parts.scheme != "sqlite" or parts.netloc or parts.query or parts.fragment:
        return ""
    return unquote(parts.path[1:])
