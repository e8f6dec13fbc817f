"""What a handler has reported of a held call, and the captures that it comes to."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from msgspec import Struct

from credit_wallet.gate.prices import checked_item, quantity_of, shortest
from credit_wallet.rules.usage import Amount

MAX_CAPTURES = 32
"""How many different things one call can report: items, with different facts of their own."""


class Part(Struct, frozen=True):
    """One capture of a hold: an ``amount`` of yen, or ``quantity`` of an ``item``; and facts beside the hold's."""

    amount: int | Decimal | None = None
    item: str | None = None
    quantity: int | Decimal | None = None
    facts: Mapping[str, str] = {}


class Measured:
    """Quantities add up; an amount is set by whoever says it last."""

    __slots__ = ("_amount_facts", "_amount_micros", "_quantities")

    def __init__(self) -> None:
        self._amount_micros: int | None = None
        self._amount_facts: Mapping[str, str] = {}
        self._quantities: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was reported."""
        return self._amount_micros is None and not self._quantities

    def set_amount(self, micros: int, facts: Mapping[str, str]) -> None:
        """What the call costs, apart from quantities."""
        self._amount_micros, self._amount_facts = micros, dict(facts)

    def add(self, item: str, quantity: Amount, facts: Mapping[str, str]) -> None:
        """So much more of an item. Raises ``ValueError``; then nothing was added."""
        name = (checked_item(item), tuple(sorted(facts.items())))
        micros = quantity_of(quantity)
        if name not in self._quantities and len(self._quantities) == MAX_CAPTURES:
            raise ValueError(f"a call is captured in at most {MAX_CAPTURES} parts")
        total = self._quantities.get(name, 0) + micros
        quantity_of(shortest(total))
        self._quantities[name] = total

    def parts(self) -> list[Part]:
        """What to capture; nothing if all that was reported is 0."""
        parts = [
            Part(item=item, quantity=shortest(micros), facts=dict(facts))
            for (item, facts), micros in self._quantities.items()
            if micros
        ]
        if self._amount_micros:
            parts.append(Part(shortest(self._amount_micros), facts=self._amount_facts))
        return parts
