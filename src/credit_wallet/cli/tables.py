"""Columns of text for a terminal, also where characters are two cells wide."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from itertools import zip_longest
from unicodedata import combining, east_asian_width

WIDEST_COLUMN = 80
"""Cells of one line of a column; longer text continues on the next line. Tokens and amounts are always shorter."""

GAP = "  "

_ADDRESS = re.compile(r"https?://\S{1,250}")
"""What people copy in one go, and would not find whole on two lines."""


def in_columns(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """``rows`` with their columns aligned, those whose number is in ``right`` at the right edge."""
    folded = [[_folded(cell) for cell in row] for row in rows]
    widths = [max(cells(line) for cell in column for line in cell) for column in zip(*folded, strict=True)]
    return "\n".join(
        GAP.join(
            _padded(line, width, at_right=number in right)
            for number, (line, width) in enumerate(zip(lines, widths, strict=True))
        ).rstrip()
        for row in folded
        for lines in zip_longest(*row, fillvalue="")
    )


def cells(text: str) -> int:
    """How many cells of a terminal ``text`` takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(each) else 2 if east_asian_width(each) in "WF" else 1 for each in text)


def _padded(text: str, width: int, *, at_right: bool) -> str:
    space = " " * (width - cells(text))
    return space + text if at_right else text + space


def _folded(text: str) -> list[str]:
    """``text`` in lines of at most ``WIDEST_COLUMN`` cells, broken between words where there are any.

    An address stays whole.
    """
    if cells(text) <= WIDEST_COLUMN or _ADDRESS.fullmatch(text):
        return [text]
    lines = [""]
    for word in re.findall(r"\S+\s*|\s+", text):
        if lines[-1] and cells(lines[-1] + word.rstrip()) > WIDEST_COLUMN:
            lines.append("")
        for character in word:
            if cells(lines[-1] + character) > WIDEST_COLUMN and not character.isspace():
                lines.append("")
            lines[-1] += character
    return [line.rstrip() for line in lines]
