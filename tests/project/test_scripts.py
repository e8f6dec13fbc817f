"""What ``make check`` and a release rest on: words that are replaced, and whether a release fits together."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from runpy import run_path

import pytest

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
WHEEL, ARCHIVE = "agent_credit_wallet-1.2.3-py3-none-any.whl", "agent_credit_wallet-1.2.3.tar.gz"


def words(*paths: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPTS / "words.py"), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_a_replaced_word_is_named_with_its_place_and_the_better_one(tmp_path: Path) -> None:
    (tmp_path / "page.md").write_text("# Holds\n\nWhat became\nof a hold.\n", encoding="utf-8")
    (tmp_path / "code.py").write_text("told_at = 1\n", encoding="utf-8")
    (tmp_path / "column.sql").write_text("-- shop: a name\nSELECT told_at\n", encoding="utf-8")
    found = words(tmp_path)
    assert found.returncode == 1
    assert found.stdout.splitlines() == [
        f"{tmp_path}/code.py:1: “told_at”: observed_at",
        f"{tmp_path}/column.sql:1: “shop”: payment",
        f"{tmp_path}/page.md:3: “became of”: what happens to, the state of",
    ]


@pytest.mark.parametrize("text", ["there is no limit", "is no longer", "untold", "its own", "a company of companies"])
def test_plain_english_passes(tmp_path: Path, text: str) -> None:
    page = tmp_path / "page.md"
    page.write_text(text, encoding="utf-8")
    assert words(page).returncode == 0


@pytest.mark.parametrize(
    ("tag", "changelog", "built", "said"),
    [
        ("v1.2.3", "## 1.2.3 — 2026-12-01\n", {WHEEL, ARCHIVE}, []),
        ("1.2.3", "## 1.2.3 — 2026-12-01\n", {WHEEL, ARCHIVE}, ["is not vX.Y.Z"]),
        ("v1.2.3", "## 1.2.3 — unreleased\n", {WHEEL, ARCHIVE}, ["no section"]),
        ("v1.2.3", "## 1.2.3 — 2026-12-01\n", {WHEEL}, [f"dist/{ARCHIVE} was not built"]),
    ],
)
def test_a_release_is_refused_unless_tag_changelog_and_files_agree(
    tag: str, changelog: str, built: set[str], said: list[str]
) -> None:
    problems = list(run_path(str(SCRIPTS / "release.py"))["problems"](tag, changelog, built))
    assert [part in problem for part, problem in zip(said, problems, strict=True)] == [True] * len(said)
