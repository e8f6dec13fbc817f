"""How wide a run goes: ``make wide`` takes each case on each database, ``make test`` what shows that a rule holds."""

from __future__ import annotations

import os

WIDE = bool(os.environ.get("WIDE"))
"""Whether each test runs on each database that it names, with all of its cases and examples."""


def examples(all_of_them: int, variable: str = "") -> int:
    """How many examples Hypothesis takes: a third, all of them in a wide run, or what an environment variable says."""
    return int(os.environ.get(variable) or (all_of_them if WIDE else max(2, all_of_them // 3)))
