"""Budgets in words: what each limits, how much, in which window, and what happens when it is used up."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from markupsafe import Markup, escape

from credit_wallet.pages.formats import Formats
from credit_wallet.pages.visit import Visit
from credit_wallet.pages.words import text

EACH = "*"

MODES = {"cap": text("Stops"), "alert": text("Warns"), "shadow": text("Watches")}

MODES_AT_LENGTH = {
    "cap": text("Stops: refuses what would exceed the limit"),
    "alert": text("Warns: lets everything through and sends a notice"),
    "shadow": text("Watches: lets everything through and counts what it would have refused"),
}

WINDOWS = {
    "minute": text("a minute"),
    "hour": text("an hour"),
    "day": text("a day"),
    "week": text("a week"),
    "month": text("a month"),
    "total": text("in all"),
    "rolling:1h": text("in any hour"),
    "rolling:24h": text("in any 24 hours"),
    "rolling:7d": text("in any 7 days"),
    "rolling:30d": text("in any 30 days"),
}
"""The windows that people choose from; a budget may have another length."""

WEEK_STARTS = {
    "monday": text("Monday"),
    "tuesday": text("Tuesday"),
    "wednesday": text("Wednesday"),
    "thursday": text("Thursday"),
    "friday": text("Friday"),
    "saturday": text("Saturday"),
    "sunday": text("Sunday"),
}

CHANGED_BY = {
    "payer": text("the owner"),
    "operator": text("the operator"),
    "product": text("the wallet itself"),
}

_NAMES = {
    "limit": text("Limit"),
    "mode": text("When it is used up"),
    "label": text("Name"),
    "group": text("Group"),
    "shares_pct": text("Notices at"),
    "raised_limit": text("Raised to"),
    "raised_until": text("Raised until"),
}
"""What of a budget a change tells."""

_LIMITS = {
    "minute": text("{limit} a minute"),
    "hour": text("{limit} an hour"),
    "day": text("{limit} a day"),
    "week": text("{limit} a week"),
    "month": text("{limit} a month"),
    "total": text("{limit} in all"),
}

_SPANS = {
    "m": text("{limit} in any {n} minutes"),
    "h": text("{limit} in any {n} hours"),
    "d": text("{limit} in any {n} days"),
}

_ROLLING = re.compile(r"rolling:([0-9]+)([mhd])", re.ASCII)


class BudgetWords:
    """Says what budgets are; ``keys`` are the labels of agent keys by their ids, ``budgets`` those that have names."""

    def __init__(
        self,
        visit: Visit,
        keys: Mapping[str, str | None],
        budgets: Mapping[str, Mapping[str, Any]] = MappingProxyType({}),
    ) -> None:
        self._budgets = budgets
        self._words = visit.words
        self._formats = Formats(visit.words.language)
        self._keys = keys

    def amount(self, value: str, unit: str) -> Markup:
        """Yen, or a number of calls."""
        if unit == "yen":
            return self._formats.money(value)
        return self._words.count("{n} call", "{n} calls", int(value))

    def limit(self, budget: Mapping[str, Any]) -> Markup:
        """The limit that counts now, and its window: ``¥2,500 a day``."""
        return self.limit_of(budget["raised_limit"] or budget["limit"], budget)

    def limit_of(self, value: str, budget: Mapping[str, Any]) -> Markup:
        """Another limit of a budget, in its window."""
        limit = self.amount(value, budget["unit"])
        if (span := _ROLLING.fullmatch(budget["window"])) is not None:
            return self._words.say(_SPANS[span[2]], limit=limit, n=span[1])
        return self._words.say(_LIMITS[budget["window"]], limit=limit)

    def scope(self, scope: Mapping[str, str]) -> list[Markup]:
        """Which charges count, a text for each condition; of the whole wallet, one that says so."""
        if not scope:
            return [self._words.say("everything the wallet spends")]
        return [self._condition(name, value) for name, value in scope.items()]

    def _condition(self, name: str, value: str) -> Markup:
        say = self._words.say
        match name:
            case "key_id":
                return say("each key") if value == EACH else say("key {key}", key=self.key(value))
            case "group":
                return say("group {group}", group=value)
            case "item":
                return say("each item") if value == EACH else say("item {item}", item=value)
        fact = name.removeprefix("fact.")
        if value == EACH:
            return say("each value of {fact}", fact=fact)
        return say("{fact} is {value}", fact=fact, value=value)

    def value(self, budget: Mapping[str, Any], value: str) -> Markup:
        """One value of a budget for each value: an agent key by its name, another as it is."""
        names = [name for name, each in budget["scope"].items() if each == EACH]
        return self.key(value) if names == ["key_id"] else escape(value)

    def key(self, key_id: str) -> Markup:
        """An agent key by its name, or else its number."""
        label = self._keys.get(key_id)
        return self._words.say("Key {id}", id=key_id) if label is None else escape(label)

    def name(self, budget: Mapping[str, Any]) -> Markup:
        """What a budget is called: its label, or else its limit."""
        kind = budget["budget_id"].partition("-")[0]
        if kind == "monthly":
            return self._words.say("Monthly budget")
        if kind == "key":
            return self._words.say("Cap of {key}", key=budget["label"] or self.key(budget["scope"]["key_id"]))
        if budget["label"]:
            return escape(budget["label"])
        return self.limit_of(budget["limit"], budget)

    def changed(self, change: Mapping[str, Any]) -> Markup:
        """What the budget of a change is called, which may be deleted."""
        name = change["budget_id"]
        known = self._budgets.get(name)
        if known is not None:
            return self.name(known)
        kind, _, number = name.partition("-")
        if kind == "budget":
            left = change["after"] or change["before"]
            return escape(left.get("label") or name)
        return self.name({"budget_id": name, "label": None, "scope": {"key_id": number}})

    def difference(self, change: Mapping[str, Any], formats: Formats) -> list[Markup]:
        """What a change changed, a line for each thing; of a budget that was made or deleted, what it was."""
        before, after = change["before"], change["after"]
        unit = self._unit(change)
        if before is None or after is None:
            return [self._whole(change, after or before)]
        return [
            self._words.say(
                "{name}: {before} → {after}",
                name=self._words.say(_NAMES[name]),
                before=self._value(before[name], name, unit, formats),
                after=self._value(after[name], name, unit, formats),
            )
            for name in after
            if name in _NAMES
        ]

    def _whole(self, change: Mapping[str, Any], budget: Mapping[str, Any]) -> Markup:
        """All of a budget that was made or deleted, in a line."""
        window, unit = budget.get("window", "month"), self._unit(change) or "yen"
        is_limited = budget["limit"] != "0" or change["budget_id"].startswith("budget-")
        limit = self.limit_of(budget["limit"], {"window": window, "unit": unit})
        said = [limit if is_limited else self._words.say("no limit")]
        said += self.scope(budget["scope"]) if "scope" in budget else []
        said += [self._words.say("group {group}", group=budget["group"])] if budget.get("group") else []
        said += [self._words.say(MODES[budget["mode"]])] if "mode" in budget else []
        return Markup(" · ").join(said)

    def _unit(self, change: Mapping[str, Any]) -> str | None:
        """What a change's budget counts; None when that is not known any more."""
        name = change["budget_id"]
        for known in (change["before"], change["after"], self._budgets.get(name)):
            if known is not None and "unit" in known:
                return str(known["unit"])
        return None if name.startswith("budget-") else "yen"

    def _value(self, value: Any, name: str, unit: str | None, formats: Formats) -> Markup:
        if value is None or value == "":
            return self._words.say("none")
        match name:
            case "limit" | "raised_limit":
                return escape(formats.number(value)) if unit is None else self.amount(value, unit)
            case "mode":
                return self._words.say(MODES[value])
            case "raised_until":
                return formats.time(value)
            case "shares_pct":
                return escape(", ".join(f"{share} %" for share in value))
        return escape(value)

    def changed_by(self, who: str) -> Markup:
        """Who changed a budget."""
        if who in CHANGED_BY:
            return self._words.say(CHANGED_BY[who])
        return self._words.say("seller {id}", id=who.partition(":")[2])
