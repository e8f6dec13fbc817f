"""The wheel: the whole package, which needs what it names and nothing else."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
import sysconfig
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from zipfile import Path as ZippedPath
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "fake_stripe"
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE")
PAYMENT = """
import fake_stripe, stripe
with fake_stripe.FakeStripe() as fake:
    client = stripe.StripeClient("sk_test_123", base_addresses={"api": fake.url})
    intent = client.v1.payment_intents.create({"amount": 1000, "currency": "jpy"})
    print(fake_stripe.__file__, fake.pay(intent.id)["status"])
"""
NEEDED = {"aiohttp", "localstripe", "msgspec"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, so that nothing is left in the tree; needs ``build`` and setuptools >= 77, and no index."""
    folder = tmp_path_factory.mktemp("wheel")
    tree = folder / "tree"
    shutil.copytree(ROOT / "src", tree / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in BUILT_FROM:
        shutil.copy(ROOT / name, tree / name)
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(tree)]
    finished = subprocess.run(build, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr
    [built] = folder.glob("*.whl")
    return built


def described(wheel: Path) -> Distribution:
    [metadata] = [path for path in ZippedPath(ZipFile(wheel)).iterdir() if path.name.endswith(".dist-info")]
    return PathDistribution(metadata)


def imported(file: Path) -> set[str]:
    """The packages that a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file.name} has a relative import"
            names.add(node.module or "")
    return {name.partition(".")[0] for name in names}


def test_the_wheel_has_every_file_and_nothing_else(wheel: Path) -> None:
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = {path for path in SOURCE.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert packed == {path.relative_to(SOURCE.parent).as_posix() for path in files}
    assert "fake_stripe/py.typed" in packed


def test_the_wheel_names_all_that_it_needs(wheel: Path) -> None:
    required = {requirement.partition(">")[0] for requirement in described(wheel).requires or ()}
    assert required == NEEDED


def test_an_installed_wheel_takes_a_payment(wheel: Path, tmp_path: Path) -> None:
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(environment)], check=True)
    python = environment / "bin" / "python"
    install = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-deps", "--no-index", str(wheel)]
    subprocess.run(install, check=True, capture_output=True)
    [packages] = environment.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    finished = subprocess.run([python, "-c", PAYMENT], cwd=tmp_path, capture_output=True, text=True, check=False)
    file, status = finished.stdout.split()
    assert (Path(file).is_relative_to(environment), status) == (True, "succeeded"), finished.stderr


def test_only_what_the_wheel_names_is_imported() -> None:
    found = {name for file in SOURCE.rglob("*.py") for name in imported(file)}
    assert found <= set(sys.stdlib_module_names) | NEEDED | {"fake_stripe"}
