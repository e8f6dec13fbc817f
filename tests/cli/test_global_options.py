"""Options that every command takes, wherever they stand; ``--version``, ``--help`` and completion."""

from __future__ import annotations

import json
import re
from importlib.metadata import version
from itertools import combinations_with_replacement
from pathlib import Path

import click
import pytest
from command_values import commands
from shell import Shell, in_a_process

import credit_wallet
from credit_wallet.cli.app import app

COMMANDS = dict(commands())


def lines(*words: str, options: tuple[tuple[str, ...], ...]) -> list[list[str]]:
    """Every way to put the options, in this order, between the words."""
    placed = []
    for places in combinations_with_replacement(range(len(words) + 1), len(options)):
        line: list[str] = []
        for number in range(len(words) + 1):
            line += [word for place, option in zip(places, options, strict=True) if place == number for word in option]
            line += words[number : number + 1]
        placed.append(line)
    return placed


@pytest.mark.parametrize("command", [("wallet", "show", "1"), ("history", "1", "--limit", "1"), ("verify",)])
def test_global_options_mean_the_same_everywhere_on_the_line(funded: Shell, command: tuple[str, ...]) -> None:
    expected = funded.run("--db", funded.url, "--json", *command)
    assert expected.code == 0
    assert json.loads(expected.out)
    for line in lines(*command, options=(("--db", funded.url), ("--json",))):
        if line[line.index("--limit") + 1 :][:1] in (["--db"], ["--json"]) if "--limit" in line else False:
            continue  # that would be the value of --limit
        assert funded.run(*line) == expected, line


def test_a_refusal_is_json_wherever_the_option_stands(funded: Shell) -> None:
    charge = ("charge", "1", "5000", "--key", "k")
    expected = funded.run("--db", funded.url, "--json", *charge)
    assert (expected.code, json.loads(expected.out)["code"]) == (1, "insufficient_funds")
    assert funded.run(*charge, "--json", "--db", funded.url) == expected


def test_an_option_that_is_the_value_of_another_is_a_value(funded: Shell) -> None:
    funded("charge", 1, 1, "--key", "--json", "--note", "--json")
    assert funded.json("history", 1, "--limit", 1)[0]["note"] == "--json"


def test_the_last_database_counts(shell: Shell, tmp_path: Path) -> None:
    shell("wallet", "create")
    elsewhere = f"sqlite:///{tmp_path}/none.db"
    assert shell.run("--db", elsewhere, "wallet", "list", "--db", shell.url).code == 0
    assert shell.run("--db", shell.url, "wallet", "list", "--db", elsewhere).err.startswith("no_ledger: ")


def test_a_password_on_the_line_is_warned_about_wherever_it_stands(shell: Shell) -> None:
    url = "postgresql://wallet:s3cret@127.0.0.1:1/ledger"
    for line in (("--db", url, "wallet", "list"), ("wallet", "list", "--db", url)):
        said = shell.run(*line).err.splitlines()
        assert said[-1].startswith("warning: every user of this machine can read the database password")
    assert shell.run("wallet", "list", "--json", "--db", url).err == ""


def test_the_version_is_that_of_the_distribution(shell: Shell) -> None:
    assert credit_wallet.__version__ == version("agent-credit-wallet")
    assert shell.run("--version") == (0, f"credit-wallet {credit_wallet.__version__}\n", "")


@pytest.mark.parametrize("words", ["", *COMMANDS])
def test_help_fits_80_columns_and_says_what_a_command_does(shell: Shell, words: str) -> None:
    answer = shell.run(*words.split(), "--help")
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.startswith(f"Usage: {' '.join(('credit-wallet', *words.split()))} ")
    assert max(map(len, answer.out.splitlines())) <= 80
    assert "..." not in answer.out.replace("[ARGS]...", "")
    assert "--json" in answer.out


def test_each_command_is_one_line_in_the_list_of_commands(shell: Shell) -> None:
    groups = {" ".join(words.split()[:-1]) for words in COMMANDS}
    for group in groups:
        listed = shell.run(*group.split(), "--help").out.split("\nOptions:")[1].split("  --help")[1]
        told = [line for line in listed.splitlines()[1:] if line and not line.endswith(":")]
        assert all(re.match(r"  [a-z][a-z-]* +\S", line) for line in told), group


def test_every_option_is_explained() -> None:
    for words, command in COMMANDS.items():
        for each in command.params:
            if isinstance(each, click.Option):
                assert each.help, f"{words} {each.name}"
                assert each.help.endswith("."), f"{words} {each.name}"


def test_a_command_that_does_not_exist_suggests_those_like_it(shell: Shell) -> None:
    assert "No such command 'chrage'. Did you mean 'charge'" in shell.misused("chrage")


@pytest.mark.parametrize(
    ("typed", "completed"), [("credit-wallet wall", {"wallet"}), ("credit-wallet wallet sh", {"show"})]
)
def test_a_shell_completes_commands(
    typed: str, completed: set[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_CREDIT_WALLET_COMPLETE", "bash_complete")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))
    with pytest.raises(SystemExit):
        app.main(prog_name="credit-wallet")
    assert {line.partition(",")[2] for line in capsys.readouterr().out.splitlines()} == completed


def test_the_module_is_the_command(tmp_path: Path) -> None:
    answer = in_a_process("--version", cwd=tmp_path)
    assert (answer.code, answer.out) == (0, f"credit-wallet {credit_wallet.__version__}\n")
