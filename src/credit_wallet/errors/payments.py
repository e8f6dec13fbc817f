"""Refusals of payments: top-ups, what a gate sells, and the payment provider."""

from __future__ import annotations

from credit_wallet.errors.base import WalletError


class TopupNotFound(WalletError):
    """There is no such top-up."""

    code = "topup_not_found"


class TopupInFlight(WalletError):
    """Another payment of the wallet is under way; ``topup_id`` names it."""

    code = "topup_in_flight"


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
