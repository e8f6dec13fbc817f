"""Budgets: a limit on what charges of a wallet may spend, in a window and within a scope.

A budget is of yen or of calls. Inside there is one measure, the micros of its unit: a call is 1,000,000 of them, so one
arithmetic serves both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, TypeAlias

from msgspec import Struct

from credit_wallet.domain.money import MICROS
from credit_wallet.domain.usage import Usage
from credit_wallet.domain.windows import rolling_seconds

Unit: TypeAlias = Literal["yen", "calls"]
Mode: TypeAlias = Literal["alert", "cap", "shadow"]
"""An alert tells, a cap refuses, and a shadow decides as a cap does, records it, and lets everything through."""

CALL = MICROS
"""One call, in micros of the unit ``calls``."""

DEFAULT_SHARES_PCT = (80, 100)
MAX_SHARES = 10
MAX_SHARE_PCT = 1_000

MAX_CONDITIONS = 4
"""Conditions of a scope."""

MAX_LIMIT = 10**12
"""Yen, or calls."""

EACH = "*"
"""A condition's value: each value has a limit of its own."""

BETWEEN_VALUES = "\x1f"
"""Separates the values of a counter. Values are printable, this is not."""

_ESCAPED_OR_BETWEEN = re.compile(r"\\(.)|, ")

GROUP, KEY, ITEM = ".group", ".key_id", ".item"
"""Names of conditions that are not facts; no fact's key begins so."""

NOT_FACTS = ("group", "key_id", "item", "key")
"""Names that mean no fact outside; a fact that is called so is ``fact.item`` there."""

KEY_GROUP = re.compile(r"[a-z0-9_-]+(/[a-z0-9_-]+){0,3}", re.ASCII)
"""A group of agent keys, inside up to three others: ``acme/research/search``."""

MAX_GROUP_LENGTH = 100

Condition: TypeAlias = tuple[str, str]
Scope: TypeAlias = tuple[Condition, ...]
"""What a budget is for: name and value of each condition, sorted by name. All must be met; none is the whole wallet."""


class Budget(Struct, frozen=True, gc=False):
    """A budget as its owner has set it. ``raised_micros`` is its limit until ``raised_until``."""

    budget_id: int
    wallet_id: int
    label: str | None
    unit: Unit
    limit_micros: int
    window: str
    scope: Scope
    mode: Mode
    shares_pct: tuple[int, ...]
    time_zone: str
    week_start: str
    raised_micros: int | None
    raised_until: str | None
    created_at: str

    def limit_at(self, at: str) -> int:
        """The limit at an instant, in micros of the unit."""
        if self.raised_micros is not None and self.raised_until is not None and at < self.raised_until:
            return self.raised_micros
        return self.limit_micros

    def cost_of(self, amount_micros: int) -> int:
        """What a charge of ``amount_micros`` counts for."""
        return amount_micros if self.unit == "yen" else CALL

    @property
    def rolls(self) -> int | None:
        """The seconds of a rolling window."""
        return rolling_seconds(self.window)


class Reserved(Struct, frozen=True, array_like=True, gc=False):
    """That a hold reserves in a counter. ``is_held`` is 0 in a shadow budget that would have refused the hold."""

    budget_id: int
    value: str
    is_held: int = 1


Labels: TypeAlias = Mapping[str, str]
"""What scopes ask of a charge: its key, group and item if it has them, and its facts, by the names of conditions."""


def labels_of(key_id: int | None, group: str | None, usage: Usage | None) -> dict[str, str]:
    """The labels of a charge by an agent key of a group. Of two facts with the same key, the seller's counts."""
    labels: dict[str, str] = {}
    if usage is not None:
        labels.update(usage.agent_facts)
        labels.update(usage.facts)
        if usage.item is not None:
            labels[ITEM] = usage.item
    if key_id is not None:
        labels[KEY] = str(key_id)
        if group:
            labels[GROUP] = group
    return labels


def counted_as(scope: Scope, labels: Labels) -> str | None:
    """The value under which a budget of ``scope`` counts a charge, empty unless it is for each value of something;
    None when the charge is out of the scope.
    """
    values = []
    for name, wanted in scope:
        label = labels.get(name)
        if label is None:
            return None
        if wanted == EACH:
            values.append(label)
        elif label != wanted and not (name == GROUP and label.startswith(wanted + "/")):
            return None
    return BETWEEN_VALUES.join(values)


def shown_scope(scope: Scope) -> dict[str, str]:
    """A scope as everybody sees it, its conditions in order; a fact that is called as a label is ``fact.item``."""
    return {_shown_name(name): value for name, value in scope}


def values_in(scope: Scope, value: str) -> dict[str, str]:
    """The values of a counter, by the conditions that they fill, as everybody sees these."""
    names = [_shown_name(name) for name, wanted in scope if wanted == EACH]
    return dict(zip(names, value.split(BETWEEN_VALUES), strict=True)) if names else {}


def shown_value(value: str) -> str:
    """The value of a counter as everybody sees it: several with ``, `` between them, and a comma of their own as
    ``\\,``, so that no two look alike.
    """
    if BETWEEN_VALUES not in value:
        return value
    return ", ".join(each.replace("\\", "\\\\").replace(",", "\\,") for each in value.split(BETWEEN_VALUES))


def stored_value(scope: Scope, shown: str) -> str:
    """The value of a counter that ``shown_value`` has shown."""
    if sum(wanted == EACH for _, wanted in scope) < 2:
        return shown
    return _ESCAPED_OR_BETWEEN.sub(lambda found: found[1] or BETWEEN_VALUES, shown)


def _shown_name(name: str) -> str:
    if name.startswith("."):
        return name[1:]
    return f"fact.{name}" if name in NOT_FACTS else name


# By which label a budget is found


def anchor_of(scope: Scope) -> str:
    """The condition of a scope that the fewest charges meet, by which the budget is found: ``run=r1``, or ``run`` when
    it is for each value.
    """
    return min((_anchor(*condition) for condition in scope), key=_how_many, default="")


def anchors_of(labels: Labels, kinds: frozenset[str]) -> list[str]:
    """Where the budgets that a charge can match are found, given the ``kinds`` of anchors that there are."""
    anchors = [""] if "" in kinds else []
    for name, value in labels.items():
        if name in kinds:
            anchors.append(name)
            anchors += [f"{name}={each}" for each in (groups_above(value) if name == GROUP else (value,))]
    return anchors


def kind_of(anchor: str) -> str:
    """The name of the condition that an anchor is."""
    return anchor.partition("=")[0]


def _anchor(name: str, value: str) -> str:
    return name if value == EACH else f"{name}={value}"


def _how_many(anchor: str) -> tuple[bool, int, str]:
    name, _, value = anchor.partition("=")
    rank = {GROUP: 3, ITEM: 2, KEY: 1}.get(name, 0)
    return not value, rank, anchor


def groups_above(group: str) -> list[str]:
    """A group and those that it is in."""
    parts = group.split("/")
    return ["/".join(parts[:length]) for length in range(1, len(parts) + 1)]
