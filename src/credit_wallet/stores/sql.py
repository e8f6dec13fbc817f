"""Named SQL: each ``.sql`` file beside this module is a list of blocks, ``-- name: what it is for`` and a statement.

The statements run on every database. The few that do not have another version under ``sql/<dialect>``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cache
from pkgutil import get_data
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from credit_wallet.stores import Source

IDS_A_STATEMENT = 250

_HEADING = re.compile(r"^-- ([a-z_]+): ", re.MULTILINE)


@cache
def statements(file_name: str, dialect: str = "") -> dict[str, str]:
    """The statements of ``sql/<file_name>`` by name, comments included, in the order of the file.

    Statements of ``sql/<dialect>/<file_name>``, if that exists, replace those of the same name.
    """
    found = _blocks(file_name)
    if dialect:
        with suppress(FileNotFoundError):
            found |= _blocks(f"{dialect}/{file_name}")
    return found


def rows_of(
    source: Source, statement: str, ids: Sequence[int], named: Mapping[str, Any] | None = None
) -> Iterator[tuple[Any, ...]]:
    """The rows of a statement with ``IN ({ids})`` in it, ``IDS_A_STATEMENT`` ids at a time: one parameter for all."""
    if source.dialect == "postgres":
        text, form = statement.replace("IN ({ids})", "= ANY(CAST(CAST(:ids AS text) AS bigint[]))"), "{%s}"
    else:
        text, form = statement.replace("{ids}", "SELECT value FROM json_each(:ids)"), "[%s]"
    for start in range(0, len(ids), IDS_A_STATEMENT):
        some = ids[start : start + IDS_A_STATEMENT]
        yield from source.rows(text, {**(named or {}), "ids": form % ",".join(map(str, some))})


def shipped(package: str, name: str) -> bytes:
    """A file of a package; ``pkgutil`` reads it without ``importlib.resources``, which takes long to import.

    Raises ``FileNotFoundError``.
    """
    content = get_data(package, name)
    if content is None:
        raise FileNotFoundError(f"{package} cannot read {name}")
    return content


def _blocks(path: str) -> dict[str, str]:
    text = shipped("credit_wallet.stores", f"sql/{path}").decode()
    starts = [(heading.start(), heading[1]) for heading in _HEADING.finditer(text)]
    ends = [start for start, _ in starts[1:]] + [len(text)]
    return {name: text[start:end].strip() for (start, name), end in zip(starts, ends, strict=True)}
