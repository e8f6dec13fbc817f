"""The nouns of the client: what belongs together is called on one of them."""

from __future__ import annotations

from credit_wallet.client.blocking.deliveries import Deliveries
from credit_wallet.client.blocking.grants import Grants
from credit_wallet.client.blocking.links import Links
from credit_wallet.client.blocking.log import Log
from credit_wallet.client.blocking.one_wallet import OneWallet
from credit_wallet.client.blocking.operators import Operators
from credit_wallet.client.blocking.price_book import PriceBook
from credit_wallet.client.blocking.purchases import Purchases
from credit_wallet.client.blocking.secrets import Secrets
from credit_wallet.client.blocking.sellers import Sellers
from credit_wallet.client.blocking.targets import Targets
from credit_wallet.client.blocking.tokens import Tokens
from credit_wallet.client.blocking.topups import Topups
from credit_wallet.client.blocking.transfers import Transfers
from credit_wallet.client.blocking.wallets import Wallets


class Nouns(OneWallet):
    """The client's nouns, each with the calls about one kind of thing."""

    @property
    def topups(self) -> Topups:
        """Top-ups through the payment provider."""
        return Topups(self._send)

    @property
    def transfers(self) -> Transfers:
        """Credit that moves between wallets of one owner."""
        return Transfers(self._send)

    @property
    def targets(self) -> Targets:
        """Where notices go."""
        return Targets(self._send)

    @property
    def deliveries(self) -> Deliveries:
        """Notices on their way there."""
        return Deliveries(self._send)

    @property
    def price_book(self) -> PriceBook:
        """The operator's prices."""
        return PriceBook(self._send)

    @property
    def purchases(self) -> Purchases:
        """Purchases of a seller."""
        return Purchases(self._send)

    @property
    def wallets(self) -> Wallets:
        """The operator's wallets."""
        return Wallets(self._send)

    @property
    def log(self) -> Log:
        """The log of acts."""
        return Log(self._send)

    @property
    def grants(self) -> Grants:
        """Credit that the operator has promised to wallets."""
        return Grants(self._send)

    @property
    def sellers(self) -> Sellers:
        """The operator's sellers."""
        return Sellers(self._send)

    @property
    def tokens(self) -> Tokens:
        """Tokens of every kind, to revoke."""
        return Tokens(self._send)

    @property
    def operators(self) -> Operators:
        """The host's operators: names, roles and keys."""
        return Operators(self._send)

    @property
    def links(self) -> Links:
        """Links that let customers in to the pages of their wallets."""
        return Links(self._send)

    @property
    def secrets(self) -> Secrets:
        """Keys of the host that open wallets, for the operator."""
        return Secrets(self._send)
