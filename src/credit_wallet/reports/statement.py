"""A wallet's statement for one billing cycle: what came in, what went out, and every entry between."""

from __future__ import annotations

import csv
from io import StringIO

from msgspec import Struct, json

from credit_wallet.lines import one_line
from credit_wallet.money import format_yen
from credit_wallet.outcomes import Alert, Transaction, WalletView
from credit_wallet.wallet import CreditWallet

_FORMULA_BEGINS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
"""What a spreadsheet may read as the beginning of a formula, full width too (OWASP, "CSV Injection")."""


class Statement(Struct, frozen=True):
    """Opening and closing balance (open holds included) and all entries of the cycle, oldest first."""

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
    entries: list[Transaction]


def statement(wallets: CreditWallet, wallet_id: int, cycle: str) -> Statement:
    """The statement of ``cycle`` (YYYY-MM in the wallet's time zone). Raises ``WalletNotFound``, ``InvalidRequest``."""
    wallet = wallets.show(wallet_id)
    entries = wallets.cycle_entries(wallet_id, cycle)
    totals = dict.fromkeys(("topup", "charge", "refund", "expire", "reversal"), 0)
    for entry in entries:
        totals[entry.txn_type] += entry.amount_yen
    opening_yen = _opening_yen(wallets, wallet, entries, cycle)
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
        entries=entries,
    )


def _opening_yen(wallets: CreditWallet, wallet: WalletView, entries: list[Transaction], cycle: str) -> int:
    """The ledger balance before the cycle's first entry; without entries, the one that the cycle lies in."""
    if entries:
        first = entries[0]
        return (first.ledger_balance_yen or 0) - first.amount_yen
    return wallets.ledger_balance_before(wallet.wallet_id, cycle)


def to_json(report: Statement) -> str:
    """The statement as one JSON object."""
    return json.format(json.encode(report), indent=2).decode()


def to_csv(report: Statement) -> str:
    """The entries as CSV with a heading (RFC 4180); a note that a spreadsheet would run as a formula is quoted away."""
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(("txn_id", "occurred_at", "txn_type", "amount_yen", "ledger_balance_yen", "key_id", "note"))
    for entry in report.entries:
        writer.writerow(
            (
                entry.txn_id,
                entry.occurred_at,
                entry.txn_type,
                entry.amount_yen,
                entry.ledger_balance_yen,
                "" if entry.key_id is None else entry.key_id,
                _spreadsheet_text(entry.note),
            )
        )
    return out.getvalue()


def to_text(report: Statement) -> str:
    """The statement for reading: totals first, entries after."""
    name = f"Wallet {report.wallet_id}" + (f" ({one_line(report.label)})" if report.label else "")
    lines = [f"Statement of {name} for {report.billing_cycle} ({report.time_zone})", ""]
    for title, amount_yen in (
        ("Opening balance", report.opening_yen),
        ("Top-ups", report.topups_yen),
        ("Charges", report.charges_yen),
        ("Refunds", report.refunds_yen),
        ("Expired", report.expired_yen),
        ("Reversed", report.reversed_yen),
        ("Closing balance", report.closing_yen),
    ):
        lines.append(f"  {title:<18}{format_yen(amount_yen):>18}")
    if report.monthly_budget_yen:
        lines.append(f"  {'Monthly budget':<18}{format_yen(report.monthly_budget_yen):>18}")
    lines += [
        f"  Alert at {alert.threshold_pct} %: {format_yen(alert.spent_yen)} of {format_yen(alert.budget_yen)} spent"
        for alert in report.alerts
    ]
    lines += ["", f"  {'Entry':>9}  {'Time':<24}  {'Type':<8}  {'Amount':>14}  {'Balance':>16}  Note"]
    lines += [
        f"  {entry.txn_id:>9}  {entry.occurred_at:<24}  {entry.txn_type:<8}  {format_yen(entry.amount_yen):>14}"
        f"  {format_yen(entry.ledger_balance_yen or 0):>16}  {one_line(entry.note or '')}".rstrip()
        for entry in report.entries
    ]
    return "\n".join(lines)


def _spreadsheet_text(note: str | None) -> str:
    text = note or ""
    return f"'{text}" if text.startswith(_FORMULA_BEGINS) else text
