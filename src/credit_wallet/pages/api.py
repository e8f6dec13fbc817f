"""The HTTP API as the pages ask it: in this process, in the name of whoever has the session.

Each call goes through the same routes as one from outside, so that what may be done, what a request may say and what is
written in the log are decided there and nowhere else.
"""

from __future__ import annotations

from asyncio import Event
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlencode

from msgspec import json

from credit_wallet.wire.asgi import AsgiApp, RawHeaders, Receive, Scope, Send
from credit_wallet.wire.auth import PRESENT, Caller

MAX_ANSWER_BYTES = 8 << 20
"""Longest answer that a page is made of; what is longer is downloaded."""


class Refused(Exception):
    """The API has refused: ``status`` and the problem document that says why."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(problem.get("detail", ""))
        self.status = status
        self.problem = problem

    @property
    def code(self) -> str:
        """The stable code of the refusal."""
        return str(self.problem.get("code", ""))

    @property
    def detail(self) -> str:
        """What happened and what to do, in English."""
        return str(self.problem.get("detail", ""))

    @property
    def field(self) -> str | None:
        """The member of the body that is to blame, if one is."""
        found = self.problem.get("field")
        return None if found is None else str(found)


class Api:
    """Asks ``app``, the API, as ``caller`` and on behalf of the request in ``scope``."""

    def __init__(self, app: AsgiApp, scope: Scope, caller: Caller | None) -> None:
        self._app = app
        self._scope = scope
        self._caller = caller

    async def ask(
        self,
        method: str,
        path: str,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """What the API answers, decoded. Raises ``Refused``."""
        answer = _Answer()
        content = b"" if body is None else json.encode(body)
        scope = self._scope_of(method, path, query, content, headers or {})
        await self._app(scope, _sending(content, answer.is_whole), answer.take)
        decoded = json.decode(answer.body) if answer.body else {}
        if answer.status >= 400:
            raise Refused(answer.status, decoded)
        return decoded

    async def hand_on(
        self, path: str, query: Mapping[str, Any], receive: Receive, send: Send, headers: RawHeaders
    ) -> None:
        """Send on what the API answers to ``GET``, as it comes, with more ``headers``, for as long as one listens.

        Raises ``Refused``, before anything is sent.
        """
        refusal = _Answer()

        async def send_on(message: Any) -> None:
            if message["type"] == "http.response.start" and message["status"] < 400:
                message = {**message, "headers": [*message["headers"], *headers]}
            elif message["type"] == "http.response.start" or refusal.status:
                await refusal.take(message)
                return
            await send(message)

        await self._app(self._scope_of("GET", path, query, b"", {}), receive, send_on)
        if refusal.status:
            raise Refused(refusal.status, json.decode(refusal.body))

    def _scope_of(
        self, method: str, path: str, query: Mapping[str, Any] | None, content: bytes, given: Mapping[str, str]
    ) -> Scope:
        asked = {name: _text(value) for name, value in (query or {}).items() if value is not None}
        headers: RawHeaders = [each for each in self._scope["headers"] if each[0] in (b"host", b"x-request-id")]
        if content:
            headers += [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(content))]
        headers += [(name.lower().encode(), value.encode()) for name, value in given.items()]
        return {
            "type": "http",
            "asgi": self._scope.get("asgi", {"version": "3.0"}),
            "http_version": "1.1",
            "method": method,
            "scheme": self._scope.get("scheme", "http"),
            "path": path,
            "raw_path": quote(path).encode(),
            "query_string": urlencode(asked).encode(),
            "root_path": "",
            "headers": headers,
            "client": self._scope.get("client"),
            "server": self._scope.get("server"),
            "state": {},
            PRESENT: self._caller,
        }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _sending(content: bytes, is_answered: Event) -> Receive:
    """A client that sends ``content``, and listens until it has its answer."""
    sent = False

    async def receive() -> dict[str, Any]:
        nonlocal sent
        if sent:
            await is_answered.wait()
            return {"type": "http.disconnect"}
        sent = True
        return {"type": "http.request", "body": content, "more_body": False}

    return receive


class _Answer:
    """Takes an answer as an ASGI application sends it."""

    def __init__(self) -> None:
        self.status = 0
        self.is_whole = Event()
        self._parts: list[bytes] = []
        self._length = 0

    async def take(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        elif message["type"] == "http.response.body":
            self._parts.append(part := message.get("body", b""))
            self._length += len(part)
            if self._length > MAX_ANSWER_BYTES:
                raise ValueError("an answer is too long for a page")
            if not message.get("more_body", False):
                self.is_whole.set()

    @property
    def body(self) -> bytes:
        return b"".join(self._parts)
