"""Prices: what items cost, from a file that is applied as a whole."""

from __future__ import annotations

import builtins
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from credit_wallet.domain.actors import OPERATOR
from credit_wallet.domain.cycle import cycle_at, format_instant, parse_instant
from credit_wallet.domain.price_file import MAX_BYTES, parse_prices
from credit_wallet.domain.prices import (
    EVERYBODY,
    AppliedPrices,
    PriceBook,
    PriceChange,
    PriceRevision,
    PriceVersion,
    PriceView,
    changes_between,
    price_view,
)
from credit_wallet.errors import InvalidRequest, WalletError
from credit_wallet.ledger.ledger import Ledger, checked_page
from credit_wallet.rules.pricing import Priced, not_priced, quoted
from credit_wallet.rules.usage import Amount, asked_for
from credit_wallet.rules.validation import MAX_ID, checked_after
from credit_wallet.stores import Source, price_rows, profile_rows

_WHAT = {"prices": "price file", "plan": "plan"}


class Prices:
    """``wallets.prices``: apply a price file, compare one, and see which prices count for whom and when."""

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._known = price_rows.KnownBook()

    def apply(self, text_or_path: str | Path, *, allow_empty: bool = False) -> AppliedPrices:
        """Make the prices of a file the ones that count; what the file does not have has no price any more.

        ``text_or_path`` is a path, or the file's text: a ``str`` with a line break or ``=``. The same prices again make
        no new version. They count from the next batch on in every process; open holds keep what they hold.
        The author's name is kept with the version. A file without any price is refused unless ``allow_empty``. Raises
        ``InvalidRequest`` that names every wrong field.
        """
        text = text_of(text_or_path)
        prices, digest = parse_prices(text, self._wallet_of), sha256(text.encode()).hexdigest()
        if not prices and not allow_empty:
            raise InvalidRequest(
                "the file has no price, so no item could be charged any more; to take all prices away, say allow_empty "
                "(--allow-empty on the command line)",
                field="prices",
            )
        dialect = self._ledger.reader.source.dialect
        return self._ledger.write(0, price_rows.apply_prices, dialect, prices, digest)

    def diff(self, text_or_path: str | Path) -> builtins.list[PriceChange]:
        """What ``apply`` would change now. Raises ``InvalidRequest`` that names every wrong field."""
        return [*changes_between(self._book().prices, parse_prices(text_of(text_or_path), self._wallet_of))]

    def list(self, *, at: datetime | str | None = None, wallet_id: int | None = None) -> builtins.list[PriceView]:
        """The prices that count at an instant (aware; by default now): for a wallet, or those of everybody.

        An instant in the past is answered by the version that counted then, one to come by the newest. Raises
        ``WalletNotFound`` and ``InvalidRequest``.
        """
        now = format_instant(self._ledger.clock())
        instant = now if at is None else _instant(at)
        book = self._book() if instant >= now else self._version(price_rows.version_at(self._source, instant))
        return [price_view(price, book.version) for price in book.prices_of(*self._payer(wallet_id), instant)]

    def book(self) -> builtins.list[PriceView]:
        """Every price of the newest version: those of everybody, groups and wallets, past, present and to come."""
        book = self._book()
        return [price_view(price, book.version) for price in book.prices]

    def announced(self, *, wallet_id: int | None = None) -> builtins.list[PriceView]:
        """The prices that will count later, for a wallet or for everybody, by item and instant.

        Raises ``WalletNotFound``.
        """
        book, now = self._book(), format_instant(self._ledger.clock())
        return [price_view(price, book.version) for price in book.announced(*self._payer(wallet_id), now)]

    def items(self) -> builtins.list[str]:
        """Every item that the newest version has a price for: for anybody, and at any time."""
        return [*self._book().items]

    def versions(self, *, before: int | None = None, limit: int = 100) -> builtins.list[PriceVersion]:
        """Versions of the price book, newest first, up to ``limit`` (at most 1,000) before one for the next page."""
        checked = MAX_ID if before is None else checked_after(before)
        return price_rows.versions(self._source, checked, checked_page(limit))

    def revisions(self, *, before: int | None = None, limit: int = 10) -> builtins.list[PriceRevision]:
        """Versions, newest first, with what each changed of the one before; ``before`` one for the next page."""
        found = self.versions(before=before, limit=limit)
        books = {version: self._version(version) for each in found for version in (each.version, each.version - 1)}
        return [
            PriceRevision(
                each.version,
                each.applied_at,
                each.applied_by,
                each.sha256,
                changes_between(books[each.version - 1].prices, books[each.version].prices),
            )
            for each in found
        ]

    def get(self, item: str, wallet_id: int | None = None) -> PriceView:
        """The price of an item that counts now, for a wallet or for everybody.

        Raises ``ItemNotPriced``, ``WalletNotFound`` and ``InvalidRequest``.
        """
        name, _ = _asked(item, 1)
        payer, group = self._payer(wallet_id)
        book, now = self._book(), format_instant(self._ledger.clock())
        price = book.price(name, payer, group, now)
        if price is None:
            raise not_priced(book, name, payer, group, now)
        return price_view(price, book.version)

    def quote(self, item: str, quantity: Amount = 1, *, wallet_id: int | None = None) -> Priced:
        """What a quantity of an item would cost now: for a wallet after what it has used of it this cycle.

        Raises ``ItemNotPriced``, ``InvalidAmount``, ``WalletNotFound`` and ``InvalidRequest``.
        """
        name, quantity_micros = _asked(item, quantity)
        payer, group = self._payer(wallet_id)
        book, now = self._book(), self._ledger.clock()
        used_micros = self._used(name, payer, now) if name in book.tiered else 0
        price: Priced | WalletError = quoted(
            book,
            name,
            quantity_micros,
            wallet_id=payer,
            group=group,
            at=format_instant(now),
            used_micros=used_micros,
        )
        if isinstance(price, WalletError):
            raise price
        return price

    def _wallet_of(self, reference: str) -> int | None:
        return profile_rows.wallet_of(self._source, reference)

    @property
    def _source(self) -> Source:
        return self._ledger.reader.source

    def _book(self) -> PriceBook:
        return self._known.book(self._source.rows)

    def _version(self, version: int) -> PriceBook:
        book = self._book()
        return book if version == book.version else price_rows.book_of(self._source.rows, version)

    def _payer(self, wallet_id: int | None) -> tuple[int, str | None]:
        """The wallet and its group. Raises ``WalletNotFound``."""
        return (EVERYBODY, None) if wallet_id is None else (wallet_id, self._ledger.row(wallet_id).price_group)

    def _used(self, item: str, wallet_id: int, now: datetime) -> int:
        if wallet_id == EVERYBODY:
            return 0
        cycle = cycle_at(now, self._ledger.row(wallet_id).time_zone)
        return price_rows.tier_usage(self._source.rows, wallet_id, item, cycle)


def _asked(item: str, quantity: Amount) -> tuple[str, int]:
    """An item and micros of it. Raises ``InvalidRequest``."""
    _, usage = asked_for(None, item, quantity, None, None, OPERATOR)
    assert usage is not None and usage.item is not None, "an item was asked for"  # noqa: PT018, S101
    return usage.item, usage.quantity_micros


def text_of(text_or_path: str | Path, field: str = "prices") -> str:
    """The text of a price file, or of a plan. Raises ``InvalidRequest`` naming ``field``."""
    if isinstance(text_or_path, str) and ("\n" in text_or_path or "=" in text_or_path):
        return text_or_path.removeprefix("\ufeff")  # as of a file
    path, what = Path(text_or_path), _WHAT[field]
    try:
        if path.stat().st_size > MAX_BYTES:
            raise InvalidRequest(f"{path} cannot be a {what}: it has more than {MAX_BYTES:,} bytes", field=field)
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InvalidRequest(f"{path} must be text in UTF-8", field=field) from None
    except (OSError, ValueError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise InvalidRequest(f"the {what} {path} cannot be read: {reason}", field=field) from None


def _instant(at: datetime | str) -> str:
    try:
        moment = parse_instant(at) if isinstance(at, str) else at
        if moment.utcoffset() is not None:
            return format_instant(moment)
    except (ValueError, AttributeError, OverflowError):
        pass
    raise InvalidRequest(f"at must be an ISO 8601 time such as 2026-12-31T15:00:00Z, not {at!r}", field="at")
