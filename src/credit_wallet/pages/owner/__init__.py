"""Pages of one wallet: for its owner, in a frame of a host's, and for operators who look at it.

Each module declares its own; none decides or stores anything.
"""

from credit_wallet.pages.owner import (  # noqa: F401 - each declares its pages
    activity,
    auto_topup,
    budgets,
    credit,
    documents,
    keys,
    live,
    log,
    notices,
    overview,
    pay_in,
    settings,
    spending,
    thank_you,
    topups,
    transfers,
)
