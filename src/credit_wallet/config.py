"""Settings that come from outside: the command line first, then the environment, then a default."""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from credit_wallet.errors import InvalidRequest

DATABASE_URL_VARIABLE = "CREDIT_WALLET_DATABASE_URL"
OPERATOR_KEY_VARIABLE = "CREDIT_WALLET_OPERATOR_KEY"
OPERATOR_KEYS_VARIABLE = "CREDIT_WALLET_OPERATOR_KEYS"
METRICS_TOKEN_VARIABLE = "CREDIT_WALLET_METRICS_TOKEN"  # noqa: S105 - the name, no token
TRUSTED_PROXIES_VARIABLE = "CREDIT_WALLET_TRUSTED_PROXIES"
TOKEN_VARIABLE = "CREDIT_WALLET_TOKEN"  # noqa: S105 - the name, no token
SERVICE_URL_VARIABLE = "CREDIT_WALLET_URL"
DEFAULT_DATABASE_URL = "sqlite:///var/credit_wallet.db"

_PASSWORD = re.compile(r"(://[^/@:]*:).+(@)", re.DOTALL)
"""Up to the last @: a password may have what should have been percent-encoded."""

_PASSWORD_OPTION = re.compile(r"([?&](?:ssl)?password=)[^&]*", re.IGNORECASE)


def database_url(given: str | None = None) -> str:
    """The database to use: ``given``, else the environment's, else ``DEFAULT_DATABASE_URL``."""
    return given or os.environ.get(DATABASE_URL_VARIABLE) or DEFAULT_DATABASE_URL


def is_postgres(url: str) -> bool:
    """Whether a URL is one of PostgreSQL's: ``postgresql://user@host/database``, also as ``postgres://``."""
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
            f"{without_password(url)!r} names no database; write sqlite:///folder/file.db, "
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
