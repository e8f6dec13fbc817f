"""Opening the delivery of notices of an installation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from credit_wallet.delivery.notifier import Notifier
from credit_wallet.errors import InvalidRequest
from credit_wallet.extras import is_installed, require
from credit_wallet.ledger.maintenance import MAX_DAYS_KEPT
from credit_wallet.ledger.notices import MIN_DAYS_KEPT
from credit_wallet.ledger.wallet import CreditWallet

if TYPE_CHECKING:
    from credit_wallet.delivery.sender import Sender

MAIL_VARIABLE = "CREDIT_WALLET_MAIL_URL"
PRIVATE_VARIABLE = "CREDIT_WALLET_NOTIFY_PRIVATE"
KEPT_VARIABLE = "CREDIT_WALLET_NOTICES_KEPT_DAYS"

KEPT_DAYS = 90
"""For which events and their deliveries are kept when they are over."""


class NotifySettings(Struct, frozen=True):
    """``mail_url`` is the mail server as ``apprise`` writes it, ``private`` lets targets be in a private network.

    ``kept_days`` is for how long events and deliveries that are over are kept.
    """

    mail_url: str | None = None
    private: bool = False
    kept_days: int = KEPT_DAYS

    @property
    def mail(self) -> bool:
        """Whether there is a mail server."""
        return self.mail_url is not None


def notify_settings(environment: Mapping[str, str] = os.environ) -> NotifySettings:
    """The settings that the environment has. Raises ``InvalidRequest`` naming the variable."""
    mail_url, private = environment.get(MAIL_VARIABLE) or None, environment.get(PRIVATE_VARIABLE, "off")
    if mail_url is not None and not mail_url.startswith(("mailto://", "mailtos://")):
        raise InvalidRequest(
            f"{MAIL_VARIABLE} must be mailto:// or mailtos://user:password@host?from=address", field=MAIL_VARIABLE
        )
    if private not in ("on", "off"):
        raise InvalidRequest(f"{PRIVATE_VARIABLE} must be on or off", field=PRIVATE_VARIABLE)
    return NotifySettings(mail_url, private == "on", _kept_days(environment.get(KEPT_VARIABLE) or str(KEPT_DAYS)))


def _kept_days(text: str) -> int:
    days = int(text) if text.isascii() and text.isdigit() and len(text) <= len(str(MAX_DAYS_KEPT)) else 0
    if not MIN_DAYS_KEPT <= days <= MAX_DAYS_KEPT:
        raise InvalidRequest(f"{KEPT_VARIABLE} must be {MIN_DAYS_KEPT} to {MAX_DAYS_KEPT} days", field=KEPT_VARIABLE)
    return days


def open_notifier(wallets: CreditWallet, settings: NotifySettings | None = None) -> Notifier | None:
    """What delivers this ledger's notices; None when the extra for it is not installed.

    Raises ``InvalidRequest`` for a malformed setting.
    """
    settings = settings or notify_settings()
    if not is_installed("notify"):
        return None

    def load_sender() -> Sender:
        from credit_wallet.delivery.sender import Sender  # takes long to import, and many never need it

        return Sender(wallets.topups.installation_id(), settings.mail_url, settings.private)

    return Notifier(wallets.notices, load_sender)


def require_notifier(wallets: CreditWallet) -> Notifier:
    """Like ``open_notifier``. Raises ``MissingExtra`` when the extra is not installed."""
    require("notify")
    notifier = open_notifier(wallets)
    assert notifier is not None  # noqa: S101 - what it needs is there
    return notifier
