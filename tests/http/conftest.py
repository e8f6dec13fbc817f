"""An application in this process and its wallets."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from http_answers import CREDIT_YEN, funded
from service import Api, new_app

from credit_wallet import CreditWallet
from credit_wallet.domain.views import CreatedWallet
from credit_wallet.wire import failure_limit


@pytest.fixture
def api(wallets: CreditWallet) -> Iterator[Api]:
    with Api(new_app(wallets)) as opened:
        yield opened


@pytest.fixture
def wallet(wallets: CreditWallet) -> CreatedWallet:
    """A wallet with ``CREDIT_YEN`` and a budget of the same."""
    return funded(wallets, monthly_budget_yen=CREDIT_YEN)


@pytest.fixture
def token(wallet: CreatedWallet) -> str:
    return wallet.owner_token


@pytest.fixture
def stranger(wallets: CreditWallet) -> CreatedWallet:
    return funded(wallets)


@pytest.fixture
def many_bad_tokens_are_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    """For tests that send an application bad tokens, or none, again and again, and expect 401."""
    monkeypatch.setattr(failure_limit, "FAILURES_ALLOWED", 1_000_000)
