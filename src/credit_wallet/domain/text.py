"""Notes and labels on a line of their own: callers write them, so they may hold what a terminal obeys."""

from __future__ import annotations

import re

_OBEYED = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line breaks and changes of the direction of writing."""


def one_line(text: str) -> str:
    """``text`` with everything that would move the cursor or end the line written as an escape such as ``\\n``."""
    return _OBEYED.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def escaped_in_json(line: str) -> str:
    """JSON of one line whose texts have what a terminal obeys as escapes such as ``\\u2028``."""
    return line if line.isascii() and "\x7f" not in line else _OBEYED.sub(lambda found: f"\\u{ord(found[0]):04x}", line)
