"""What can be asked of payments, and what is answered: all that the service and the worker know of them."""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

from msgspec import Struct, field

from credit_wallet.domain.actors import PAYER, Actor
from credit_wallet.domain.acts import Author
from credit_wallet.domain.documents import ExactOfYen
from credit_wallet.domain.topups import Flow, Offer, Origin

NextActionType = Literal["checkout", "authenticate", "konbini", "bank_transfer"]


class KonbiniStore(Struct, frozen=True):
    """What to say or key in at a chain of convenience stores."""

    store: str
    payment_code: str
    confirmation_number: str | None


class BankAccount(Struct, frozen=True):
    """Where a bank transfer goes, in Japan."""

    bank_name: str | None
    bank_code: str | None
    branch_name: str | None
    branch_code: str | None
    account_type: str | None
    account_number: str
    account_holder: str | None


class NextAction(Struct, frozen=True):
    """What a person does next to pay; ``amount_yen`` is what is still to be paid, ``expires_at`` until when."""

    type: NextActionType
    amount_yen: int
    url: str | None = None
    expires_at: str | None = None
    stores: tuple[KonbiniStore, ...] = ()
    bank_account: BankAccount | None = None

    amount = ExactOfYen()


class MethodOption(Struct, frozen=True):
    """A payment method that owners are offered, and for which amounts."""

    method: str
    min_yen: int
    max_yen: int


class TopupOptions(Struct, frozen=True):
    """Whether and how owners can pay."""

    accepts_payments: bool = False
    test_money: bool = False
    min_yen: int = 0
    max_yen: int = 0
    methods: tuple[MethodOption, ...] = ()


class TopupReply(Struct, frozen=True):
    """A top-up with what is needed to pay it.

    ``method`` is the one that was asked for, if any; ``credit_txn_id`` is the entry that credited it.
    """

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
    next_action: NextAction | None = None
    origin: Origin = "owner"
    method: str | None = None
    received_yen: int = 0
    credited_yen: int = 0
    reversed_yen: int = 0
    credit_txn_id: int | None = None
    created_at: str | None = None

    amount, received, credited, reversed = ExactOfYen(), ExactOfYen(), ExactOfYen(), ExactOfYen()


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

    def options(self) -> TopupOptions:
        """How owners can pay."""

    def request(
        self,
        wallet_id: int,
        amount_yen: int,
        *,
        idempotency_key: str,
        flow: Flow = "intent",
        offer: Offer | None = None,
        actor: Actor = PAYER,
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
