"""Usage as it is shown: what charges of a period add up to, for one value of a dimension."""

from __future__ import annotations

from msgspec import Struct

from credit_wallet.domain.money import Exact, WholeYen
from credit_wallet.domain.usage_periods import Every


class UsageRow(Struct, frozen=True):
    """The charges of a period that have ``value``, or those without the dimension.

    ``period`` is by the wallet's clocks (``2026-05``, ``2026-05-15``, ``2026-05-15T18:00+09:00``) and begins at the
    instant ``starts_at``. ``quantity`` is there when all are for one ``item``. ``refunded`` was refunded in the period,
    of charges of any; a refund counts for what its charge was for.
    """

    period: str
    starts_at: str
    value: str | None
    charges: int
    amount_micros: int
    refunded_micros: int
    item: str | None
    quantity_micros: int | None

    amount_yen = WholeYen()
    amount = Exact()
    refunded_yen = WholeYen()
    refunded = Exact()
    quantity = Exact()


class UsageReport(Struct, frozen=True):
    """A page of usage, in the order of periods and values; ``next_cursor`` continues.

    Counting begins with the wallet's first charge by an agent key, for an item or with facts, at
    ``counted_from``. Everything from then on up to ledger entry ``counted_to_txn_id``, which was written at
    ``counted_to``, is counted. ``is_current`` says that the wallet has no entry after it.
    """

    wallet_id: int
    by: str | None
    every: Every
    time_zone: str
    since: str
    until: str
    rows: list[UsageRow]
    next_cursor: str | None
    counted_from: str | None
    counted_to_txn_id: int
    counted_to: str | None
    is_current: bool
