"""The base of every refusal, and refusals of what was asked for."""

from __future__ import annotations

from typing import ClassVar


class WalletError(Exception):
    """Base of every refusal. ``code`` is stable across releases; ``str(error)`` is for people."""

    code: ClassVar[str] = "wallet_error"

    def __init__(self, message: str, **details: object) -> None:
        super().__init__(message)
        self.details = details


class InvalidAmount(WalletError):
    """The amount is not an integer in the allowed range, or would carry the balance past its limit."""

    code = "invalid_amount"


class InvalidRequest(WalletError):
    """A field other than the amount is malformed; ``details["field"]`` names it."""

    code = "invalid_request"


class InvalidJson(WalletError):
    """What was sent is not JSON, or names a member of an object twice."""

    code = "invalid_json"


class MissingExtra(WalletError, ModuleNotFoundError):
    """A part was used whose packages are not installed; ``details`` has the ``extra`` that brings them."""

    code = "missing_extra"

    def __init__(self, extra: str, package: str) -> None:
        super().__init__(
            f"{package} is not installed; install it with: pip install 'agent-credit-wallet[{extra}]'",
            extra=extra,
            package=package,
        )
        self.name = package
