"""Lists of charges: malformed items are refused at once, and the outcomes keep the order of the list."""

from __future__ import annotations

from collections.abc import Iterable

from credit_wallet.domain.commands import Charge
from credit_wallet.domain.outcomes import Outcome
from credit_wallet.errors import InvalidAmount, WalletError
from credit_wallet.ledger.rail import Outcomes
from credit_wallet.rules.usage import Amount, checked_amount
from credit_wallet.rules.validation import malformed


class Collected:
    """Outcomes of a mixed list: items that were refused before sending, and items still pending."""

    def __init__(self) -> None:
        self._outcomes: list[Outcome | WalletError | None] = []
        self._arrived: Outcomes = []

    def refused(self, error: WalletError) -> None:
        """The next item was refused before it was sent."""
        self._outcomes.append(error)

    def sent(self) -> None:
        """The next item was sent; its outcome is pending."""
        self._outcomes.append(None)

    def settle(self, outcomes: Outcomes) -> None:
        """Outcomes of the next items that were sent."""
        self._arrived.extend(outcomes)

    def in_order(self) -> Outcomes:
        """One outcome or refusal per item, once all have arrived."""
        if len(self._arrived) == len(self._outcomes):
            return self._arrived
        arrived = iter(self._arrived)
        return [next(arrived) if outcome is None else outcome for outcome in self._outcomes]


def sorted_out(charges: Iterable[tuple[int, Amount, str] | Charge]) -> tuple[list[Charge], Collected]:
    """The charges to send, and the collector of every item's outcome."""
    commands, outcomes = [], Collected()
    for item in charges:
        problem: WalletError | None = None
        try:
            command = item if isinstance(item, Charge) else Charge(item[0], item[2], checked_amount(item[1]))
        except InvalidAmount as refusal:
            problem = refusal
        else:
            problem = malformed(command)
        if problem is None:
            commands.append(command)
            outcomes.sent()
        else:
            outcomes.refused(problem)
    return commands, outcomes
