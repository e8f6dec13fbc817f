"""The wheel: the whole package, which needs what it names and nothing else."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from importlib.metadata import Distribution, PathDistribution
from pathlib import Path
from zipfile import Path as ZippedPath
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "fake_stripe"
BUILT_FROM = ("pyproject.toml", "README.md", "LICENSE")
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


def test_only_what_the_wheel_names_is_imported() -> None:
    found = {name for file in SOURCE.rglob("*.py") for name in imported(file)}
    assert found <= set(sys.stdlib_module_names) | NEEDED | {"fake_stripe"}
