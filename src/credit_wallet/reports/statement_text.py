"""The statement for reading: totals first, then who spent and on what, entries last."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import TypeAlias

from credit_wallet.domain.money import MICROS, format_yen
from credit_wallet.domain.text import one_line
from credit_wallet.domain.views import Transaction
from credit_wallet.reports.items import ItemSpend, PriceLine
from credit_wallet.reports.layout import Layout, Numbers, quantity_text
from credit_wallet.reports.spending import KeySpend, NoteSpend, OtherNotes
from credit_wallet.reports.statement_figures import StatementHead

Line: TypeAlias = KeySpend | NoteSpend | OtherNotes | ItemSpend


class TextForm:
    """For reading. Times are those of the wallet's time zone, with its offset; amounts are exact.

    Columns of items and quantities are there when entries name items, and amounts have places when they need them.
    """

    media_type = "text/plain"

    def __init__(self, *, has_entries: bool = True) -> None:
        self.has_entries = has_entries
        self._layout = Layout("UTC")

    def begin(self, head: StatementHead, layout: Layout) -> str:
        """As ``Form`` says."""
        self._layout = layout
        parts = (_heading(head), _totals(head), *_Spending(head).tables(), self._titles())
        return "\n\n".join("\n".join(lines) for lines in parts if lines)

    def more(self, entries: Sequence[Transaction]) -> str:
        """As ``Form`` says."""
        return "".join(f"\n{self._line(entry)}" for entry in entries)

    def end(self) -> str:
        """As ``Form`` says."""
        return ""

    def _titles(self) -> list[str]:
        if not self.has_entries:
            return []
        layout = self._layout
        amounts = f"{layout.amounts.heading('Amount')}  {layout.balances.heading('Balance')}"
        time = f"{'Time':<{layout.time_width}}"
        return [f"  {'Entry':>9}  {time}  {'Type':<8}  {amounts}{self._item('Item', 'Quantity')}  Note"]

    def _line(self, entry: Transaction) -> str:
        layout = self._layout
        amount = layout.amounts.text(entry.amount_micros)
        balance = layout.balances.text(entry.ledger_balance_micros or 0)
        time = f"{layout.time(entry):<{layout.time_width}}"
        sold = entry.quantity_micros
        quantity = "" if sold is None else layout.quantities.text(sold)
        item = self._item(one_line(entry.item or ""), quantity)
        line = f"  {entry.txn_id:>9}  {time}  {entry.txn_type:<8}  {amount}  {balance}{item}  {_note(entry)}"
        return line.rstrip()

    def _item(self, item: str, quantity: str) -> str:
        layout = self._layout
        if not layout.item_width:
            return ""
        return f"  {item:<{layout.item_width}}  {quantity:>{layout.quantities.width}}"


class _Spending:
    """Three tables of the same spending: by key, by note and by item, their columns under each other."""

    def __init__(self, head: StatementHead) -> None:
        self._head = head
        self._columns = [Numbers(14), Numbers(14), Numbers(14)]
        lines: list[Line] = [*head.spend_by_key, *head.spend_by_note, *head.spend_by_item, *_others(head)]
        for line in lines:
            for column, micros in zip(self._columns, _amounts(line), strict=True):
                column.fit(micros)

    def tables(self) -> Iterator[list[str]]:
        """Those that have lines; when items say what was bought, notes need not say that there are none."""
        cap = Numbers(14)
        yield self._table(f"{cap.heading('Cap')}  Spent by", self._spenders(cap))
        names_items = any(line.item is not None for line in self._head.spend_by_item)
        if not names_items or any(line.note is not None for line in self._head.spend_by_note):
            yield self._table("Spent on", self._purposes())
        if names_items:
            yield self._table("Item × quantity @ unit price", self._items())

    def _table(self, title: str, lines: Iterable[str]) -> list[str]:
        found = list(lines)
        names = ("Charged", "Refunded", "Spent")
        titles = [column.heading(name) for column, name in zip(self._columns, names, strict=True)]
        return [f"  {'Charges':>9}  {'  '.join(titles)}  {title}", *found] if found else []

    def _line(self, charges: int, amounts_micros: Iterable[int], name: str) -> str:
        texts = [column.text(micros) for column, micros in zip(self._columns, amounts_micros, strict=False)]
        texts += [column.heading() for column in self._columns[len(texts) :]]
        return f"  {charges:>9,}  {'  '.join(texts)}  {name}"

    def _spenders(self, caps: Numbers) -> Iterator[str]:
        for line in self._head.spend_by_key:
            label = f" ({one_line(line.label)})" if line.label else ""
            name = "owner" if line.key_id is None else f"key {line.key_id}{label}"
            cap = caps.text(line.monthly_cap_yen * MICROS) if line.monthly_cap_yen else caps.heading()
            yield self._line(line.charges, _amounts(line), f"{cap}  {name}")

    def _purposes(self) -> Iterator[str]:
        for line in self._head.spend_by_note:
            name = "(no note)" if line.note is None else one_line(line.note)
            yield self._line(line.charges, _amounts(line), name)
        for others in _others(self._head):
            yield self._line(others.charges, _amounts(others), f"(other notes: {others.notes:,})")

    def _items(self) -> Iterator[str]:
        for line in self._head.spend_by_item:
            if line.item is None:
                yield self._line(line.charges, _amounts(line), "(no item)")
                continue
            name = f"{one_line(line.item)} × {quantity_text(line.quantity_micros)}"
            if len(line.prices) == 1:
                yield self._line(line.charges, _amounts(line), f"{name}{_price(line.prices[0])}")
                continue
            yield self._line(line.charges, _amounts(line), name)
            for price in line.prices:
                name = f"  {quantity_text(price.quantity_micros)}{_price(price)}, price version {price.price_version}"
                yield self._line(price.charges, [price.charged_micros], name)


def _others(head: StatementHead) -> tuple[OtherNotes, ...]:
    return () if head.other_notes is None else (head.other_notes,)


def _amounts(line: Line) -> tuple[int, int, int]:
    return line.charged_micros, line.refunded_micros, line.spent_micros


def _price(line: PriceLine) -> str:
    """The price; nothing where charges named their amount."""
    return "" if line.price is None else f" @ {line.price}"


def _note(entry: Transaction) -> str:
    """The note, and in brackets the facts: the seller's, and after them the agent's."""
    if not entry.facts and not entry.agent_facts:
        return one_line(entry.note or "")
    facts = [", ".join(f"{key}={one_line(value)}" for key, value in entry.facts.items())]
    if entry.agent_facts:
        facts.append("agent: " + ", ".join(f"{key}={one_line(value)}" for key, value in entry.agent_facts.items()))
    bracket = "; ".join(each for each in facts if each)
    return "  ".join(each for each in (one_line(entry.note or ""), f"[{bracket}]" if bracket else "") if each)


def _heading(head: StatementHead) -> list[str]:
    name = f"Wallet {head.wallet_id}" + (f" ({one_line(head.label)})" if head.label else "")
    heading = f"Statement of {name} for {head.billing_cycle} ({head.time_zone})"
    return [heading, f"Ledger at {head.seal}"] if head.seal else [heading]


def _totals(head: StatementHead) -> list[str]:
    figures = [
        ("Opening balance", head.opening_micros),
        ("Top-ups", head.topups_micros),
        ("Charges", head.charges_micros),
        ("Refunds", head.refunds_micros),
        ("Expired", head.expired_micros),
        ("Reversed", head.reversed_micros),
        ("Closing balance", head.closing_micros),
    ]
    if head.transferred_in_micros or head.transferred_out_micros:
        moved = [("Transferred in", head.transferred_in_micros), ("Transferred out", head.transferred_out_micros)]
        figures[2:2] = moved
    if head.adjusted_micros:
        figures.insert(-1, ("Adjusted", head.adjusted_micros))
    if head.other_micros:
        figures.insert(-1, ("Other", head.other_micros))
    if head.monthly_budget_yen:
        figures.append(("Monthly budget", head.monthly_budget_yen * MICROS))
    column = Numbers(18)
    for _, micros in figures:
        column.fit(micros)
    lines = [f"  {title:<18}{column.text(micros)}".rstrip() for title, micros in figures]
    if head.left_out:
        lines.append("  Lapsed, reversed, transferred out and adjusted are together in Other; the entries say which.")
    return lines + [
        f"  Alert at {alert.threshold_pct} %: {format_yen(alert.spent_yen)} of {format_yen(alert.budget_yen)} spent"
        for alert in head.alerts
    ]
