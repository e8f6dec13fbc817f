"""A statement's lines for spreadsheets (RFC 4180): its entries, or spending by agent key, by note or by item."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import Literal, TypeAlias

from msgspec import json

from credit_wallet.domain.cycle import local_time
from credit_wallet.domain.money import decimal_text
from credit_wallet.domain.views import Transaction
from credit_wallet.reports.items import ItemSpend
from credit_wallet.reports.layout import Layout
from credit_wallet.reports.spending import KeySpend, NoteSpend, OtherNotes
from credit_wallet.reports.statement_figures import StatementHead

Rows: TypeAlias = Literal["entries", "keys", "notes", "items"]
"""The rows of a CSV: ledger entries, or spending by agent key, by note or by item."""

CSV_ENCODING = "utf-8-sig"
"""The encoding of a CSV file: the byte order mark tells spreadsheets that it is UTF-8."""

BYTE_ORDER_MARK = "\ufeff"

_FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Characters that a spreadsheet may read as the beginning of a formula, full width too (OWASP, "CSV Injection")."""

_HEADINGS = {
    "entries": "txn_id,occurred_at,txn_type,amount_yen,ledger_balance_yen,key_id,note,"
    "amount,ledger_balance,item,quantity,price_version,facts,agent_facts,cause,reason,"
    "request_id,reference,metadata,idempotency_key",
    "keys": "key_id,label,charges,charged_yen,refunded_yen,spent_yen,monthly_cap_yen,charged,refunded,spent",
    "notes": "notes,charges,charged_yen,refunded_yen,spent_yen,note,charged,refunded,spent",
    "items": "item,price_version,unit_price,per,quantity,charges,charged_yen,refunded_yen,spent_yen,"
    "charged,refunded,spent",
}
"""Columns are only ever added at the end. Those that end in ``_yen`` are whole, the others exact."""


class CsvForm:
    """Lines of ``rows`` after a heading, with the mark that tells spreadsheets that it is UTF-8.

    Times are those of the wallet's time zone, with its offset. Text that a spreadsheet would run as a formula is
    quoted.
    """

    media_type = "text/csv"

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.has_entries = rows == "entries"
        self._time_zone = "UTC"

    def begin(self, head: StatementHead, layout: Layout) -> str:  # noqa: ARG002 - of ``Form``
        """As ``Form`` says."""
        self._time_zone = head.time_zone
        makers = {"entries": _none, "keys": _keys, "notes": _notes, "items": _items}
        return BYTE_ORDER_MARK + _csv([_HEADINGS[self._rows].split(","), *makers[self._rows](head)])

    def more(self, entries: Sequence[Transaction]) -> str:
        """As ``Form`` says."""
        return _csv(_entry(entry, self._time_zone) for entry in entries)

    def end(self) -> str:
        """As ``Form`` says."""
        return ""


def _csv(lines: Iterable[Iterable[object]]) -> str:
    out = StringIO()
    csv.writer(out).writerows(lines)
    return out.getvalue()


def _none(_head: StatementHead) -> Iterator[tuple[object, ...]]:
    yield from ()


def _entry(entry: Transaction, time_zone: str) -> tuple[object, ...]:
    balance_micros = entry.ledger_balance_micros
    return (
        entry.txn_id,
        spreadsheet_text(local_time(entry.occurred_at, time_zone)),
        entry.txn_type,
        entry.amount_yen,
        entry.ledger_balance_yen,
        entry.key_id,
        spreadsheet_text(entry.note),
        decimal_text(entry.amount_micros),
        None if balance_micros is None else decimal_text(balance_micros),
        entry.item,
        None if entry.quantity_micros is None else decimal_text(entry.quantity_micros),
        entry.price_version,
        _pairs(entry.facts),
        _pairs(entry.agent_facts),
        entry.cause,
        entry.reason,
        spreadsheet_text(entry.request_id),
        spreadsheet_text(entry.reference),
        _pairs(entry.metadata),
        spreadsheet_text(entry.idempotency_key),
    )


def _pairs(pairs: dict[str, str]) -> str:
    """As a JSON object; nothing without pairs."""
    return json.encode(pairs).decode() if pairs else ""


def _keys(head: StatementHead) -> Iterator[tuple[object, ...]]:
    for line in head.spend_by_key:
        name = (line.key_id, spreadsheet_text(line.label))
        yield (*name, line.charges, *_whole(line), line.monthly_cap_yen, *_exact(line))


def _notes(head: StatementHead) -> Iterator[tuple[object, ...]]:
    for line in head.spend_by_note:
        yield (1, line.charges, *_whole(line), spreadsheet_text(line.note), *_exact(line))
    if others := head.other_notes:
        yield (others.notes, others.charges, *_whole(others), "", *_exact(others))


def _items(head: StatementHead) -> Iterator[tuple[object, ...]]:
    """A line for each price of an item, and one for what was refunded of it: refunds are of an item, not of a price."""
    for line in head.spend_by_item:
        for price in line.prices:
            quantity = None if line.item is None else decimal_text(price.quantity_micros)
            unit_price = None if price.unit_price is None else f"{price.unit_price:f}"
            of = (line.item, price.price_version, unit_price, price.per, quantity, price.charges)
            charged = decimal_text(price.charged_micros)
            yield (*of, price.charged_yen, 0, price.charged_yen, charged, 0, charged)
        if line.refunded_micros:
            refunded = decimal_text(line.refunded_micros)
            spent_yen, spent = -line.refunded_micros // 1_000_000, decimal_text(-line.refunded_micros)
            yield (line.item, None, None, None, None, 0, 0, line.refunded_yen, spent_yen, 0, refunded, spent)


def _whole(line: KeySpend | NoteSpend | OtherNotes | ItemSpend) -> tuple[int, int, int]:
    return line.charged_yen, line.refunded_yen, line.spent_yen


def _exact(line: KeySpend | NoteSpend | OtherNotes | ItemSpend) -> tuple[str, str, str]:
    return decimal_text(line.charged_micros), decimal_text(line.refunded_micros), decimal_text(line.spent_micros)


def spreadsheet_text(note: str | None) -> str:
    text = note or ""
    return f"'{text}" if text.startswith(_FORMULA_BEGINS) else text
