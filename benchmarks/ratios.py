"""Every benchmark, one after another, and in the end one table of what is to be reached: ``make bench``.

    python benchmarks/ratios.py [SECTION ...] [--base CHECKOUT] [--pgledger FILE] [--tigerbeetle ADDRESS] [--db URL]
                                [--data DIR] [--seconds S] [--rounds N] [--smoke] [--json FILE]

Without a section all of them, which takes about an hour. An option is for the sections that know it. The table is in
Markdown, as ``benchmarks/README.md`` has it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from argparse import ArgumentParser, ArgumentTypeError, Namespace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from checkouts import add_base_option
from msgspec import json
from postgres_charges import add_database_option
from reporting import Figure, Result, add_data_option, data_folder, number, parser
from tigerbeetle_transfers import add_tigerbeetle_option

HERE = Path(__file__).parent
SUPPORT = str(HERE.parent / "tests" / "support")
"""What benchmarks and tests share."""


class Section(NamedTuple):
    """A benchmark, and which options it knows besides ``--smoke``."""

    program: str
    options: tuple[str, ...]


SECTIONS = {
    "sqlite": Section("sqlite_charges", ("base", "tigerbeetle", "rounds")),
    "callers": Section("concurrency", ("data", "tigerbeetle", "seconds")),
    "http": Section("http_charges", ("data", "seconds")),
    "postgres": Section("postgres_charges", ("db", "pgledger", "seconds")),
    "gate": Section("gate", ("seconds",)),
    "budgets": Section("budgets", ("db", "base", "rounds")),
    "ledger": Section("big_ledger", ("data",)),
    "usage": Section("usage", ("data",)),
    "search": Section("search", ("db",)),
    "alerts": Section("alert_job", ("data",)),
    "replay": Section("replay", ("db", "data")),
    "pages": Section("pages", ("data",)),
    "amounts": Section("whole_yen", ("base", "rounds")),
}


def main() -> None:
    given = _options().parse_args()
    results = []
    with data_folder(given.data) as data, TemporaryDirectory(prefix="credit-wallet-bench-") as folder:
        given.data = data
        for name in given.sections or SECTIONS:
            file = Path(folder) / f"{name}.json"
            subprocess.run(_command(SECTIONS[name], given, file), check=True, env={**os.environ, "PYTHONPATH": SUPPORT})
            results.append(json.decode(file.read_bytes(), type=Result))
    if given.json is not None:
        given.json.write_bytes(json.format(json.encode(results)))
    print("\n".join(_table(results)))


def _options() -> ArgumentParser:
    options = parser("Every benchmark, and a table of what is to be reached.")
    options.add_argument("sections", nargs="*", type=_section, metavar="SECTION", help=", ".join(SECTIONS))
    add_base_option(options)
    add_database_option(options)
    add_data_option(options)
    add_tigerbeetle_option(options)
    options.add_argument("--pgledger", type=Path, metavar="FILE", help="pgledger.sql in a checkout of pgledger")
    options.add_argument("--rounds", type=int, metavar="N", help="turns of each case, where a turn has a fixed length")
    return options


def _section(name: str) -> str:
    if name not in SECTIONS:
        raise ArgumentTypeError(f"{name!r} is none of {', '.join(SECTIONS)}")
    return name


def _command(section: Section, given: Namespace, file: Path) -> list[str]:
    command = [sys.executable, str(HERE / f"{section.program}.py"), "--json", str(file)]
    for option in section.options:
        if (value := getattr(given, option)) is not None:
            command += [f"--{option}", str(value)]
    return [*command, "--smoke"] if given.smoke else command


def _table(results: list[Result]) -> list[str]:
    """What has a target, in Markdown."""
    lines = ["| case | to | target | ratio | measured | date |", "|---|---|---|---|---|---|"]
    return lines + [
        _row(figure, result.machine.date) for result in results for figure in result.figures if figure.target
    ]


def _row(figure: Figure, date: str) -> str:
    ratio = "" if figure.ratio is None else f"{figure.ratio:.2f}"
    measured = f"{number(figure.value)} {figure.unit}" + (f"; {figure.detail}" if figure.detail else "")
    target = figure.target.replace(">=", "≥").replace("<=", "≤")
    return f"| {figure.case} | {figure.ratio_to} | {target} | {ratio} | {measured} | {date} |"


if __name__ == "__main__":
    main()
