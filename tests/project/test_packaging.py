"""The wheel: all of the package and the very bytes of the seed's migrations, and it works where it is installed."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import sysconfig
from contextlib import closing
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[2]
MIGRATIONS = ROOT / "scripts" / "migrations"
SOURCE = ROOT / "src" / "credit_wallet"
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE", "src", "scripts/migrations")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the tree; needs ``build`` and setuptools >= 77, and no index."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in BUILT_FROM:
        target = folder / "tree" / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
        else:
            shutil.copy(ROOT / name, target)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(folder / "tree")]
    finished = subprocess.run(build, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    [built] = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The ``bin`` of an environment with the wheel and, from the one that runs the tests, its dependencies."""
    environment = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    binaries = environment / "bin"
    pip = [sys.executable, "-m", "pip", "--python", str(binaries / "python")]
    subprocess.run([*pip, "install", "--no-deps", "--no-index", str(wheel)], check=True, capture_output=True)
    [packages] = environment.glob("lib/python*/site-packages")
    dependencies = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    (packages / "dependencies.pth").write_text("\n".join(sorted(dependencies)) + "\n", encoding="utf-8")
    return binaries


def files_below(folder: Path) -> dict[str, bytes]:
    """Names relative to ``folder``, without what running leaves behind."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def packed_below(wheel: Path, prefix: str) -> dict[str, bytes]:
    with ZipFile(wheel) as archive:
        return {name.removeprefix(prefix): archive.read(name) for name in archive.namelist() if name.startswith(prefix)}


def run_elsewhere(folder: Path, *command: str | Path) -> str:
    """Run in ``folder`` with an environment that does not lead back to the tree; its output."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "CREDIT_WALLET"))
    }
    finished = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def tables(database: Path) -> set[str]:
    with closing(sqlite3.connect(database)) as connection:
        return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_the_wheel_has_the_migrations_of_the_tree_byte_for_byte(wheel: Path) -> None:
    packed = packed_below(wheel, "credit_wallet/migrations/")
    assert packed == files_below(MIGRATIONS)
    assert "281_credit_wallet.sql" in packed
    assert "jpcite_boot_manifest.txt" in packed


def test_the_wheel_has_every_file_of_the_package(wheel: Path) -> None:
    packed = packed_below(wheel, "credit_wallet/")
    expected = files_below(SOURCE)
    assert {name: packed.get(name) for name in expected} == expected
    assert "py.typed" in packed
    assert any(name.startswith("stores/sql/") and name.endswith(".sql") for name in packed)


def test_the_wheel_has_nothing_else(wheel: Path) -> None:
    top_level = {name.split("/")[0] for name in packed_below(wheel, "")}
    assert top_level == {"credit_wallet", next(name for name in top_level if name.endswith(".dist-info"))}


def test_test_money_is_a_distribution_of_its_own(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        [metadata] = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        required = re.findall(r"(?m)^Requires-Dist: (.*fake-stripe.*)$", archive.read(metadata).decode())
    assert required == ['fake-stripe<0.2,>=0.1; extra == "test-payments"']


def test_an_installed_wheel_opens_a_ledger_in_an_empty_folder(installed: Path, tmp_path: Path) -> None:
    program = """
import credit_wallet
from credit_wallet import CreditWallet
with CreditWallet.open("sqlite:///x.db") as wallets:
    wallet = wallets.create()
    wallets.topup(wallet.wallet_id, 5, idempotency_key="topup")
    assert wallets.charge(wallet.wallet_id, 3, idempotency_key="charge").balance_yen == 2
    assert wallets.verify() == []
print(credit_wallet.__file__)
"""
    output = run_elsewhere(tmp_path, installed / "python", "-c", program)
    assert Path(output.strip()).is_relative_to(installed.parent)
    assert {"am_credit_wallet", "am_credit_transaction_log", "am_credit_outbox"} <= tables(tmp_path / "x.db")


def test_the_installed_command_migrates(installed: Path, tmp_path: Path) -> None:
    run_elsewhere(tmp_path, installed / "credit-wallet", "--db", "sqlite:///x.db", "migrate")
    assert {"am_credit_wallet", "credit_wallet_migration"} <= tables(tmp_path / "x.db")
