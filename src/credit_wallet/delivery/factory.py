"""Opening the delivery of notices of an installation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from credit_wallet.config import MAIL_URL, NOTICES_KEPT_DAYS, NOTIFY_PRIVATE
from credit_wallet.delivery.notifier import Notifier
from credit_wallet.extras import is_installed, require
from credit_wallet.ledger.wallet import CreditWallet

if TYPE_CHECKING:
    from credit_wallet.delivery.sender import Sender


class NotifySettings(Struct, frozen=True):
    """``mail_url`` is the mail server as ``apprise`` writes it, ``private`` lets targets be in a private network.

    ``kept_days`` is for how long events and deliveries that are over are kept.
    """

    mail_url: str | None = None
    private: bool = False
    kept_days: int = NOTICES_KEPT_DAYS.default

    @property
    def mail(self) -> bool:
        """Whether there is a mail server."""
        return self.mail_url is not None


def notify_settings(environment: Mapping[str, str] | None = None) -> NotifySettings:
    """The settings that the environment has. Raises ``InvalidRequest`` naming the variable."""
    return NotifySettings(
        MAIL_URL.read(environment), NOTIFY_PRIVATE.read(environment), NOTICES_KEPT_DAYS.read(environment)
    )


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
