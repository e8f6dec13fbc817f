"""The workflows: each job once, targets that the Makefile has, actions pinned to a commit."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_no_job_is_there_twice(workflow: Path) -> None:
    _, _, jobs = workflow.read_text(encoding="utf-8").partition("\njobs:\n")
    names = Counter(re.findall(r"^  ([a-z-]+):", jobs, re.MULTILINE))
    assert names
    assert max(names.values()) == 1, names


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_make_target_exists(workflow: Path) -> None:
    for target in re.findall(r"run: make ([a-z-]+)", workflow.read_text(encoding="utf-8")):
        assert target in TARGETS


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_every_action_is_pinned_to_a_commit(workflow: Path) -> None:
    for action in re.findall(r"uses: (\S+)", workflow.read_text(encoding="utf-8")):
        assert action.startswith("./") or re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action)
