"""Charges per second in lists on SQLite, beside the limit: bare SQLite that writes the same rows.

    python benchmarks/sqlite_charges.py [--base CHECKOUT] [--tigerbeetle ADDRESS] [--rounds N] [--case TEXT]
                                        [--smoke] [--json FILE]

On one wallet and on 10,000, plain ones and wallets as people have them: two budgets, automatic top-ups, an agent key,
charges of an item with facts. Each side is a process with a ledger of its own, and they take turns. Ratios are medians
over the rounds. With ``--base``, another checkout such as the commit before, its charges take turns as well; with
``--tigerbeetle``, transfers in that server.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from checkouts import HERE, Child, add_base_option
from reporting import Figure, add_rounds_option, in_turns, parser, publish
from tigerbeetle_transfers import TIGERBEETLE, TigerBeetle, add_tigerbeetle_option

from credit_wallet.cli.workloads import WALLETS

ROUNDS = 7
CHARGES_A_TURN = 16_384
LISTS_A_TURN = 256

Turn = dict[str, float]


class Case(NamedTuple):
    """Lists of ``batch`` charges of a kind (``checkout_child.py``) on a number of wallets."""

    kind: str
    wallets: int
    batch: int
    target: str = ""
    tigerbeetle_target: str = ""

    @property
    def name(self) -> str:
        """For the table."""
        payers = "one wallet" if self.wallets == 1 else f"{self.wallets:,} wallets"
        lists = "one at a time" if self.batch == 1 else f"lists of {self.batch:,}"
        return f"{payers}{' as people have them' if self.kind == 'equipped' else ''}, {lists}"


CASES = (
    Case("plain", 1, 1_024, ">= 0.60", ">= 2"),
    Case("equipped", 1, 1_024, ">= 0.50"),
    Case("plain", WALLETS, 64, ">= 0.70", ">= 1.2"),
    Case("plain", WALLETS, 1_024, ">= 0.62", ">= 1.0"),
    Case("plain", WALLETS, 8_000, ">= 0.47", ">= 1.1"),
    Case("equipped", WALLETS, 1_024, ">= 0.50"),
    Case("plain", WALLETS, 1, "", ">= 3"),
)
SMOKE = tuple(case._replace(wallets=min(case.wallets, 100), batch=min(case.batch, 128)) for case in CASES)


def main() -> None:
    options = parser("Charges per second in lists on SQLite.")
    add_base_option(options)
    add_tigerbeetle_option(options)
    add_rounds_option(options, ROUNDS)
    options.add_argument("--case", default="", metavar="TEXT", help="only cases with this in their name")
    given = options.parse_args()
    rounds, charges = (1, 256) if given.smoke else (given.rounds, CHARGES_A_TURN)
    cases = [case for case in (SMOKE if given.smoke else CASES) if given.case in case.name]
    with ExitStack() as stack:
        peer = given.tigerbeetle and stack.enter_context(TigerBeetle(given.tigerbeetle, WALLETS))
        figures = [figure for case in cases for figure in _measured(case, given.base, peer, rounds, charges)]
    publish("SQLite, charges in lists", f"WAL, synchronous=FULL; {rounds} rounds", figures, given.json)


def _measured(case: Case, base: Path | None, peer: TigerBeetle | None, rounds: int, charges: int) -> list[Figure]:
    """A case, its limit, and what else it is compared with, in turns."""
    lists = max(1, min(charges // case.batch, LISTS_A_TURN))
    asked = {"this": (HERE, "charge"), "limit": (HERE, "limit")}
    if base is not None:
        asked["base"] = (base, "charge")
    turns: dict[str, Callable[[], Turn]] = {}
    with ExitStack() as stack:
        for name, (checkout, what) in asked.items():
            child = stack.enter_context(Child(checkout, f"{case.kind}:{case.wallets}:{case.batch}", lists))
            turns[name] = partial(child.ask, what)
        if peer is not None and case.kind == "plain":
            turns[TIGERBEETLE] = partial(peer.transfer, peer.accounts[: case.wallets], case.batch, lists)
        answers = in_turns(turns, rounds)
    mine, limit = answers["this"], answers["limit"]
    cpu = f"{_cpu(mine)}, {_ratio(mine, limit, 'cpu_seconds'):.2f} × limit"
    figures = [Figure(case.name, _rate(mine), "charges/s", case.target, _ratio(mine, limit), "limit", cpu)]
    figures.append(Figure(f"{case.name}: limit", _rate(limit), "charges/s", detail=_cpu(limit)))
    if base is not None:
        other = answers["base"]
        cpu = f"{_cpu(other)}, this in CPU {_ratio(mine, other, 'cpu_seconds'):.2f} × base"
        figures.append(Figure(f"{case.name}: base", _rate(other), "charges/s", "", _ratio(mine, other), "base", cpu))
    if other := answers.get(TIGERBEETLE, []):
        target, ratio = case.tigerbeetle_target, _ratio(mine, other)
        figures.append(Figure(f"{case.name}: {TIGERBEETLE}", _rate(other), "transfers/s", target, ratio, TIGERBEETLE))
    return figures


def _ratio(mine: Sequence[Turn], other: Sequence[Turn], measure: str = "seconds") -> float:
    """How many times as fast as the other, or with ``cpu_seconds`` as cheap, round by round."""
    return median(there[measure] / here[measure] for here, there in zip(mine, other, strict=True))


def _rate(turns: Sequence[Turn]) -> float:
    return median(turn["charges"] / turn["seconds"] for turn in turns)


def _cpu(turns: Sequence[Turn]) -> str:
    return f"CPU {median(turn['cpu_seconds'] / turn['charges'] for turn in turns) * 1e6:.1f} µs a charge"


if __name__ == "__main__":
    main()
