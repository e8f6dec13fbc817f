"""The command line as a tree, for tests that walk over every command."""

from __future__ import annotations

from collections.abc import Iterator

import click

from credit_wallet.cli.app import app


def commands(group: click.Group = app, *words: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its words."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, *words, name)
        else:
            yield " ".join((*words, name)), command
