"""What every benchmark prints: a table for people, and the same as JSON with the machine and the date."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TypeVar

from msgspec import Struct, json
from rich.console import Console
from rich.table import Table

from credit_wallet.cli.bench import Case, Machine, this_machine

K = TypeVar("K")
T = TypeVar("T")


class Figure(Struct, frozen=True):
    """One measured figure. ``ratio`` is measured divided by what ``ratio_to`` names, from the same run."""

    case: str
    value: float
    unit: str
    target: str = ""
    ratio: float | None = None
    ratio_to: str = ""
    detail: str = ""


class Result(Struct, frozen=True):
    """A run of one benchmark."""

    benchmark: str
    machine: Machine
    settings: str
    figures: tuple[Figure, ...]


def parser(description: str) -> ArgumentParser:
    """The options that every benchmark has."""
    options = ArgumentParser(description=description)
    options.add_argument("--smoke", action="store_true", help="a few seconds on small data: does it still work?")
    options.add_argument("--json", type=Path, metavar="FILE", help="write the JSON there instead of printing it")
    options.add_argument("--seconds", type=float, metavar="S", help="how long each case is measured in all")
    return options


def add_rounds_option(options: ArgumentParser, rounds: int) -> None:
    """The option of benchmarks whose rounds have a fixed length."""
    options.add_argument("--rounds", type=int, default=rounds, help="turns of each case (default: %(default)s)")


def add_data_option(options: ArgumentParser) -> None:
    """The option of benchmarks that reuse a generated database."""
    options.add_argument(
        "--data", type=Path, metavar="DIR", help="keep generated databases there and reuse them (default: do not keep)"
    )


def in_turns(turns: Mapping[K, Callable[[], T]], rounds: int) -> dict[K, list[T]]:
    """What each answers, round by round in alternating order; a round before them, which warms up, is left out."""
    answers: dict[K, list[T]] = {name: [] for name in turns}
    for number in range(rounds + 1):
        for name in list(turns)[:: 1 if number % 2 else -1]:
            answers[name].append(turns[name]())
    return {name: each[1:] for name, each in answers.items()}


@contextmanager
def data_folder(given: Path | None) -> Iterator[Path]:
    """The folder given, made if need be, or one that lives as long as the benchmark."""
    if given is not None:
        given.mkdir(parents=True, exist_ok=True)
        yield given
    else:
        with TemporaryDirectory(prefix="credit-wallet-bench-") as folder:
            yield Path(folder)


@contextmanager
def taking(seconds: list[float]) -> Iterator[None]:
    """Append how long the block took."""
    started = perf_counter()
    yield
    seconds.append(perf_counter() - started)


def figure_of(case: Case, *, target: str = "", ratio_to: str = "") -> Figure:
    """The rate of a case, and its ratio if it has one, to what ``ratio_to`` calls the other."""
    latencies = "" if case.p50_ms is None else f"p50 {case.p50_ms:.2f} ms, p99 {case.p99_ms:.2f} ms"
    name = "" if case.ratio is None else ratio_to or case.ratio_to
    return Figure(case.name, case.charges_per_second, "charges/s", target, case.ratio, name, latencies)


def publish(benchmark: str, settings: str, figures: Sequence[Figure], json_file: Path | None) -> None:
    """Print the table, and one line of JSON unless ``json_file`` is to have it."""
    result = Result(benchmark, this_machine(), settings, tuple(figures))
    Console(width=160).print(_table(result))
    if json_file is None:
        print(json.encode(result).decode())
    else:
        json_file.write_bytes(json.format(json.encode(result)))


def _table(result: Result) -> Table:
    machine = result.machine
    table = Table(
        title=f"{result.benchmark} ({result.settings})",
        caption=f"{machine.cpus} × {machine.cpu}, Python {machine.python}, SQLite {machine.sqlite}, {machine.date}",
    )
    table.add_column("case")
    table.add_column("to reach")
    table.add_column("measured", justify="right")
    table.add_column("ratio", justify="right")
    table.add_column("detail")
    for figure in result.figures:
        ratio = "" if figure.ratio is None else f"{number(figure.ratio)} × {figure.ratio_to}"
        table.add_row(figure.case, figure.target, f"{number(figure.value)} {figure.unit}", ratio, figure.detail)
    return table


def number(value: float) -> str:
    """Three digits, or whole thousands."""
    return f"{value:,.0f}" if value >= 1_000 else f"{value:.3g}"
