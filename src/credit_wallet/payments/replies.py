"""What can be asked of payments, and what is answered: all that the service and the worker know of them."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from msgspec import Struct, field

from credit_wallet.domain.actors import PAYER, Actor
from credit_wallet.domain.acts import Author
from credit_wallet.domain.documents import ExactOfYen
from credit_wallet.domain.topups import Flow


class TopupReply(Struct, frozen=True):
    """A top-up with what is needed to pay it."""

    topup_id: str
    wallet_id: int
    amount_yen: int
    status: str
    payment_intent: str | None = None
    client_secret: str | None = None
    checkout_url: str | None = None
    action_url: str | None = None
    reason: str | None = None
    replayed: bool = False

    amount = ExactOfYen()


class AutoTopup(Struct, frozen=True):
    """What came of an automatic top-up: a status, or the code of what spoke against it, with the detail."""

    wallet_id: int
    status: str
    amount_yen: int = 0
    topup_id: str | None = None
    detail: str | None = None


class Reconciliation(Struct):
    """What a look at Stripe's truth found: top-ups asked about, changed, and what a person should see."""

    asked: int = 0
    changed: int = 0
    problems: list[str] = field(default_factory=list)


@runtime_checkable
class Payments(Protocol):
    """Payments of one ledger; ``service.StripePayments`` says what each does."""

    def acting(self, author: Author) -> Payments:
        """The same payments, for which ``author`` asks."""

    def request(
        self, wallet_id: int, amount_yen: int, *, idempotency_key: str, flow: Flow = "intent", actor: Actor = PAYER
    ) -> TopupReply:
        """Ask for a payment that the owner will make."""

    def show(self, topup_id: str) -> TopupReply:
        """A top-up with what its owner needs to pay it."""

    def cancel(self, topup_id: str) -> TopupReply:
        """Give up a top-up that nobody has paid."""

    def deliver(self, payload: bytes, signature: str | None) -> str:
        """Take in a webhook delivery."""

    def pay_back(self, topup_id: str, amount_yen: int, *, idempotency_key: str) -> TopupReply:
        """Pay unused credit of a top-up back to where it came from."""

    def run_automatic(self) -> list[AutoTopup]:
        """Charge the saved methods of all wallets that are due."""

    def reconcile(self) -> Reconciliation:
        """Compare what is known with the provider's truth."""

    def end_jobs(self) -> None:
        """Have ``run_automatic`` and ``reconcile`` end after the item they are at: the process is to end."""

    def check(self) -> str:
        """What the provider answers when it is asked whether it is there."""
