"""A command starts quickly: it imports nothing that only other commands need."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from credit_wallet import CreditWallet

CPU_SECONDS = 0.25
ATTEMPTS = 5
"""Of which the best counts: a process that shares its core with others takes longer."""

LEDGER = {"apsw", "msgspec", "credit_wallet.ledger"}
NEVER = {
    *("asyncio", "ctypes", "sqlite3", "ssl", "subprocess", "zipfile", "zoneinfo"),
    *("apprise", "granian", "httpx", "litestar", "localstripe", "mcp", "opentelemetry", "prometheus_client"),
    *("psycopg", "pydantic", "rich", "stripe", "structlog", "typer", "uvloop", "x402"),
}
"""What none of these commands needs."""

PROGRAM = """
import sys

sys.argv[0] = "credit-wallet"
from credit_wallet.cli.app import main

try:
    main()
finally:
    print(*sys.modules, file=sys.stderr)
"""


@pytest.fixture
def funded_url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/wallet.db"
    with CreditWallet.open(url) as wallets:
        wallets.create()
    return url


@pytest.fixture(scope="module")
def bytecode(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first attempt leaves its bytecode, which an installation has: without it all modules are compiled."""
    return tmp_path_factory.mktemp("bytecode")


COMMANDS = [
    (("--version",), LEDGER),
    (("--help",), LEDGER),
    (("charge", "--help"), LEDGER),
    (("serve", "--help"), LEDGER),
    (("chrage",), LEDGER),
    (("wallet", "show", "1"), set[str]()),
    (("wallet", "show", "1", "--json"), set[str]()),
    (("charge", "1", "5", "--key", "k"), set[str]()),
]


@pytest.mark.parametrize(("words", "besides"), COMMANDS, ids=[" ".join(words) for words, _ in COMMANDS])
def test_a_command_imports_nothing_that_it_does_not_need(
    funded_url: str, words: tuple[str, ...], besides: set[str]
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env={**os.environ, "CREDIT_WALLET_DATABASE_URL": funded_url},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    modules = set(done.stderr.splitlines()[-1].split())
    assert "credit_wallet.cli.app" in modules
    assert modules & (NEVER | besides) == set()


@pytest.mark.parametrize("words", [("--version",), ("--help",), ("wallet", "show", "1")], ids=" ".join)
def test_a_command_starts_within_a_quarter_of_a_second_of_cpu(
    funded_url: str, bytecode: Path, words: tuple[str, ...]
) -> None:
    environment = {**os.environ, "CREDIT_WALLET_DATABASE_URL": funded_url, "PYTHONPYCACHEPREFIX": str(bytecode)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    command = [str(Path(sys.executable).with_name("credit-wallet")), *words]
    assert min(_cpu_seconds(command, environment) for _ in range(1 + ATTEMPTS)) < CPU_SECONDS


def _cpu_seconds(command: list[str], environment: dict[str, str]) -> float:
    """User and system time of one run, of this process alone: what ``wait4`` says, not the sum over all children."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime
