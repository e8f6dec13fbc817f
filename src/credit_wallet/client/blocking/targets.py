"""Where notices go."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from credit_wallet.client import calls
from credit_wallet.client.calls import Call
from credit_wallet.client.responses import read_as
from credit_wallet.client.transport import Send
from credit_wallet.notices.targets import TargetView, WantedTarget
from credit_wallet.wire.bodies import ConfirmBody, TargetsBody


class WalletTargets:
    """Where a wallet's notices go. ``configure`` sets the targets."""

    def __init__(self, send: Send) -> None:
        self._send = send

    def confirm(self, target_id: int, code: str) -> TargetView:
        """Return the code that was sent to a mailbox; from then on it gets notices. For the owner."""
        path = f"/credit/notification-targets/{target_id:d}/confirm"
        return self._send(Call("POST", path, read_as(TargetView), ConfirmBody(code)))

    def resend_code(self, target_id: int) -> TargetView:
        """Send another code to a mailbox that has not been confirmed. For the owner."""
        path = f"/credit/notification-targets/{target_id:d}/ask-again"
        return self._send(Call("POST", path, read_as(TargetView), repeatable=False))


class Targets(WalletTargets):
    """Where notices go: those of a wallet, and for operators those about all wallets."""

    def list(self) -> Sequence[TargetView]:
        """Where notices about all wallets go. For the operator."""
        return self._send(calls.get("/operator/notification-targets", read_as(list[TargetView])))

    def replace(self, notification_targets: Iterable[WantedTarget]) -> Sequence[TargetView]:
        """Send notices about all wallets there and nowhere else. For the operator.

        The secrets of new webhooks are shown only now.
        """
        body = TargetsBody(calls.target_bodies(notification_targets))
        return self._send(
            Call("PUT", "/operator/notification-targets", read_as(list[TargetView]), body, repeatable=False)
        )
