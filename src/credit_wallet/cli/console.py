"""How the command line shows things: tables for people, JSON for programs."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from credit_wallet.cli.tables import cells, in_columns
from credit_wallet.domain.text import one_line

if TYPE_CHECKING:
    from credit_wallet.cli.bench import BenchReport
    from credit_wallet.domain.views import Opening
    from credit_wallet.errors import WalletError
    from credit_wallet.stores.jobs.verify import Violation


_OFTEN_EMPTY = (
    *("item", "quantity_micros", "price_version", "facts", "agent_facts"),
    *("request_id", "reference", "metadata", "idempotency_key"),
)
"""Fields that most entries and outcomes say nothing in."""


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
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bars:
        bar = bars.add_task("verifying")

        def show(doing: str, done: int, of: int) -> None:
            bars.update(bar, description=doing, completed=done, total=of)

        yield show


def verdict(violations: list[Violation], openings: list[Opening], *, as_json: bool) -> None:
    """The result of ``verify``; ``openings`` break nothing, and are shown only if there are any."""
    from credit_wallet.stores.jobs.verify import CHECKS

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
        from rich.console import Console

        Console().print(report.to_table())


def _opening(opening: Opening) -> str:
    from credit_wallet.domain.money import format_yen

    return f"wallet {opening.wallet_id} began with {format_yen(opening.opening_yen)} that no entry explains"


def _fields(value: object) -> Mapping[str, Any]:
    """The fields of a struct or mapping; of an amount that is there exactly and in whole yen, the exact one."""
    from msgspec import Struct, structs

    if isinstance(value, Struct):
        value = structs.asdict(value)
    if not isinstance(value, Mapping):
        raise TypeError(f"cannot show {type(value).__name__}")
    return {name: each for name, each in value.items() if f"{name.removesuffix('_yen')}_micros" not in value}


def _told(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The fields to show: all, but for those that are often empty, and are in each of ``rows``."""
    return [name for name in rows[0] if name not in _OFTEN_EMPTY or any(row[name] for row in rows)]


def _print_fields(fields: Mapping[str, Any]) -> None:
    print(in_columns([(_heading(name), _text(name, fields[name])) for name in _told([fields])]))


def _print_table(rows: Sequence[object]) -> None:
    """A table, or a list of fields for each row on a terminal that is too narrow for it."""
    if not rows:
        print("none")
        return
    fields = [_fields(row) for row in rows]
    names = _told(fields)
    right = [number for number, name in enumerate(names) if isinstance(fields[0][name], int)]
    shown = [[_text(name, row[name]) for name in names] for row in fields]
    headings = [_heading(name) for name in names]
    table = in_columns([headings, *shown], right)
    if sys.stdout.isatty() and _width(table) > _columns():
        table = "\n\n".join(in_columns(list(zip(headings, row, strict=True))) for row in shown)
    print(table)


def _columns() -> int:
    from shutil import get_terminal_size

    return get_terminal_size().columns


def _width(text: str) -> int:
    return max(map(cells, text.splitlines()))


def _text(name: str, value: object) -> str:
    from credit_wallet.domain.money import format_micros, format_yen
    from credit_wallet.domain.outcomes import Alert
    from credit_wallet.domain.views import ExpiredLotView, LotView, Opening

    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return _number(name, value)
    if isinstance(value, Mapping):
        return ", ".join(f"{one_line(str(key))}={one_line(str(each))}" for key, each in value.items()) or "–"
    if isinstance(value, list | tuple):
        return ", ".join(_text("", item) for item in value) or "none"
    if isinstance(value, Opening):
        return _opening(value)
    if isinstance(value, Alert):
        return f"{value.threshold_pct} % ({format_yen(value.spent_yen)} of {format_yen(value.budget_yen)})"
    if isinstance(value, LotView):
        end = "" if value.expires_at is None else f" until {one_line(value.expires_at)}, {_days(value.days_left)} left"
        return f"{format_micros(value.remaining_micros)} {value.kind}{end} (lot {value.lot_id})"
    if isinstance(value, ExpiredLotView):
        return (
            f"{format_micros(value.expired_micros)} {value.kind} at {one_line(value.expires_at)} (lot {value.lot_id})"
        )
    return one_line(str(value))


def _days(days: int | None) -> str:
    return "1 day" if days == 1 else f"{days} days"


_SETTINGS_IN_YEN = ("auto_topup_threshold", "auto_topup_amount")
"""As the seed calls them."""


def _number(name: str, value: int) -> str:
    from credit_wallet.domain.money import decimal_text, format_micros, format_yen

    if name == "quantity_micros":
        return decimal_text(value) if value else "–"
    if name.endswith("_micros"):
        return format_micros(value)
    return format_yen(value) if name.endswith("_yen") or name in _SETTINGS_IN_YEN else str(value)


def _heading(name: str) -> str:
    return name.removesuffix("_micros")


def _print_json(value: object) -> None:
    from credit_wallet.domain.documents import to_json

    print(to_json(value).decode())
