"""What amounts below the yen cost a ledger that has none, and what they cost one that has: rate, CPU and bytes.

    python benchmarks/whole_yen.py [--base CHECKOUT] [--rounds N] [--smoke] [--json FILE]

Lists of 1,024 charges on one wallet and on 1,000: of ¥3, of ¥3.30, and of an item at ¥3.30. With ``--base``, the path
of another checkout such as the last release, its charges of ¥3 take turns with this one's, each in a process and a file
of its own. Ratios are medians over pairs of neighbouring turns: how many times as fast in rate and CPU, as many bytes.
Both run in this checkout's environment.
"""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentParser
from collections import defaultdict
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Self

from reporting import Figure, parser, publish

HERE = Path(__file__).resolve().parents[1]
LISTS = 4
ROUNDS = 12
SIZES = (1, 1_000)
HTTP_BESIDE = "whole:1"
KINDS = {"whole": "¥3", "fraction": "¥3.30", "item": "an item at ¥3.30"}

Turns = dict[tuple[str, str], list[dict[str, float]]]
"""The answers for each checkout and case, one a round."""


class Child:
    """A process that charges in one case with the code of a checkout; what others hold in memory costs it nothing."""

    def __init__(self, checkout: Path, case: str, lists: int) -> None:
        self._case = case
        self._folder = TemporaryDirectory(prefix="credit-wallet-bench-")
        program = Path(__file__).with_name("whole_yen_child.py")
        command = [sys.executable, str(program), str(checkout.resolve()), self._folder.name, str(lists)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._process as process:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
        self._folder.cleanup()

    def ask(self, what: str) -> dict[str, float]:
        """The answer to a line."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{what} {self._case}\n")
        self._process.stdin.flush()
        answer: dict[str, float] = json.loads(self._process.stdout.readline())
        return answer


def main() -> None:
    options = _options(parser("What amounts below the yen cost.")).parse_args()
    rounds, lists = (2, 1) if options.smoke else (options.rounds, LISTS)
    turns: Turns = defaultdict(list)
    with ExitStack() as stack:
        children = {
            (name, case): stack.enter_context(Child(checkout, case, lists))
            for size in SIZES
            for kind in KINDS
            for name, checkout in (("this", HERE), ("base", options.base))
            for case in [f"{kind}:{size}"]
            if name == "this" or (checkout is not None and kind == "whole")  # another may know whole yen alone
        }
        for number in range(rounds + 1):
            for name, case in list(children)[:: 1 if number % 2 else -1]:
                turns[name, case].append(children[name, case].ask("charge"))
                if case == HTTP_BESIDE:
                    turns[name, "http"].append(children[name, case].ask("http"))
        for (name, case), child in children.items():
            turns[name, f"bytes {case}"].append(child.ask("bytes"))
    settings = f"lists of 1,024; {rounds} rounds of {lists} lists"
    publish("Whole yen and less", settings, _figures(turns, options.base is not None), options.json)


def _options(options: ArgumentParser) -> ArgumentParser:
    options.add_argument("--base", type=Path, metavar="CHECKOUT", help="another checkout to compare with")
    options.add_argument("--rounds", type=int, default=ROUNDS, help="turns of each case (default: %(default)s)")
    return options


def _figures(turns: Turns, has_base: bool) -> list[Figure]:
    figures: list[Figure] = []
    for size in SIZES:
        wallets = "one wallet" if size == 1 else f"{size:,} wallets"
        for kind, words in KINDS.items():
            case = f"{kind}:{size}"
            against, name = (("base", case), "base") if kind == "whole" else (("this", f"whole:{size}"), "¥3")
            is_compared = has_base or kind != "whole"
            rate, cpu = (
                _compared(turns["this", case], turns[against] if is_compared else None, measure)
                for measure in ("seconds", "cpu_seconds")
            )
            size_of, size_of_base = turns["this", f"bytes {case}"][0], turns.get((against[0], f"bytes {against[1]}"))
            label = f"{words}, {wallets}"
            is_whole = kind == "whole"
            figures += [
                Figure(label, 1 / rate[0], "charges/s", ">= 0.97" if is_whole else "", rate[1], name),
                Figure(label, cpu[0] * 1e6, "µs CPU a charge", "", cpu[1], name),
                _bytes(label, size_of, size_of_base[0] if size_of_base else None, "file", name, is_whole),
                _bytes(label, size_of, size_of_base[0] if size_of_base else None, "log", name, is_whole),
            ]
    http = _compared(turns["this", "http"], turns["base", "http"] if has_base else None, "cpu_seconds")
    detail = "without ledger and socket: body, call, reply and headers"
    figures.append(
        Figure("HTTP charge of ¥3", http[0] * 1e6, "µs CPU", "", http[1], "base, how many times as fast", detail)
    )
    return figures


def _compared(
    mine: list[dict[str, float]], other: list[dict[str, float]] | None, measure: str
) -> tuple[float, float | None]:
    """Seconds a charge, and how many times as fast as the other, round by round; the first round warms up."""
    each = [turn[measure] / turn["charges"] for turn in mine[1:]]
    if other is None:
        return median(each), None
    others = [turn[measure] / turn["charges"] for turn in other[1:]]
    return median(each), median(there / here for here, there in zip(each, others, strict=True))


def _bytes(
    label: str, mine: dict[str, float], other: dict[str, float] | None, of: str, name: str, is_whole: bool
) -> Figure:
    ratio = None if other is None else mine[of] / other[of]
    unit = "bytes an entry" if of == "file" else "bytes in the entries' table"
    return Figure(label, mine[of], unit, "<= 1.02" if is_whole else "", ratio, name)


if __name__ == "__main__":
    main()
