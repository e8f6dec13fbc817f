"""The process that runs localstripe, and its client."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any, cast

from aiohttp import ClientSession, ClientTimeout

Json = dict[str, Any]

STOP_SECONDS = 10
_PROGRAM = Path(__file__).with_name("localstripe_process.py")
_KEY = "sk_test_localstripe"


class LocalstripeError(Exception):
    """localstripe answered with an error; ``error`` is its content."""

    def __init__(self, status: int, error: Json) -> None:
        super().__init__(f"localstripe answers {status}: {error.get('message', error)}")
        self.status = status
        self.error = error


class LocalstripeProcess:
    """localstripe on a free loopback port, without data. It ends with this process, however that ends."""

    def __init__(self) -> None:
        """Start it and wait until it listens."""
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            start_new_session=True,  # out of reach of Ctrl-C
        )
        port = cast(IO[bytes], self._process.stdout).readline()
        if not port:
            self._process.wait()
            self._errors.seek(0)
            reason = (self._errors.read().decode(errors="replace").splitlines() or ["nothing"])[-1]
            self.close()
            raise RuntimeError(f"localstripe did not start; is it installed? It wrote: {reason}")
        self.url = f"http://127.0.0.1:{int(port)}"

    def close(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait(STOP_SECONDS)
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                stream.close()


class Localstripe:
    """Asks the localstripe at ``url``."""

    def __init__(self, url: str) -> None:
        headers = {"Authorization": f"Bearer {_KEY}"}
        self._session = ClientSession(url, headers=headers, timeout=ClientTimeout(total=30))

    async def get(self, path: str) -> Json:
        """An object."""
        return await self._ask("GET", path)

    async def post(self, path: str, **body: object) -> Json:
        """Create an object, change it or act on it. Returns the object. ``None`` clears a field."""
        return await self._ask("POST", path, body)

    async def delete(self, path: str) -> Json:
        """Remove an object."""
        return await self._ask("DELETE", path)

    async def close(self) -> None:
        """Hang up."""
        await self._session.close()

    async def _ask(self, method: str, path: str, body: Json | None = None) -> Json:
        async with self._session.request(method, path, json=body) as answer:
            content: Json = await answer.json() if answer.content_type == "application/json" else {}
            if answer.status >= 400:
                raise LocalstripeError(answer.status, content.get("error", {}))
            return content
