"""Who hears of what, and when: which targets get an event, and how many notices an hour. Pure."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

from credit_wallet.domain.cycle import format_instant
from credit_wallet.notices.targets import OPERATOR, Target
from credit_wallet.notices.texts import FOR_OPERATORS, FOR_PEOPLE, MONEY_KINDS
from credit_wallet.notices.timing import first_attempt_at, postponed_to

NOTICES_AN_HOUR = 100
"""That an owner's target gets; those above it are put off until the hours that follow …"""

OPERATORS_NOTICES_AN_HOUR = 10_000
"""… likewise for a target of the operator's, which hears of every wallet."""

OF_A_WALLET_AN_HOUR = 1_000
"""Notices of one wallet that the operator gets; those above it are dead at once, so that no owner fills the operator's
hour. Notices of payments are sent all the same.
"""

VALUES_OF_A_BUDGET_AN_HOUR = 20
"""Notices about single values of a budget that go out, of all those that agents make cross it …"""

VALUES_OF_A_WALLET_AN_HOUR = 50
"""… and of all budgets of a wallet. The last one says that there may be others, which are dead at once: an agent that
makes up values must not keep notices about the wallet waiting.
"""

MAX_HOURS_AHEAD = 24
"""For which notices are put off; what is still above that is dead at once, but for notices of payments."""

TOO_MANY = "more notices than a day takes wait for this target"
TOO_MANY_VALUES = "notices about other values of this wallet's budgets are held back for the rest of the hour"
TOO_MANY_OF_WALLET = "the operator has got as many notices of this wallet as an hour takes"


def hears(target: Target, kind: str, occurred_at: str) -> bool:
    """Whether an event is sent to a target of its wallet, or of the operator: if it happened since there is the target.

    A target that names no kinds hears of all that people should.
    """
    is_ours = target.wallet_id == OPERATOR or kind not in FOR_OPERATORS
    is_reachable = target.stopped is None and target.confirm_by is None
    return is_ours and is_reachable and kind in (target.kinds or FOR_PEOPLE) and occurred_at >= target.created_at


def is_bounded(kind: str) -> bool:
    """Whether an event counts among those of which the operator gets ``OF_A_WALLET_AN_HOUR``."""
    return kind not in MONEY_KINDS and kind not in FOR_OPERATORS


class Place(Struct, frozen=True):
    """When a notice is due; or why it is not sent at all."""

    due_at: str
    dead_because: str | None = None


class Allotment:
    """What a target gets at one time, within its limit of an hour."""

    def __init__(self, target: Target, now: datetime) -> None:
        self._target = target
        self._now = now
        self._max_an_hour = OPERATORS_NOTICES_AN_HOUR if target.wallet_id == OPERATOR else NOTICES_AN_HOUR
        self.hour = format_instant(now)[:13]
        self.notices = left_of_hour(target, now, self._max_an_hour)
        self.due_at: str | None = None
        """When the first of them is due."""

    def next(self, kind: str) -> Place:
        """Where the next notice comes."""
        hours_ahead = self.notices // self._max_an_hour
        if hours_ahead >= MAX_HOURS_AHEAD and kind not in MONEY_KINDS:
            return self.none(TOO_MANY)
        self.notices += 1
        due_at = format_instant(first_attempt_at(self._target, postponed_to(self._now, hours_ahead)))
        self.due_at = due_at if self.due_at is None else min(self.due_at, due_at)
        return Place(due_at)

    def none(self, why: str) -> Place:
        """Of a notice that is not sent at all."""
        return Place(format_instant(self._now), why)


def left_of_hour(target: Target, now: datetime, max_an_hour: int) -> int:
    """How many earlier notices take up places of this hour and those after it, at ``max_an_hour``."""
    if not target.hour:
        return 0
    then = datetime.fromisoformat(f"{target.hour}:00:00+00:00")
    hours = max(0, int((now - then).total_seconds() // 3_600))
    return max(0, target.hour_notices - hours * max_an_hour)
