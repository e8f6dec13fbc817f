"""What people read of budgets: which budget it is, by its window, label and scope, and its figures in yen or calls.

A window is named by its length ("daily budget"): notices are read when they arrive, and a digest arrives the day after.
Labels and the values of facts are what owners and agents wrote. They are inert, and cannot end their quotation.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from credit_wallet.domain.money import format_micros, micros_of
from credit_wallet.notices.inert import inert
from credit_wallet.notices.instants import shown_instant

TEXTS: dict[str, dict[str, tuple[str, str]]] = {
    "budget.threshold_reached": {
        "en": (
            "{threshold_pct}% of the {budget} used",
            "{wallet} has used {used} in its {budget}{scope}.{resets}{held_back}",
        ),
        "ja": (
            "{budget}の{threshold_pct}%を使用しました",
            "{wallet}は{budget}{scope}の{limit}のうち{spent}を使用しました。{resets}{held_back}",
        ),
    },
    "budget.exhausted": {
        "en": (
            "The {budget} is used up",
            "The {budget}{scope} of {wallet} refuses calls: {left}{held}, and {refused} was refused. {wait}{held_back}",
        ),
        "ja": (
            "{budget}の上限に達しました",
            "{wallet}の{budget}{scope}は{left}{held}となり、{refused}を拒否しました。{wait}{held_back}",
        ),
    },
    "budget.raised": {
        "en": (
            "The {budget} was {turned}",
            "The limit of the {budget}{scope} of {wallet} is {raised_limit} instead of {limit} until {raised_until}. "
            "It was {turned} by {raised_by}.",
        ),
        "ja": (
            "{budget}の上限が{turned}られました",
            "{wallet}の{budget}{scope}の上限は、{raised_until}まで{limit}から{raised_limit}に{turned}られました"
            "(変更者: {raised_by})。",
        ),
    },
    "budget.renewed": {
        "en": (
            "The {budget} has started anew",
            "The {budget}{scope} of {wallet} started anew at {window_end}. In the window before, {used} {was} used"
            "{refusals}.{held_back}",
        ),
        "ja": (
            "{budget}の新しい期間が始まりました",
            "{wallet}の{budget}{scope}は{window_end}に新しい期間に入りました。直前の期間は{limit}のうち{spent}を"
            "使用しました。{refusals}{held_back}",
        ),
    },
}

Language = Literal["en", "ja"]

MAX_QUOTED = 100
"""Characters of a label that are shown: it stands in titles, and services cut or refuse long ones."""

_WINDOWS = {
    "en": {
        "minute": "per-minute",
        "hour": "hourly",
        "day": "daily",
        "week": "weekly",
        "month": "monthly",
        "total": "total",
    },
    "ja": {"minute": "1分", "hour": "1時間", "day": "1日", "week": "1週間", "month": "1か月", "total": "通算"},
}
_UNITS = {"en": {"m": "minute", "h": "hour", "d": "day"}, "ja": {"m": "分", "h": "時間", "d": "日"}}
_ROLLING = re.compile(r"rolling:([1-9][0-9]{0,5})([mhd])", re.ASCII)
_BUDGETS = {
    "en": {"yen": "{window} {shadow}budget", "calls": "{window} {shadow}call budget"},
    "ja": {"yen": "{window}の{shadow}予算", "calls": "{window}の{shadow}呼び出し枠"},
}
_SHADOW = {"en": "shadow ", "ja": "シャドー"}
_QUOTED = {"en": "“{text}”", "ja": "「{text}」"}
_QUOTES = str.maketrans("“”「」", "''''")
_NAMES = {
    "en": {"group": "key group", "key_id": "agent key", "item": "item"},
    "ja": {"group": "キーグループ", "key_id": "エージェントキー", "item": "品目"},
}
_WHO = {
    "en": {"operator": "the operator", "payer": "the owner", "product": "the wallet", "seller": "seller {number}"},
    "ja": {"operator": "運営者", "payer": "所有者", "product": "システム", "seller": "販売者{number}"},
}
_RAISED = {"en": "raised", "ja": "引き上げ"}
_LOWERED = {"en": "lowered", "ja": "引き下げ"}
_HELD_BACK = {
    "en": " Other values of this wallet's budgets may follow; their notices are held back for the rest of the hour "
    "(UTC). The list of budgets has every value.",
    "ja": "このほかの値についての予算の通知は、この1時間(UTC)が終わるまで控えます。すべての値は予算の一覧で確認でき"
    "ます。",
}
_UNKNOWN = "…"


def is_of_a_budget(payload: Mapping[str, Any]) -> bool:
    """Whether an event is of a budget that was made; those of the monthly budget have fields of their own."""
    return "window" in payload


def budget_words(payload: Mapping[str, Any], time_zone: str, language: str) -> dict[str, str]:
    """The words of the templates, for one event. What it does not say is left out."""
    told = _Budget(payload, time_zone, "ja" if language == "ja" else "en")
    return {
        "threshold_pct": inert(str(payload.get("threshold_pct", _UNKNOWN))),
        "budget": told.name(),
        "scope": told.scope(),
        "used": told.used(),
        "was": "were" if payload.get("unit") == "calls" else "was",
        "limit": told.amount("limit"),
        "spent": told.amount("spent"),
        "raised_limit": told.amount("raised_limit"),
        "left": told.left(),
        "held": told.held(),
        "refused": told.refused(),
        "refusals": told.refusals(),
        "resets": told.resets(),
        "wait": told.wait(),
        "window_end": told.instant("window_end"),
        "raised_until": told.instant("raised_until"),
        "raised_by": told.raised_by(),
        "turned": told.turned(),
        "held_back": _HELD_BACK[language] if payload.get("held_back") else "",
    }


class _Budget:
    """An event of a budget, phrase by phrase, in one language."""

    def __init__(self, payload: Mapping[str, Any], time_zone: str, language: Language) -> None:
        self._payload = payload
        self._time_zone = time_zone
        self._language = language
        self._english = language == "en"
        self._calls = payload.get("unit") == "calls"
        self._window = str(payload.get("window"))
        self._rolling = _ROLLING.fullmatch(self._window)

    def name(self) -> str:
        called = self._quoted(str(self._payload.get("label") or self._payload.get("budget_id", _UNKNOWN)))
        shadow = _SHADOW[self._language] if self._payload.get("mode") == "shadow" else ""
        of_unit = _BUDGETS[self._language]["calls" if self._calls else "yen"]
        budget = of_unit.format(window=self._length(), shadow=shadow)
        return f"{budget} {called}" if self._english else f"{budget}{called}"

    def _length(self) -> str:
        if self._rolling is None:
            return _WINDOWS[self._language].get(self._window) or inert(self._window)
        count, unit = self._rolling.groups()
        return f"rolling {count}-{_UNITS['en'][unit]}" if self._english else f"直近{count}{_UNITS['ja'][unit]}"

    def scope(self) -> str:
        """The conditions, with the values that this is about."""
        conditions = list(self._conditions())
        if not conditions:
            return ""
        return f" for {' and '.join(conditions)}" if self._english else f"({'、'.join(conditions)})"

    def _conditions(self) -> Iterator[str]:
        scope, values = self._payload.get("scope"), self._payload.get("values")
        if isinstance(scope, dict):
            filled = {**scope, **values} if isinstance(values, dict) else scope
            for name, value in filled.items():
                yield self._condition(str(name), str(value))

    def _condition(self, name: str, value: str) -> str:
        called = _NAMES[self._language].get(name) or inert(name.removeprefix("fact."))
        if value == "*":
            return f"each {called}" if self._english else f"{called}ごと"
        if name == "key_id":
            return f"{called} {inert(value)}" if self._english else f"{called}{inert(value)}"
        return f"{called} {self._quoted(value)}" if self._english else f"{called}{self._quoted(value)}"

    def _quoted(self, text: str) -> str:
        short = text if len(text) <= MAX_QUOTED else f"{text[: MAX_QUOTED - 1]}…"
        return _QUOTED[self._language].format(text=inert(short).translate(_QUOTES))

    def amount(self, name: str) -> str:
        """A figure with its unit: ¥3.3, 12 calls."""
        number = self._number(name)
        if not self._calls:
            return number
        return f"{number} call{'' if number == '1' else 's'}" if self._english else f"{number}回"

    def _number(self, name: str) -> str:
        micros = self._micros(name)
        if micros is None:
            return _UNKNOWN
        return format_micros(micros).removeprefix("¥") if self._calls else format_micros(micros)

    def _micros(self, name: str) -> int | None:
        try:
            return micros_of(self._payload.get(name))
        except ValueError:
            return None

    def used(self) -> str:
        return f"{self._number('spent')} of {self.amount('limit')}"

    def left(self) -> str:
        if not self._english:
            return f"残り{self.amount('left')}(上限{self.amount('limit')})"
        return f"{self._number('left')} of {self.amount('limit')} {'are' if self._calls else 'is'} left"

    def held(self) -> str:
        if self._payload.get("held", "0") == "0":
            return ""
        return f" ({self.amount('held')} on hold)" if self._english else f"、確保中{self.amount('held')}"

    def refused(self) -> str:
        if self._calls:
            return "another call" if self._english else "次の呼び出し"
        return f"a call of {self.amount('refused')}" if self._english else f"{self.amount('refused')}の呼び出し"

    def refusals(self) -> str:
        count = self._payload.get("refusals")
        if not isinstance(count, int) or not count:
            return ""
        if not self._english:
            return f"上限として働いていれば、{count:,}回の呼び出しを拒否していました。"
        return f", and {count:,} call{'' if count == 1 else 's'} would have been refused"

    def instant(self, name: str) -> str:
        at = self._payload.get(name)
        return shown_instant(at, self._time_zone) if isinstance(at, str) else _UNKNOWN

    def _after(self) -> str | None:
        """After which time spending leaves a rolling window."""
        if self._rolling is None:
            return None
        count, unit = self._rolling.groups()
        return f"{count} {_UNITS['en'][unit]}{'' if count == '1' else 's'}" if self._english else self._length()[2:]

    def resets(self) -> str:
        """When the budget has room again, as a sentence."""
        if after := self._after():
            return f" Each use leaves it after {after}." if self._english else f"使用分は{after}後に予算へ戻ります。"
        if not isinstance(self._payload.get("resets_at"), str):
            return ""
        at = self.instant("resets_at")
        return f" It starts anew at {at}." if self._english else f"{at}に新しい期間が始まります。"

    def wait(self) -> str:
        """What to do, as a sentence. Of no limit at all nothing comes back."""
        is_none = self._payload.get("limit") == "0"
        if not is_none and (after := self._after()):
            return (
                f"Raise the limit, or wait: each use leaves this budget after {after}."
                if self._english
                else f"上限を引き上げるか、お待ちください。使用分は{after}後に予算へ戻ります。"
            )
        if is_none or not isinstance(self._payload.get("resets_at"), str):
            return "Raise the limit to continue." if self._english else "続けるには上限を引き上げてください。"
        at = self.instant("resets_at")
        return (
            f"Raise the limit, or wait until {at}."
            if self._english
            else f"上限を引き上げるか、{at}までお待ちください。"
        )

    def turned(self) -> str:
        """Where another limit until an instant is from the usual one."""
        is_lower = (self._micros("raised_limit") or 0) < (self._micros("limit") or 0)
        return (_LOWERED if is_lower else _RAISED)[self._language]

    def raised_by(self) -> str:
        who, _, number = str(self._payload.get("raised_by")).partition(":")
        words = _WHO[self._language].get(who)
        return inert(who) if words is None else words.format(number=inert(number))
