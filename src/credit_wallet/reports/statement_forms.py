"""The forms that a statement comes in: JSON, CSV and text, piece by piece, so that a long one needs little memory."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from typing import Literal, Protocol, TypeAlias

from msgspec import json

from credit_wallet.domain.cycle import local_time
from credit_wallet.domain.money import format_yen
from credit_wallet.domain.outcomes import Transaction
from credit_wallet.domain.text import one_line
from credit_wallet.reports.spending import KeySpend, NoteSpend, OtherNotes
from credit_wallet.reports.statement_figures import USUAL_TIME, Drawing, Statement, StatementHead

Rows: TypeAlias = Literal["entries", "keys", "notes"]
"""The rows of a CSV: ledger entries, or spending by agent key or by note."""

CSV_ENCODING = "utf-8-sig"
"""The encoding of a CSV file: the byte order mark tells spreadsheets that it is UTF-8."""

_FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""Characters that a spreadsheet may read as the beginning of a formula, full width too (OWASP, "CSV Injection")."""

_BYTE_ORDER_MARK = "\ufeff"


class Form(Protocol):
    """One answer being written: ``begin`` once, ``more`` for any number of entries in order, ``end`` once."""

    media_type: str
    has_entries: bool
    """Whether it shows the entries at all."""

    def begin(self, head: StatementHead, time_width: int) -> str:
        """The text before the entries. ``time_width`` is the length of the longest time among them."""

    def more(self, entries: Sequence[Transaction]) -> str:
        """The next entries."""

    def end(self) -> str:
        """The text after the entries."""


class JsonForm:
    """One object, ``entries`` its last member."""

    media_type = "application/json"
    has_entries = True

    def __init__(self) -> None:
        self._separator = ""

    def begin(self, head: StatementHead, time_width: int) -> str:  # noqa: ARG002 - of ``Form``
        """As ``Form`` says."""
        return json.encode(head).decode()[:-1] + ',"entries":['

    def more(self, entries: Sequence[Transaction]) -> str:
        """As ``Form`` says."""
        if not entries:
            return ""
        separator, self._separator = self._separator, ","
        return separator + json.encode(entries).decode()[1:-1]

    def end(self) -> str:
        """As ``Form`` says."""
        return "]}"


class CsvForm:
    """Lines of ``rows`` after a heading (RFC 4180), with the mark that tells spreadsheets that it is UTF-8.

    Times are those of the wallet's time zone, with its offset. Text that a spreadsheet would run as a formula is
    quoted.
    """

    media_type = "text/csv"

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.has_entries = rows == "entries"
        self._time_zone = "UTC"

    def begin(self, head: StatementHead, time_width: int) -> str:  # noqa: ARG002 - of ``Form``
        """As ``Form`` says."""
        self._time_zone = head.time_zone
        lines = {"entries": (), "keys": _csv_of_keys(head), "notes": _csv_of_notes(head)}[self._rows]
        return _BYTE_ORDER_MARK + _csv([_CSV_HEADINGS[self._rows].split(","), *lines])

    def more(self, entries: Sequence[Transaction]) -> str:
        """As ``Form`` says."""
        return _csv(_csv_of_entries(entries, self._time_zone))

    def end(self) -> str:
        """As ``Form`` says."""
        return ""


class TextForm:
    """For reading: totals first, then who spent and on what, entries last.

    Times are those of the wallet's time zone, with its offset.
    """

    media_type = "text/plain"
    has_entries = True

    def __init__(self) -> None:
        self._time_zone = "UTC"
        self._time_width = 0

    def begin(self, head: StatementHead, time_width: int) -> str:
        """As ``Form`` says."""
        self._time_zone, self._time_width = head.time_zone, time_width
        heading = [f"  {'Entry':>9}  {'Time':<{time_width}}  {'Type':<8}  {'Amount':>14}  {'Balance':>16}  Note"]
        parts = (_heading(head), _totals(head), _spenders(head), _purposes(head), heading)
        return "\n\n".join("\n".join(lines) for lines in parts if lines)

    def more(self, entries: Sequence[Transaction]) -> str:
        """As ``Form`` says."""
        return "".join(f"\n{self._line(entry)}" for entry in entries)

    def end(self) -> str:
        """As ``Form`` says."""
        return ""

    def _line(self, entry: Transaction) -> str:
        time = one_line(local_time(entry.occurred_at, self._time_zone))
        return (
            f"  {entry.txn_id:>9}  {time:<{self._time_width}}  {entry.txn_type:<8}  {format_yen(entry.amount_yen):>14}"
            f"  {format_yen(entry.ledger_balance_yen or 0):>16}  {one_line(entry.note or '')}".rstrip()
        )


def form_of(name: Literal["json", "csv", "text"], rows: Rows) -> Form:
    """The form of that name; ``rows`` are those of a CSV."""
    if name == "csv":
        return CsvForm(rows)
    return TextForm() if name == "text" else JsonForm()


def pieces_of(drawing: Drawing, form: Form) -> Iterator[str]:
    """A statement in that form, as it is drawn up."""
    try:
        while drawing.add_up():
            pass
        yield form.begin(drawing.head(), drawing.time_width)
        if form.has_entries:
            for step in drawing.steps():
                yield form.more(drawing.entries(step))
        yield form.end()
    finally:
        drawing.close()


def to_json(report: Statement) -> str:
    """The statement as one JSON object, indented."""
    return json.format(json.encode(report), indent=2).decode()


def to_csv(report: Statement, rows: Rows = "entries") -> str:
    """The ``rows`` as CSV, to be written to a file in ``CSV_ENCODING``."""
    return _whole(CsvForm(rows), report).removeprefix(_BYTE_ORDER_MARK)


def to_text(report: Statement) -> str:
    """The statement for reading."""
    return _whole(TextForm(), report)


def _whole(form: Form, report: Statement) -> str:
    times = (local_time(entry.occurred_at, report.time_zone) for entry in report.entries)
    width = max((USUAL_TIME, *(len(one_line(time)) for time in times)))
    return form.begin(report, width) + (form.more(report.entries) if form.has_entries else "") + form.end()


def _csv(lines: Iterable[Iterable[object]]) -> str:
    out = StringIO()
    csv.writer(out).writerows(lines)
    return out.getvalue()


def _csv_of_entries(entries: Iterable[Transaction], time_zone: str) -> Iterable[tuple[object, ...]]:
    for entry in entries:
        yield (
            entry.txn_id,
            _spreadsheet_text(local_time(entry.occurred_at, time_zone)),
            entry.txn_type,
            entry.amount_yen,
            entry.ledger_balance_yen,
            entry.key_id,
            _spreadsheet_text(entry.note),
        )


def _csv_of_keys(head: StatementHead) -> Iterable[tuple[object, ...]]:
    for line in head.spend_by_key:
        yield (
            line.key_id,
            _spreadsheet_text(line.label),
            line.charges,
            line.charged_yen,
            line.refunded_yen,
            line.spent_yen,
            line.monthly_cap_yen,
        )


def _csv_of_notes(head: StatementHead) -> Iterable[tuple[object, ...]]:
    for line in head.spend_by_note:
        yield (1, *_figures(line), _spreadsheet_text(line.note))
    if head.other_notes:
        yield (head.other_notes.notes, *_figures(head.other_notes), "")


_CSV_HEADINGS = {
    "entries": "txn_id,occurred_at,txn_type,amount_yen,ledger_balance_yen,key_id,note",
    "keys": "key_id,label,charges,charged_yen,refunded_yen,spent_yen,monthly_cap_yen",
    "notes": "notes,charges,charged_yen,refunded_yen,spent_yen,note",
}


def _figures(line: KeySpend | NoteSpend | OtherNotes) -> tuple[int, int, int, int]:
    return line.charges, line.charged_yen, line.refunded_yen, line.spent_yen


def _spreadsheet_text(note: str | None) -> str:
    text = note or ""
    return f"'{text}" if text.startswith(_FORMULA_BEGINS) else text


def _heading(head: StatementHead) -> list[str]:
    name = f"Wallet {head.wallet_id}" + (f" ({one_line(head.label)})" if head.label else "")
    heading = f"Statement of {name} for {head.billing_cycle} ({head.time_zone})"
    return [heading, f"Ledger at {head.seal}"] if head.seal else [heading]


def _totals(head: StatementHead) -> list[str]:
    figures = [
        ("Opening balance", head.opening_yen),
        ("Top-ups", head.topups_yen),
        ("Charges", head.charges_yen),
        ("Refunds", head.refunds_yen),
        ("Expired", head.expired_yen),
        ("Reversed", head.reversed_yen),
        ("Closing balance", head.closing_yen),
    ]
    if head.monthly_budget_yen:
        figures.append(("Monthly budget", head.monthly_budget_yen))
    lines = [f"  {title:<18}{format_yen(amount_yen):>18}" for title, amount_yen in figures]
    return lines + [
        f"  Alert at {alert.threshold_pct} %: {format_yen(alert.spent_yen)} of {format_yen(alert.budget_yen)} spent"
        for alert in head.alerts
    ]


def _spenders(head: StatementHead) -> list[str]:
    lines = []
    for line in head.spend_by_key:
        label = f" ({one_line(line.label)})" if line.label else ""
        name = "owner" if line.key_id is None else f"key {line.key_id}{label}"
        cap = format_yen(line.monthly_cap_yen) if line.monthly_cap_yen else ""
        lines.append(f"{_spent(line)}  {cap:>14}  {name}")
    return [f"{_SPENT}  {'Cap':>14}  Spent by", *lines] if lines else []


def _purposes(head: StatementHead) -> list[str]:
    lines = [
        f"{_spent(line)}  {'(no note)' if line.note is None else one_line(line.note)}" for line in head.spend_by_note
    ]
    if others := head.other_notes:
        lines.append(f"{_spent(others)}  (other notes: {others.notes:,})")
    return [f"{_SPENT}  Spent on", *lines] if lines else []


_SPENT = f"  {'Charges':>9}  {'Charged':>14}  {'Refunded':>14}  {'Spent':>14}"


def _spent(line: KeySpend | NoteSpend | OtherNotes) -> str:
    charges, *amounts_yen = _figures(line)
    return "  ".join([f"  {charges:>9,}", *(f"{format_yen(amount_yen):>14}" for amount_yen in amounts_yen)])
