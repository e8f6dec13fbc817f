"""Refusals of who asks, and of wallets, keys, secrets and targets that do not exist or are too many."""

from __future__ import annotations

from credit_wallet.errors.base import WalletError


class Unauthorized(WalletError):
    """The token or agent key is unknown, revoked or expired."""

    code = "unauthorized"


class Forbidden(WalletError):
    """The caller may not do this; another token or key may."""

    code = "forbidden"


class WalletNotFound(WalletError):
    """There is no such wallet."""

    code = "wallet_not_found"


class KeyNotFound(WalletError):
    """There is no such agent key."""

    code = "key_not_found"


class KeyEnded(WalletError):
    """The agent key, seller or operator is revoked or has ended, for good; create another one."""

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


class ReferenceInUse(WalletError):
    """Another wallet, or another agent key of the wallet, has this reference."""

    code = "reference_in_use"


class OperatorNotFound(WalletError):
    """There is no such operator, or it has no such key."""

    code = "operator_not_found"


class OperatorNameInUse(WalletError):
    """An operator has this name, or had it before it was revoked."""

    code = "operator_name_in_use"


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


class TooManyChanges(WalletError):
    """A wallet's owner and agents changed it too often today; ``retry_after_seconds`` says when to go on."""

    code = "too_many_changes"


class DeliveryNotFound(WalletError):
    """There is no such delivery, or its target was removed."""

    code = "delivery_not_found"
