"""Commands with every value that a caller can send."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import typer
from shell import (
    shell,  # noqa: F401
)


def commands(app: typer.Typer, *words: str) -> Iterator[tuple[str, Any]]:
    """Every command by its words, with its function."""
    for command in app.registered_commands:
        assert command.callback is not None
        yield " ".join((*words, command.name or command.callback.__name__)), command.callback
    for group in app.registered_groups:
        assert group.typer_instance is not None
        yield from commands(group.typer_instance, *words, str(group.name))
