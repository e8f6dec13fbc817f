"""ASGI applications of the tests on real loopback sockets, each in a thread of its own."""

from __future__ import annotations

import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import uvicorn

PATIENCE_SECONDS = 30


class Served:
    """Serves ``app`` at ``url`` in a with-block; its end waits for what is under way and for the lifespan.

    ``port`` 0 is any free one.
    """

    def __init__(self, app: Any, port: int = 0) -> None:
        config = uvicorn.Config(app, port=port, log_config=None, access_log=False, timeout_graceful_shutdown=10)
        self._server = _Announcing(config)
        self._thread = threading.Thread(target=self._run, name="served", daemon=True)

    def _run(self) -> None:
        with suppress(SystemExit):  # uvicorn's way to say that the application did not start
            self._server.run()

    @property
    def url(self) -> str:
        """Where it listens."""
        port = self._server.servers[0].sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}"

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._server.announced.wait(PATIENCE_SECONDS) or not self._server.started:
            raise RuntimeError("the application did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.should_exit = True
        self._thread.join(PATIENCE_SECONDS)


class _Announcing(uvicorn.Server):
    """Says when it has started, or failed to."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.announced = threading.Event()

    async def startup(self, sockets: Any = None) -> None:
        try:
            await super().startup(sockets)
        finally:
            self.announced.set()
