"""Named SQL: each ``.sql`` file beside this module is a list of blocks, ``-- name: what it is for`` and a statement."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_HEADING = re.compile(r"^-- ([a-z_]+): ", re.MULTILINE)


@cache
def statements(file_name: str) -> dict[str, str]:
    """The statements of ``sql/<file_name>`` by name, comments included, in the order of the file."""
    text = (resources.files("credit_wallet.stores") / "sql" / file_name).read_text(encoding="utf-8")
    starts = [(heading.start(), heading[1]) for heading in _HEADING.finditer(text)]
    ends = [start for start, _ in starts[1:]] + [len(text)]
    return {name: text[start:end].strip() for (start, name), end in zip(starts, ends, strict=True)}
