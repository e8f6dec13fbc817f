"""Pages of the operator, across wallets."""

from credit_wallet.pages.console import (  # noqa: F401 - each declares its pages
    access,
    corrections,
    deliveries,
    find,
    health,
    live,
    log,
    operators,
    overview,
    payments,
    prices,
    wallets,
)
