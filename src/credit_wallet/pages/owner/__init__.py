"""Pages of one wallet: for its owner, and for operators who look at it."""

from credit_wallet.pages.owner import activity, keys, overview, spending  # noqa: F401 - each declares its pages
