"""What is answered is read once: the headers about a wallet come from what its answer has read already."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from http_answers import funded
from service import Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.acts import OWNER
from credit_wallet.domain.views import Access
from credit_wallet.ledger.lane_source import LaneSource
from credit_wallet.wire.presenters import wallet_shown


@pytest.fixture
def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every statement that is read from now on."""
    read: list[str] = []
    rows = LaneSource.rows

    def counted(source: LaneSource, statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        read.append(statement)
        return rows(source, statement, parameters)

    monkeypatch.setattr(LaneSource, "rows", counted)
    return read


@pytest.fixture
def api(wallets: CreditWallet) -> Iterator[Api]:
    with Api(new_app(wallets)) as opened:
        yield opened


def test_showing_a_wallet_over_http_reads_what_showing_it_reads(
    wallets: CreditWallet, api: Api, statements: list[str]
) -> None:
    wallet = funded(wallets)
    api.get("/credit/whoami", wallet.owner_token)  # the token is remembered
    statements.clear()
    shown = wallet_shown(wallets, Access(wallet.wallet_id, None), "https://wallet.test/topup")
    read = [*statements]
    statements.clear()
    answer = api.get("/credit/wallet", wallet.owner_token)
    assert answer.headers["x-wallet-balance"] == str(shown.balance_yen)
    assert statements == read


def test_changing_a_wallet_reads_nothing_for_its_headers(
    wallets: CreditWallet, api: Api, statements: list[str]
) -> None:
    wallet = funded(wallets)
    api.get("/credit/whoami", wallet.owner_token)
    statements.clear()
    wallets.acting(OWNER).configure(wallet.wallet_id, label="a")
    shown = wallet_shown(wallets, Access(wallet.wallet_id, None), "https://wallet.test/topup")
    read = [*statements]
    statements.clear()
    answer = api.call("PATCH", "/credit/wallet", wallet.owner_token, json={"label": "b"})
    assert answer.headers["x-wallet-balance"] == str(shown.balance_yen)
    assert statements == read
