"""The application around the routes: it refuses ambiguous requests, and answers ``HEAD`` like ``GET``."""

from __future__ import annotations

from typing import Any

from litestar import Litestar

from credit_wallet.errors import WalletError
from credit_wallet.http.addressed import addressed
from credit_wallet.wire.ambiguity import require_one_framing, require_only_spelling, require_single_headers
from credit_wallet.wire.asgi import REFUSED, RawHeaders
from credit_wallet.wire.headers import request_id_of
from credit_wallet.wire.problems import refusal


class StrictApplication(Litestar):
    """An application that refuses a request which could be read in two ways.

    It answers ``HEAD`` as ``GET``, without the body: the same status and headers (RFC 9110, section 9.3.2).
    """

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """ASGI's entry."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        is_head = scope["method"] == "HEAD"

        async def answer(message: Any) -> None:
            if is_head and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        try:
            scope = addressed(scope)
            require_one_meaning(scope)
        except WalletError as error:
            scope["state"][REFUSED] = error.code
            status, headers, content = refusal(error, None)
            headers.append(request_id_of(scope["headers"]))
            await answer({"type": "http.response.start", "status": status, "headers": headers})
            await answer({"type": "http.response.body", "body": content})
            return
        given: Any = {**scope, "method": "GET"} if is_head else scope
        await super().__call__(given, receive, answer if is_head else send)


def require_one_meaning(scope: Any) -> None:
    """Raise ``AmbiguousRequest`` or ``NotFound`` for a request that could be read in two ways."""
    headers: RawHeaders = scope["headers"]
    require_single_headers(headers)
    require_one_framing(dict(headers), scope.get("http_version", "1.1"))
    require_only_spelling(scope)
