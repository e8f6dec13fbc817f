"""Pages of one wallet: for its owner, and for operators who look at it."""

from credit_wallet.pages.owner import (  # noqa: F401 - each declares its pages
    documents,
    keys,
    log,
    overview,
    pay_in,
    thank_you,
    topups,
    transfers,
)
from credit_wallet.pages.owner import budgets, keys, overview, settings  # noqa: F401 - each declares its pages
from credit_wallet.pages.owner import auto_topup, budgets, keys, overview, settings  # noqa: F401 - each declares its pages
