"""The nouns of the facade, each imported and made when it is first used: most programs need a few of them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, Generic, TypeVar

from credit_wallet import ledger
from credit_wallet.ledger.ledger import Ledger

if TYPE_CHECKING:
    from credit_wallet.ledger.alerts import Alerts
    from credit_wallet.ledger.budgets import Budgets
    from credit_wallet.ledger.clock import LedgerClock
    from credit_wallet.ledger.cycles import Cycles
    from credit_wallet.ledger.deliveries import Deliveries
    from credit_wallet.ledger.grants import Grants
    from credit_wallet.ledger.holds import Holds
    from credit_wallet.ledger.keys import Keys
    from credit_wallet.ledger.links import Links
    from credit_wallet.ledger.lots import Lots
    from credit_wallet.ledger.maintenance import Maintenance
    from credit_wallet.ledger.notices import Notices
    from credit_wallet.ledger.operators import Operators
    from credit_wallet.ledger.prices import Prices
    from credit_wallet.ledger.purchases import Purchases
    from credit_wallet.ledger.seals import Seals
    from credit_wallet.ledger.secrets import Secrets
    from credit_wallet.ledger.sellers import Sellers
    from credit_wallet.ledger.sessions import Sessions
    from credit_wallet.ledger.targets import Targets
    from credit_wallet.ledger.tokens import Tokens
    from credit_wallet.ledger.topups import Topups
    from credit_wallet.ledger.transactions import Transactions
    from credit_wallet.ledger.transfers import Transfers

N = TypeVar("N")


class noun(Generic[N]):  # noqa: N801 - a decorator
    """A property that is made once: all threads have the same, unlike ``functools.cached_property``'s."""

    def __init__(self, make: Callable[[Nouns], N]) -> None:
        self.make, self.__doc__ = make, make.__doc__

    def __get__(self, wallets: Nouns, _: type[Nouns]) -> N:
        made: N = vars(wallets).setdefault(self.make.__name__, self.make(wallets))
        return made


def prepare_nouns() -> None:
    """Import all of the ledger now: a process that runs for long may find another version's files on disk later."""
    for module in iter_modules(ledger.__path__, f"{ledger.__name__}."):
        import_module(module.name)


class Nouns:
    """Everything of an open ledger besides its movements and settings."""

    _ledger: Ledger

    @noun
    def keys(self) -> Keys:
        from credit_wallet.ledger.keys import Keys

        return Keys(self._ledger)

    @noun
    def secrets(self) -> Secrets:
        from credit_wallet.ledger.secrets import Secrets

        return Secrets(self._ledger)

    @noun
    def tokens(self) -> Tokens:
        from credit_wallet.ledger.tokens import Tokens

        return Tokens(self._ledger)

    @noun
    def holds(self) -> Holds:
        from credit_wallet.ledger.holds import Holds

        return Holds(self._ledger)

    @noun
    def transactions(self) -> Transactions:
        from credit_wallet.ledger.transactions import Transactions

        return Transactions(self._ledger)

    @noun
    def cycles(self) -> Cycles:
        from credit_wallet.ledger.cycles import Cycles

        return Cycles(self._ledger)

    @noun
    def lots(self) -> Lots:
        from credit_wallet.ledger.lots import Lots

        return Lots(self._ledger)

    @noun
    def topups(self) -> Topups:
        from credit_wallet.ledger.topups import Topups

        return Topups(self._ledger)

    @noun
    def alerts(self) -> Alerts:
        from credit_wallet.ledger.alerts import Alerts

        return Alerts(self._ledger)

    @noun
    def budgets(self) -> Budgets:
        from credit_wallet.ledger.budgets import Budgets

        return Budgets(self._ledger)

    @noun
    def sellers(self) -> Sellers:
        from credit_wallet.ledger.sellers import Sellers

        return Sellers(self._ledger)

    @noun
    def operators(self) -> Operators:
        from credit_wallet.ledger.operators import Operators

        return Operators(self._ledger)

    @noun
    def sessions(self) -> Sessions:
        from credit_wallet.ledger.sessions import Sessions

        return Sessions(self._ledger)

    @noun
    def links(self) -> Links:
        from credit_wallet.ledger.links import Links

        return Links(self._ledger)

    @noun
    def purchases(self) -> Purchases:
        from credit_wallet.ledger.purchases import Purchases

        return Purchases(self._ledger)

    @noun
    def prices(self) -> Prices:
        from credit_wallet.ledger.prices import Prices

        return Prices(self._ledger)

    @noun
    def transfers(self) -> Transfers:
        from credit_wallet.ledger.transfers import Transfers

        return Transfers(self._ledger)

    @noun
    def targets(self) -> Targets:
        from credit_wallet.ledger.targets import Targets

        return Targets(self._ledger)

    @noun
    def notices(self) -> Notices:
        from credit_wallet.ledger.notices import Notices

        return Notices(self._ledger)

    @noun
    def deliveries(self) -> Deliveries:
        from credit_wallet.ledger.deliveries import Deliveries

        return Deliveries(self._ledger)

    @noun
    def grants(self) -> Grants:
        from credit_wallet.ledger.grants import Grants

        return Grants(self._ledger)

    @noun
    def maintenance(self) -> Maintenance:
        from credit_wallet.ledger.maintenance import Maintenance

        return Maintenance(self._ledger)

    @noun
    def seals(self) -> Seals:
        from credit_wallet.ledger.seals import Seals

        return Seals(self._ledger)

    @noun
    def clock(self) -> LedgerClock:
        from credit_wallet.ledger.clock import LedgerClock

        return LedgerClock(self._ledger)
