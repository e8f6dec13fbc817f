"""What the jobs that ask Stripe share: when they end early."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from credit_wallet.errors import WalletError
from credit_wallet.payments.api import StripeSilent
from credit_wallet.runtime.deadlines import STRIPE_SILENT_CALLS

T = TypeVar("T")


class Ending:
    """Whether jobs are to end, since the process is."""

    def __init__(self) -> None:
        self.has_begun = False

    def begin(self) -> None:
        """Have jobs end after the call they are at: no card is charged any more."""
        self.has_begun = True

    def until(self, items: Iterable[T]) -> Iterator[T]:
        """The items up to then."""
        for item in items:
            if self.has_begun:
                return
            yield item


class Silence:
    """How often in a row Stripe did not answer."""

    def __init__(self) -> None:
        self._calls = 0

    def note(self, error: WalletError | None) -> None:
        """What came of a call."""
        self._calls = self._calls + 1 if isinstance(error, StripeSilent) else 0

    @property
    def is_long(self) -> bool:
        """Whether asking on is of no use."""
        return self._calls >= STRIPE_SILENT_CALLS
