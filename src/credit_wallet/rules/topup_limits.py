"""The limits on automatic top-ups: the operator's and the owner's own, of which the stricter counts."""

from __future__ import annotations

from typing import Literal, NamedTuple, TypeAlias

from credit_wallet.domain.commands import RequestAutoTopup
from credit_wallet.domain.topups import AutoToppedUp
from credit_wallet.rules.state import WalletState

Limit: TypeAlias = Literal["payment", "day", "month"]
SetBy: TypeAlias = Literal["operator", "owner"]


class Room(NamedTuple):
    """What the strictest limit leaves, which one it is, and who has set it."""

    left_yen: int
    limit: Limit
    set_by: SetBy


def room_of(wallet: WalletState, command: RequestAutoTopup, before: AutoToppedUp) -> Room:
    """What the limits of a single payment, the day and the month leave after the automatic top-ups ``before``.

    The operator's days and months are those of UTC, the owner's those of the wallet's time zone. Of equal limits the
    operator's is named, which the owner cannot raise.
    """
    rooms = [Room(command.max_yen, "payment", "operator")]
    limits: tuple[tuple[int, int, Limit, SetBy], ...] = (
        (command.daily_yen, before.today_yen, "day", "operator"),
        (command.monthly_yen, before.month_yen, "month", "operator"),
        (wallet.auto_topup_daily_yen, before.own_today_yen, "day", "owner"),
        (wallet.auto_topup_monthly_yen, before.own_month_yen, "month", "owner"),
    )
    rooms += [Room(max(0, most - used), limit, set_by) for most, used, limit, set_by in limits if most]
    return min(rooms, key=lambda room: room.left_yen)
