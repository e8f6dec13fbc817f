"""A ledger with an owner, an agent and a stranger, and every transport to its tools."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from clock import Clock
from mcp_clients import Connection, over_http, over_stdio
from mcp_ledger import Ledger
from served import Served
from service import TOPUP_URL, new_app
from width import WIDE

from credit_wallet import CreditWallet
from credit_wallet.config import SERVICE_URL

TRANSPORTS = ("http", "stdio", "stdio to a service") if WIDE else ("http", "stdio to a service")
"""A process of the command takes a second to start; on a database it has the tools of the service."""


@pytest.fixture
def ledger(wallets: CreditWallet, db_url: str, clock: Clock) -> Iterator[Ledger]:
    clock.set(datetime.now(UTC))  # as other processes have it
    owner = wallets.create(label="acme", monthly_budget_yen=1_000)
    wallets.topup(owner.wallet_id, 5_000, idempotency_key="start", note="invoice 1")
    agent = wallets.keys.create(owner.wallet_id, label="crawler", monthly_cap_yen=200)
    wallets.charge(owner.wallet_id, 3, idempotency_key="a", note="GET /search", key_id=agent.key_id)
    wallets.charge(owner.wallet_id, 40, idempotency_key="b", note="tool summarize")
    stranger = wallets.create(label="stranger")
    wallets.topup(stranger.wallet_id, 77, idempotency_key="start")
    with Served(new_app(wallets)) as served:
        yield Ledger(wallets, db_url, served.url, owner, agent, stranger)


@pytest.fixture(params=TRANSPORTS)
def connection(request: pytest.FixtureRequest, ledger: Ledger) -> Connection:
    """Each way to the tools; those of a database come with the address that the service gives, too."""
    if request.param == "http":
        return over_http(ledger.url)
    if request.param == "stdio":
        return over_stdio("--db", ledger.db_url, "mcp", "--topup-url", TOPUP_URL)
    return over_stdio("mcp", environment={SERVICE_URL.name: ledger.url})
