"""What the tests of MCP have in common: the tools' names, and a ledger behind a service."""

from __future__ import annotations

from typing import NamedTuple

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedKey, CreatedWallet

TOOLS = ["credit_wallet_status", "credit_wallet_transactions", "credit_wallet_forecast", "credit_wallet_topup"]


class Ledger(NamedTuple):
    """A wallet with ¥5,000 and an agent key with a cap, a stranger's, and a service of them at ``url``."""

    wallets: CreditWallet
    db_url: str
    url: str
    owner: CreatedWallet
    agent: CreatedKey
    stranger: CreatedWallet
