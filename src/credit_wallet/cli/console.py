"""How the command line shows things: tables for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from msgspec import Struct, json, structs
from rich.console import Console, JustifyMethod
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from credit_wallet.domain.money import format_yen
from credit_wallet.domain.outcomes import Alert, LotView, Opening
from credit_wallet.domain.text import one_line
from credit_wallet.errors import WalletError
from credit_wallet.stores.jobs.verify import CHECKS, Violation

UNFOLDED = 10_000
"""Width to lay tables out in: tokens and amounts must survive being copied, however narrow the terminal is."""

WIDEST_COLUMN = 80
"""Characters of a label, a note or a finding in one line of a table; what is longer goes on in the next."""


if TYPE_CHECKING:
    from credit_wallet.cli.bench import BenchReport


def show(value: object, *, as_json: bool) -> None:
    """A struct or mapping as a list of its fields, a sequence of structs as a table."""
    if as_json:
        _print_json(value)
    elif isinstance(value, Sequence):
        _print_table(value)
    else:
        _print_fields(_fields(value))


def refusal(error: WalletError, *, as_json: bool) -> None:
    """A refusal: ``code: message`` on stderr, or a JSON object on stdout."""
    if as_json:
        _print_json({"code": error.code, "detail": str(error), **error.details})
    else:
        print(f"{error.code}: {error}", file=sys.stderr)


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr if that is a terminal, gone at the end; call it with what is done and how far it has come."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("verifying")

        def show(doing: str, done: int, of: int) -> None:
            bars.update(bar, description=doing, completed=done, total=of)

        yield show


def verdict(violations: list[Violation], openings: list[Opening], *, as_json: bool) -> None:
    """What ``verify`` found; ``openings`` break nothing, and are there when there are any."""
    if as_json:
        found = {"openings": openings} if openings else {}
        _print_json({"ok": not violations, "checks": CHECKS, "violations": violations, **found})
        return
    for violation in violations:
        print(f"{violation.check}: {violation.message}", file=sys.stderr)
    if not violations:
        print(f"ok: {len(CHECKS)} invariants hold for every wallet")
    for opening in openings:
        print(f"note: {_opening(opening)}")


def bench(report: BenchReport, *, as_json: bool) -> None:
    """The figures of ``credit-wallet bench``."""
    if as_json:
        _print_json(report)
    else:
        Console().print(report.to_table())


def _opening(opening: Opening) -> str:
    return f"wallet {opening.wallet_id} began with {format_yen(opening.opening_yen)} that no entry explains"


def _fields(value: object) -> Mapping[str, Any]:
    if isinstance(value, Struct):
        return structs.asdict(value)
    if isinstance(value, Mapping):
        return value
    raise TypeError(f"cannot show {type(value).__name__}")


def _print_fields(fields: Mapping[str, Any]) -> None:
    table = Table(show_header=False, box=None, pad_edge=False)
    for name, value in fields.items():
        table.add_row(name, Text(_text(name, value)))
    Console(width=UNFOLDED).print(table)


def _print_table(rows: Sequence[object]) -> None:
    if not rows:
        print("none")
        return
    table = Table(box=None, pad_edge=False)
    for name, value in _fields(rows[0]).items():
        justify: JustifyMethod = "right" if isinstance(value, int) else "left"
        table.add_column(name, justify=justify, overflow="fold", max_width=WIDEST_COLUMN)
    for row in rows:
        table.add_row(*(Text(_text(name, value)) for name, value in _fields(row).items()))
    Console(width=UNFOLDED).print(table)


def _text(name: str, value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int) and name.endswith("_yen"):
        return format_yen(value)
    if isinstance(value, list | tuple):
        return ", ".join(_text("", item) for item in value) or "none"
    if isinstance(value, Opening):
        return _opening(value)
    if isinstance(value, Alert):
        return f"{value.threshold_pct} % ({format_yen(value.spent_yen)} of {format_yen(value.budget_yen)})"
    if isinstance(value, LotView):
        end = "" if value.expires_at is None else f" until {one_line(value.expires_at)}"
        return f"{format_yen(value.remaining_yen)} {value.kind}{end} (lot {value.lot_id})"
    return one_line(str(value))


def _print_json(value: object) -> None:
    print(json.encode(value).decode())
