"""What amounts below the yen cost a ledger that has none, and what they cost one that has: rate, CPU and bytes.

    python benchmarks/whole_yen.py [--base CHECKOUT] [--rounds N] [--smoke] [--json FILE]

Lists of 1,024 charges on one wallet and on 1,000: of ¥3, of ¥3.30, and of an item at ¥3.30. With ``--base``, the path
of another checkout such as the last release, its charges of ¥3 take turns with this one's, each in a process and a file
of its own. Ratios are medians over pairs of neighbouring turns: how many times as fast in rate and CPU, as many bytes.
Both run in this checkout's environment.
"""

from __future__ import annotations

from argparse import ArgumentParser
from contextlib import ExitStack
from functools import partial
from statistics import median

from checkouts import HERE, Child, add_base_option
from reporting import Figure, add_rounds_option, in_turns, parser, publish

BATCH = 1_024
LISTS = 4
ROUNDS = 12
SIZES = (1, 1_000)
HTTP_BESIDE = f"whole:1:{BATCH}"
KINDS = {"whole": "¥3", "fraction": "¥3.30", "item": "an item at ¥3.30"}

Turns = dict[tuple[str, str], list[dict[str, float]]]
"""The answers for each checkout and case, one a round."""


def main() -> None:
    options = _options(parser("What amounts below the yen cost.")).parse_args()
    rounds, lists = (2, 1) if options.smoke else (options.rounds, LISTS)
    with ExitStack() as stack:
        children = {
            (name, case): stack.enter_context(Child(checkout, case, lists))
            for size in SIZES
            for kind in KINDS
            for name, checkout in (("this", HERE), ("base", options.base))
            for case in [f"{kind}:{size}:{BATCH}"]
            if name == "this" or (checkout is not None and kind == "whole")  # another may know whole yen alone
        }
        asked = {(name, case): partial(child.ask, "charge") for (name, case), child in children.items()}
        asked |= {
            (name, "http"): partial(children[name, HTTP_BESIDE].ask, "http")
            for name in ("this", "base")
            if (name, HTTP_BESIDE) in children
        }
        turns = in_turns(asked, rounds)
        for (name, case), child in children.items():
            turns[name, f"bytes {case}"] = [child.ask("bytes")]
    settings = f"lists of 1,024; {rounds} rounds of {lists} lists"
    publish("Whole yen and less", settings, _figures(turns, options.base is not None), options.json)


def _options(options: ArgumentParser) -> ArgumentParser:
    add_base_option(options)
    add_rounds_option(options, ROUNDS)
    return options


def _figures(turns: Turns, has_base: bool) -> list[Figure]:
    figures: list[Figure] = []
    for size in SIZES:
        wallets = "one wallet" if size == 1 else f"{size:,} wallets"
        for kind, words in KINDS.items():
            case = f"{kind}:{size}:{BATCH}"
            against, name = (("base", case), "base") if kind == "whole" else (("this", f"whole:{size}:{BATCH}"), "¥3")
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
    """Seconds a charge, and how many times as fast as the other, round by round."""
    each = [turn[measure] / turn["charges"] for turn in mine]
    if other is None:
        return median(each), None
    others = [turn[measure] / turn["charges"] for turn in other]
    return median(each), median(there / here for here, there in zip(each, others, strict=True))


def _bytes(
    label: str, mine: dict[str, float], other: dict[str, float] | None, of: str, name: str, is_whole: bool
) -> Figure:
    ratio = None if other is None else mine[of] / other[of]
    unit = "bytes an entry" if of == "file" else "bytes in the entries' table"
    return Figure(label, mine[of], unit, "<= 1.02" if is_whole else "", ratio, name)


if __name__ == "__main__":
    main()
