"""Parts that need more than the core packages, and what to install for each."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from credit_wallet.errors import MissingExtra

PACKAGES = {
    "notify": ("apprise", "httpx", "standardwebhooks"),
    "test-payments": ("stripe", "fake_stripe", "aiohttp", "localstripe"),
}
"""What extras bring that are looked for before anything is imported."""


@contextmanager
def needs(extra: str) -> Iterator[None]:
    """Around the import of a part: raises ``MissingExtra`` when a package of ``extra`` is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        if isinstance(error, MissingExtra) or (error.name or "").startswith("credit_wallet"):
            raise
        raise MissingExtra(extra, (error.name or extra).partition(".")[0]) from error


def is_installed(extra: str) -> bool:
    """Whether every package of ``extra`` is there."""
    return _missing(extra) is None


def require(extra: str) -> None:
    """Raise ``MissingExtra`` when a package of ``extra`` is not installed; nothing is imported."""
    if (missing := _missing(extra)) is not None:
        raise MissingExtra(extra, missing)


def _missing(extra: str) -> str | None:
    return next((name for name in PACKAGES[extra] if find_spec(name) is None), None)
