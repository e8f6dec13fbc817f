"""Pages of the operator, across wallets."""

from credit_wallet.pages.console import access, corrections, log, overview, wallets  # noqa: F401 - each declares its pages
