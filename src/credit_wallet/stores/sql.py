"""Named SQL: each ``.sql`` file beside this module is a list of blocks, ``-- name: what it is for`` and a statement.

The statements run on every database. The few that do not have another version under ``sql/<dialect>``.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

_HEADING = re.compile(r"^-- ([a-z_]+): ", re.MULTILINE)


@cache
def statements(file_name: str, dialect: str = "") -> dict[str, str]:
    """The statements of ``sql/<file_name>`` by name, comments included, in the order of the file.

    Statements of ``sql/<dialect>/<file_name>``, if that exists, replace those of the same name.
    """
    folder = resources.files("credit_wallet.stores") / "sql"
    found = _blocks((folder / file_name).read_text(encoding="utf-8"))
    own = folder / dialect / file_name
    if dialect and own.is_file():
        found |= _blocks(own.read_text(encoding="utf-8"))
    return found


def _blocks(text: str) -> dict[str, str]:
    starts = [(heading.start(), heading[1]) for heading in _HEADING.finditer(text)]
    ends = [start for start, _ in starts[1:]] + [len(text)]
    return {name: text[start:end].strip() for (start, name), end in zip(starts, ends, strict=True)}
