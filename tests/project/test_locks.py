"""What ``make run`` installs is a part of what development installs, in the same versions and with hashes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OF_TESTS_ALONE = {"pytest", "mypy", "ruff", "hypothesis", "schemathesis", "django", "psycopg", "coverage", "fastapi"}


def pinned(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9][a-z0-9.\-]*)(?:\[[a-z,]+\])?==(\S+)", text, re.MULTILINE))


def test_make_run_installs_a_part_of_what_development_installs() -> None:
    everything, run = pinned("requirements.lock"), pinned("requirements-run.lock")
    assert run.items() <= everything.items()
    assert {"granian", "litestar", "mcp", "stripe", "apprise", "setuptools"} <= set(run)
    assert not OF_TESTS_ALONE & set(run)
    assert len(run) * 2 < len(everything)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-run.lock", "requirements-mcp1.lock"])
def test_a_lock_has_hashes_and_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    for requirement in re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in requirement, requirement.splitlines()[0]
