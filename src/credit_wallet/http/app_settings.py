"""What the service is told from outside."""

from __future__ import annotations

from msgspec import Struct

from credit_wallet.alerts.opening import NotifySettings


class ServiceSettings(Struct, frozen=True):
    """``topup_url`` is where a 402 sends people to pay; ``notify`` says where notices may go."""

    operator_key: str
    topup_url: str
    notify: NotifySettings = NotifySettings()
