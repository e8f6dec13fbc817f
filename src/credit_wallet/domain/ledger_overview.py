"""What operators see of the whole ledger at a glance: what is outstanding, what moved by day, what needs a person."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from msgspec import Struct

from credit_wallet.domain.money import Exact, WholeYen, WholeYenUp, decimal_of, whole_yen

CaseKind = Literal[
    "wallets_in_debt",
    "wallets_exhausted",
    "topups_failed",
    "topups_uncredited",
    "auto_topups_stopped",
    "deliveries_dead",
    "targets_unconfirmed",
]


class DayFigures(Struct, frozen=True):
    """What a day, or a part of one, brought in and took out, transfers between wallets left out.

    ``paid_in`` is credit that was paid for, ``given`` promotional credit; ``spent`` are charges, and ``refunded`` what
    was given back of charges of any day; ``lapsed`` is credit that expired, and ``taken_back`` what was clawed back,
    paid back or corrected, less what was returned of such: it may be below zero.
    """

    day: str
    starts_at: str
    ends_at: str
    charges: int
    paid_in_micros: int
    given_micros: int
    spent_micros: int
    refunded_micros: int
    lapsed_micros: int
    taken_back_micros: int

    paid_in_yen, paid_in = WholeYen(), Exact()
    given_yen, given = WholeYen(), Exact()
    spent_yen, spent = WholeYen(), Exact()
    refunded_yen, refunded = WholeYen(), Exact()
    lapsed_yen, lapsed = WholeYen(), Exact()
    taken_back_yen, taken_back = WholeYen(), Exact()


class CaseView(Struct, frozen=True):
    """One thing that needs a person: ``id`` of the wallet, the top-up, the delivery or the target, and whose it is."""

    id: str
    wallet_id: int
    label: str | None
    amount_micros: int | None
    at: str | None
    reason: str | None

    @property
    def amount_yen(self) -> int | None:
        """Whole yen of the amount, rounded up as those of a debt are."""
        return None if self.amount_micros is None else -whole_yen(-self.amount_micros)

    @property
    def amount(self) -> Decimal | None:
        """The exact amount: what a wallet owes, or what a top-up was for."""
        return None if self.amount_micros is None else decimal_of(self.amount_micros)


class Cases(Struct, frozen=True):
    """Things of a kind that need a person: how many there are, up to 1,000, and the first of them."""

    kind: CaseKind
    count: int
    more: bool
    first: list[CaseView]


class LedgerOverview(Struct, frozen=True):
    """The whole ledger at a glance: all wallets as they were at ``counted_at``, and entries up to ``counted_to``.

    ``days`` are fifteen, the last of them today up to now, in ``time_zone``; ``last_week`` is the part of the same day
    of last week that had passed at this time of day, to a quarter of an hour.
    """

    counted_at: str
    counted_to: str | None
    time_zone: str
    wallets: int
    frozen: int
    closed: int
    balance_micros: int
    paid_micros: int
    promo_micros: int
    held_micros: int
    debt_micros: int
    days: list[DayFigures]
    last_week: DayFigures
    cases: list[Cases]

    balance_yen, balance = WholeYen(), Exact()
    paid_yen, paid = WholeYen(), Exact()
    promo_yen, promo = WholeYen(), Exact()
    held_yen, held = WholeYen(), Exact()
    debt_yen, debt = WholeYenUp(), Exact()
