"""Pages of the operator, across wallets."""

from credit_wallet.pages.console import (  # noqa: F401 - each declares its pages
    access,
    corrections,
    live,
    log,
    overview,
    wallets,
)
