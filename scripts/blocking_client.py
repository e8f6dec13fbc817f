"""Writes the blocking client from the one for asyncio: the same files without ``async`` and ``await``.

Run it after a change in ``src/credit_wallet/client/asynchronous``; a test fails when it has been forgotten.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CLIENT = Path(__file__).resolve().parents[1] / "src" / "credit_wallet" / "client"
SOURCE, TARGET = CLIENT / "asynchronous", CLIENT / "blocking"

PHRASES = (
    ("The client of the service for asyncio.", "The client of the service."),
    (" It may be a coroutine function.\n", "\n"),
    ("Safe to share between tasks. Close it with ``aclose``, or use it in an ``async with`` block.",
     "Safe to share between threads. Close it, or use it in a ``with`` block."),
    ("    async with ", "    with "),
    ("async def __aenter__", "def __enter__"),
    ("async def __aexit__", "def __exit__"),
    ("async def ", "def "),
    ("await ", ""),
    ("aclose", "close"),
    ("client.asynchronous", "client.blocking"),
    ("httpx.AsyncClient", "httpx.Client"),
    ("httpx.AsyncBaseTransport", "httpx.BaseTransport"),
)  # fmt: skip
PREFIX = re.compile(r"\bAsync(?=[A-Z])")
PACKAGE = '''"""``WalletClient`` and its nouns.

``scripts/blocking_client.py`` writes these files from ``credit_wallet.client.asynchronous``: change a method there.
"""
'''


def blocking(source: str) -> str:
    """A file of the client for asyncio, as its blocking twin."""
    for phrase, replacement in PHRASES:
        source = source.replace(phrase, replacement)
    return formatted(PREFIX.sub("", source))


def formatted(source: str) -> str:
    """As the formatter writes it."""
    for arguments in (["check", "--select", "I", "--fix-only", "--quiet"], ["format", "--quiet"]):
        command = [sys.executable, "-m", "ruff", *arguments, "--stdin-filename", str(TARGET / "client.py"), "-"]
        source = subprocess.run(command, input=source, capture_output=True, text=True, check=True).stdout  # noqa: S603
    return source


def files() -> dict[Path, str]:
    """What the blocking client consists of: each file, and what is to be in it."""
    written = {TARGET / path.name: blocking(path.read_text("utf-8")) for path in sorted(SOURCE.glob("*.py"))}
    return written | {TARGET / "__init__.py": PACKAGE}


if __name__ == "__main__":
    TARGET.mkdir(exist_ok=True)
    for path, content in files().items():
        path.write_text(content, "utf-8")
