"""The forms that a statement comes in: JSON, CSV and text, piece by piece, so that a long one needs little memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, Protocol

from msgspec import json

from credit_wallet.domain import documents
from credit_wallet.domain.views import Transaction
from credit_wallet.reports.layout import Layout
from credit_wallet.reports.statement_csv import BYTE_ORDER_MARK, CSV_ENCODING, CsvForm, Rows
from credit_wallet.reports.statement_figures import Drawing, Statement, StatementHead
from credit_wallet.reports.statement_text import TextForm

__all__ = [
    "CSV_ENCODING",
    "CsvForm",
    "Form",
    "JsonForm",
    "Rows",
    "TextForm",
    "form_of",
    "pieces_of",
    "to_csv",
    "to_json",
    "to_text",
]


class Form(Protocol):
    """One answer being written: ``begin`` once, ``more`` for any number of entries in order, ``end`` once."""

    media_type: str
    has_entries: bool
    """Whether it shows the entries at all."""

    def begin(self, head: StatementHead, layout: Layout) -> str:
        """The text before the entries, whose columns are ``layout``."""

    def more(self, entries: Sequence[Transaction]) -> str:
        """The next entries."""

    def end(self) -> str:
        """The text after the entries."""


class JsonForm:
    """One object, ``entries`` its last member, an empty one when they are left out."""

    media_type = "application/json"

    def __init__(self, *, has_entries: bool = True) -> None:
        self.has_entries = has_entries
        self._separator = ""

    def begin(self, head: StatementHead, layout: Layout) -> str:  # noqa: ARG002 - of ``Form``
        """As ``Form`` says."""
        return documents.to_json(documents.document_as(head, StatementHead)).decode()[:-1] + ',"entries":['

    def more(self, entries: Sequence[Transaction]) -> str:
        """As ``Form`` says."""
        if not entries:
            return ""
        separator, self._separator = self._separator, ","
        return separator + documents.to_json(entries).decode()[1:-1]

    def end(self) -> str:
        """As ``Form`` says."""
        return "]}"


def form_of(name: Literal["json", "csv", "text"], rows: Rows, *, has_entries: bool = True) -> Form:
    """The form of that name; ``rows`` are those of a CSV, and ``has_entries`` is for the other two."""
    if name == "csv":
        return CsvForm(rows)
    return TextForm(has_entries=has_entries) if name == "text" else JsonForm(has_entries=has_entries)


def pieces_of(drawing: Drawing, form: Form) -> Iterator[str]:
    """A statement in that form, as it is drawn up."""
    try:
        while drawing.add_up():
            pass
        yield form.begin(drawing.head(), drawing.layout)
        if form.has_entries:
            for step in drawing.steps():
                yield form.more(drawing.entries(step))
        yield form.end()
    finally:
        drawing.close()


def to_json(report: Statement) -> str:
    """The statement as one JSON object, indented."""
    return json.format(documents.to_json(report), indent=2).decode()


def to_csv(report: Statement, rows: Rows = "entries") -> str:
    """The ``rows`` as CSV, to be written to a file in ``CSV_ENCODING``."""
    return _whole(CsvForm(rows), report).removeprefix(BYTE_ORDER_MARK)


def to_text(report: Statement) -> str:
    """The statement for reading."""
    return _whole(TextForm(), report)


def _whole(form: Form, report: Statement) -> str:
    layout = Layout(report.time_zone).fit(report.entries)
    return form.begin(report, layout) + (form.more(report.entries) if form.has_entries else "") + form.end()
