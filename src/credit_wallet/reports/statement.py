"""A wallet's statement for one billing cycle: what came in, what went out, who spent it, and every entry between."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from io import StringIO
from typing import Literal, TypeAlias

from msgspec import Struct, json

from credit_wallet.cycle import local_time
from credit_wallet.lines import one_line
from credit_wallet.money import format_yen
from credit_wallet.outcomes import Alert, Transaction
from credit_wallet.reports.spending import KeySpend, NoteSpend, OtherNotes, spending
from credit_wallet.wallet import CreditWallet

Rows: TypeAlias = Literal["entries", "keys", "notes"]
"""What the lines of a CSV are: ledger entries, or spending by agent key or by note."""

CSV_ENCODING = "utf-8-sig"
"""How a file of CSV is to be encoded: the byte order mark is what tells spreadsheets that it is UTF-8."""

_FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a spreadsheet may read as the beginning of a formula, full width too (OWASP, "CSV Injection")."""


class Statement(Struct, frozen=True):
    """Opening and closing balance (open holds included), spending by key and note, all entries, oldest first."""

    wallet_id: int
    label: str | None
    billing_cycle: str
    time_zone: str
    opening_yen: int
    topups_yen: int
    charges_yen: int
    refunds_yen: int
    expired_yen: int
    reversed_yen: int
    closing_yen: int
    monthly_budget_yen: int
    alerts: list[Alert]
    spend_by_key: list[KeySpend]
    spend_by_note: list[NoteSpend]
    other_notes: OtherNotes | None
    """The notes beyond the ``MOST_NOTES`` that ``spend_by_note`` lists, together; None when there are none."""
    seal: str | None
    """The latest seal of the ledger, which proves these entries to whoever keeps it; None before the first."""
    entries: list[Transaction]


def statement(wallets: CreditWallet, wallet_id: int, cycle: str, *, key_id: int | None = None) -> Statement:
    """The statement of ``cycle`` (YYYY-MM in the wallet's time zone). Raises ``WalletNotFound``, ``InvalidRequest``.

    With a ``key_id`` its entries and spending are those of that agent key, and its totals still the wallet's.
    """
    wallet = wallets.show(wallet_id)
    entries = wallets.cycle_entries(wallet_id, cycle)
    totals = dict.fromkeys(("topup", "charge", "refund", "expire", "reversal"), 0)
    for entry in entries:
        totals["reversal" if came_again(entry) else entry.txn_type] += entry.amount_yen
    opening_yen = wallets.ledger_balance_before(wallet_id, cycle)
    refunded = wallets.refunded_charges(wallet_id, cycle) if totals["refund"] else []
    keys = wallets.keys(wallet_id)
    if key_id is not None:
        refunded = [charge for charge in refunded if charge.key_id == key_id]
        own = {charge.txn_id for charge in refunded}
        entries = [entry for entry in entries if entry.key_id == key_id or entry.related_txn_id in own]
        keys = [wallets.key(key_id)]
    spent = spending(entries, refunded, keys)
    return Statement(
        wallet_id=wallet_id,
        label=wallet.label,
        billing_cycle=cycle,
        time_zone=wallet.time_zone,
        opening_yen=opening_yen,
        topups_yen=totals["topup"],
        charges_yen=totals["charge"],
        refunds_yen=totals["refund"],
        expired_yen=totals["expire"],
        reversed_yen=totals["reversal"],
        closing_yen=opening_yen + sum(totals.values()),
        monthly_budget_yen=wallet.monthly_budget_yen,
        alerts=wallets.alerts(wallet_id, cycle)[::-1],
        spend_by_key=spent.by_key,
        spend_by_note=spent.by_note,
        other_notes=spent.other_notes,
        seal=None if (seal := wallets.latest_seal()) is None else str(seal.short),
        entries=entries,
    )


def came_again(entry: Transaction) -> bool:
    """Whether an entry brought again what was taken back of a top-up: less taken back, not credit that came in."""
    return entry.txn_type == "topup" and entry.related_txn_id is not None


def to_json(report: Statement) -> str:
    """The statement as one JSON object."""
    return json.format(json.encode(report), indent=2).decode()


def to_csv(report: Statement, rows: Rows = "entries") -> str:
    """The ``rows`` as CSV with a heading (RFC 4180), to be written to a file in ``CSV_ENCODING``.

    Times are those of the wallet's time zone, with its offset. Text that a spreadsheet would run as a formula is quoted
    away.
    """
    out = StringIO()
    writer = csv.writer(out)
    heading, lines = _CSV[rows]
    writer.writerow(heading.split(","))
    writer.writerows(lines(report))
    return out.getvalue()


def _csv_of_entries(report: Statement) -> Iterable[tuple[object, ...]]:
    for entry in report.entries:
        yield (
            entry.txn_id,
            _spreadsheet_text(local_time(entry.occurred_at, report.time_zone)),
            entry.txn_type,
            entry.amount_yen,
            entry.ledger_balance_yen,
            entry.key_id,
            _spreadsheet_text(entry.note),
        )


def _csv_of_keys(report: Statement) -> Iterable[tuple[object, ...]]:
    for line in report.spend_by_key:
        yield (
            line.key_id,
            _spreadsheet_text(line.label),
            line.charges,
            line.charged_yen,
            line.refunded_yen,
            line.spent_yen,
            line.monthly_cap_yen,
        )


def _csv_of_notes(report: Statement) -> Iterable[tuple[object, ...]]:
    for line in report.spend_by_note:
        yield (1, *_figures(line), _spreadsheet_text(line.note))
    if report.other_notes:
        yield (report.other_notes.notes, *_figures(report.other_notes), "")


_CSV = {
    "entries": ("txn_id,occurred_at,txn_type,amount_yen,ledger_balance_yen,key_id,note", _csv_of_entries),
    "keys": ("key_id,label,charges,charged_yen,refunded_yen,spent_yen,monthly_cap_yen", _csv_of_keys),
    "notes": ("notes,charges,charged_yen,refunded_yen,spent_yen,note", _csv_of_notes),
}


def _figures(line: KeySpend | NoteSpend | OtherNotes) -> tuple[int, int, int, int]:
    return line.charges, line.charged_yen, line.refunded_yen, line.spent_yen


def _spreadsheet_text(note: str | None) -> str:
    text = note or ""
    return f"'{text}" if text.startswith(_FORMULA_BEGINS) else text


def to_text(report: Statement) -> str:
    """The statement for reading: totals first, then who spent and on what, entries last.

    Times are those of the wallet's time zone, with its offset.
    """
    parts = (_heading(report), _totals(report), _spenders(report), _purposes(report), _entries(report))
    return "\n\n".join("\n".join(lines) for lines in parts if lines)


def _heading(report: Statement) -> list[str]:
    name = f"Wallet {report.wallet_id}" + (f" ({one_line(report.label)})" if report.label else "")
    heading = f"Statement of {name} for {report.billing_cycle} ({report.time_zone})"
    return [heading, f"Ledger at {report.seal}"] if report.seal else [heading]


def _totals(report: Statement) -> list[str]:
    figures = [
        ("Opening balance", report.opening_yen),
        ("Top-ups", report.topups_yen),
        ("Charges", report.charges_yen),
        ("Refunds", report.refunds_yen),
        ("Expired", report.expired_yen),
        ("Reversed", report.reversed_yen),
        ("Closing balance", report.closing_yen),
    ]
    if report.monthly_budget_yen:
        figures.append(("Monthly budget", report.monthly_budget_yen))
    lines = [f"  {title:<18}{format_yen(amount_yen):>18}" for title, amount_yen in figures]
    return lines + [
        f"  Alert at {alert.threshold_pct} %: {format_yen(alert.spent_yen)} of {format_yen(alert.budget_yen)} spent"
        for alert in report.alerts
    ]


def _spenders(report: Statement) -> list[str]:
    lines = []
    for line in report.spend_by_key:
        label = f" ({one_line(line.label)})" if line.label else ""
        name = "owner" if line.key_id is None else f"key {line.key_id}{label}"
        cap = format_yen(line.monthly_cap_yen) if line.monthly_cap_yen else ""
        lines.append(f"{_spent(line)}  {cap:>14}  {name}")
    return [f"{_SPENT}  {'Cap':>14}  Spent by", *lines] if lines else []


def _purposes(report: Statement) -> list[str]:
    lines = [
        f"{_spent(line)}  {'(no note)' if line.note is None else one_line(line.note)}" for line in report.spend_by_note
    ]
    if others := report.other_notes:
        lines.append(f"{_spent(others)}  (other notes: {others.notes:,})")
    return [f"{_SPENT}  Spent on", *lines] if lines else []


_TIME_WIDTH = len("2026-05-15T12:00:00.000Z")
_SPENT = f"  {'Charges':>9}  {'Charged':>14}  {'Refunded':>14}  {'Spent':>14}"


def _spent(line: KeySpend | NoteSpend | OtherNotes) -> str:
    charges, *amounts_yen = _figures(line)
    return "  ".join([f"  {charges:>9,}", *(f"{format_yen(amount_yen):>14}" for amount_yen in amounts_yen)])


def _entries(report: Statement) -> list[str]:
    times = [one_line(local_time(entry.occurred_at, report.time_zone)) for entry in report.entries]
    width = max((_TIME_WIDTH, *map(len, times)))
    return [
        f"  {'Entry':>9}  {'Time':<{width}}  {'Type':<8}  {'Amount':>14}  {'Balance':>16}  Note",
        *(
            f"  {entry.txn_id:>9}  {time:<{width}}  {entry.txn_type:<8}  {format_yen(entry.amount_yen):>14}"
            f"  {format_yen(entry.ledger_balance_yen or 0):>16}  {one_line(entry.note or '')}".rstrip()
            for entry, time in zip(report.entries, times, strict=True)
        ),
    ]
