"""The outcomes of commands. All are frozen.

A field ``amount_micros`` is exact, in micros of yen; beside it ``amount_yen`` are its whole yen, and ``amount`` is the
exact ``Decimal``. Whole yen are rounded down, those of a debt up.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from credit_wallet.domain.money import Exact, WholeYen

EntryType = Literal["topup", "charge", "refund", "expire", "reversal"]
BudgetMode = Literal["alert", "cap"]
LotKind = Literal["paid", "promo"]
HoldStatus = Literal["open", "captured", "released", "expired"]
PurchaseStatus = Literal["running", "served", "undone"]


class Alert(Struct, frozen=True):
    """A spending threshold that was crossed for the first time in its cycle. ``spent_yen`` is rounded down."""

    threshold_pct: int
    billing_cycle: str
    spent_yen: int
    budget_yen: int


class Outcome(Struct, frozen=True, gc=False):
    """The result of a command that was carried out, once its batch is durable. Each command has its own kind.

    ``balance_micros`` could be spent right after it. ``txn_id`` is the ledger entry it made, ``hold_id`` its hold,
    ``topup_id`` its top-up; ``replayed`` marks the stored outcome of a repeated idempotency key.
    """

    wallet_id: int
    amount_micros: int
    balance_micros: int
    txn_id: int | None = None
    hold_id: int | None = None
    replayed: bool = False
    alerts: tuple[Alert, ...] = ()
    warn_pct: int = 0
    """80 or 100 when that share of the monthly budget is spent, else 0."""
    expires_at: str | None = None
    topup_id: str | None = None
    price_version: int | None = None
    """The version of the price book that it was priced by; None when the request named an amount."""

    amount_yen = WholeYen()
    amount = Exact()
    balance_yen = WholeYen()
    balance = Exact()

    @property
    def free(self) -> bool:
        """Whether it is a free retry of a purchase that was served before."""
        return False


class Charged(Outcome, frozen=True, gc=False):
    """``amount_micros`` was spent by entry ``txn_id``. ``alerts`` are the thresholds that it was the first to cross."""

    txn_id: int


class Captured(Charged, frozen=True, gc=False):
    """``amount_micros`` of hold ``hold_id`` was spent by entry ``txn_id``."""

    hold_id: int


class Held(Outcome, frozen=True, gc=False, kw_only=True):
    """``amount_micros`` is set aside as hold ``hold_id`` until ``expires_at``."""

    hold_id: int
    expires_at: str


class Extended(Outcome, frozen=True, gc=False, kw_only=True):
    """Hold ``hold_id``, in which ``amount_micros`` is left, lasts until ``expires_at``."""

    hold_id: int
    expires_at: str


class Released(Outcome, frozen=True, gc=False, kw_only=True):
    """``amount_micros`` of hold ``hold_id`` was released."""

    hold_id: int


class Refunded(Outcome, frozen=True, gc=False):
    """``amount_micros`` of a charge was refunded by entry ``txn_id``."""

    txn_id: int


class ToppedUp(Outcome, frozen=True, gc=False):
    """``amount_micros`` came in by entry ``txn_id``, as a lot that expires at ``expires_at`` or never."""

    txn_id: int


class Granted(Outcome, frozen=True, gc=False):
    """``amount_micros`` of a grant came in by entry ``txn_id``; 0 and None when it would have lapsed by now."""


class Reversed(Outcome, frozen=True, gc=False):
    """``amount_micros`` of a top-up was reversed by entry ``txn_id``, None when there was nothing left to take."""


class Adjusted(Outcome, frozen=True, gc=False):
    """The balance was corrected by ``amount_micros``, below 0 for what was taken, with entry ``txn_id``.

    What could not be taken and became debt is not in it; when nothing could, there is no entry.
    """


class Configured(Outcome, frozen=True, gc=False):
    """The settings were changed."""


class Expired(Outcome, frozen=True, gc=False):
    """Everything due on the wallet was settled."""


class TopupRequested(Outcome, frozen=True, gc=False, kw_only=True):
    """``amount_micros`` is to be paid in as top-up ``topup_id``; no credit yet."""

    topup_id: str


class TopupSettled(Outcome, frozen=True, gc=False, kw_only=True):
    """The report on top-up ``topup_id`` was applied; ``amount_micros`` is credited, by ``txn_id`` if just now."""

    topup_id: str


class PaidBack(Outcome, frozen=True, gc=False, kw_only=True):
    """``amount_micros`` of top-up ``topup_id`` was taken out of the wallet, to be paid back."""

    topup_id: str


class Bought(Outcome, frozen=True, gc=False):
    """A purchase that ``txn_id`` or ``hold_id`` has paid for; ``free`` when it was served before."""

    free: bool = False


class Served(Outcome, frozen=True, gc=False):
    """The buyer was served. ``amount_micros`` was charged again because the purchase had been undone, else 0."""


class Renewed(Outcome, frozen=True, gc=False):
    """The attempt's lease was renewed."""


class Undone(Outcome, frozen=True, gc=False):
    """``amount_micros`` of a purchase was refunded or released; 0 when this attempt could not undo it."""


class TransferredOut(Outcome, frozen=True, gc=False):
    """``amount_micros`` was taken out by entry ``txn_id``, on its way to another wallet."""

    txn_id: int


class TransferredIn(Outcome, frozen=True, gc=False):
    """``amount_micros`` came in from another wallet, nothing when it was refused for good, for ``reason``."""

    reason: str | None = None


class TransferEnded(Outcome, frozen=True, gc=False):
    """A transfer has ended. ``amount_micros`` was returned to the wallet that it had left, 0 when it has arrived."""
