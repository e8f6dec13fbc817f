"""The nouns of the client: what belongs together is called on one of them."""

from __future__ import annotations

from typing import TypeVar

from credit_wallet.client.asynchronous.budgets import AsyncBudgets
from credit_wallet.client.asynchronous.grants import AsyncGrants
from credit_wallet.client.asynchronous.keys import AsyncKeys
from credit_wallet.client.asynchronous.operators import AsyncOperators
from credit_wallet.client.asynchronous.purchases import AsyncPurchases
from credit_wallet.client.asynchronous.secrets import AsyncSecrets
from credit_wallet.client.asynchronous.sellers import AsyncSellers
from credit_wallet.client.asynchronous.targets import AsyncTargets
from credit_wallet.client.asynchronous.topups import AsyncTopups
from credit_wallet.client.asynchronous.transfers import AsyncTransfers
from credit_wallet.client.asynchronous.wallets import AsyncWallets
from credit_wallet.client.calls import Call

T = TypeVar("T")


class AsyncNouns:
    """The client's nouns, each with the calls about one kind of thing."""

    async def _send(self, call: Call[T]) -> T:
        """Send a call; the client says how."""
        raise NotImplementedError

    @property
    def keys(self) -> AsyncKeys:
        """Agent keys."""
        return AsyncKeys(self._send)

    @property
    def budgets(self) -> AsyncBudgets:
        """What limits the wallet and its agents."""
        return AsyncBudgets(self._send)

    @property
    def topups(self) -> AsyncTopups:
        """Top-ups through the payment provider."""
        return AsyncTopups(self._send)

    @property
    def transfers(self) -> AsyncTransfers:
        """Credit that moves between wallets of one owner."""
        return AsyncTransfers(self._send)

    @property
    def targets(self) -> AsyncTargets:
        """Where notices go."""
        return AsyncTargets(self._send)

    @property
    def purchases(self) -> AsyncPurchases:
        """Purchases of a seller."""
        return AsyncPurchases(self._send)

    @property
    def wallets(self) -> AsyncWallets:
        """The operator's wallets."""
        return AsyncWallets(self._send)

    @property
    def grants(self) -> AsyncGrants:
        """Credit that the operator has promised to wallets."""
        return AsyncGrants(self._send)

    @property
    def sellers(self) -> AsyncSellers:
        """The operator's sellers."""
        return AsyncSellers(self._send)

    @property
    def operators(self) -> AsyncOperators:
        """The host's operators: names, roles and keys."""
        return AsyncOperators(self._send)

    @property
    def secrets(self) -> AsyncSecrets:
        """Keys of the host that open wallets, for the operator."""
        return AsyncSecrets(self._send)
