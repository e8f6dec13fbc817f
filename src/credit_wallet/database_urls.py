"""Database URLs: which one to use, what it names, and how it is shown."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from credit_wallet.config import DATABASE_URL
from credit_wallet.errors import InvalidRequest

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
