"""Refuses to release what does not fit together: the tag, the version, the changelog and the files in dist/.

python scripts/release.py v1.2.3
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def problems(tag: str, changelog: str, built: set[str]) -> Iterator[str]:
    """Why ``tag`` cannot be released with this changelog and these files, in words."""
    version = re.fullmatch(r"v(\d+\.\d+\.\d+)", tag)
    if version is None:
        yield f"the tag {tag!r} is not vX.Y.Z"
        return
    if not re.search(rf"^## {re.escape(version[1])} — \d{{4}}-\d\d-\d\d$", changelog, re.MULTILINE):
        yield f"CHANGELOG.md has no section “## {version[1]} — YYYY-MM-DD”"
    for file in (f"agent_credit_wallet-{version[1]}-py3-none-any.whl", f"agent_credit_wallet-{version[1]}.tar.gz"):
        if file not in built:
            yield f"dist/{file} was not built; the version is set in src/credit_wallet/version.py"


def main(tag: str) -> int:
    """Print the problems; the exit status."""
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    found = list(problems(tag, changelog, {path.name for path in (ROOT / "dist").iterdir()}))
    for each in found:
        print(each)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) == 2 else ""))
