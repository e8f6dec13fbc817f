"""A peer that hangs: it takes connections and says nothing, or says it a byte at a time."""

from __future__ import annotations

import socket
import threading
from time import sleep
from types import TracebackType
from typing import Self

from credit_wallet import CreditWallet
from credit_wallet.domain.topups import PaymentFact
from credit_wallet.domain.views import CreatedWallet


class Silent:
    """A server that takes connections and says nothing, or in answer one byte of ``trickle`` every 20 ms."""

    def __init__(self, trickle: bytes = b"") -> None:
        self._trickle = trickle
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.heard: list[bytes] = []
        self.asked = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._run, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.close()
        for connection in self._open:
            connection.close()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._open.append(connection)
            threading.Thread(target=self._listen, args=(connection,), daemon=True).start()

    def _listen(self, connection: socket.socket) -> None:
        while True:
            try:
                said = connection.recv(65_536)
            except OSError:
                return
            if not said:
                return
            self.heard.append(said)
            self.asked.set()
            try:
                for byte in self._trickle:
                    connection.sendall(bytes([byte]))
                    sleep(0.02)
            except OSError:
                return


def due(wallets: CreditWallet, amount_yen: int = 100) -> CreatedWallet:
    """A wallet below its threshold, with a saved card."""
    wallet = wallets.create(auto_topup_threshold=10_000, auto_topup_amount=10_000)
    wallets.topup(wallet.wallet_id, amount_yen, idempotency_key="start")
    asked = wallets.topups.request(wallet.wallet_id, 100, idempotency_key="first")
    fact = PaymentFact(
        observed_at=1, status="succeeded", payment_intent=f"pi_{wallet.wallet_id}", received_yen=100,
        customer="cus_1", payment_method="pm_1",
    )  # fmt: skip
    wallets.topups.settle(wallet.wallet_id, str(asked.topup_id), fact)
    return wallet
