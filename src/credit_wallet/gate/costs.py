"""What a tool says that its call cost: in its result's ``_meta``, under ``credit-wallet/cost``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from credit_wallet.gate.measured import MAX_CAPTURES
from credit_wallet.rules.usage import Amount

COST = "credit-wallet/cost"
"""The key in ``_meta``. Keys with a prefix are for whoever defines them (MCP, "General fields")."""

_ITEM, _AMOUNT = {"item", "quantity"}, {"amount_yen"}


class Cost(Struct, frozen=True):
    """An amount of yen, or a quantity of an item, as a tool reported it; ``Purchase.capture`` checks it."""

    amount_yen: Amount | None = None
    item: str | None = None
    quantity: Amount | None = None


def reported_costs(result: Any) -> list[Cost]:
    """The costs in a result, which has one or a list of them; none if it does not say. Raises ``ValueError``."""
    meta = getattr(result, "meta", None)
    if not isinstance(meta, Mapping) or COST not in meta:
        return []
    reported = meta[COST]
    costs = reported if isinstance(reported, list) else [reported]
    if not 0 < len(costs) <= MAX_CAPTURES:
        raise ValueError(f"{COST} must be one cost, or a list of 1 to {MAX_CAPTURES}, not {len(costs)}")
    return [_cost(each) for each in costs]


def _cost(reported: object) -> Cost:
    if isinstance(reported, Mapping):
        if reported.keys() == _AMOUNT:
            return Cost(amount_yen=reported["amount_yen"])
        if "item" in reported and reported.keys() <= _ITEM:
            quantity = reported.get("quantity", 1)
            if quantity is not None:
                return Cost(item=reported["item"], quantity=quantity)
    raise ValueError(f'{COST} must be {{"item": …, "quantity": …}} or {{"amount_yen": …}}, not {reported!r:.200}')
