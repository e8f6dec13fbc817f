"""The documentation says what is so: programs run, commands, errors and tables exist, links lead somewhere."""

from __future__ import annotations

import ast
import json
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import apsw
import click
import pytest
import structlog

from credit_wallet import CreditWallet, WalletError
from credit_wallet.cli import app as cli
from credit_wallet.cli import tree

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]
MIGRATION_281 = (ROOT / "scripts" / "migrations" / "281_credit_wallet.sql").read_text(encoding="utf-8")


class Block(NamedTuple):
    """A fenced block: the words after the fence, the text, and the line it starts on."""

    info: str
    text: str
    line: int


def blocks(page: Path) -> list[Block]:
    text = page.read_text(encoding="utf-8")
    fenced = re.finditer(r"^```([^\n]*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [Block(found[1], found[2], text.count("\n", 0, found.start()) + 1) for found in fenced]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def pages_with(info: str) -> list[Path]:
    return [page for page in PAGES if any(block.info == info for block in blocks(page))]


# Programs run, and print what the page says


@pytest.mark.parametrize("page", pages_with("python runnable"), ids=name_of)
def test_programs_run_and_print_what_follows_them(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    structlog.reset_defaults()  # a reader's program has set up nothing
    known: dict[str, Any] = {"__name__": "docs", "MIGRATION_281": MIGRATION_281}
    for block, following in zip(blocks(page), [*blocks(page)[1:], None], strict=True):
        if block.info != "python runnable":
            continue
        exec(compile("\n" * block.line + block.text, str(page), "exec"), known)  # noqa: S102 - our own pages
        printed = capsys.readouterr().out
        if following is not None and following.info == "text" and _adjoins(page, block, following):
            assert printed == following.text
        else:
            assert printed == "", f"{name_of(page)}:{block.line} prints what the page does not show"


def _adjoins(page: Path, block: Block, following: Block) -> bool:
    lines = page.read_text(encoding="utf-8").splitlines()
    between = lines[block.line + block.text.count("\n") + 1 : following.line - 1]
    return not any(line.strip() for line in between)


@pytest.mark.parametrize("page", pages_with("console runnable"), ids=name_of)
def test_commands_print_what_the_page_shows(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CREDIT_WALLET_DATABASE_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "80")
    for block in blocks(page):
        if block.info == "console runnable":
            for command, shown in _session(block.text):
                monkeypatch.setattr(sys, "argv", shlex.split(command))
                with pytest.raises(SystemExit):
                    cli.main()
                captured = capsys.readouterr()
                assert _without_chance(captured.out + captured.err) == _without_chance(shown), command


def _session(text: str) -> Iterator[tuple[str, str]]:
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield re.sub(r"\b20\d\d-\d\d$", f"{datetime.now(UTC):%Y-%m}", command), shown


def _without_chance(text: str) -> str:
    """Tokens and times are not the same twice."""
    text = re.sub(r"cw_live_\w{49}", "TOKEN", text)
    text = re.sub(r"\b20\d\d-\d\d(-\d\dT[\d:.]+Z)?", lambda found: "TIME" if found[1] else "CYCLE", text)
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


@pytest.mark.parametrize("example", sorted((ROOT / "examples").glob("*.py")), ids=name_of)
def test_examples_run(example: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(example)], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "violations: []" in done.stdout


@pytest.mark.parametrize("page", pages_with("console example"), ids=name_of)
def test_examples_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    for block in blocks(page):
        if block.info == "console example":
            command, _, shown = block.text.removeprefix("$ python ").partition("\n")
            run = [sys.executable, str(ROOT / command)]
            printed = subprocess.run(run, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=True).stdout
            assert _without_chance(printed) == _without_chance(shown)


# The command line


class Command(NamedTuple):
    """A command of the real command line."""

    options: frozenset[str]
    subcommands: dict[str, Command]


def command_of(real: click.Command) -> Command:
    options = {name for each in real.params if isinstance(each, click.Option) for name in each.opts}
    subcommands: dict[str, click.Command] = {}
    if isinstance(real, click.Group):
        context = click.Context(real)
        subcommands = {
            name: command for name in real.list_commands(context) if (command := real.get_command(context, name))
        }
    return Command(frozenset(options), {name: command_of(each) for name, each in subcommands.items()})


CLI = command_of(cli.app)
GLOBAL_OPTIONS = {name for each in tree.GLOBAL_OPTIONS for name in each.opts}


def leaves(command: Command, path: str = "") -> Iterator[tuple[str, frozenset[str]]]:
    if not command.subcommands:
        yield path, command.options - GLOBAL_OPTIONS
    for name, each in command.subcommands.items():
        yield from leaves(each, f"{path} {name}".strip())


def test_the_reference_has_every_command_and_option_and_no_other() -> None:
    page = (DOCS / "reference" / "cli.md").read_text(encoding="utf-8")
    sections = re.split(r"^#{2,3} ", page, flags=re.MULTILINE)
    documented = {
        words_of_command(section.splitlines()[0]): frozenset(re.findall(r"^\| `(--[a-z-]+)", section, re.MULTILINE))
        for section in sections
        if section.startswith(("`credit-wallet ", "Global options"))
    }
    assert documented == {"": CLI.options, **dict(leaves(CLI))}


def words_of_command(heading: str) -> str:
    """``wallet show`` from "`credit-wallet wallet show ID`"."""
    return " ".join(re.findall(r"\b[a-z-]+\b", heading.partition("`credit-wallet ")[2]))


def command_lines(page: Path) -> Iterator[list[str]]:
    """What stands after ``credit-wallet`` in code on the page, to the end of the command."""
    text = page.read_text(encoding="utf-8").replace("\\\n", " ")
    inline = re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text)
    fenced = [line for block in blocks(page) for line in block.text.splitlines()]
    for line in inline + fenced:
        found = re.search(r"(?:^|[ /$=])credit-wallet ([^#|;>]*)", line)
        if found and not re.match(r"\S+: ", found[1]):
            yield found[1].split()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_a_page_names_exists(page: Path) -> None:
    for words in command_lines(page):
        command, path, options = CLI, "", [word.partition("=")[0] for word in words if word.startswith("--")]
        for word in words:
            if word in command.subcommands:
                command, path = command.subcommands[word], f"{path} {word}"
        assert path or options or not words, f"{name_of(page)}: credit-wallet {' '.join(words)}"
        unknown = set(options) - command.options - CLI.options - {"--help"}
        assert not unknown, f"{name_of(page)}: credit-wallet {' '.join(words)}"


# The library, the errors, the tables


def test_the_reference_has_every_method() -> None:
    page = (DOCS / "reference" / "library.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(?:CreditWallet\.)?([a-z_]+)[`(]", page))
    public = {name for name in vars(CreditWallet) if not name.startswith("_")}
    assert public - named == set()


def error_codes(base: type[WalletError]) -> Iterator[tuple[str, str]]:
    for each in base.__subclasses__():
        if each.__module__.startswith("credit_wallet.errors."):
            if each.code != WalletError.code:
                yield each.code, each.__name__
            yield from error_codes(each)


def test_the_reference_has_every_error_and_no_other() -> None:
    page = (DOCS / "reference" / "errors.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `([a-z_]+)` \| `(\w+)` \|", page, re.MULTILINE)) == set(error_codes(WalletError))


def test_the_table_of_refusals_has_every_code_that_an_operation_answers() -> None:
    page = (DOCS / "reference" / "http.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([45]\d\d) \| (.*) \|$", page.partition("\n## Refusals\n")[2], re.MULTILINE)
    assert len(rows) == len(dict(rows)), "a status has one row"
    named = {(status, code) for status, codes in rows for code in re.findall(r"`([a-z_]+)`", codes)}
    document = json.loads((DOCS / "reference" / "openapi.json").read_text(encoding="utf-8"))
    answered = {
        (status, code)
        for path in document["paths"].values()
        for operation in path.values()
        for status, response in operation["responses"].items()
        for code in re.findall(r"^- `([a-z_]+)`:", response.get("description", ""), re.MULTILINE)
    }
    assert answered - named == set()


def test_the_reference_has_each_call_once() -> None:
    page = (DOCS / "reference" / "http.md").read_text(encoding="utf-8")
    calls = re.findall(r"^\| `((?:GET|POST|PUT|PATCH|DELETE) [^`?]+)", page, re.MULTILINE)
    assert sorted(calls) == sorted(set(calls))


def test_the_reference_has_every_table_and_column(tmp_path: Path) -> None:
    path = tmp_path / "wallet.db"
    CreditWallet.open(f"sqlite:///{path}").close()
    page = (DOCS / "reference" / "ledger.md").read_text(encoding="utf-8")
    sections = {section.split("`")[1]: section for section in page.split("\n## ")[1:]}
    with closing(apsw.Connection(str(path))) as connection:
        tables: list[Any] = connection.execute(
            "SELECT s.name, group_concat(c.name) FROM sqlite_schema s, pragma_table_info(s.name) c"
            " WHERE s.type IN ('table', 'view') AND s.name NOT LIKE 'sqlite_%' GROUP BY s.name"
        ).fetchall()
    assert {table for table, _ in tables} == set(sections)
    for table, columns in tables:
        missing = set(columns.split(",")) - set(re.findall(r"`(\w+)`", sections[table]))
        assert not missing, f"{table}: {missing}"


def test_the_page_on_verify_has_every_check() -> None:
    from credit_wallet.stores.jobs.verify import CHECKS

    page = (DOCS / "explanation" / "what-verify-proves.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z_]+)` \|", page, re.MULTILINE) == list(CHECKS)


# Threats


THREATS = (DOCS / "explanation" / "threats.md").read_text(encoding="utf-8")
TEST_ID = re.compile(r"`((?:\w+/)*test_\w+\.py)::(test_\w+)`")


def test_every_test_that_the_page_on_threats_names_exists() -> None:
    named = TEST_ID.findall(THREATS)
    assert len(named) > 50
    for file, test in named:
        (path,) = (ROOT / "tests").rglob(file)
        text = path.read_text(encoding="utf-8")
        assert f"def {test}(" in text, f"{file}::{test}"
    assert THREATS.count("::test_") == len(named)


def test_every_threat_has_a_test_and_every_part_every_kind_of_threat() -> None:
    parts = re.split(r"^#{2,3} ", THREATS.partition("## Part by part")[2].partition("## What stays")[0], flags=re.M)[1:]
    *components, owasp = parts
    assert len(components) >= 7
    for part in components:
        rows = re.findall(r"^\| ([STRIDE]) \|.*$", part, re.M)
        assert {*rows} == {*"STRIDE"}, part.splitlines()[0]
    assert re.findall(r"^\| API(\d+) ", owasp, re.M) == [str(number) for number in range(1, 11)]
    for line in "".join(parts).splitlines():
        if re.match(r"\| ([STRIDE]|API\d+) ", line):
            assert TEST_ID.search(line), line


def test_what_is_installed_where_the_ledger_is_has_a_hash() -> None:
    workflows = [*(ROOT / ".github" / "workflows").glob("*.yml")]
    assert workflows
    for workflow in workflows:
        for line in workflow.read_text(encoding="utf-8").splitlines():
            if "pip install" in line:
                assert "--require-hashes" in line or ("--no-deps" in line and "--no-index" in line), line
            if "uses:" in line and "uses: ./" not in line:
                assert re.search(r"@[0-9a-f]{40}\b", line), line


# The pages


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        linked = page if not path else (page.parent / path).resolve()
        assert linked.exists(), f"{name_of(page)}: {target}"
        if anchor:
            assert anchor in _anchors(linked), f"{name_of(page)}: {target}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CHANGELOG.md"], ids=name_of)
def test_no_page_has_a_heading_twice(page: Path) -> None:
    """The second one would have no link of its own, and says the same again."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    assert sorted(headings) == sorted(set(headings))


def test_the_map_has_every_room_in_the_order_that_make_check_proves() -> None:
    tree = (
        (DOCS / "architecture.md")
        .read_text(encoding="utf-8")
        .partition("## The tree")[2]
        .partition("Beside the source")[0]
    )
    paths = " ".join(re.findall(r"^\| (`.*?`) \| ", tree, re.MULTILINE))
    configured = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    layers = [layer.split(" | ") for layer in configured["contracts"][0]["layers"]]
    assert re.findall(r"`(\w+)(?:/|\.py)`", paths) == [room for layer in layers for room in layer]


def folders_of_the_source() -> list[Path]:
    return sorted(path.parent for path in (ROOT / "src" / "credit_wallet").rglob("*/__init__.py"))


@pytest.mark.parametrize("folder", folders_of_the_source(), ids=name_of)
def test_a_folder_says_what_lives_there_and_what_may_not(folder: Path) -> None:
    said = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert len(re.findall(r"\.(?=\s|$)", said)) >= 2


def test_a_file_that_architecture_names_is_there() -> None:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8")
    for name in re.findall(r"`((?:[a-z_]+/)+[a-z_]+\.py)`", page):
        assert (ROOT / "src" / "credit_wallet" / name).is_file(), name


def rules_of_money() -> list[tuple[str, str]]:
    page = (DOCS / "architecture.md").read_text(encoding="utf-8").partition("## Where the rules of money are")[2]
    return re.findall(r"^\| .* \| `([\w/]+\.py)` \| `(.+)` \|$", page.partition("\n## ")[0], re.MULTILINE)


def test_each_rule_of_money_is_found_in_one_file() -> None:
    source = ROOT / "src" / "credit_wallet"
    texts = {path.relative_to(source).as_posix(): path.read_text(encoding="utf-8") for path in source.rglob("*.py")}
    assert len(rules_of_money()) >= 10
    for file, words in rules_of_money():
        assert [name for name, text in texts.items() if words in text] == [file], words
        assert file.startswith(("rules/", "domain/"))


def test_a_file_that_a_command_or_a_page_names_is_there() -> None:
    for page in [ROOT / "Makefile", *PAGES]:
        for name in re.findall(
            r"(?:tests|benchmarks|examples|scripts)/[a-z0-9_/]+\.py\b", page.read_text(encoding="utf-8")
        ):
            assert (ROOT / name).is_file(), f"{name_of(page)}: {name}"


def test_the_readme_is_for_users_and_short() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 120
