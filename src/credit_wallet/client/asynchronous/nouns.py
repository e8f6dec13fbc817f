"""The nouns of the client: what belongs together is called on one of them."""

from __future__ import annotations

from credit_wallet.client.asynchronous.deliveries import AsyncDeliveries
from credit_wallet.client.asynchronous.grants import AsyncGrants
from credit_wallet.client.asynchronous.links import AsyncLinks
from credit_wallet.client.asynchronous.log import AsyncLog
from credit_wallet.client.asynchronous.one_wallet import AsyncOneWallet
from credit_wallet.client.asynchronous.operators import AsyncOperators
from credit_wallet.client.asynchronous.price_book import AsyncPriceBook
from credit_wallet.client.asynchronous.purchases import AsyncPurchases
from credit_wallet.client.asynchronous.secrets import AsyncSecrets
from credit_wallet.client.asynchronous.sellers import AsyncSellers
from credit_wallet.client.asynchronous.targets import AsyncTargets
from credit_wallet.client.asynchronous.tokens import AsyncTokens
from credit_wallet.client.asynchronous.topups import AsyncTopups
from credit_wallet.client.asynchronous.transfers import AsyncTransfers
from credit_wallet.client.asynchronous.wallets import AsyncWallets


class AsyncNouns(AsyncOneWallet):
    """The client's nouns, each with the calls about one kind of thing."""

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
    def deliveries(self) -> AsyncDeliveries:
        """Notices on their way there."""
        return AsyncDeliveries(self._send)

    @property
    def price_book(self) -> AsyncPriceBook:
        """The operator's prices."""
        return AsyncPriceBook(self._send)

    @property
    def purchases(self) -> AsyncPurchases:
        """Purchases of a seller."""
        return AsyncPurchases(self._send)

    @property
    def wallets(self) -> AsyncWallets:
        """The operator's wallets."""
        return AsyncWallets(self._send)

    @property
    def log(self) -> AsyncLog:
        """The log of acts."""
        return AsyncLog(self._send)

    @property
    def grants(self) -> AsyncGrants:
        """Credit that the operator has promised to wallets."""
        return AsyncGrants(self._send)

    @property
    def sellers(self) -> AsyncSellers:
        """The operator's sellers."""
        return AsyncSellers(self._send)

    @property
    def tokens(self) -> AsyncTokens:
        """Tokens of every kind, to revoke."""
        return AsyncTokens(self._send)

    @property
    def operators(self) -> AsyncOperators:
        """The host's operators: names, roles and keys."""
        return AsyncOperators(self._send)

    @property
    def links(self) -> AsyncLinks:
        """Links that let customers in to the pages of their wallets."""
        return AsyncLinks(self._send)

    @property
    def secrets(self) -> AsyncSecrets:
        """Keys of the host that open wallets, for the operator."""
        return AsyncSecrets(self._send)
