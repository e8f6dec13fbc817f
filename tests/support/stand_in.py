"""Payments without a provider, where a test is about who may ask for them and what is done with their answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from credit_wallet.domain.actors import PAYER, Actor
from credit_wallet.domain.acts import Author
from credit_wallet.domain.topups import Flow, Offer, topup_id_of
from credit_wallet.payments.replies import AutoTopup, Reconciliation, TopupOptions, TopupReply

T = TypeVar("T")


class StandIn:
    """Answers every call, or fails each with ``error``; ``asked`` has the names of the calls."""

    def __init__(self, error: Exception | None = None) -> None:
        self.asked: list[str] = []
        self.actors: list[str] = []
        """Who has asked for payments."""
        self.automatic: list[AutoTopup] = []
        self.found = Reconciliation()
        self._error = error

    def acting(self, author: Author) -> StandIn:  # noqa: ARG002
        return self

    def options(self) -> TopupOptions:
        return self._answer("options", TopupOptions)

    def request(
        self,
        wallet_id: int,
        amount_yen: int,
        *,
        idempotency_key: str,
        flow: Flow = "intent",
        offer: Offer | None = None,  # noqa: ARG002
        actor: Actor = PAYER,
    ) -> TopupReply:
        self.actors.append(actor)
        status = "pending" if flow == "intent" else "requires_action"
        return self._answer(
            "request", lambda: TopupReply(topup_id_of(wallet_id, idempotency_key), wallet_id, amount_yen, status)
        )

    def show(self, topup_id: str) -> TopupReply:
        return self._answer("show", lambda: TopupReply(topup_id, 1, 100, "pending"))

    def cancel(self, topup_id: str) -> TopupReply:
        return self._answer("cancel", lambda: TopupReply(topup_id, 1, 100, "canceled"))

    def deliver(self, payload: bytes, signature: str | None) -> str:
        return self._answer("deliver", lambda: f"{len(payload)} bytes, signed {signature}")

    def pay_back(self, topup_id: str, amount_yen: int, *, idempotency_key: str) -> TopupReply:
        return self._answer("pay_back", lambda: TopupReply(topup_id, 1, amount_yen, f"paid back {idempotency_key}"))

    def run_automatic(self) -> list[AutoTopup]:
        return self._answer("run_automatic", lambda: self.automatic)

    def reconcile(self) -> Reconciliation:
        return self._answer("reconcile", lambda: self.found)

    def end_jobs(self) -> None:
        self.asked.append("end_jobs")

    def check(self) -> str:
        return self._answer("check", lambda: "there")

    def _answer(self, call: str, answer: Callable[[], T]) -> T:
        self.asked.append(call)
        if self._error is not None:
            raise self._error
        return answer()
