"""Pages of one wallet: for its owner, and for operators who look at it."""

from credit_wallet.pages.owner import auto_topup, budgets, keys, notices, overview, settings  # noqa: F401 - each declares its pages
