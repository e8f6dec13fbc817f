"""The command line as a person uses it, in this process."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from textwrap import dedent
from typing import Any, NamedTuple

import pytest
from clock import Clock

from credit_wallet import CreditWallet
from credit_wallet.cli import app as cli
from credit_wallet.cli import context


class Answer(NamedTuple):
    """What a command came to."""

    code: int
    out: str
    err: str


class Shell:
    """Calls the command line in this process, in a terminal of 80 columns."""

    def __init__(self, url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = url
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def run(self, *words: object) -> Answer:
        """``credit-wallet words…`` as it is."""
        self._monkeypatch.setattr(sys, "argv", ["credit-wallet", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            cli.main()
        printed = self._capsys.readouterr()
        assert isinstance(ended.value.code, int)
        return Answer(ended.value.code, printed.out, printed.err)

    def __call__(self, *words: object) -> str:
        """What a command on the test's database prints when it is done."""
        answer = self.run("--db", self.url, *words)
        assert (answer.code, answer.err) == (0, "")
        return answer.out

    def fields(self, *words: object) -> dict[str, str]:
        """The fields a command shows to people."""
        return dict(re.split(r"\s{2,}", line.rstrip(), maxsplit=1) for line in self(*words).splitlines())

    def json(self, *words: object) -> Any:
        """A command's answer to programs: one line of JSON."""
        return only_line(self("--json", *words))

    def refused(self, *words: object) -> tuple[str, str]:
        """The code and message of a refusal, the same for people and for programs."""
        told = self.run("--db", self.url, *words)
        code, _, message = told.err.rstrip("\n").partition(": ")
        assert (told.code, told.out) == (1, "")
        answered = self.run("--db", self.url, "--json", *words)
        assert (answered.code, answered.err) == (1, "")
        problem = only_line(answered.out)
        assert (problem["code"], problem["detail"]) == (code, message)
        return code, message

    def misused(self, *words: object) -> str:
        """What wrong usage is told."""
        answer = self.run("--db", self.url, *words)
        assert (answer.code, answer.out) == (2, "")
        return answer.err


def only_line(text: str) -> Any:
    assert text.count("\n") == 1
    return json.loads(text)


def in_a_process(*words: str, cwd: Path, **environment: str) -> Answer:
    """The command line in a process of its own, in an environment without the wallet's variables."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CREDIT_WALLET_")}
    done = subprocess.run(
        [sys.executable, "-m", "credit_wallet", *words],
        cwd=cwd,
        env={**inherited, "COLUMNS": "80", **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


def behind_its_back(path: Path, statement: str) -> None:
    """Change the file from a process of its own."""
    program = "import sys, apsw; apsw.Connection(sys.argv[1]).execute(sys.argv[2])"
    subprocess.run([sys.executable, "-c", program, str(path), statement], check=True, timeout=60)


def failed_check(shell: Shell, url: str) -> dict[str, Any]:
    """The only check that ``doctor`` finds something wrong with."""
    told = shell.run("--db", url, "doctor")
    assert (told.code, told.err) == (1, "")
    assert " no " in told.out
    answered = shell.run("--db", url, "--json", "doctor")
    assert (answered.code, answered.err) == (1, "")
    failed: list[dict[str, Any]] = [finding for finding in json.loads(answered.out) if not finding["ok"]]
    assert len(failed) == 1
    return failed[0]


def without(missing: list[str], *words: str, cwd: Path) -> Answer:
    """The command line in a process where ``missing`` are not installed."""
    program = """
    import sys

    missing = sys.argv.pop(1).split(",")

    class Finder:
        def __init__(self, finder):
            self.finder = finder

        def find_spec(self, name, *rest):
            return None if name.partition(".")[0] in missing else self.finder.find_spec(name, *rest)

        def __getattr__(self, name):
            return getattr(self.finder, name)

    sys.meta_path = [Finder(each) for each in sys.meta_path]
    from credit_wallet.cli.app import main

    main()
    """
    done = subprocess.run(
        [sys.executable, "-c", dedent(program), ",".join(missing), *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Answer(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def shell(db_url: str, clock: Clock, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """The command line at the time of ``clock``."""
    monkeypatch.delenv("CREDIT_WALLET_DATABASE_URL", raising=False)
    monkeypatch.setenv("COLUMNS", "80")

    def ledger_at(url: str, *, create: bool) -> CreditWallet:
        return CreditWallet.open(url, clock=clock, create=create).acting(context.author())

    monkeypatch.setattr(context, "ledger_at", ledger_at)
    return Shell(db_url, monkeypatch, capsys)


@pytest.fixture
def funded(shell: Shell) -> Shell:
    """Wallet 1, with ¥1,000 and a budget of ¥100."""
    shell("wallet", "create", "--label", "search", "--monthly-budget-yen", 100)
    shell("topup", 1, 1_000, "--key", "start")
    return shell
