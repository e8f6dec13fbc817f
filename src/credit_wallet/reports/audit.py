"""The log of acts as a file: CSV, or JSON lines."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from msgspec import json, structs

from credit_wallet.domain.acts import ActView
from credit_wallet.reports.statement_csv import spreadsheet_text

AuditForm = Literal["csv", "jsonl"]


def audit_file(pages: Iterable[Sequence[ActView]], form: AuditForm) -> Iterator[str]:
    """The pieces of the file: a line for each act, in the order of ``pages``."""
    if form == "csv":
        yield _lines([ActView.__struct_fields__])
    for page in pages:
        if form == "csv":
            yield _lines(_cells(act) for act in page)
        else:
            yield "".join(json.encode(act).decode() + "\n" for act in page)


def _cells(act: ActView) -> list[str]:
    return [spreadsheet_text(_cell(value)) for value in structs.astuple(act)]


def _cell(value: object) -> str:
    if value is None:
        return ""
    return json.encode(value).decode() if isinstance(value, dict) else str(value)


def _lines(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerows(rows)
    return text.getvalue()
