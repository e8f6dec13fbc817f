"""What a wallet can refuse, each with a stable ``code``.

A refusal means that nothing moved. ``message`` says what happened and what to do next; ``details`` holds the
figures behind it under the names used everywhere else (``balance_yen``, ``missing_yen`` …), so that a transport can
print them without parsing text.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, NamedTuple


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


class ItemNotPriced(WalletError):
    """The price book has no price of the item for the wallet now; ``details`` has ``item`` and the ``items`` it has."""

    code = "item_not_priced"


class InvalidJson(WalletError):
    """What was sent is not JSON, or names a member of an object twice."""

    code = "invalid_json"


class RefusingBudget(NamedTuple):
    """The budget that refused a movement, as it stood then. Amounts are of its ``unit``: yen, or calls.

    ``value`` is the one of its values that ran out, for a budget of each value. ``left`` is what neither spending nor
    open holds have taken; ``resets_at`` is None when it never starts anew.
    """

    budget_id: str
    label: str | None
    value: str | None
    unit: str
    window: str
    limit: Decimal
    spent: Decimal
    held: Decimal
    left: Decimal
    resets_at: str | None


_AMOUNTS_OF_A_BUDGET = ("limit", "spent", "held", "left")


class SpendingRefused(WalletError):
    """The wallet, one of its budgets or an agent key's cap does not allow this movement now.

    The base of ``InsufficientFunds``, ``BudgetExhausted``, ``KeyCapExhausted`` and ``CallLimitReached``, which all say
    what would pass instead, and when.
    """

    @property
    def budget(self) -> RefusingBudget | None:
        """The budget that said no; None when it was the balance."""
        told: Any = self.details.get("budget")
        if not isinstance(told, Mapping):
            return None
        shown: dict[str, Any] = {name: told.get(name) for name in RefusingBudget._fields}
        return RefusingBudget(**shown | {name: Decimal(str(told[name])) for name in _AMOUNTS_OF_A_BUDGET})

    @property
    def max_amount(self) -> Decimal:
        """The largest amount that would pass now; 0 when none would."""
        return Decimal(str(self.details.get("max_amount", 0)))

    @property
    def max_amount_yen(self) -> int:
        """The same in whole yen, rounded down."""
        return int(self.max_amount)

    @property
    def retry_at(self) -> str | None:
        """When the same movement would pass if nothing else is spent; None when waiting does not help."""
        instant = self.details.get("retry_at")
        return None if instant is None else str(instant)


class InsufficientFunds(SpendingRefused):
    """The wallet holds less than the movement needs; ``details`` has ``balance``, ``missing`` and their whole yen."""

    code = "insufficient_funds"

    @property
    def balance_yen(self) -> int:
        """What could be spent, in whole yen (rounded down)."""
        return int(str(self.details["balance_yen"]))

    @property
    def balance(self) -> Decimal:
        """What could be spent."""
        return Decimal(str(self.details["balance"]))

    @property
    def missing_yen(self) -> int:
        """What a top-up must bring at least, in whole yen (rounded up)."""
        return int(str(self.details["missing_yen"]))

    @property
    def missing(self) -> Decimal:
        """What the movement lacks."""
        return Decimal(str(self.details["missing"]))

    @property
    def topup_url(self) -> str | None:
        """Where a person pays, when the refusal came over HTTP."""
        url = self.details.get("topup_url")
        return None if url is None else str(url)


class BudgetExhausted(SpendingRefused):
    """A budget of the wallet is a cap and this movement would pass it; ``budget`` says which."""

    code = "budget_exhausted"


class CallLimitReached(SpendingRefused):
    """A limit on calls allows no more of them now; ``budget`` says which, ``retry_at`` when it does again."""

    code = "call_limit_reached"


class BudgetNotFound(WalletError):
    """There is no such budget, or it was deleted."""

    code = "budget_not_found"


class TooManyBudgets(WalletError):
    """The wallet has as many budgets as are allowed; ``max`` says how many."""

    code = "too_many_budgets"


class KeyCapExhausted(SpendingRefused):
    """The agent key's monthly cap would be passed."""

    code = "key_cap_exhausted"


class WalletDisabled(WalletError):
    """The wallet is disabled: it takes credit but spends nothing."""

    code = "wallet_disabled"


class WalletNotFound(WalletError):
    """There is no such wallet."""

    code = "wallet_not_found"


class KeyNotFound(WalletError):
    """There is no such agent key."""

    code = "key_not_found"


class KeyEnded(WalletError):
    """The agent key or seller is revoked or has ended, for good; create another one."""

    code = "key_ended"


class TooManyTokens(WalletError):
    """The limit of working earlier tokens, or of registered keys, is reached; ``max`` says what it is."""

    code = "too_many_tokens"


class TooManyKeys(WalletError):
    """The wallet has as many working agent keys as are allowed; ``max`` says how many."""

    code = "too_many_keys"


class SellerNotFound(WalletError):
    """There is no such seller."""

    code = "seller_not_found"


class SealNotFound(WalletError):
    """No ledger entry is sealed yet."""

    code = "seal_not_found"


class SecretNotFound(WalletError):
    """No registered key and no earlier token has this hash."""

    code = "secret_not_found"


class SecretInUse(WalletError):
    """The hash already belongs to a token or a registered key."""

    code = "secret_in_use"


class TargetNotFound(WalletError):
    """There is no such notification target."""

    code = "target_not_found"


class WrongConfirmationCode(WalletError):
    """Not the code that the mailbox was sent last, or too many wrong codes were tried."""

    code = "wrong_confirmation_code"


class TooManyConfirmations(WalletError):
    """Today's confirmation messages are used up; ``retry_after_seconds`` says when to ask again."""

    code = "too_many_confirmations"


class DeliveryNotFound(WalletError):
    """There is no such delivery, or its target was removed."""

    code = "delivery_not_found"


class EntryNotFound(WalletError):
    """The ledger entry that a refund or a reversal names does not exist or is of another type."""

    code = "entry_not_found"


class IdempotencyConflict(WalletError):
    """The idempotency key was used before, for a different request."""

    code = "idempotency_conflict"


class RetriesExhausted(WalletError):
    """All free retries of this idempotency key were used; send a new one, which is charged."""

    code = "retries_exhausted"


class HoldNotFound(WalletError):
    """There is no such hold."""

    code = "hold_not_found"


class HoldClosed(WalletError):
    """The hold was captured or released, or has expired."""

    code = "hold_closed"


class Forbidden(WalletError):
    """The caller may not do this; another token or key may."""

    code = "forbidden"


class PurchaseNotFound(WalletError):
    """There is no such purchase."""

    code = "purchase_not_found"


class PurchaseRunning(WalletError):
    """Another attempt is serving this purchase; ``retry_after_seconds`` says when to ask again."""

    code = "purchase_running"


class RefundExceedsCharge(WalletError):
    """More would be given back than the charge took (or reversed than the top-up brought)."""

    code = "refund_exceeds_charge"


class TopupNotFound(WalletError):
    """There is no such top-up."""

    code = "topup_not_found"


class TopupInFlight(WalletError):
    """Another payment of the wallet is under way; ``topup_id`` names it."""

    code = "topup_in_flight"


class GrantNotFound(WalletError):
    """There is no such grant."""

    code = "grant_not_found"


class GrantNotDue(WalletError):
    """The occurrence of a grant has not come, has been credited, or the grant has ended."""

    code = "grant_not_due"


class TooManyGrants(WalletError):
    """The wallet has as many grants with credit still to come as are allowed; ``max`` says how many."""

    code = "too_many_grants"


class TopupNotDue(WalletError):
    """The wallet does not need an automatic top-up, or has none set up."""

    code = "topup_not_due"


class TopupLimitReached(WalletError):
    """Automatic top-ups have brought as much as they may today or this month."""

    code = "topup_limit_reached"


class TopupStopped(WalletError):
    """Automatic top-ups of the wallet wait for a person, or for a later time; ``reason`` and ``retry_at`` say which."""

    code = "topup_stopped"


class PayBackNotAllowed(WalletError):
    """The operator has not allowed paying credit back, or the law leaves no room for it; ``left_yen`` says how much."""

    code = "pay_back_not_allowed"


class TransferNotFound(WalletError):
    """There is no such transfer; ``details`` has its ``transfer_id``."""

    code = "transfer_not_found"


class TransferNotAllowed(WalletError):
    """The transfer would cause an automatic top-up, is of too many kinds, or goes nowhere; see ``max_amount``."""

    code = "transfer_not_allowed"


class TransferReturned(WalletError):
    """The other wallet refused the transfer for ``reason``, and the credit is back in the lots that it came from."""

    code = "transfer_returned"


class PaymentRequired(WalletError):
    """The call must be paid for, and the request names no wallet. It may also pay per call (x402)."""

    code = "payment_required"


class PriceMissing(WalletError):
    """A gate sells an item that the price book has no price for. The seller must set it; the caller can do nothing."""

    code = "price_missing"


class PaymentInvalid(WalletError):
    """A payment per call (x402) is not what was asked for, is not valid, was not settled, or was used before."""

    code = "payment_invalid"


class PaymentsNotConfigured(WalletError):
    """The installation has no payment provider."""

    code = "payments_not_configured"


class PaymentProviderError(WalletError):
    """The payment provider could not be reached, failed or refused. Try again with the same idempotency key."""

    code = "payment_provider_error"


class InvalidSignature(WalletError):
    """A webhook delivery is not signed with a known webhook secret, or its signature is too old."""

    code = "invalid_signature"


class InvalidEvent(InvalidSignature):
    """A webhook delivery is signed, but belongs to another account or mode, or is malformed."""

    code = "invalid_event"


class RailBusy(WalletError):
    """Too many commands are waiting, too many of the wallet's holds expired at once, or the ledger is closing.

    Try again with the same idempotency key.
    """

    code = "rail_busy"


class Unauthorized(WalletError):
    """The token or agent key is unknown, revoked or expired."""

    code = "unauthorized"


class DatabaseError(WalletError):
    """The database failed and nothing happened. Subclasses say why."""

    code = "database_error"


class DatabaseLocked(DatabaseError):
    """Another process kept the database locked for longer than the wallet waits."""

    code = "database_locked"


class DatabaseMoved(DatabaseError):
    """The file, or its log, is not the one that was opened: moved, removed, replaced or overwritten.

    On PostgreSQL: the address leads to another server, database or state of the ledger.

    The request is not acknowledged. Retry with the same idempotency key: nothing is done twice.
    """

    code = "database_moved"


class DatabaseUnavailable(DatabaseError):
    """The database's server cannot be reached. Try again with the same idempotency key: nothing is done twice."""

    code = "database_unavailable"


class DatabaseFull(DatabaseError):
    """The disk has no room left for the database or its log."""

    code = "database_full"


class DatabaseReadOnly(DatabaseError):
    """The database or its folder cannot be written."""

    code = "database_read_only"


class DatabaseCorrupt(DatabaseError):
    """The file is damaged or is not a database. Stop, and restore from a backup."""

    code = "database_corrupt"


class DatabaseRefused(DatabaseError):
    """A rule in the database, such as a host's trigger, refused a row."""

    code = "database_refused"


class NoLedger(DatabaseError):
    """The database does not exist or has no wallet tables. Reading and spending do not create them."""

    code = "no_ledger"


class DatabaseUnfit(DatabaseError):
    """The database, or a setting of the wallet's sessions in it, is unfit for a ledger; ``setting`` names it."""

    code = "database_unfit"


class UsedAfterFork(WalletError):
    """This was opened before its process was forked, and belongs to the parent. Open it after the fork."""

    code = "used_after_fork"


class ShareExceeded(WalletError):
    """The wallet has as many requests of this kind in progress as it may; retry when one has finished."""

    code = "share_exceeded"


class ServiceBusy(WalletError):
    """Too many requests of this kind are waiting, or this one took too long. Nothing moved; retry."""

    code = "service_busy"


class ServiceUnreachable(WalletError):
    """The service did not respond, retries included; ``sent`` says whether the request may have reached it."""

    code = "service_unreachable"


class ServiceFailed(WalletError):
    """The service failed; nothing is known to have moved. Try again with the same idempotency key."""

    code = "internal_error"


class UnexpectedResponse(WalletError):
    """The response is not one of this release's service; ``status`` is its HTTP status."""

    code = "unexpected_response"


class CopyRefused(WalletError):
    """A ledger cannot be copied from one database into the other, or what arrived is not what was sent."""

    code = "copy_refused"


class MigrationError(WalletError):
    """The schema is not what this release can work with."""

    code = "migration_error"
