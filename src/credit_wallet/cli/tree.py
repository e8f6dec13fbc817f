"""The tree of commands: each one's module is imported when the command is called, and every command takes the global
options.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import import_module

import click

from credit_wallet.cli.context import take_act_note, take_db, take_json

GLOBAL_OPTIONS = (
    click.Option(
        ["--db"],
        metavar="URL",
        help="Database: sqlite:///path or postgresql://user@host/name.",
        callback=take_db,
        expose_value=False,
    ),
    click.Option(
        ["--act-note"],
        metavar="TEXT",
        help="Why something is changed, for the log of acts.",
        callback=take_act_note,
        expose_value=False,
    ),
    click.Option(["--json"], is_flag=True, help="Print JSON, for programs.", callback=take_json, expose_value=False),
)


class LazyGroup(click.Group):
    """The commands of ``sections``; a command's module is imported when the command is called or described.

    ``sections`` has, by heading, the module of each command. A module's ``commands`` are a group: one with a name is a
    command with subcommands, one without holds commands for the top level.
    """

    def __init__(self, *, sections: Mapping[str, Mapping[str, str]], name: str, help: str) -> None:  # noqa: A002
        super().__init__(name, help=help, params=[*GLOBAL_OPTIONS])
        self._sections = sections
        self._modules = {name: module for section in sections.values() for name, module in section.items()}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names of the commands, in the order of the sections."""
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name, None when there is none."""
        if cmd_name in self._modules and cmd_name not in self.commands:
            self.add_command(_loaded(self._modules[cmd_name], cmd_name))
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that ``args`` begin with; wrong usage suggests the names that are like it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            from difflib import get_close_matches

            names = get_close_matches(args[0], self._modules)
            hint = f" Did you mean {' or '.join(map(repr, names))}?" if names else ""
            raise click.UsageError(f"{error.message}{hint}", ctx) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A list of commands for each section of ``--help``."""
        width = max(map(len, self._modules))
        for heading, names in self._sections.items():
            commands = [command for name in names if (command := self.get_command(ctx, name))]
            with formatter.section(heading):
                formatter.write_dl([(str(each.name).ljust(width), each.get_short_help_str(80)) for each in commands])


def _loaded(module: str, name: str) -> click.Command:
    group: click.Group = import_module(f"{__package__}.{module}").commands
    command = group if group.name == name else group.commands[name]
    for each in _with_subcommands(command):
        each.params = [*each.params, *GLOBAL_OPTIONS]
    return command


def _with_subcommands(command: click.Command) -> Iterator[click.Command]:
    yield command
    if isinstance(command, click.Group):
        for each in command.commands.values():
            yield from _with_subcommands(each)
