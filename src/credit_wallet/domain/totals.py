"""Figures of the ledger as a whole."""

from __future__ import annotations

from msgspec import Struct

from credit_wallet.domain.money import Exact, WholeYen, WholeYenUp


class LedgerTotals(Struct, frozen=True):
    """All wallets together as they were at ``counted_at``, and what moved in ``month`` (UTC) to ``month_counted_to``.

    ``paid`` and ``promo`` are what the balance is made of. ``exhausted`` are wallets, not closed ones,
    that have nothing they could spend.
    ``credited`` is what came in without transfers and without refunds, ``taken_back`` what went out likewise.
    """

    counted_at: str
    wallets: int
    frozen: int
    closed: int
    in_debt: int
    exhausted: int
    balance_micros: int
    paid_micros: int
    promo_micros: int
    held_micros: int
    debt_micros: int
    month: str
    month_counted_to: str | None
    credited_micros: int
    charged_micros: int
    refunded_micros: int
    expired_micros: int
    taken_back_micros: int

    balance_yen, balance = WholeYen(), Exact()
    paid_yen, paid = WholeYen(), Exact()
    promo_yen, promo = WholeYen(), Exact()
    held_yen, held = WholeYen(), Exact()
    debt_yen, debt = WholeYenUp(), Exact()
    credited_yen, credited = WholeYen(), Exact()
    charged_yen, charged = WholeYen(), Exact()
    refunded_yen, refunded = WholeYen(), Exact()
    expired_yen, expired = WholeYen(), Exact()
    taken_back_yen, taken_back = WholeYen(), Exact()
