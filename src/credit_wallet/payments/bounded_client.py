"""The HTTP client under the ``stripe`` SDK, with a bound on every answer as a whole.

A timeout for connecting and reading bounds each wait for a byte; who sends one byte at a time is waited for without
end. So another thread cuts the line when an answer takes too long.
"""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any

import requests
import stripe
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from credit_wallet.runtime.deadlines import (
    STRIPE_ANSWER_SECONDS,
    STRIPE_CALL_SECONDS,
    STRIPE_CONNECT_SECONDS,
    STRIPE_READ_SECONDS,
    Deadline,
    Watch,
)


class _Line:
    """What a thread is connected by; it can be cut from another one."""

    def __init__(self) -> None:
        self.watch = Watch(self._cut)
        self.call = Deadline(STRIPE_CALL_SECONDS)
        self.session = requests.Session()
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, _Adapter())
        self._socket: socket.socket | None = None
        self.is_cut = False

    def connected(self, connection: socket.socket) -> None:
        """A connection is made: this second handle of it stays when TLS takes the first one over."""
        if self._socket is not None:
            self._socket.close()
        self._socket = connection.dup()

    def _cut(self) -> None:
        self.is_cut = True
        if self._socket is not None:
            with suppress(OSError):  # it has ended already
                self._socket.shutdown(socket.SHUT_RDWR)


class _Here(threading.local):
    """The line of this thread; connections are made on the thread that uses them, and by no other."""

    line: _Line | None = None


_here = _Here()


class _Connection(HTTPConnection):
    def _new_conn(self) -> socket.socket:
        return _noted(super()._new_conn())


class _TlsConnection(HTTPSConnection):
    def _new_conn(self) -> socket.socket:
        return _noted(super()._new_conn())


def _noted(connection: socket.socket) -> socket.socket:
    if _here.line is not None:
        _here.line.connected(connection)
    return connection


class _Pool(HTTPConnectionPool):
    ConnectionCls = _Connection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


_POOLS = {"http": _Pool, "https": _TlsPool}


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(*args, **kwargs)
        manager.pool_classes_by_scheme = _POOLS
        return manager


class BoundedClient(stripe.RequestsClient):
    """Asks, waits up to ``STRIPE_ANSWER_SECONDS`` for each answer and up to ``STRIPE_CALL_SECONDS`` with retries."""

    def __init__(self) -> None:
        super().__init__(timeout=(STRIPE_CONNECT_SECONDS, STRIPE_READ_SECONDS))
        self._lines = threading.local()
        self._ended = False

    def end_retries(self) -> None:
        """Try nothing again from now on: the process ends."""
        self._ended = True

    def request_with_retries(self, *args: Any, **kwargs: Any) -> Any:
        """One call of the SDK."""
        self._line().call = Deadline(STRIPE_CALL_SECONDS)
        return super().request_with_retries(*args, **kwargs)

    def request(self, *args: Any, **kwargs: Any) -> Any:
        """One attempt of it."""
        line = _here.line = self._line()
        line.is_cut = False
        line.watch.start(min(STRIPE_ANSWER_SECONDS, line.call.remaining()))
        try:
            answer = super().request(*args, **kwargs)
        finally:
            line.watch.stop()
        if line.is_cut:  # what came until then may look like an answer
            raise stripe.APIConnectionError("too long", should_retry=True)  # type: ignore[no-untyped-call]
        return answer

    def _should_retry(self, *args: Any, **kwargs: Any) -> bool:
        return not self._ended and not self._line().call.passed and bool(super()._should_retry(*args, **kwargs))

    def _line(self) -> _Line:
        line: _Line | None = getattr(self._lines, "line", None)
        if line is None:
            line = self._lines.line = _Line()
            self._thread_local.session = line.session
        return line
