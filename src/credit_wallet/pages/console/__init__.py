"""Pages of the operator, across wallets. Each module declares its own; none decides or stores anything."""

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
