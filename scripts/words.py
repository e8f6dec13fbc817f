"""Finds words and phrases that this project does not use, and says which it uses instead.

    python scripts/words.py README.md docs src

Looks through Markdown, Python and the comments of SQL, across line breaks, and ends with status 1 when it found
anything. docs/glossary.md says what the words mean that are used.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

SUFFIXES = {".md", ".py", ".sql"}
EXEMPT = ("CHANGELOG.md", "docs/decisions/", "docs/glossary.md", "scripts/words.py", "scripts/migrations/")
"""Records in the words of their day, and the pages that name the words to avoid."""

COLUMNS = ("docs/explanation/what-verify-proves.md", "docs/reference/ledger.md")
"""Pages that name columns in code, as hosts have them in their tables."""

INSTEAD = {
    # of the subject
    r"adopt(s|ed|ing|ion)?": "backfill",
    r"arrears": "pending compensation",
    r"bur(y|ies|ied)": "dead-letter",
    r"cashiers?": "x402 processor",
    r"conversations?": "transport, exchange",
    r"doors?": "clients, entry points",
    r"companions?": "siblings; the wait for them is the commit delay",
    r"gap_yen": "shortfall_yen",
    r"hand(s|ed|ing)? out": "fan out",
    r"(least|most)_yen|yen_(least|most)": "min, max",
    r"(least|most)(?==\S)": "min, max",
    r"occasions?": "dedupe key",
    r"forget_[a-z_]+|forgotten_[a-z]+": "delete, prune, clear, drop",
    r"(least|most)(?=\s?=\s?[\w\[(]|:\sint|:\sfloat)": "minimum, maximum, limit",
    r"shops?(?!ping)": "payment",
    r"takings(?! =)": "clawback",
    r"tell_[a-z_]+": "emit",
    r"topup_(taken|given)_back": "clawed_back, reinstated",
    r"unexpected_?answer": "unexpected_response",
    r"upkeep": "maintenance",
    r"told_at": "observed_at",
    r"till": "until; in the gate, billing",
    # of the language
    r"questions? of this kind": "requests of this kind",
    r"(does|did|do) not let [a-z ]{1,30} in": "refuses, denies access to",
    r"(is|are|was|were) not there any more": "no longer exists",
    r"(?<!there\s)(?<!if\s)(is|are|was|were) no(?!_| longer| more| fewer| less| later| one)": "is not a …, has no …",
    r"(became|becomes?|come) of": "what happens to, the state of",
    r"(came|comes?|coming) again": "is reinstated, is repeated, arrives again",
    r"by (itself|themselves)": "automatically, on its own, alone",
    r"(is|are|was|were|be|been) told(?! to| apart)": "is reported, is notified; an event is emitted",
    r"so many": "that many, or the number",
    r"for nothing(?! else| that)": "free of charge",
    r"out of order": "unavailable",
    r"no such address": "no such endpoint",
    r"what is there(?! to)": "what's included",
    r"without other word": "by default",
    r"where to go on": "next steps",
    r"(is|are|was|were|be|been) (brought|given) again": "is reinstated, is repeated",
    r"let(s|ting)? go of": "close, release, free",
    r"the present (period|cycle|lane|moment)": "current",
    r"the most (there|that|it) may": "the maximum",
    r"for ever": "without end, indefinitely",
    r"out of the ordinary": "an anomaly, unusual",
    r"(write|writes|wrote|writing|written) down(?! (at|by|from|into))": "record",
    r"(take|takes|took|taking) note": "record",
    r"a matter of (micro|milli)?seconds": "takes microseconds, milliseconds",
    r"come to (its|their|an) end": "end, expire",
    r"(made|opened|begins?) anew": "replaced, reopened, starts over",
    r"as many as (there )?may": "the maximum",
    r"(is|are|was|were) looked (whether|if)": "check whether",
    r"(was|were) heard of": "without a report",
    r"old news": "skipped",
    r"(a|an|the|of|with|for|in|on|by|and|or) own(?= [a-z])": "say whose own it is, or leave it out",
}


class Finding(NamedTuple):
    """A phrase not to use, where it stands, and what to write."""

    path: Path
    line: int
    phrase: str
    better: str


def pattern(phrase: str) -> re.Pattern[str]:
    """Matches ``phrase`` as whole words, broken across lines too, and as a part of a name with underscores."""
    return re.compile(r"(?<![A-Za-z])(?:" + phrase.replace(" ", r"[\s#>]+") + r")(?![A-Za-z])", re.IGNORECASE)


PATTERNS = [(pattern(phrase), better) for phrase, better in INSTEAD.items()]


def findings(path: Path) -> Iterator[Finding]:
    """What is wrong in a file, word by word."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".sql":
        text = re.sub(r"^.*?(--|$)", "", text, flags=re.MULTILINE)
    if path.as_posix().endswith(COLUMNS):
        text = re.sub(r"`[^`\n]*`", "`…`", text)
    for words, better in PATTERNS:
        for found in words.finditer(text):
            line = text.count("\n", 0, found.start()) + 1
            yield Finding(path, line, re.sub(r"\s+", " ", found[0]), better)


def files(names: Iterable[str]) -> Iterator[Path]:
    """The files to look through: those named, and what is below the folders named."""
    for name in names:
        below = [Path(name)] if Path(name).is_file() else sorted(Path(name).rglob("*"))
        yield from (path for path in below if path.suffix in SUFFIXES and not path.as_posix().startswith(EXEMPT))


def main(names: list[str]) -> int:
    """Print what was found; the exit status."""
    found = sorted(each for path in files(names) for each in findings(path))
    for each in found:
        print(f"{each.path}:{each.line}: “{each.phrase}”: {each.better}")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
