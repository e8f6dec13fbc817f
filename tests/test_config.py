"""Which database is meant: the command line, the environment, the default; and what is no database."""

from __future__ import annotations

from pathlib import Path

import pytest

from credit_wallet.config import DATABASE_URL_VARIABLE, DEFAULT_DATABASE_URL, database_url, sqlite_path
from credit_wallet.errors import InvalidRequest


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
        monkeypatch.delenv(DATABASE_URL_VARIABLE, raising=False)
    else:
        monkeypatch.setenv(DATABASE_URL_VARIABLE, environment)
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
