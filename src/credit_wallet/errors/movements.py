"""Refusals of movements of credit: charges, holds, purchases, refunds, transfers, grants."""

from __future__ import annotations

from credit_wallet.errors.base import WalletError


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


class PurchaseNotFound(WalletError):
    """There is no such purchase."""

    code = "purchase_not_found"


class PurchaseRunning(WalletError):
    """Another attempt is serving this purchase; ``retry_after_seconds`` says when to ask again."""

    code = "purchase_running"


class RefundExceedsCharge(WalletError):
    """More would be given back than the charge took (or reversed than the top-up brought)."""

    code = "refund_exceeds_charge"


class TransferNotFound(WalletError):
    """There is no such transfer; ``details`` has its ``transfer_id``."""

    code = "transfer_not_found"


class TransferNotAllowed(WalletError):
    """The transfer would cause an automatic top-up, is of too many kinds, or goes nowhere; see ``max_amount``."""

    code = "transfer_not_allowed"


class TransferReturned(WalletError):
    """The other wallet refused the transfer for ``reason``, and the credit is back in the lots that it came from."""

    code = "transfer_returned"


class GrantNotFound(WalletError):
    """There is no such grant."""

    code = "grant_not_found"


class GrantNotDue(WalletError):
    """The occurrence of a grant has not come, has been credited, or the grant has ended."""

    code = "grant_not_due"


class TooManyGrants(WalletError):
    """The wallet has as many grants with credit still to come as are allowed; ``max`` says how many."""

    code = "too_many_grants"


class SealNotFound(WalletError):
    """No ledger entry is sealed yet."""

    code = "seal_not_found"


class RailBusy(WalletError):
    """Too many commands are waiting, too many of the wallet's holds expired at once, or the ledger is closing; or the
    clock is behind another node's, and a hold would exceed a limit (``budget_id``) in a window that has begun there.

    Try again with the same idempotency key.
    """

    code = "rail_busy"
