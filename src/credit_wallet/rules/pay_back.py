"""How much unused credit may be paid back under Japan's Payment Services Act (資金決済法, art. 20(5)).

Paying back is forbidden in principle. Of the exceptions two are figures: in a base period up to 20 % of what was issued
in the period before, or up to 5 % of what was unused at the base date before. Base dates are 31 March and 30 September.
Not legal advice.
"""

from __future__ import annotations

from datetime import date, datetime, time, timedelta, timezone
from typing import Protocol

from msgspec import Struct

from credit_wallet.domain.commands import PayBack, PayBackLimit
from credit_wallet.domain.cycle import format_instant
from credit_wallet.domain.money import MICROS, both, format_yen, whole_yen
from credit_wallet.domain.outcomes import PaidBack
from credit_wallet.domain.topups import Clawback, clawed_back_yen, pay_back_id_of
from credit_wallet.errors import PayBackNotAllowed, RefundExceedsCharge, TopupNotFound, WalletError
from credit_wallet.rules.batch import Batch
from credit_wallet.rules.by_hand import leave_act
from credit_wallet.rules.money_in import match_taken, note_step
from credit_wallet.rules.state import WalletState

TOKYO = timezone(timedelta(hours=9))
"""Without summer time since 1951; a plain Python may lack a time zone database."""
ISSUED_SHARE_PCT = 20
UNUSED_SHARE_PCT = 5


class Figures(Protocol):
    """The sums that the limit needs from the ledger; instants are as it writes them."""

    def issued_yen(self, start: str, end: str) -> int:
        """Paid credit that came in."""

    def unused_yen(self, end: str) -> int:
        """What was left."""

    def paid_back_yen(self, start: str) -> int:
        """What was paid back."""


class LimitFigures(Figures, Protocol):
    """The same, for a limit."""

    def paid_back_without_cause_yen(self, start: str) -> int:
        """What was paid back by entries that name no cause, as before migration 294."""


class PayBackRoom(Struct, frozen=True):
    """What the law allows to be paid back in the period since ``base_date``, and how much of it is left."""

    base_date: str
    issued_yen: int
    unused_yen: int
    allowed_yen: int
    paid_back_yen: int

    @property
    def left_yen(self) -> int:
        """What may still be paid back in this period."""
        return max(0, self.allowed_yen - self.paid_back_yen)


def base_dates(today: date) -> tuple[date, date]:
    """The two base dates before ``today`` (in Tokyo), the later one first."""
    years = (today.year, today.year - 1, today.year - 2)
    dates = sorted((date(year, *day) for year in years for day in ((3, 31), (9, 30))), reverse=True)
    latest, before, *_ = [each for each in dates if each < today]
    return latest, before


def period_start(now: datetime) -> str:
    """When the current period began."""
    return _after(base_dates(now.astimezone(TOKYO).date())[0])


def pay_back_room(figures: Figures, now: datetime) -> PayBackRoom:
    """What may be paid back now."""
    latest, before = base_dates(now.astimezone(TOKYO).date())
    start, end = _after(before), _after(latest)
    issued_yen, unused_yen = figures.issued_yen(start, end), figures.unused_yen(end)
    allowed_yen = max(issued_yen * ISSUED_SHARE_PCT // 100, unused_yen * UNUSED_SHARE_PCT // 100)
    return PayBackRoom(latest.isoformat(), issued_yen, unused_yen, allowed_yen, figures.paid_back_yen(end))


def pay_back_limit(figures: LimitFigures, now: datetime) -> PayBackLimit:
    """The limit that pay-backs are decided by; it does not change with the pay-backs of the current period."""
    room = pay_back_room(figures, now)
    return PayBackLimit(room.base_date, room.allowed_yen - figures.paid_back_without_cause_yen(period_start(now)))


def pay_back(batch: Batch, wallet: WalletState, command: PayBack) -> PaidBack | WalletError:
    """Take unused credit out of the wallet before the provider is asked to pay it back; never makes a debt."""
    topup = batch.snapshot.topups.get(command.topup_id)
    if topup is None or topup.wallet_id != wallet.wallet_id or topup.status != "credited":
        return TopupNotFound(
            f"wallet {wallet.wallet_id} has no credited top-up {command.topup_id}", topup_id=command.topup_id
        )
    pay_back_id = pay_back_id_of(command.wallet_id, command.idempotency_key)
    before = topup.clawbacks.get(pay_back_id)
    if (before is None or before.status != "withdrawn") and (refusal := _refusal(batch, command)):
        return refusal
    unused_micros = sum(lot.remaining_micros for lot in wallet.lots if lot.lot_id == topup.credit_txn_id)
    left_yen = max(0, min(whole_yen(unused_micros), topup.received_yen - clawed_back_yen(topup)))
    if command.amount_yen > left_yen:
        return RefundExceedsCharge(
            f"{format_yen(left_yen)} of top-up {topup.topup_id} is unused",
            topup_id=topup.topup_id,
            **both(refundable=left_yen * MICROS),
        )
    reversed_yen = topup.reversed_yen
    topup.clawbacks[pay_back_id] = Clawback(pay_back_id, "pay_back", command.amount_yen, "withdrawn")
    match_taken(batch, wallet, topup, "pay_back")
    batch.snapshot.paid_back_yen += topup.reversed_yen - reversed_yen
    batch.decision.touched_topups[topup.topup_id] = topup
    note_step(batch, wallet, topup, "topup.clawed_back")
    leave_act(batch, command, "topup.paid_back", f"topup:{topup.topup_id}", command.amount_yen * MICROS)
    return PaidBack(wallet.wallet_id, command.amount_yen * MICROS, wallet.balance_micros, topup_id=topup.topup_id)


def _refusal(batch: Batch, command: PayBack) -> PayBackNotAllowed | None:
    """Why the law leaves no room for a pay-back. The snapshot has what was paid back by others in the period."""
    limit = command.limit
    if limit is None:
        return None
    if limit.base_date != base_dates(batch.now.astimezone(TOKYO).date())[0].isoformat():
        return PayBackNotAllowed("a new period has begun; try again with the same idempotency key")
    left_yen = max(0, limit.limit_yen - batch.snapshot.paid_back_yen)
    if command.amount_yen <= left_yen:
        return None
    return PayBackNotAllowed(
        f"{format_yen(left_yen)} may still be paid back in the period since {limit.base_date}", left_yen=left_yen
    )


def _after(day: date) -> str:
    """The first instant after a day in Tokyo."""
    return format_instant(datetime.combine(day + timedelta(days=1), time(), TOKYO))
