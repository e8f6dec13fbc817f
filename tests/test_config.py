"""Which database is meant: the command line, the environment, the default; and what is no database."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from credit_wallet import config
from credit_wallet.config import DATABASE_URL, DEFAULT_DATABASE_URL
from credit_wallet.database_urls import database_url, sqlite_path
from credit_wallet.errors import InvalidRequest
from credit_wallet.ledger.notices import MIN_DAYS_KEPT
from credit_wallet.runtime import deadlines
from credit_wallet.setting import Setting

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("given", "environment", "used"),
    [
        ("sqlite:///given.db", "sqlite:///environment.db", "sqlite:///given.db"),
        ("sqlite:///given.db", None, "sqlite:///given.db"),
        (None, "sqlite:///environment.db", "sqlite:///environment.db"),
        ("", "sqlite:///environment.db", "sqlite:///environment.db"),
        (None, None, DEFAULT_DATABASE_URL),
        (None, "", DEFAULT_DATABASE_URL),
    ],
)
def test_what_is_given_comes_before_the_environment_and_that_before_the_default(
    monkeypatch: pytest.MonkeyPatch, given: str | None, environment: str | None, used: str
) -> None:
    if environment is None:
        monkeypatch.delenv(DATABASE_URL.name, raising=False)
    else:
        monkeypatch.setenv(DATABASE_URL.name, environment)
    assert database_url(given) == used


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///wallet.db", "wallet.db"),
        ("sqlite:///var/credit_wallet.db", "var/credit_wallet.db"),
        ("sqlite:////srv/wallet.db", "/srv/wallet.db"),
        ("sqlite:///with%20space/%E8%B2%A1%E5%B8%83.db", "with space/財布.db"),
        ("sqlite:///財布.db", "財布.db"),
        ("sqlite:///what%3F.db", "what?.db"),
        ("SQLITE:///wallet.db", "wallet.db"),
    ],
)
def test_a_sqlite_url_names_a_file(url: str, path: str) -> None:
    assert sqlite_path(url) == Path(path)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "wallet.db",
        "/srv/wallet.db",
        "sqlite:",
        "sqlite://",
        "sqlite:///",
        "sqlite://host/wallet.db",
        "sqlite://[/wallet.db",
        "sqlite:///wallet.db?mode=ro",
        "sqlite:///wallet.db#table",
        "sqlite:///:memory:",
        "sqlite:///wallet%00.db",
        "postgres:///wallet.db",
        "file:///wallet.db",
    ],
)
def test_anything_else_is_refused_with_what_to_write(url: str) -> None:
    with pytest.raises(InvalidRequest, match=r"write sqlite:///folder/file\.db") as refusal:
        sqlite_path(url)
    assert refusal.value.details == {"field": "db"}
    assert repr(url) in str(refusal.value)


# Environment variables

DECLARED = [each for group in config.SETTINGS.values() for each in group]
NUMBERS_AND_SWITCHES = [
    (config.TOPUP_MIN_YEN, "50", 50),
    (config.TOPUP_MAX_YEN, "99999999", 99_999_999),
    (config.AUTO_TOPUP_DAILY_YEN, "0", 0),
    (config.NOTICES_KEPT_DAYS, "40", 40),
    (config.CLOSED_KEPT_DAYS, "40", 40),
    (config.IDEMPOTENCY_KEPT_DAYS, "1", 1),
    (config.ACCESS_LOG, "0.01", 0.01),
    (config.LOG_FORMAT, "text", "text"),
    (config.LOG_LEVEL, "warning", "warning"),
    (config.PAY_BACK, "on", True),
    (config.NOTIFY_PRIVATE, "off", False),
    (config.POSTGRES_ATTEMPT_SECONDS, "1.5", 1.5),
    (config.POSTGRES_PATIENCE_SECONDS, "0", 0.0),
    (config.STRIPE_WEBHOOK_SECRETS, "whsec_1, whsec_2,", ("whsec_1", "whsec_2")),
    (config.MAIL_URL, "mailto://localhost", "mailto://localhost"),
]


@pytest.mark.parametrize(("setting", "text", "value"), NUMBERS_AND_SWITCHES)
def test_a_setting_is_read_by_its_type(setting: Setting[object, object], text: str, value: object) -> None:
    assert setting.read({setting.name: text}) == value
    assert setting.read({}) == setting.read({setting.name: ""}) == setting.default


@pytest.mark.parametrize(
    ("setting", "text"),
    [
        (config.TOPUP_MIN_YEN, "0"),
        (config.TOPUP_MAX_YEN, "100000000"),
        (config.TOPUP_MAX_YEN, "1_000"),
        (config.AUTO_TOPUP_DAILY_YEN, "-1"),
        (config.AUTO_TOPUP_MONTHLY_YEN, "1e6"),
        (config.NOTICES_KEPT_DAYS, "39"),
        (config.CLOSED_KEPT_DAYS, "39"),
        (config.IDEMPOTENCY_KEPT_DAYS, "0"),
        (config.ACCESS_LOG, "1.5"),
        (config.ACCESS_LOG, "nan"),
        (config.LOG_FORMAT, "xml"),
        (config.LOG_LEVEL, "loud"),
        (config.NOTICES_KEPT_DAYS, "36501"),
        (config.PAY_BACK, "yes"),
        (config.NOTIFY_PRIVATE, "ON"),
        (config.POSTGRES_ATTEMPT_SECONDS, "0.5"),
        (config.POSTGRES_PATIENCE_SECONDS, "nan"),
        (config.MAIL_URL, "smtp://user:s3cret@host"),
    ],
)
def test_a_value_that_is_not_allowed_is_refused_with_what_is(setting: Setting[object, object], text: str) -> None:
    with pytest.raises(InvalidRequest) as refusal:
        setting.read({setting.name: text})
    assert refusal.value.details == {"field": setting.name}
    assert str(refusal.value).startswith(f"{setting.name} must be {setting.allowed}")
    assert (repr(text) in str(refusal.value)) is not setting.secret
    assert "s3cret" not in str(refusal.value)


def test_every_variable_is_declared_once_and_stands_in_the_reference() -> None:
    page = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    names = [each.name for each in DECLARED]
    assert len(names) == len(set(names))
    sections = {part.partition("\n")[0]: part for part in page.split("\n## ")[1:]}
    for heading, group in config.SETTINGS.items():
        rows = [line for line in sections[heading].splitlines() if line.startswith("| `")]
        assert rows == [each.row() for each in group], heading


def test_nothing_else_in_the_source_reads_the_environment_or_names_a_variable() -> None:
    names = {each.name for each in DECLARED}
    for path in sorted((ROOT / "src" / "credit_wallet").rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        assert set(re.findall(r"\bCREDIT_WALLET_[A-Z_]*[A-Z]\b", source)) <= names, path
        if path.name != "config.py":
            assert not re.search(r"os\.environ\.get|os\.environ\[|getenv", source), path


def test_limits_of_settings_are_those_of_the_rules() -> None:
    assert config.MIN_NOTICE_DAYS == MIN_DAYS_KEPT
    assert config.POSTGRES_ATTEMPT_SECONDS.default_text == f"{deadlines.POSTGRES_ATTEMPT_SECONDS:g}"
    assert config.POSTGRES_PATIENCE_SECONDS.default_text == f"{deadlines.POSTGRES_PATIENCE_SECONDS:g}"


def test_variables_that_nothing_reads_are_named() -> None:
    names = ["CREDIT_WALLET_STRPE_KEY", "CREDIT_WALLET_STRIPE_KEY", "CREDIT_WALLET_TEST_POSTGRES_URL", "PATH"]
    assert config.unknown(names) == ["CREDIT_WALLET_STRPE_KEY"]
    assert config.given({"CREDIT_WALLET_STRIPE_KEY": "sk_test_1", "CREDIT_WALLET_PAY_BACK": ""}) == [
        "CREDIT_WALLET_STRIPE_KEY"
    ]
