"""Grants: credit that is due once or every month."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Literal

from credit_wallet.domain.cycle import FIRST_YEAR, LAST_YEAR, format_instant, parse_end
from credit_wallet.domain.grants import MAX_DAYS_AGO, MAX_LAPSE_DAYS, GrantOccurrence, GrantView, Lapse, Rhythm
from credit_wallet.domain.money import is_amount
from credit_wallet.errors import InvalidAmount, InvalidRequest
from credit_wallet.idempotency_keys import new_idempotency_key
from credit_wallet.ledger.ledger import Ledger, checked_page
from credit_wallet.rules.usage import Amount, checked_amount
from credit_wallet.rules.validation import (
    MAX_ID,
    checked_after,
    checked_end,
    checked_id,
    is_idempotency_key,
    malformed_text,
)
from credit_wallet.stores import grant_rows

Lapses = int | Literal["never", "next"]


class Grants:
    """``wallets.grants``: credit that an operator has promised to wallets. The worker credits it when it is due."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def create(
        self,
        wallet_id: int,
        amount_yen: Amount,
        *,
        promo: bool = True,
        starts_at: datetime | str | None = None,
        every: Rhythm | None = None,
        until: str | None = None,
        lapses: Lapses = "never",
        note: str | None = None,
        idempotency_key: str | None = None,
    ) -> GrantView:
        """Promise a wallet ``amount_yen`` at ``starts_at`` (by default now), or from then on every month.

        ``starts_at`` is an aware or ISO 8601 time, or a date for the start of that day, at most a year ago. Months
        follow the clocks of the wallet's time zone: what starts on the 31st comes on the last day of shorter months.
        Nothing comes at ``until`` or later, an ISO 8601 time, or a date for the end of that day. The credit lapses
        never, when the next month's comes (``"next"``), or that many days after it was to come (1 to 3,660). What was
        missed is credited later, each occurrence once, unless it would have lapsed. ``note`` stands on the ledger
        entries. The same ``idempotency_key`` makes no second grant.

        Raises ``WalletNotFound``, ``InvalidAmount``, ``IdempotencyConflict``, ``TooManyGrants``, and ``InvalidRequest``
        naming the field.
        """
        checked_id("wallet_id", wallet_id)
        now, time_zone = self._ledger.clock(), lambda: self._ledger.time_zone_of(wallet_id)
        key = new_idempotency_key() if idempotency_key is None else idempotency_key
        lapse, lapse_days = _lapse(lapses, every)
        if problem := malformed_text("note", note):
            raise problem
        if not is_idempotency_key(key):
            raise InvalidRequest("idempotency_key must be 1 to 255 printable characters", field="idempotency_key")
        new = grant_rows.NewGrant(
            wallet_id=wallet_id,
            idempotency_key=key,
            amount_micros=_amount(amount_yen),
            kind="promo" if _flag("promo", promo) else "paid",
            starts_at=None if starts_at is None else _start(starts_at, now, time_zone),
            every=_rhythm(every),
            until=_until(until, every, time_zone),
            lapse=lapse,
            lapse_days=lapse_days,
            note=note,
        )
        return self.show(self._ledger.write(wallet_id, grant_rows.create_grant, new))

    def list(self, wallet_id: int | None = None, *, after: int = 0, limit: int = 100) -> builtins.list[GrantView]:
        """Grants of a wallet, or of all, with an id above ``after``, by id, up to ``limit`` (at most 1,000).

        Canceled and finished ones are listed too. Raises ``WalletNotFound``.
        """
        if wallet_id is not None:
            self._ledger.row(wallet_id)
        return grant_rows.grants(self._ledger.reader.source, wallet_id, checked_after(after), checked_page(limit))

    def show(self, grant_id: int) -> GrantView:
        """A grant. Raises ``GrantNotFound``."""
        return grant_rows.grant(self._ledger.reader.source, checked_id("grant_id", grant_id))

    def cancel(self, grant_id: int) -> GrantView:
        """Cancel a grant, at once and for good; what has been credited stays.

        An occurrence that is due and not credited yet is not credited any more. Raises ``GrantNotFound``.
        """
        self._ledger.write(self.show(grant_id).wallet_id, grant_rows.cancel_grant, grant_id)
        return self.show(grant_id)

    def occurrences(
        self, grant_id: int, *, before: int | None = None, limit: int = 100
    ) -> builtins.list[GrantOccurrence]:
        """What was due of a grant, newest first, up to ``limit`` (at most 1,000): credited, or lapsed before that.

        For the next page, pass the last ``occurrence`` as ``before``. Raises ``GrantNotFound``.
        """
        first = MAX_ID if before is None else checked_after(before)
        return grant_rows.occurrences(self._ledger.reader.source, self.show(grant_id), first, checked_page(limit))


def _amount(amount_yen: Amount) -> int:
    micros = checked_amount(amount_yen)
    if not is_amount(micros):
        raise InvalidAmount("amount_yen must be from 0.000001 to 1,000,000,000,000 yen", field="amount_yen")
    return micros


def _flag(name: str, value: object) -> bool:
    if type(value) is not bool:
        raise InvalidRequest(f"{name} must be true or false, not {value!r}", field=name)
    return value


def _rhythm(every: object) -> Rhythm | None:
    if every is None:
        return None
    if every == "month":
        return "month"
    raise InvalidRequest(f"every must be month, or left out for once, not {every!r}", field="every")


def _lapse(lapses: object, every: object) -> tuple[Lapse, int]:
    if lapses == "never":
        return "never", 0
    if lapses == "next" and every is not None:
        return "next", 0
    if type(lapses) is int and 1 <= lapses <= MAX_LAPSE_DAYS:
        return "days", lapses
    raise InvalidRequest(
        f"lapses must be never, next (with every), or a number of days from 1 to {MAX_LAPSE_DAYS}, not {lapses!r}",
        field="lapses",
    )


def _start(starts_at: datetime | str, now: datetime, time_zone: Callable[[], str]) -> str:
    """An instant; a date is the start of that day in ``time_zone`` (asked for dates alone)."""
    try:
        moment = _moment(starts_at, time_zone)
        if moment.utcoffset() is not None and FIRST_YEAR <= moment.year <= LAST_YEAR:
            if moment >= now - timedelta(days=MAX_DAYS_AGO):
                return format_instant(moment)
            raise InvalidRequest(
                f"starts_at must be at most {MAX_DAYS_AGO} days ago, not {starts_at}", field="starts_at"
            )
    except (ValueError, AttributeError, TypeError, OverflowError):
        pass
    raise InvalidRequest(
        "starts_at must be an ISO 8601 time such as 2026-12-31T15:00:00Z, or a date for the start of that day, in the "
        f"years {FIRST_YEAR} to {LAST_YEAR}, not {starts_at!r}",
        field="starts_at",
    )


def _moment(starts_at: datetime | str, time_zone: Callable[[], str]) -> datetime:
    if not isinstance(starts_at, str):
        return starts_at
    return parse_end(starts_at, time_zone, days=0)


def _until(until: str | None, every: object, time_zone: Callable[[], str]) -> str | None:
    if until is not None and every is None:
        raise InvalidRequest("until is for a grant that comes every month; leave it out, or set every", field="until")
    return checked_end("until", until, time_zone)
