"""How the benchmark measures: turns, ratios, and what its table shows."""

from __future__ import annotations

from io import StringIO

from rich.console import Console

from credit_wallet.cli.bench import BenchReport, Case, compared, measure, this_machine
from credit_wallet.cli.workloads import Round, Workload


def test_cases_take_turns_in_alternating_order_after_one_that_warms_up() -> None:
    asked: list[tuple[str, float]] = []

    def workload(name: str) -> Workload:
        def run(seconds: float) -> Round:
            asked.append((name, seconds))
            return Round(10, seconds)

        return run

    cases = measure({"a": workload("a"), "b": workload("b")}, seconds=6.0, rounds=3)
    warm_up = [("a", 0.2), ("b", 0.2)]
    turns = [("a", 2.0), ("b", 2.0), ("b", 2.0), ("a", 2.0), ("a", 2.0), ("b", 2.0)]
    assert asked == warm_up + turns
    assert [case.rounds_per_second for case in cases.values()] == [(5, 5, 5), (5, 5, 5)]


def test_a_ratio_is_the_median_of_the_ratios_of_the_rounds() -> None:
    mine, other = Case("mine", 100, (100, 50, 300)), Case("other", 200, (200, 200, 400))
    assert (compared(mine, other).ratio, compared(mine, other).ratio_to) == (0.5, "other")
    assert compared(mine, Case("stalled", 0, (0, 0, 0))).ratio == 100


def test_latencies_are_of_all_charges_of_all_rounds() -> None:
    latencies = iter([(9.0,) * 99, (1.0,) * 99, (2.0,) * 100])  # the first warms up
    cases = measure({"callers": lambda seconds: Round(99, seconds, next(latencies))}, seconds=1.0, rounds=2)
    assert cases["callers"].p50_ms == 2.0
    assert cases["callers"].p99_ms == 2.0


def test_the_table_shows_a_limit_beside_its_case() -> None:
    cases = (
        Case("one wallet", 60_000, (60_000,), 0.6, "limit: one wallet"),
        Case("limit: one wallet", 100_000, (100_000,)),
        Case("64 threads", 30_000, (30_000,), 0.5, "one wallet", 2.0, 4.5),
    )
    shown = StringIO()
    Console(width=120, file=shown).print(BenchReport(this_machine(), "journal_mode=WAL", cases).to_table())
    rows = [line.split("│")[1:-1] for line in shown.getvalue().splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in row] for row in rows] == [
        ["one wallet", "60,000", "0.60", "limit, 100,000/s", "", ""],
        ["64 threads", "30,000", "0.50", "own lists, 60,000/s", "2.00", "4.50"],
    ]
