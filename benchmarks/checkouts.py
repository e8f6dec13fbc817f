"""Processes that charge with the code of this checkout, or of another one that it is compared with."""

from __future__ import annotations

import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

HERE = Path(__file__).resolve().parents[1]


class Child:
    """A process that charges in one case with the code of a checkout; what others hold in memory costs it nothing.

    ``case`` is ``kind:wallets:batch``, the kinds are in ``checkout_child.py``; a turn is so many ``lists`` of a batch.
    """

    def __init__(self, checkout: Path, case: str, lists: int) -> None:
        self._case = case
        self._folder = TemporaryDirectory(prefix="credit-wallet-bench-")
        program = Path(__file__).with_name("checkout_child.py")
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


def add_base_option(options: ArgumentParser) -> None:
    """The option of benchmarks that compare this checkout with another one."""
    options.add_argument(
        "--base",
        type=Path,
        metavar="CHECKOUT",
        help="another checkout, whose charges take turns with those of this one",
    )
