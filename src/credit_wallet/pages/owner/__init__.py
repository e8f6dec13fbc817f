"""Pages of one wallet: for its owner, and for operators who look at it."""

from credit_wallet.pages.owner import (  # noqa: F401 - each declares its pages
    auto_topup,
    budgets,
    documents,
    keys,
    log,
    overview,
    pay_in,
    settings,
    thank_you,
    topups,
    transfers,
)
